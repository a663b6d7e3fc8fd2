//! Workloads: tokens of a real issuer become registry tokens, and what is wrong with one is refused without a word of why.

mod issuer;
mod pod;
mod refused;
mod source;

use serde_json::{Value, json};

use self::issuer::{AUDIENCE, Issuer, Key, SUBJECT, changed, now};
use crate::harness::{Answer, Jwt, Replicas, Role, Server, eventually, fresh, image};

const TOKEN: &str = "/service/token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// What reaches an issuer on this machine.
const ALLOWED: [(&str, &str); 1] = [("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8")];

async fn server() -> Server {
    Server::with(&ALLOWED).await
}

fn rules(project: &str) -> String {
    format!("/api/ext/v1/projects/{project}/workload-rules")
}

/// Makes a rule: its path.
async fn make(server: &Server, project: &str, rule: &Value) -> String {
    let made = server.admin().post(&rules(project)).json(rule).await;
    made.expect(201).location()
}

/// Exchanges a token as RFC 8693 says.
async fn exchange(server: &Server, token: &str, scope: &str) -> Answer {
    let form = format!(
        "grant_type={EXCHANGE}&subject_token={token}&subject_token_type={JWT}&scope={scope}"
    );
    server.anonymous().post(TOKEN).form(&form).await
}

/// The registry token for a token that is let in.
async fn exchanged(server: &Server, token: &str, scope: &str) -> String {
    let answer = exchange(server, token, scope).await.expect(200);
    let token = answer.json()["access_token"].clone();
    token.as_str().expect("a token is text").to_owned()
}

fn push_scope(repository: &str) -> String {
    format!("repository:{repository}:pull,push")
}

/// What docker gets for a token as a password: the status, and the actions on a repository.
async fn docker_gets(server: &Server, token: &str, repository: &str) -> (u16, Value) {
    let scope = push_scope(repository);
    let docker = server.as_user_with("any-name", token);
    let path = format!("{TOKEN}?service=harbor-registry&scope={scope}");
    let answer = docker.get(&path).await;
    if answer.status != 200 {
        return (answer.status, Value::Null);
    }
    let token = answer.json()["token"].as_str().expect("a token").to_owned();
    let access = Jwt::parse(&token).claims["access"].clone();
    (200, access[0]["actions"].clone())
}

/// The last login of the audit log: who, and what else is known of it.
async fn last_login(server: &Server, result: bool) -> (String, String) {
    let query = format!("q=operation%3Dlogin%2Coperation_result%3D{result}&page_size=1");
    let path = format!("/api/v2.0/auditlog-exts?{query}");
    let admin = server.admin();
    eventually(5, "the login is in the audit log", async || {
        let logged = admin.get(&path).await.expect(200).json();
        let text = |field: &str| logged[0][field].as_str().unwrap_or_default().to_owned();
        let found = (text("username"), text("operation_description"));
        found.0.contains("https://localhost").then_some(found)
    })
    .await
}

#[tokio::test]
async fn a_ci_job_pushes_by_exchange_and_by_docker_password() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let project = server.private_project().await;
    make(&server, &project.name, &issuer.rule(json!({}))).await;
    let repository = project.repository("app");
    let token = issuer.token(json!({}));

    let answer = exchange(&server, &token, &push_scope(&repository))
        .await
        .expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(
        body["issued_token_type"],
        "urn:ietf:params:oauth:token-type:access_token"
    );
    assert_eq!(
        (&body["token_type"], &body["scope"]),
        (&json!("Bearer"), &json!(push_scope(&repository)))
    );
    let lifetime = body["expires_in"].as_i64().expect("a number");
    assert!(
        (1..=300).contains(&lifetime),
        "it never outlives the job's own: {lifetime}"
    );
    let bearer = server.with_bearer(body["access_token"].as_str().expect("a token"));
    bearer
        .push_image(&repository, "by-exchange", &image("exchange"))
        .await;
    let named = format!("{SUBJECT} ({})", issuer.url);
    assert_eq!(last_login(&server, true).await.0, named);

    let docker = server.as_user_with("gantry", &token);
    let docker = docker.with_token(&[&push_scope(&repository)]).await;
    docker
        .push_image(&repository, "by-docker", &image("docker"))
        .await;
    // The registry itself takes it too, as it takes any password.
    let direct = server.as_user_with("x", &token);
    direct
        .get(&format!("/v2/{repository}/manifests/by-docker"))
        .await
        .expect(200);
    // Names in the history are subject and issuer, whatever docker was given.
    let log = format!(
        "/api/v2.0/projects/{}/auditlog-exts?q=resource_type%3Dartifact",
        project.name
    );
    let pushed = server.admin().get(&log).await.expect(200).json();
    let pushed = pushed.as_array().expect("a list");
    assert!(
        pushed.len() >= 2 && pushed.iter().all(|entry| entry["username"] == *named),
        "{pushed:?}"
    );

    // A developer's rights, and no others.
    let other = server.private_project().await;
    for (repository, actions) in [
        (repository, json!(["pull", "push"])),
        (other.repository("app"), Value::Null),
    ] {
        let scope = format!("repository:{repository}:pull,push,delete");
        let granted = Jwt::parse(&exchanged(&server, &token, &scope).await).claims;
        assert_eq!(granted["access"][0]["actions"], actions);
    }
    // A registry token buys no other one, and no workload makes projects or robots.
    let again = bearer
        .get(&format!("{TOKEN}?service=harbor-registry"))
        .await;
    assert_eq!(again.status, 401, "{again}");
    let project = json!({ "project_name": fresh("by-workload") });
    direct
        .post("/api/v2.0/projects")
        .json(&project)
        .await
        .expect(403);
    let current = direct.get("/api/v2.0/projects").await.expect(200).json();
    assert!(!current.to_string().contains(&other.name), "{current}");
}

