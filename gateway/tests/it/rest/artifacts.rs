//! Artifacts by REST: lists, single ones, what belongs to them, deleting.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Image, Project, Server, image, index_of, media};

const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// The path of a repository's artifacts, of which the name needs no escapes.
fn path(project: &Project<'_>, name: &str) -> String {
    let project = &project.name;
    format!("/api/v2.0/projects/{project}/repositories/{name}/artifacts")
}

/// Pushes a manifest with its blobs by its digest.
async fn push(client: &Client, repository: &str, image: &Image) {
    client.push_image(repository, &image.digest, image).await;
}

fn column<'v>(list: &'v Value, name: &str) -> Vec<&'v str> {
    let rows = list.as_array().expect("a list").iter();
    rows.map(|row| row[name].as_str().expect("a text"))
        .collect()
}

#[tokio::test]
async fn an_artifact_has_harbors_fields() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("team/app");
    let admin = server.admin();
    let pushed = image("an artifact with all fields");
    admin.push_image(&repository, "v1", &pushed).await;
    admin.push_image(&repository, "v2", &pushed).await;
    let here = path(&project, "team%252Fapp");
    let listed = admin.get(&here).await.expect(200);
    assert_eq!(listed.header("x-total-count"), "1");
    let found = admin.get(&format!("{here}/v1")).await.expect(200).json();
    assert_eq!(listed.json(), json!([found]));
    let digest = &pushed.digest;
    let size = pushed.manifest.len() + pushed.blobs().map(|blob| blob.bytes.len()).sum::<usize>();
    let href = format!("{here}/{digest}/additions/build_history");
    for (name, expected) in [
        ("accessories", Value::Null),
        (
            "addition_links",
            json!({ "build_history": { "absolute": false, "href": href } }),
        ),
        ("artifact_type", media::OCI_CONFIG.into()),
        ("digest", digest.as_str().into()),
        (
            "extra_attrs",
            json!({ "architecture": "amd64", "author": "an artifact with all fields", "os": "linux" }),
        ),
        ("labels", Value::Null),
        ("manifest_media_type", media::OCI_MANIFEST.into()),
        ("media_type", media::OCI_CONFIG.into()),
        ("project_id", project.id.into()),
        ("pull_time", "0001-01-01T00:00:00.000Z".into()),
        ("references", Value::Null),
        ("repository_name", repository.as_str().into()),
        ("size", size.into()),
        ("type", "IMAGE".into()),
    ] {
        assert_eq!(found[name], expected, "{name}");
    }
    assert!(found["annotations"].is_null() && found["scan_overview"].is_null());
    assert_eq!(column(&found["tags"], "name"), ["v2", "v1"], "newest first");
    let tag = &found["tags"][0];
    assert_eq!(tag["artifact_id"], found["id"]);
    assert_eq!(tag["repository_id"], found["repository_id"]);
    assert_eq!(tag["immutable"], false);
    // What was shown is kept, and shown again.
    let again = admin.get(&format!("{here}/{digest}")).await.expect(200);
    assert_eq!(again.json(), found);
    let bare = admin.get(&format!("{here}?with_tag=false")).await;
    assert_eq!(bare.expect(200).json()[0]["tags"], Value::Null);
    let icon = found["icon"].as_str().expect("a digest");
    let anonymous = server.anonymous();
    let icon = anonymous.get(&format!("/api/v2.0/icons/{icon}")).await;
    assert_eq!(icon.expect(200).json()["content-type"], "image/png");
    let missing = server.anonymous().get("/api/v2.0/icons/sha256:0").await;
    missing.expect_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn neither_children_nor_accessories_are_listed_or_counted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    let admin = server.admin();
    let images = [1, 2].map(|number| image(&format!("a part {number}")));
    for part in &images {
        push(&admin, &repository, part).await;
    }
    let (index_digest, index) = index_of(&[&images[0], &images[1]]);
    admin
        .push_manifest(&repository, "v1", media::OCI_INDEX, index)
        .await
        .expect(201);
    let here = path(&project, "app");
    for number in 0..40 {
        let signature = images[0].about(&format!("signature {number}"), SIGNATURE);
        push(&admin, &repository, &signature).await;
    }
    for number in 0..15 {
        push(&admin, &repository, &image(&format!("alone {number}"))).await;
    }
    let page = admin.get(&format!("{here}?page_size=10")).await.expect(200);
    assert_eq!(page.header("x-total-count"), "16");
    assert_eq!(page.json().as_array().map(Vec::len), Some(10));
    let mut next = Some(format!("{here}?page_size=7"));
    let mut digests = Vec::new();
    while let Some(path) = next {
        let page = admin.get(&path).await.expect(200);
        digests.extend(
            column(&page.json(), "digest")
                .into_iter()
                .map(str::to_owned),
        );
        next = page.link("next");
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 16, "the documented loop finds each once");
    let count = format!("/api/v2.0/projects/{}/repositories/app", project.name);
    assert_eq!(admin.get(&count).await.json()["artifact_count"], 16);
    let untagged = admin.get(&format!("{here}?q=tags%3Dnil")).await.expect(200);
    assert_eq!(untagged.header("x-total-count"), "15", "without the parts");
    let all = admin.get(&format!("{here}?q=base%3D*")).await.expect(200);
    assert_eq!(all.header("x-total-count"), "18", "with the parts");
    // The index shows its parts, and each can be looked at.
    let found = admin.get(&format!("{here}/v1")).await.expect(200).json();
    assert_eq!(found["digest"], index_digest);
    assert!(found["extra_attrs"].is_null() && found["artifact_type"].is_null());
    let parts: Vec<_> = images.iter().map(|part| part.digest.as_str()).collect();
    assert_eq!(column(&found["references"], "child_digest"), parts);
    let child = admin.get(&format!("{here}/{}", parts[1])).await.expect(200);
    assert_eq!(child.json()["id"], found["references"][1]["child_id"]);
    let refused = admin.delete(&format!("{here}/{}", parts[1])).await;
    refused.expect_error(412, "VIOLATE_FOREIGN_KEY_CONSTRAINT");
}

