//! Tokens that were forged, have expired, or are not for us.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Jwt, Role, Server, Signer, image};

/// What a forger does to a token of their own that is good.
#[derive(Clone, Copy, Debug)]
pub(super) enum Forgery {
    NoAlgorithm,
    NoAlgorithmInCapitals,
    NoAlgorithmOldSignature,
    NoSignature,
    OtherSignature,
    OwnKey,
    OwnKeyInHeader,
    OwnKeyByUrl,
    OwnKeyUnknownId,
    NoKeyId,
    KeyIdIsPath,
    KeyIdIsQuery,
    HmacWithKeyId,
    HmacWithPublicKey,
    HmacWithNothing,
    ChangedSubject,
    ChangedAccess,
    ChangedExpiry,
    ChangedAudience,
    CriticalHeader,
    WithoutClaims,
    WithoutHeader,
    FourParts,
    TwoParts,
    CutShort,
    Doubled,
    PaddedWithEquals,
    ZeroSignature,
    Enormous,
}

use Forgery::*;

pub(super) const FORGERIES: &[Forgery] = &[
    NoAlgorithm,
    NoAlgorithmInCapitals,
    NoAlgorithmOldSignature,
    NoSignature,
    OtherSignature,
    OwnKey,
    OwnKeyInHeader,
    OwnKeyByUrl,
    OwnKeyUnknownId,
    NoKeyId,
    KeyIdIsPath,
    KeyIdIsQuery,
    HmacWithKeyId,
    HmacWithPublicKey,
    HmacWithNothing,
    ChangedSubject,
    ChangedAccess,
    ChangedExpiry,
    ChangedAudience,
    CriticalHeader,
    WithoutClaims,
    WithoutHeader,
    FourParts,
    TwoParts,
    CutShort,
    Doubled,
    PaddedWithEquals,
    ZeroSignature,
    Enormous,
];

fn forge(good: &str, forgery: Forgery, keys: &[u8]) -> String {
    let jwt = Jwt::parse(good);
    let header = |key: &str, value: Value| {
        let mut jwt = jwt.clone();
        jwt.header[key] = value;
        jwt
    };
    let claim = |key: &str, value: Value| {
        let mut jwt = jwt.clone();
        jwt.claims[key] = value;
        jwt
    };
    let key_id = jwt.header["kid"]
        .as_str()
        .unwrap_or_default()
        .as_bytes()
        .to_vec();
    let (signed, signature) = good.rsplit_once('.').expect("a token has three parts");
    match forgery {
        NoAlgorithm => header("alg", "none".into()).signed_by(&Signer::Nobody),
        NoAlgorithmInCapitals => header("alg", "NONE".into()).signed_by(&Signer::Nobody),
        NoAlgorithmOldSignature => header("alg", "none".into()).with_old_signature(),
        NoSignature => format!("{signed}."),
        OtherSignature => claim("jti", "another".into()).with_old_signature(),
        OwnKey => jwt.signed_by(&Signer::OwnKey),
        OwnKeyInHeader => {
            let key = json!({ "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA" });
            header("jwk", key).signed_by(&Signer::OwnKey)
        }
        OwnKeyByUrl => header("jku", "http://127.0.0.1:9/keys".into()).signed_by(&Signer::OwnKey),
        OwnKeyUnknownId => header("kid", "unknown".into()).signed_by(&Signer::OwnKey),
        NoKeyId => header("kid", Value::Null).signed_by(&Signer::OwnKey),
        KeyIdIsPath => {
            header("kid", "../../../../dev/null".into()).signed_by(&Signer::Hmac(Vec::new()))
        }
        KeyIdIsQuery => header("kid", "' or 1=1 --".into()).signed_by(&Signer::OwnKey),
        HmacWithKeyId => header("alg", "HS256".into()).signed_by(&Signer::Hmac(key_id)),
        HmacWithPublicKey => header("alg", "HS256".into()).signed_by(&Signer::Hmac(keys.to_vec())),
        HmacWithNothing => header("alg", "HS256".into()).signed_by(&Signer::Hmac(Vec::new())),
        ChangedSubject => claim("sub", "admin".into()).with_old_signature(),
        ChangedAccess => {
            let all = json!([{ "type": "repository", "name": "library/app", "actions": ["pull", "push", "delete"] }]);
            claim("access", all).with_old_signature()
        }
        ChangedExpiry => claim("exp", 9_999_999_999_i64.into()).with_old_signature(),
        ChangedAudience => claim("aud", "another-registry".into()).signed_by(&Signer::OwnKey),
        CriticalHeader => header("crit", json!(["x-unknown"])).with_old_signature(),
        WithoutClaims => Jwt {
            claims: json!({}),
            ..jwt
        }
        .signed_by(&Signer::OwnKey),
        WithoutHeader => format!(".{}", good.split_once('.').map_or("", |(_, rest)| rest)),
        FourParts => format!("{good}.{signature}"),
        TwoParts => signed.to_owned(),
        CutShort => good[..good.len() - 5].to_owned(),
        Doubled => format!("{good}{good}"),
        PaddedWithEquals => format!("{good}=="),
        ZeroSignature => format!("{signed}.{}", "A".repeat(signature.len())),
        Enormous => format!("{}.{}", signed, "A".repeat(9000)),
    }
}

