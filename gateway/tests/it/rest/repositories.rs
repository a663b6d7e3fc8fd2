//! Repositories by REST: listing, looking at one, deleting one with everything in it.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Project, Role, Server, eventually, image, index_of, media};

fn path(project: &Project<'_>) -> String {
    format!("/api/v2.0/projects/{}/repositories", project.name)
}

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list");
    list.iter()
        .map(|repository| repository["name"].as_str().expect("a name"))
        .collect()
}

#[tokio::test]
async fn a_projects_repositories_are_listed_as_harbor_does() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    for name in ["app", "team/deep/img", "zoo"] {
        let repository = project.repository(name);
        admin.push_image(&repository, "v1", &image(name)).await;
    }
    let list = async |query: &str| {
        let listed = admin.get(&format!("{}{query}", path(&project))).await;
        listed.expect(200)
    };
    let all = list("").await;
    assert_eq!(all.header("x-total-count"), "3");
    let all = all.json();
    let newest_first = ["zoo", "team/deep/img", "app"].map(|name| project.repository(name));
    assert_eq!(names(&all), newest_first);
    let first = &all[0];
    assert_eq!(first["project_id"], project.id);
    assert_eq!(
        (&first["artifact_count"], &first["pull_count"]),
        (&1.into(), &0.into())
    );
    assert!(
        first["id"].is_i64()
            && first["creation_time"].is_string()
            && first["update_time"].is_string()
    );
    let found = list("?q=name%3D~deep").await.json();
    assert_eq!(names(&found), [project.repository("team/deep/img")]);
    let page = list("?sort=-name&page=2&page_size=1").await;
    assert_eq!(page.header("x-total-count"), "3");
    assert_eq!(names(&page.json()), [project.repository("team/deep/img")]);
    assert!(page.link("next").is_some() && page.link("prev").is_some());
}

