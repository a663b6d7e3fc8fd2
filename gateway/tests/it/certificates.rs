//! Several certificates on one listener, imported ones, the rotation of the private CA, and what is found wrong.

use std::fs;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::harness::{Authority, Client, Replicas, Server, eventually};

/// Certificate and key by the private CA, in a folder of their own.
async fn issued(server: &Server, name: &str) -> (PathBuf, PathBuf) {
    let folder = server.scratch().join(name);
    let out = folder.to_string_lossy().into_owned();
    server
        .cli_prints(&["cert", "issue", name, "--out", &out])
        .await;
    (folder.join("server.crt"), folder.join("server.key"))
}

fn first_of(file: &PathBuf) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).expect("the file has a certificate")
}

async fn shows(client: &Client, host: &str, expected: &CertificateDer<'static>) {
    eventually(10, host, async || {
        let shown = client.certificate_for(host).await.ok()?;
        (shown == *expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_files_are_loaded_again() {
    let server = Server::with(&[("GANTRY_SERVER__NAMES", "main.example")]).await;
    let (one, two) = (
        issued(&server, "one.example").await,
        issued(&server, "*.two.example").await,
    );
    let path = |file: &PathBuf| file.to_string_lossy().into_owned();
    server.set(&[
        (
            "GANTRY_TLS__MORE_CERTIFICATES",
            &format!("{},{}", path(&one.0), path(&two.0)),
        ),
        (
            "GANTRY_TLS__MORE_KEYS",
            &format!("{},{}", path(&one.1), path(&two.1)),
        ),
    ]);
    server.stop().await;
    server.restart().await;
    let client = server.anonymous();
    shows(&client, "one.example", &first_of(&one.0)).await;
    shows(&client, "x.two.example", &first_of(&two.0)).await;
    client
        .certificate_for("main.example")
        .await
        .expect("the main one is for it");
    client
        .certificate_for("127.0.0.1")
        .await
        .expect("the main one is for it");
    assert!(client.certificate_for("three.example").await.is_err());

    // As in Kubernetes: the files are replaced while the server runs.
    fs::remove_dir_all(one.0.parent().expect("a folder")).expect("it can be removed");
    let again = issued(&server, "one.example").await;
    shows(&client, "one.example", &first_of(&again.0)).await;
    shows(&client, "x.two.example", &first_of(&two.0)).await;
    let listed = server
        .admin()
        .get("/api/ext/v1/certificates")
        .await
        .expect(200)
        .json();
    let labels: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["label"].as_str())
        .collect();
    assert_eq!(labels[1..], [path(&one.0), path(&two.0)]);

    server.set(&[("GANTRY_TLS__MORE_KEYS", "")]);
    server.stop().await;
    let refused = server.is_refused().await;
    assert!(refused.contains("[tls] more_keys"), "{refused}");
}

#[tokio::test]
async fn an_imported_certificate_is_presented_by_every_replica_until_it_is_removed() {
    let replicas = Replicas::start().await;
    let (first, second) = (&replicas.first, &replicas.second);
    let folder = first.scratch().join("pair");
    let out = folder.to_string_lossy().into_owned();
    let run = async |arguments: &[&str]| {
        let run = first.cli_as_server(arguments).await;
        assert!(run.status.success(), "{run:?}");
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    run(&["cert", "issue", "apps.example", "--out", &out]).await;
    let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
    let (crt, pem) = (certificate.to_string_lossy(), key.to_string_lossy());
    run(&["cert", "import", "apps", &crt, &pem]).await;
    let expected = first_of(&certificate);
    for server in [first, second] {
        shows(&server.anonymous(), "apps.example", &expected).await;
    }
    let stored = replicas
        .sql("select encode(key, 'escape') from certificate")
        .await;
    assert!(!stored.contains("PRIVATE"), "the key is not sealed");
    let listed = run(&["cert", "list", "--json"]).await;
    let imported = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    assert!(
        imported
            .into_iter()
            .any(|it| it["label"] == "apps" && it["source"] == "import")
    );

    let other = first.scratch().join("other");
    let other = other.to_string_lossy().into_owned();
    run(&["cert", "issue", "other.example", "--out", &other]).await;
    let wrong = first
        .cli_as_server(&[
            "cert",
            "import",
            "apps",
            &crt,
            &format!("{other}/server.key"),
        ])
        .await;
    assert_eq!(wrong.status.code(), Some(1));
    let wrong = first
        .cli_as_server(&["cert", "import", "acme", &crt, &pem])
        .await;
    assert_eq!(wrong.status.code(), Some(1));

    run(&["cert", "import", "apps", "--remove"]).await;
    eventually(10, "it is gone", async || {
        second
            .anonymous()
            .certificate_for("apps.example")
            .await
            .err()
            .map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn the_ca_is_rotated_while_clients_of_either_are_served() {
    let server = Server::start().await;
    let old = server.scratch().join("old.pem");
    fs::copy(server.authority_file(), &old).expect("the CA can be copied");
    let before = server.anonymous().certificate().await;
    let said = server
        .cli_prints(&["cert", "rotate", "--overlap", "7d"])
        .await;
    assert!(said.contains("Gantry private CA 2"), "{said}");
    let (of_old, admin) = (server.anonymous().trusting(&old), server.admin());
    eventually(15, "the new CA signs", async || {
        let shown = of_old.certificate_for("127.0.0.1").await.ok()?;
        (shown != before).then_some(())
    })
    .await;
    of_old.get("/v2/").await.expect(401);
    // Those who ask now get both, the new one first.
    let both = admin
        .get("/api/v2.0/systeminfo/getcert")
        .await
        .expect(200)
        .text();
    assert_eq!(both.matches("BEGIN CERTIFICATE").count(), 2);
    let new = server.scratch().join("new.pem");
    let (first, _) = both
        .split_once("-----END CERTIFICATE-----")
        .expect("two blocks");
    fs::write(&new, format!("{first}-----END CERTIFICATE-----\n")).expect("it can be written");
    let of_new = server.anonymous().trusting(&new);
    of_new.get("/v2/").await.expect(401);
    assert_eq!(
        fs::read_to_string(server.authority_file()).expect("it is there"),
        both
    );

    let refused = server.cli(&["cert", "rotate"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("--finish"),
        "{refused:?}"
    );
    server.cli_prints(&["cert", "rotate", "--finish"]).await;
    eventually(15, "clients get the new one alone", async || {
        let pem = admin
            .get("/api/v2.0/systeminfo/getcert")
            .await
            .expect(200)
            .text();
        (pem.matches("BEGIN CERTIFICATE").count() == 1).then_some(())
    })
    .await;
    server.cli_prints(&["cert", "renew"]).await;
    // A client of its own each time: a resumed session does without the certificate.
    eventually(30, "the old one counts no more", async || {
        let of_old = server.anonymous().trusting(&old);
        of_old.get("/v2/").attempt().await.err().map(|_| ())
    })
    .await;
    of_new.clone().get("/v2/").await.expect(401);
    // The next start has it, too.
    server.stop().await;
    server.restart().await;
    server
        .anonymous()
        .trusting(&new)
        .get("/v2/")
        .await
        .expect(401);
    let refused = server.cli(&["cert", "rotate", "--finish"]).await;
    assert_eq!(refused.status.code(), Some(1));
}

#[tokio::test]
async fn an_incomplete_chain_and_a_missing_name_are_told_of() {
    let server = Server::with(&[("GANTRY_SERVER__NAMES", "registry.example")]).await;
    // The CA of `testkit` signs as an intermediate would: nobody here knows it.
    let authority = Authority::new("somebody's intermediate");
    let (certificate, key) = authority.issue_as_intermediate(2_090);
    let put = |name: &str, text: &str| fs::write(server.pair_folder().join(name), text);
    put("server.key", &key).expect("it can be written");
    put("server.crt", &certificate).expect("it can be written");
    server.reload();
    let log = eventually(10, "the log tells of it", async || {
        let log = server.log();
        log.contains("incomplete").then_some(log)
    })
    .await;
    assert!(
        log.contains("somebody's intermediate") && log.contains("not valid for registry.example"),
        "{log}"
    );
    let ca = server.scratch().join("intermediate.pem");
    fs::write(&ca, authority.pem()).expect("it can be written");
    let admin = server.admin().trusting(&ca);
    let listed = admin
        .get("/api/ext/v1/certificates")
        .await
        .expect(200)
        .text();
    let notices = admin.get("/api/ext/v1/notices").await.expect(200).text();
    for told in [&listed, &notices] {
        assert!(
            told.contains("incomplete") && told.contains("not valid for registry.example"),
            "{told}"
        );
    }
    let said = server.cli_as_server(&["cert", "list"]).await;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("incomplete") && said.contains("registry.example"),
        "{said}"
    );
    let checked = server.cli(&["cert", "check", &server.host()]).await;
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        said.contains("incomplete") && said.contains("refuse it"),
        "{said}"
    );
}

#[tokio::test]
async fn a_certificate_that_clients_accept_is_found_good() {
    let server = Server::start().await;
    let ca = server.authority_file().to_string_lossy().into_owned();
    let said = server
        .cli_prints(&["cert", "check", &server.host(), "--ca", &ca])
        .await;
    assert!(said.contains("accept it"), "{said}");
    let listed = server
        .admin()
        .get("/api/ext/v1/certificates")
        .await
        .expect(200)
        .json();
    assert_eq!(listed[0]["warnings"], json!([]), "{listed}");
    let status = server
        .admin()
        .get("/api/ext/v1/certificates/acme")
        .await
        .expect(200)
        .json();
    assert_eq!(status["configured"], json!(false));
    let admin = server.admin();
    let order = admin.post("/api/ext/v1/certificates/acme/order").await;
    order.expect(412);
    let refused = server.cli(&["cert", "issue"]).await;
    assert_eq!(refused.status.code(), Some(1));
}
