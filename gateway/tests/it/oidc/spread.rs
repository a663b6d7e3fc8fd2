//! A provider's people at two replicas.

use super::*;
use crate::harness::Replicas;

/// Two replicas, and the provider that both ask.
async fn open(further: Value) -> (Replicas, Provider) {
    let replicas = Replicas::with(&[("GANTRY_OUTGOING__ALLOW", "127.0.0.1/32")]).await;
    let url = format!("https://{}", replicas.first.host());
    let provider = Provider::start(&url, &replicas.first.authority_file());
    let mut settings = json!({
        "oidc_name": "The office", "oidc_endpoint": provider.issuer(), "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET, "oidc_scope": "openid,profile,email,groups,offline_access",
        "oidc_extra_redirect_parms": r#"{"prompt":"consent"}"#, "oidc_user_claim": "nick", "external_url": url,
        "auth_mode": "oidc_auth", "oidc_auto_onboard": true,
    });
    for (name, value) in further.as_object().expect("an object") {
        settings[name] = value.clone();
    }
    let admin = replicas.first.admin();
    admin.put(SETTINGS).json(&settings).await.expect(200);
    let second = replicas.second.admin();
    eventually(10, "the other replica has the settings", async || {
        let shown = second.get(SETTINGS).await.expect(200).json();
        (shown["oidc_client_id"]["value"] == CLIENT_ID).then_some(())
    })
    .await;
    (replicas, provider)
}

/// Goes to the provider from one replica; where it leads back to.
async fn go(browser: &mut Browser, provider: &Provider, sub: &str) -> String {
    provider.person(sub, json!({ "nick": sub })).await;
    let begun = browser.get("/c/oidc/login").await.expect(302);
    let back = provider
        .browser()
        .visit(begun.header("location"), sub)
        .await;
    let (_, path) = back.split_once("/c/").expect("it leads back");
    format!("/c/{path}")
}

#[tokio::test]
async fn a_sign_in_that_began_at_one_replica_ends_at_another() {
    let (replicas, provider) = open(json!({})).await;
    let mut here = Browser::open(replicas.first.anonymous()).await;
    let callback = go(&mut here, &provider, "alice").await;
    let mut there = here.at(replicas.second.anonymous());
    there.get(&callback).await.expect(302);
    assert!(there.is_signed_in().await);
    let mut back = there.at(replicas.first.anonymous());
    assert!(back.is_signed_in().await, "the session is the same at both");
    // It worked once, at whichever.
    let mut again = here.at(replicas.first.anonymous());
    again.get(&callback).await;
    assert!(!again.is_signed_in().await);
}

#[tokio::test]
async fn fifty_pulls_at_two_replicas_at_the_moment_of_expiry_make_one_refresh() {
    // Fifty passwords are checked within these seconds, whatever else the machine does.
    let further =
        json!({ "oidc_secret_secs": 8, "oidc_outage_secs": 8, "oidc_reading_secs": 86_400 });
    let (replicas, provider) = open(further).await;
    let mut browser = Browser::open(replicas.first.anonymous()).await;
    let callback = go(&mut browser, &provider, "alice").await;
    browser.get(&callback).await.expect(302);
    let current = browser.get(CURRENT).await.expect(200).json();
    let secret = current["oidc_user_meta"]["secret"]
        .as_str()
        .expect("a secret");
    tokio::time::sleep(Duration::from_millis(8_200)).await;
    let before = provider.asked("/token").await;
    let pulls = (0..50).map(|number| {
        let server = match number % 2 {
            0 => &replicas.first,
            _ => &replicas.second,
        };
        let tool = server.as_user_with("alice", secret);
        async move { tool.get("/v2/").await.status }
    });
    let statuses = futures_util::future::join_all(pulls).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(provider.asked("/token").await, before + 1);
    // The new token is the one that is kept: the next refresh works too.
    tokio::time::sleep(Duration::from_secs(62)).await;
    let tool = replicas.second.as_user_with("alice", secret);
    tool.get("/v2/").await.expect(200);
    assert_eq!(provider.asked("/token").await, before + 2);
}
