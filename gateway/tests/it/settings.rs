//! Settings of `/api/v2.0/configurations`: who changes them, how, and that they hold everywhere within a second.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Replicas, Server, fresh, image};

const SETTINGS: &str = "/api/v2.0/configurations";
const LOGIN: &str = "/service/token?service=harbor-registry";
/// How long a change may take until it holds at another replica.
const EVERYWHERE: Duration = Duration::from_secs(1);

async fn change(admin: &Client, changes: Value) -> Answer {
    admin.put(SETTINGS).json(&changes).await
}

async fn value(admin: &Client, name: &str) -> Value {
    let all = admin.get(SETTINGS).await.expect(200).json();
    all[name]["value"].clone()
}

/// Fails if something is not seen within [`EVERYWHERE`] from now.
async fn soon(what: &str, is_seen: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_seen().await {
        assert!(begun.elapsed() < EVERYWHERE, "not within a second: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a command prints that has the server's configuration.
async fn prints(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli_as_server(arguments).await;
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the audit log says of changes of settings, oldest first.
async fn recorded(server: &Server) -> Vec<String> {
    let text = prints(server, &["audit", "export"]).await;
    let entries = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an entry is JSON"));
    entries
        .filter(|entry| entry["resource_type"] == "configuration")
        .map(|entry| {
            assert_eq!(entry["operation"], "update");
            assert_eq!(entry["resource"], "configuration");
            entry["detail"].as_str().expect("a text").to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_change_holds_at_every_replica_within_a_second() {
    let replicas = Replicas::start().await;
    let (first, second) = (&replicas.first, &replicas.second);
    let user = fresh("person");
    first.create_user(&user).await;
    let (admin, person) = (first.admin(), second.as_user(&user));
    person.get(LOGIN).await.expect(200);

    let changes = json!({ "project_creation_restriction": "adminonly", "token_expiration": 7 });
    change(&admin, changes).await.expect(200);
    soon("who may create projects", async || {
        let body = json!({ "project_name": fresh("restricted") });
        let made = person.post("/api/v2.0/projects").json(&body).await;
        made.status == 403
    })
    .await;
    let token = person.get(LOGIN).await.expect(200).json();
    assert_eq!(token["expires_in"], 420);
    let info = person.get("/api/v2.0/systeminfo").await.expect(200).json();
    assert_eq!(info["project_creation_restriction"], "adminonly");

    // At the one that changed it, at once.
    change(&second.admin(), json!({ "read_only": true }))
        .await
        .expect(200);
    let body = json!({ "project_name": fresh("late") });
    let made = second.admin().post("/api/v2.0/projects").json(&body).await;
    made.expect_error(403, "DENIED");
    soon("read only", async || {
        let made = admin.post("/api/v2.0/projects").json(&body).await;
        made.status == 403
    })
    .await;
    change(&admin, json!({ "read_only": false }))
        .await
        .expect(200);
    soon("writing again", async || {
        let body = json!({ "project_name": fresh("late") });
        let made = second.admin().post("/api/v2.0/projects").json(&body).await;
        made.status == 201
    })
    .await;
}

#[tokio::test]
async fn changes_made_at_two_replicas_at_once_are_all_kept() {
    let replicas = Replicas::start().await;
    let (first, second) = (replicas.first.admin(), replicas.second.admin());
    for round in 1..=10 {
        let (one, other) = tokio::join!(
            change(&first, json!({ "token_expiration": round })),
            change(&second, json!({ "session_timeout": round })),
        );
        one.expect(200);
        other.expect(200);
        for admin in [&first, &second] {
            soon("both changes", async || {
                value(admin, "token_expiration").await == round
                    && value(admin, "session_timeout").await == round
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_request_changes_all_of_its_settings_or_none() {
    let server = Server::start().await;
    let admin = server.admin();
    let before = admin.get(SETTINGS).await.expect(200).json();
    for (wrong, status, said) in [
        (
            json!({ "tokn_expiration": 60 }),
            400,
            "did you mean token_expiration?",
        ),
        (
            json!({ "token_expiration": 0 }),
            400,
            "token_expiration: must be from 1 to",
        ),
        (
            json!({ "token_expiration": "60" }),
            422,
            "token_expiration: must be a whole number",
        ),
        (
            json!({ "read_only": "true" }),
            422,
            "read_only: must be true or false",
        ),
        (
            json!({ "storage_per_project": 0 }),
            400,
            "storage_per_project: must be",
        ),
        (
            json!({ "project_creation_restriction": "some" }),
            400,
            "everyone or adminonly",
        ),
        (
            json!({ "skip_audit_log_database": true }),
            400,
            "skip_audit_log_database: cannot",
        ),
        (
            json!({ "auth_mode": "http_auth" }),
            400,
            "auth_mode: Gantry has no http_auth",
        ),
        (
            json!({ "http_authproxy_endpoint": "https://x" }),
            400,
            "http_auth",
        ),
        (json!({ "uaa_endpoint": "https://x" }), 400, "uaa_auth"),
        (
            json!({ "banner_message": "hi" }),
            400,
            "banner_message: must be",
        ),
        (
            json!({ "disabled_audit_log_event_types": "pull" }),
            400,
            "pull is no type",
        ),
        (
            json!({ "ldap_group_search_filter": "(x=y)" }),
            400,
            "ldap_group_attribute_name",
        ),
    ] {
        let mut changes = json!({ "session_timeout": 5, "zz_last": null, "ldap_uid": "uid" });
        for (name, value) in wrong.as_object().expect("an object") {
            changes[name] = value.clone();
        }
        let refused = change(&admin, changes).await.expect(status);
        assert!(refused.message().contains(said), "no {said} in {refused}");
    }
    let after = admin.get(SETTINGS).await.expect(200).json();
    assert_eq!(before, after);
    assert_eq!(recorded(&server).await, Vec::<String>::new());

    // What is as it was is no change; what cannot be changed may be sent back as it is.
    let same = json!({
        "auth_mode": "db_auth", "http_authproxy_verify_cert": true, "session_timeout": 60,
        "skip_audit_log_database": false,
    });
    change(&admin, same).await.expect(200);
    change(&admin, json!({})).await.expect(200);
    assert_eq!(recorded(&server).await, Vec::<String>::new());

    let changes = json!({ "session_timeout": 5, "ldap_uid": "uid", "read_only": false });
    change(&admin, changes).await.expect(200);
    assert_eq!(recorded(&server).await, ["ldap_uid, session_timeout"]);
    server.stop().await;
    server.restart().await;
    assert_eq!(value(&admin, "session_timeout").await, 5);
}

#[tokio::test]
async fn a_secret_is_stored_encrypted_and_never_shown() {
    let replicas = Replicas::start().await;
    let server = &replicas.first;
    let admin = server.admin();
    let secret = "hunter2-of-the-directory";
    let changes = json!({
        "ldap_search_password": secret, "oidc_client_secret": secret, "ldap_url": "ldap://localhost",
    });
    change(&admin, changes).await.expect(200);
    let all = admin.get(SETTINGS).await.expect(200);
    assert!(all.text().contains("ldap://localhost"), "{all}");
    for name in ["ldap_search_password", "oidc_client_secret"] {
        assert!(!all.text().contains(name), "{all}");
        let shown = prints(server, &["config", "get", name]).await;
        assert_eq!(shown.trim(), "***");
    }
    let stored = "select string_agg(name || '=' || value, ' ') from setting";
    let stored = replicas.sql(stored).await;
    assert!(stored.contains("ldap_search_password="), "{stored}");
    let said = recorded(server).await;
    assert_eq!(said, ["ldap_search_password, ldap_url, oidc_client_secret"]);
    for text in [&all.text(), &stored, &server.log(), &said.join(" ")] {
        assert!(!text.contains(secret), "{text}");
        // In hex neither.
        assert!(!text.contains(&hex::encode(secret)), "{text}");
    }
    // The same again is no change, and an empty one is one.
    change(&admin, json!({ "oidc_client_secret": secret }))
        .await
        .expect(200);
    change(&admin, json!({ "oidc_client_secret": "" }))
        .await
        .expect(200);
    assert_eq!(recorded(server).await[1..], ["oidc_client_secret"]);
    // Both replicas can open what is stored.
    server.stop().await;
    server.restart().await;
    replicas.second.still_serves().await;
}

#[tokio::test]
async fn while_it_is_read_only_nothing_is_written_but_settings() {
    let server = Server::start().await;
    let admin = server.admin();
    let project = server.private_project().await;
    let repository = project.repository("app");
    let pushed = image("before");
    admin.push_image(&repository, "latest", &pushed).await;
    let upload = admin.start_upload(&repository).await.location();
    change(&admin, json!({ "read_only": true }))
        .await
        .expect(200);

    let manifest = format!("/v2/{repository}/manifests/{}", pushed.digest);
    let blob = format!("/v2/{repository}/blobs/{}", pushed.digest);
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    for refused in [
        admin.post(&uploads).await,
        admin.patch(&upload).body("bytes").await,
        admin.delete(&upload).await,
        admin.put(&manifest).body(pushed.manifest.clone()).await,
        admin.delete(&manifest).await,
        admin.delete(&blob).await,
        admin
            .delete(&format!("/api/v2.0/projects/{}", project.name))
            .await,
        admin.post("/api/v2.0/users").json(&json!({})).await,
        admin
            .put("/api/v2.0/quotas/1")
            .json(&json!({ "hard": { "storage": 5 } }))
            .await,
        server.anonymous().post("/api/v2.0/projects").await,
    ] {
        let refused = refused.expect_error(403, "DENIED");
        let said = "The system is in read only mode. Any modification is prohibited.";
        assert_eq!(refused.message(), said);
    }
    admin.get(&manifest).await.expect(200);
    admin.head(&manifest).await.expect(200);
    admin.get(&upload).await.expect(204);
    admin.get(LOGIN).await.expect(200);
    let form = "grant_type=password&service=harbor-registry&client_id=it&username=admin&password=";
    let form = format!("{form}{}", crate::harness::ADMIN_PASSWORD);
    let signed_in = server.anonymous().post("/service/token").form(&form).await;
    signed_in.expect(200);
    let info = admin.get("/api/v2.0/systeminfo").await.expect(200).json();
    assert_eq!(info["read_only"], true);

    change(&admin, json!({ "read_only": false }))
        .await
        .expect(200);
    admin.patch(&upload).body("bytes").await.expect(202);
}

#[tokio::test]
async fn new_projects_have_the_limit_that_is_set() {
    let server = Server::start().await;
    let (admin, user) = (server.admin(), fresh("owner"));
    server.create_user(&user).await;
    let owner = server.as_user(&user);
    let limit_of = async |name: &str| {
        let project = admin.get(&format!("/api/v2.0/projects/{name}")).await;
        let id = project.expect(200).json()["project_id"].clone();
        let quota = admin.get(&format!("/api/v2.0/quotas/{id}")).await;
        quota.expect(200).json()["hard"]["storage"].clone()
    };
    let create = async |client: &Client, limit: Value| {
        let name = fresh("limited");
        let body = json!({ "project_name": name, "storage_limit": limit });
        let made = client.post("/api/v2.0/projects").json(&body).await;
        made.expect(201);
        limit_of(&name).await
    };
    assert_eq!(limit_of("library").await, -1);
    change(&admin, json!({ "storage_per_project": 4096 }))
        .await
        .expect(200);
    assert_eq!(create(&owner, Value::Null).await, 4096);
    // Only administrators say otherwise.
    assert_eq!(create(&owner, json!(-1)).await, 4096);
    assert_eq!(create(&admin, json!(-1)).await, -1);
    assert_eq!(create(&admin, json!(0)).await, 4096);
    let name = fresh("by-command");
    server.cli_prints(&["project", "create", &name]).await;
    assert_eq!(limit_of(&name).await, 4096);
    assert_eq!(
        limit_of("library").await,
        -1,
        "projects that are there stay"
    );
    change(&admin, json!({ "quota_per_project_enable": false }))
        .await
        .expect(200);
    assert_eq!(create(&owner, Value::Null).await, -1);
}

#[tokio::test]
async fn what_the_environment_fixes_is_not_changed_by_rest() {
    let server = Server::with(&[
        ("GANTRY_SETTINGS__TOKEN_EXPIRATION", "5"),
        ("GANTRY_SETTINGS__STORAGE_PER_PROJECT", "8192"),
        ("GANTRY_SETTINGS__LDAP_SEARCH_PASSWORD", "Fixed-Passw0rd"),
    ])
    .await;
    let admin = server.admin();
    let token = admin.get(LOGIN).await.expect(200).json();
    assert_eq!(token["expires_in"], 300);
    let all = admin.get(SETTINGS).await.expect(200).json();
    assert_eq!(
        all["token_expiration"],
        json!({ "value": 5, "editable": false })
    );
    assert_eq!(
        all["session_timeout"],
        json!({ "value": 60, "editable": true })
    );
    let changes = json!({ "session_timeout": 9, "token_expiration": 6 });
    let refused = change(&admin, changes).await.expect_error(403, "FORBIDDEN");
    for part in [
        "token_expiration",
        "[settings]",
        "GANTRY_SETTINGS__TOKEN_EXPIRATION",
    ] {
        assert!(refused.message().contains(part), "no {part} in {refused}");
    }
    assert_eq!(value(&admin, "session_timeout").await, 60);
    // Secrets too, though nobody reads them.
    let changes = json!({ "ldap_search_password": "Another-Passw0rd" });
    let refused = change(&admin, changes).await.expect_error(403, "FORBIDDEN");
    let variable = "GANTRY_SETTINGS__LDAP_SEARCH_PASSWORD";
    assert!(refused.message().contains(variable), "{refused}");
    assert!(!refused.text().contains("Passw0rd"), "{refused}");
    // As clients do that send everything back.
    let changes = json!({ "session_timeout": 9, "token_expiration": 5 });
    change(&admin, changes).await.expect(200);
    let listed = prints(&server, &["config", "list"]).await;
    assert!(
        listed.contains("token_expiration = 5  (fixed by"),
        "{listed}"
    );
    let refused = server
        .cli_as_server(&["config", "set", "token_expiration=6"])
        .await;
    assert!(said(&refused).contains("is fixed by"), "{}", said(&refused));
    // The first project came with it.
    let quota = admin.get("/api/v2.0/quotas/1").await.expect(200).json();
    assert_eq!(quota["hard"]["storage"], 8192);
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_wrong_setting_in_the_environment_stops_the_start() {
    for (key, value, part) in [
        (
            "GANTRY_SETTINGS__TOKEN_EXPIRATION",
            "0",
            "token_expiration: must be from 1",
        ),
        (
            "GANTRY_SETTINGS__TOKEN_EXPIRATION",
            "soon",
            "is not a number",
        ),
        (
            "GANTRY_SETTINGS__TOKEN_EXPIRATOIN",
            "5",
            "did you mean token_expiration?",
        ),
        (
            "GANTRY_SETTINGS__AUTH_MODE",
            "http_auth",
            "auth_mode: Gantry has no http_auth",
        ),
    ] {
        let output = Server::run(&["config", "check"], &[(key, value)]).await;
        assert!(!output.status.success());
        assert!(
            said(&output).contains(part),
            "no {part} in {}",
            said(&output)
        );
    }
    let secret = ("GANTRY_SETTINGS__LDAP_SEARCH_PASSWORD", "hunter2");
    let output = Server::run(&["config", "show"], &[secret]).await;
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("ldap_search_password = \"***\""), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn settings_are_changed_by_the_command_line() {
    let server = Server::start().await;
    let admin = server.admin();
    let printed = server
        .cli_prints(&[
            "config",
            "set",
            "token_expiration=6",
            "read_only=true",
            "--json",
        ])
        .await;
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let line = |name: &str, value: Value| json!({ "name": name, "value": value, "editable": true, "effect": "now" });
    assert_eq!(
        lines,
        [
            line("read_only", json!(true)),
            line("token_expiration", json!(6))
        ]
    );
    soon("what the command changed", async || {
        admin.get(LOGIN).await.expect(200).json()["expires_in"] == 360
    })
    .await;
    admin
        .post("/api/v2.0/projects")
        .json(&json!({}))
        .await
        .expect_error(403, "DENIED");
    server
        .cli_prints(&["config", "set", "read_only=false"])
        .await;
    let value = server.cli_prints(&["config", "get", "read_only"]).await;
    assert_eq!(value, "false\n");
    assert_eq!(
        recorded(&server).await,
        ["token_expiration, read_only", "read_only"]
    );

    for (change, part) in [
        ("token_expiraton=5", "did you mean token_expiration?"),
        ("token_expiration=no", "must be a whole number"),
        ("token_expiration", "is not NAME=VALUE"),
        ("oidc_client_secret=hunter2", "on standard input"),
    ] {
        let refused = server
            .cli(&["config", "set", "session_timeout=7", change])
            .await;
        assert!(!refused.status.success());
        assert!(
            said(&refused).contains(part),
            "no {part} in {}",
            said(&refused)
        );
    }
    assert_eq!(
        server
            .cli_prints(&["config", "get", "session_timeout"])
            .await,
        "60\n"
    );

    let mut command = server.command(&["config", "set", "oidc_client_secret=-"]);
    let given = std::thread::spawn(move || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().expect("it is piped");
        std::io::Write::write_all(&mut input, b"hunter2\n")?;
        drop(input);
        child.wait_with_output()
    });
    let output = given.join().expect("no panic").expect("it ran");
    assert!(output.status.success(), "{}", said(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(printed, "oidc_client_secret = ***\n");
}
