//! People whom an OpenID provider knows: a real oidc-provider, and what Gantry makes of it.

mod bearer;
mod link;
mod spread;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::provider::{CLIENT_ID, CLIENT_SECRET};
use crate::harness::{
    Answer, Client, Provider, ProviderBrowser, Role, Server, eventually, fresh, image,
};
use crate::session::Browser;

const SETTINGS: &str = "/api/v2.0/configurations";
const CURRENT: &str = "/api/v2.0/users/current";
const PING: &str = "/api/v2.0/system/oidc/ping";
const TOKEN: &str = "/service/token?service=harbor-registry";
const BACK_CHANNEL: &str = "/api/ext/v1/oidc/backchannel_logout";
/// Seconds within which people were asked about, where they are each second.
const READING: u64 = 10;

/// A server, and the provider that it asks.
struct Office {
    server: Server,
    provider: Provider,
}

/// Somebody with two browsers: one at Gantry, and what the same browser holds at the provider.
struct Person {
    here: Browser,
    there: ProviderBrowser,
    sub: String,
}

impl Office {
    /// A server that asks a provider, with further settings.
    async fn open(further: Value) -> Self {
        let server = Server::with(&[("GANTRY_OUTGOING__ALLOW", "127.0.0.1/32")]).await;
        let url = format!("https://{}", server.host());
        let provider = Provider::start(&url, &server.authority_file());
        let office = Self { server, provider };
        let mut settings = json!({
            "oidc_name": "The office", "oidc_endpoint": office.provider.issuer(),
            "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET,
            "oidc_scope": "openid,profile,email,groups,offline_access", "oidc_groups_claim": "groups",
            "oidc_extra_redirect_parms": r#"{"prompt":"consent","state":"ours"}"#,
            "oidc_user_claim": "nick", "external_url": url, "auth_mode": "oidc_auth",
        });
        for (name, value) in further.as_object().expect("an object") {
            settings[name] = value.clone();
        }
        office.set(settings).await;
        office
    }

    /// A server that remembers nothing of who was right.
    async fn restart(&self) {
        self.server.stop().await;
        self.server.restart().await;
    }

    async fn set(&self, settings: Value) {
        let changed = self.server.admin().put(SETTINGS).json(&settings).await;
        changed.expect(200);
    }

    /// Somebody whom the provider knows, and who was never here.
    async fn person(&self, sub: &str, claims: Value) -> Person {
        self.provider.person(sub, claims).await;
        Person {
            here: Browser::open(self.server.anonymous()).await,
            there: self.provider.browser(),
            sub: sub.to_owned(),
        }
    }

    /// Somebody with an account, and their CLI secret.
    async fn member(&self, sub: &str, claims: Value) -> (Person, Client) {
        let mut person = self.person(sub, claims).await;
        person.sign_in("").await.expect(302);
        if !person.here.is_signed_in().await {
            person.choose(sub).await.expect(200);
        }
        let tool = person.tool(&self.server).await;
        (person, tool)
    }

    /// What is said of a sign-in by somebody, while the provider does this mischief.
    async fn refused(&self, mischief: Value) -> String {
        let mut person = self.person("mallory", json!({ "nick": "mallory" })).await;
        self.provider.mischief(mischief).await;
        let answer = person.sign_in("").await;
        self.provider.mischief(json!({})).await;
        assert!(!person.here.is_signed_in().await, "{answer}");
        assert!(matches!(answer.status, 400 | 503), "{answer}");
        answer.message()
    }
}

/// The cookie of the sign-in that a callback ends.
fn cookie_of(callback: &str) -> String {
    let (_, state) = callback.split_once("state=").expect("a state");
    format!("__Host-gantry_oidc_{}", &state[..16])
}

impl Person {
    /// Goes to the provider and back as far as the callback; its address.
    async fn go(&mut self, query: &str) -> String {
        let begun = self.here.get(&format!("/c/oidc/login{query}")).await;
        let there = begun.expect(302).header("location").to_owned();
        let back = self.there.visit(&there, &self.sub).await;
        let (_, path) = back.split_once("/c/").expect("it leads back");
        format!("/c/{path}")
    }

    /// Signs in; what the callback answers.
    async fn sign_in(&mut self, query: &str) -> Answer {
        let callback = self.go(query).await;
        self.here.get(&callback).await
    }

    async fn choose(&mut self, name: &str) -> Answer {
        let body = json!({ "username": name });
        self.here.post("/c/oidc/onboard", &body).await
    }

    async fn current(&mut self) -> Value {
        self.here.get(CURRENT).await.expect(200).json()
    }