#[tokio::test]
async fn rsa_keys_and_given_keys_are_as_good() {
    let server = server().await;
    let issuer = Issuer::with(Key::rsa("rsa")).await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    make(&server, &project.name, &issuer.rule(json!({}))).await;
    let push = (200, json!(["pull", "push"]));
    assert_eq!(
        docker_gets(&server, &issuer.token(json!({})), &repository).await,
        push
    );

    // Of an issuer that nobody can ask.
    let given = server.private_project().await;
    let jwks = json!({ "keys": [issuer.key.jwk()] });
    let rule =
        issuer.rule(json!({ "issuer": "https://nowhere.example.test", "jwks": jwks, "ca": null }));
    make(&server, &given.name, &rule).await;
    let token = issuer.token(json!({ "iss": "https://nowhere.example.test" }));
    assert_eq!(
        docker_gets(&server, &token, &given.repository("app")).await,
        push
    );
    // One project's keys say nothing in another one.
    let other = issuer.rule(
        json!({ "name": "other", "issuer": "https://nowhere.example.test",
        "jwks": { "keys": [Key::ec("rsa").jwk()] }, "ca": null }),
    );
    make(&server, &project.name, &other).await;
    assert_eq!(
        docker_gets(&server, &token, &repository).await,
        (200, Value::Null)
    );
    assert_eq!(
        docker_gets(&server, &token, &given.repository("app")).await,
        push
    );
}

#[tokio::test]
async fn rules_of_several_projects_give_their_rights_together() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let (first, second) = (
        server.private_project().await,
        server.private_project().await,
    );
    let weak = issuer.rule(json!({ "name": "weak", "role": "guest" }));
    let short = issuer.rule(json!({ "name": "short", "role": "maintainer", "lifetime": 60, "claims": { "environment": "prod-*" } }));
    make(&server, &first.name, &weak).await;
    make(&server, &first.name, &short).await;
    make(&server, &second.name, &issuer.rule(json!({}))).await;
    let granted = async |token: &str| {
        let scopes: Vec<String> = [&first, &second]
            .map(|project| format!("repository:{}:pull,push,delete", project.repository("app")))
            .into();
        let answer = exchange(&server, token, &scopes.join("%20"))
            .await
            .expect(200)
            .json();
        let lifetime = answer["expires_in"].as_i64().expect("a number");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        let access = Jwt::parse(&token).claims["access"].clone();
        (
            access[0]["actions"].clone(),
            access[1]["actions"].clone(),
            lifetime,
        )
    };
    let (in_first, in_second, lifetime) = granted(&issuer.token(json!({}))).await;
    assert_eq!(
        (in_first, in_second),
        (json!(["pull"]), json!(["pull", "push"]))
    );
    assert!(lifetime > 60);
    let (in_first, _, lifetime) = granted(&issuer.token(json!({ "environment": "prod-1" }))).await;
    assert_eq!(
        (in_first, lifetime),
        (json!(["pull", "push", "delete"]), 60)
    );
}

