//! Accounts that people make for themselves, and passwords that they set by a link: mails, their links, and what cannot be
//! done with either.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, MailServer, PASSWORD, Server, eventually, fresh};

const USERS: &str = "/api/v2.0/users";
const CURRENT: &str = "/api/v2.0/users/current";
const VERIFY: &str = "/api/ext/v1/users/verify";
const FORGOT: &str = "/api/ext/v1/password/forgot";
const RESET: &str = "/api/ext/v1/password/reset";
const OPTIONS: &str = "/api/ext/v1/accounts/options";
const TEST: &str = "/api/ext/v1/mail/test";
const LOGIN: &str = "/service/token?service=harbor-registry";
const NEXT: &str = "Next-Passw0rd";
/// Where links lead, whatever the `Host` header says.
const URL: &str = "https://registry.example";

/// A server that mails by that one.
async fn mailing(mail: &MailServer) -> Server {
    let server = Server::with(&[
        ("GANTRY_SERVER__EXTERNAL_URL", URL),
        ("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8"),
    ])
    .await;
    let settings = json!({
        "smtp_host": "127.0.0.1", "smtp_port": mail.port(), "smtp_tls": "none",
        "smtp_from": "Gantry <gantry@registry.example>", "self_registration": true,
    });
    set(&server, &settings).await.expect(200);
    server
}

async fn set(server: &Server, settings: &Value) -> Answer {
    let admin = server.admin();
    admin.put("/api/v2.0/configurations").json(settings).await
}

fn address(name: &str) -> String {
    format!("{name}@example.com")
}

fn newcomer(name: &str) -> Value {
    json!({ "username": name, "password": PASSWORD, "email": address(name), "realname": "<b>New</b>" })
}

async fn post(client: &Client, path: &str, body: &Value) -> Answer {
    client.post(path).json(body).await
}

async fn forgot(client: &Client, email: &str) -> Answer {
    post(client, FORGOT, &json!({ "email": email })).await
}

async fn reset(client: &Client, token: &str) -> Answer {
    post(
        client,
        RESET,
        &json!({ "token": token, "new_password": NEXT }),
    )
    .await
}

/// Waits until no mail is on its way: an order like one that still runs is none.
async fn idle(server: &Server) {
    let admin = server.admin();
    eventually(20, "all mails are sent", async || {
        let jobs = admin
            .get("/api/ext/v1/jobs?page_size=100&q=kind%3Daccount_mail")
            .await;
        let jobs = jobs.expect(200).json();
        let jobs = jobs.as_array().expect("a list is a list");
        let has_ended = |job: &Value| job["status"] == "done" || job["status"] == "failed";
        jobs.iter().all(has_ended).then_some(())
    })
    .await;
}

/// Whether a password opens the API and the registry alike.
async fn signs_in(server: &Server, name: &str, password: &str) -> bool {
    let person = server.as_user_with(name, password);
    let [rest, registry] = [person.get(CURRENT).await, person.get(LOGIN).await];
    let statuses = (rest.status, registry.status);
    assert!(
        matches!(statuses, (200, 200) | (401, 401)),
        "{rest}{registry}"
    );
    statuses == (200, 200)
}

/// Signs in with the form of a browser.
async fn form(server: &Server, name: &str, password: &str) -> Answer {
    let client = server.anonymous();
    let page = client.get("/c/login").await.expect(200);
    let cookie = page
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap_or_default();
    let token = page.header("x-harbor-csrf-token");
    let form = format!("principal={name}&password={password}");
    client
        .request(Method::POST, "/c/login")
        .header("cookie", cookie)
        .header("x-harbor-csrf-token", token)
        .form(&form)
        .await
}

