//! The web UI's files: what is sent for which path, in which form, and what a browser may do with it.

use crate::harness::{Answer, Server};

/// The path of the script that the page loads first.
fn script_of(page: &Answer) -> String {
    let text = page.text();
    let begin = text
        .find("/ui/assets/index-")
        .expect("the page loads a script");
    let end = text[begin..].find('"').expect("its name ends");
    text[begin..begin + end].to_owned()
}

#[tokio::test]
async fn the_page_is_there_for_all_paths_below_ui() {
    let server = Server::start().await;
    let browser = server.anonymous();
    let page = browser.get("/ui/").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    let policy = page.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self';",
        "frame-ancestors 'none'",
        "require-trusted-types-for",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    for path in [
        "/ui/projects",
        "/ui/projects/library/repositories/a.b/c/-/tags/v1.0",
        "/ui/index.html",
        "/ui/../ui/projects",
    ] {
        let same = browser.get(path).await.expect(200);
        assert_eq!(same.body, page.body, "{path}");
    }
    let head = browser.head("/ui/projects").await.expect(200);
    assert_eq!(head.header("content-length"), page.body.len().to_string());
    let posted = browser.post("/ui/").await;
    posted.expect_error(405, "METHOD_NOT_ALLOWED");
    server.stop().await;
}

#[tokio::test]
async fn what_never_changes_is_kept_and_what_may_is_asked_for() {
    let server = Server::start().await;
    let browser = server.anonymous();
    let page = browser.get("/ui/").await.expect(200);
    let etag = page.header("etag");
    for known in [
        etag.to_owned(),
        format!("\"other\", {etag}"),
        format!("W/{etag}"),
    ] {
        let same = browser
            .get("/ui/")
            .header("if-none-match", &known)
            .await
            .expect(304);
        assert!(same.body.is_empty());
        assert_eq!(same.header("etag"), etag);
    }
    browser
        .get("/ui/")
        .header("if-none-match", "\"other\"")
        .await
        .expect(200);
    let path = script_of(&page);
    let script = browser.get(&path).await.expect(200);
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    let kept = script.header("cache-control");
    assert!(
        kept.contains("immutable") && kept.contains("max-age=31536000"),
        "{kept}"
    );
    let gone = browser.get("/ui/assets/index-00000000.js").await;
    assert!(
        !gone.text().contains("<html"),
        "no page in the place of a script"
    );
    gone.expect_error(404, "NOT_FOUND");
    server.stop().await;
}

#[tokio::test]
async fn the_smallest_form_that_the_client_takes_is_sent() {
    let server = Server::start().await;
    let browser = server.anonymous();
    let path = script_of(&browser.get("/ui/").await.expect(200));
    let sizes = async |accepted: &str| {
        let script = browser
            .get(&path)
            .header("accept-encoding", accepted)
            .await
            .expect(200);
        let encoding = script.maybe_header("content-encoding").map(str::to_owned);
        assert_eq!(script.header("vary"), "accept-encoding");
        (
            encoding,
            script.body.len(),
            script.header("etag").to_owned(),
        )
    };
    let plain = sizes("identity").await;
    let gzip = sizes("gzip, deflate").await;
    let brotli = sizes("gzip, deflate, br;q=0.5").await;
    assert_eq!(plain.0, None);
    assert_eq!(gzip.0.as_deref(), Some("gzip"));
    assert_eq!(brotli.0.as_deref(), Some("br"));
    assert!(
        brotli.1 < gzip.1 && gzip.1 < plain.1,
        "{plain:?} {gzip:?} {brotli:?}"
    );
    assert!(
        plain.2 != gzip.2 && gzip.2 != brotli.2,
        "each has a tag of its own"
    );
    assert_eq!(sizes("br;q=0, gzip").await, gzip);
    assert_eq!(sizes("").await.0, None);
    server.stop().await;
}

#[tokio::test]
async fn paths_of_harbors_portal_lead_to_the_pages() {
    let server = Server::start().await;
    let browser = server.anonymous();
    for (old, new) in [
        ("/", "/ui/"),
        ("/ui", "/ui/"),
        ("/harbor", "/ui/"),
        (
            "/account/sign-in?redirect_url=%2Fharbor%2Fprojects",
            "/ui/login?redirect_url=%2Fharbor%2Fprojects",
        ),
        ("/oidc-onboard", "/ui/onboard"),
        ("/devcenter-api-2.0", "/ui/api"),
        ("/license", "/ui/license"),
        (
            "/harbor/projects/1/repositories",
            "/ui/harbor/projects/1/repositories",
        ),
        (
            "/harbor//example.com%0d%0aset-cookie:%20a",
            "/ui/harbor/example.com%0D%0Aset-cookie:%20a",
        ),
    ] {
        let moved = browser.get(old).await.expect(302);
        assert_eq!(moved.header("location"), new, "{old}");
        assert_eq!(moved.maybe_header("set-cookie"), None);
    }
    for unknown in ["/uix", "/harborx", "/c", "/licence"] {
        browser.get(unknown).await.expect_error(404, "NOT_FOUND");
    }
    server.stop().await;
}
