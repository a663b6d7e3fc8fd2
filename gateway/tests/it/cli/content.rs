//! Repositories, artifacts and tags on the command line.

use serde_json::Value;

use super::SERVER;
use crate::harness::{Server, eventually, image};

/// The lines of JSON that a command prints.
async fn json(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let text = server.cli_prints(arguments).await;
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[tokio::test]
async fn content_is_administered_on_the_command_line() {
    let server = SERVER.get().await;
    let (from, to) = (
        server.private_project().await,
        server.private_project().await,
    );
    let (app, copy) = (from.repository("app"), to.repository("copy"));
    let admin = server.admin();
    let (one, two) = (image("by hand one"), image("by hand two"));
    admin.push_image(&app, "v1", &one).await;
    admin.push_image(&app, "v1", &two).await;
    let text = "what it is for";
    server
        .cli_prints(&["repository", "describe", &app, "--description", text])
        .await;
    let described = server.cli_prints(&["repository", "describe", &app]).await;
    assert_eq!(described.trim(), text);
    let listed = json(&server, &["repository", "list", &from.name, "--json"]).await;
    assert_eq!(listed[0]["name"], app);
    assert_eq!(
        (&listed[0]["artifacts"], &listed[0]["description"]),
        (&2.into(), &text.into())
    );

    let v1 = format!("{app}:v1");
    server.cli_prints(&["tag", "create", &v1, "extra"]).await;
    let again = server.cli(&["tag", "create", &v1, "extra"]).await;
    assert_eq!(again.status.code(), Some(1), "it is there");
    let tags = json(&server, &["tag", "list", &app, "--json"]).await;
    let names: Vec<&Value> = tags.iter().map(|tag| &tag["name"]).collect();
    assert_eq!(names, ["extra", "v1"]);
    assert_eq!(tags[1]["digest"], two.digest);
    let past = json(&server, &["tag", "history", &app, "v1", "--json"]).await;
    let digests: Vec<&Value> = past.iter().map(|one| &one["digest"]).collect();
    assert_eq!(digests, [&*two.digest, &one.digest]);
    server
        .cli_prints(&["tag", "restore", &app, "v1", &one.digest])
        .await;
    eventually(5, "the server has noticed", async || {
        let pulled = admin.get(&format!("/v2/{app}/manifests/v1")).await;
        (pulled.expect(200).digest() == one.digest).then_some(())
    })
    .await;

    server.cli_prints(&["artifact", "copy", &v1, &copy]).await;
    let copied = json(&server, &["artifact", "list", &copy, "--json"]).await;
    assert_eq!(copied.len(), 1);
    assert_eq!(copied[0]["digest"], one.digest);
    assert_eq!(copied[0]["tags"], serde_json::json!(["v1"]));
    server.cli_prints(&["tag", "delete", &app, "v1"]).await;
    let missing = server.cli(&["tag", "delete", &app, "v1"]).await;
    assert_eq!(missing.status.code(), Some(1), "it is gone");
    let by_digest = format!("{copy}@{}", one.digest);
    server.cli_prints(&["artifact", "delete", &by_digest]).await;
    let none = server.cli_prints(&["artifact", "list", &copy]).await;
    assert_eq!(none.trim(), "");
    let wrong = server.cli(&["artifact", "delete", "no-address"]).await;
    assert_eq!(wrong.status.code(), Some(2));
}