    /// The docker of the person.
    async fn tool(&mut self, server: &Server) -> Client {
        let current = self.current().await;
        let secret = current["oidc_user_meta"]["secret"].as_str();
        let name = current["username"].as_str().expect("a name");
        server.as_user_with(name, secret.expect("a secret"))
    }
}

/// Whether somebody may push into a repository.
async fn may_push(tool: &Client, repository: &str) -> bool {
    let scope = format!("repository:{repository}:pull,push");
    let token = tool.get(&format!("{TOKEN}&scope={scope}")).await;
    if token.status != 200 {
        return false;
    }
    let token = token.json()["token"].as_str().expect("a token").to_owned();
    let begun = tool
        .post(&format!("/v2/{repository}/blobs/uploads/"))
        .header("authorization", format!("Bearer {token}"))
        .await;
    begun.status == 202
}

#[tokio::test]
async fn people_of_a_provider_choose_a_name_and_their_groups_give_them_roles() {
    let office =
        Office::open(json!({ "oidc_group_filter": "^dev", "oidc_admin_group": "chiefs" })).await;
    let (server, admin) = (&office.server, office.server.admin());
    let info = server.anonymous().get("/api/v2.0/systeminfo").await;
    let info = info.expect(200).json();
    assert_eq!(info["oidc_provider_name"], "The office");
    assert_eq!(info["auth_mode"], "oidc_auth");
    let project = server.private_project().await;
    let repository = project.repository("app");
    let group = json!({ "role_id": Role::Developer as u8, "member_group": { "group_name": "devs", "group_type": 3 } });
    admin
        .post(&project.members())
        .json(&group)
        .await
        .expect(201);

    let claims =
        json!({ "name": "Alice Miller", "email": "alice@example.test", "groups": ["devs", "ops"] });
    let mut alice = office.person("alice", claims).await;
    let callback = alice.go("?redirect_url=/harbor/projects").await;
    let answer = alice.here.get(&callback).await.expect(302);
    // Without the claim of the name it is the person's.
    assert_eq!(
        answer.header("location"),
        "/oidc-onboard?username=Alice%5FMiller&redirect_url=%2Fharbor%2Fprojects"
    );
    assert!(!alice.here.is_signed_in().await);
    let cookie = alice.here.cookie(&cookie_of(&callback));
    assert_eq!(cookie, None, "the sign-in is over");
    alice.choose("a,b").await.expect_error(400, "BAD_REQUEST");
    let taken = alice.choose("admin").await.expect_error(409, "CONFLICT");
    assert!(
        taken.message().contains("belongs to another account"),
        "{taken}"
    );
    alice.choose("alice").await.expect(200);
    alice
        .choose("alice2")
        .await
        .expect_error(400, "BAD_REQUEST");
    let current = alice.current().await;
    assert_eq!(current["username"], "alice");
    assert_eq!(current["realname"], "Alice Miller");
    assert_eq!(current["sysadmin_flag"], false);
    let subiss = format!("alice{}", office.provider.issuer());
    assert_eq!(current["oidc_user_meta"]["subiss"], subiss);

    // Push as docker does, and nothing else by the secret.
    let tool = alice.tool(server).await;
    let image = image("oidc");
    tool.push_image(&repository, "v1", &image).await;
    assert!(may_push(&tool, &repository).await);
    tool.get("/v2/").await.expect(200);
    let listed = tool.get("/api/v2.0/projects").await.expect(200).json();
    assert!(
        listed
            .as_array()
            .expect("a list")
            .iter()
            .any(|it| it["name"] == project.name),
        "{listed}"
    );
    tool.get(CURRENT).await.expect(401);
    let id = current["user_id"].as_i64().expect("an id");
    let secret = format!("/api/v2.0/users/{id}/cli_secret");
    tool.put(&secret).json(&json!({})).await.expect(401);
    let mut other = Browser::open(server.anonymous()).await;
    let password = current["oidc_user_meta"]["secret"]
        .as_str()
        .expect("a secret");
    other.sign_in("alice", password).await.expect(401);
    // Of those that the filter lets through alone.
    let groups = admin.get("/api/v2.0/usergroups").await.expect(200).json();
    let names: Vec<&str> = groups
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["group_name"].as_str())
        .collect();
    assert_eq!(names, ["devs"]);

    // A new secret, and one of one's own; the session goes on.
    alice
        .here
        .put(&secret, &json!({ "secret": "short" }))
        .await
        .expect(400);
    alice.here.put(&secret, &json!({})).await.expect(200);
    assert!(alice.here.is_signed_in().await);
    tool.get("/v2/").await.expect(401);
    alice
        .here
        .put(&secret, &json!({ "secret": "Chosen-Secret-1" }))
        .await
        .expect(200);
    let tool = server.as_user_with("alice", "Chosen-Secret-1");
    tool.get("/v2/").await.expect(200);
    admin
        .put("/api/v2.0/users/1/cli_secret")
        .json(&json!({}))
        .await
        .expect(412);

    // At the next sign-in there is no question, and groups are as they are then.
    office
        .provider
        .person("alice", json!({ "groups": ["chiefs"] }))
        .await;
    let again = alice.sign_in("?redirect_url=/ui/about").await.expect(302);
    assert_eq!(again.header("location"), "/ui/about");
    assert_eq!(alice.current().await["admin_role_in_auth"], true);
    admin
        .delete(&format!("/api/v2.0/users/{id}"))
        .await
        .expect(200);
    assert!(!alice.here.is_signed_in().await);

    let log = admin
        .get("/api/v2.0/auditlog-exts?page_size=100")
        .await
        .expect(200)
        .json();
    let has = |operation: &str, name: &str, user: &str| {
        let mut entries = log.as_array().expect("a list").iter();
        entries.any(|it| {
            it["operation"] == operation && it["resource"] == name && it["username"] == user
        })
    };
    assert!(has("create", "alice", "anonymous"), "{log}");
    assert!(
        has("login_user", "alice", "alice") || has("login", "alice", "alice"),
        "{log}"
    );
    assert!(!server.log().contains(CLIENT_SECRET));
}

