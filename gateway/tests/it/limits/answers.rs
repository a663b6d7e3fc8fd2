//! Every answer has the headers that the documentation promises, also those that no handler makes.

use crate::harness::{Protocol, Server, Shared, free_port};

static SERVER: Shared = Shared::new(&[]);

const EVERYWHERE: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "frame-ancestors 'none'"),
];
const HTTPS_ONLY: &str = "strict-transport-security";

#[tokio::test]
async fn every_route_and_status_has_them() {
    let server = SERVER.get().await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let anonymous = server.anonymous().speaking(protocol);
        let admin = server.admin().speaking(protocol);
        for (client, path) in [
            (&anonymous, "/v2/"),
            (&admin, "/v2/"),
            (&admin, "/v2/_catalog"),
            (&admin, "/v2/library/none/manifests/none"),
            (&admin, "/v2/UPPER/tags/list"),
            (&anonymous, "/nowhere"),
            (&anonymous, "/healthz"),
            (&anonymous, "/api/v2.0/ping"),
            (&anonymous, "/api/v2.0/users"),
            (&anonymous, "/service/token?service=x"),
        ] {
            let answer = client.get(path).await;
            for (name, value) in EVERYWHERE {
                assert_eq!(answer.header(name), value, "{path}");
            }
            assert!(answer.maybe_header(HTTPS_ONLY).is_some(), "{path}");
            assert!(!answer.header("x-request-id").is_empty(), "{path}");
            assert!(answer.header("date").ends_with(" GMT"), "{path}");
        }
    }
}

#[tokio::test]
async fn metrics_and_redirects_have_them() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let server = Server::with(&[("GANTRY_SERVER__REDIRECT_LISTEN", &listen)]).await;
    for (client, path) in [
        (server.operator(), "/metrics"),
        (server.operator(), "/nowhere"),
        (server.plain(port), "/v2/"),
    ] {
        let answer = client.get(path).await;
        for (name, value) in EVERYWHERE {
            assert_eq!(answer.header(name), value, "{path}");
        }
        // Browsers ignore it there, and RFC 6797 forbids it.
        assert_eq!(answer.maybe_header(HTTPS_ONLY), None, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_as_http_has_them_too() {
    let server = SERVER.get().await;
    let large = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "a".repeat(300_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: a\r\n".repeat(2_000)
    );
    // Longer than any target, and short enough to be read whole.
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(66 << 10));
    for (request, status) in [
        (long.as_str(), 414),
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (large.as_str(), 431),
        (many.as_str(), 431),
    ] {
        for (name, value) in EVERYWHERE {
            let mut raw = server.raw().await;
            // It may close before it has read all.
            let _ = raw.write(request).await;
            let answered = raw.answer_with(name).await;
            let expected = Some((status, Some(value.to_owned())));
            assert_eq!(answered, expected, "{}", &request[..20.min(request.len())]);
        }
    }
    let mut raw = server.raw().await;
    raw.write("nonsense\r\n\r\n")
        .await
        .expect("the server reads");
    let answer = raw.answer().await.expect("it answers");
    assert!(answer.text().contains("\"errors\""), "{}", answer.text());
    assert!(raw.closes_within(std::time::Duration::from_secs(5)).await);
}

/// An answer before does not make the library's own one its continuation.
#[tokio::test]
async fn nonsense_after_a_good_request_is_answered_like_nonsense() {
    let server = SERVER.get().await;
    let mut raw = server.raw().await;
    let good = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", server.host());
    raw.write(good).await.expect("the server reads");
    assert_eq!(raw.answer().await.map(|answer| answer.status), Some(200));
    raw.write("nonsense\r\n\r\n")
        .await
        .expect("the server reads");
    let (status, value) = raw
        .answer_with("x-frame-options")
        .await
        .expect("it answers");
    assert_eq!((status, value.as_deref()), (400, Some("DENY")));
}