#[tokio::test]
async fn forged_tokens_open_nothing() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    server
        .admin()
        .push_image(&repository, "latest", &image("forged"))
        .await;
    let guest = project.member(Role::Guest).await;
    let good = guest
        .token(&[&format!("repository:{repository}:pull")])
        .await;
    let path = format!("/v2/{repository}/manifests/latest");
    server.with_bearer(&good).get(&path).await.expect(200);
    let keys = server.anonymous().get("/service/jwks").await.body;
    let mut wrong = Vec::new();
    for (number, forgery) in FORGERIES.iter().enumerate() {
        let forged = forge(&good, *forgery, &keys);
        let client = server
            .with_bearer(&forged)
            .at(u8::try_from(100 + number).expect("there are few"));
        for path in [&path, "/v2/"] {
            let answer = client.get(path).await;
            let challenge = answer.maybe_header("www-authenticate").unwrap_or_default();
            let refused = answer.status == 401 && answer.code() == "UNAUTHORIZED";
            if !refused || !challenge.contains("error=\"invalid_token\"") {
                wrong.push(format!("{forgery:?}: {answer}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.with_bearer(&good).get(&path).await.expect(200);
    server.still_serves().await;
}

#[tokio::test]
async fn a_forged_token_opens_not_even_what_is_public() {
    let server = SERVER.get().await;
    let project = server.public_project().await;
    let repository = project.repository("app");
    server
        .admin()
        .push_image(&repository, "latest", &image("public and forged"))
        .await;
    let path = format!("/v2/{repository}/manifests/latest");
    let good = server
        .anonymous()
        .token(&[&format!("repository:{repository}:pull")])
        .await;
    let forged = forge(&good, OwnKey, &[]);
    let refused = server
        .with_bearer(&forged)
        .at(32)
        .get(&path)
        .await
        .expect_error(401, "UNAUTHORIZED");
    assert!(
        refused
            .header("www-authenticate")
            .contains("error=\"invalid_token\""),
        "{refused}"
    );
}

#[tokio::test]
async fn a_token_of_another_gantry_is_nothing_here() {
    let server = SERVER.get().await;
    let other = Server::start().await;
    let token = other
        .admin()
        .token(&["repository:library/app:pull,push"])
        .await;
    other.with_bearer(&token).get("/v2/").await.expect(200);
    server
        .with_bearer(&token)
        .at(33)
        .get("/v2/")
        .await
        .expect_error(401, "UNAUTHORIZED");
}

/// Good signatures of the right key, but not of this hour: the clock of the server is moved while it signs.
#[tokio::test]
async fn tokens_of_the_past_and_of_the_future_are_refused() {
    let server = Server::start().await;
    let mut tokens = Vec::new();
    for offset in ["-2h", "+2h"] {
        server.stop().await;
        server.restart_with_clock(offset).await;
        let token = server
            .admin()
            .token(&["repository:library/app:pull,push"])
            .await;
        server.with_bearer(&token).get("/v2/").await.expect(200);
        tokens.push((offset, token));
    }
    server.stop().await;
    server.restart().await;
    for (offset, token) in &tokens {
        let refused = server.with_bearer(token).get("/v2/").await;
        assert_eq!(refused.status, 401, "a token of {offset}: {refused}");
        assert!(
            refused
                .header("www-authenticate")
                .contains("error=\"invalid_token\""),
            "{refused}"
        );
    }
    server.admin().get("/v2/").await.expect(200);
}
