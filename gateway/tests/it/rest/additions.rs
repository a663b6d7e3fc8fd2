//! Additions of artifacts: histories of images, files of charts and models.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Blob, Client, Image, Project, media};

const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const HELM_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const MODEL: &str = "application/vnd.cncf.model.manifest.v1+json";

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_cksum();
        let added = archive.append_data(&mut header, path, *content);
        added.expect("memory takes it");
    }
    archive.into_inner().expect("memory takes it")
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut packed, bytes).expect("memory takes it");
    packed.finish().expect("memory takes it").into()
}

/// A manifest with this config and these layers.
fn manifest(config: (&str, &Value), layers: Vec<(Value, Blob)>, rest: Value) -> Image {
    let blob = Blob::new(config.1.to_string().into());
    let mut fields = rest;
    fields["config"] = blob.descriptor(config.0);
    let descriptors: Vec<&Value> = layers.iter().map(|(descriptor, _)| descriptor).collect();
    fields["layers"] = json!(descriptors);
    let mut built = Image::build("an addition", fields);
    built.config = blob;
    built.layers = layers.into_iter().map(|(_, blob)| blob).collect();
    built
}

fn layer(media_type: &str, bytes: Bytes) -> (Value, Blob) {
    let blob = Blob::new(bytes);
    (blob.descriptor(media_type), blob)
}

/// Pushes it as `v1` of a repository; the path of its additions.
async fn pushed(client: &Client, project: &Project<'_>, name: &str, image: &Image) -> String {
    client
        .push_image(&project.repository(name), "v1", image)
        .await;
    format!(
        "/api/v2.0/projects/{}/repositories/{name}/artifacts/v1/additions",
        project.name
    )
}

#[tokio::test]
async fn an_image_shows_how_it_was_built() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let history = json!([{ "created": "2026-01-02T03:04:05Z", "created_by": "golden" }]);
    let config = json!({ "architecture": "amd64", "os": "linux", "history": history });
    let image = manifest((media::OCI_CONFIG, &config), Vec::new(), json!({}));
    let here = pushed(&admin, &project, "image", &image).await;
    let found = admin
        .get(&format!("{here}/build_history"))
        .await
        .expect(200);
    assert_eq!(
        found.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(found.json(), history);
    let refused = admin.get(&format!("{here}/readme.md")).await;
    assert_eq!(
        refused.expect_error(400, "BAD_REQUEST").message(),
        "addition README.MD isn't supported for IMAGE(manifest version 2)"
    );
    let refused = admin.get(&format!("{here}/none")).await;
    refused.expect_error(400, "BAD_REQUEST");
    let none = json!({ "architecture": "amd64" });
    let image = manifest((media::OCI_CONFIG, &none), Vec::new(), json!({}));
    let here = pushed(&admin, &project, "without", &image).await;
    let found = admin.get(&format!("{here}/build_history")).await;
    assert_eq!(found.expect(200).json(), json!([]));
}

#[tokio::test]
async fn a_chart_shows_values_readme_and_dependencies() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let needs =
        json!([{ "name": "redis", "version": "1.x", "repository": "oci://example.com/redis" }]);
    let config = json!({ "name": "nginx", "version": "1.0.0", "dependencies": needs });
    let archive = gzip(&tar(&[
        ("nginx/Chart.yaml", b"name: nginx"),
        ("nginx/charts/redis/values.yaml", b"port: 6379"),
        ("nginx/values.yaml", b"port: 80"),
        ("nginx/README.md", b"# nginx"),
    ]));
    let chart = manifest(
        (HELM_CONFIG, &config),
        vec![layer(HELM_LAYER, archive)],
        json!({}),
    );
    let here = pushed(&admin, &project, "chart", &chart).await;
    for (name, media_type, text) in [
        ("values.yaml", "text/plain; charset=utf-8", "port: 80"),
        ("readme.md", "text/markdown; charset=utf-8", "# nginx"),
    ] {
        let found = admin.get(&format!("{here}/{name}")).await.expect(200);
        assert_eq!(found.header("content-type"), media_type);
        assert_eq!(found.text(), text);
    }
    let found = admin.get(&format!("{here}/dependencies")).await;
    assert_eq!(found.expect(200).json(), needs);
    let itself = admin.get(here.trim_end_matches("/additions")).await.json();
    let links = itself["addition_links"].as_object().expect("links");
    let names: Vec<&str> = links.keys().map(String::as_str).collect();
    assert_eq!(names, ["dependencies", "readme.md", "values.yaml"]);
}

#[tokio::test]
async fn a_chart_that_is_broken_or_a_bomb_is_refused() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let config = json!({ "name": "broken" });
    let large = vec![b'x'; (1 << 20) + 1];
    let bomb = vec![0; 80 << 20];
    for (name, archive, status) in [
        ("garbage", Bytes::from_static(b"no archive"), 422),
        ("large", gzip(&tar(&[("a/values.yaml", &large)])), 422),
        ("empty", gzip(&tar(&[("a/other", b"")])), 404),
        (
            "bomb",
            gzip(&tar(&[("a/bomb", &bomb), ("a/values.yaml", b"")])),
            422,
        ),
    ] {
        let layers = vec![layer(HELM_LAYER, archive)];
        let chart = manifest((HELM_CONFIG, &config), layers, json!({}));
        let here = pushed(&admin, &project, name, &chart).await;
        let refused = admin.get(&format!("{here}/values.yaml")).await;
        assert_eq!(refused.status, status, "{name}: {refused}");
    }
    let chart = manifest((HELM_CONFIG, &config), Vec::new(), json!({}));
    let here = pushed(&admin, &project, "bare", &chart).await;
    let missing = admin.get(&format!("{here}/values.yaml")).await;
    missing.expect_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_model_shows_licence_readme_and_files() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let file = |kind: &str, path: &str, bytes: Bytes| {
        let (mut descriptor, blob) = layer(&format!("application/vnd.cncf.model.{kind}"), bytes);
        descriptor["annotations"] = json!({ "org.cncf.model.filepath": path });
        (descriptor, blob)
    };
    let readme = tar(&[("README.md", b"# model")]);
    let layers = vec![
        file(
            "weight.v1.raw",
            "weights/a.bin",
            Bytes::from_static(b"12345"),
        ),
        file("doc.v1.tar", "README.md", readme.into()),
        file("doc.v1.raw", "LICENSE", Bytes::from_static(b"Apache-2.0")),
    ];
    let config = json!({ "descriptor": { "name": "tiny" } });
    let rest = json!({ "artifactType": MODEL });
    let config = ("application/vnd.cncf.model.config.v1+json", &config);
    let model = manifest(config, layers, rest);
    let here = pushed(&admin, &project, "model", &model).await;
    let text = async |name: &str| {
        admin
            .get(&format!("{here}/{name}"))
            .await
            .expect(200)
            .text()
    };
    assert_eq!(text("readme.md").await, "# model");
    assert_eq!(text("license").await, "Apache-2.0");
    let files = admin.get(&format!("{here}/files")).await.expect(200).json();
    assert_eq!(
        files[0],
        json!({ "name": "weights", "type": "directory",
            "children": [{ "name": "a.bin", "type": "file", "size": 5 }] })
    );
    assert_eq!(files[1]["name"], "LICENSE");
    let itself = admin.get(here.trim_end_matches("/additions")).await.json();
    assert_eq!(itself["type"], "CNAI");
    assert_eq!(
        itself["extra_attrs"],
        json!({ "descriptor": { "name": "tiny" } })
    );
}
