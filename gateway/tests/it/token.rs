//! The token service: what docker and others ask it, what it grants, and what its tokens open.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::{Client, Jwt, Role, Server, Shared, eventually, image};

static SERVER: Shared = Shared::new(&[]);

/// The path at which the keys are published.
const KEYS: &str = "/service/jwks";

/// The `access` claim of a token for these scopes.
async fn granted(caller: &Client, scopes: &[&str]) -> Value {
    Jwt::parse(&caller.token(scopes).await).claims["access"].clone()
}

fn grant(repository: &str, actions: &[&str]) -> Value {
    json!({ "type": "repository", "name": repository, "actions": actions })
}

/// The answer with the header and value of Basic credentials that may be nonsense.
async fn with_authorization(server: &Server, value: &str) -> crate::harness::Answer {
    server
        .anonymous()
        .get("/service/token?service=harbor-registry")
        .header("authorization", value)
        .await
}

#[tokio::test]
async fn docker_login_gets_a_token() {
    let server = SERVER.get().await;
    let person = server.stranger().await;
    let query = format!(
        "account={}&client_id=docker&offline_token=true&service=harbor-registry",
        person.name()
    );
    let answer = person
        .get(&format!("/service/token?{query}"))
        .await
        .expect(200);
    let body = answer.json();
    assert_eq!(body["expires_in"], 1800);
    assert_eq!(
        body["token"], body["access_token"],
        "some clients read the one, some the other"
    );
    assert_eq!(body.get("refresh_token"), None, "docker would store it");
    let issued = body["issued_at"].as_str().expect("issued_at is text");
    assert!(
        issued.len() >= 20 && issued.ends_with('Z') && issued.contains('T'),
        "RFC 3339 in UTC: {issued}"
    );
    let jwt = Jwt::parse(body["token"].as_str().expect("a token is text"));
    assert_eq!(
        (&jwt.header["alg"], &jwt.header["typ"]),
        (&json!("ES256"), &json!("JWT"))
    );
    assert_eq!(jwt.claims["sub"], person.name());
    assert_eq!(jwt.claims["aud"], "harbor-registry");
    let time = |claim: &str| {
        jwt.claims[claim]
            .as_i64()
            .unwrap_or_else(|| panic!("no {claim}: {:?}", jwt.claims))
    };
    assert_eq!(time("exp") - time("iat"), 1800);
    let bearer = server.with_bearer(body["token"].as_str().expect("a token is text"));
    bearer.get("/v2/").await.expect(200);
}

#[tokio::test]
async fn the_challenge_leads_to_a_token_that_works() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let developer = project.member(Role::Developer).await;
    let repository = project.repository("challenge");
    let refused = server
        .anonymous()
        .post(&format!("/v2/{repository}/blobs/uploads/"))
        .await
        .expect(401);
    let challenge = refused.header("www-authenticate").to_owned();
    let value = |key: &str| {
        let (_, rest) = challenge
            .split_once(&format!("{key}=\""))
            .expect("the challenge has the key");
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let realm = value("realm");
    let path = realm
        .strip_prefix(&format!("https://{}", server.host()))
        .expect("the realm is the registry itself");
    let query = format!(
        "{path}?service={}&scope={}",
        value("service"),
        value("scope")
    );
    let token = developer.get(&query).await.expect(200).json()["token"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    server
        .with_bearer(&token)
        .post(&format!("/v2/{repository}/blobs/uploads/"))
        .await
        .expect(202);
}

#[tokio::test]
async fn a_token_grants_what_was_asked_and_is_held() {
    let server = SERVER.get().await;
    let (project, public) = (
        server.private_project().await,
        server.public_project().await,
    );
    let (repository, open) = (project.repository("app"), public.repository("app"));
    let all = format!("repository:{repository}:pull,push,delete");
    let cases: [(Client, &[&str]); 5] = [
        (project.member(Role::LimitedGuest).await, &["pull"]),
        (project.member(Role::Guest).await, &["pull"]),
        (project.member(Role::Developer).await, &["pull", "push"]),
        (
            project.member(Role::Maintainer).await,
            &["pull", "push", "delete"],
        ),
        (server.admin(), &["pull", "push", "delete"]),
    ];
    for (caller, held) in &cases {
        assert_eq!(
            granted(caller, &[&all]).await,
            json!([grant(&repository, held)]),
            "{}",
            caller.name()
        );
        let only_pull = format!("repository:{repository}:pull");
        assert_eq!(
            granted(caller, &[&only_pull]).await,
            json!([grant(&repository, &["pull"])])
        );
    }
    for caller in [server.anonymous(), server.stranger().await] {
        assert_eq!(
            granted(&caller, &[&all]).await,
            json!([]),
            "what is not held is left out"
        );
        let open_all = format!("repository:{open}:pull,push");
        assert_eq!(
            granted(&caller, &[&open_all]).await,
            json!([grant(&open, &["pull"])])
        );
    }
}

#[tokio::test]
async fn the_order_of_actions_does_not_depend_on_the_question() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("order");
    let admin = server.admin();
    for actions in [
        "pull,push,delete",
        "delete,push,pull",
        "push,delete,pull",
        "push,push,delete,pull,pull",
    ] {
        let scope = format!("repository:{repository}:{actions}");
        assert_eq!(
            granted(&admin, &[&scope]).await,
            json!([grant(&repository, &["pull", "push", "delete"])])
        );
    }
}

