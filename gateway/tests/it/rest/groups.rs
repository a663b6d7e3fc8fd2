//! Groups of users: their names, and the roles that they give to whoever is in them.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Answer, Role, eventually, fresh, image};

const GROUPS: &str = "/api/v2.0/usergroups";

fn oidc(name: &str) -> Value {
    json!({ "group_name": name, "group_type": 3 })
}

fn as_member(group: Value, role: Role) -> Value {
    json!({ "role_id": role as u8, "member_group": group })
}

fn names(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let list = list.as_array().expect("a list").iter();
    list.map(|group| group["group_name"].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn a_group_is_made_found_renamed_and_deleted() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let (name, other) = (fresh("group"), fresh("other"));
    let made = admin.post(GROUPS).json(&oidc(&name)).await.expect(201);
    let path = made.location();
    let read = admin.get(&path).await.expect(200).json();
    let id = read["id"].as_i64().expect("an id is a number");
    assert_eq!(path, format!("{GROUPS}/{id}"));
    assert_eq!(
        read,
        json!({ "group_name": name, "group_type": 3, "id": id })
    );
    let listed = admin
        .get(&format!("{GROUPS}?group_name={}", &name[1..]))
        .await
        .expect(200);
    assert_eq!(names(&listed), [name.as_str()]);
    assert_eq!(listed.header("x-total-count"), "1");
    let person = server.stranger().await;
    let found = person
        .get(&format!("{GROUPS}/search?groupname={name}"))
        .await
        .expect(200);
    assert_eq!(found.json(), json!([read]));
    person
        .get(&format!("{GROUPS}/search"))
        .await
        .expect_error(422, "UNPROCESSABLE_ENTITY");
    admin
        .post(GROUPS)
        .json(&oidc(&name))
        .await
        .expect_error(409, "CONFLICT");
    let proxy = json!({ "group_name": name, "group_type": 2 });
    admin
        .post(GROUPS)
        .json(&proxy)
        .await
        .expect_error(409, "CONFLICT");
    admin.put(&path).json(&oidc(&other)).await.expect(200);
    assert_eq!(
        admin.get(&path).await.expect(200).json()["group_name"],
        other
    );
    // The name that it had is free.
    let second = admin
        .post(GROUPS)
        .json(&oidc(&name))
        .await
        .expect(201)
        .location();
    admin
        .put(&second)
        .json(&oidc(&other))
        .await
        .expect_error(409, "CONFLICT");
    admin.delete(&path).await.expect(200);
    admin.get(&path).await.expect_error(404, "NOT_FOUND");
    admin
        .put(&path)
        .json(&oidc(&other))
        .await
        .expect_error(404, "NOT_FOUND");
    admin.delete(&path).await.expect_error(404, "NOT_FOUND");
    admin.post(GROUPS).json(&oidc(&other)).await.expect(201);
}

#[tokio::test]
async fn a_group_that_cannot_be_made_is_refused_with_the_reason() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let name = fresh("group");
    for (body, reason) in [
        (json!({ "group_name": name }), "group_type: must be"),
        (
            json!({ "group_name": name, "group_type": 0 }),
            "group_type: must be",
        ),
        (
            json!({ "group_name": name, "group_type": 4 }),
            "group_type: must be",
        ),
        (json!({ "group_type": 3 }), "group_name: must have"),
        (oidc(" spaces "), "group_name: must have"),
        (oidc(&"x".repeat(256)), "group_name: must have"),
        (
            json!({ "group_name": name, "group_type": 1, "ldap_group_dn": "cn=x,dc=y" }),
            "LDAP Group DN is not found: DN:cn=x,dc=y",
        ),
        (
            json!({ "group_name": name, "group_type": 1 }),
            "LDAP Group DN is not found",
        ),
        (
            json!({ "group_name": name, "group_type": 3, "ldap_group_dn": "cn=x" }),
            "ldap_group_dn: is for",
        ),
    ] {
        let refused = admin
            .post(GROUPS)
            .json(&body)
            .await
            .expect_error(400, "BAD_REQUEST");
        assert!(refused.message().contains(reason), "{reason} in {refused}");
    }
}

