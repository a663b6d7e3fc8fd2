//! Bodies for REST that are no JSON, other JSON, or JSON of the wrong kind.

use hyper::Method;

use super::{Case, SERVER, check};

pub(super) fn cases() -> Vec<Case> {
    let bad: &[u16] = &[400];
    let unprocessable: &[u16] = &[422];
    let post = |path: &str, body: &[u8]| {
        Case::new(Method::POST, path)
            .header("content-type", "application/json")
            .body(body)
    };
    let project = |body: &str| post("/api/v2.0/projects", body.as_bytes());
    let user = |body: &str| post("/api/v2.0/users", body.as_bytes());
    let member = |body: &str| post("/api/v2.0/projects/1/members", body.as_bytes());
    let mut cases = Vec::new();
    for path in [
        "/api/v2.0/projects",
        "/api/v2.0/users",
        "/api/v2.0/projects/1/members",
    ] {
        let bodies: [&[u8]; 12] = [
            b"",
            b"{not json",
            b"{",
            b"}",
            b"[]",
            b"5",
            b"\"text\"",
            b"true",
            b"{\"a\":1} trailing",
            b"{\"a\":1}{\"a\":2}",
            b"\xff\xfe{}",
            b"\x00",
        ];
        cases.extend(
            bodies
                .iter()
                .map(|body| post(path, body).is(unprocessable, &["UNPROCESSABLE_ENTITY"])),
        );
        // in a field that nobody reads: some parsers look, others do not
        let unread: [&[u8]; 2] = [b"{\"a\":\"\xff\"}", b"{\"a\":\"\\ud800\"}"];
        cases.extend(
            unread
                .iter()
                .map(|body| post(path, body).is(&[400, 422], &[])),
        );
        let deep = "[".repeat(100_000);
        cases.push(post(path, deep.as_bytes()).is(unprocessable, &["UNPROCESSABLE_ENTITY"]));
        let deep = format!("{{\"a\":{}", "{\"a\":".repeat(50_000));
        cases.push(post(path, deep.as_bytes()).is(unprocessable, &["UNPROCESSABLE_ENTITY"]));
    }
    for body in [
        "{}",
        "{\"project_name\":\"\"}",
        "{\"project_name\":null}",
        "{\"project_name\":\"Upper\"}",
        "{\"project_name\":\"a--b\"}",
        "{\"project_name\":\".ab\"}",
        "{\"project_name\":\"a/b\"}",
        "{\"project_name\":\"a b\"}",
        "{\"project_name\":\"..\"}",
        "{\"project_name\":\"a\\u0000b\"}",
        "{\"project_name\":\"a\\nb\"}",
        "{\"project_name\":\"é\"}",
        "{\"project_name\":\"a'; drop table projects; --\"}",
        "{\"project_name\":\"fine-1\",\"metadata\":{\"public\":\"maybe\"}}",
        "{\"project_name\":\"fine-2\",\"storage_limit\":-2}",
    ] {
        cases.push(project(body).is(bad, &["BAD_REQUEST"]));
    }
    let long = format!("{{\"project_name\":\"{}\"}}", "a".repeat(256));
    for body in [
        "{\"project_name\":5}",
        "{\"project_name\":[\"a\"]}",
        "{\"project_name\":{\"a\":1}}",
        "{\"project_name\":true}",
        "{\"project_name\":\"fine-3\",\"metadata\":\"public\"}",
        "{\"project_name\":\"fine-4\",\"metadata\":{\"public\":true}}",
        "{\"project_name\":\"fine-5\",\"storage_limit\":\"much\"}",
        "{\"project_name\":\"fine-6\",\"storage_limit\":1e400}",
        &long,
    ] {
        cases.push(project(body).is(unprocessable, &["UNPROCESSABLE_ENTITY"]));
    }
    for body in [
        "{}",
        "{\"username\":\"a,b\",\"password\":\"Passw0rd1\",\"email\":\"a@example.com\",\"realname\":\"A\"}",
        "{\"username\":\"ab\",\"password\":\"weak\",\"email\":\"a@example.com\",\"realname\":\"A\"}",
        "{\"username\":\"ab\",\"password\":\"Passw0rd1\",\"email\":\"nowhere\",\"realname\":\"A\"}",
        "{\"username\":\"ab\",\"password\":\"Passw0rd1\",\"realname\":\"A\"}",
        "{\"username\":\"a\\u0000\",\"password\":\"Passw0rd1\",\"email\":\"a@example.com\",\"realname\":\"A\"}",
    ] {
        cases.push(user(body).is(bad, &["BAD_REQUEST"]));
    }
    for body in [
        "{\"username\":5}",
        "{\"username\":[]}",
        "{\"password\":{}}",
        "{\"email\":1}",
    ] {
        cases.push(user(body).is(unprocessable, &["UNPROCESSABLE_ENTITY"]));
    }
    for body in [
        "{}",
        "{\"role_id\":2}",
        "{\"role_id\":0,\"member_user\":{\"username\":\"admin\"}}",
        "{\"role_id\":99,\"member_user\":{\"username\":\"admin\"}}",
    ] {
        cases.push(member(body).is(bad, &["BAD_REQUEST"]));
    }
    for body in [
        "{\"role_id\":\"2\",\"member_user\":{\"username\":\"admin\"}}",
        "{\"role_id\":2,\"member_user\":\"admin\"}",
        "{\"role_id\":2,\"member_user\":{\"user_id\":\"x\"}}",
        "{\"role_id\":1.5,\"member_user\":{\"username\":\"admin\"}}",
        "{\"role_id\":99999999999999999999,\"member_user\":{\"username\":\"admin\"}}",
    ] {
        cases.push(member(body).is(unprocessable, &["UNPROCESSABLE_ENTITY"]));
    }
    let large = format!("{{\"project_name\":\"{}\"}}", "a".repeat(900_000));
    cases.push(project(&large).is(
        &[413, 422],
        &["REQUEST_ENTITY_TOO_LARGE", "UNPROCESSABLE_ENTITY"],
    ));
    cases
}

#[tokio::test]
async fn bodies_that_are_not_what_rest_expects_are_refused() {
    let server = SERVER.get().await;
    check(&server, &cases()).await;
}

#[tokio::test]
async fn a_form_that_is_none_is_refused() {
    let server = SERVER.get().await;
    let form = |body: &[u8]| {
        let kind = "application/x-www-form-urlencoded";
        Case::new(Method::POST, "/service/token")
            .header("content-type", kind)
            .body(body)
            .is(&[400, 401, 413], &[])
    };
    let cases = [
        form(b"%zz"),
        form(b"grant_type=%ff"),
        form(b"\xff\xfe"),
        form(b"&&&==="),
        form(&[b'a'; 100_000]),
    ];
    for case in &cases {
        let anonymous = server.anonymous().at(31);
        super::send(&anonymous, case)
            .await
            .unwrap_or_else(|why| panic!("{why}"));
    }
    server.still_serves().await;
}
