//! Paths that try to be another path.

use hyper::Method;

use super::{Case, SERVER, check};

/// Refused or not found; what matters is that nothing is served from elsewhere.
const REFUSED: &[u16] = &[400, 401, 404, 405];

const PATHS: &[&str] = &[
    "/v2/library/../library/app/tags/list",
    "/v2/library/./app/tags/list",
    "/v2/library/%2e%2e/library/app/tags/list",
    "/v2/library/%2e/app/tags/list",
    "/v2/library%2fapp/tags/list",
    "/v2/library%2Fapp%2Ftags%2Flist",
    "/v2/library%252fapp/tags/list",
    "/v2/library//app/tags/list",
    "/v2//library/app/tags/list",
    "//v2/library/app/tags/list",
    "/v2/library/app//tags/list",
    "/v2/library/app/tags//list",
    "/v2/library/app/tags/list/",
    "/v2/library/app/tags/list/more",
    "/v2/library/app/tags",
    "/v2/library/app/tags/",
    "/v2/library/app",
    "/v2/library/app/",
    "/v2/library/app/manifests",
    "/v2/library/app/manifests/",
    "/v2/library/app/blobs/",
    "/v2/library/app/blobs/..%2f..%2f..%2fetc%2fpasswd",
    "/v2/library/app/blobs/../../../../etc/passwd",
    "/v2/library/app/manifests/..",
    "/v2/library/app/manifests/%2e%2e%2f%2e%2e",
    "/v2/library/app/manifests/a/b",
    "/v2/library/app/blobs/uploads/../../../catalog",
    "/v2/library/app/blobs/sha256:..%2f..%2f000000000000000000000000000000000000000000000000000000",
    "/v2/library/app/blobs/uploads/..%2f..%2fx",
    "/v2/library/app/blobs/uploads/%00",
    "/v2/library/app/blobs/uploads/%2e%2e",
    "/v2/library/app/referrers/",
    "/v2/library/app;param/tags/list",
    "/v2/..%2fapi/v2.0/users",
    "/v2/../api/v2.0/users",
    "/v2/%5c..%5c..%5cetc/passwd",
    "/V2/library/app/tags/list",
    "/v2%00/",
    "/v3/",
    "/v1/_ping",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/../../etc/passwd",
    "/..%c0%af..%c0%afetc/passwd",
    "/.git/config",
    "/certs/ca.key",
    "/gantry.db",
    "/metrics",
    "/service/token/../../api/v2.0/users",
    "/api/v2.0/../v2.0/users",
    "/api/v2.0/%2e%2e/v2.0/users",
    "/api/v2.0/projects/..%2f..%2fusers",
    "/api/v2.0/projects/%00",
    "/api/v2.0/projects/library%2fapp",
    "/api/v2.0/projects/%ff",
    "/api/v3.0/users",
    "/api/",
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = PATHS
        .iter()
        .map(|path| Case::get(*path).is(REFUSED, &[]))
        .collect();
    cases.push(Case::get(format!("/{}", "a".repeat(9000))).is(&[400, 404, 414, 431], &[]));
    cases.push(
        Case::get(format!(
            "/v2/library/app/tags/list?n=1&{}",
            "a=b&".repeat(1000)
        ))
        .is(&[404, 400], &[]),
    );
    for path in [
        "/v2/library/app/tags/list",
        "/v2/library/app/manifests/latest",
        "/service/token",
    ] {
        let path = format!("{path}?{}", vec!["a"; 30_000].join("&"));
        cases.push(Case::get(path).is(&[400], &["UNSUPPORTED"]));
    }
    for method in ["TRACE", "OPTIONS", "PROPFIND", "X"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method is a token");
        cases.push(Case::new(method, "/v2/library/app/tags/list").is(&[404, 405, 501], &[]));
    }
    for (method, path) in [
        (Method::POST, "/v2/library/app/tags/list"),
        (Method::PUT, "/v2/library/app/tags/list"),
        (Method::POST, "/v2/library/app/manifests/latest"),
        (Method::PATCH, "/v2/library/app/manifests/latest"),
        (Method::PUT, "/v2/_catalog"),
        (Method::DELETE, "/service/token"),
        (Method::PUT, "/api/v2.0/users"),
        (Method::DELETE, "/api/v2.0/projects"),
    ] {
        cases.push(Case::new(method, path).is(&[405], &["UNSUPPORTED", "METHOD_NOT_ALLOWED"]));
    }
    cases
}

#[tokio::test]
async fn paths_that_try_to_be_another_are_refused() {
    let server = SERVER.get().await;
    check(&server, &cases()).await;
}

#[tokio::test]
async fn queries_that_cannot_be_decoded_are_400() {
    let server = SERVER.get().await;
    let cases = [
        Case::get("/api/v2.0/projects?name=%zz"),
        Case::get("/api/v2.0/projects?page=%"),
        Case::get("/v2/_catalog?n=%zz"),
        Case::get("/v2/_catalog?n=x"),
        Case::get("/v2/_catalog?n=-1"),
    ];
    check(&server, &cases).await;
}

#[tokio::test]
async fn several_slashes_are_one() {
    let server = SERVER.get().await;
    let repository = "library/slashes";
    let admin = server.admin();
    let image = crate::harness::image("slashes");
    admin.push_image(repository, "v1", &image).await;
    for path in [
        "//v2/library/slashes/manifests/v1",
        "/v2//library/slashes/manifests/v1",
        "/v2/library//slashes/manifests/v1",
        "/v2/library/slashes///manifests//v1",
        "/v2/library/%2Fslashes/tags/list",
        "//v2/",
        "/v2//",
        "//service/token?service=harbor-registry",
        "/service//token?service=harbor-registry",
        "//api//v2.0/users/current",
        "//healthz",
    ] {
        admin.get(path).await.expect(200);
    }
    let session = admin.post("/v2//library/slashes//blobs/uploads/");
    let location = session.await.expect(202).location();
    assert!(
        location.starts_with("/v2/library/slashes/blobs/uploads/"),
        "{location}"
    );
}
