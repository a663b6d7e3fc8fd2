//! What administrators do by the command line: users, members, rights and quotas; and that it is recorded as by REST.

use serde_json::{Value, json};

use super::{SERVER, create_user};
use crate::harness::{Role, Server, eventually, fresh, image, membership, noise, sha256};

/// `operation resource_type detail`, and whether a project is named, of each entry about a resource.
async fn events(server: &Server, resource: &str) -> Vec<(String, bool)> {
    let text = server.cli_prints(&["audit", "export"]).await;
    let entries = text.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    entries
        .filter(|entry| entry["resource"] == resource)
        .map(|entry| {
            let words = ["operation", "resource_type", "detail"].map(|key| {
                let text = entry[key].as_str();
                text.expect("it is a text").replace(resource, "NAME")
            });
            (words.join(" "), entry["project_id"].is_i64())
        })
        .collect()
}

#[tokio::test]
async fn changes_are_recorded_as_by_rest() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let (project, user) = (fresh("rest"), fresh("rest"));
    let body = json!({ "project_name": project, "metadata": { "public": "false" } });
    admin
        .post("/api/v2.0/projects")
        .json(&body)
        .await
        .expect(201);
    let made = admin.get(&format!("/api/v2.0/projects/{project}")).await;
    let id = made.expect(200).json()["project_id"].clone();
    let user_id = server.create_user(&user).await;
    let members = format!("/api/v2.0/projects/{project}/members");
    let added = admin
        .post(&members)
        .json(&membership(&user, Role::Guest))
        .await;
    let member = added.expect(201).location();
    let change = json!({ "role_id": 2 });
    admin.put(&member).json(&change).await.expect(200);
    admin.delete(&member).await.expect(200);
    for sysadmin in [true, false] {
        let path = format!("/api/v2.0/users/{user_id}/sysadmin");
        let body = json!({ "sysadmin_flag": sysadmin });
        admin.put(&path).json(&body).await.expect(200);
    }
    let body = json!({ "new_password": "An0therPassword" });
    let path = format!("/api/v2.0/users/{user_id}/password");
    admin.put(&path).json(&body).await.expect(200);
    let body = json!({ "hard": { "storage": 1 << 30 } });
    let path = format!("/api/v2.0/quotas/{id}");
    admin.put(&path).json(&body).await.expect(200);
    let path = format!("/api/v2.0/users/{user_id}");
    admin.delete(&path).await.expect(200);
    let path = format!("/api/v2.0/projects/{project}");
    admin.delete(&path).await.expect(200);

    let (cli_project, cli_user) = (fresh("line"), fresh("line"));
    let (p, u) = (cli_project.as_str(), cli_user.as_str());
    server.cli_prints(&["project", "create", p]).await;
    create_user(&server, u, &[]).await;
    for command in [
        &["member", "grant", p, u, "guest"][..],
        &["member", "grant", p, u, "developer"],
        &["member", "revoke", p, u],
        &["user", "promote", u],
        &["user", "demote", u],
    ] {
        server.cli_prints(command).await;
    }
    let password = [("GANTRY_PASSWORD", "An0therPassword")];
    let changed = server.cli_with(&["user", "passwd", u], &password).await;
    assert!(changed.status.success());
    for command in [
        &["project", "quota", p, "--limit", "1GiB"][..],
        &["user", "delete", u],
        &["project", "delete", p],
    ] {
        server.cli_prints(command).await;
    }

    assert_eq!(events(&server, u).await, events(&server, &user).await);
    assert_eq!(events(&server, p).await, events(&server, &project).await);
    assert_eq!(events(&server, u).await.len(), 8);
    assert_eq!(events(&server, p).await.len(), 3);
}

#[tokio::test]
async fn all_users_are_listed_with_their_rights() {
    let server = SERVER.get().await;
    let name = fresh("listed");
    create_user(&server, &name, &[]).await;
    let listed = server.cli_prints(&["user", "list"]).await;
    let of = |name: &str| {
        let mut lines = listed.lines().map(str::split_whitespace);
        let line = lines.find_map(|mut words| (words.nth(1) == Some(name)).then_some(words));
        let line = line.unwrap_or_else(|| panic!("{name} is not listed:\n{listed}"));
        line.last().expect("the rights are named").to_owned()
    };
    assert_eq!(of("admin"), "administrator");
    assert_eq!(of(&name), "user");
}