#[tokio::test]
async fn lists_are_narrowed_and_sorted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    let admin = server.admin();
    let images = ["one", "two", "three"].map(|seed| image(&format!("narrowed {seed}")));
    for (tag, pushed) in ["v1", "rc_2", "v3"].iter().zip(&images) {
        admin.push_image(&repository, tag, pushed).await;
    }
    let chart = Image::build(
        "narrowed chart",
        json!({ "config": image("narrowed chart").config.descriptor("application/vnd.cncf.helm.config.v1+json") }),
    );
    push(&admin, &repository, &chart).await;
    let here = path(&project, "app");
    let digests = images.each_ref().map(|image| image.digest.as_str());
    let (one, two, three) = (digests[0], digests[1], digests[2]);
    let part = &two["sha256:".len()..][..20];
    for (query, expected) in [
        ("q=tags%3Dv1", vec![one]),
        ("q=tags%3D~v&sort=push_time", vec![one, three]),
        // A wildcard of the database is a letter here.
        ("q=tags%3D~_", vec![two]),
        ("q=tags%3D~%2525", vec![]),
        ("q=tags%3D*&sort=-push_time", vec![three, two, one]),
        ("q=tags%3Dnil", vec![&*chart.digest]),
        ("q=tags%3D%7Bv1%20v3%7D&sort=push_time", vec![one, three]),
        ("q=type%3DCHART", vec![&*chart.digest]),
        ("q=type%3DIMAGE,tags%3Dv3", vec![three]),
        (
            "q=media_type%3Dapplication/vnd.cncf.helm.config.v1%252Bjson",
            vec![&*chart.digest],
        ),
        (&format!("q=digest%3D{two}"), vec![two]),
        (&format!("q=digest%3D~{part}"), vec![two]),
        ("q=digest%3Dnone", vec![]),
        ("q=tags%3D1", vec![]),
    ] {
        let found = admin.get(&format!("{here}?{query}")).await.expect(200);
        let count = expected.len().to_string();
        assert_eq!(found.header("x-total-count"), count, "{query}");
        assert_eq!(column(&found.json(), "digest"), expected, "{query}");
    }
    let bad = admin.get(&format!("{here}?q=tags%3D%7B")).await;
    bad.expect_error(400, "BAD_REQUEST");
    let none = admin.get(&path(&project, "none")).await.expect(200);
    assert_eq!(
        (none.header("x-total-count"), none.json()),
        ("0", json!([]))
    );
    for name in ["none", "sha256:12", "-v"] {
        let missing = admin.get(&format!("{here}/{name}")).await;
        missing.expect_error(404, "NOT_FOUND");
    }
    let missing = admin.get(&format!("{here}/none")).await;
    let message = format!("artifact {repository}:none not found");
    assert_eq!(missing.message(), message);
}

#[tokio::test]
async fn a_projects_artifacts_are_listed_together() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    for (name, count) in [("one", 2), ("two/deep", 1)] {
        for number in 0..count {
            let pushed = image(&format!("together {name} {number}"));
            let tag = format!("v{number}");
            admin
                .push_image(&project.repository(name), &tag, &pushed)
                .await;
        }
    }
    let here = format!("/api/v2.0/projects/{}/artifacts", project.id);
    let listed = admin.get(&here).await.expect(200);
    assert_eq!(listed.header("x-total-count"), "3");
    let listed = listed.json();
    let names = ["two/deep", "one", "one"].map(|name| project.repository(name));
    assert_eq!(column(&listed, "repository_name"), names);
    let href = &listed[0]["addition_links"]["build_history"]["href"];
    let href = href.as_str().expect("a path");
    admin.get(href).await.expect(200);
    let latest = format!(
        "{here}?latest_in_repository=true&q=media_type%3D{}",
        media::OCI_CONFIG.replace('+', "%252B")
    );
    let latest = admin.get(&latest).await.expect(200);
    assert_eq!(column(&latest.json(), "repository_name"), names[..2]);
    let unclear = admin.get(&format!("{here}?latest_in_repository=true"));
    unclear.await.expect_error(400, "BAD_REQUEST");
}