#[tokio::test]
async fn a_rule_is_made_changed_and_deleted_with_effect_at_once() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let project = server.private_project().await;
    let admin = project.member(Role::ProjectAdmin).await;
    let list = rules(&project.name);
    let rule = issuer.rule(json!({ "claims": { "environment": "prod" }, "lifetime": 600 }));
    let made = admin.post(&list).json(&rule).await.expect(201).location();
    let again = admin
        .post(&list)
        .json(&rule)
        .await
        .expect_error(409, "CONFLICT");
    assert_eq!(again.message(), "workload rule main already exists");
    let shown = admin.get(&made).await.expect(200).json();
    for field in [
        "name", "issuer", "audience", "subject", "role", "ca", "claims", "lifetime",
    ] {
        assert_eq!(shown[field], rule[field], "{field}");
    }
    let listed = admin.get(&list).await.expect(200);
    assert_eq!(
        (listed.header("x-total-count"), listed.json()),
        ("1", json!([shown]))
    );

    let repository = project.repository("app");
    let token = issuer.token(json!({ "environment": "prod" }));
    let bearer = server.with_bearer(&exchanged(&server, &token, &push_scope(&repository)).await);
    bearer.push_image(&repository, "v1", &image("rule")).await;
    let manifest = format!("/v2/{repository}/manifests/v1");

    let guest = changed(rule.clone(), json!({ "role": "guest", "claims": {} }));
    admin.put(&made).json(&guest).await.expect(200);
    bearer.get(&manifest).await.expect(401);
    assert_eq!(
        docker_gets(&server, &token, &repository).await,
        (200, json!(["pull"]))
    );
    let bearer = server.with_bearer(&exchanged(&server, &token, &push_scope(&repository)).await);
    bearer.get(&manifest).await.expect(200);

    admin.delete(&made).await.expect(200);
    bearer.get(&manifest).await.expect(401);
    exchange(&server, &token, &push_scope(&repository))
        .await
        .expect(400);
    assert_eq!(docker_gets(&server, &token, &repository).await.0, 401);
    admin.get(&made).await.expect_error(404, "NOT_FOUND");
    admin.delete(&made).await.expect_error(404, "NOT_FOUND");

    let log = format!(
        "/api/v2.0/projects/{}/auditlog-exts?q=resource_type%3Dworkload-rule&sort=op_time",
        project.name
    );
    let events = server.admin().get(&log).await.expect(200).json();
    let told: Vec<(&Value, &Value)> = events
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| (&event["operation"], &event["resource"]))
        .collect();
    let main = json!("main");
    assert_eq!(
        told,
        [
            (&json!("create"), &main),
            (&json!("update"), &main),
            (&json!("delete"), &main)
        ]
    );
}

#[tokio::test]
async fn what_is_no_rule_is_refused_with_its_field() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let project = server.private_project().await;
    let list = rules(&project.name);
    for (changes, field) in [
        (json!({ "subject": "*" }), "subject: matches too much"),
        (json!({ "subject": "**" }), "subject: matches too much"),
        (
            json!({ "subject": "*:ref:refs/heads/main" }),
            "subject: matches too much",
        ),
        (json!({ "subject": "repo:*" }), "subject: matches too much"),
        (
            json!({ "subject": "repo:my-org*" }),
            "subject: matches too much",
        ),
        (
            json!({ "subject": "system:serviceaccount:*" }),
            "subject: matches too much",
        ),
        (
            json!({ "claims": { "environment": "*" } }),
            "claims.environment: matches too much",
        ),
        (json!({ "claims": { "aud": "x" } }), "claims.aud: "),
        (json!({ "subject": "" }), "subject: "),
        (json!({ "subject": null }), "subject: "),
        (json!({ "audience": null }), "audience: "),
        (json!({ "audience": "*" }), "audience: "),
        (json!({ "issuer": "http://ci.example.test" }), "issuer: "),
        (json!({ "role": "projectAdmin" }), "role: "),
        (json!({ "lifetime": 0 }), "lifetime: "),
        (json!({ "name": "" }), "name: "),
        (json!({ "ca": "no PEM" }), "ca: "),
        (json!({ "ca": null, "jwks": { "keys": [] } }), "jwks: "),
    ] {
        let rule = issuer.rule(changes.clone());
        let refused = server.admin().post(&list).json(&rule).await;
        let refused = refused.expect_error(400, "BAD_REQUEST");
        assert!(refused.message().starts_with(field), "{changes}: {refused}");
    }
}

#[tokio::test]
async fn a_project_of_the_same_name_is_another_one() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let admin = server.admin();
    let name = fresh("again");
    let create = json!({ "project_name": name });
    admin
        .post("/api/v2.0/projects")
        .json(&create)
        .await
        .expect(201);
    make(&server, &name, &issuer.rule(json!({}))).await;
    let repository = format!("{name}/app");
    let token = issuer.token(json!({}));
    let bearer = server.with_bearer(&exchanged(&server, &token, &push_scope(&repository)).await);
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    bearer.post(&uploads).await.expect(202);
    admin
        .delete(&format!("/api/v2.0/projects/{name}"))
        .await
        .expect(200);
    bearer.post(&uploads).await.expect(401);
    admin
        .post("/api/v2.0/projects")
        .json(&create)
        .await
        .expect(201);
    bearer.post(&uploads).await.expect(401);
    assert_eq!(docker_gets(&server, &token, &repository).await.0, 401);
    let listed = admin.get(&rules(&name)).await.expect(200);
    assert_eq!(listed.json(), json!([]));
}

