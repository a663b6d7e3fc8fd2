//! Client certificates: nodes and CI jobs that sign in by one, and what of them is refused.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Authority, Client, Protocol, Server, eventually, image};

/// A server that accepts the certificates of a CA, with its revocation list.
struct Listener {
    server: Server,
    authority: Authority,
}

impl Listener {
    async fn open() -> Self {
        let server = Server::start().await;
        let authority = Authority::new("nodes");
        let (ca, crl) = (
            server.scratch().join("nodes.pem"),
            server.scratch().join("crl.pem"),
        );
        fs::write(&ca, authority.pem()).expect("the CA can be written");
        fs::write(&crl, authority.revokes(&[99])).expect("the list can be written");
        server.set(&[
            ("GANTRY_TLS__CLIENT_CA", &ca.to_string_lossy()),
            ("GANTRY_TLS__CLIENT_CRL", &crl.to_string_lossy()),
        ]);
        server.stop().await;
        server.restart().await;
        Self { server, authority }
    }

    /// Replaces the revocation list.
    fn revoke(&self, serials: &[u64]) {
        let (file, new) = (
            self.server.scratch().join("crl.pem"),
            self.server.scratch().join("new"),
        );
        fs::write(&new, self.authority.revokes(serials)).expect("the list can be written");
        fs::rename(&new, &file).expect("the list can be replaced");
    }

    /// A client without a name that presents a certificate.
    fn node(&self, name: &str, serial: u64) -> Client {
        let pair = self.authority.client(name, serial);
        self.server.anonymous().presenting(&pair)
    }

    /// A private project with an image, which a rule lets clients of these names pull or push.
    async fn project(&self, name: &str, subject: &str, role: &str) -> String {
        let admin = self.server.admin();
        let new = json!({ "project_name": name, "metadata": { "public": "false" } });
        admin
            .post("/api/v2.0/projects")
            .json(&new)
            .await
            .expect(201);
        let rule = json!({ "name": "nodes", "issuer": "client-certificate", "audience": "",
            "subject": subject, "role": role });
        let rules = format!("/api/ext/v1/projects/{name}/workload-rules");
        admin.post(&rules).json(&rule).await.expect(201);
        let repository = format!("{name}/app");
        admin.push_image(&repository, "1", &image(name)).await;
        format!("/v2/{repository}/manifests/1")
    }
}

#[tokio::test]
async fn a_node_with_a_certificate_pulls_and_no_other_does() {
    let listener = Listener::open().await;
    let path = listener
        .project("nodes", "dns:*.nodes.example", "limitedGuest")
        .await;
    let node = listener.node("node-1.nodes.example", 1);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let node = node.clone().speaking(protocol);
        node.get("/v2/").await.expect(200);
        node.get(&path).await.expect(200);
    }
    // It may do what the rule says, and no more.
    node.put(&path).body("{}").await.expect(401);
    node.get("/api/v2.0/users").await.expect(401);

    listener.server.anonymous().get(&path).await.expect(401);
    let unnamed = listener.node("node-1.other.example", 2);
    unnamed.get("/v2/").await.expect(401);
    unnamed.get(&path).await.expect(401);
    let foreign = Authority::new("nodes").client("node-1.nodes.example", 1);
    let foreign = listener.server.anonymous().presenting(&foreign);
    assert!(
        foreign.get(&path).attempt().await.is_err(),
        "the handshake is refused"
    );
    let revoked = listener.node("node-1.nodes.example", 99);
    assert!(
        revoked.get(&path).attempt().await.is_err(),
        "the handshake is refused"
    );
}

