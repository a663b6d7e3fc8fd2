//! Deleting tags, manifests and blobs, and what is kept because something else needs it.

use serde_json::json;

use super::SERVER;
use crate::harness::{Image, image, index_of, media, noise};

#[tokio::test]
async fn deleting_a_tag_keeps_the_digest() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("tag");
    let admin = server.admin();
    let image = image("delete a tag");
    admin.push_image(&repository, "one", &image).await;
    admin.push_image(&repository, "two", &image).await;
    let path = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
    admin.delete(&path("one")).await.expect(202);
    admin
        .get(&path("one"))
        .await
        .expect_error(404, "MANIFEST_UNKNOWN");
    admin
        .delete(&path("one"))
        .await
        .expect_error(404, "MANIFEST_UNKNOWN");
    admin.get(&path("two")).await.expect(200);
    admin.delete(&path("two")).await.expect(202);
    assert_eq!(
        admin.get(&path(&image.digest)).await.expect(200).body,
        image.manifest
    );
    let tags = admin
        .get(&format!("/v2/{repository}/tags/list"))
        .await
        .expect(200)
        .json();
    assert_eq!(tags, json!({ "name": repository, "tags": [] }));
}

#[tokio::test]
async fn deleting_a_digest_takes_its_tags_along() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("digest");
    let admin = server.admin();
    let (image, other) = (image("delete a digest"), image("stays"));
    admin.push_image(&repository, "one", &image).await;
    admin.push_image(&repository, "two", &image).await;
    admin.push_image(&repository, "other", &other).await;
    let path = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
    admin.delete(&path(&image.digest)).await.expect(202);
    for reference in ["one", "two", image.digest.as_str()] {
        admin
            .get(&path(reference))
            .await
            .expect_error(404, "MANIFEST_UNKNOWN");
        admin.head(&path(reference)).await.expect(404);
    }
    admin
        .delete(&path(&image.digest))
        .await
        .expect_error(404, "MANIFEST_UNKNOWN");
    let tags = admin
        .get(&format!("/v2/{repository}/tags/list"))
        .await
        .expect(200)
        .json();
    assert_eq!(tags["tags"], json!(["other"]));
}

#[tokio::test]
async fn a_manifest_with_many_tags_is_gone_at_once_and_can_be_pushed_again() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("many");
    let admin = server.admin();
    let image = image("many tags");
    admin.push_image(&repository, "first", &image).await;
    let path = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
    let tags: Vec<String> = (0..90).map(|number| format!("tag=v{number}")).collect();
    admin
        .put(&format!("{}?{}", path(&image.digest), tags.join("&")))
        .content_type(&image.media_type)
        .body(image.manifest.clone())
        .await
        .expect(201);
    admin.get(&path("v7")).await.expect(200);
    admin.delete(&path(&image.digest)).await.expect(202);
    for reference in ["v7", "v89", image.digest.as_str()] {
        let gone = admin.get(&path(reference)).await;
        gone.expect_error(404, "MANIFEST_UNKNOWN");
        let gone = admin.delete(&path(reference)).await;
        gone.expect_error(404, "MANIFEST_UNKNOWN");
    }
    let listed = async || {
        let list = admin.get(&format!("/v2/{repository}/tags/list")).await;
        list.expect(200).json()["tags"].clone()
    };
    assert_eq!(listed().await, json!([]));
    admin
        .push_manifest(&repository, "v7", &image.media_type, image.manifest.clone())
        .await
        .expect(201);
    assert_eq!(listed().await, json!(["v7"]));
    let again = admin.get(&path("v7")).await.expect(200);
    assert_eq!(again.body, image.manifest);
}

#[tokio::test]
async fn a_child_of_an_index_goes_with_it_and_not_before() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("child");
    let admin = server.admin();
    let child = image("child of an index");
    admin.push_image(&repository, &child.digest, &child).await;
    let (digest, index) = index_of(&[&child]);
    admin
        .push_manifest(&repository, "index", media::OCI_INDEX, index)
        .await
        .expect(201);
    let child = format!("/v2/{repository}/manifests/{}", child.digest);
    admin
        .delete(&child)
        .await
        .expect_error(412, "VIOLATE_FOREIGN_KEY_CONSTRAINT");
    admin.get(&child).await.expect(200);
    admin
        .delete(&format!("/v2/{repository}/manifests/{digest}"))
        .await
        .expect(202);
    admin.get(&child).await.expect(404);
}

#[tokio::test]
async fn what_something_else_keeps_does_not_go_with_an_index() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("kept");
    let admin = server.admin();
    let names = ["tagged", "shared", "alone"];
    let images = names.map(|name| image(&format!("{name} child")));
    let [tagged, shared, alone] = &images;
    admin.push_image(&repository, "own", tagged).await;
    for child in [shared, alone] {
        admin.push_image(&repository, &child.digest, child).await;
    }
    let (first, bytes) = index_of(&[tagged, shared, alone]);
    let (second, other) = index_of(&[shared]);
    for (tag, bytes) in [("first", bytes), ("second", other)] {
        let pushed = admin.push_manifest(&repository, tag, media::OCI_INDEX, bytes);
        pushed.await.expect(201);
    }
    let manifest = |digest: &str| format!("/v2/{repository}/manifests/{digest}");
    admin.delete(&manifest(&first)).await.expect(202);
    admin.get(&manifest(&tagged.digest)).await.expect(200);
    admin.get(&manifest(&shared.digest)).await.expect(200);
    admin.get(&manifest(&alone.digest)).await.expect(404);
    // It goes with the last one that lists it.
    admin.delete(&manifest(&second)).await.expect(202);
    admin.get(&manifest(&shared.digest)).await.expect(404);
    admin.get(&manifest("own")).await.expect(200);
    // What went can be pushed again.
    admin.push_image(&repository, &alone.digest, alone).await;
    admin.get(&manifest(&alone.digest)).await.expect(200);
}

