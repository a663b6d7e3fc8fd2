//! Erasing people: a pseudonym wherever they were shown, and a log that is still proved.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Role, Server, eventually, fresh, image};

const ENTRIES: &str = "/api/ext/v1/audit/export?format=ndjson";

async fn export(admin: &Client) -> Vec<Value> {
    let text = admin.get(ENTRIES).await.expect(200).text();
    let entries = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    entries.collect()
}

async fn verified(server: &Server) -> String {
    server.cli_prints(&["audit", "verify"]).await
}

#[tokio::test]
async fn an_erased_person_is_a_pseudonym_and_the_log_is_still_proved() {
    let server = Server::start().await;
    let admin = server.admin();
    let project = server.private_project().await;
    let name = fresh("erased-person");
    let id = server.create_user(&name).await;
    project.add(&name, Role::Developer).await;
    let person = server.as_user(&name).at(77);
    let repository = project.repository("app");
    person.push_image(&repository, "v1", &image(&name)).await;
    // A failed sign-in has the name alone, and a change of the owner has it in the detail.
    let wrong = server.as_user_with(&name, "Wrong00Wrong").at(78);
    let login = "/service/token?service=harbor-registry";
    wrong
        .get(login)
        .header("user-agent", "a-program-of-hers")
        .await
        .expect(401);
    let owner = format!("/api/ext/v1/projects/{}/owner", project.name);
    admin
        .put(&owner)
        .json(&json!({ "username": name }))
        .await
        .expect(200);
    // Somebody else, whose name contains hers.
    let longer = format!("{name}-too");
    server.create_user(&longer).await;
    eventually(10, "all is written", async || {
        let entries = export(&admin).await;
        entries
            .iter()
            .any(|it| it["user_agent"] == "a-program-of-hers")
            .then_some(())
    })
    .await;

    let path = format!("/api/ext/v1/users/{id}/erase");
    person.post(&path).await.expect_error(403, "FORBIDDEN");
    let erased = admin.post(&path).await.expect(202).json();
    let pseudonym = erased["pseudonym"].as_str().expect("a name").to_owned();
    assert!(pseudonym.starts_with("erased#"), "{pseudonym}");
    // Whoever has the name from now on, or tries it, is somebody else.
    server.as_user(&name).at(79).get(login).await.expect(401);
    server.create_user(&name).await;
    let again = admin.post(&path).await.expect(202).json();
    assert_eq!(again["pseudonym"], pseudonym);

    let marked = |entry: &Value| entry["username"] == *name || entry["resource"] == *name;
    let entries = eventually(
        120,
        "that and the new person's creation alone are left",
        async || {
            let entries = export(&admin).await;
            let tried = entries.iter().any(|it| it["address"] == "127.0.0.79");
            let left = entries.iter().filter(|it| marked(it)).count();
            (tried && left == 2).then_some(entries)
        },
    );
    let entries = entries.await;
    let by_person: Vec<&Value> = entries
        .iter()
        .filter(|it| it["username"] == *pseudonym)
        .collect();
    assert!(by_person.len() >= 2, "{by_person:?}");
    for entry in by_person {
        assert_eq!(
            (&entry["address"], &entry["user_agent"]),
            (&json!(""), &json!(""))
        );
    }
    let text = serde_json::to_string(&entries).expect("JSON");
    for gone in [
        "127.0.0.77",
        "127.0.0.78",
        "a-program-of-hers",
        &format!("owner={name}\""),
    ] {
        assert!(!text.contains(gone), "{gone} is in {text}");
    }
    assert!(text.contains(&longer), "others keep their names");
    let shown = admin
        .get(&format!("/api/v2.0/projects/{}", project.name))
        .await;
    assert_eq!(shown.expect(200).json()["owner_name"], *pseudonym);

    let report = verified(&server).await;
    assert!(!report.contains("was changed"), "{report}");
    // What somebody changes by hand is still found.
    server
        .sql(&format!(
            "update audit set detail = 'x' where principal_name = '{pseudonym}'"
        ))
        .await;
    let found = server.cli(&["audit", "verify"]).await;
    assert!(!found.status.success(), "{found:?}");
    server.may_complain();
}

#[tokio::test]
async fn a_deleted_user_is_erased_by_the_command_line() {
    let server = Server::start().await;
    let admin = server.admin();
    let name = fresh("gone");
    let id = server.create_user(&name).await;
    admin
        .delete(&format!("/api/v2.0/users/{id}"))
        .await
        .expect(200);
    let done = server.cli_prints(&["user", "erase", &name]).await;
    assert!(done.contains("erased#"), "{done}");
    eventually(30, "the name is gone from the log", async || {
        let text = admin.get(ENTRIES).await.expect(200).text();
        (!text.contains(&name)).then_some(())
    })
    .await;
    verified(&server).await;
    for nobody in ["admin", "nobody-of-this-name"] {
        let refused = server.cli(&["user", "erase", nobody]).await;
        assert!(!refused.status.success(), "{nobody}");
    }
    // The built-in administrator, and the reserved name.
    for id in [1, 2] {
        let refused = admin.post(&format!("/api/ext/v1/users/{id}/erase")).await;
        refused.expect_error(403, "FORBIDDEN");
    }
}

#[tokio::test]
async fn what_was_begun_before_a_crash_is_ended_after_it() {
    let server = Server::start().await;
    let admin = server.admin();
    let name = fresh("crashed");
    let id = server.create_user(&name).await;
    let person = server.as_user(&name);
    person
        .get("/service/token?service=harbor-registry")
        .await
        .expect(200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    admin
        .post(&format!("/api/ext/v1/users/{id}/erase"))
        .await
        .expect(202);
    server.kill();
    server.restart().await;
    let admin = server.admin();
    eventually(60, "the name is gone from the log", async || {
        let text = admin.get(ENTRIES).await.expect(200).text();
        (!text.contains(&name)).then_some(())
    })
    .await;
    verified(&server).await;
}