#[tokio::test]
async fn several_scopes_in_either_form() {
    let server = SERVER.get().await;
    let (one, two) = (
        server.private_project().await,
        server.private_project().await,
    );
    let developer = one.member(Role::Developer).await;
    two.add(developer.name(), Role::Guest).await;
    let (first, second) = (one.repository("a"), two.repository("b"));
    let expected = json!([grant(&first, &["pull", "push"]), grant(&second, &["pull"])]);
    let scopes = [
        format!("repository:{first}:pull,push"),
        format!("repository:{second}:pull,push"),
    ];
    assert_eq!(
        granted(&developer, &[&scopes[0], &scopes[1]]).await,
        expected,
        "repeated"
    );
    assert_eq!(
        granted(&developer, &[&scopes.join("%20")]).await,
        expected,
        "separated by a space"
    );
    assert_eq!(
        granted(&developer, &[&scopes.join("+")]).await,
        expected,
        "separated by a plus"
    );
}

#[tokio::test]
async fn scopes_that_mean_nothing_grant_nothing() {
    let server = SERVER.get().await;
    let admin = server.admin();
    for scope in [
        "repository:nowhere/app:pull",
        "repository:app:pull",
        "thing:library/app:pull",
    ] {
        assert_eq!(granted(&admin, &[scope]).await, json!([]), "{scope}");
    }
}

#[tokio::test]
async fn a_malformed_scope_takes_none_of_the_others_along() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("app");
    let sound = format!("repository:{repository}:pull");
    let expected = json!([grant(&repository, &["pull"])]);
    for malformed in ["nonsense", "repository:app", "repository:a:PULL"] {
        let granted = granted(&server.admin(), &[malformed, &sound]).await;
        assert_eq!(granted, expected, "{malformed}");
    }
}

#[tokio::test]
async fn the_catalog_is_a_scope_of_its_own() {
    let server = SERVER.get().await;
    let catalog =
        |actions: &[&str]| json!([{ "type": "registry", "name": "catalog", "actions": actions }]);
    assert_eq!(
        granted(&server.admin(), &["registry:catalog:*"]).await,
        catalog(&["*"])
    );
    let stranger = server.stranger().await;
    let token = stranger.with_token(&["registry:catalog:*"]).await;
    let answer = token.get("/v2/_catalog").await;
    assert!([200, 401].contains(&answer.status), "{answer}");
    server
        .admin()
        .with_token(&["registry:catalog:*"])
        .await
        .get("/v2/_catalog")
        .await
        .expect(200);
}

