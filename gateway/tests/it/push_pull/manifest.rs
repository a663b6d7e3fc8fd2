//! Manifests of every kind: what is accepted, what is refused, and that no byte changes.

use bytes::Bytes;
use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Image, Server, image, index_of, media, noise, sha256, sha512};

/// Pushes a manifest by tag, and pulls it by tag and digest.
async fn round_trip(client: &Client, repository: &str, tag: &str, media_type: &str, bytes: &Bytes) {
    let pushed = client
        .push_manifest(repository, tag, media_type, bytes.clone())
        .await
        .expect(201);
    let digest = sha256(bytes);
    assert_eq!(pushed.digest(), digest, "{tag}");
    assert_eq!(
        pushed.location(),
        format!("/v2/{repository}/manifests/{digest}"),
        "{tag}"
    );
    for reference in [tag, &digest] {
        let pulled = client
            .get(&format!("/v2/{repository}/manifests/{reference}"))
            .await
            .expect(200);
        assert_eq!(pulled.body, *bytes, "{tag}: the bytes changed");
        assert_eq!(pulled.header("content-type"), media_type, "{tag}");
        assert_eq!(pulled.digest(), digest, "{tag}");
    }
}

#[tokio::test]
async fn every_kind_of_manifest_comes_back_to_the_byte() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("kinds");
    let admin = server.admin();
    let (one, two) = (image("kind one"), image("kind two"));
    admin.push_image(&repository, "one", &one).await;
    admin.push_image(&repository, "two", &two).await;
    let (config, layer) = (&one.config, &one.layers[0]);

    let docker = json!({ "schemaVersion": 2, "mediaType": media::DOCKER_MANIFEST,
        "config": config.descriptor("application/vnd.docker.container.image.v1+json"),
        "layers": [layer.descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip")] });
    let docker = Bytes::from(docker.to_string());
    round_trip(
        &admin,
        &repository,
        "docker",
        media::DOCKER_MANIFEST,
        &docker,
    )
    .await;

    let mut child = json!({ "mediaType": media::DOCKER_MANIFEST, "digest": sha256(&docker), "size": docker.len() });
    child["platform"] = json!({ "architecture": "arm64", "os": "linux", "variant": "v8" });
    let list = json!({ "schemaVersion": 2, "mediaType": media::DOCKER_LIST, "manifests": [child] });
    round_trip(
        &admin,
        &repository,
        "list",
        media::DOCKER_LIST,
        &list.to_string().into(),
    )
    .await;

    let (index_digest, index) = index_of(&[&one, &two]);
    round_trip(&admin, &repository, "index", media::OCI_INDEX, &index).await;

    let inner =
        json!({ "mediaType": media::OCI_INDEX, "digest": index_digest, "size": index.len() });
    let nested = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [inner, two.descriptor()] });
    round_trip(
        &admin,
        &repository,
        "nested",
        media::OCI_INDEX,
        &nested.to_string().into(),
    )
    .await;

    let empty_index = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [] });
    round_trip(
        &admin,
        &repository,
        "empty-index",
        media::OCI_INDEX,
        &empty_index.to_string().into(),
    )
    .await;

    let empty = admin.push_blob(&repository, "{}").await;
    let empty =
        json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2 });
    let artifact = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "artifactType": "application/vnd.example.thing", "config": empty, "layers": [empty] });
    round_trip(
        &admin,
        &repository,
        "artifact",
        media::OCI_MANIFEST,
        &artifact.to_string().into(),
    )
    .await;

    // what no serialiser would write: spaces, another order, unknown fields, escapes, no mediaType, a final newline
    let odd = format!(
        "{{\n  \"unknown\": [1, 2.50, \"\\u00e9\"],\n\t\"layers\": [ ],\n  \"config\": {},\n  \"schemaVersion\": 2 }}\n",
        config.descriptor(media::OCI_CONFIG)
    );
    round_trip(&admin, &repository, "odd", media::OCI_MANIFEST, &odd.into()).await;
}

