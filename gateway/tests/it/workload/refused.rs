//! Tokens that are refused: always with the same answer, and the reason in the audit log.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::issuer::{Issuer, Key, now};
use super::*;

/// A token with a header of its own, and a signature that is nonsense.
fn unsigned(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_only_administrators_learn_why() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let project = server.private_project().await;
    make(
        &server,
        &project.name,
        &issuer.rule(json!({ "claims": { "environment": "prod" } })),
    )
    .await;
    let good = json!({ "environment": "prod" });
    let repository = project.repository("app");
    let scope = push_scope(&repository);
    exchange(&server, &issuer.token(good.clone()), &scope)
        .await
        .expect(200);
    let claims = changed(issuer.claims(), good.clone());
    let stranger = Key::ec("first");
    let hmac = EncodingKey::from_secret(issuer.key.public_pem.as_bytes());
    let hs256 = Header {
        kid: Some("first".to_owned()),
        ..Header::default()
    };
    let with = |changes: Value| issuer.key.sign(&changed(claims.clone(), changes));
    let valid = issuer.token(good.clone());
    let (body, signature) = valid.rsplit_once('.').expect("it has parts");
    let cut = format!("{body}.{}", &signature[..signature.len() - 4]);
    let none = json!({ "alg": "none" });
    for (token, reason) in [
        (with(json!({ "aud": "other.example.test" })), "no rule"),
        (with(json!({ "aud": ["other.example.test"] })), "no rule"),
        (with(json!({ "aud": null })), "no rule"),
        (
            with(json!({ "sub": "repo:my-org/app:ref:refs/heads/other" })),
            "no rule",
        ),
        (with(json!({ "sub": format!("{SUBJECT}/x") })), "no rule"),
        (with(json!({ "environment": "test" })), "no rule"),
        (with(json!({ "environment": null })), "no rule"),
        (stranger.sign(&claims), "signature"),
        (Key::ec("other").sign(&claims), "kid"),
        (cut, "signature"),
        (unsigned(&none, &claims, ""), "algorithm"),
        (
            unsigned(&json!({ "alg": "None" }), &claims, "AAAA"),
            "algorithm",
        ),
        (
            jsonwebtoken::encode(&hs256, &claims, &hmac).expect("it can be signed"),
            "algorithm",
        ),
        (with(json!({ "exp": now() - 1 })), "ended"),
        (with(json!({ "exp": null })), "exp"),
        (with(json!({ "iat": null })), "iat"),
        (with(json!({ "nbf": now() + 120 })), "nbf"),
        (
            with(json!({ "iat": now() + 120, "exp": now() + 300 })),
            "iat",
        ),
        (with(json!({ "exp": now() + 90_000 })), "24 hours"),
    ] {
        let answer = exchange(&server, &token, &scope).await.expect(400);
        let body = answer.json();
        assert_eq!(body["error"], "invalid_request", "{reason}");
        let told = answer.text();
        assert!(
            !told.contains(reason) || reason == "no rule" || reason == "signature",
            "{reason}: {told}"
        );
        assert_eq!(body["error_description"], body["errors"][0]["message"]);
        let (who, why) = last_login(&server, false).await;
        assert!(who.contains(&issuer.url), "{who}");
        assert!(why.contains("a workload's token"), "{why}");
        let _ = reason;
        // As a password it is as wrong as any other.
        let docker = server.as_user_with("any", &token);
        let refused = docker
            .get(&format!("{TOKEN}?service=harbor-registry"))
            .await
            .expect(401);
        assert_eq!(refused.message(), "wrong user name or password");
    }
    let reasons = [
        "no rule",
        "signature is not",
        "(kid)",
        "algorithm",
        "ended",
        "(nbf)",
        "(iat)",
        "24 hours",
    ];
    // They are written in batches, a little later.
    let refused =
        "/api/v2.0/auditlog-exts?q=operation%3Dlogin%2Coperation_result%3Dfalse&page_size=100";
    let log = eventually(10, "all reasons are in the audit log", async || {
        let log = server.admin().get(refused).await.expect(200).text();
        reasons
            .iter()
            .all(|reason| log.contains(reason))
            .then_some(log)
    })
    .await;
    assert!(
        !log.contains(signature) && !server.log().contains(signature),
        "a token is in a log"
    );
}

#[tokio::test]
async fn a_token_of_another_issuer_is_no_token_at_all() {
    let (server, issuer, other) = (server().await, Issuer::start().await, Issuer::start().await);
    let project = server.private_project().await;
    make(&server, &project.name, &issuer.rule(json!({}))).await;
    let scope = push_scope(&project.repository("app"));
    let refused = exchange(&server, &other.token(json!({})), &scope)
        .await
        .expect(400);
    let known = exchange(&server, &issuer.token(json!({ "sub": "x" })), &scope)
        .await
        .expect(400);
    assert_eq!(
        refused.text(),
        known.text(),
        "the answer does not tell which issuers are known"
    );
    // The issuer that it claims decides whose keys count, and no other's sign for it.
    let claimed = json!({ "iss": issuer.url });
    exchange(&server, &other.token(claimed), &scope)
        .await
        .expect(400);
    let slash = json!({ "iss": format!("{}/", issuer.url) });
    exchange(&server, &issuer.token(slash), &scope)
        .await
        .expect(400);
}

#[tokio::test]
async fn an_exchange_says_what_it_lacks() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let token = issuer.token(json!({}));
    let jwt = format!("subject_token_type={JWT}");
    for form in [
        jwt.clone(),
        format!("subject_token=&{jwt}"),
        format!("subject_token={token}"),
        format!("subject_token={token}&subject_token_type=urn:ietf:params:oauth:token-type:saml2"),
        format!("subject_token={token}&{jwt}&actor_token=x"),
        format!(
            "subject_token={token}&{jwt}&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token"
        ),
    ] {
        let form = format!("grant_type={EXCHANGE}&{form}");
        let answer = server.anonymous().post(TOKEN).form(&form).await.expect(400);
        assert_eq!(answer.json()["error"], "invalid_request", "{form}");
    }
}

/// Times differ by chance on a busy machine: one of four rounds has to be even.
#[tokio::test]
async fn the_time_of_a_refusal_does_not_tell_which_issuers_are_known() {
    let (server, issuer, other) = (server().await, Issuer::start().await, Issuer::start().await);
    let project = server.private_project().await;
    make(&server, &project.name, &issuer.rule(json!({}))).await;
    let median = async |token: &str, first: u8| {
        let mut times = Vec::new();
        for number in 0..9 {
            let name = fresh("docker");
            let docker = server.as_user_with(&name, token).at(first + number);
            let began = std::time::Instant::now();
            docker
                .get(&format!("{TOKEN}?service=harbor-registry"))
                .await
                .expect(401);
            times.push(began.elapsed());
        }
        times.sort_unstable();
        times[times.len() / 2]
    };
    let mut seen = Vec::new();
    for round in 0..4_u8 {
        let known = median(&issuer.token(json!({ "sub": "nobody" })), 20 + round * 20).await;
        let unknown = median(&other.token(json!({})), 30 + round * 20).await;
        seen.push((known, unknown));
        if (0.7..=1.4).contains(&(known.as_secs_f64() / unknown.as_secs_f64())) {
            return;
        }
    }
    panic!("known and unknown issuers: {seen:?}");
}
