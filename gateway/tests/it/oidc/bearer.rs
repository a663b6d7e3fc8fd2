//! ID tokens as credentials of the REST API.

use ::model::{Clock as _, SystemClock};

use super::*;

impl Office {
    /// An ID token of a person with these claims besides.
    async fn id_token(&self, claims: Value) -> String {
        let mut all = json!({ "events": null, "jti": null });
        for (name, value) in claims.as_object().expect("an object") {
            all[name] = value.clone();
        }
        self.provider.logout_token(all).await
    }

    async fn by(&self, claims: Value) -> Client {
        self.server.with_bearer(&self.id_token(claims).await)
    }
}

fn seconds_ago(seconds: u64) -> u64 {
    SystemClock.now().seconds().unsigned_abs() - seconds
}

#[tokio::test]
async fn an_id_token_signs_in_at_the_api_and_makes_an_account_where_that_is_allowed() {
    let office = Office::open(json!({ "oidc_admin_group": "chiefs" })).await;
    let server = &office.server;
    let claims = json!({ "sub": "dora", "nick": "dora", "name": "Dora", "email": "dora@example.test", "groups": ["devs"] });
    let dora = office.by(claims).await;
    dora.get(CURRENT).await.expect(401);
    office.set(json!({ "oidc_auto_onboard": true })).await;
    let current = dora.get(CURRENT).await.expect(200).json();
    assert_eq!(
        (&current["username"], &current["sysadmin_flag"]),
        (&json!("dora"), &json!(false))
    );
    assert_eq!(current["realname"], "Dora");
    let project = json!({ "project_name": fresh("doras") });
    dora.post("/api/v2.0/projects")
        .json(&project)
        .await
        .expect(201);
    // The browser knows the same person.
    let (mut browser, _) = office.member("dora", json!({ "nick": "dora" })).await;
    assert_eq!(browser.current().await["user_id"], current["user_id"]);

    // What it says of groups counts, also those of administrators; a token without them says nothing.
    server
        .sql("update identity set read_at = read_at - 600000000")
        .await;
    let chief = office
        .by(json!({ "sub": "dora", "groups": ["chiefs"] }))
        .await;
    assert_eq!(
        chief.get(CURRENT).await.expect(200).json()["admin_role_in_auth"],
        true
    );
    server
        .sql("update identity set read_at = read_at - 600000000")
        .await;
    let silent = office.by(json!({ "sub": "dora" })).await;
    assert_eq!(
        silent.get(CURRENT).await.expect(200).json()["admin_role_in_auth"],
        true
    );

    // It is for the API alone.
    let token = office.id_token(json!({ "sub": "dora" })).await;
    server.with_bearer(&token).get("/v2/").await.expect(401);
    server.with_bearer(&token).get(TOKEN).await.expect(401);
    assert!(!server.log().contains(&token), "a token is in the log");
}

#[tokio::test]
async fn what_is_no_id_token_of_now_signs_nobody_in() {
    let office = Office::open(json!({ "oidc_auto_onboard": true })).await;
    let server = &office.server;
    office.member("eve", json!({ "nick": "eve" })).await;
    office
        .by(json!({ "sub": "eve" }))
        .await
        .get(CURRENT)
        .await
        .expect(200);
    let logout = "http://schemas.openid.net/event/backchannel-logout";
    for wrong in [
        json!({ "sub": "eve", "aud": "another" }),
        json!({ "sub": "eve", "aud": [CLIENT_ID, "another"] }),
        json!({ "sub": "eve", "iss": "https://evil.example" }),
        json!({ "sub": "eve", "exp": seconds_ago(120) }),
        json!({ "sub": "eve", "exp": null }),
        json!({ "sub": "eve", "iat": null }),
        json!({ "sub": null }),
        json!({ "sub": "eve", "events": { logout: {} } }),
    ] {
        let caller = office.by(wrong.clone()).await;
        let answer = caller.get(CURRENT).await;
        assert_eq!(answer.status, 401, "{wrong}: {answer}");
    }
    // Registry tokens, and what is none at all, are nobody's; and none of them is the session's beside it.
    let registry = server.admin().token(&["registry:catalog:*"]).await;
    let mut browser = Browser::open(server.anonymous()).await;
    browser
        .sign_in("admin", crate::harness::ADMIN_PASSWORD)
        .await
        .expect(200);
    let cookie = format!("sid={}", browser.cookie("sid").expect("a session"));
    for token in [&*registry, "x", "a.b.c"] {
        let caller = server.with_bearer(token);
        caller.get(CURRENT).await.expect(401);
        caller
            .get(CURRENT)
            .header("cookie", &cookie)
            .await
            .expect(401);
    }
}

#[tokio::test]
async fn a_person_who_was_locked_out_or_signed_out_needs_a_newer_token() {
    let office = Office::open(json!({})).await;
    let (server, provider) = (&office.server, &office.provider);
    office.member("finn", json!({ "nick": "finn" })).await;
    let old = office
        .by(json!({ "sub": "finn", "iat": seconds_ago(30) }))
        .await;
    old.get(CURRENT).await.expect(200);
    // Signed out by the provider: what was issued before that is void.
    let token = provider.logout_token(json!({ "sub": "finn" })).await;
    let form = format!("logout_token={token}");
    server
        .anonymous()
        .post(BACK_CHANNEL)
        .form(&form)
        .await
        .expect(200);
    old.get(CURRENT).await.expect(401);
    let other = office
        .by(json!({ "sub": "finn", "iat": seconds_ago(0) + 30 }))
        .await;
    other.get(CURRENT).await.expect(200);
    // Locked out a moment ago: tokens of before are void, those of after it are not.
    server.sql("update identity set active = 0").await;
    other.get(CURRENT).await.expect(401);
    server
        .sql("update identity set read_at = read_at - 600000000")
        .await;
    other.get(CURRENT).await.expect(200);
    // Deleted.
    let id = other.get(CURRENT).await.expect(200).json()["user_id"].clone();
    let admin = server.admin();
    admin
        .delete(&format!("/api/v2.0/users/{id}"))
        .await
        .expect(200);
    other.get(CURRENT).await.expect(401);
}

#[tokio::test]
async fn the_end_of_one_session_voids_its_tokens_and_those_that_do_not_say_theirs() {
    let office = Office::open(json!({})).await;
    let (server, provider) = (&office.server, &office.provider);
    office.member("gus", json!({ "nick": "gus" })).await;
    let of = |sid: Value| json!({ "sub": "gus", "sid": sid, "iat": seconds_ago(5) });
    let one = office.by(of(json!("one"))).await;
    let another = office.by(of(json!("another"))).await;
    let silent = office.by(of(Value::Null)).await;
    for caller in [&one, &another, &silent] {
        caller.get(CURRENT).await.expect(200);
    }
    let token = provider.logout_token(json!({ "sub": "gus", "sid": "one" }));
    let form = format!("logout_token={}", token.await);
    let ended = server.anonymous().post(BACK_CHANNEL).form(&form).await;
    ended.expect(200);
    one.get(CURRENT).await.expect(401);
    silent.get(CURRENT).await.expect(401);
    another.get(CURRENT).await.expect(200);
    let old = json!({ "sub": "gus", "iat": seconds_ago(86_401) });
    office.by(old).await.get(CURRENT).await.expect(401);
}
