//! Members of a project and their roles.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Role, membership};

#[tokio::test]
async fn a_member_is_added_listed_changed_and_removed() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (admin, person, members) = (server.admin(), server.stranger().await, project.members());
    let added = admin
        .post(&members)
        .json(&membership(person.name(), Role::Guest))
        .await
        .expect(201);
    let member = added.location();
    assert!(member.starts_with(&format!("{members}/")), "{added}");
    let read = person.get(&member).await.expect(200).json();
    assert_eq!(
        (&read["entity_name"], &read["entity_type"]),
        (&json!(person.name()), &json!("u"))
    );
    assert_eq!(
        (&read["role_id"], &read["role_name"]),
        (&json!(3), &json!("guest"))
    );
    assert_eq!(read["project_id"], project.id);
    let list = admin.get(&members).await.expect(200);
    assert_eq!(list.header("x-total-count"), "2");
    let names: Vec<Value> = list
        .json()
        .as_array()
        .expect("a list is a list")
        .iter()
        .map(|m| m["entity_name"].clone())
        .collect();
    assert_eq!(names, [json!("admin"), json!(person.name())], "by name");
    admin
        .put(&member)
        .json(&json!({ "role_id": 4 }))
        .await
        .expect(200);
    assert_eq!(
        admin.get(&member).await.expect(200).json()["role_name"],
        "maintainer"
    );
    admin.delete(&member).await.expect(200);
    admin.get(&member).await.expect_error(404, "NOT_FOUND");
    admin.delete(&member).await.expect(200);
}

#[tokio::test]
async fn every_role_has_its_number_and_name() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let names = [
        "projectAdmin",
        "developer",
        "guest",
        "maintainer",
        "limitedGuest",
    ];
    let roles = [
        Role::ProjectAdmin,
        Role::Developer,
        Role::Guest,
        Role::Maintainer,
        Role::LimitedGuest,
    ];
    for (role, name) in roles.into_iter().zip(names) {
        let person = server.stranger().await;
        let member = project.add(person.name(), role).await;
        let read = server
            .admin()
            .get(&format!("{}/{member}", project.members()))
            .await
            .expect(200)
            .json();
        assert_eq!(
            (&read["role_id"], &read["role_name"]),
            (&json!(role as u8), &json!(name))
        );
    }
}

#[tokio::test]
async fn members_who_cannot_be_added_are_refused() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let person = server.stranger().await;
    project.add(person.name(), Role::Guest).await;
    let (admin, members) = (server.admin(), project.members());
    let other = server.stranger().await;
    let cases = [
        (membership(person.name(), Role::Developer), 409, "CONFLICT"),
        (
            membership("nobody-of-this-name", Role::Guest),
            404,
            "NOT_FOUND",
        ),
        (
            json!({ "member_user": { "username": other.name() } }),
            400,
            "BAD_REQUEST",
        ),
        (
            json!({ "role_id": 0, "member_user": { "username": other.name() } }),
            400,
            "BAD_REQUEST",
        ),
        (
            json!({ "role_id": 6, "member_user": { "username": other.name() } }),
            400,
            "BAD_REQUEST",
        ),
        (
            json!({ "role_id": -1, "member_user": { "username": other.name() } }),
            400,
            "BAD_REQUEST",
        ),
        (json!({ "role_id": 2 }), 400, "BAD_REQUEST"),
        (
            json!({ "role_id": "2", "member_user": { "username": other.name() } }),
            422,
            "UNPROCESSABLE_ENTITY",
        ),
        (json!([]), 422, "UNPROCESSABLE_ENTITY"),
    ];
    for (body, status, code) in cases {
        let answer = admin.post(&members).json(&body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{body}: {answer}"
        );
    }
    let bad_role = admin
        .put(&format!("{members}/1"))
        .json(&json!({ "role_id": 9 }))
        .await;
    assert!([400, 404].contains(&bad_role.status), "{bad_role}");
    admin
        .get(&format!("{members}/999999"))
        .await
        .expect_error(404, "NOT_FOUND");
    admin
        .get(&format!("{members}/abc"))
        .await
        .expect_error(422, "UNPROCESSABLE_ENTITY");
}

#[tokio::test]
async fn a_member_may_be_named_by_number() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let id = server.create_user(&crate::harness::fresh("number")).await;
    let body = json!({ "role_id": 2, "member_user": { "user_id": id } });
    server
        .admin()
        .post(&project.members())
        .json(&body)
        .await
        .expect(201);
    server
        .admin()
        .post(&project.members())
        .json(&body)
        .await
        .expect_error(409, "CONFLICT");
}

#[tokio::test]
async fn a_member_belongs_to_its_project() {
    let server = SERVER.get().await;
    let (one, two) = (
        server.private_project().await,
        server.private_project().await,
    );
    let person = server.stranger().await;
    let member = one.add(person.name(), Role::Developer).await;
    let intruder = two.member(Role::ProjectAdmin).await;
    let path = format!("{}/{member}", two.members());
    intruder.get(&path).await.expect_error(404, "NOT_FOUND");
    intruder.delete(&path).await;
    let changed = intruder.put(&path).json(&json!({ "role_id": 1 })).await;
    assert_ne!(changed.status, 200, "{changed}");
    let still = server
        .admin()
        .get(&format!("{}/{member}", one.members()))
        .await
        .expect(200)
        .json();
    assert_eq!(still["role_id"], Role::Developer as u8);
}
