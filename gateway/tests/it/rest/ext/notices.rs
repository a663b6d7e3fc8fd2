//! What callers should know of.

use serde_json::{Value, json};

use super::{Installation, column, get};
use crate::harness::{Client, Role, Server, fresh, image};

/// The notices about something.
async fn about(client: &Client, subject: &str) -> Vec<Value> {
    let notices = get(client, "/notices").await;
    let notices = notices.as_array().expect("the answer is a list").iter();
    notices
        .filter(|notice| notice["subject"] == subject)
        .cloned()
        .collect()
}

pub(super) async fn robots_and_quotas(installation: &Installation<'_>) {
    let server = installation.server();
    let team = server.private_project().await;
    let (owner, guest) = (
        team.member(Role::ProjectAdmin).await,
        team.member(Role::Guest).await,
    );
    let admin = server.admin();
    let permissions = json!([{ "kind": "project", "namespace": team.name,
        "access": [{ "resource": "repository", "action": "pull" }] }]);
    let robot = |days: i64| json!({ "name": fresh("ci"), "level": "project", "duration": days, "permissions": permissions });
    let mut names = Vec::new();
    for days in [10, 2, 30, -1] {
        let made = admin
            .post("/api/v2.0/robots")
            .json(&robot(days))
            .await
            .expect(201);
        names.push(made.json()["name"].as_str().expect("text").to_owned());
    }
    for (name, stage) in [
        (&names[0], Some("info")),
        (&names[1], Some("warning")),
        (&names[2], None),
        (&names[3], None),
    ] {
        for client in [&admin, &owner] {
            let found = about(client, name).await;
            let severity = found
                .first()
                .map(|notice| notice["severity"].as_str().expect("text"));
            assert_eq!(severity, stage, "{name}");
        }
        assert_eq!(about(&guest, name).await, [json!(null); 0]);
    }
    // Dismissed for one caller, until the next stage.
    let id = about(&owner, &names[1]).await[0]["id"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(id.ends_with("-3d"), "{id}");
    let path = format!("/api/ext/v1/notices/{id}");
    guest.delete(&path).await.expect_error(404, "NOT_FOUND");
    owner.delete(&path).await.expect(200);
    assert_eq!(about(&owner, &names[1]).await, [json!(null); 0]);
    assert_eq!(about(&admin, &names[1]).await.len(), 1);
    installation
        .sql(&format!(
            "update robot set expires_at = created_at + 1 where principal_id = (select id from principal where name = '{}')",
            names[1]
        ))
        .await;
    let again = about(&owner, &names[1]).await;
    assert_eq!((again.len(), &again[0]["severity"]), (1, &json!("error")));
    assert!(
        again[0]["text"].as_str().expect("text").contains("expired"),
        "{again:?}"
    );

    admin
        .push_image(&team.repository("app"), "v1", &image("quota"))
        .await;
    let quota = format!("/api/v2.0/quotas/{}", team.id);
    let used = admin.get(&quota).await.expect(200).json()["used"]["storage"].as_i64();
    let used = used.expect("a number");
    for (limit, severity) in [
        (used * 2, None),
        (used + used / 20, Some("warning")),
        (used, Some("error")),
    ] {
        let hard = json!({ "hard": { "storage": limit } });
        admin.put(&quota).json(&hard).await.expect(200);
        for client in [&admin, &owner] {
            let found = about(client, &team.name).await;
            let found = found
                .first()
                .map(|notice| notice["severity"].as_str().expect("text"));
            assert_eq!(found, severity, "{used} of {limit}");
        }
    }
    assert_eq!(about(&guest, &team.name).await, [json!(null); 0]);
    // What frees space is never refused.
    let hard = json!({ "hard": { "storage": 1 } });
    admin.put(&quota).json(&hard).await.expect(200);
    let artifact = format!(
        "/api/v2.0/projects/{}/repositories/app/artifacts/v1",
        team.name
    );
    owner.delete(&artifact).await.expect(200);
}

pub(super) async fn read_only(server: &Server) {
    let (admin, person) = (server.admin(), server.stranger().await);
    let set = async |read_only: bool| {
        let body = json!({ "read_only": read_only });
        admin
            .put("/api/v2.0/configurations")
            .json(&body)
            .await
            .expect(200);
    };
    set(true).await;
    let notices = get(&person, "/notices").await;
    assert_eq!(column(&notices, "kind"), ["read_only"]);
    person
        .delete("/api/ext/v1/notices/read-only")
        .await
        .expect(200);
    assert_eq!(get(&person, "/notices").await, json!([]));
    let dark = json!({ "theme": "dark" });
    person
        .put("/api/ext/v1/me/preferences")
        .json(&dark)
        .await
        .expect(200);
    let bulk = json!({ "action": "delete_tags", "items": ["a/b:c"] });
    admin
        .post("/api/ext/v1/bulk")
        .json(&bulk)
        .await
        .expect_error(403, "DENIED");
    set(false).await;
}