/// Scopes on this many repositories of a project, with names as long as they get.
fn long_scopes(project: &str, count: usize) -> Vec<String> {
    let fill = 255 - project.len() - "/0000".len();
    (0..count)
        .map(|number| {
            let name = format!("{project}/{number:04}{}", "a".repeat(fill));
            format!("repository:{name}:pull,push,delete")
        })
        .collect()
}

#[tokio::test]
async fn of_too_many_scopes_those_that_fit_are_granted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    for (count, least) in [(64, 20), (200, 20)] {
        let scopes = long_scopes(&project.name, count);
        let query: String = scopes
            .iter()
            .map(|scope| format!("&scope={scope}"))
            .collect();
        let joined = scopes.join("%20");
        let form = format!(
            "grant_type=password&username=admin&password={}&service=harbor-registry&scope={joined}",
            crate::harness::ADMIN_PASSWORD
        );
        let path = "/service/token?service=harbor-registry";
        let posted = admin.post("/service/token").form(&form).await.expect(200);
        let mut answers = vec![posted];
        // A longer one does not fit into a request's header.
        if count == 64 {
            let one = format!("{path}&scope={joined}");
            answers.push(admin.get(&one).await.expect(200));
            answers.push(admin.get(&format!("{path}{query}")).await.expect(200));
        }
        for (number, answer) in answers.into_iter().enumerate() {
            let body = answer.json();
            let token = body["token"].as_str().expect("a token is text");
            assert!(token.len() <= 12 << 10, "{} bytes", token.len());
            let access = Jwt::parse(token).claims["access"].clone();
            let granted = access.as_array().expect("access is a list");
            assert!(granted.len() >= least, "{}", granted.len());
            // The first ones, in order. As in Harbor, GET does not say it.
            let named = (number == 0).then(|| scopes[..granted.len()].join(" "));
            assert_eq!(body["scope"], json!(named));
            let (_, rest) = scopes[0].split_once(':').expect("a scope has a type");
            let (name, _) = rest.rsplit_once(':').expect("a scope has actions");
            server
                .with_bearer(token)
                .post(&format!("/v2/{name}/blobs/uploads/"))
                .await
                .expect(202);
        }
    }
}

#[tokio::test]
async fn more_scopes_than_are_looked_at_are_no_error() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("app");
    let scopes = vec!["repository:nowhere/app:pull"; 127].join("+");
    let path = format!("/service/token?service=harbor-registry&scope={scopes}");
    let admin = server.admin();
    for (more, expected) in [
        (
            format!("+repository:{repository}:pull"),
            json!([grant(&repository, &["pull"])]),
        ),
        (
            format!("+repository:x/y:pull+repository:{repository}:pull"),
            json!([]),
        ),
    ] {
        let body = admin.get(&format!("{path}{more}")).await.expect(200).json();
        let token = body["token"].as_str().expect("a token is text");
        assert_eq!(Jwt::parse(token).claims["access"], expected);
    }
    let long = format!("repository:{}:pull", "a".repeat(20_000));
    assert_eq!(granted(&admin, &[&long]).await, json!([]));
}

#[tokio::test]
async fn the_answer_names_the_granted_scope() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let guest = project.member(Role::Guest).await;
    let repository = project.repository("scope");
    let form = format!(
        "grant_type=password&username={}&password={}&client_id=c&service=harbor-registry\
         &scope=repository:{repository}:pull,push&scope=repository:nowhere/app:pull",
        guest.name(),
        crate::harness::PASSWORD
    );
    let posted = guest.post("/service/token").form(&form).await.expect(200);
    assert_eq!(
        posted.json()["scope"],
        format!("repository:{repository}:pull")
    );
    let path = "/service/token?service=harbor-registry";
    let nothing = guest.get(path).await.expect(200);
    assert_eq!(nothing.json().get("scope"), None);
}

