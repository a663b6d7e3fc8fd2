//! `gantry robot`: the same robots as by REST.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{eventually, fresh, image};

#[tokio::test]
async fn a_robot_is_made_shown_rotated_disabled_and_deleted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    server
        .admin()
        .push_image(&repository, "latest", &image(&repository))
        .await;
    let manifest = format!("/v2/{repository}/manifests/latest");
    let json_of = async |arguments: &[&str]| {
        let text = server.cli_prints(arguments).await;
        serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let name = fresh("ci");
    let create = [
        "robot",
        "create",
        &name,
        "--project",
        &project.name,
        "--allow",
        "repository:pull",
        "--days",
        "-1",
        "--json",
    ];
    let made = json_of(&create).await;
    let full = text(&made["name"]);
    assert_eq!(full, format!("robot${}+{name}", project.name));
    assert_eq!(made["expires_at"], Value::Null);
    let client = server.as_user_with(&full, &text(&made["secret"]));
    client.get(&manifest).await.expect(200);
    let shown = json_of(&["robot", "show", &full, "--json"]).await;
    assert_eq!(
        shown["permissions"],
        json!([format!("{}/repository:pull", project.name)])
    );
    let listed = json_of(&["robot", "list", "--project", &project.name, "--json"]).await;
    assert_eq!(
        (&listed["name"], &listed["id"]),
        (&json!(full), &shown["id"])
    );
    let again = server.cli(&create).await;
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("already exists"),
        "{again:?}"
    );
    let rotated = json_of(&["robot", "rotate", &full, "--json"]).await;
    let refused = async || (client.get(&manifest).await.status == 401).then_some(());
    eventually(2, "the old secret opens nothing", refused).await;
    let client = server.as_user_with(&full, &text(&rotated["secret"]));
    client.get(&manifest).await.expect(200);
    server.cli_prints(&["robot", "disable", &full]).await;
    let refused = async || (client.get(&manifest).await.status == 401).then_some(());
    eventually(2, "the robot is out", refused).await;
    server.cli_prints(&["robot", "enable", &full]).await;
    let serves = async || (client.get(&manifest).await.status == 200).then_some(());
    eventually(2, "the robot is back", serves).await;
    server.cli_prints(&["robot", "delete", &full]).await;
    let gone = server.cli(&["robot", "show", &full]).await;
    assert!(
        String::from_utf8_lossy(&gone.stderr).contains("there is no robot"),
        "{gone:?}"
    );
}

#[tokio::test]
async fn what_robots_are_not_given_is_refused() {
    let server = SERVER.get().await;
    for (allow, reason) in [
        ("repository:pull", "RESOURCE:ACTION"),
        ("*/robot:update", "robots are not given robot:update"),
        (
            "system/repository:pull",
            "robots are not given repository:pull",
        ),
        ("nope-nope/tag:list", "there is no project nope-nope"),
    ] {
        let refused = server
            .cli(&["robot", "create", "ci", "--allow", allow])
            .await;
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains(reason), "{reason} in {said}");
    }
}