#[tokio::test]
async fn lists_may_be_null_or_absent() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("null");
    let admin = server.admin();
    let config = admin.push_blob(&repository, "{\"null\":1}").await;
    let config = format!(
        r#""config":{{"mediaType":"{}","digest":"{config}","size":10}}"#,
        media::OCI_CONFIG
    );
    for (tag, media_type, rest) in [
        (
            "null",
            media::OCI_MANIFEST,
            format!("{config},\"layers\":null"),
        ),
        ("absent", media::OCI_MANIFEST, config.clone()),
        (
            "docker",
            media::DOCKER_MANIFEST,
            format!("{config},\"layers\":null"),
        ),
        ("index", media::OCI_INDEX, "\"manifests\":null".to_owned()),
        ("list", media::DOCKER_LIST, "\"manifests\":null".to_owned()),
    ] {
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}",{rest}}}"#);
        round_trip(&admin, &repository, tag, media_type, &text.into()).await;
    }
}

#[tokio::test]
async fn a_wrong_size_is_refused_and_named() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("sizes");
    let admin = server.admin();
    let image = image("wrong sizes");
    admin.push_image(&repository, "right", &image).await;
    let mut manifest: Value = serde_json::from_slice(&image.manifest).expect("it is JSON");
    manifest["config"]["size"] = 5.into();
    manifest["layers"][1]["size"] = 301.into();
    let put = admin.push_manifest(
        &repository,
        "wrong",
        media::OCI_MANIFEST,
        manifest.to_string(),
    );
    let refused = put.await.expect_error(400, "MANIFEST_INVALID");
    let errors = refused.json()["errors"].as_array().cloned();
    let errors = errors.unwrap_or_default();
    assert_eq!(errors.len(), 2, "{refused}");
    for (error, field, blob, stated) in [
        (&errors[0], "config", &image.config, 5),
        (&errors[1], "layers[1]", &image.layers[1], 301),
    ] {
        let message = format!(
            "{field} states {stated} bytes for {}, which has {}",
            blob.digest,
            blob.bytes.len()
        );
        assert_eq!(error["message"], message.as_str());
    }
    let (_, index) = index_of(&[&image]);
    let wrong = String::from_utf8_lossy(&index)
        .replace(&format!("\"size\":{}", image.manifest.len()), "\"size\":1");
    let put = admin.push_manifest(&repository, "index", media::OCI_INDEX, wrong);
    let refused = put.await.expect_error(400, "MANIFEST_INVALID");
    assert!(
        refused.message().starts_with("manifests[0] states 1 bytes"),
        "{refused}"
    );
    for tag in ["wrong", "index"] {
        let path = format!("/v2/{repository}/manifests/{tag}");
        admin.get(&path).await.expect(404);
    }
}

/// Texts with NUL, which one of the databases cannot store.
pub(crate) async fn nul_is_refused(server: &Server) {
    let repository = server.private_project().await.repository("nul");
    let admin = server.admin();
    let config = admin.push_blob(&repository, "{}").await;
    let push = async |field: &str, pointer: &str, value: Value| {
        let descriptor =
            json!({ "mediaType": "application/x", "digest": config, "size": 2, "platform": null });
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
            "artifactType": "", "config": descriptor, "layers": [descriptor] });
        *manifest.pointer_mut(pointer).expect("the field is there") = value;
        let text = manifest.to_string();
        let put = admin.push_manifest(&repository, "nul", media::OCI_MANIFEST, text);
        let refused = put.await.expect_error(400, "MANIFEST_INVALID");
        assert_eq!(refused.message(), format!("{field} must not contain NUL"));
    };
    push("artifactType", "/artifactType", "a\0b".into()).await;
    push("config.mediaType", "/config/mediaType", "\0".into()).await;
    push("layers[0].mediaType", "/layers/0/mediaType", "x\0".into()).await;
    let platform = json!({ "os": "linux", "architecture": "\0" });
    push("layers[0].platform", "/layers/0/platform", platform).await;
    let subject = sha256(b"subject");
    for path in [
        format!("/v2/{repository}/referrers/{subject}?artifactType=a%00"),
        format!("/v2/{repository}/tags/list?last=%00"),
        "/v2/_catalog?last=a%00b".to_owned(),
    ] {
        admin.get(&path).await.expect_error(400, "UNSUPPORTED");
    }
}

#[tokio::test]
async fn nul_in_a_type_is_refused() {
    nul_is_refused(&*SERVER.get().await).await;
}