/// What the history has about a user, but for signing in, with what else is known; oldest first.
async fn history(server: &Server, name: &str) -> Vec<String> {
    let query =
        format!("/api/v2.0/auditlog-exts?page_size=100&q=resource%3D{name},resource_type%3Duser");
    let list = server.admin().get(&query).await.expect(200).json();
    let list = list.as_array().expect("a list is a list").clone();
    let described = list.iter().rev().filter_map(|entry| {
        let operation = entry["operation"].as_str()?;
        let description = entry["operation_description"].as_str()?;
        let detail = description
            .split_once(" (")
            .map_or("", |(_, detail)| detail);
        let told = format!("{operation} {}", detail.trim_end_matches(')'));
        (operation != "login").then_some(told)
    });
    described.collect()
}

#[tokio::test]
async fn people_register_and_verify_their_address() {
    let mail = MailServer::start().await;
    let server = mailing(&mail).await;
    let anyone = server.anonymous();
    let name = fresh("newcomer");
    let possible = anyone.get(OPTIONS).await.expect(200).json();
    assert_eq!(
        possible,
        json!({ "self_registration": true, "address_verified": true, "password_reset": false }),
        "a reset is offered once a mail was sent"
    );

    // Nothing that a form has not is taken from a body.
    let mut body = newcomer(&name);
    body["sysadmin_flag"] = true.into();
    body["unverified"] = false.into();
    let made = anyone
        .post(USERS)
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .json(&body)
        .await
        .expect(201);
    assert!(made.location().starts_with("/api/v2.0/users/"), "{made}");
    assert!(!signs_in(&server, &name, PASSWORD).await, "not yet");
    form(&server, &name, "Wrong-Passw0rd").await.expect(401);
    let told = form(&server, &name, PASSWORD)
        .await
        .expect_error(412, "PRECONDITION");
    assert!(
        told.message().contains("verify your mail address"),
        "{told}"
    );

    let received = mail.mail(&address(&name), 1).await;
    let token = received.token();
    let link = format!("{URL}/ui/verify#{token}");
    assert!(received.text.contains(&link), "{}", received.text);
    assert!(received.text.contains("text/plain"), "{}", received.text);
    for strange in ["evil.example", "<b>"] {
        assert!(
            !received.text.contains(strange),
            "{strange}: {}",
            received.text
        );
    }
    let possible = anyone.get(OPTIONS).await.expect(200).json();
    assert_eq!(possible["password_reset"], true);

    // A link for one thing is none for another.
    reset(&anyone, &token)
        .await
        .expect_error(400, "BAD_REQUEST");
    post(&anyone, VERIFY, &json!({ "token": token }))
        .await
        .expect(200);
    assert!(signs_in(&server, &name, PASSWORD).await);
    let again = post(&anyone, VERIFY, &json!({ "token": token })).await;
    assert!(
        again
            .expect_error(400, "BAD_REQUEST")
            .message()
            .starts_with("token:")
    );
    let own = server.as_user(&name).get(CURRENT).await.expect(200).json();
    assert_eq!(
        (&own["sysadmin_flag"], &own["unverified"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        history(&server, &name).await[..2],
        ["create registered", "update mail address verified"]
    );

    taken_not_allowed_and_not_now(&server, &anyone, &name).await;
    nothing_but_text_is_taken(&server, &mail).await;
}

/// Three reasons that people can tell apart.
async fn taken_not_allowed_and_not_now(server: &Server, anyone: &Client, name: &str) {
    post(anyone, USERS, &newcomer(name))
        .await
        .expect_error(409, "CONFLICT");
    let mut other = newcomer(&fresh("other"));
    other["email"] = address(name).to_uppercase().into();
    post(anyone, USERS, &other)
        .await
        .expect_error(409, "CONFLICT");
    // With a session or a password of another account, too.
    let body = newcomer(&fresh("second"));
    post(&server.as_user(name), USERS, &body).await.expect(201);

    set(server, &json!({ "self_registration": false }))
        .await
        .expect(200);
    let body = newcomer(&fresh("late"));
    post(anyone, USERS, &body)
        .await
        .expect_error(401, "UNAUTHORIZED");
    let refused = post(&server.as_user(name), USERS, &body).await;
    assert!(
        refused
            .expect_error(403, "FORBIDDEN")
            .message()
            .contains("self_registration")
    );
    set(server, &json!({ "self_registration": true }))
        .await
        .expect(200);

    // Of what one network may do.
    let flood = anyone.at(9);
    let mut statuses = Vec::new();
    for _ in 0..21 {
        statuses.push(post(&flood, USERS, &newcomer(name)).await.status);
    }
    assert_eq!((statuses[19], statuses[20]), (409, 429));
}

async fn nothing_but_text_is_taken(server: &Server, mail: &MailServer) {
    let anyone = server.anonymous().at(3);
    let before = mail.count();
    for (field, value) in [
        ("email", "a@example.com\r\nBcc: eve@example.com"),
        ("email", "a@example.com>, <eve@example.com"),
        ("realname", "A\r\nBcc: eve@example.com"),
        ("username", "a\r\nBcc: eve@example.com"),
        ("username", "audit purge"),
    ] {
        let mut body = newcomer(&fresh("inject"));
        body[field] = value.into();
        post(&anyone, USERS, &body).await.expect(400);
    }
    for email in [
        "a@example.com\r\nBcc: eve@example.com",
        "",
        "@",
        "a@example.com,b@example.com",
    ] {
        forgot(&anyone, email)
            .await
            .expect_error(400, "BAD_REQUEST");
    }
    assert_eq!(mail.count(), before);
}

#[tokio::test]
async fn an_account_that_nobody_verifies_is_removed() {
    let mail = MailServer::start().await;
    let server = mailing(&mail).await;
    let (late, vouched) = (fresh("late"), fresh("vouched"));
    let anyone = server.anonymous();
    let chinese = ("accept-language", "zh-CN,zh;q=0.9,en;q=0.8");
    for name in [&late, &vouched] {
        let made = anyone
            .post(USERS)
            .header(chinese.0, chinese.1)
            .json(&newcomer(name));
        let made = made.await.expect(201);
        if name == &vouched {
            let path = format!("{}/password", made.location());
            let password = json!({ "new_password": NEXT });
            server.admin().put(&path).json(&password).await.expect(200);
        }
    }
    // An administrator vouches for whom they give a password.
    assert!(signs_in(&server, &vouched, NEXT).await);
    let received = mail.mail(&address(&late), 1).await;
    assert!(
        received.text.contains("Subject: =?utf-8?"),
        "{}",
        received.text
    );

    server.stop().await;
    server.restart_with_clock("+25h").await;
    let anyone = server.anonymous();
    eventually(30, "the account is removed", async || {
        let found = server
            .admin()
            .get(&format!("{USERS}?username={late}"))
            .await
            .expect(200);
        (found.header("x-total-count") == "0").then_some(())
    })
    .await;
    assert!(signs_in(&server, &vouched, NEXT).await);
    assert_eq!(
        history(&server, &late).await.last().map(String::as_str),
        Some("delete mail address not verified")
    );
    post(&anyone, USERS, &newcomer(&late)).await.expect(201);
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_a_link() {
    let mail = MailServer::start().await;
    let server = mailing(&mail).await;
    let anyone = server.anonymous();
    let name = fresh("forgetful");
    server.create_user(&name).await;
    let session = form(&server, &name, PASSWORD).await.expect(200);
    let session = session.headers.get_all("set-cookie").iter();
    let session: Vec<&str> = session
        .filter_map(|it| it.to_str().ok()?.split(';').next())
        .collect();
    let session = session.join("; ");
    let token = server.as_user(&name).with_token(&[]).await;
    let in_session = async || anyone.get(CURRENT).header("cookie", &session).await.status;
    assert_eq!(in_session().await, 200);

    // Known, in another case, and unknown: one answer.
    let known = anyone
        .post(FORGOT)
        .header("host", "evil.example")
        .json(&json!({ "email": address(&name).to_uppercase() }))
        .await
        .expect(202);
    let unknown = forgot(&anyone, &address(&fresh("nobody")))
        .await
        .expect(202);
    assert_eq!(known.body, unknown.body);
    let names = |answer: &Answer| -> Vec<String> {
        answer.headers.keys().map(ToString::to_string).collect()
    };
    assert_eq!(names(&known), names(&unknown));
    // To the address of the account, not to the one that was given.
    let received = mail.mail(&address(&name), 1).await;
    assert!(
        received.text.contains(&format!("{URL}/ui/reset#")),
        "{}",
        received.text
    );
    assert!(
        received.text.contains(&format!("{name}:")),
        "{}",
        received.text
    );
    assert!(!received.text.contains("evil.example"), "{}", received.text);
    let link = received.token();
    idle(&server).await;

    for guess in ["", "x", &"0".repeat(64), &link.to_uppercase(), &link[1..]] {
        reset(&anyone, guess).await.expect_error(400, "BAD_REQUEST");
    }
    let weak = json!({ "token": link, "new_password": "short" });
    post(&anyone, RESET, &weak)
        .await
        .expect_error(400, "BAD_REQUEST");
    assert!(
        signs_in(&server, &name, PASSWORD).await,
        "nothing is changed yet"
    );

    // Of several that use it at once, one does.
    let attempts = (0..6).map(|_| async { reset(&server.anonymous(), &link).await.status });
    let mut statuses = futures_util::future::join_all(attempts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400, 400]);
    assert!(signs_in(&server, &name, NEXT).await);
    assert!(!signs_in(&server, &name, PASSWORD).await);
    assert_eq!(in_session().await, 401, "its sessions end");
    token.get("/v2/").await.expect(401);
    assert_eq!(
        history(&server, &name).await[1..],
        [
            "update link for a new password mailed",
            "update password, by a mailed link"
        ]
    );
    assert_eq!(mail.count(), 1, "nobody else was written to");
    let log = server.log();
    for secret in [&link, &address(&name), NEXT] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }

    links_end_with_what_they_were_made_for(&server, &mail).await;
    an_address_counts_once_it_is_verified(&server, &mail).await;
    strangers_accounts_take_no_links(&server, &mail).await;
    an_account_is_not_flooded(&server, &mail).await;
    old_links_do_not_work(&server, &mail, &name).await;
}

/// A link ends with the password, the address and the account that it was made for.
async fn links_end_with_what_they_were_made_for(server: &Server, mail: &MailServer) {
    let (anyone, admin) = (server.anonymous().at(4), server.admin());
    for change in ["password", "address", "account"] {
        let name = fresh("changed");
        let id = server.create_user(&name).await;
        forgot(&anyone, &address(&name)).await.expect(202);
        let link = mail.mail(&address(&name), 1).await.token();
        let path = format!("{USERS}/{id}");
        let changed = match change {
            "password" => {
                let body = json!({ "new_password": "0ther-Passw0rd" });
                admin.put(&format!("{path}/password")).json(&body).await
            }
            "address" => {
                let body =
                    json!({ "email": address(&fresh("new")), "realname": "N", "comment": "" });
                admin.put(&path).json(&body).await
            }
            _ => admin.delete(&path).await,
        };
        changed.expect(200);
        reset(&anyone, &link).await.expect_error(400, "BAD_REQUEST");
        assert!(!signs_in(server, &name, NEXT).await, "{change}");
    }
}

/// Somebody's own word gives their account no address: that takes a link that is mailed there, and the password.
async fn an_address_counts_once_it_is_verified(server: &Server, mail: &MailServer) {
    let anyone = server.anonymous().at(6);
    let (one, other) = (fresh("one"), fresh("other"));
    server.create_user(&one).await;
    let id = server.create_user(&other).await;
    let own = server.as_user(&other);
    // Where letters differ in case, a mail server may know two people.
    let there = address(&one).to_uppercase();
    let change = async |email: &str| {
        let body = json!({ "email": email, "realname": "N", "comment": "" });
        own.put(&format!("{USERS}/{id}"))
            .json(&body)
            .await
            .expect(200)
    };
    change(&there).await;
    let shown = own.get(CURRENT).await.expect(200).json();
    assert_eq!(
        (&shown["email"], &shown["email_unverified"]),
        (&json!(there), &json!(true))
    );
    // The address of before is told, and nothing of the new one.
    let word = mail.mail(&address(&other), 1).await.text;
    assert!(word.contains(&other) && !word.contains(&one), "{word}");
    let asked = mail.mail(&there, 1).await;
    assert!(!asked.text.contains(&other), "{}", asked.text);
    // Links go on to the address of before.
    forgot(&anyone, &there).await.expect(202);
    assert_eq!(mail.mail(&address(&one), 1).await.tokens().len(), 1);
    forgot(&anyone, &address(&other)).await.expect(202);
    let link = mail.mail(&address(&other), 2).await.token();

    let verify = async |password: Option<&str>| {
        let body = json!({ "token": asked.token(), "password": password });
        post(&anyone, VERIFY, &body).await
    };
    verify(None).await.expect_error(412, "PRECONDITION");
    verify(Some("Wrong-Passw0rd"))
        .await
        .expect_error(403, "FORBIDDEN");
    verify(Some(PASSWORD)).await.expect(200);
    verify(Some(PASSWORD))
        .await
        .expect_error(400, "BAD_REQUEST");
    let shown = own.get(CURRENT).await.expect(200).json();
    assert_eq!(shown["email_unverified"], Value::Null);
    reset(&anyone, &link).await.expect_error(400, "BAD_REQUEST");
    idle(server).await;
    forgot(&anyone, &there).await.expect(202);
    let received = mail.mail(&there, 2).await;
    assert!(
        received.text.contains(&format!("{other}:")),
        "{}",
        received.text
    );
    assert!(
        !received.text.contains(&format!("{one}:")),
        "{}",
        received.text
    );
    reset(&anyone, &received.token()).await.expect(200);
    assert!(signs_in(server, &other, NEXT).await);
    assert!(signs_in(server, &one, PASSWORD).await);
}

/// What strangers call themselves is not mailed to others, and their accounts take no owner's links.
async fn strangers_accounts_take_no_links(server: &Server, mail: &MailServer) {
    let admin = server.admin();
    let victim = fresh("victim");
    let to = address(&victim);
    let mut strangers = Vec::new();
    for _ in 0..6 {
        let name = format!("Locked - visit evil.example/{}", fresh("x"));
        let mut body = newcomer(&name);
        body["email"] = address(&fresh("stranger")).into();
        body["realname"] = "N".into();
        let made = admin.post(USERS).json(&body).await.expect(201);
        strangers.push((made.location().to_owned(), name));
    }
    server.create_user(&victim).await;
    for (number, (path, name)) in (20..).zip(&strangers) {
        let body = json!({ "email": to, "realname": "N", "comment": "" });
        let own = server.as_user(name).at(number);
        own.put(path).json(&body).await.expect(200);
    }
    idle(server).await;
    let before = mail.mails(&to).len();
    forgot(&server.anonymous().at(8), &to).await.expect(202);
    let received = mail.mail(&to, before + 1).await;
    assert!(
        received.text.contains(&format!("{victim}:")),
        "{}",
        received.text
    );
    assert_eq!(received.tokens().len(), 1);
    for mail in mail.mails(&to) {
        assert!(!mail.text.contains("evil.example"), "{}", mail.text);
    }
    // An administrator's word is enough.
    let (path, name) = &strangers[0];
    let given = address(&fresh("given"));
    let body = json!({ "email": given, "realname": "N", "comment": "" });
    admin.put(path).json(&body).await.expect(200);
    forgot(&server.anonymous().at(8), &given).await.expect(202);
    let received = mail.mail(&given, 1).await;
    assert!(received.text.contains(name.as_str()), "{}", received.text);
}

/// An account gets three links in a while, and a network asks ten times.
async fn an_account_is_not_flooded(server: &Server, mail: &MailServer) {
    let name = fresh("flooded");
    server.create_user(&name).await;
    let flood = server.anonymous().at(5);
    for number in 1..=3 {
        forgot(&flood, &address(&name)).await.expect(202);
        mail.mail(&address(&name), number).await;
        idle(server).await;
    }
    for _ in 4..=10 {
        forgot(&flood, &address(&name)).await.expect(202);
    }
    let refused = forgot(&flood, &address(&name)).await;
    assert!(refused.expect(429).maybe_header("retry-after").is_some());
    idle(server).await;
    assert_eq!(mail.mails(&address(&name)).len(), 3);
}

/// After half an hour.
async fn old_links_do_not_work(server: &Server, mail: &MailServer, name: &str) {
    let anyone = server.anonymous().at(7);
    forgot(&anyone, &address(name)).await.expect(202);
    let link = mail.mail(&address(name), 2).await.token();
    server.stop().await;
    server.restart_with_clock("+31m").await;
    let anyone = server.anonymous().at(7);
    let refused = reset(&anyone, &link).await.expect_error(400, "BAD_REQUEST");
    assert!(refused.message().contains("has expired"), "{refused}");
    assert!(signs_in(server, name, NEXT).await);
}

#[tokio::test]
async fn requests_send_mails_to_no_server_on_this_machine() {
    let mail = MailServer::start().await;
    let server = Server::start().await;
    let settings = json!({
        "smtp_host": "localhost", "smtp_port": mail.port(), "smtp_tls": "none",
        "smtp_from": "gantry@registry.example", "external_url": URL,
    });
    set(&server, &settings).await.expect(200);
    let tried = post(&server.admin(), TEST, &json!({ "to": "ops@example.com" })).await;
    let tried = tried.expect(200).json();
    let last = tried["steps"].as_array().and_then(|steps| steps.last());
    let last = last.expect("a step").to_string();
    assert!(
        last.contains("\"resolve\"") && last.contains("[outgoing] allow"),
        "{tried}"
    );
}

#[tokio::test]
async fn a_port_that_a_request_chose_is_guarded_though_the_host_is_fixed() {
    let mail = MailServer::start().await;
    let server = Server::with(&[("GANTRY_SETTINGS__SMTP_HOST", "localhost")]).await;
    let settings = json!({
        "smtp_port": mail.port(), "smtp_tls": "none",
        "smtp_from": "gantry@registry.example", "external_url": URL,
    });
    set(&server, &settings).await.expect(200);
    let tried = post(&server.admin(), TEST, &json!({ "to": "ops@example.com" })).await;
    let tried = tried.expect(200).text();
    assert!(tried.contains("[outgoing] allow"), "{tried}");
    assert_eq!(mail.count(), 0);
}

#[tokio::test]
async fn a_mail_that_fails_is_a_job_that_says_why() {
    let mail = MailServer::start().await;
    let server = Server::with(&[("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8")]).await;
    let (anyone, admin) = (server.anonymous(), server.admin());
    let name = fresh("unlucky");
    server.create_user(&name).await;
    forgot(&anyone, &address(&name))
        .await
        .expect_error(412, "PRECONDITION");

    let closed = crate::harness::free_port();
    let settings = json!({
        "smtp_host": "127.0.0.1", "smtp_port": closed, "smtp_tls": "none",
        "smtp_from": "gantry@registry.example", "external_url": "https://127.0.0.1:1/",
    });
    set(&server, &settings).await.expect(200);
    let tried = post(&admin, TEST, &json!({ "to": "ops@example.com" })).await;
    let tried = tried.expect(200).json();
    assert_eq!(tried["ok"], false);
    let last = tried["steps"].as_array().and_then(|steps| steps.last());
    assert_eq!(
        last.map(|step| step["step"].clone()),
        Some(json!("connect")),
        "{tried}"
    );
    post(&admin, TEST, &json!({}))
        .await
        .expect_error(400, "BAD_REQUEST");

    // The asker gets the answer as ever.
    forgot(&anyone, &address(&name)).await.expect(202);
    let job = |state: &'static str| {
        let admin = &admin;
        async move || {
            let jobs = admin
                .get("/api/ext/v1/jobs?q=kind%3Daccount_mail")
                .await
                .expect(200);
            let jobs = jobs.json().as_array().cloned().unwrap_or_default();
            jobs.into_iter().find(|job| {
                let has_cause = job["last_error"]
                    .as_str()
                    .is_some_and(|error| !error.is_empty());
                job["status"] == state && has_cause
            })
        }
    };
    let waiting = eventually(20, "the job failed once", job("queued")).await;
    assert!(
        waiting["last_error"]
            .as_str()
            .is_some_and(|why| why.contains("connect")),
        "{waiting}"
    );
    let possible = anyone.get(OPTIONS).await.expect(200).json();
    assert_eq!(possible["password_reset"], false);
    let mailed = "update link for a new password mailed".to_owned();
    assert!(
        !history(&server, &name).await.contains(&mailed),
        "it was not"
    );

    // It is sent when the mail server is back; one that refuses the address for good is not asked again.
    set(&server, &json!({ "smtp_port": mail.port() }))
        .await
        .expect(200);
    mail.mail(&address(&name), 1).await;
    idle(&server).await;
    let events = history(&server, &name).await;
    assert_eq!(events.iter().filter(|event| **event == mailed).count(), 1);
    mail.refuse(Some("550 5.1.1 no such mailbox"));
    let gone = fresh("gone");
    server.create_user(&gone).await;
    forgot(&anyone, &address(&gone)).await.expect(202);
    let failed = eventually(20, "the job failed", job("failed")).await;
    let why = failed["last_error"].as_str().unwrap_or_default();
    assert!(
        why.contains("send") && why.contains("no such mailbox"),
        "{failed}"
    );
    assert!(!server.log().contains(&address(&gone)));
    let tried = post(&admin, TEST, &json!({ "to": "ops@example.com" })).await;
    let tried = tried.expect(200).json();
    let names = tried["steps"].as_array().map(|steps| {
        let names = steps.iter().filter_map(|step| step["step"].as_str());
        names.collect::<Vec<_>>().join(" ")
    });
    assert_eq!(
        names.as_deref(),
        Some("settings resolve connect send"),
        "{tried}"
    );

    settings_of_mail(&server).await;
}

