//! Whose an account is, when an administrator says so, and who is expected.

use super::*;

impl Office {
    async fn id_of(&self, name: &str) -> Value {
        let path = format!("/api/v2.0/users?q=username%3D{name}");
        let found = self.server.admin().get(&path).await.expect(200).json();
        found[0]["user_id"].clone()
    }

    /// Whether an account is one of the provider's people now.
    async fn signs_in(&self, sub: &str) -> Option<String> {
        let mut person = self.person(sub, json!({})).await;
        person.sign_in("").await;
        match person.here.is_signed_in().await {
            true => Some(person.current().await["username"].as_str()?.to_owned()),
            false => None,
        }
    }
}

#[tokio::test]
async fn a_role_waits_for_an_expected_person_and_a_mail_address_must_be_verified() {
    let office = Office::open(json!({ "oidc_auto_onboard": true })).await;
    let (server, admin) = (&office.server, office.server.admin());
    let project = server.private_project().await;
    let head = project.member(Role::ProjectAdmin).await;
    let developer = project.member(Role::Developer).await;
    let path = format!("/api/ext/v1/projects/{}/expected-members", project.name);
    let by_name = json!({ "value": "gina", "role_id": 2 });
    let by_mail = json!({ "claim": "email", "value": "henry@example.test", "role_id": 2 });
    developer
        .post(&path)
        .json(&by_name)
        .await
        .expect_error(403, "FORBIDDEN");
    head.post(&path).json(&by_name).await.expect(201);
    head.post(&path)
        .json(&by_name)
        .await
        .expect_error(409, "CONFLICT");
    let waiting = head.post(&path).json(&by_mail).await.expect(201).location();
    for wrong in [
        json!({ "claim": "sub", "value": "x", "role_id": 2 }),
        json!({ "claim": "email", "value": "", "role_id": 2 }),
        json!({ "claim": "email", "value": "x@y", "role_id": 99 }),
        json!({ "claim": "a b", "value": "x", "role_id": 2 }),
    ] {
        head.post(&path)
            .json(&wrong)
            .await
            .expect_error(400, "BAD_REQUEST");
    }
    let listed = developer.get(&path).await.expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let printed = server
        .cli_prints(&["member", "expected", &project.name])
        .await;
    assert!(printed.contains("email=henry@example.test"), "{printed}");

    let repository = project.repository("app");
    let (_, gina) = office.member("gina", json!({ "nick": "gina" })).await;
    assert!(may_push(&gina, &repository).await);
    // The provider does not say that it verified the address.
    let claims = json!({ "nick": "henry", "email": "henry@example.test" });
    let (_, henry) = office.member("henry", claims).await;
    assert!(!may_push(&henry, &repository).await);
    let verified = office
        .provider
        .logout_token(json!({ "events": null, "jti": null, "sub": "henry",
        "email": "henry@example.test", "email_verified": true }));
    server
        .sql("update identity set read_at = read_at - 600000000")
        .await;
    let by_token = server.with_bearer(&verified.await);
    by_token.get(CURRENT).await.expect(200);
    assert!(may_push(&henry, &repository).await);
    assert_eq!(head.get(&path).await.expect(200).json(), json!([]));
    head.delete(&waiting).await.expect_error(404, "NOT_FOUND");
    let log = format!(
        "/api/v2.0/projects/{}/auditlog-exts?page_size=100&q=resource_type%3Dmember",
        project.name
    );
    let log = admin.get(&log).await.expect(200).text();
    assert!(
        log.contains("expected by email=henry@example.test"),
        "{log}"
    );
}