/// Connections that are open, and sessions that are resumed, do without the handshake's check.
#[tokio::test]
async fn a_revocation_counts_on_open_connections_and_in_resumed_sessions() {
    let listener = Listener::open().await;
    let path = listener
        .project("nodes", "dns:node-1.example", "guest")
        .await;
    let (open, resuming) = (
        listener.node("node-1.example", 7),
        listener.node("node-1.example", 7),
    );
    let other = listener.node("node-1.example", 8);
    for client in [&open, &resuming, &other] {
        client.get(&path).await.expect(200);
    }
    listener.revoke(&[7]);
    eventually(15, "the open connection is refused", async || {
        let answer = open.get(&path).await;
        (answer.status == 401 && answer.text().contains("revoked")).then_some(())
    })
    .await;
    // The log says so once, however many requests come.
    for _ in 0..3 {
        open.get(&path).await.expect(401);
    }
    let log = listener.server.log();
    let told = log.matches("a client certificate is refused").count();
    assert_eq!(told, 1, "{log}");
    // A clone has the same session, on a connection of its own.
    let answer = resuming.clone().get(&path).attempt().await;
    assert!(!answer.is_ok_and(|answer| answer.status == 200));
    other.get(&path).await.expect(200);
    // Not even another password helps a revoked certificate.
    let admin = listener.server.admin();
    let pair = listener.authority.client("node-1.example", 7);
    assert!(admin.presenting(&pair).get(&path).attempt().await.is_err());
    listener.revoke(&[99]);
    eventually(15, "what is not revoked any more is accepted", async || {
        let answer = open.clone().get(&path).attempt().await;
        answer
            .is_ok_and(|answer| answer.status == 200)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_certificate_gets_no_token_and_gives_way_to_other_credentials() {
    let listener = Listener::open().await;
    let path = listener
        .project("nodes", "dns:node-1.example", "guest")
        .await;
    let node = listener.node("node-1.example", 1);
    // A token would outlive the certificate.
    let scope = "repository:nodes/app:pull";
    let token = node.token(&[scope]).await;
    listener
        .server
        .with_bearer(&token)
        .get(&path)
        .await
        .expect(401);
    // It names nobody, and so does not take the place of the certificate.
    let pair = listener.authority.client("node-1.example", 1);
    let both = listener.server.with_bearer(&token).presenting(&pair);
    both.get(&path).await.expect(200);
    let admin = listener.server.admin().presenting(&pair);
    admin.get("/v2/_catalog").await.expect(200);
    // A page of another site cannot use the certificate of a browser.
    let crossed = node.get("/v2/").header("sec-fetch-site", "cross-site");
    crossed.await.expect(401);
}

#[tokio::test]
async fn the_history_has_address_and_program_of_a_node_where_that_is_wanted() {
    let listener = Listener::open().await;
    listener
        .project("nodes", "dns:node-1.example", "maintainer")
        .await;
    let (node, admin) = (listener.node("node-1.example", 1), listener.server.admin());
    let pushed = image("nodes");
    for (is_wanted, tag) in [(true, "with"), (false, "without")] {
        let settings = json!({ "audit_log_clients": is_wanted });
        admin
            .put("/api/v2.0/configurations")
            .json(&settings)
            .await
            .expect(200);
        node.put(&format!("/v2/nodes/app/manifests/{tag}"))
            .header("user-agent", "a-node/1")
            .content_type(&pushed.media_type)
            .body(pushed.manifest.clone())
            .await
            .expect(201);
        let entry = eventually(10, "the push is written", async || {
            let path = "/api/ext/v1/audit/export?format=ndjson";
            let text = admin.get(path).await.expect(200).text();
            let mut entries = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).expect("an entry is JSON"));
            entries.find(|entry| entry["tag"] == tag)
        })
        .await;
        let kept = (&entry["address"], &entry["user_agent"]);
        match is_wanted {
            true => assert_eq!(kept, (&json!("127.0.0.1"), &json!("a-node/1")), "{entry}"),
            false => assert_eq!(kept, (&json!(""), &json!("")), "{entry}"),
        }
    }
}

#[tokio::test]
async fn a_changed_rule_counts_at_once() {
    let listener = Listener::open().await;
    let path = listener
        .project("nodes", "dns:node-1.example", "guest")
        .await;
    let node = listener.node("node-1.example", 1);
    node.get(&path).await.expect(200);
    let rules = "/api/ext/v1/projects/nodes/workload-rules";
    let admin = listener.server.admin();
    let all = admin.get(rules).await.expect(200).json();
    let id = all[0]["id"].clone();
    admin.delete(&format!("{rules}/{id}")).await.expect(200);
    node.get(&path).await.expect(401);
}

#[tokio::test]
async fn rules_for_certificates_are_not_for_tokens_and_the_reverse() {
    let listener = Listener::open().await;
    listener
        .project("nodes", "dns:node-1.example", "guest")
        .await;
    let rules = "/api/ext/v1/projects/nodes/workload-rules";
    let admin = listener.server.admin();
    for (field, value) in [
        ("audience", json!("registry")),
        ("subject", json!("dns:*")),
        ("subject", json!("node-1")),
        ("jwks", json!({ "keys": [] })),
        ("ca", json!("x")),
    ] {
        let mut rule = json!({ "name": "odd", "issuer": "client-certificate", "audience": "",
            "subject": "dns:a.example", "role": "guest" });
        rule[field] = value;
        let refused = admin.post(rules).json(&rule).await.expect(400);
        assert!(refused.text().contains(field), "{field}: {refused}");
    }
}

#[tokio::test]
async fn a_server_without_authorities_asks_for_no_certificate() {
    let server = Server::start().await;
    let pair = Authority::new("nodes").client("node-1.example", 1);
    let node = server.anonymous().presenting(&pair);
    node.get("/v2/").await.expect(401);
    server.set(&[("GANTRY_TLS__CLIENT_CRL", "/no/such")]);
    server.stop().await;
    let refused = server.is_refused().await;
    assert!(refused.contains("[tls] client_crl"), "{refused}");
    server.set(&[("GANTRY_TLS__CLIENT_CA", "/no/such")]);
    let refused = server.is_refused().await;
    assert!(refused.contains("/no/such"), "{refused}");
}
