//! `gantry group` and `gantry member` with groups.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::fresh;

#[tokio::test]
async fn a_group_is_made_renamed_made_a_member_and_deleted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (name, to) = (fresh("devs"), fresh("ops"));
    server
        .cli_prints(&["group", "create", &name, "--source", "oidc"])
        .await;
    let again = server
        .cli(&["group", "create", &name, "--source", "http"])
        .await;
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("already exists"),
        "{again:?}"
    );
    server.cli_prints(&["group", "rename", &name, &to]).await;
    server
        .cli_prints(&[
            "member",
            "grant",
            &project.name,
            &to,
            "developer",
            "--group",
        ])
        .await;
    let members = async || {
        let text = server
            .cli_prints(&["member", "list", &project.name, "--json"])
            .await;
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect::<Vec<Value>>()
    };
    let group = json!({ "name": to, "kind": "group", "role": "developer" });
    assert!(members().await.contains(&group));
    let user = server.cli(&["member", "revoke", &project.name, &to]).await;
    assert!(
        String::from_utf8_lossy(&user.stderr).contains("there is no user"),
        "{user:?}"
    );
    server
        .cli_prints(&["member", "revoke", &project.name, &to, "--group"])
        .await;
    assert!(!members().await.contains(&group));
    let listed = server.cli_prints(&["group", "list", "--json"]).await;
    let listed = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let listed: Vec<Value> = listed.filter(|group| group["name"] == to).collect();
    assert_eq!(listed[0]["source"], "oidc");
    server.cli_prints(&["group", "delete", &to]).await;
    let gone = server.cli(&["group", "delete", &to]).await;
    assert!(
        String::from_utf8_lossy(&gone.stderr).contains("there is no group"),
        "{gone:?}"
    );
}