#[tokio::test]
async fn a_build_cache_index_may_list_layers() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("cache");
    let admin = server.admin();
    let layer = admin
        .push_blob(&repository, noise("cache layer", 900))
        .await;
    let config = admin.push_blob(&repository, "{\"cache\":1}").await;
    let index = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [
        { "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": 900 },
        { "mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": config, "size": 11 } ] });
    round_trip(
        &admin,
        &repository,
        "cache",
        media::OCI_INDEX,
        &index.to_string().into(),
    )
    .await;
}

#[tokio::test]
async fn a_manifest_may_be_pushed_by_digest() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("digest");
    let admin = server.admin();
    let image = image("by digest");
    admin.push_image(&repository, &image.digest, &image).await;
    let pulled = admin
        .get(&format!("/v2/{repository}/manifests/{}", image.digest))
        .await
        .expect(200);
    assert_eq!(pulled.body, image.manifest);
    let tags = admin
        .get(&format!("/v2/{repository}/tags/list"))
        .await
        .expect(200)
        .json();
    assert_eq!(tags, json!({ "name": repository, "tags": [] }));
}

#[tokio::test]
async fn a_manifest_may_be_pushed_by_sha512() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("digest512");
    let admin = server.admin();
    let image = image("by sha512");
    for blob in image.blobs() {
        admin.push_blob(&repository, blob.bytes.clone()).await;
    }
    let digest = sha512(&image.manifest);
    let pushed = admin
        .push_manifest(
            &repository,
            &digest,
            &image.media_type,
            image.manifest.clone(),
        )
        .await;
    assert_eq!(pushed.expect(201).digest(), digest);
    let pulled = admin
        .get(&format!("/v2/{repository}/manifests/{digest}"))
        .await
        .expect(200);
    assert_eq!(
        (pulled.digest(), &pulled.body),
        (digest.as_str(), &image.manifest)
    );
}

#[tokio::test]
async fn a_manifest_under_another_digest_is_refused() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("mismatch");
    let admin = server.admin();
    let image = image("mismatch");
    admin.push_image(&repository, "latest", &image).await;
    for other in [sha256(b"other"), sha512(b"other")] {
        let put = admin
            .push_manifest(
                &repository,
                &other,
                &image.media_type,
                image.manifest.clone(),
            )
            .await;
        put.expect_error(400, "DIGEST_INVALID");
        admin
            .get(&format!("/v2/{repository}/manifests/{other}"))
            .await
            .expect_error(404, "MANIFEST_UNKNOWN");
    }
}

#[tokio::test]
async fn every_missing_reference_is_reported() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("missing");
    let admin = server.admin();
    let image = image("missing references");
    admin
        .push_blob(&repository, image.layers[1].bytes.clone())
        .await;
    let put = admin
        .push_manifest(
            &repository,
            "latest",
            &image.media_type,
            image.manifest.clone(),
        )
        .await;
    let refused = put.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    let text = refused.text();
    for missing in [&image.config.digest, &image.layers[0].digest] {
        assert!(
            text.contains(missing.as_str()),
            "{missing} is missing too: {text}"
        );
    }
    assert!(
        !text.contains(&image.layers[1].digest),
        "this one is there: {text}"
    );
    let errors = refused.json()["errors"].as_array().map_or(0, Vec::len);
    assert_eq!(errors, 2, "one error for each: {text}");
    admin
        .get(&format!("/v2/{repository}/manifests/latest"))
        .await
        .expect(404);
}

#[tokio::test]
async fn an_index_needs_its_children_in_the_same_repository() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let (one, two) = (image("child one"), image("child two"));
    admin
        .push_image(&project.repository("here"), "one", &one)
        .await;
    admin
        .push_image(&project.repository("there"), "two", &two)
        .await;
    let (_, index) = index_of(&[&one, &two]);
    let put = admin
        .push_manifest(
            &project.repository("here"),
            "index",
            media::OCI_INDEX,
            index,
        )
        .await;
    let refused = put.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(
        refused.text().contains(&two.digest) && !refused.text().contains(&one.digest),
        "{refused}"
    );
}

