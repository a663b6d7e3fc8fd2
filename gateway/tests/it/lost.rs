//! Objects that the store lost or damaged: a check marks them, clients are told that they are missing, and the next
//! push brings them back.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::json;

use crate::harness::{Client, Replicas, Server, eventually, media, noise, sha256};

/// An image with one layer that is too large to be kept in memory.
struct Stored {
    repository: String,
    layer: Bytes,
    manifest: String,
}

impl Stored {
    async fn push(server: &Server, name: &str) -> Self {
        let repository = server.private_project().await.repository(name);
        let layer = noise(name, 100_000);
        let config = format!("{{\"author\":\"{name}\"}}");
        let manifest = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
            "config": { "mediaType": media::OCI_CONFIG, "digest": sha256(config.as_bytes()), "size": config.len() },
            "layers": [{ "mediaType": media::OCI_LAYER, "digest": sha256(&layer), "size": layer.len() }] });
        let stored = Self {
            repository,
            layer,
            manifest: manifest.to_string(),
        };
        let admin = server.admin();
        admin.push_blob(&stored.repository, config).await;
        admin
            .push_blob(&stored.repository, stored.layer.clone())
            .await;
        stored.tag(&admin, "v1").await.expect(201);
        stored
    }

    async fn tag(&self, admin: &Client, tag: &str) -> crate::harness::Answer {
        let manifest = self.manifest.clone();
        admin
            .push_manifest(&self.repository, tag, media::OCI_MANIFEST, manifest)
            .await
    }

    fn digest(&self) -> String {
        sha256(&self.layer)
    }

    fn path(&self) -> String {
        format!("/v2/{}/blobs/{}", self.repository, self.digest())
    }

    /// The file of the layer.
    async fn file(&self, server: &Server, blobs: &Path) -> PathBuf {
        let why = server
            .cli_as_server(&["storage", "why", &self.digest()])
            .await;
        let why = String::from_utf8_lossy(&why.stdout).into_owned();
        blobs.join(why.split_whitespace().nth(4).expect("it names the key"))
    }

    async fn is_missing(&self, server: &Server) {
        let admin = server.admin();
        eventually(5, "the mark is seen", async || {
            (admin.head(&self.path()).await.status == 404).then_some(())
        })
        .await;
        admin
            .get(&self.path())
            .await
            .expect_error(404, "BLOB_UNKNOWN");
    }
}

/// Runs a check; its exit code and what it printed.
async fn check(server: &Server, more: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["storage", "check"], more].concat();
    let ended = server.cli_as_server(&arguments).await;
    let printed = [ended.stdout, ended.stderr].concat();
    (
        ended.status.code(),
        String::from_utf8_lossy(&printed).into_owned(),
    )
}

