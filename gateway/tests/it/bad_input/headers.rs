//! Header fields with values that mean nothing, or too much.

use hyper::Method;

use super::{Case, REPOSITORY, SERVER, check, judge};

pub(super) fn cases() -> Vec<Case> {
    let refused: &[u16] = &[401];
    let code = &["UNAUTHORIZED"];
    let check = "/v2/";
    let basic = |value: &str| {
        Case::get(check)
            .header("authorization", value)
            .is(refused, code)
    };
    vec![
        basic("Basic"),
        basic("Basic "),
        basic("Basic !!!"),
        basic("Basic YWRtaW4="),
        basic("Basic Og=="),
        basic("Basic //79/A=="),
        basic("Basic YWRtaW46R2FudHJ5LUFkbTFu=="),
        basic("basic"),
        basic("Bearer"),
        basic("Bearer "),
        basic("Bearer a"),
        basic("Bearer a.b"),
        basic("Bearer a.b.c"),
        basic("Bearer a.b.c.d"),
        basic("Bearer e30.e30."),
        basic("Bearer ...."),
        basic("Digest username=\"admin\""),
        basic("Negotiate abc"),
        basic("AWS4-HMAC-SHA256 Credential=a"),
        basic(","),
        basic("Harbor-Secret abc"),
        Case::get(check)
            .header(
                "authorization",
                [b'B', b'a', b's', b'i', b'c', b' ', 0xff, 0xfe],
            )
            .is(refused, code),
        Case::get(check)
            .header("authorization", format!("Basic {}", "QUFB".repeat(2000)))
            .is(&[401, 431], &[]),
        Case::get(check)
            .header("authorization", format!("Bearer {}", "QUFB".repeat(2000)))
            .is(&[401, 431], &[]),
        Case::get(format!("/v2/{REPOSITORY}/blobs/uploads/x"))
            .header("content-range", "x")
            .is(&[404], &[]),
        Case::new(Method::PUT, format!("/v2/{REPOSITORY}/manifests/latest"))
            .header("content-type", [0xff, 0xfe])
            .body("{}")
            .is(&[400], &["MANIFEST_INVALID"]),
        Case::new(Method::PUT, format!("/v2/{REPOSITORY}/manifests/latest"))
            .header("content-type", "a/b/c; ;;=\"")
            .body("{}")
            .is(&[400], &["MANIFEST_INVALID"]),
        Case::new(Method::PUT, format!("/v2/{REPOSITORY}/manifests/latest"))
            .header("content-encoding", "gzip")
            .header("content-type", crate::harness::media::OCI_MANIFEST)
            .body([0x1f, 0x8b, 8, 0])
            .is(&[400, 415], &["MANIFEST_INVALID", "UNSUPPORTED"]),
        Case::new(Method::POST, "/api/v2.0/projects")
            .header("content-type", "text/plain")
            .body("{\"project_name\":\"Not Valid\"}")
            .is(&[400, 415, 422], &[]),
        Case::new(Method::POST, "/service/token")
            .header("content-type", "application/json")
            .body("{\"grant_type\":\"password\"}")
            .is(&[400, 401, 415], &[]),
        Case::get("/api/v2.0/projects")
            .header("accept", "application/xml")
            .is(&[406, 422], &[]),
        Case::get("/api/v2.0/projects/1")
            .header("x-is-resource-name", "maybe")
            .is(&[200, 400, 404, 422], &[]),
    ]
}

#[tokio::test]
async fn headers_that_mean_nothing_are_refused() {
    // so many refused credentials would be throttled on a server that others share
    let server = crate::harness::Server::start().await;
    let cases = cases();
    // spread over addresses: what counts here is each answer, not their number
    for (number, case) in cases.iter().enumerate() {
        let client = server
            .admin()
            .at(u8::try_from(100 + number).expect("there are few cases"));
        if let Err(why) = super::send(&client, case).await {
            panic!("{why}");
        }
    }
    server.still_serves().await;
}

#[tokio::test]
async fn harmless_nonsense_is_ignored() {
    let server = SERVER.get().await;
    let digest = server.admin().push_blob(REPOSITORY, "0123456789").await;
    let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
    let ok: &[u16] = &[200];
    let cases = [
        Case::get(&path).header("range", "bytes=9-5").is(ok, &[]),
        Case::get(&path).header("range", "bytes=--5").is(ok, &[]),
        Case::get(&path).header("range", "bytes=1--2").is(ok, &[]),
        Case::get(&path).header("range", "bytes=0x1-5").is(ok, &[]),
        Case::get(&path).header("range", "bytes=1.5-2").is(ok, &[]),
        Case::get(&path).header("range", [0xff, 0xfe]).is(ok, &[]),
        Case::get(&path)
            .header("range", format!("bytes={}", "0-1,".repeat(1000)))
            .is(&[200, 431], &[]),
        Case::get(&path)
            .header("range", "bytes=99999999999999999999999-")
            .is(&[200, 416], &[]),
        Case::get(&path)
            .header("range", "bytes=-99999999999999999999999")
            .is(&[200, 206], &[]),
        Case::get(&path)
            .header("if-none-match", [0xff, 0xfe])
            .is(ok, &[]),
        Case::get(&path)
            .header("if-none-match", "\"unterminated")
            .is(ok, &[]),
        Case::get(&path)
            .header("if-range", "nonsense")
            .header("range", "bytes=0-1")
            .is(&[200, 206], &[]),
        Case::get(&path)
            .header("accept-encoding", "gzip;q=zz")
            .is(ok, &[]),
        Case::get(&path)
            .header("cookie", "sid=abc; _gorilla_csrf=x")
            .is(ok, &[]),
        Case::get(&path)
            .header("x-forwarded-for", "not an address")
            .is(ok, &[]),
        Case::get(&path)
            .header("x-forwarded-proto", "gopher")
            .is(ok, &[]),
        Case::get(&path)
            .header("traceparent", "00-zz-zz-zz")
            .is(ok, &[]),
        Case::get(&path)
            .header("x-request-id", "é".repeat(50))
            .is(ok, &[]),
        Case::get(&path)
            .header("x-request-id", "a".repeat(4000))
            .is(ok, &[]),
        Case::get("/v2/library/../library/x").is(&[400, 401, 404], &[]),
    ];
    check(&server, &cases).await;
}

#[tokio::test]
async fn a_request_id_is_echoed_only_when_it_is_one() {
    let server = SERVER.get().await;
    for id in ["a".repeat(4000), "a b\tc".to_owned(), "é".to_owned()] {
        let answer = server
            .anonymous()
            .get("/v2/")
            .header("x-request-id", &id)
            .await
            .expect(401);
        let echoed = answer.header("x-request-id");
        assert!(
            echoed.len() <= 200 && echoed.bytes().all(|byte| byte.is_ascii_graphic()),
            "{echoed}"
        );
    }
}

#[tokio::test]
async fn a_host_cannot_break_out_of_the_challenge() {
    let server = SERVER.get().await;
    for host in [
        "evil\",x=\"y",
        "evil/path",
        "a b",
        "evil.example\\",
        "é.example",
        "",
    ] {
        let answer = server.anonymous().get("/v2/").header("host", host).await;
        if answer.status == 400 {
            judge(&answer, &[400], &[]).expect("nothing leaks");
            continue;
        }
        let challenge = answer.expect(401).header("www-authenticate").to_owned();
        assert_eq!(challenge.matches('"').count(), 4, "{host}: {challenge}");
        assert!(!challenge.contains("x=\"y"), "{challenge}");
    }
}