#[tokio::test]
async fn an_empty_pair_of_name_and_password_is_nobody() {
    let server = Server::start().await;
    let project = server.public_project().await;
    let repository = project.repository("open");
    let pushed = image("open to an empty pair");
    server.admin().push_image(&repository, "v1", &pushed).await;
    let manifest = format!("/v2/{repository}/manifests/v1");
    let anonymous = server.anonymous();
    let empty = |path: &str| anonymous.get(path).header("authorization", "Basic Og==");
    // More often than wrong passwords are forgiven.
    for _ in 0..40 {
        empty(&manifest).await.expect(200);
    }
    let scoped =
        format!("/service/token?service=harbor-registry&scope=repository:{repository}:pull");
    empty(&scoped).await.expect(200);
    let form = "grant_type=password&username=&password=&service=harbor-registry";
    for _ in 0..40 {
        let posted = anonymous.post("/service/token").form(form);
        posted.await.expect_error(401, "UNAUTHORIZED");
    }
    let form = format!("{form}&scope=repository:{repository}:pull");
    anonymous
        .post("/service/token")
        .form(&form)
        .await
        .expect(200);
    with_authorization(&server, "Basic Og==")
        .await
        .expect_error(401, "UNAUTHORIZED");
    empty("/v2/").await.expect_error(401, "UNAUTHORIZED");
    empty("/api/v2.0/users/current")
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn nobody_without_a_question_gets_no_token() {
    let server = SERVER.get().await;
    server
        .anonymous()
        .get("/service/token?service=harbor-registry")
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn another_service_is_refused() {
    let server = SERVER.get().await;
    for query in ["?service=zzz", "?service=", ""] {
        server
            .admin()
            .get(&format!("/service/token{query}"))
            .await
            .expect(400);
    }
}

#[tokio::test]
async fn a_wrong_password_is_401_and_not_an_anonymous_token() {
    let server = SERVER.get().await;
    let person = server.stranger().await;
    let public = server.public_project().await;
    let scope = format!("&scope=repository:{}:pull", public.repository("app"));
    for (at, name, password) in [
        (101, person.name(), "wrong"),
        (102, "nobody-at-all", "wrong"),
        (103, person.name(), ""),
    ] {
        let wrong = server.as_user_with(name, password).at(at);
        for scope in ["", scope.as_str()] {
            let path = format!("/service/token?service=harbor-registry{scope}");
            wrong.get(&path).await.expect_error(401, "UNAUTHORIZED");
        }
        wrong.get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn a_name_that_no_database_holds_is_one_more_wrong_name() {
    let server = Server::start().await;
    let guess = server.as_user_with("a\0b", "wrong").at(111);
    for path in [
        "/v2/",
        "/service/token?service=harbor-registry",
        "/api/v2.0/users/current",
    ] {
        guess.get(path).await.expect_error(401, "UNAUTHORIZED");
    }
    let form = "grant_type=password&service=harbor-registry&username=a%00b&password=wrong";
    let ask = async || {
        let client = server.anonymous().at(111);
        client.post("/service/token").form(form).await
    };
    ask().await.expect_error(401, "UNAUTHORIZED");
    ask().await.expect(401);
    ask().await.expect(429);
    eventually(10, "the guesses are recorded", async || {
        let entries = server.cli_prints(&["audit", "export"]).await;
        entries.contains("a\u{fffd}b").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_unknown_user_looks_like_a_wrong_password() {
    let server = SERVER.get().await;
    let person = server.stranger().await;
    let path = "/service/token?service=harbor-registry";
    let known = server
        .as_user_with(person.name(), "wrong")
        .at(12)
        .get(path)
        .await
        .expect(401);
    let unknown = server
        .as_user_with("user-nobody", "wrong")
        .at(12)
        .get(path)
        .await
        .expect(401);
    assert_eq!(known.text(), unknown.text());
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_401() {
    let server = SERVER.get().await;
    let no_colon = format!("Basic {}", BASE64_STANDARD.encode("no-colon"));
    for value in [
        "Basic !!!",
        "Basic",
        "Basic ",
        &no_colon,
        "Digest abc",
        "Bearer abc",
    ] {
        with_authorization(&server, value)
            .await
            .expect_error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn the_password_grant_works_like_docker_login() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let developer = project.member(Role::Developer).await;
    let repository = project.repository("grant");
    let form = format!(
        "grant_type=password&username={}&password={}&client_id=containerd&service=harbor-registry&scope=repository:{repository}:pull,push",
        developer.name(),
        crate::harness::PASSWORD
    );
    let body = server
        .anonymous()
        .post("/service/token")
        .form(&form)
        .await
        .expect(200)
        .json();
    assert_eq!(body.get("refresh_token"), None, "docker would store it");
    assert_eq!(body["expires_in"], 1800);
    let token = body["access_token"].as_str().expect("a token is text");
    assert_eq!(
        Jwt::parse(token).claims["access"],
        json!([grant(&repository, &["pull", "push"])])
    );
    server
        .with_bearer(token)
        .post(&format!("/v2/{repository}/blobs/uploads/"))
        .await
        .expect(202);
}

#[tokio::test]
async fn a_grant_that_is_none_is_refused() {
    let server = SERVER.get().await;
    let person = server.stranger().await;
    let anonymous = server.anonymous().at(13);
    let wrong = format!(
        "grant_type=password&username={}&password=wrong&service=harbor-registry",
        person.name()
    );
    anonymous
        .post("/service/token")
        .form(&wrong)
        .await
        .expect_error(401, "UNAUTHORIZED");
    for form in [
        "grant_type=refresh_token&refresh_token=abc&service=harbor-registry",
        "grant_type=client_credentials&service=harbor-registry",
        "service=harbor-registry",
        "grant_type=password&username=x&password=y&service=zzz",
        "",
    ] {
        let answer = anonymous.post("/service/token").form(form).await;
        assert!([400, 401].contains(&answer.status), "{form}: {answer}");
    }
}

#[tokio::test]
async fn tokens_can_be_checked_with_the_published_keys() {
    let server = SERVER.get().await;
    let keys = server.anonymous().get(KEYS).await.expect(200).json();
    let token = server.admin().token(&[]).await;
    let header = Jwt::parse(&token).header;
    let keys = keys["keys"].as_array().expect("keys are a list");
    let key = keys
        .iter()
        .find(|key| key["kid"] == header["kid"])
        .expect("the key of the token is published");
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"))
    );
    assert_eq!(key.get("d"), None, "the private part stays private");
    let part = |name: &str| {
        BASE64_URL_SAFE_NO_PAD
            .decode(key[name].as_str().expect("a coordinate is text"))
            .expect("it is base64url")
    };
    let point = [vec![4], part("x"), part("y")].concat();
    let (signed, signature) = token.rsplit_once('.').expect("a token has three parts");
    let signature = BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .expect("a signature is base64url");
    let checked = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(signed.as_bytes(), &signature);
    assert!(checked.is_ok(), "the signature is not of the published key");
}

#[tokio::test]
async fn a_token_opens_what_it_names_and_nothing_else() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (one, two) = (project.repository("one"), project.repository("two"));
    let admin = server.admin();
    for repository in [&one, &two] {
        admin
            .push_image(repository, "latest", &image(repository))
            .await;
    }
    let maintainer = project.member(Role::Maintainer).await;
    let pull = maintainer
        .with_token(&[&format!("repository:{one}:pull")])
        .await;
    pull.get(&format!("/v2/{one}/manifests/latest"))
        .await
        .expect(200);
    let elsewhere = pull
        .get(&format!("/v2/{two}/manifests/latest"))
        .await
        .expect_error(401, "UNAUTHORIZED");
    assert!(
        elsewhere
            .header("www-authenticate")
            .contains("error=\"insufficient_scope\""),
        "{elsewhere}"
    );
    pull.post(&format!("/v2/{one}/blobs/uploads/"))
        .await
        .expect_error(401, "UNAUTHORIZED");
    pull.delete(&format!("/v2/{one}/manifests/latest"))
        .await
        .expect_error(401, "UNAUTHORIZED");
    let push = maintainer
        .with_token(&[&format!("repository:{one}:pull,push")])
        .await;
    push.post(&format!("/v2/{one}/blobs/uploads/"))
        .await
        .expect(202);
    push.delete(&format!("/v2/{one}/manifests/latest"))
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_registry_token_is_nothing_to_rest() {
    let server = SERVER.get().await;
    let admin = server.admin().with_token(&["registry:catalog:*"]).await;
    admin
        .get("/api/v2.0/users")
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn anonymous_needs_a_token_for_nothing_but_may_have_one() {
    let server = SERVER.get().await;
    let project = server.public_project().await;
    let repository = project.repository("open");
    server
        .admin()
        .push_image(&repository, "latest", &image("open"))
        .await;
    let manifest = format!("/v2/{repository}/manifests/latest");
    server.anonymous().get(&manifest).await.expect(200);
    let holder = server
        .anonymous()
        .with_token(&[&format!("repository:{repository}:pull")])
        .await;
    holder.get(&manifest).await.expect(200);
    holder.get("/v2/").await.expect(401);
}

#[tokio::test]
async fn guessing_a_password_is_slowed_down_for_the_guesser_only() {
    let server = Server::start().await;
    let person = server.stranger().await;
    let login = "/service/token?service=harbor-registry";
    let guesser = server.as_user_with(person.name(), "Guess").at(66);
    let mut statuses = Vec::new();
    let refused = loop {
        let answer = guesser.get(login).await;
        statuses.push(answer.status);
        if answer.status == 429 {
            break answer;
        }
        assert!(
            statuses.len() < 200,
            "200 guesses, and none is refused: {statuses:?}"
        );
    };
    let wait: u64 = refused
        .header("retry-after")
        .parse()
        .expect("Retry-After is a number of seconds");
    assert!(wait >= 1, "{refused}");
    assert_eq!(refused.code(), "TOOMANYREQUESTS");
    let right = server.as_user(person.name());
    right.at(66).get(login).await.expect(429);
    right.at(67).get(login).await.expect(200);
    server.admin().get(login).await.expect(200);
}

#[tokio::test]
async fn a_flood_of_guesses_is_bounded_and_leaves_known_callers_alone() {
    let server = Server::start().await;
    let person = server.stranger().await;
    let login = "/service/token?service=harbor-registry";
    person.at(70).get(login).await.expect(200);
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..120_u8 {
        // Names that differ: none waits for the one before. The addresses do count together.
        let guesser = server.as_user_with(&format!("guess-{number}"), "Guess");
        let guesser = guesser.at(71 + number % 2);
        flood.spawn(async move {
            let answer = guesser.get(login).attempt().await.ok()?;
            if answer.status == 503 || answer.status == 429 {
                let wait = answer.header("retry-after").parse::<u64>();
                assert!(wait.is_ok_and(|seconds| seconds >= 1), "{answer}");
                assert_eq!(answer.code(), "TOOMANYREQUESTS");
            }
            Some(answer.status)
        });
    }
    person.at(70).get(login).await.expect(200);
    let statuses: Vec<u16> = flood.join_all().await.into_iter().flatten().collect();
    let count = |status| statuses.iter().filter(|other| **other == status).count();
    assert_eq!(
        count(401) + count(429) + count(503),
        statuses.len(),
        "nothing else: {statuses:?}"
    );
    // Thirty of each address are looked at, and what began beside the last of them.
    assert!(count(401) <= 2 * 40, "{} were looked at", count(401));
    assert!(count(429) > 0, "none was refused: {statuses:?}");
    person.at(70).get(login).await.expect(200);
}

#[tokio::test]
async fn parallel_logins_with_the_right_password_all_succeed() {
    let server = Server::start().await;
    let person = server.stranger().await;
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let person = person.clone();
        logins.spawn(async move {
            let login = "/service/token?service=harbor-registry";
            person.get(login).await.status
        });
    }
    assert_eq!(logins.join_all().await, [200; 100]);
}
