//! Where keys come from: what an issuer publishes, how long it holds, and where nothing is led to.

use serde_json::json;
use tokio::net::TcpListener;

use super::issuer::{Document, Issuer, Key};
use super::*;

/// A project with a rule for an issuer: its repository.
async fn with_rule(server: &Server, issuer: &Issuer) -> String {
    let project = server.private_project().await;
    make(server, &project.name, &issuer.rule(json!({}))).await;
    project.repository("app")
}

#[tokio::test]
async fn rotated_keys_are_read_and_those_that_were_read_go_on_while_the_issuer_is_down() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let repository = with_rule(&server, &issuer).await;
    let push = (200, json!(["pull", "push"]));
    for _ in 0..3 {
        assert_eq!(
            docker_gets(&server, &issuer.token(json!({})), &repository).await,
            push
        );
    }
    assert_eq!(issuer.asked(), 1, "keys are kept");

    // Down: what was read goes on.
    issuer.is_down(true);
    assert_eq!(
        docker_gets(&server, &issuer.token(json!({})), &repository).await,
        push
    );
    issuer.is_down(false);

    // Tokens with keys that nobody has ask the issuer once in ten seconds.
    let next = Key::ec("second");
    for _ in 0..5 {
        let unknown = next.sign(&issuer.claims());
        assert_eq!(docker_gets(&server, &unknown, &repository).await.0, 401);
    }
    assert!(issuer.asked() <= 2, "asked {} times", issuer.asked());

    // A rotated key is read within the ten seconds.
    issuer.publish(&[&issuer.key, &next]);
    eventually(15, "the new key is read", async || {
        let gets = docker_gets(&server, &next.sign(&issuer.claims()), &repository).await;
        (gets == push).then_some(())
    })
    .await;
    // The old one is still published, and goes on.
    assert_eq!(
        docker_gets(&server, &issuer.token(json!({})), &repository).await,
        push
    );
}

#[tokio::test]
async fn an_issuer_that_is_down_from_the_beginning_lets_nobody_in_and_holds_nobody_up() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let repository = with_rule(&server, &issuer).await;
    issuer.is_down(true);
    assert_eq!(
        docker_gets(&server, &issuer.token(json!({})), &repository)
            .await
            .0,
        401
    );
    assert!(
        last_login(&server, false)
            .await
            .1
            .contains("cannot be read")
    );
    // It is not asked again for each token.
    let begin = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(
            docker_gets(&server, &issuer.token(json!({})), &repository)
                .await
                .0,
            401
        );
    }
    assert!(begin.elapsed().as_secs() < 5);
    server
        .admin()
        .get("/api/v2.0/users/current")
        .await
        .expect(200);
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_or_certificate_is_not_believed() {
    let server = server().await;
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let repository = with_rule(&server, &issuer).await;
    let document = json!({ "issuer": other.url, "jwks_uri": format!("{}/keys", issuer.url) });
    issuer.discovery(Document::Json(document));
    assert_eq!(
        docker_gets(&server, &issuer.token(json!({})), &repository)
            .await
            .0,
        401
    );
    assert!(
        last_login(&server, false)
            .await
            .1
            .contains("of another issuer")
    );

    // An authority that did not sign the host's certificate.
    let project = server.private_project().await;
    make(
        &server,
        &project.name,
        &other.rule(json!({ "ca": issuer.ca })),
    )
    .await;
    let repository = project.repository("app");
    assert_eq!(
        docker_gets(&server, &other.token(json!({})), &repository)
            .await
            .0,
        401
    );
    assert_eq!(other.asked(), 0);
}

/// A listener that counts who connects to it.
async fn trap() -> (u16, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.2:0")
        .await
        .expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    (port, count)
}

#[tokio::test]
async fn neither_discovery_nor_keys_nor_redirects_lead_to_where_nothing_may_connect() {
    let allowed = [
        ("GANTRY_OUTGOING__ALLOW", "127.0.0.1/32"),
        ("GANTRY_OUTGOING__DENY", "127.0.0.2/32"),
    ];
    let server = Server::with(&allowed).await;
    let (port, connections) = trap().await;
    let inside = format!("https://127.0.0.2:{port}/keys");
    let refused = |document: &'static str, made: Document| (document, made);
    let issuers = [
        Issuer::start().await,
        Issuer::start().await,
        Issuer::start().await,
        Issuer::start().await,
    ];
    let cases = [
        refused(
            "jwks",
            Document::Json(json!({ "issuer": issuers[0].url, "jwks_uri": inside })),
        ),
        refused("redirected discovery", Document::Redirect(inside.clone())),
        refused(
            "plain HTTP",
            Document::Json(
                json!({ "issuer": issuers[2].url, "jwks_uri": inside.replace("https", "http") }),
            ),
        ),
        refused(
            "file",
            Document::Json(json!({ "issuer": issuers[3].url, "jwks_uri": "file:///etc/passwd" })),
        ),
    ];
    for (issuer, (case, document)) in issuers.iter().zip(cases) {
        let repository = with_rule(&server, issuer).await;
        issuer.discovery(document);
        let got = docker_gets(&server, &issuer.token(json!({})), &repository).await;
        assert_eq!(got.0, 401, "{case}");
    }
    // A redirect of the keys.
    let issuer = Issuer::start().await;
    let repository = with_rule(&server, &issuer).await;
    issuer.keys(Document::Redirect(inside));
    assert_eq!(
        docker_gets(&server, &issuer.token(json!({})), &repository)
            .await
            .0,
        401
    );
    assert_eq!(connections.load(std::sync::atomic::Ordering::Relaxed), 0);

    // Redirects to where something may connect are followed, but not for ever.
    let issuer = Issuer::start().await;
    let repository = with_rule(&server, &issuer).await;
    issuer.keys(Document::Redirect("/moved".to_owned()));
    issuer.answer(
        "/moved",
        Document::Json(json!({ "keys": [issuer.key.jwk()] })),
    );
    assert_eq!(
        docker_gets(&server, &issuer.token(json!({})), &repository)
            .await
            .0,
        200
    );
    let issuer = Issuer::start().await;
    let repository = with_rule(&server, &issuer).await;
    issuer.keys(Document::Redirect("/keys".to_owned()));
    assert_eq!(
        docker_gets(&server, &issuer.token(json!({})), &repository)
            .await
            .0,
        401
    );
    assert!(issuer.asked() <= 4);
}

#[tokio::test]
async fn without_an_allowed_network_no_issuer_on_this_machine_is_asked() {
    let server = Server::start().await;
    let issuer = Issuer::start().await;
    let repository = with_rule(&server, &issuer).await;
    assert_eq!(
        docker_gets(&server, &issuer.token(json!({})), &repository)
            .await
            .0,
        401
    );
    assert_eq!(issuer.asked(), 0);
    assert!(
        last_login(&server, false)
            .await
            .1
            .contains("does not connect")
    );
}