#[tokio::test]
async fn one_repository_is_found_however_its_name_is_encoded() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("team/deep");
    let (one, two) = (image("deep one"), image("deep two"));
    admin.push_image(&repository, &one.digest, &one).await;
    admin.push_image(&repository, &two.digest, &two).await;
    let (_, index) = index_of(&[&one, &two]);
    admin
        .push_manifest(&repository, "v1", media::OCI_INDEX, index)
        .await
        .expect(201);
    for name in ["team%252Fdeep", "team%2Fdeep"] {
        let found = admin.get(&format!("{}/{name}", path(&project))).await;
        let found = found.expect(200).json();
        assert_eq!(found["name"], repository);
        assert_eq!(
            found["artifact_count"], 1,
            "what an index lists is part of that"
        );
    }
    for name in ["none", "Not%20A%20Name"] {
        let missing = admin.get(&format!("{}/{name}", path(&project))).await;
        missing.expect_error(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_description_is_changed_by_those_who_may_and_shown() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let developer = project.member(Role::Developer).await;
    let pushed = image("a described one");
    developer
        .push_image(&project.repository("team/app"), "v1", &pushed)
        .await;
    let here = format!("{}/team%252Fapp", path(&project));
    let before = developer.get(&here).await.expect(200).json();
    assert!(before["description"].is_null(), "{before}");
    let text = "# <b>App</b>\n\nIt's for *all*.";
    let described = developer
        .put(&here)
        .json(&json!({ "description": text, "id": 7 }));
    described.await.expect(200);
    let found = developer.get(&here).await.expect(200).json();
    assert_eq!(found["description"], text);
    assert_eq!(found["id"], before["id"], "nothing else changes");
    let listed = developer.get(&path(&project)).await.expect(200).json();
    assert_eq!(listed[0]["description"], text);
    let part = developer.get(&format!("{}?q=description%3D~for", path(&project)));
    assert_eq!(part.await.expect(200).header("x-total-count"), "1");
    let long = json!({ "description": "x".repeat((64 << 10) + 1) });
    let refused = developer.put(&here).json(&long).await;
    let message = refused.expect_error(400, "BAD_REQUEST").message();
    assert_eq!(message, "description has more than 65536 bytes");
    let none = format!("{}/none", path(&project));
    let missing = developer.put(&none).json(&json!({})).await;
    missing.expect_error(404, "NOT_FOUND");
    developer.put(&here).json(&json!({})).await.expect(200);
    let cleared = developer.get(&here).await.expect(200).json();
    assert!(cleared["description"].is_null());
    let list = [
        "audit",
        "list",
        "--project",
        &project.name,
        "--operation",
        "update",
    ];
    let entries = server.cli_prints(&list).await;
    assert_eq!(entries.lines().count(), 2, "{entries}");
}

/// A text with every byte as an escape, as often as it is decoded.
fn escaped(text: &str) -> String {
    let twice = |byte: u8| format!("%25{byte:02X}");
    text.bytes().map(twice).collect()
}

#[tokio::test]
async fn any_text_is_found_or_refused_but_never_everything() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let pushed = image("found by any text");
    for name in ["app", "other"] {
        admin
            .push_image(&project.repository(name), "v1", &pushed)
            .await;
    }
    let texts = [
        "test+x",
        "a\"b",
        "it's",
        "one, two",
        "50%",
        "a_b",
        "a\\b",
        "[1~2]",
        "{a b}",
        "(a b)",
        "~x",
        "k=v",
        "Zoë 山田",
    ];
    for text in texts {
        let here = format!("{}/app", path(&project));
        let body = json!({ "description": text });
        admin.put(&here).json(&body).await.expect(200);
        let value = escaped(&text.replace(',', "\\,"));
        for operator in ["%3D~", "%3D%255C"] {
            let query = format!("{}?q=description{operator}{value}", path(&project));
            let found = admin.get(&query).await.expect(200);
            let found = found.json();
            assert_eq!(names(&found), [project.repository("app")], "{text}");
        }
        let other = escaped(&format!("{text}!").replace(',', "\\,"));
        let query = format!("{}?q=description%3D~{other}", path(&project));
        assert_eq!(admin.get(&query).await.expect(200).json(), json!([]));
    }
    for malformed in ["%3D%7Ba", "%3D%5B1", "%3D", "%3D~%2525%25"] {
        let query = format!("{}?q=description{malformed}", path(&project));
        admin.get(&query).await.expect_error(400, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn all_repositories_are_those_that_the_caller_may_see() {
    let server = SERVER.get().await;
    let (private, public) = (
        server.private_project().await,
        server.public_project().await,
    );
    let admin = server.admin();
    let name = crate::harness::fresh("seen");
    for project in [&private, &public] {
        let repository = project.repository(&name);
        admin.push_image(&repository, "v1", &image(&name)).await;
    }
    let (hidden, open) = (private.repository(&name), public.repository(&name));
    let member = private.member(Role::LimitedGuest).await;
    let list = format!("/api/v2.0/repositories?q=name%3D~{name}&sort=name");
    let mut both = vec![hidden.as_str(), open.as_str()];
    both.sort_unstable();
    for (caller, expected) in [
        (server.anonymous(), vec![open.as_str()]),
        (server.stranger().await, vec![open.as_str()]),
        (member, both.clone()),
        (admin, both),
    ] {
        let listed = caller.get(&list).await.expect(200);
        let count = expected.len().to_string();
        assert_eq!(listed.header("x-total-count"), count, "{}", caller.name());
        assert_eq!(names(&listed.json()), expected, "{}", caller.name());
    }
}

/// Bytes that the project holds.
async fn used(server: &Server, project: &Project<'_>) -> i64 {
    let path = format!("/api/v2.0/quotas/{}", project.id);
    let quota = server.admin().get(&path).await.expect(200).json();
    quota["used"]["storage"].as_i64().expect("a number")
}

#[tokio::test]
async fn a_deleted_repository_leaves_nothing() {
    let server = Server::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await;
    let project = server.private_project().await;
    let maintainer = project.member(Role::Maintainer).await;
    let (gone, kept) = (project.repository("gone/app"), project.repository("kept"));
    let (one, two) = (image("gone one"), image("gone two"));
    maintainer.push_image(&kept, "v1", &one).await;
    let before = used(&server, &project).await;
    let (_, index) = index_of(&[&one, &two]);
    for tag in ["v1", "v2"] {
        maintainer.push_image(&gone, tag, &one).await;
        maintainer.push_image(&gone, tag, &two).await;
        maintainer
            .push_manifest(&gone, tag, media::OCI_INDEX, index.clone())
            .await
            .expect(201);
    }
    let here = format!("{}/gone%252Fapp", path(&project));
    maintainer.delete(&here).await.expect(200);
    maintainer.get(&here).await.expect_error(404, "NOT_FOUND");
    maintainer
        .delete(&here)
        .await
        .expect_error(404, "NOT_FOUND");
    maintainer
        .get(&format!("/v2/{gone}/manifests/v1"))
        .await
        .expect(404);
    maintainer
        .get(&format!("/v2/{gone}/manifests/{}", one.digest))
        .await
        .expect(404);
    maintainer
        .get(&format!("/v2/{gone}/tags/list"))
        .await
        .expect(404);
    maintainer
        .get(&format!("/v2/{gone}/blobs/{}", two.layers[0].digest))
        .await
        .expect(404);
    let list = [
        "audit",
        "list",
        "--repository",
        &gone,
        "--operation",
        "delete",
    ];
    let entries = server.cli_prints(&list).await;
    assert_eq!(entries.lines().count(), 1, "{entries}");
    assert!(
        entries.contains(&format!("{} ", maintainer.name()))
            && entries.contains("delete repository"),
        "{entries}"
    );
    eventually(20, "the project has its bytes back", async || {
        (used(&server, &project).await == before).then_some(())
    })
    .await;
    server.cli_prints(&["storage", "usage"]).await;
    server.cli_prints(&["storage", "check"]).await;
    let pulled = maintainer.get(&format!("/v2/{kept}/manifests/v1")).await;
    assert_eq!(
        pulled.expect(200).body,
        one.manifest,
        "the other one is as it was"
    );
    // The name is free.
    maintainer.push_image(&gone, "v9", &two).await;
    let tags = maintainer.get(&format!("/v2/{gone}/tags/list")).await;
    assert_eq!(tags.expect(200).json()["tags"], serde_json::json!(["v9"]));
}

#[tokio::test]
async fn a_project_can_be_deleted_when_its_repositories_are() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repositories = ["deleted", "emptied"].map(|name| project.repository(name));
    let pushed = image("the last one");
    for repository in &repositories {
        admin.push_image(repository, "v1", &pushed).await;
    }
    let itself = format!("/api/v2.0/projects/{}", project.name);
    admin
        .delete(&itself)
        .await
        .expect_error(412, "PRECONDITION");
    admin
        .delete(&format!("{}/deleted", path(&project)))
        .await
        .expect(200);
    admin
        .delete(&itself)
        .await
        .expect_error(412, "PRECONDITION");
    admin
        .delete(&format!(
            "/v2/{}/manifests/{}",
            repositories[1], pushed.digest
        ))
        .await
        .expect(202);
    let deletable = admin.get(&format!("{itself}/_deletable")).await;
    assert_eq!(deletable.expect(200).json()["deletable"], true);
    admin.delete(&itself).await.expect(200);
}