#[tokio::test]
async fn administrators_are_made_and_unmade() {
    let server = SERVER.get().await;
    let name = fresh("promoted");
    create_user(&server, &name, &[]).await;
    let person = server.as_user(&name);
    let may_list_users = async |status: u16| {
        eventually(2, "the rights have changed", async || {
            let answer = person.get("/api/v2.0/users").await;
            (answer.status == status).then_some(())
        })
        .await;
    };
    may_list_users(403).await;
    server.cli_prints(&["user", "promote", &name]).await;
    may_list_users(200).await;
    server.cli_prints(&["user", "demote", &name]).await;
    may_list_users(403).await;
    let nobody = server
        .cli(&["user", "promote", "nobody-of-this-name"])
        .await;
    assert_eq!(nobody.status.code(), Some(1));
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let server = Server::start().await;
    let name = fresh("heir");
    create_user(&server, &name, &[]).await;
    let last = async |arguments: &[&str]| {
        let refused = server.cli(arguments).await;
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(text.contains("is the last system administrator"), "{text}");
    };
    last(&["user", "demote", "admin"]).await;
    server.cli_prints(&["user", "promote", &name]).await;
    server.cli_prints(&["user", "demote", "admin"]).await;
    last(&["user", "demote", &name]).await;
    last(&["user", "delete", &name]).await;
}

#[tokio::test]
async fn members_are_listed_with_their_roles() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let guest = project.member(Role::Guest).await;
    let listed = server.cli_prints(&["member", "list", &project.name]).await;
    let mut lines: Vec<&str> = listed.lines().collect();
    lines.sort_unstable();
    let mut expected = [
        "projectAdmin user admin".to_owned(),
        format!("guest user {}", guest.name()),
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_quota_is_set_and_shown() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let quota = async |limit: &[&str]| {
        let command = [&["project", "quota", &project.name][..], limit].concat();
        server.cli_prints(&command).await
    };
    assert!(quota(&[]).await.contains("without a limit"));
    let set = quota(&["--limit", "1KiB"]).await;
    assert!(set.contains("0 of 1024 bytes"), "{set}");
    let uploads = format!("/v2/{}/blobs/uploads/", project.repository("app"));
    let bytes = noise("quota", 4096);
    let digest = format!("digest={}", sha256(&bytes));
    let push = async |expected: u16| {
        eventually(2, "the quota holds", async || {
            let upload = server.admin().post(&uploads).await.expect(202);
            let path = upload.location_with(&digest);
            let pushed = server.admin().put(&path).body(bytes.clone()).await;
            (pushed.status == expected).then_some(())
        })
        .await;
    };
    push(403).await;
    quota(&["--limit", "none"]).await;
    push(201).await;
    let shown = quota(&[]).await;
    assert!(shown.contains("holds 4096 bytes"), "{shown}");
}

#[tokio::test]
async fn a_repository_is_listed_and_deleted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("team/app");
    server
        .admin()
        .push_image(&repository, "v1", &image("by the command line"))
        .await;
    let list = ["repository", "list", &project.name];
    let listed = server.cli_prints(&list).await;
    assert!(
        listed.contains(&format!("{repository} 1 artifacts")),
        "{listed}"
    );
    server
        .cli_prints(&["repository", "delete", &repository])
        .await;
    assert_eq!(server.cli_prints(&list).await, "");
    eventually(2, "nothing is served", async || {
        let path = format!("/v2/{repository}/manifests/v1");
        (server.admin().get(&path).await.status == 404).then_some(())
    })
    .await;
    let again = server.cli(&["repository", "delete", &repository]).await;
    assert_eq!(again.status.code(), Some(1));
    server
        .cli_prints(&["project", "delete", &project.name])
        .await;
}
