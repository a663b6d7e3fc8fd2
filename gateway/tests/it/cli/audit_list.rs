//! `gantry audit list`: what it shows and how it is narrowed.

use serde_json::Value;

use super::SERVER;
use crate::harness::{Role, Server, eventually, image};

/// The entries that `gantry audit list ARGUMENTS --json` prints, oldest first.
async fn list(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let command = [&["audit", "list", "--json"][..], arguments].concat();
    let text = server.cli_prints(&command).await;
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(parse).collect()
}

fn resources(entries: &[Value]) -> Vec<&str> {
    entries
        .iter()
        .map(|entry| entry["resource"].as_str().expect("it is a text"))
        .collect()
}

#[tokio::test]
async fn a_list_is_narrowed_by_what_one_looks_for() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let person = project.member(Role::Maintainer).await;
    let (app, apple) = (project.repository("app"), project.repository("apple"));
    for repository in [&app, &apple] {
        for tag in ["v1", "v2"] {
            person.push_image(repository, tag, &image(tag)).await;
        }
    }
    person
        .get(&format!("/v2/{app}/manifests/v1"))
        .await
        .expect(200);
    let name = &*project.name;
    let pulled = ["--operation", "pull", "--repository", &app, "--tag", "v1"];
    let pulled = eventually(10, "the pull is recorded", async || {
        let pulled = list(&server, &pulled).await;
        (!pulled.is_empty()).then_some(pulled)
    })
    .await;
    assert_eq!(pulled[0]["principal_name"], person.name());
    assert_eq!(pulled[0]["project"], name);

    let create = ["--operation", "create"];
    let created = async |more: &[&str]| {
        let arguments = [&create[..], more].concat();
        list(&server, &arguments).await
    };
    let of_app = created(&["--repository", &app]).await;
    assert_eq!(
        resources(&of_app),
        [format!("{app}:v1"), format!("{app}:v2")]
    );
    let of_v1 = created(&["--project", name, "--tag", "v1"]).await;
    assert_eq!(
        resources(&of_v1),
        [format!("{app}:v1"), format!("{apple}:v1")]
    );
    let by_person = created(&["--user", person.name()]).await;
    assert_eq!(by_person.len(), 4, "{by_person:?}");
    let in_project = created(&["--project", name]).await;
    assert_eq!(
        in_project.len(),
        6,
        "project and member too: {in_project:?}"
    );
    assert!(
        created(&["--user", person.name(), "--project", "library"])
            .await
            .is_empty()
    );

    let mine = ["--user", person.name()];
    let past = list(&server, &[&mine[..], &["--to", "2026-01-01"]].concat()).await;
    assert!(past.is_empty(), "{past:?}");
    let since = list(
        &server,
        &[&mine[..], &["--from", "2026-01-01T00:00:00Z"]].concat(),
    )
    .await;
    assert!(since.len() >= 5, "{since:?}");
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let app = project.repository("paged");
    for tag in ["v1", "v2", "v3", "v4", "v5"] {
        server.admin().push_image(&app, tag, &image("paged")).await;
    }
    let (mut seen, mut before) = (Vec::new(), i64::MAX.to_string());
    loop {
        let of_app = ["--repository", &app, "--operation", "create"];
        let page = [&of_app[..], &["--limit", "2", "--before", &before]].concat();
        let page = list(&server, &page).await;
        let Some(oldest) = page.first() else { break };
        before = oldest["id"].to_string();
        seen.splice(0..0, page);
    }
    let expected = ["v1", "v2", "v3", "v4", "v5"].map(|tag| format!("{app}:{tag}"));
    assert_eq!(resources(&seen), expected);
}

#[tokio::test]
async fn a_line_names_project_and_detail() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let person = project.member(Role::Guest).await;
    let listed = server
        .cli_prints(&["audit", "list", "--project", &project.name])
        .await;
    let line = listed.lines().find(|line| line.contains(person.name()));
    let line = line.unwrap_or_else(|| panic!("{listed}"));
    assert!(
        line.contains(&format!("project={}", project.name)) && line.contains("(guest)"),
        "{line}"
    );
}

#[tokio::test]
async fn an_operation_that_does_not_exist_is_wrong_usage() {
    let server = SERVER.get().await;
    let ended = server.cli(&["audit", "list", "--operation", "nope"]).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(
        said.contains("create, update, delete, pull, push, login, logout, expire, refuse"),
        "{said}"
    );
}
