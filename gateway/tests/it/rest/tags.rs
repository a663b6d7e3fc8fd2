//! Tags by REST: lists, creating, deleting, history and restoring.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Project, Role, image, index_of, media};

fn path(project: &Project<'_>) -> String {
    let project = &project.name;
    format!("/api/v2.0/projects/{project}/repositories/app/artifacts")
}

fn own_path(project: &Project<'_>) -> String {
    let project = &project.name;
    format!("/api/ext/v1/projects/{project}/repositories/app/tags")
}

fn names(list: &Value) -> Vec<&str> {
    let rows = list.as_array().expect("a list").iter();
    rows.map(|tag| tag["name"].as_str().expect("a name"))
        .collect()
}

#[tokio::test]
async fn an_artifact_gets_tags_and_loses_them() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    let maintainer = project.member(Role::Maintainer).await;
    let (one, two) = (image("tagged one"), image("tagged two"));
    maintainer.push_image(&repository, "v1", &one).await;
    maintainer.push_image(&repository, "v2", &two).await;
    let here = path(&project);
    let create = async |of: &str, body: Value| {
        let tags = format!("{here}/{of}/tags");
        maintainer.post(&tags).json(&body).await
    };
    let made = create("v1", json!({ "name": "extra" })).await.expect(201);
    assert_eq!(made.maybe_header("location"), None);
    for of in ["v1", "v2"] {
        let taken = create(of, json!({ "name": "extra" })).await;
        let message = taken.expect_error(409, "CONFLICT").message();
        assert!(
            message.starts_with("tag extra already exists under the repository "),
            "{message}"
        );
    }
    let bad = create("v1", json!({ "name": "-bad!" })).await;
    let bad = bad.expect_error(400, "BAD_REQUEST").message();
    assert_eq!(bad, "bad request: invalid tag name: -bad!");
    let empty = create("v1", json!({})).await;
    empty.expect_error(422, "UNPROCESSABLE_ENTITY");
    let missing = create("none", json!({ "name": "g" })).await;
    missing.expect_error(404, "NOT_FOUND");
    let tags = format!("{here}/{}/tags", one.digest);
    let listed = maintainer.get(&tags).await.expect(200);
    assert_eq!(listed.header("x-total-count"), "2");
    assert_eq!(names(&listed.json()), ["extra", "v1"], "newest first");
    let found = maintainer.get(&format!("{tags}?q=name%3D~xt")).await;
    assert_eq!(names(&found.expect(200).json()), ["extra"]);
    let page = maintainer
        .get(&format!("{tags}?sort=name&page_size=1&page=2"))
        .await;
    assert_eq!(names(&page.expect(200).json()), ["v1"]);
    let pulled = maintainer.get(&format!("/v2/{repository}/manifests/extra"));
    assert_eq!(pulled.await.expect(200).digest(), one.digest);
    // A tag of another artifact is none of this one's.
    let other = maintainer.delete(&format!("{here}/v2/tags/extra")).await;
    let message = other.expect_error(404, "NOT_FOUND").message();
    assert!(
        message.starts_with("tag extra attached to artifact "),
        "{message}"
    );
    let extra = format!("{here}/v1/tags/extra");
    maintainer.delete(&extra).await.expect(200);
    maintainer
        .delete(&extra)
        .await
        .expect_error(404, "NOT_FOUND");
    let gone = maintainer.get(&format!("/v2/{repository}/manifests/extra"));
    gone.await.expect(404);
    let stays = maintainer.get(&format!("{here}/{}", one.digest)).await;
    assert_eq!(names(&stays.expect(200).json()["tags"]), ["v1"]);
    let list = [
        "audit",
        "list",
        "--repository",
        &repository,
        "--tag",
        "extra",
    ];
    let entries = server.cli_prints(&list).await;
    assert!(
        entries.contains("create tag") && entries.contains("delete tag"),
        "{entries}"
    );
}

