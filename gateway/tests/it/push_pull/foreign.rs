//! Layers whose descriptors say that they may be fetched elsewhere: what is here is kept, and what is not may be
//! missing only where its type allows that.

use bytes::Bytes;
use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Server, eventually, media, noise, sha256};

const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const OCI_FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

/// Whether a descriptor says where else its bytes are.
#[derive(Clone, Copy, PartialEq)]
enum Urls {
    Given,
    Absent,
}

/// Pushes the manifest of an image with one such layer; its digest is the answer's.
async fn push(
    admin: &Client,
    repository: &str,
    (media_type, urls): (&str, Urls),
    layer: &Bytes,
) -> crate::harness::Answer {
    let config = admin.push_blob(repository, "{\"foreign\":1}").await;
    let mut descriptor =
        json!({ "mediaType": media_type, "digest": sha256(layer), "size": layer.len() });
    if urls == Urls::Given {
        descriptor["urls"] = json!(["https://far.example/layer"]);
    }
    let manifest = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": { "mediaType": media::OCI_CONFIG, "digest": config, "size": 13 },
        "layers": [descriptor] });
    let text = manifest.to_string();
    admin
        .push_manifest(repository, "latest", media::OCI_MANIFEST, text)
        .await
}

/// A blob that a manifest names cannot be deleted before the manifest is.
async fn is_kept(admin: &Client, repository: &str, manifest: &str, layer: &Bytes) {
    let path = format!("/v2/{repository}/blobs/{}", sha256(layer));
    let refused = admin.delete(&path).await.expect_error(405, "UNSUPPORTED");
    assert!(refused.message().contains(manifest), "{refused}");
    assert_eq!(admin.get(&path).await.expect(200).body, *layer);
    let path = format!("/v2/{repository}/manifests/{manifest}");
    admin.delete(&path).await.expect(202);
    let path = format!("/v2/{repository}/blobs/{}", sha256(layer));
    admin.delete(&path).await.expect(202);
}

/// Everything that holds on either database.
pub(crate) async fn what_is_here_is_referred_to(server: &Server) {
    let project = server.private_project().await;
    let admin = server.admin();
    let kinds = [
        (DOCKER_FOREIGN, Urls::Given),
        (DOCKER_FOREIGN, Urls::Absent),
        (OCI_FOREIGN, Urls::Given),
        (media::OCI_LAYER, Urls::Given),
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let layer = noise(&format!("foreign {number}"), 700);
        let repository = project.repository(&format!("here-{number}"));
        admin.push_blob(&repository, layer.clone()).await;
        let pushed = push(&admin, &repository, kind, &layer).await.expect(201);
        is_kept(&admin, &repository, pushed.digest(), &layer).await;
    }
    for (number, media_type) in [DOCKER_FOREIGN, OCI_FOREIGN].into_iter().enumerate() {
        let layer = noise(&format!("foreign and late {number}"), 700);
        let repository = project.repository(&format!("late-{number}"));
        let kind = (media_type, Urls::Given);
        let pushed = push(&admin, &repository, kind, &layer).await.expect(201);
        let path = format!("/v2/{repository}/blobs/{}", sha256(&layer));
        admin.get(&path).await.expect(404);
        admin.push_blob(&repository, layer.clone()).await;
        is_kept(&admin, &repository, pushed.digest(), &layer).await;
    }
}

#[tokio::test]
async fn a_layer_that_is_here_is_kept_whatever_its_descriptor_says() {
    what_is_here_is_referred_to(&*SERVER.get().await).await;
}

#[tokio::test]
async fn an_ordinary_layer_must_be_here_even_with_urls() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("ordinary");
    let layer = noise("ordinary and far", 700);
    let admin = server.admin();
    for media_type in [
        media::OCI_LAYER,
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.example.thing",
    ] {
        let kind = (media_type, Urls::Given);
        let refused = push(&admin, &repository, kind, &layer).await;
        let refused = refused.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
        assert!(refused.text().contains(&sha256(&layer)), "{refused}");
    }
}

#[tokio::test]
async fn a_wrong_size_of_a_foreign_layer_is_refused_where_it_is_here() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("foreign-size");
    let admin = server.admin();
    let layer = noise("foreign size", 700);
    let digest = admin.push_blob(&repository, layer.clone()).await;
    let config = admin.push_blob(&repository, "{}").await;
    let manifest: Value = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": { "mediaType": media::OCI_CONFIG, "digest": config, "size": 2 },
        "layers": [{ "mediaType": OCI_FOREIGN, "digest": digest, "size": 9 }] });
    let put = admin.push_manifest(&repository, "v1", media::OCI_MANIFEST, manifest.to_string());
    put.await.expect_error(400, "MANIFEST_INVALID");
}

#[tokio::test]
async fn a_foreign_layer_that_came_late_is_not_collected() {
    let server = Server::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await;
    let admin = server.admin();
    let (late, loose) = (noise("late and collected", 700), noise("loose", 700));
    let kind = (DOCKER_FOREIGN, Urls::Given);
    push(&admin, "library/late", kind, &late).await.expect(201);
    admin.push_blob("library/late", late.clone()).await;
    let loose = admin.push_blob("library/late", loose).await;
    eventually(20, "what nothing names is gone", async || {
        let path = format!("/v2/library/late/blobs/{loose}");
        (admin.get(&path).await.status == 404).then_some(())
    })
    .await;
    let path = format!("/v2/library/late/blobs/{}", sha256(&late));
    assert_eq!(admin.get(&path).await.expect(200).body, late);
    let why = server.cli_prints(&["storage", "why", &sha256(&late)]).await;
    assert!(why.contains("library/late: named by"), "{why}");
}
