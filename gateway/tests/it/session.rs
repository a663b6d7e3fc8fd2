//! Sessions of browsers: what opens, keeps and ends them, and that no other site can act with one.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, PASSWORD, Replicas, Request, Server, Shared, fresh};

static SERVER: Shared = Shared::new(&[]);

const CURRENT: &str = "/api/v2.0/users/current";
const SESSIONS: &str = "/api/ext/v1/me/sessions";
const TOKEN: &str = "x-harbor-csrf-token";

/// A browser: it keeps cookies, and the newest token.
pub(crate) struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
    token: String,
}

impl Browser {
    /// A browser that looks at the page for signing in.
    pub(crate) async fn open(client: Client) -> Self {
        let mut browser = Self {
            client,
            cookies: BTreeMap::new(),
            token: String::new(),
        };
        browser.get("/c/login").await.expect(200);
        browser
    }

    /// A browser in which somebody has signed in.
    async fn signed_in(server: &Server, name: &str) -> Self {
        let mut browser = Self::open(server.anonymous()).await;
        browser.sign_in(name, PASSWORD).await.expect(200);
        browser
    }

    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        let form = format!("principal={name}&password={password}");
        self.send(Method::POST, "/c/login", |request| request.form(&form))
            .await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, |request| request).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, |request| request.json(body))
            .await
    }

    pub(crate) async fn put(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, |request| request.json(body))
            .await
    }

    async fn delete(&mut self, path: &str) -> Answer {
        self.send(Method::DELETE, path, |request| request).await
    }

    /// Whether the session is one.
    pub(crate) async fn is_signed_in(&mut self) -> bool {
        let answer = self.get(CURRENT).await;
        assert!(matches!(answer.status, 200 | 401), "{answer}");
        answer.status == 200
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        fill: impl FnOnce(Request<'_>) -> Request<'_>,
    ) -> Answer {
        let cookies = self.cookies.iter();
        let cookies: Vec<String> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = self.client.request(method.clone(), path);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if !method.is_safe() {
            request = request.header(TOKEN, &self.token);
        }
        let answer = fill(request).await;
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &Answer) {
        for cookie in set_cookies(answer) {
            let (pair, flags) = cookie.split_once(';').unwrap_or((&cookie, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a value");
            if flags.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(token) = answer.maybe_header(TOKEN) {
            self.token = token.to_owned();
        }
    }

    /// What it keeps under a name.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Puts a cookie there, as somebody could who holds the browser.
    pub(crate) fn plant(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    fn session(&self) -> String {
        self.cookies.get("sid").cloned().unwrap_or_default()
    }

    /// The same browser at another server.
    pub(crate) fn at(&self, client: Client) -> Self {
        Self {
            client,
            cookies: self.cookies.clone(),
            token: self.token.clone(),
        }
    }
}

fn set_cookies(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.get_all("set-cookie").into_iter();
    let lines = lines.map(|line| line.to_str().expect("cookies are ASCII").to_owned());
    lines.collect()
}

#[tokio::test]
async fn a_browser_signs_in_and_out() {
    let server = SERVER.get().await;
    let name = fresh("browser");
    server.create_user(&name).await;
    let mut browser = Browser::open(server.anonymous()).await;
    assert_eq!(browser.session(), "", "nobody has signed in");

    let answer = browser.sign_in(&name, PASSWORD).await.expect(200);
    assert!(answer.body.is_empty(), "{answer}");
    let key = browser.session();
    let cookie = format!("sid={key}; Path=/; HttpOnly; Secure; SameSite=Lax");
    assert_eq!(set_cookies(&answer), [cookie]);
    let current = browser.get(CURRENT).await.expect(200);
    assert_eq!(current.json()["username"], name);
    assert!(set_cookies(&current).is_empty(), "{current}");

    browser.get("/c/log_out").await.expect(200);
    assert_eq!(browser.session(), "", "the cookie is taken back");
    assert!(!browser.is_signed_in().await);
    browser.cookies.insert("sid".into(), key);
    assert!(!browser.is_signed_in().await, "the key opens nothing");
}

#[tokio::test]
async fn the_cookie_for_tokens_is_kept_from_scripts_and_other_sites() {
    let server = SERVER.get().await;
    let answer = server.anonymous().get("/c/login").await.expect(200);
    let cookies = set_cookies(&answer);
    let (pair, flags) = cookies[0].split_once("; ").expect("it has flags");
    assert!(pair.starts_with("_gorilla_csrf="), "{pair}");
    assert_eq!(
        flags,
        "Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict"
    );
    // Whoever is no browser gets neither.
    let answer = server.admin().get(CURRENT).await.expect(200);
    assert!(set_cookies(&answer).is_empty(), "{answer}");
    assert_eq!(answer.maybe_header(TOKEN), None);
}

#[tokio::test]
async fn wrong_passwords_open_nothing_and_count() {
    let server = SERVER.get().await;
    let name = fresh("guessed");
    server.create_user(&name).await;
    let mut browser = Browser::open(server.anonymous().at(91)).await;
    for _ in 0..5 {
        let answer = browser.sign_in(&name, "Wr0ngPassword").await.expect(401);
        assert!(answer.body.is_empty(), "{answer}");
        assert_eq!(browser.session(), "");
    }
    let refused = browser.sign_in(&name, PASSWORD).await.expect(429);
    assert!(refused.maybe_header("retry-after").is_some(), "{refused}");
    // Guesses count for all ways to sign in.
    let basic = server.as_user(&name).at(91);
    basic
        .get("/service/token?service=harbor-registry")
        .await
        .expect(429);
}

/// What has broken sign-ins elsewhere, each as a password after `Passw0rd`.
const HARD: [&str; 40] = [
    ":",
    "::a",
    "a:b",
    "%",
    "%41",
    "%zz",
    "100%",
    "&",
    "a&b=c",
    "&amp;",
    "=",
    "+",
    "a+b",
    " ",
    " a",
    "a b",
    "  ",
    "\t",
    "\"",
    "'",
    "`",
    "\\",
    "\\n",
    "/",
    "?",
    "#",
    ";",
    ",",
    "<b>",
    "{}",
    "[]",
    "$HOME",
    "!",
    "~",
    "|",
    "ä",
    "ß€",
    "密码",
    "\u{1f511}",
    "é\u{301}",
];

#[tokio::test]
async fn hard_passwords_pass_form_json_basic_and_token_alike() {
    let server = SERVER.get().await;
    let admin = server.admin();
    for (number, hard) in HARD.into_iter().enumerate() {
        let (name, password) = (fresh("hard"), format!("Passw0rd{hard}"));
        let user = json!({ "username": name, "password": password, "realname": "H",
            "email": format!("{name}@example.com") });
        let made = admin.post("/api/v2.0/users").json(&user).await.expect(201);
        let escaped: String = password
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let by_form = Browser::open(server.anonymous())
            .await
            .sign_in(&name, &escaped)
            .await;
        let person = server.as_user_with(&name, &password);
        let by_basic = person.get(CURRENT).await;
        let by_token = person.get("/service/token?service=harbor-registry").await;
        let form = format!(
            "grant_type=password&service=harbor-registry&client_id=t&username={name}&password={escaped}"
        );
        let by_grant = server.anonymous().post("/service/token").form(&form).await;
        for (way, answer) in [
            ("form", by_form),
            ("Basic", by_basic),
            ("token", by_token),
            ("grant", by_grant),
        ] {
            assert_eq!(answer.status, 200, "{password:?} by {way}: {answer}");
        }
        // The old and the new one in JSON, and back by a form that writes spaces as plus signs.
        if number % 8 == 0 {
            let next = format!("{password} 2");
            let change = json!({ "old_password": password, "new_password": next });
            let path = format!("{}/password", made.location());
            person.put(&path).json(&change).await.expect(200);
            let plus = format!("{escaped}+2");
            let mut browser = Browser::open(server.anonymous()).await;
            browser.sign_in(&name, &plus).await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_failed_sign_in_names_the_address_and_the_program() {
    let server = SERVER.get().await;
    let name = fresh("frozen");
    server.create_user(&name).await;
    let cluster = server.as_user_with(&name, "an old secret").at(42);
    for _ in 0..3 {
        let tried = cluster
            .get("/service/token?service=harbor-registry")
            .header("user-agent", "containerd/2.1.4 \"old\"");
        tried.await.expect(401);
    }
    let admin = server.admin();
    let query = format!("q=username%3D{name},operation%3Dlogin,operation_result%3Dfalse");
    let path = format!("/api/ext/v1/audit/export?format=ndjson&{query}");
    let entries = crate::harness::eventually(10, "all three are written", async || {
        let text = admin.get(&path).await.expect(200).text();
        let entries: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("an entry is JSON"))
            .collect();
        let times = entries.iter().filter_map(|entry| entry["times"].as_i64());
        (times.sum::<i64>() == 3).then_some(entries)
    })
    .await;
    for entry in entries {
        assert_eq!(entry["address"], "127.0.0.42", "{entry}");
        assert_eq!(entry["user_agent"], "containerd/2.1.4 \"old\"", "{entry}");
    }
}

#[tokio::test]
async fn a_session_from_before_is_not_taken_over() {
    let server = SERVER.get().await;
    let (victim, other) = (fresh("victim"), fresh("attacker"));
    server.create_user(&victim).await;
    server.create_user(&other).await;
    for planted in [
        "0".repeat(64),
        Browser::signed_in(&server, &other).await.session(),
    ] {
        let mut browser = Browser::open(server.anonymous()).await;
        browser.cookies.insert("sid".into(), planted.clone());
        // The token belongs to the session: a new one is needed.
        browser.sign_in(&victim, PASSWORD).await.expect(403);
        browser.sign_in(&victim, PASSWORD).await.expect(200);
        assert_ne!(browser.session(), planted);
        let current = browser.get(CURRENT).await.expect(200);
        assert_eq!(current.json()["username"], victim);
        browser.cookies.insert("sid".into(), planted);
        assert!(!browser.is_signed_in().await);
    }
}

#[tokio::test]
async fn what_changes_something_needs_the_token_of_the_session() {
    let server = SERVER.get().await;
    let name = fresh("csrf");
    let id = server.create_user(&name).await;
    let path = format!("/api/v2.0/users/{id}");
    let profile = json!({ "email": format!("{name}@example.com"), "realname": "New" });
    let mut browser = Browser::signed_in(&server, &name).await;
    let others = Browser::signed_in(&server, &name).await.token;

    let cookies = format!(
        "sid={}; _gorilla_csrf={}",
        browser.session(),
        browser.cookies["_gorilla_csrf"]
    );
    let request = || {
        browser
            .client
            .put(&path)
            .json(&profile)
            .header("cookie", &cookies)
    };
    let missing = request().await.expect_error(403, "FORBIDDEN");
    assert_eq!(missing.message(), "CSRF token not found in request");
    for wrong in ["", "nonsense", &*others] {
        let refused = request().header(TOKEN, wrong).await;
        let refused = refused.expect_error(403, "FORBIDDEN");
        assert_eq!(refused.message(), "CSRF token invalid");
    }
    // A name and a password beside a session are what counts: scripts keep cookies. But browsers remember passwords
    // too, and no page of another site uses them.
    let password = server.as_user(&name);
    let both = || {
        password
            .put(&path)
            .json(&profile)
            .header("cookie", &cookies)
    };
    both().await.expect(200);
    let here = format!("https://{}", server.host());
    for (header, from, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", &*here, 200),
    ] {
        let answer = both().header(header, from).await;
        assert_eq!(answer.status, status, "{header}: {from}: {answer}");
    }
    password.put(&path).json(&profile).await.expect(200);
    // Terraform's provider shows why something is refused only where it has a token to try again with.
    let refused = password.post("/api/v2.0/registries").json(&json!({}));
    let refused = refused.await.expect_error(403, "FORBIDDEN");
    assert_eq!(refused.header(TOKEN).len(), 88);
    assert!(set_cookies(&refused).is_empty(), "{refused}");
    let again = password.post("/api/v2.0/registries").json(&json!({}));
    let again = again.header(TOKEN, refused.header(TOKEN)).await;
    assert_eq!(
        again.expect_error(403, "FORBIDDEN").message(),
        refused.message()
    );

    // An answer that refuses has a token with which to try again.
    let retry = missing.header(TOKEN).to_owned();
    request().header(TOKEN, retry).await.expect(200);
    browser.put(&path, &profile).await.expect(200);

    let form = server.anonymous();
    let form = form
        .post("/c/login")
        .form(&format!("principal={name}&password={PASSWORD}"));
    form.await.expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn own_sessions_are_listed_and_ended() {
    let server = SERVER.get().await;
    let (name, stranger) = (fresh("lister"), fresh("stranger"));
    server.create_user(&name).await;
    server.create_user(&stranger).await;
    let mut here = Browser::signed_in(&server, &name).await;
    let mut there = Browser::signed_in(&server, &name).await;
    let mut others = Browser::signed_in(&server, &stranger).await;

    let listed = here.get(SESSIONS).await.expect(200);
    assert_eq!(listed.header("x-total-count"), "2");
    let listed = listed.json();
    let sessions = listed.as_array().expect("a list");
    let own = |current: bool| {
        let found = sessions
            .iter()
            .find(|session| session["current"] == current);
        found.expect("it is listed")["id"].clone()
    };
    assert!(
        !listed.to_string().contains(&here.session()),
        "no key is shown"
    );
    let path = format!("{SESSIONS}/{}", own(false));
    others.delete(&path).await.expect_error(404, "NOT_FOUND");
    assert!(there.is_signed_in().await);
    here.delete(&path).await.expect(200);
    assert!(!there.is_signed_in().await);
    here.delete(&path).await.expect_error(404, "NOT_FOUND");
    here.delete(&format!("{SESSIONS}/{}", own(true)))
        .await
        .expect(200);
    assert!(!here.is_signed_in().await);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let server = SERVER.get().await;
    let name = fresh("renewed");
    let id = server.create_user(&name).await;
    let mut here = Browser::signed_in(&server, &name).await;
    let mut there = Browser::signed_in(&server, &name).await;
    let before = here.session();
    let path = format!("/api/v2.0/users/{id}/password");
    let passwords = json!({ "old_password": PASSWORD, "new_password": "An0therPassword" });
    here.put(&path, &passwords).await.expect(200);
    assert!(!there.is_signed_in().await);
    assert!(here.is_signed_in().await);
    assert_ne!(here.session(), before, "it has a new key");
    let mut old = here.at(server.anonymous());
    old.cookies.insert("sid".into(), before);
    assert!(!old.is_signed_in().await);

    let passwords = json!({ "new_password": "Y3tAnotherPassword" });
    server.admin().put(&path).json(&passwords).await.expect(200);
    assert!(!here.is_signed_in().await);
}

#[tokio::test]
async fn other_rights_and_a_deletion_end_all_sessions() {
    let server = SERVER.get().await;
    let name = fresh("promoted");
    let id = server.create_user(&name).await;
    let path = format!("/api/v2.0/users/{id}");
    let mut browser = Browser::signed_in(&server, &name).await;
    let flag = server.admin();
    let flag = flag.put(&format!("{path}/sysadmin"));
    flag.json(&json!({ "sysadmin_flag": true }))
        .await
        .expect(200);
    assert!(!browser.is_signed_in().await);
    let mut browser = Browser::signed_in(&server, &name).await;
    server.admin().delete(&path).await.expect(200);
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn only_system_administrators_ask_whether_a_user_exists() {
    let server = SERVER.get().await;
    let name = fresh("exists");
    server.create_user(&name).await;
    let exists = async |browser: &mut Browser, form: &str| {
        browser
            .send(Method::POST, "/c/userExists", |request| request.form(form))
            .await
    };
    let mut anyone = Browser::signed_in(&server, &name).await;
    let refused = exists(&mut anyone, &format!("target=username&value={name}")).await;
    refused.expect_error(412, "PRECONDITION");
    let mut admin = Browser::open(server.anonymous()).await;
    admin
        .sign_in("admin", crate::harness::ADMIN_PASSWORD)
        .await
        .expect(200);
    for (form, expected) in [
        (format!("target=username&value={name}"), true),
        (format!("target=username&value={name}x"), false),
        (format!("target=email&value={name}%40example.com"), true),
        (format!("target=email&value={name}x%40example.com"), false),
    ] {
        let answer = exists(&mut admin, &form).await.expect(200);
        assert_eq!(answer.json(), expected, "{form}");
    }
    exists(&mut admin, "target=other&value=x")
        .await
        .expect_error(400, "BAD_REQUEST");
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_is_kept_by_use() {
    let server = Server::start().await;
    let name = fresh("idle");
    server.create_user(&name).await;
    let mut used = Browser::signed_in(&server, &name).await;
    let mut idle = Browser::signed_in(&server, &name).await;
    let mut polling = Browser::signed_in(&server, &name).await;
    server.stop().await;
    server.restart_with_clock("+50m").await;
    assert!(used.is_signed_in().await);
    let polled = polling.send(Method::GET, CURRENT, |request| {
        request.header("x-harbor-no-session-renewal", "true")
    });
    polled.await.expect(200);
    server.stop().await;
    server.restart_with_clock("+65m").await;
    assert!(used.is_signed_in().await);
    assert!(!idle.is_signed_in().await);
    assert!(!polling.is_signed_in().await);
    server.stop().await;
    server.restart_with_clock("+130m").await;
    assert!(!used.is_signed_in().await);
}

#[tokio::test]
async fn shorter_times_hold_for_sessions_that_are_there() {
    let server = Server::start().await;
    let name = fresh("shortened");
    server.create_user(&name).await;
    let mut browser = Browser::signed_in(&server, &name).await;
    set(&server, &json!({ "session_longest": 120 })).await;
    server.stop().await;
    server.restart_with_clock("+50m").await;
    assert!(browser.is_signed_in().await);
    server.stop().await;
    server.restart_with_clock("+100m").await;
    assert!(browser.is_signed_in().await, "it was used in between");
    let mut idle = Browser::signed_in(&server, &name).await;
    server.stop().await;
    server.restart_with_clock("+121m").await;
    assert!(!browser.is_signed_in().await, "however busy it is");
    assert!(idle.is_signed_in().await);
    set(&server, &json!({ "session_timeout": 20 })).await;
    assert!(idle.is_signed_in().await, "it was used just now");
    server.stop().await;
    server.restart_with_clock("+142m").await;
    assert!(!idle.is_signed_in().await);
}

/// Changes settings.
async fn set(server: &Server, settings: &Value) {
    let admin = server.admin();
    admin
        .put("/api/v2.0/configurations")
        .json(settings)
        .await
        .expect(200);
}

#[tokio::test]
async fn signing_out_beside_a_password_ends_the_session() {
    let server = SERVER.get().await;
    let name = fresh("both");
    server.create_user(&name).await;
    let mut browser = Browser::signed_in(&server, &name).await;
    let password = server.as_user(&name);
    let cookie = format!("sid={}", browser.session());
    password
        .get("/c/log_out")
        .header("cookie", cookie)
        .await
        .expect(200);
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn a_password_that_is_changed_during_sign_in_opens_no_session() {
    let server = SERVER.get().await;
    for round in 0..4 {
        let name = fresh("crossing");
        let id = server.create_user(&name).await;
        let mut browser = Browser::open(server.anonymous()).await;
        let (admin, path) = (server.admin(), format!("/api/v2.0/users/{id}/password"));
        let changed = json!({ "new_password": "An0therPassword" });
        let change = async {
            tokio::time::sleep(std::time::Duration::from_millis(15 * round)).await;
            admin.put(&path).json(&changed).await.expect(200);
        };
        // Either it was wrong by then, or the session ended with it.
        let (answer, ()) = tokio::join!(browser.sign_in(&name, PASSWORD), change);
        assert!(matches!(answer.status, 200 | 401), "{answer}");
        assert!(!browser.is_signed_in().await, "round {round}: {answer}");
    }
}

#[tokio::test]
async fn a_session_is_the_same_at_every_replica() {
    let replicas = Replicas::start().await;
    let (first, second) = (&replicas.first, &replicas.second);
    let name = fresh("roaming");
    first.create_user(&name).await;
    let mut here = Browser::signed_in(first, &name).await;
    let mut there = here.at(second.anonymous());
    assert!(there.is_signed_in().await);
    // The token that one replica gave, the other takes.
    let listed = there.get(SESSIONS).await.expect(200).json();
    there.token = here.token.clone();
    let path = format!("{SESSIONS}/{}", listed[0]["id"]);
    there.delete(&path).await.expect(200);
    assert!(!here.is_signed_in().await);
}
