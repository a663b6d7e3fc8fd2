//! Local users: create, list, look up, change, delete.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{PASSWORD, fresh};

const USERS: &str = "/api/v2.0/users";

fn user(name: &str) -> Value {
    json!({ "username": name, "password": PASSWORD, "email": format!("{name}@example.com"), "realname": "A Name",
        "comment": "c" })
}

#[tokio::test]
async fn a_user_is_created_once() {
    let server = SERVER.get().await;
    let name = fresh("once");
    let admin = server.admin();
    let created = admin.post(USERS).json(&user(&name)).await.expect(201);
    assert!(
        created.location().starts_with("/api/v2.0/users/"),
        "{created}"
    );
    let again = admin
        .post(USERS)
        .json(&user(&name))
        .await
        .expect_error(409, "CONFLICT");
    assert_eq!(
        again.message(),
        format!("user {name} or email {name}@example.com already exists")
    );
    let mut same_mail = user(&fresh("other"));
    same_mail["email"] = format!("{name}@example.com").into();
    admin
        .post(USERS)
        .json(&same_mail)
        .await
        .expect_error(409, "CONFLICT");
}

#[tokio::test]
async fn a_user_reads_as_harbor_shows_one() {
    let server = SERVER.get().await;
    let name = fresh("reader");
    let id = server.create_user(&name).await;
    let person = server.as_user(&name);
    let current = person
        .get("/api/v2.0/users/current")
        .await
        .expect(200)
        .json();
    assert_eq!(
        current,
        person
            .get(&format!("{USERS}/{id}"))
            .await
            .expect(200)
            .json()
    );
    assert_eq!(
        (&current["user_id"], &current["username"]),
        (&json!(id), &json!(name))
    );
    assert_eq!(
        (&current["sysadmin_flag"], &current["admin_role_in_auth"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(current["email"], format!("{name}@example.com"));
    for time in ["creation_time", "update_time"] {
        let text = current[time].as_str().unwrap_or_default();
        assert!(
            text.len() == 24 && text.ends_with('Z'),
            "milliseconds in UTC: {current}"
        );
    }
    assert!(
        !current.to_string().to_lowercase().contains("password"),
        "{current}"
    );
    let admin = server
        .admin()
        .get("/api/v2.0/users/current")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&admin["user_id"], &admin["sysadmin_flag"]),
        (&json!(1), &json!(true))
    );
}

#[tokio::test]
async fn the_list_of_users_leaves_out_admin() {
    let server = SERVER.get().await;
    let name = fresh("listed");
    server.create_user(&name).await;
    let list = server
        .admin()
        .get(&format!("{USERS}?page_size=100&sort=username"))
        .await
        .expect(200);
    let users = list.json();
    let names: Vec<&str> = users
        .as_array()
        .expect("a list is a list")
        .iter()
        .filter_map(|u| u["username"].as_str())
        .collect();
    assert!(
        names.contains(&name.as_str()) && !names.contains(&"admin"),
        "{names:?}"
    );
    assert!(names.is_sorted(), "{names:?}");
    let found = server
        .admin()
        .get(&format!("{USERS}?q=username%3D~{name}"))
        .await
        .expect(200);
    assert_eq!(found.header("x-total-count"), "1");
}

#[tokio::test]
async fn anybody_signed_in_may_search_for_names() {
    let server = SERVER.get().await;
    let person = server.stranger().await;
    let found = person
        .get(&format!("{USERS}/search?username={}", person.name()))
        .await
        .expect(200)
        .json();
    assert_eq!(found[0]["username"], person.name());
    assert_eq!(
        found[0].as_object().map(serde_json::Map::len),
        Some(2),
        "an id and a name: {found}"
    );
    person
        .get(&format!("{USERS}/search"))
        .await
        .expect_error(422, "UNPROCESSABLE_ENTITY");
    server
        .anonymous()
        .get(&format!("{USERS}/search?username=a"))
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn users_who_break_the_rules_are_refused() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let with = |key: &str, value: Value| {
        let mut body = user(&fresh("rules"));
        body[key] = value;
        body
    };
    let cases = [
        (with("username", "a,b~#$%".into()), 400),
        (with("username", "".into()), 400),
        (with("username", Value::Null), 400),
        (with("username", 5.into()), 422),
        (with("password", "short".into()), 400),
        (with("password", "alllowercase1".into()), 400),
        (with("password", "ALLUPPERCASE1".into()), 400),
        (with("password", "NoDigitsHere".into()), 400),
        (
            with("password", format!("Aa1{}", "x".repeat(126)).into()),
            400,
        ),
        (with("email", Value::Null), 400),
        (with("email", "not-an-address".into()), 400),
        (with("realname", "a#b".into()), 400),
    ];
    for (body, status) in cases {
        let answer = admin.post(USERS).json(&body).await;
        assert_eq!(answer.status, status, "{body}: {answer}");
        assert_eq!(
            answer.code(),
            if status == 400 {
                "BAD_REQUEST"
            } else {
                "UNPROCESSABLE_ENTITY"
            },
            "{body}"
        );
    }
}

#[tokio::test]
async fn nobody_registers_themselves() {
    let server = SERVER.get().await;
    let answer = server
        .anonymous()
        .post(USERS)
        .json(&user(&fresh("self")))
        .await;
    assert!([401, 403].contains(&answer.status), "{answer}");
    let forbidden = server
        .stranger()
        .await
        .post(USERS)
        .json(&user(&fresh("self")))
        .await;
    forbidden.expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_password_changes_by_its_rules() {
    let server = SERVER.get().await;
    let name = fresh("password");
    let id = server.create_user(&name).await;
    let (person, path) = (server.as_user(&name), format!("{USERS}/{id}/password"));
    let change = |old: &str, new: &str| json!({ "old_password": old, "new_password": new });
    let wrong = person
        .put(&path)
        .json(&change("Wrong0000", "Passw0rd2"))
        .await
        .expect_error(403, "FORBIDDEN");
    assert_eq!(wrong.message(), "Current password is incorrect");
    person
        .put(&path)
        .json(&change(PASSWORD, PASSWORD))
        .await
        .expect_error(400, "BAD_REQUEST");
    person
        .put(&path)
        .json(&change(PASSWORD, "weak"))
        .await
        .expect_error(400, "BAD_REQUEST");
    let admin = format!("{USERS}/1/password");
    person
        .put(&admin)
        .json(&change("x", "Passw0rd2"))
        .await
        .expect_error(403, "FORBIDDEN");
    person
        .put(&path)
        .json(&change(PASSWORD, "Passw0rd2"))
        .await
        .expect(200);
    server
        .admin()
        .put(&path)
        .json(&json!({ "new_password": "Passw0rd3" }))
        .await
        .expect(200);
    server
        .as_user_with(&name, "Passw0rd3")
        .get("/api/v2.0/users/current")
        .await
        .expect(200);
}

#[tokio::test]
async fn a_deleted_name_can_be_taken_again() {
    let server = SERVER.get().await;
    let name = fresh("deleted");
    let id = server.create_user(&name).await;
    let admin = server.admin();
    admin.delete(&format!("{USERS}/{id}")).await.expect(200);
    admin
        .delete(&format!("{USERS}/{id}"))
        .await
        .expect_error(404, "NOT_FOUND");
    admin
        .get(&format!("{USERS}/{id}"))
        .await
        .expect_error(404, "NOT_FOUND");
    assert_ne!(server.create_user(&name).await, id);
}

#[tokio::test]
async fn admin_and_oneself_cannot_be_deleted() {
    let server = SERVER.get().await;
    let refused = server
        .admin()
        .delete(&format!("{USERS}/1"))
        .await
        .expect_error(403, "FORBIDDEN");
    assert_eq!(refused.message(), "User with ID 1 cannot be deleted");
    let name = fresh("sysadmin");
    let id = server.create_user(&name).await;
    let flag = json!({ "sysadmin_flag": true });
    server
        .admin()
        .put(&format!("{USERS}/{id}/sysadmin"))
        .json(&flag)
        .await
        .expect(200);
    let person = server.as_user(&name);
    crate::harness::eventually(2, "the new rights hold", async || {
        (person.get(USERS).await.status == 200).then_some(())
    })
    .await;
    person
        .delete(&format!("{USERS}/{id}"))
        .await
        .expect_error(403, "FORBIDDEN");
    person
        .delete(&format!("{USERS}/1"))
        .await
        .expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn ids_that_are_none_are_refused() {
    let server = SERVER.get().await;
    let missing = server
        .admin()
        .get(&format!("{USERS}/9999"))
        .await
        .expect_error(404, "NOT_FOUND");
    assert_eq!(missing.message(), "user 9999 not found");
    for id in ["abc", "1.5", "99999999999999999999999", "0x1", "-"] {
        server
            .admin()
            .get(&format!("{USERS}/{id}"))
            .await
            .expect_error(422, "UNPROCESSABLE_ENTITY");
    }
}

#[tokio::test]
async fn a_profile_is_changed_by_its_owner_and_by_administrators() {
    let server = SERVER.get().await;
    let name = fresh("profile");
    let (id, other) = (server.create_user(&name).await, server.stranger().await);
    let (person, path) = (server.as_user(&name), format!("{USERS}/{id}"));
    let profile = |who: &str| json!({ "email": format!("{name}@{who}.example"), "realname": who, "comment": "new" });
    person.put(&path).json(&profile("self")).await.expect(200);
    assert_eq!(
        person.get(&path).await.expect(200).json()["realname"],
        "self"
    );
    server
        .admin()
        .put(&path)
        .json(&profile("admin"))
        .await
        .expect(200);
    assert_eq!(
        person.get(&path).await.expect(200).json()["email"],
        format!("{name}@admin.example")
    );
    other
        .put(&path)
        .json(&profile("other"))
        .await
        .expect_error(403, "FORBIDDEN");
    let bad = json!({ "email": "nowhere", "realname": "x" });
    person
        .put(&path)
        .json(&bad)
        .await
        .expect_error(400, "BAD_REQUEST");
}

#[tokio::test]
async fn nobody_makes_themselves_an_administrator() {
    let server = SERVER.get().await;
    let name = fresh("climber");
    let id = server.create_user(&name).await;
    let person = server.as_user(&name);
    let flag = json!({ "sysadmin_flag": true });
    person
        .put(&format!("{USERS}/{id}/sysadmin"))
        .json(&flag)
        .await
        .expect_error(403, "FORBIDDEN");
    let profile =
        json!({ "email": format!("{name}@example.com"), "realname": "x", "sysadmin_flag": true });
    person
        .put(&format!("{USERS}/{id}"))
        .json(&profile)
        .await
        .expect(200);
    let current = person
        .get(&format!("{USERS}/current"))
        .await
        .expect(200)
        .json();
    assert_eq!(current["sysadmin_flag"], false);
    person.get(USERS).await.expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn permissions_are_those_of_the_role() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let path = |relative: bool| {
        let scope = format!("/project/{}", project.id);
        format!("{USERS}/current/permissions?scope={scope}&relative={relative}")
    };
    let guest = project.member(crate::harness::Role::Guest).await;
    let held = guest.get(&path(true)).await.expect(200).json();
    let pair = |resource: &str, action: &str| json!({ "resource": resource, "action": action });
    let holds = |pair: Value| held.as_array().is_some_and(|held| held.contains(&pair));
    assert!(
        holds(pair("repository", "pull")) && holds(pair(".", "read")),
        "{held}"
    );
    assert!(
        !holds(pair("repository", "push")) && !holds(pair("member", "create")),
        "{held}"
    );
    let absolute = guest.get(&path(false)).await.expect(200).text();
    assert!(
        absolute.contains(&format!("/project/{}/repository", project.id)),
        "{absolute}"
    );
    let stranger = server.stranger().await;
    assert_eq!(
        stranger.get(&path(true)).await.expect(200).json(),
        json!([])
    );
    let nonsense = format!("{USERS}/current/permissions?scope=nope");
    assert_eq!(stranger.get(&nonsense).await.expect(200).json(), json!([]));
    server
        .anonymous()
        .get(&path(true))
        .await
        .expect_error(401, "UNAUTHORIZED");
}