#[tokio::test]
async fn a_group_is_a_member_like_a_user() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = project.member(Role::ProjectAdmin).await;
    let members = project.members();
    let name = fresh("devs");
    // One that is not known is made: a provider names it later.
    let unknown = as_member(oidc(&name), Role::Developer);
    let member = admin
        .post(&members)
        .json(&unknown)
        .await
        .expect(201)
        .location();
    let found = server
        .admin()
        .get(&format!("{GROUPS}?group_name={name}"))
        .await
        .expect(200)
        .json();
    let id = found[0]["id"].clone();
    let read = admin.get(&member).await.expect(200).json();
    assert_eq!(
        (&read["entity_type"], &read["entity_id"]),
        (&json!("g"), &id)
    );
    assert_eq!(
        (&read["entity_name"], &read["role_name"]),
        (&json!(name), &json!("developer"))
    );
    let listed = admin
        .get(&format!("{members}?entityname={name}"))
        .await
        .expect(200);
    assert_eq!(listed.json(), json!([read]));
    let again = as_member(json!({ "id": id }), Role::Guest);
    admin
        .post(&members)
        .json(&again)
        .await
        .expect_error(409, "CONFLICT");
    admin
        .post(&members)
        .json(&unknown)
        .await
        .expect_error(409, "CONFLICT");
    admin
        .put(&member)
        .json(&json!({ "role_id": 3 }))
        .await
        .expect(200);
    assert_eq!(
        admin.get(&member).await.expect(200).json()["role_name"],
        "guest"
    );
    admin.delete(&member).await.expect(200);
    admin.post(&members).json(&again).await.expect(201);
    // A deleted group is a member nowhere.
    server
        .admin()
        .delete(&format!("{GROUPS}/{id}"))
        .await
        .expect(200);
    let listed = admin
        .get(&format!("{members}?entityname={name}"))
        .await
        .expect(200);
    assert_eq!(listed.json(), json!([]));
    for (group, status, reason) in [
        (json!({ "id": 987_654 }), 400, "no group with ID 987654"),
        (
            json!({ "group_name": "nogroup", "group_type": 1 }),
            404,
            "nogroup not found",
        ),
        (json!({ "ldap_group_dn": "cn=x" }), 404, "cn=x not found"),
        (
            json!({ "group_name": "nogroup" }),
            400,
            "group_type: must be",
        ),
        (
            json!({ "group_name": " x", "group_type": 3 }),
            400,
            "group_name: must have",
        ),
    ] {
        let body = as_member(group, Role::Guest);
        let refused = admin.post(&members).json(&body).await;
        assert_eq!(refused.status, status, "{refused}");
        assert!(refused.message().contains(reason), "{reason} in {refused}");
    }
}

#[tokio::test]
async fn whoever_is_in_a_group_has_its_roles_besides_their_own() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    let admin = server.admin();
    admin
        .push_image(&repository, "latest", &image(&repository))
        .await;
    let manifest = format!("/v2/{repository}/manifests/latest");
    let (person, name) = (server.stranger().await, fresh("devs"));
    let member = as_member(oidc(&name), Role::Developer);
    let member = admin
        .post(&project.members())
        .json(&member)
        .await
        .expect(201)
        .location();
    person.get(&manifest).await.expect(401);
    // A directory will do this.
    let join = format!(
        "insert into group_member (principal_id, group_id) select u.id, g.id from principal u, principal g \
         where u.name = '{}' and u.kind = 'user' and g.name = '{name}' and g.kind = 'group'",
        person.name()
    );
    server.sql(&join).await;
    eventually(2, "the role is there", async || {
        (person.get(&manifest).await.status == 200).then_some(())
    })
    .await;
    let path = format!("/api/v2.0/projects/{}", project.name);
    let read = person.get(&path).await.expect(200).json();
    assert_eq!(read["current_user_role_ids"], json!([2]));
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    person.post(&uploads).await.expect(202);
    // With a role of their own they have both.
    project.add(person.name(), Role::Maintainer).await;
    let read = person.get(&path).await.expect(200).json();
    assert_eq!(read["current_user_role_ids"], json!([4, 2]));
    let mine = person
        .get("/api/v2.0/projects?member=true&page_size=100")
        .await
        .expect(200);
    let mine = mine.json();
    let mine: Vec<&Value> = mine
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(mine, [&json!(project.name)], "public ones are not theirs");
    let catalog = person.get("/v2/_catalog?n=10000").await.expect(200).json();
    assert!(
        catalog["repositories"]
            .as_array()
            .expect("a list")
            .contains(&json!(repository))
    );
    // The group's role ends for whoever is in it, at once.
    admin.delete(&member).await.expect(200);
    let read = person.get(&path).await.expect(200).json();
    assert_eq!(read["current_user_role_ids"], json!([4]));
}