#[tokio::test]
async fn a_manifest_of_4_mib_is_the_largest() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("large");
    let admin = server.admin();
    let small = image("large manifest");
    admin.push_image(&repository, "small", &small).await;
    let largest = 4 << 20;
    for (length, status) in [(largest, 201), (largest + 1, 413)] {
        let mut manifest: Value =
            serde_json::from_slice(&small.manifest).expect("a manifest is JSON");
        manifest["annotations"] = json!({ "filling": "" });
        let filling = length - manifest.to_string().len();
        manifest["annotations"]["filling"] = "x".repeat(filling).into();
        let bytes = Bytes::from(manifest.to_string());
        assert_eq!(bytes.len(), length);
        let answer = admin
            .push_manifest(
                &repository,
                &format!("s{status}"),
                media::OCI_MANIFEST,
                bytes.clone(),
            )
            .await;
        answer.expect(status);
        if status == 201 {
            let pulled = admin
                .get(&format!("/v2/{repository}/manifests/s201"))
                .await
                .expect(200);
            assert!(pulled.body == bytes, "the bytes changed");
        }
    }
}

#[tokio::test]
async fn the_content_type_has_to_fit_the_manifest() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("types");
    let admin = server.admin();
    let image = image("types");
    admin.push_image(&repository, "latest", &image).await;
    for wrong in [
        media::OCI_INDEX,
        media::DOCKER_MANIFEST,
        "text/plain",
        "application/json",
        "nonsense",
    ] {
        let put = admin
            .push_manifest(&repository, "wrong", wrong, image.manifest.clone())
            .await;
        put.expect_error(400, "MANIFEST_INVALID");
    }
    let parameters = format!("{}; charset=utf-8", media::OCI_MANIFEST);
    let put = admin
        .push_manifest(
            &repository,
            "parameters",
            &parameters,
            image.manifest.clone(),
        )
        .await;
    put.expect(201);
}

#[tokio::test]
async fn several_tags_in_one_push() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("tags");
    let admin = server.admin();
    let image = image("several tags");
    admin.push_image(&repository, "first", &image).await;
    let path = format!(
        "/v2/{repository}/manifests/{}?tag=one&tag=two",
        image.digest
    );
    let pushed = admin
        .put(&path)
        .content_type(&image.media_type)
        .body(image.manifest.clone())
        .await
        .expect(201);
    let named: Vec<&str> = pushed
        .headers
        .get_all("oci-tag")
        .iter()
        .filter_map(|tag| tag.to_str().ok())
        .collect();
    let named = named.join(",");
    for tag in ["one", "two"] {
        assert!(
            named.split(',').any(|name| name.trim() == tag),
            "OCI-Tag names {tag}: {pushed}"
        );
        let pulled = admin
            .get(&format!("/v2/{repository}/manifests/{tag}"))
            .await
            .expect(200);
        assert_eq!(pulled.digest(), image.digest, "{tag}");
    }
}

#[tokio::test]
async fn a_tag_moves_and_the_old_digest_stays() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("moving");
    let admin = server.admin();
    let (old, new) = (image("old"), image("new"));
    admin.push_image(&repository, "latest", &old).await;
    admin.push_image(&repository, "latest", &new).await;
    let path = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
    assert_eq!(
        admin.get(&path("latest")).await.expect(200).digest(),
        new.digest
    );
    assert_eq!(
        admin.get(&path(&old.digest)).await.expect(200).body,
        old.manifest
    );
}

#[tokio::test]
async fn pushing_the_same_manifest_again_changes_nothing() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("again");
    let admin = server.admin();
    let image: Image = image("again");
    for _ in 0..3 {
        admin.push_image(&repository, "latest", &image).await;
    }
    let tags = admin
        .get(&format!("/v2/{repository}/tags/list"))
        .await
        .expect(200)
        .json();
    assert_eq!(tags["tags"], json!(["latest"]));
}

#[tokio::test]
async fn tags_of_cosign_are_ordinary_tags() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("cosign");
    let admin = server.admin();
    let image = image("cosign");
    let tag = format!("{}.sig", image.digest.replace(':', "-"));
    admin.push_image(&repository, &tag, &image).await;
    assert_eq!(
        admin
            .get(&format!("/v2/{repository}/manifests/{tag}"))
            .await
            .expect(200)
            .digest(),
        image.digest
    );
}
