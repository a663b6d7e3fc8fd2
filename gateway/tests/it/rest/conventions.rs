//! What holds for every resource: errors, headers, paging, and the few things that need no sign-in.

use serde_json::json;

use super::SERVER;
use crate::harness::fresh;

#[tokio::test]
async fn ping_pongs() {
    let server = SERVER.get().await;
    let answer = server.anonymous().get("/api/v2.0/ping").await.expect(200);
    assert_eq!(answer.text().trim(), "Pong");
    assert!(
        answer.header("content-type").starts_with("text/plain"),
        "{answer}"
    );
}

#[tokio::test]
async fn health_names_its_components() {
    let server = SERVER.get().await;
    let health = server
        .anonymous()
        .get("/api/v2.0/health")
        .await
        .expect(200)
        .json();
    assert_eq!(health["status"], "healthy");
    let components = health["components"]
        .as_array()
        .expect("components are a list");
    assert!(!components.is_empty());
    let mut names: Vec<&str> = components
        .iter()
        .filter_map(|component| component["name"].as_str())
        .collect();
    assert!(
        components
            .iter()
            .all(|component| component["status"] == "healthy"),
        "{health}"
    );
    let sent = names.clone();
    names.sort_unstable();
    assert_eq!(sent, names, "sorted by name");
    for name in ["core", "database", "registry"] {
        assert!(names.contains(&name), "scripts look for {name}: {health}");
    }
}

#[tokio::test]
async fn systeminfo_tells_more_to_those_who_sign_in() {
    let server = SERVER.get().await;
    let anonymous = server
        .anonymous()
        .get("/api/v2.0/systeminfo")
        .await
        .expect(200)
        .json();
    let expected = json!({ "auth_mode": "db_auth", "banner_message": "", "oidc_provider_name": "",
        "primary_auth_mode": false, "self_registration": false });
    assert_eq!(anonymous, expected);
    let signed_in = server
        .stranger()
        .await
        .get("/api/v2.0/systeminfo")
        .await
        .expect(200)
        .json();
    for key in [
        "harbor_version",
        "external_url",
        "registry_url",
        "project_creation_restriction",
        "read_only",
    ] {
        assert!(signed_in.get(key).is_some(), "no {key}: {signed_in}");
    }
    assert_eq!(signed_in["auth_mode"], "db_auth");
}

#[tokio::test]
async fn a_path_that_nothing_serves_is_404() {
    let server = SERVER.get().await;
    for caller in [server.anonymous(), server.admin()] {
        let answer = caller
            .get("/api/v2.0/nope")
            .await
            .expect_error(404, "NOT_FOUND");
        assert_eq!(answer.message(), "path /api/v2.0/nope was not found");
    }
    server.anonymous().get("/service/nope").await.expect(404);
    server.anonymous().get("/v1/_ping").await.expect(404);
}

#[tokio::test]
async fn a_method_that_a_path_lacks_is_405() {
    let server = SERVER.get().await;
    let answer = server
        .admin()
        .patch("/api/v2.0/projects")
        .json(&json!({}))
        .await;
    let answer = answer.expect_error(405, "METHOD_NOT_ALLOWED");
    let allowed = answer.header("allow");
    assert!(
        ["GET", "HEAD", "POST"]
            .iter()
            .all(|method| allowed.contains(method)),
        "{allowed}"
    );
}