#[tokio::test]
async fn all_tags_of_a_repository_come_with_what_a_page_of_them_shows() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    let admin = server.admin();
    let (one, two) = (image("shown one"), image("shown two"));
    admin.push_image(&repository, "v1", &one).await;
    admin.push_image(&repository, "v1.1", &one).await;
    admin.push_image(&repository, &two.digest, &two).await;
    let (digest, index) = index_of(&[&one, &two]);
    let mut index: Value = serde_json::from_slice(&index).expect("JSON");
    for (part, architecture) in ["amd64", "arm64"].iter().enumerate() {
        index["manifests"][part]["platform"] =
            json!({ "os": "linux", "architecture": architecture });
    }
    assert_ne!(digest, "");
    let index = index.to_string();
    let pushed = admin.push_manifest(&repository, "all", media::OCI_INDEX, index);
    let index = pushed.await.expect(201).digest().to_owned();
    let signature = one.about(
        "shown signature",
        "application/vnd.dev.cosign.artifact.sig.v1+json",
    );
    admin
        .push_image(&repository, &signature.digest, &signature)
        .await;
    let here = own_path(&project);
    let listed = admin.get(&here).await.expect(200);
    assert_eq!(listed.header("x-total-count"), "3");
    let listed = listed.json();
    assert_eq!(names(&listed), ["all", "v1.1", "v1"]);
    let (all, v1) = (&listed[0], &listed[2]);
    assert_eq!(all["digest"], index);
    assert_eq!(all["platforms"], json!(["linux/amd64", "linux/arm64"]));
    assert_eq!(v1["platforms"], json!(["linux/amd64"]));
    assert_eq!(
        (&v1["signed"], &all["signed"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        (&v1["type"], &v1["immutable"]),
        (&"IMAGE".into(), &false.into())
    );
    let whole = admin.get(&format!("{}/v1", path(&project))).await.json();
    for (own, name) in [
        ("artifact_id", "id"),
        ("size", "size"),
        ("digest", "digest"),
    ] {
        assert_eq!(v1[own], whole[name], "{own}");
    }
    for (query, expected) in [
        ("?sort=name", vec!["all", "v1", "v1.1"]),
        ("?sort=-size&page_size=1", vec!["all"]),
        ("?q=name%3D~v1&sort=name", vec!["v1", "v1.1"]),
        ("?q=name%3D~.", vec!["v1.1"]),
        ("?q=type%3DCHART", vec![]),
    ] {
        let found = admin.get(&format!("{here}{query}")).await.expect(200);
        assert_eq!(names(&found.json()), expected, "{query}");
    }
    let none = here.replace("/app/", "/none/");
    admin.get(&none).await.expect_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_tag_is_pointed_again_where_it_pointed_before() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    let maintainer = project.member(Role::Maintainer).await;
    let images = ["first", "second", "third"].map(|seed| image(&format!("{seed} in history")));
    for pushed in &images {
        maintainer.push_image(&repository, "latest", pushed).await;
    }
    let [first, second, third] = images.each_ref().map(|image| image.digest.as_str());
    let here = format!("{}/latest", own_path(&project));
    let history = async || {
        let listed = maintainer.get(&format!("{here}/history")).await.expect(200);
        let rows = listed.json();
        let rows = rows.as_array().expect("a list").clone();
        rows.into_iter()
            .map(|row| {
                (
                    row["digest"].as_str().unwrap_or_default().to_owned(),
                    row["available"] == true,
                )
            })
            .collect::<Vec<_>>()
    };
    let available = |digest: &str| (digest.to_owned(), true);
    assert_eq!(history().await, [third, second, first].map(available));
    let page = maintainer
        .get(&format!("{here}/history?page_size=1"))
        .await
        .expect(200);
    assert_eq!(page.header("x-total-count"), "3");
    assert_eq!(page.json()[0]["username"], maintainer.name());
    let restore = async |digest: &str| {
        let body = json!({ "digest": digest });
        maintainer
            .post(&format!("{here}/restore"))
            .json(&body)
            .await
    };
    restore(first).await.expect(200);
    let pulled = maintainer.get(&format!("/v2/{repository}/manifests/latest"));
    assert_eq!(pulled.await.expect(200).digest(), first);
    assert_eq!(
        history().await,
        [first, third, second, first].map(available)
    );
    // Where it points already, nothing happens.
    restore(first).await.expect(200);
    assert_eq!(history().await.len(), 4);
    let never = image("never in history");
    maintainer
        .push_image(&repository, &never.digest, &never)
        .await;
    restore(&never.digest).await.expect_error(404, "NOT_FOUND");
    restore("sha256:12").await.expect_error(400, "BAD_REQUEST");
    let gone = format!("{}/{second}", path(&project));
    maintainer.delete(&gone).await.expect(200);
    restore(second).await.expect_error(410, "GONE");
    assert_eq!(history().await[2], (second.to_owned(), false));
    // A tag that was deleted comes back.
    maintainer
        .delete(&format!("/v2/{repository}/manifests/latest"))
        .await
        .expect(202);
    restore(third).await.expect(200);
    let pulled = maintainer.get(&format!("/v2/{repository}/manifests/latest"));
    assert_eq!(pulled.await.expect(200).digest(), third);
}

#[tokio::test]
async fn the_history_of_a_public_project_names_nobody_to_strangers() {
    let server = SERVER.get().await;
    let project = server.public_project().await;
    let repository = project.repository("app");
    let developer = project.member(Role::Developer).await;
    let pushed = image("named in history");
    developer.push_image(&repository, "latest", &pushed).await;
    let history = format!("{}/latest/history", own_path(&project));
    for (client, name) in [
        (server.anonymous(), None),
        (server.stranger().await, None),
        (
            project.member(Role::LimitedGuest).await,
            Some(developer.name()),
        ),
        (server.admin(), Some(developer.name())),
    ] {
        let listed = client.get(&history).await.expect(200).json();
        assert_eq!(listed[0]["digest"], pushed.digest.as_str());
        assert_eq!(
            listed[0].get("username").and_then(|name| name.as_str()),
            name
        );
    }
}