async fn settings_of_mail(server: &Server) {
    let all = server
        .admin()
        .get("/api/v2.0/configurations")
        .await
        .expect(200)
        .json();
    assert_eq!(
        all["external_url"],
        json!({ "editable": true, "value": "https://127.0.0.1:1" })
    );
    assert_eq!(all["smtp_password"], Value::Null, "a secret is never shown");
    set(
        server,
        &json!({ "smtp_tls": "starttls", "smtp_user": "g", "smtp_password": "s3cret" }),
    )
    .await
    .expect(200);
    for (wrong, said) in [
        (
            json!({ "smtp_password": "******" }),
            "smtp_password: must be the secret itself",
        ),
        (
            json!({ "smtp_password": "••••" }),
            "smtp_password: must be the secret itself",
        ),
        (
            json!({ "smtp_tls": "none" }),
            "smtp_tls: must be starttls or tls",
        ),
        (
            json!({ "smtp_tls": "ssl" }),
            "smtp_tls: must be starttls, tls or none",
        ),
        (json!({ "smtp_from": "nobody" }), "smtp_from: must be"),
        (json!({ "smtp_host": "h:25" }), "smtp_host: must be"),
        (json!({ "smtp_ca": "x" }), "smtp_ca: must be certificates"),
        (
            json!({ "external_url": "http://registry.example" }),
            "external_url: must be",
        ),
    ] {
        let refused = set(server, &wrong).await.expect_error(400, "BAD_REQUEST");
        assert!(refused.message().contains(said), "{refused}");
    }
}