#[tokio::test]
async fn an_account_is_parted_from_its_person_and_joined_with_another() {
    let office = Office::open(json!({})).await;
    let (server, admin) = (&office.server, office.server.admin());
    let (mut person, tool) = office.member("ina", json!({ "nick": "ina" })).await;
    let project = server.private_project().await;
    project.add("ina", Role::Developer).await;
    let repository = project.repository("app");
    assert!(may_push(&tool, &repository).await);
    let path = format!("/api/ext/v1/users/{}/identity", office.id_of("ina").await);
    person.here.get(CURRENT).await.expect(200);
    let own = person.here.put(&path, &json!({ "subject": "x" })).await;
    own.expect_error(403, "FORBIDDEN");
    // Joined already.
    let join = |subject: &str| json!({ "subject": subject });
    admin
        .put(&path)
        .json(&join("ina-2"))
        .await
        .expect_error(409, "CONFLICT");
    admin.delete(&path).await.expect(200);
    admin.delete(&path).await.expect_error(412, "PRECONDITION");
    // A dead link ends all at once.
    assert!(!person.here.is_signed_in().await);
    tool.get(TOKEN).await.expect(401);
    assert_eq!(
        office.signs_in("ina").await,
        None,
        "she would be somebody new"
    );

    admin.put(&path).json(&join("ina-2")).await.expect(200);
    assert_eq!(office.signs_in("ina-2").await.as_deref(), Some("ina"));
    let (_, bob) = office.member("bob", json!({ "nick": "bob" })).await;
    bob.get(TOKEN).await.expect(200);
    let of_bob = format!("/api/ext/v1/users/{}/identity", office.id_of("bob").await);
    admin.delete(&of_bob).await.expect(200);
    let taken = admin.put(&of_bob).json(&join("ina-2")).await;
    taken.expect_error(409, "CONFLICT");

    // A local account loses its password with that, and the built-in administrator is nobody's.
    let name = fresh("local");
    server.create_user(&name).await;
    // The provider is asked what it calls itself, in a network that this server may connect to.
    let joined = server
        .cli_as_server(&["user", "join", &name, "--subject", "karl"])
        .await;
    let printed = String::from_utf8_lossy(&joined.stdout);
    assert!(
        joined.status.success() && printed.contains("karl"),
        "{joined:?}"
    );
    server.as_user(&name).get(TOKEN).await.expect(401);
    assert_eq!(office.signs_in("karl").await, Some(name));
    let of_admin = "/api/ext/v1/users/1/identity";
    admin
        .put(of_admin)
        .json(&join("mallory"))
        .await
        .expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn accounts_follow_a_provider_whose_issuer_changed() {
    let office = Office::open(json!({})).await;
    let server = &office.server;
    office.member("lena", json!({ "nick": "lena" })).await;
    office.member("max", json!({ "nick": "max" })).await;
    let (new, old) = (office.provider.issuer(), "https://old.example/realm");
    // As if they were made while the provider had another name.
    server
        .sql(&format!(
            "update identity set subject = replace(subject, '{new} ', '{old} ')"
        ))
        .await;
    assert_eq!(office.signs_in("lena").await, None);
    let arguments = ["user", "relink", "--issuer", old, &new];
    let dry = server
        .cli_prints(&[&arguments[..], &["--dry-run"]].concat())
        .await;
    assert!(
        dry.contains("2 users would follow") && dry.contains("lena:"),
        "{dry}"
    );
    assert_eq!(office.signs_in("lena").await, None);
    let done = server.cli_prints(&arguments).await;
    assert!(done.contains("2 users follow"), "{done}");
    assert_eq!(office.signs_in("lena").await.as_deref(), Some("lena"));

    // With other subjects too they are found by the claim that is their name.
    server
        .sql(&format!(
            "update identity set subject = replace(subject, '{new} ', '{old} x-')"
        ))
        .await;
    let by_name = [&arguments[..], &["--by", "name"]].concat();
    // The name's claim is `nick`.
    server.cli_prints(&by_name).await;
    assert_eq!(office.signs_in("max").await.as_deref(), Some("max"));
    assert_eq!(office.signs_in("lena").await.as_deref(), Some("lena"));
    // Two accounts never go to one person.
    server
        .sql(&format!(
            "update identity set subject = '{old} max' where subject like '%lena%'"
        ))
        .await;
    let refused = server.cli(&arguments).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("two accounts"),
        "{said}"
    );
}