/// What holds on either database.
async fn a_lost_blob_comes_back_with_the_next_push(server: &Server, blobs: &Path) {
    server.may_complain();
    let admin = server.admin();
    let stored = Stored::push(server, "lost").await;
    fs::remove_file(stored.file(server, blobs).await).expect("the object can be removed");
    let failed = admin
        .get(&stored.path())
        .await
        .expect_error(503, "UNAVAILABLE");
    for named in [&stored.digest(), &stored.repository] {
        assert!(failed.message().contains(named), "{failed}");
    }
    let range = admin.get(&stored.path()).header("range", "bytes=0-1,5-6");
    range.await.expect_error(503, "UNAVAILABLE");
    for _ in 0..2 {
        let (code, printed) = check(server, &[]).await;
        assert_eq!(code, Some(1), "{printed}");
        let finding = format!("blob {} (", stored.digest());
        assert!(printed.contains(&finding), "{printed}");
        assert!(printed.contains("the object is missing"), "{printed}");
        let push = format!(
            "/v2/{}/blobs/uploads/?digest={}'",
            stored.repository,
            stored.digest()
        );
        assert!(printed.contains(&push), "{printed}");
    }
    stored.is_missing(server).await;
    // Nothing new relies upon it.
    let refused = stored.tag(&admin, "v2").await;
    refused.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    let other = server.private_project().await.repository("other");
    let mount = format!(
        "/v2/{other}/blobs/uploads/?mount={}&from={}",
        stored.digest(),
        stored.repository
    );
    admin.post(&mount).await.expect(202);
    // The next push of it, wherever it goes, brings it back everywhere.
    admin.push_blob(&other, stored.layer.clone()).await;
    eventually(5, "it is there again", async || {
        (admin.head(&stored.path()).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        admin.get(&stored.path()).await.expect(200).body,
        stored.layer
    );
    stored.tag(&admin, "v2").await.expect(201);
    let (code, printed) = check(server, &["--rehash"]).await;
    assert_eq!(code, Some(0), "{printed}");
    let usage = server.cli_as_server(&["storage", "usage"]).await;
    assert!(usage.status.success(), "{usage:?}");
}

#[tokio::test]
async fn a_lost_object_is_marked_and_pushed_again() {
    let server = Server::start().await;
    a_lost_blob_comes_back_with_the_next_push(&server, &server.data().join("blobs")).await;
}

#[tokio::test]
async fn a_lost_object_is_marked_and_pushed_again_on_postgres() {
    let replicas = Replicas::start().await;
    replicas.second.may_complain();
    a_lost_blob_comes_back_with_the_next_push(&replicas.first, &replicas.blobs()).await;
}

#[tokio::test]
async fn a_damaged_object_is_missing_until_it_is_whole() {
    let server = Server::start().await;
    let stored = Stored::push(&server, "damaged").await;
    let file = stored.file(&server, &server.data().join("blobs")).await;
    let mut bytes = stored.layer.to_vec();
    bytes[5_000] ^= 1;
    fs::write(&file, bytes).expect("the object can be written");
    let (code, printed) = check(&server, &["--rehash"]).await;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("the bytes have digest"), "{printed}");
    stored.is_missing(&server).await;
    // Its size is right, and still it is not whole.
    let (code, printed) = check(&server, &[]).await;
    assert_eq!(code, Some(1), "{printed}");
    stored.is_missing(&server).await;
    fs::write(&file, &stored.layer).expect("the object can be written");
    let (code, printed) = check(&server, &[]).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("1 blobs marked as lost are intact"),
        "{printed}"
    );
    let admin = server.admin();
    eventually(5, "it is served again", async || {
        (admin.get(&stored.path()).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lost_blob_can_be_deleted_and_its_image_mended() {
    let server = Server::start().await;
    let stored = Stored::push(&server, "deleted").await;
    let admin = server.admin();
    admin
        .delete(&stored.path())
        .await
        .expect_error(405, "UNSUPPORTED");
    let file = stored.file(&server, &server.data().join("blobs")).await;
    fs::remove_file(file).expect("the object can be removed");
    let (code, printed) = check(&server, &[]).await;
    assert_eq!(code, Some(1), "{printed}");
    stored.is_missing(&server).await;
    admin.delete(&stored.path()).await.expect(202);
    admin
        .delete(&stored.path())
        .await
        .expect_error(404, "BLOB_UNKNOWN");
    let (code, printed) = check(&server, &[]).await;
    assert_eq!(code, Some(0), "{printed}");
    // The manifest names it by its digest, whichever row that has.
    admin
        .push_blob(&stored.repository, stored.layer.clone())
        .await;
    assert_eq!(
        admin.get(&stored.path()).await.expect(200).body,
        stored.layer
    );
    admin
        .delete(&stored.path())
        .await
        .expect_error(405, "UNSUPPORTED");
    let path = format!(
        "/v2/{}/manifests/{}",
        stored.repository,
        sha256(stored.manifest.as_bytes())
    );
    admin.delete(&path).await.expect(202);
    admin.delete(&stored.path()).await.expect(202);
    let usage = server.cli_as_server(&["storage", "usage"]).await;
    assert!(usage.status.success(), "{usage:?}");
}

#[tokio::test]
async fn a_blob_row_that_cannot_be_understood_is_named_and_hides_no_other() {
    let server = Server::start().await;
    let (first, second) = (
        Stored::push(&server, "broken").await,
        Stored::push(&server, "behind").await,
    );
    let blobs = server.data().join("blobs");
    fs::remove_file(second.file(&server, &blobs).await).expect("the object can be removed");
    server.stop().await;
    let damage = format!(
        "update blob set digest = x'07' where digest = x'{}'",
        hex_of(&first.digest())
    );
    server.sql(&damage).await;
    let (code, printed) = check(&server, &[]).await;
    assert_eq!(code, Some(1), "{printed}");
    for finding in [
        "of blob has an invalid digest: \"07\"",
        &*format!("blob {} (", second.digest()),
        "3 blobs, ",
    ] {
        assert!(printed.contains(finding), "{finding}: {printed}");
    }
    let folder = server.scratch().join("backup");
    let backup = ["backup", folder.to_str().expect("the path is text")];
    let ended = server.cli_as_server(&backup).await;
    assert!(ended.status.success(), "{ended:?}");
    let digests = fs::read_to_string(folder.join("digests.txt")).expect("it can be read");
    assert!(
        digests.contains("\n07 ") || digests.starts_with("07 "),
        "{digests}"
    );
}

/// A digest as the database holds it, in hex.
fn hex_of(digest: &str) -> String {
    let digest: model::Digest = digest.parse().expect("a digest");
    hex::encode(digest.to_bytes())
}