#[tokio::test]
async fn a_token_is_tried_out_by_rest_and_on_the_command_line() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let project = server.private_project().await;
    let ca = server.scratch().join("issuer.pem");
    std::fs::write(&ca, &issuer.ca).expect("a file can be written");
    let arguments = [
        "workload",
        "add",
        &project.name,
        "prod",
        "--issuer",
        &issuer.url,
        "--audience",
        AUDIENCE,
        "--subject",
        "repo:my-org/*:ref:refs/heads/main",
        "--claim",
        "environment=prod",
        "--role",
        "maintainer",
        "--ca",
        ca.to_str().expect("a path is text"),
    ];
    let added = server.cli(&arguments).await;
    assert!(added.status.success(), "{added:?}");
    let wide = server
        .cli(&[
            "workload",
            "add",
            &project.name,
            "wide",
            "--issuer",
            &issuer.url,
            "--audience",
            AUDIENCE,
            "--subject",
            "*",
        ])
        .await;
    assert_eq!(wide.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&wide.stderr).contains("subject: matches too much"),
        "{wide:?}"
    );
    make(&server, &project.name, &issuer.rule(json!({}))).await;

    let test = format!("{}/test", rules(&project.name));
    let tried = async |token: &str| {
        let answer = server
            .admin()
            .post(&test)
            .json(&json!({ "token": token }))
            .await;
        answer.expect(200).json()
    };
    let told = tried(&issuer.token(json!({}))).await;
    assert_eq!(
        (&told["admitted"], &told["subject"], &told["issuer"]),
        (&json!(true), &json!(SUBJECT), &json!(issuer.url))
    );
    let prod = &told["rules"][0];
    assert_eq!(prod["matches"], false);
    assert_eq!(
        prod["problems"][0],
        "claim environment: the token has none, the rule wants \"prod\""
    );
    assert_eq!(
        (&told["rules"][1]["matches"], &told["rules"][1]["role"]),
        (&json!(true), &json!("developer"))
    );
    let forged = Key::ec("first").sign(&issuer.claims());
    let told = tried(&forged).await;
    assert_eq!(told["admitted"], false);
    let problem = told["rules"][1]["problems"][0]
        .as_str()
        .expect("a text")
        .to_owned();
    assert!(problem.starts_with("signature: "), "{problem}");
    let told = tried(&issuer.token(json!({ "exp": now() - 1 }))).await;
    assert!(
        told["problem"].as_str().expect("a text").contains("ended"),
        "{told}"
    );
    assert_eq!(tried("nonsense").await["admitted"], false);

    let file = server.scratch().join("token");
    for (token, code) in [(issuer.token(json!({})), 0), (forged, 1)] {
        std::fs::write(&file, token).expect("a file can be written");
        let file = file.to_str().expect("a path is text");
        let tested = server
            .cli_with(
                &["workload", "test", &project.name, "--token-file", file],
                &ALLOWED,
            )
            .await;
        assert_eq!(tested.status.code(), Some(code), "{tested:?}");
    }
    let listed = server
        .cli(&["workload", "list", &project.name, "--json"])
        .await;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let first: Value = serde_json::from_str(listed.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&first["name"], &first["claims"]["environment"]),
        (&json!("prod"), &json!("prod"))
    );
    let id = first["id"].to_string();
    let removed = server
        .cli(&["workload", "remove", &project.name, &id])
        .await;
    assert!(removed.status.success(), "{removed:?}");
    let plain = server.cli(&["workload", "list", &project.name]).await;
    assert_eq!(String::from_utf8_lossy(&plain.stdout).lines().count(), 1);
}

#[tokio::test]
async fn replicas_know_each_others_rules() {
    let replicas = Replicas::with(&ALLOWED).await;
    let (first, second) = (&replicas.first, &replicas.second);
    let issuer = Issuer::start().await;
    let project = first.private_project().await;
    let made = make(first, &project.name, &issuer.rule(json!({}))).await;
    let repository = project.repository("app");
    let token = issuer.token(json!({}));
    let registry = exchanged(second, &token, &push_scope(&repository)).await;
    let bearer = second.with_bearer(&registry);
    bearer
        .push_image(&repository, "v1", &image("replicas"))
        .await;
    first
        .with_bearer(&registry)
        .get(&format!("/v2/{repository}/manifests/v1"))
        .await
        .expect(200);
    first.admin().delete(&made).await.expect(200);
    // Pushing is refused at once, pulling within two seconds.
    bearer
        .post(&format!("/v2/{repository}/blobs/uploads/"))
        .await
        .expect(401);
    exchange(second, &token, &push_scope(&repository))
        .await
        .expect(400);
    eventually(3, "the other replica knows", async || {
        let pulled = bearer.get(&format!("/v2/{repository}/manifests/v1")).await;
        (pulled.status == 401).then_some(())
    })
    .await;
}