#[tokio::test]
async fn an_account_is_never_taken_over_by_a_name_or_a_mail_address() {
    let office = Office::open(json!({ "oidc_auto_onboard": true })).await;
    let (server, name) = (&office.server, fresh("local"));
    let local = server.create_user(&name).await;
    let user = server
        .admin()
        .get(&format!("/api/v2.0/users/{local}"))
        .await
        .expect(200)
        .json();
    let mut mallory = office
        .person(
            "mallory",
            json!({ "nick": name, "email": user["email"], "email_verified": true }),
        )
        .await;
    let refused = mallory.sign_in("").await.expect_error(409, "CONFLICT");
    assert!(
        refused.message().contains("belongs to another account"),
        "{refused}"
    );
    assert!(!mallory.here.is_signed_in().await);
    for bad in ["robot$x", "a,b"] {
        office
            .provider
            .person("mallory", json!({ "nick": bad }))
            .await;
        let refused = mallory.sign_in("").await;
        assert!(matches!(refused.status, 400 | 409), "{refused}");
    }
    // The address alone ties nobody to anything; spaces become what a name may have.
    office
        .provider
        .person("mallory", json!({ "nick": "mal lory" }))
        .await;
    mallory.sign_in("").await.expect(302);
    let current = mallory.current().await;
    assert_eq!(current["username"], "mal_lory");
    assert_ne!(current["user_id"], local);
    // Whoever is known stays who they are, whatever they call themselves.
    office
        .provider
        .person("mallory", json!({ "nick": "admin", "name": "admin" }))
        .await;
    mallory.sign_in("").await.expect(302);
    let again = mallory.current().await;
    assert_eq!(
        (&again["username"], &again["user_id"]),
        (&current["username"], &current["user_id"])
    );
    assert_eq!(again["sysadmin_flag"], false);
    // Another subject of the same name is another person.
    let mut twin = office
        .person(
            "twin",
            json!({ "nick": "mal_lory", "email": user["email"] }),
        )
        .await;
    twin.sign_in("").await.expect_error(409, "CONFLICT");
}

#[tokio::test]
async fn what_changes_at_the_provider_holds_when_it_is_asked_again() {
    let office = Office::open(json!({
        "oidc_reading_secs": 1, "oidc_secret_secs": 1, "oidc_admin_group": "chiefs",
    }))
    .await;
    let (server, provider) = (&office.server, &office.provider);
    let project = server.private_project().await;
    let repository = project.repository("app");
    let (mut alice, tool) = office.member("alice", json!({ "groups": ["devs"] })).await;
    let group = json!({ "role_id": Role::Developer as u8, "member_group": { "group_name": "devs", "group_type": 3 } });
    let members = project.members();
    server.admin().post(&members).json(&group).await.expect(201);
    assert!(may_push(&tool, &repository).await);

    provider
        .person("alice", json!({ "groups": ["chiefs"] }))
        .await;
    eventually(READING, "the role is gone, and another there", async || {
        let admin = alice.current().await["admin_role_in_auth"] == true;
        admin.then_some(())
    })
    .await;
    provider.person("alice", json!({ "groups": [] })).await;
    eventually(READING, "no role is left", async || {
        let is_admin = alice.current().await["admin_role_in_auth"] == true;
        (!is_admin && !may_push(&tool, &repository).await).then_some(())
    })
    .await;
    provider
        .person("alice", json!({ "groups": ["devs"] }))
        .await;
    eventually(READING, "the role is back", async || {
        may_push(&tool, &repository).await.then_some(())
    })
    .await;

    // Disabled: session, secret and tokens are void.
    let token = tool
        .with_token(&[&format!("repository:{repository}:pull")])
        .await;
    token.get(&format!("/v2/{repository}/tags/list")).await;
    provider.remove("alice").await;
    eventually(READING, "the account is out", async || {
        (!alice.here.is_signed_in().await).then_some(())
    })
    .await;
    token.get("/v2/").await.expect(401);
    let refused = tool.get(TOKEN).await.expect(401);
    assert!(refused.message().contains("did not vouch"), "{refused}");
    // And back with the next sign-in.
    provider
        .person("alice", json!({ "groups": ["devs"] }))
        .await;
    alice.sign_in("").await.expect(302);
    assert!(alice.here.is_signed_in().await);
    tool.get("/v2/").await.expect(200);
}