#[tokio::test]
async fn types_are_known_by_the_config_and_a_broken_one_fails_nothing() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    let admin = server.admin();
    let with_config = |seed: &str, media_type: &str, bytes: &str| {
        let config = crate::harness::Blob::new(bytes.to_owned().into());
        let mut image = Image::build(seed, json!({ "config": config.descriptor(media_type) }));
        image.config = config;
        image
    };
    let chart = r#"{"name":"nginx","version":"1.2.3"}"#;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(400), "]".repeat(400));
    for (seed, media_type, bytes, kind, attrs) in [
        (
            "typed chart",
            "application/vnd.cncf.helm.config.v1+json",
            chart,
            "CHART",
            json!({ "name": "nginx", "version": "1.2.3" }),
        ),
        (
            "typed rocket",
            "application/vnd.acme.rocket.config.v1+json",
            r#"{"a":[1]}"#,
            "ROCKET",
            json!({ "a": [1] }),
        ),
        ("typed empty", media::OCI_CONFIG, "", "IMAGE", Value::Null),
        ("typed deep", media::OCI_CONFIG, &deep, "IMAGE", Value::Null),
        (
            "typed text",
            "text/plain",
            "no JSON",
            "UNKNOWN",
            Value::Null,
        ),
    ] {
        let pushed = with_config(seed, media_type, bytes);
        push(&admin, &repository, &pushed).await;
        let here = format!("{}/{}", path(&project, "app"), pushed.digest);
        for _ in 0..2 {
            let found = admin.get(&here).await.expect(200).json();
            assert_eq!(found["type"], kind, "{seed}");
            assert_eq!(found["extra_attrs"], attrs, "{seed}");
        }
    }
    let listed = admin.get(&path(&project, "app")).await.expect(200);
    assert_eq!(listed.header("x-total-count"), "5");
}

#[tokio::test]
async fn accessories_are_listed_and_go_with_their_subject() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    let admin = server.admin();
    let subject = image("a signed one");
    admin.push_image(&repository, "v1", &subject).await;
    let here = path(&project, "app");
    let none = admin.get(&format!("{here}/v1/accessories")).await;
    let none = none.expect(200);
    assert_eq!(
        (none.header("x-total-count"), none.json()),
        ("0", json!([]))
    );
    let signature = subject.about("a signature", SIGNATURE);
    let bill = subject.about("a bill", "application/example.bill");
    push(&admin, &repository, &signature).await;
    admin.push_image(&repository, "kept", &bill).await;
    let of_bill = bill.about("a signature of the bill", SIGNATURE);
    push(&admin, &repository, &of_bill).await;
    let listed = admin.get(&format!("{here}/v1/accessories")).await;
    let listed = listed.expect(200);
    assert_eq!(listed.header("x-total-count"), "2");
    let listed = listed.json();
    assert_eq!(
        column(&listed, "digest"),
        [&*signature.digest, &bill.digest]
    );
    let types = ["signature.cosign", "subject.accessory"];
    assert_eq!(column(&listed, "type"), types);
    let found = admin.get(&format!("{here}/v1?with_accessory=true")).await;
    let found = found.expect(200).json();
    assert_eq!(found["accessories"], listed);
    let first = &listed[0];
    assert_eq!(first["subject_artifact_digest"], subject.digest);
    assert_eq!(first["subject_artifact_id"], found["id"]);
    assert_eq!(first["subject_artifact_repo"], repository);
    let itself = admin.get(&format!("{here}/{}", signature.digest)).await;
    assert_eq!(itself.expect(200).json()["id"], first["artifact_id"]);
    // Named by the tag, the artifact goes with all its tags and with what belongs to it, by whatever tag.
    admin.delete(&format!("{here}/v1")).await.expect(200);
    let all = [&subject, &signature, &bill, &of_bill].map(|image| image.digest.as_str());
    for name in all.iter().chain(&["v1", "kept"]) {
        let gone = admin.get(&format!("{here}/{name}")).await;
        gone.expect_error(404, "NOT_FOUND");
    }
    assert_eq!(entries(&server, &repository, "delete").await, 1);
    let again = admin.delete(&format!("{here}/v1")).await;
    again.expect_error(404, "NOT_FOUND");
}

/// How many entries the history has of an operation in a repository.
async fn entries(server: &Server, repository: &str, operation: &str) -> usize {
    let list = [
        "audit",
        "list",
        "--repository",
        repository,
        "--operation",
        operation,
    ];
    server.cli_prints(&list).await.lines().count()
}