#[tokio::test]
async fn errors_have_one_shape_and_type() {
    let server = SERVER.get().await;
    let requests = [
        "/api/v2.0/users",
        "/api/v2.0/nope",
        "/api/v2.0/projects/nope",
        "/v2/",
    ];
    for path in requests {
        let answer = server.anonymous().get(path).await;
        assert_eq!(
            answer.header("content-type"),
            "application/json; charset=utf-8",
            "{path}"
        );
        assert!(
            !answer.code().is_empty() && !answer.message().is_empty(),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_request_id_is_echoed_or_made() {
    let server = SERVER.get().await;
    for path in ["/api/v2.0/ping", "/v2/", "/api/v2.0/nope", "/service/token"] {
        let echoed = server
            .anonymous()
            .get(path)
            .header("x-request-id", "my-req-1")
            .await;
        assert_eq!(echoed.header("x-request-id"), "my-req-1", "{path}");
        let made = server.anonymous().get(path).await;
        assert!(made.header("x-request-id").len() >= 16, "{path}: {made}");
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let server = SERVER.get().await;
    for path in [
        "/api/v2.0/ping",
        "/v2/",
        "/api/v2.0/nope",
        "/service/token",
        "/nowhere",
    ] {
        let answer = server.anonymous().get(path).await;
        assert!(
            answer
                .header("strict-transport-security")
                .contains("max-age="),
            "{path}"
        );
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(
            answer
                .header("content-security-policy")
                .contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(
            answer.maybe_header("set-cookie"),
            None,
            "no cookie without a sign-in: {path}"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_is_anonymous_only_where_anonymous_is_welcome() {
    let server = SERVER.get().await;
    let wrong = server.as_user_with("admin", "wrong").at(21);
    wrong
        .get("/api/v2.0/users/current")
        .await
        .expect_error(401, "UNAUTHORIZED");
    let anonymous = server.anonymous();
    for value in ["Basic !!!", "Bearer abc.def.ghi"] {
        let current = anonymous
            .get("/api/v2.0/users/current")
            .header("authorization", value);
        current.await.expect_error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn lists_come_in_pages_with_links() {
    let server = SERVER.get().await;
    let person = server.stranger().await;
    let prefix = fresh("paged");
    for letter in ["a", "b", "c", "d", "e"] {
        let project = json!({ "project_name": format!("{prefix}-{letter}") });
        person
            .post("/api/v2.0/projects")
            .json(&project)
            .await
            .expect(201);
    }
    let path = "/api/v2.0/projects";
    let list = |query: String| person.get(&format!("{path}?{query}"));
    let names = |answer: &crate::harness::Answer| -> Vec<String> {
        let body = answer.json();
        let projects = body.as_array().expect("a list is a list");
        projects
            .iter()
            .filter_map(|p| {
                p["name"]
                    .as_str()?
                    .rsplit_once('-')
                    .map(|(_, last)| last.to_owned())
            })
            .collect()
    };
    let first = list(format!("name={prefix}&page=1&page_size=2"))
        .await
        .expect(200);
    assert_eq!(
        (first.header("x-total-count"), names(&first)),
        ("5", vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(
        first.header("link"),
        format!("<{path}?name={prefix}&page=2&page_size=2>; rel=\"next\"")
    );
    let middle = list(format!("name={prefix}&page=2&page_size=2"))
        .await
        .expect(200);
    let (previous, next) = (middle.link("prev"), middle.link("next"));
    assert_eq!(names(&middle), ["c", "d"]);
    assert_eq!(
        previous,
        Some(format!("{path}?name={prefix}&page=1&page_size=2"))
    );
    assert_eq!(
        next,
        Some(format!("{path}?name={prefix}&page=3&page_size=2"))
    );
    assert!(
        middle.header("link").contains("rel=\"prev\" , <"),
        "joined as Harbor does: {middle}"
    );
    let last = list(format!("name={prefix}&page=3&page_size=2"))
        .await
        .expect(200);
    assert_eq!(
        (names(&last), last.link("next")),
        (vec!["e".to_owned()], None)
    );
    let beyond = list(format!("name={prefix}&page=99&page_size=2"))
        .await
        .expect(200);
    assert_eq!(
        (beyond.text().trim(), beyond.header("x-total-count")),
        ("[]", "5")
    );
    let all = list(format!("name={prefix}&page_size=0")).await.expect(200);
    assert_eq!((names(&all).len(), all.link("next")), (5, None));
    let zero = list(format!("name={prefix}&page=0&page_size=2"))
        .await
        .expect(200);
    assert_eq!(names(&zero), ["a", "b"], "page 0 is page 1");
    let sorted = list(format!("name={prefix}&sort=-name")).await.expect(200);
    assert_eq!(names(&sorted), ["e", "d", "c", "b", "a"]);
    for size in ["101", "x", "1.5"] {
        let refused = list(format!("page_size={size}"))
            .await
            .expect_error(422, "UNPROCESSABLE_ENTITY");
        assert!(
            refused.message().starts_with("validation failure list:\n"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn unknown_fields_in_a_question_are_named_in_a_warning() {
    let server = SERVER.get().await;
    let admin = server.admin();
    for query in ["q=zzz%3D1", "sort=zzz"] {
        let answer = admin
            .get(&format!("/api/v2.0/projects?{query}"))
            .await
            .expect(200);
        assert!(answer.header("warning").contains("zzz"), "{answer}");
    }
    admin
        .get("/api/v2.0/projects?q=nonsense")
        .await
        .expect_error(400, "BAD_REQUEST");
}

#[tokio::test]
async fn what_cannot_be_accepted_is_not_sent() {
    let server = SERVER.get().await;
    let answer = server
        .admin()
        .get("/api/v2.0/projects")
        .header("accept", "application/xml")
        .await;
    assert!([406, 422].contains(&answer.status), "{answer}");
    server
        .admin()
        .get("/api/v2.0/projects")
        .header("accept", "*/*")
        .await
        .expect(200);
}

#[tokio::test]
async fn the_version_of_the_interface_is_told() {
    let server = SERVER.get().await;
    let version = server
        .anonymous()
        .get("/api/version")
        .await
        .expect(200)
        .json();
    assert_eq!(version, json!({ "version": "v2.0" }));
}

#[tokio::test]
async fn the_ca_can_be_fetched() {
    let server = SERVER.get().await;
    let answer = server
        .anonymous()
        .get("/api/v2.0/systeminfo/getcert")
        .await
        .expect(200);
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=ca.crt"
    );
    let file = std::fs::read_to_string(server.authority_file()).expect("the CA can be read");
    assert_eq!(answer.text().trim(), file.trim());
}

#[tokio::test]
async fn the_size_of_the_volume_is_for_administrators() {
    let server = SERVER.get().await;
    let path = "/api/v2.0/systeminfo/volumes";
    server
        .anonymous()
        .get(path)
        .await
        .expect_error(401, "UNAUTHORIZED");
    server
        .stranger()
        .await
        .get(path)
        .await
        .expect_error(403, "FORBIDDEN");
    let volumes = server.admin().get(path).await.expect(200).json();
    let (total, free) = (
        &volumes["storage"][0]["total"],
        &volumes["storage"][0]["free"],
    );
    assert!(
        total.as_u64() > Some(0) && free.as_u64() <= total.as_u64(),
        "{volumes}"
    );
}

#[tokio::test]
async fn slashes_too_many_do_not_matter() {
    let server = SERVER.get().await;
    for path in [
        "/api/v2.0/projects/",
        "/api/v2.0//projects",
        "/api/v2.0/projects//library/",
    ] {
        server.admin().get(path).await.expect(200);
    }
}