#[tokio::test]
async fn without_a_session_a_use_of_the_secret_asks_the_provider() {
    let office = Office::open(
        json!({ "oidc_secret_secs": 1, "oidc_outage_secs": 1, "oidc_reading_secs": 86_400 }),
    )
    .await;
    let (mut alice, tool) = office.member("alice", json!({})).await;
    alice.here.get("/c/oidc/logout").await.expect(302);
    tool.get("/v2/").await.expect(200);
    let before = office.provider.asked("/token").await;
    tool.get("/v2/").await.expect(200);
    assert_eq!(
        office.provider.asked("/token").await,
        before,
        "it was right a moment ago"
    );
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // Another server of the same kind remembers nothing: here a restart forgets what was right.
    office.restart().await;
    tool.get("/v2/").await.expect(200);
    assert_eq!(office.provider.asked("/token").await, before + 1);
    office.provider.remove("alice").await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    office.restart().await;
    tool.get("/v2/").await.expect(401);
    tool.get("/v2/").await.expect(401);
}

#[tokio::test]
async fn while_the_provider_is_down_people_go_on_and_nobody_comes() {
    let office = Office::open(json!({ "oidc_secret_secs": 1, "oidc_outage_secs": 3_600 })).await;
    let provider = &office.provider;
    let (mut alice, tool) = office.member("alice", json!({})).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    provider.set_down(true).await;
    office.restart().await;
    tool.get("/v2/").await.expect(200);
    assert!(alice.here.is_signed_in().await);
    let refused = alice.here.get("/c/oidc/login").await.expect(503);
    assert!(
        refused.message().contains("answer as it should"),
        "{refused}"
    );
    office.server.admin().get("/v2/").await.expect(200);
    office.set(json!({ "oidc_outage_secs": 1 })).await;
    office.restart().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let refused = tool.get(TOKEN).await.expect(503);
    assert!(refused.maybe_header("retry-after").is_some(), "{refused}");
    provider.set_down(false).await;
    // The pause after a question that was not answered.
    eventually(60, "the secret works again", async || {
        (tool.get("/v2/").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn keys_are_rotated_and_made_up_ones_do_not_make_us_ask() {
    let office = Office::open(json!({ "oidc_auto_onboard": true })).await;
    let provider = &office.provider;
    let mut alice = office.person("alice", json!({ "nick": "alice" })).await;
    alice.sign_in("").await.expect(302);
    assert_eq!(provider.asked("/jwks").await, 1);
    let mut stranger = office
        .server
        .anonymous()
        .post(BACK_CHANNEL)
        .form("logout_token=x")
        .await;
    assert_eq!(stranger.status, 400, "{stranger}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    provider.rotate().await;
    alice.sign_in("").await.expect(302);
    assert_eq!(provider.asked("/jwks").await, 2);
    // Keys that the provider does not have are looked for once in ten seconds at most.
    provider.rotate().await;
    let token = provider.logout_token(json!({ "sub": "alice" })).await;
    for _ in 0..20 {
        let form = format!("logout_token={token}");
        stranger = office
            .server
            .anonymous()
            .post(BACK_CHANNEL)
            .form(&form)
            .await;
        assert_eq!(stranger.status, 400, "{stranger}");
    }
    assert!(provider.asked("/jwks").await <= 3);
}

#[tokio::test]
async fn a_sign_in_is_one_browsers_once_and_leads_nowhere_else() {
    let office = Office::open(json!({ "oidc_auto_onboard": true })).await;
    let mut alice = office.person("alice", json!({ "nick": "alice" })).await;
    for bad in [
        "https://evil.example",
        "//evil.example",
        "/%5Cevil.example",
        "%2F%2Fevil.example",
        "/%09/evil.example",
        "javascript:alert(1)",
        "/a%0d%0aLocation:%20x",
    ] {
        let path = format!("/c/oidc/login?redirect_url={bad}");
        let refused = alice.here.get(&path).await;
        assert_eq!(refused.status, 400, "{bad}: {refused}");
    }
    // What the provider is asked for: PKCE, our own address, and no state of somebody's settings.
    let begun = alice.here.get("/c/oidc/login").await.expect(302);
    let asked = begun.header("location");
    for part in [
        "code_challenge_method=S256",
        "code_challenge=",
        "nonce=",
        "prompt=consent",
        "response_type=code",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    assert_eq!(asked.matches("state=").count(), 1, "{asked}");
    let cookie = begun.headers.get_all("set-cookie").into_iter();
    let cookie = cookie
        .filter_map(|line| line.to_str().ok())
        .find(|line| line.starts_with("__Host-gantry_oidc_"));
    let cookie = cookie.expect("the cookie is set");
    assert!(
        cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"),
        "{cookie}"
    );

    // At another name, the sign-in begins where the provider's answer comes back; nobody is sent there twice.
    let elsewhere = async |path: &str| {
        let anybody = office.server.anonymous();
        let asked = anybody.get(path).header("host", "other.example:8443");
        asked.await.expect(302)
    };
    let sent = elsewhere("/c/oidc/login?redirect_url=/ui/projects").await;
    let path = "/c/oidc/login?redirect_url=%2Fui%2Fprojects&from_other_host=true";
    let there = format!("https://{}{path}", office.server.host());
    assert_eq!(sent.header("location"), there);
    let cookies = sent.headers.get_all("set-cookie").into_iter();
    let mut cookies = cookies.filter_map(|line| line.to_str().ok());
    assert!(!cookies.any(|line| line.starts_with("__Host-gantry_oidc_")));
    let begun = elsewhere(path).await;
    assert!(begun.header("location").contains("code_challenge="));

    // Another browser with the callback of this one.
    let callback = alice.go("").await;
    let cookie = cookie_of(&callback);
    let kept = alice.here.cookie(&cookie).expect("a cookie").to_owned();
    let mut other = Browser::open(office.server.anonymous()).await;
    other.get(&callback).await.expect_error(400, "BAD_REQUEST");
    other.get("/c/oidc/login").await.expect(302);
    other.get(&callback).await.expect_error(400, "BAD_REQUEST");
    assert!(!other.is_signed_in().await);
    // Once, even with the cookie of before.
    alice.here.get(&callback).await.expect(302);
    assert!(alice.here.is_signed_in().await);
    alice.here.plant(&cookie, &kept);
    let replayed = alice
        .here
        .get(&callback)
        .await
        .expect_error(400, "BAD_REQUEST");
    assert!(replayed.message().contains("used already"), "{replayed}");
    let mut thief = Browser::open(office.server.anonymous()).await;
    thief.plant(&cookie, &kept);
    thief.get(&callback).await.expect_error(400, "BAD_REQUEST");
    // A code of one sign-in in another: PKCE ties it to its verifier.
    let (mut one, mut two) = (
        office.person("one", json!({ "nick": "one" })).await,
        office.person("two", json!({ "nick": "two" })).await,
    );
    let (first, second) = (one.go("").await, two.go("").await);
    let code = |path: &str| {
        path.split(['?', '&'])
            .find(|it| it.starts_with("code="))
            .map(str::to_owned)
            .expect("a code")
    };
    let swapped = second.replace(&code(&second), &code(&first));
    let refused = two
        .here
        .get(&swapped)
        .await
        .expect_error(400, "BAD_REQUEST");
    assert!(
        refused.message().contains("refuses the sign-in"),
        "{refused}"
    );
    assert!(!two.here.is_signed_in().await);
    // What the provider says went wrong, in its own words.
    let mut three = office.person("three", json!({})).await;
    let callback = three.go("").await;
    let state = callback
        .split(['?', '&'])
        .find(|it| it.starts_with("state="))
        .expect("a state")
        .to_owned();
    let issuer = callback
        .split(['?', '&'])
        .find(|it| it.starts_with("iss="))
        .expect("an issuer")
        .to_owned();
    let denied = three
        .here
        .get(&format!(
            "/c/oidc/callback?{state}&{issuer}&error=access_denied"
        ))
        .await;
    assert!(denied.expect(400).message().contains("access_denied"));
}

#[tokio::test]
async fn an_answer_of_another_provider_is_no_answer() {
    let office = Office::open(json!({ "oidc_auto_onboard": true })).await;
    // The answer says of another issuer, or of none where this one always says it.
    for other in ["iss=https%3A%2F%2Fevil.example", ""] {
        let mut alice = office.person("alice", json!({ "nick": "alice" })).await;
        let callback = alice.go("").await;
        let issuer = callback
            .split(['?', '&'])
            .find(|it| it.starts_with("iss="))
            .expect("an issuer")
            .to_owned();
        let refused = alice.here.get(&callback.replace(&issuer, other)).await;
        assert!(refused.expect(400).message().contains("issuer"));
        assert!(!alice.here.is_signed_in().await);
    }
    // Begun with one provider, ended when the settings name another client.
    let mut alice = office.person("alice", json!({ "nick": "alice" })).await;
    let callback = alice.go("").await;
    office.set(json!({ "oidc_client_id": "another" })).await;
    alice
        .here
        .get(&callback)
        .await
        .expect_error(400, "BAD_REQUEST");
    assert!(!alice.here.is_signed_in().await);
}

#[tokio::test]
async fn a_token_that_is_wrong_in_one_way_is_refused() {
    let office = Office::open(json!({ "oidc_auto_onboard": true })).await;
    let token = |kind: &str, claims: Value| json!({ "token": { "kind": kind, "claims": claims } });
    for (mischief, said) in [
        (token("none", json!({})), "not signed as tokens are"),
        (token("hs256", json!({})), "algorithm"),
        (token("secret", json!({})), "algorithm"),
        (token("stranger", json!({})), "signature"),
        (token("", json!({ "aud": "another" })), "another client"),
        (
            token("", json!({ "aud": ["gantry", "another"] })),
            "another client",
        ),
        (token("", json!({ "azp": "another" })), "another client"),
        (
            token("", json!({ "iss": "https://evil.example" })),
            "another issuer",
        ),
        (token("", json!({ "nonce": "of another sign-in" })), "nonce"),
        (token("", json!({ "nonce": null })), "nonce"),
        (token("", json!({ "exp": 1_700_000_000 })), "expired"),
        (token("", json!({ "exp": null })), "when it ends"),
        (token("", json!({ "iat": 9_000_000_000_i64 })), "future"),
        (token("", json!({ "sub": "alice" })), "somebody else"),
        (token("", json!({ "sub": null })), "subject"),
        (json!({ "userinfo": { "sub": "alice" } }), "somebody else"),
    ] {
        let message = office.refused(mischief.clone()).await;
        assert!(message.contains(said), "{mischief}: {message}");
    }
    // Administrators find the reasons in the audit log.
    let admin = office.server.admin();
    let query = "q=username%3DOIDC,operation%3Dlogin,operation_result%3Dfalse";
    let path = format!("/api/ext/v1/audit/export?format=ndjson&{query}");
    eventually(10, "the refusals are recorded", async || {
        let text = admin.get(&path).await.expect(200).text();
        let reasons = [
            "algorithm",
            "signature",
            "another client",
            "nonce",
            "expired",
            "somebody else",
        ];
        reasons.iter().all(|said| text.contains(said)).then_some(())
    })
    .await;
    // And one that is right is taken, so that it was the mischief each time.
    let mut person = office.person("mallory", json!({ "nick": "mallory" })).await;
    office.provider.mischief(token("", json!({}))).await;
    person.sign_in("").await.expect(302);
    assert!(person.here.is_signed_in().await);
}

#[tokio::test]
async fn no_address_leads_to_where_the_guard_forbids() {
    let office = Office::open(json!({})).await;
    let (server, provider) = (&office.server, &office.provider);
    let admin = server.admin();
    let ping = async |body: Value| admin.post(PING).json(&body).await;
    ping(json!({ "url": provider.issuer(), "verify_cert": true }))
        .await
        .expect(200);
    ping(json!({})).await.expect(200);
    for (url, said) in [
        ("https://127.0.0.2:1", "to which Gantry does not connect"),
        (
            "https://169.254.169.254/latest/meta-data",
            "to which Gantry does not connect",
        ),
        ("https://[::1]:1", "to which Gantry does not connect"),
        ("http://169.254.169.254", "https://HOST"),
        ("http://example.test", "https://HOST"),
        ("gopher://127.0.0.1", "https://HOST"),
        ("https://u:p@127.0.0.1", "https://HOST"),
    ] {
        let refused = ping(json!({ "url": url }))
            .await
            .expect_error(400, "BAD_REQUEST");
        assert!(refused.message().contains(said), "{url}: {refused}");
    }
    server
        .stranger()
        .await
        .post(PING)
        .json(&json!({}))
        .await
        .expect(403);
    server
        .anonymous()
        .post(PING)
        .json(&json!({}))
        .await
        .expect(401);

    // The provider's own words lead nowhere else either.
    let issuer = provider.issuer();
    let port = issuer.rsplit(':').next().expect("a port");
    let elsewhere = format!("http://127.0.0.2:{port}");
    let metadata = |part: &str| {
        let mut all = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/me"), "authorization_response_iss_parameter_supported": true,
        });
        all[part] = format!("{elsewhere}/x").into();
        json!({ "metadata": all })
    };
    let redirect = json!({ "redirect": format!("{elsewhere}/.well-known/openid-configuration") });
    provider.mischief(redirect).await;
    let refused = ping(json!({})).await.expect(400);
    assert!(refused.message().contains("answers 302"), "{refused}");
    provider.mischief(metadata("issuer")).await;
    let refused = ping(json!({})).await.expect(400);
    assert!(refused.message().contains("its issuer is"), "{refused}");
    for part in ["token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        // Read anew.
        office.set(json!({ "oidc_name": part })).await;
        let mut person = office.person("mallory", json!({ "nick": "mallory" })).await;
        provider.mischief(metadata(part)).await;
        let refused = person.sign_in("").await;
        assert_eq!(refused.status, 503, "{part}: {refused}");
        assert!(
            refused.message().contains("cannot be reached"),
            "{part}: {refused}"
        );
    }
    let file = json!({ "metadata": { "issuer": issuer, "authorization_endpoint": "javascript:alert(1)", "token_endpoint": "file:///etc/passwd", "jwks_uri": "http://x" } });
    provider.mischief(file).await;
    ping(json!({})).await.expect(400);
}

#[tokio::test]
async fn signing_out_signs_out_there_and_from_there() {
    let office = Office::open(json!({ "oidc_auto_onboard": true, "oidc_logout": true })).await;
    let (server, provider) = (&office.server, &office.provider);
    let mut alice = office.person("alice", json!({ "nick": "alice" })).await;
    alice.sign_in("").await.expect(302);
    // As Harbor's portal signs out.
    let elsewhere = alice.here.get("/c/log_out").await.expect(403).json();
    let url = format!("https://{}/c/oidc/logout", server.host());
    assert_eq!(elsewhere["redirect_location"], url);
    assert!(alice.here.is_signed_in().await);
    let out = alice.here.get("/c/oidc/logout").await.expect(302);
    let there = out.header("location");
    assert!(
        there.starts_with(&format!("{}/session/end?id_token_hint=", provider.issuer())),
        "{there}"
    );
    assert!(
        there.contains("post_logout_redirect_uri=https%3A%2F%2F127.0.0.1"),
        "{there}"
    );
    assert!(!alice.here.is_signed_in().await);
    let back = alice.there.visit(there, "alice").await;
    assert!(back.ends_with("/account/sign-in"), "{back}");

    // From there: the real provider tells every client of a session that ends.
    let mut second = office.person("alice", json!({})).await;
    second.sign_in("").await.expect(302);
    assert!(second.here.is_signed_in().await);
    let address = format!("{}/session/end?client_id={CLIENT_ID}", provider.issuer());
    second.there.end_session(&address).await;
    eventually(READING, "the session ends", async || {
        (!second.here.is_signed_in().await).then_some(())
    })
    .await;

    // Of a person, and once.
    let mut third = office.person("alice", json!({})).await;
    third.sign_in("").await.expect(302);
    let (mut bob, _) = office.member("bob", json!({ "nick": "bob" })).await;
    let tell = async |token: &str| {
        let form = format!("logout_token={token}");
        server.anonymous().post(BACK_CHANNEL).form(&form).await
    };
    for bad in [
        json!({ "sub": "alice", "aud": "another" }),
        json!({ "sub": "alice", "iss": "https://evil.example" }),
        json!({ "sub": "alice", "events": {} }),
        json!({ "sub": "alice", "nonce": "x" }),
        json!({ "sub": "alice", "iat": 1_700_000_000 }),
        json!({ "sub": "alice", "jti": null }),
        json!({}),
    ] {
        let token = provider.logout_token(bad.clone()).await;
        let refused = tell(&token).await;
        assert_eq!(refused.status, 400, "{bad}: {refused}");
    }
    assert!(third.here.is_signed_in().await);
    let token = provider.logout_token(json!({ "sub": "alice" })).await;
    tell(&token).await.expect(200);
    assert!(!third.here.is_signed_in().await);
    assert!(bob.here.is_signed_in().await);
    third.sign_in("").await.expect(302);
    let replayed = tell(&token).await.expect_error(400, "BAD_REQUEST");
    assert!(replayed.message().contains("used already"), "{replayed}");
    assert!(third.here.is_signed_in().await);
    // Local sessions have nothing to do with it.
    let nobody = provider.logout_token(json!({ "sub": "nobody" })).await;
    tell(&nobody).await.expect(200);
    assert!(bob.here.is_signed_in().await);
}

#[tokio::test]
async fn two_tabs_sign_in_beside_each_other() {
    let office = Office::open(json!({ "oidc_auto_onboard": true })).await;
    let mut alice = office.person("alice", json!({ "nick": "alice" })).await;
    let (first, second) = (alice.go("").await, alice.go("").await);
    alice.here.get(&second).await.expect(302);
    alice.here.get(&first).await.expect(302);
    assert!(alice.here.is_signed_in().await);
}

#[tokio::test]
async fn whoever_the_provider_signs_out_while_they_sign_in_is_signed_out() {
    let office = Office::open(json!({})).await;
    let server = &office.server;
    let sign_out = async |sub: &str| {
        let token = office.provider.logout_token(json!({ "sub": sub })).await;
        let form = format!("logout_token={token}");
        server.anonymous().post(BACK_CHANNEL).form(&form).await
    };
    let (mut alice, _) = office.member("alice", json!({ "nick": "alice" })).await;
    let mut bob = office.person("bob", json!({ "nick": "bob" })).await;
    let underway = alice.go("").await;
    bob.sign_in("").await.expect(302);
    // It is no change by anybody here, so it is done where nothing else is.
    office.set(json!({ "read_only": true })).await;
    sign_out("alice").await.expect(200);
    sign_out("bob").await.expect(200);
    office.set(json!({ "read_only": false })).await;
    assert!(!alice.here.is_signed_in().await);
    alice
        .here
        .get(&underway)
        .await
        .expect_error(401, "UNAUTHORIZED");
    assert!(!alice.here.is_signed_in().await);
    bob.choose("bob").await.expect_error(401, "UNAUTHORIZED");
    assert!(!bob.here.is_signed_in().await);
    // Anew, it is another sign-in.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for person in [&mut alice, &mut bob] {
        person.sign_in("").await.expect(302);
        assert!(person.here.is_signed_in().await);
    }
}

#[tokio::test]
async fn another_provider_is_not_shown_the_tokens_of_the_one_before() {
    let office = Office::open(json!({ "oidc_auto_onboard": true, "oidc_reading_secs": 1 })).await;
    let (mut alice, tool) = office.member("alice", json!({ "nick": "alice" })).await;
    tool.get(TOKEN).await.expect(200);
    let url = format!("https://{}", office.server.host());
    let other = Provider::start(&url, &office.server.authority_file());
    office.set(json!({ "oidc_endpoint": other.issuer() })).await;
    eventually(READING, "the session ends", async || {
        (!alice.here.is_signed_in().await).then_some(())
    })
    .await;
    assert_eq!(other.asked("/token").await, 0);
    tool.get(TOKEN).await.expect(401);
    let history = office.server.admin().get("/api/v2.0/audit-logs").await;
    let history = history.expect(200).to_string();
    assert!(history.contains("alice"), "{history}");
}

#[tokio::test]
async fn the_command_line_says_what_works_and_without_a_provider_nothing_is_there() {
    let office = Office::open(json!({})).await;
    let test = async || {
        let output = office.server.cli_as_server(&["oidc", "test"]).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), text)
    };
    let (works, text) = test().await;
    assert!(
        works && text.contains("the provider takes them") && text.contains(BACK_CHANNEL),
        "{text}"
    );
    office.set(json!({ "oidc_client_secret": "wrong" })).await;
    let (works, text) = test().await;
    assert!(
        !works && text.contains("-> correct oidc_client_id and oidc_client_secret"),
        "{text}"
    );
    office.provider.set_down(true).await;
    let (works, text) = test().await;
    assert!(
        !works && text.contains("FAILED read the provider's configuration"),
        "{text}"
    );

    office.set(json!({ "oidc_endpoint": "" })).await;
    let server = &office.server;
    for path in [
        "/c/oidc/login",
        "/c/oidc/callback?code=x&state=y",
        "/c/oidc/logout",
    ] {
        server.anonymous().get(path).await.expect(412);
    }
    let mut browser = Browser::open(server.anonymous()).await;
    browser
        .post("/c/oidc/onboard", &json!({ "username": "x" }))
        .await
        .expect(412);
    server
        .admin()
        .put("/api/v2.0/users/1/cli_secret")
        .json(&json!({}))
        .await
        .expect(412);
    let info = server
        .anonymous()
        .get("/api/v2.0/systeminfo")
        .await
        .expect(200)
        .json();
    assert_eq!(info["oidc_provider_name"], "");
}
