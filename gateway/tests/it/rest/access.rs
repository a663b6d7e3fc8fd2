//! Why somebody may do something, or may not.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Project, Role, Server, fresh};

async fn explain(admin: &Client, subject: &str, action: &str, project: &str) -> Value {
    let subject = subject.replace('$', "%24").replace('+', "%2B");
    let query = format!("subject={subject}&action={action}&project={project}");
    let answer = admin
        .get(&format!("/api/ext/v1/access/explain?{query}"))
        .await;
    answer.expect(200).json()
}

fn kinds(explained: &Value) -> Vec<(&str, bool)> {
    let reasons = explained["reasons"].as_array().expect("reasons are a list");
    let pairs = reasons.iter().map(|reason| {
        let kind = reason["kind"].as_str().expect("a kind is text");
        (kind, reason["allows"] == true)
    });
    pairs.collect()
}

/// What the explanation says is what the subject meets.
async fn agrees(server: &Server, project: &Project<'_>, caller: &Client, subject: &str) {
    let uploads = format!("/v2/{}/blobs/uploads/", project.repository("app"));
    let explained = explain(&server.admin(), subject, "repository:push", &project.name).await;
    let met = caller.post(&uploads).await.status == 202;
    assert_eq!(explained["allowed"], met, "{explained}");
}

#[tokio::test]
async fn the_explanation_is_the_decision_with_what_leads_to_it() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let name = project.name.as_str();
    let developer = project.member(Role::Developer).await;
    let guest = project.member(Role::Guest).await;
    let stranger = server.stranger().await;
    let user = |client: &Client| format!("user:{}", client.name());
    for person in [&developer, &guest, &stranger, &admin] {
        agrees(&server, &project, person, &user(person)).await;
    }
    agrees(&server, &project, &server.anonymous(), "anonymous").await;
    let explained = explain(&admin, &user(&developer), "repository:push", name).await;
    assert_eq!(explained["allowed"], true);
    assert_eq!(
        (&explained["resource"], &explained["action"]),
        (&json!("repository"), &json!("push"))
    );
    assert_eq!(kinds(&explained), [("role", true)]);
    assert_eq!(explained["reasons"][0]["text"], "is developer");
    let explained = explain(&admin, &user(&guest), "repository:push", name).await;
    assert_eq!(
        (&explained["allowed"], kinds(&explained)),
        (&json!(false), vec![("role", false)])
    );
    let explained = explain(&admin, &user(&stranger), "repository:pull", name).await;
    assert_eq!(
        (&explained["allowed"], kinds(&explained)),
        (&json!(false), vec![])
    );
    let explained = explain(&admin, "user:admin", "tag:delete", name).await;
    assert_eq!(kinds(&explained)[0], ("sysadmin", true));
    let explained = explain(&admin, "anonymous", "repository:pull", "library").await;
    assert_eq!(
        (&explained["allowed"], kinds(&explained)),
        (&json!(true), vec![("public", true)])
    );
    let group = fresh("devs");
    let member = json!({ "role_id": 2, "member_group": { "group_name": group, "group_type": 3 } });
    admin
        .post(&project.members())
        .json(&member)
        .await
        .expect(201);
    let explained = explain(&admin, &format!("group:{group}"), "repository:push", name).await;
    assert_eq!(
        (&explained["allowed"], kinds(&explained)),
        (&json!(true), vec![("role", true)])
    );
    server
        .sql(&format!(
            "insert into group_member (principal_id, group_id) select u.id, g.id from principal u, principal g \
             where u.name = '{}' and g.name = '{group}'",
            stranger.name()
        ))
        .await;
    let explained = explain(&admin, &user(&stranger), "repository:push", name).await;
    assert_eq!(kinds(&explained), [("group", true)]);
    assert_eq!(
        explained["reasons"][0]["text"],
        format!("is developer by the group {group}")
    );
}

#[tokio::test]
async fn a_robot_is_explained_by_its_permissions() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let pull = json!([{ "kind": "project", "namespace": project.name,
        "access": [{ "resource": "repository", "action": "pull" }] }]);
    let body = json!({ "name": "ci", "level": "project", "duration": 1, "permissions": pull });
    let made = admin.post("/api/v2.0/robots").json(&body).await.expect(201);
    let (path, made) = (made.location(), made.json());
    let (name, secret) = (
        made["name"].as_str().expect("text"),
        made["secret"].as_str().expect("text"),
    );
    let subject = format!("robot:{name}");
    agrees(
        &server,
        &project,
        &server.as_user_with(name, secret),
        &subject,
    )
    .await;
    let may = explain(&admin, &subject, "repository:pull", &project.name).await;
    assert_eq!(
        (&may["allowed"], kinds(&may)),
        (&json!(true), vec![("robot", true)])
    );
    let may_not = explain(&admin, &subject, "repository:push", &project.name).await;
    assert_eq!(
        (&may_not["allowed"], kinds(&may_not)),
        (&json!(false), vec![("robot", false)])
    );
    assert_eq!(
        may_not["reasons"][0]["text"],
        "was not given repository:push"
    );
    let mut change = admin.get(&path).await.expect(200).json();
    change["disable"] = json!(true);
    admin.put(&path).json(&change).await.expect(200);
    let ended = explain(&admin, &subject, "repository:pull", &project.name).await;
    assert_eq!(
        (&ended["allowed"], kinds(&ended)[0]),
        (&json!(false), ("ended", false))
    );
}

#[tokio::test]
async fn what_cannot_be_explained_says_why() {
    let server = SERVER.get().await;
    let admin = server.admin();
    for (query, status) in [
        ("action=repository:pull&project=library", 422),
        ("subject=anonymous&project=library", 422),
        ("subject=anonymous&action=repository:pull", 422),
        (
            "subject=anonymous&action=repository:fly&project=library",
            400,
        ),
        ("subject=anonymous&action=zzz&project=library", 400),
        ("subject=ann&action=repository:pull&project=library", 400),
        (
            "subject=user:nobody-of-this-name&action=repository:pull&project=library",
            404,
        ),
        (
            "subject=anonymous&action=repository:pull&project=no-such-project",
            404,
        ),
        ("subject=anonymous&action=repository:pull&project=NO", 404),
    ] {
        let answer = admin
            .get(&format!("/api/ext/v1/access/explain?{query}"))
            .await;
        assert_eq!(answer.status, status, "{query}: {answer}");
    }
}