/// Harbor could delete none of such: neither the index, whose signature it held, nor the project.
#[tokio::test]
async fn an_index_that_lists_signatures_goes_with_all_of_them() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("signed");
    let admin = server.admin();
    let child = image("signed child");
    let signature = child.about(
        "its signature",
        "application/vnd.dev.cosign.artifact.sig.v1+json",
    );
    for manifest in [&child, &signature] {
        admin
            .push_image(&repository, &manifest.digest, manifest)
            .await;
    }
    let (digest, bytes) = index_of(&[&child, &signature]);
    let size = bytes.len();
    let pushed = admin.push_manifest(&repository, "v1", media::OCI_INDEX, bytes);
    pushed.await.expect(201);
    let subject = json!({ "mediaType": media::OCI_INDEX, "digest": digest, "size": size });
    let of_index = Image::build("the index's signature", json!({ "subject": subject }));
    admin
        .push_image(&repository, &of_index.digest, &of_index)
        .await;
    let manifest = |digest: &str| format!("/v2/{repository}/manifests/{digest}");
    for held in [&child, &signature] {
        let refused = admin.delete(&manifest(&held.digest)).await;
        refused.expect_error(412, "VIOLATE_FOREIGN_KEY_CONSTRAINT");
    }
    admin.delete(&manifest(&digest)).await.expect(202);
    for gone in [&child, &signature, &of_index] {
        admin.get(&manifest(&gone.digest)).await.expect(404);
    }
    let project = format!("/api/v2.0/projects/{}", project.name);
    admin
        .delete(&format!("{project}/repositories/signed"))
        .await
        .expect(200);
    admin.delete(&project).await.expect(200);
}

#[tokio::test]
async fn a_blob_that_a_manifest_names_is_not_deleted() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("named");
    let admin = server.admin();
    let image = image("names its blobs");
    admin.push_image(&repository, "latest", &image).await;
    for blob in image.blobs() {
        let path = format!("/v2/{repository}/blobs/{}", blob.digest);
        let refused = admin.delete(&path).await.expect_error(405, "UNSUPPORTED");
        assert!(
            refused.text().contains(&image.digest),
            "the answer names the manifest: {refused}"
        );
        admin.get(&path).await.expect(200);
    }
}

#[tokio::test]
async fn a_blob_that_nothing_names_is_deleted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let bytes = noise("nobody's", 333);
    let digest = admin
        .push_blob(&project.repository("here"), bytes.clone())
        .await;
    admin
        .push_blob(&project.repository("there"), bytes.clone())
        .await;
    let path = format!("/v2/{}/blobs/{digest}", project.repository("here"));
    admin.delete(&path).await.expect(202);
    admin.get(&path).await.expect_error(404, "BLOB_UNKNOWN");
    admin.head(&path).await.expect(404);
    admin.delete(&path).await.expect_error(404, "BLOB_UNKNOWN");
    let elsewhere = format!("/v2/{}/blobs/{digest}", project.repository("there"));
    assert_eq!(
        admin.get(&elsewhere).await.expect(200).body,
        bytes,
        "the other repository keeps it"
    );
    admin
        .push_blob(&project.repository("here"), bytes.clone())
        .await;
    assert_eq!(
        admin.get(&path).await.expect(200).body,
        bytes,
        "it can be pushed again"
    );
}

#[tokio::test]
async fn a_repository_outlives_its_manifests_and_can_be_used_again() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("again");
    let admin = server.admin();
    let image = image("again and again");
    for _ in 0..3 {
        admin.push_image(&repository, "latest", &image).await;
        admin
            .delete(&format!("/v2/{repository}/manifests/{}", image.digest))
            .await
            .expect(202);
        admin
            .get(&format!("/v2/{repository}/manifests/latest"))
            .await
            .expect(404);
    }
}

#[tokio::test]
async fn a_deletion_that_fails_deletes_nothing() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("fails");
    let admin = server.admin();
    let image = image("fails to be deleted");
    admin.push_image(&repository, "latest", &image).await;
    admin
        .delete(&format!("/v2/{repository}/manifests/nope"))
        .await
        .expect_error(404, "MANIFEST_UNKNOWN");
    let nothing = format!("sha256:{}", "1".repeat(64));
    admin
        .delete(&format!("/v2/{repository}/manifests/{nothing}"))
        .await
        .expect_error(404, "MANIFEST_UNKNOWN");
    admin
        .delete(&format!("/v2/{repository}/blobs/{nothing}"))
        .await
        .expect_error(404, "BLOB_UNKNOWN");
    admin
        .get(&format!("/v2/{repository}/manifests/latest"))
        .await
        .expect(200);
}
