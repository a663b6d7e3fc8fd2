//! What is the caller's own, and what they may see.

use serde_json::json;

use super::{column, get};
use crate::harness::{Role, Server, fresh, image};

pub(super) async fn capabilities(server: &Server) {
    let named = get(&server.anonymous(), "/capabilities").await;
    assert_eq!(named["features"]["bulk"], 1);
    assert_eq!(named["features"]["teleport"], json!(null));
}

pub(super) async fn preferences_and_favourites(server: &Server) {
    let (person, other) = (server.stranger().await, server.stranger().await);
    let (preferences, favourites) = ("/api/ext/v1/me/preferences", "/api/ext/v1/me/favourites");
    assert_eq!(get(&person, "/me/preferences").await, json!({}));
    let none = json!({ "projects": [], "repositories": [] });
    assert_eq!(get(&person, "/me/favourites").await, none);
    let dark = json!({ "theme": "dark", "columns": ["name", "size"] });
    person.put(preferences).json(&dark).await.expect(200);
    let starred = json!({ "projects": ["team"], "repositories": ["team/deep/app"] });
    person.put(favourites).json(&starred).await.expect(200);
    assert_eq!(get(&person, "/me/preferences").await, dark);
    assert_eq!(get(&person, "/me/favourites").await, starred);
    assert_eq!(get(&other, "/me/preferences").await, json!({}));
    // What is refused leaves what was.
    let large = json!({ "a": "x".repeat(20_000) });
    let refused = person.put(preferences).json(&large).await;
    assert!(
        refused
            .expect_error(400, "BAD_REQUEST")
            .message()
            .contains("16384")
    );
    let list = person.put(preferences).json(&json!(["a"])).await;
    list.expect_error(422, "UNPROCESSABLE_ENTITY");
    let wrong = json!({ "projects": ["Not A Name"] });
    let refused = person.put(favourites).json(&wrong).await;
    assert!(
        refused
            .expect_error(400, "BAD_REQUEST")
            .message()
            .contains("projects")
    );
    let many: Vec<String> = (0..101).map(|number| format!("p{number}")).collect();
    let refused = person
        .put(favourites)
        .json(&json!({ "projects": many }))
        .await;
    assert!(
        refused
            .expect_error(400, "BAD_REQUEST")
            .message()
            .contains("100")
    );
    assert_eq!(get(&person, "/me/preferences").await, dark);
    assert_eq!(get(&person, "/me/favourites").await, starred);
}

pub(super) async fn access_and_home(server: &Server) {
    let (team, public) = (
        server.private_project().await,
        server.public_project().await,
    );
    let developer = team.member(Role::Developer).await;
    for project in [&team, &public] {
        let repository = project.repository("app");
        let admin = server.admin();
        admin.push_image(&repository, "v1", &image("home")).await;
    }
    let listed = get(&developer, "/me/access").await;
    assert_eq!(column(&listed, "project_name"), [&*team.name]);
    assert_eq!(listed[0]["roles"], json!([{ "role": "developer" }]));
    let permissions = listed[0]["permissions"].as_array().expect("a list");
    assert!(permissions.contains(&json!("repository:push")));
    assert!(!permissions.contains(&json!("member:create")));
    // A system administrator may do everything everywhere.
    let admin = server.admin();
    let named = get(&admin, &format!("/me/access?q=name={}", public.name)).await;
    assert!(
        named[0]["permissions"]
            .as_array()
            .expect("a list")
            .contains(&json!("member:create"))
    );

    let home = get(&developer, "/home").await;
    assert_eq!(home["project_count"], 1);
    assert_eq!(column(&home["projects"], "name"), [&*team.name]);
    assert_eq!(home["projects"][0]["roles"], json!(["developer"]));
    assert_eq!(home["projects"][0]["artifact_count"], 1);
    assert_eq!(
        column(&home["repositories"], "name"),
        [team.repository("app")]
    );
    let alone = get(&server.stranger().await, "/home").await;
    assert_eq!(
        alone,
        json!({ "project_count": 0, "projects": [], "repositories": [] })
    );
}

pub(super) async fn search(server: &Server) {
    let (hidden, public) = (
        server.private_project().await,
        server.public_project().await,
    );
    let admin = server.admin();
    let word = fresh("needle");
    for project in [&hidden, &public] {
        let repository = project.repository(&word);
        for tag in ["v1", "v2", "w1"] {
            admin.push_image(&repository, tag, &image("found")).await;
        }
    }
    let stranger = server.stranger().await;
    let both = [hidden.repository(&word), public.repository(&word)];
    let found = get(&admin, &format!("/search?q={}", word.to_uppercase())).await;
    let mut names = column(&found["hits"], "name");
    names.sort_unstable();
    let mut expected = both.clone();
    expected.sort_unstable();
    assert_eq!(names, expected);
    for client in [&stranger, &server.anonymous()] {
        let found = get(client, &format!("/search?q={word}")).await;
        assert_eq!(column(&found["hits"], "name"), [&*both[1]]);
        let found = get(client, &format!("/search?q={word}:v")).await;
        let tags = ["v1", "v2"].map(|tag| format!("{}:{tag}", both[1]));
        assert_eq!(column(&found["hits"], "name"), tags);
        assert_eq!(column(&found["hits"], "kind"), ["tag"; 2]);
        // Who there is, is for those who may list users.
        let found = get(client, &format!("/search?q={}", stranger.name())).await;
        assert_eq!(found["hits"], json!([]));
    }
    let found = get(&admin, &format!("/search?q={}&kinds=user", stranger.name())).await;
    assert_eq!(column(&found["hits"], "name"), [stranger.name()]);
    let found = get(&admin, &format!("/search?q={word}:v&limit=1")).await;
    assert_eq!(
        (found["hits"].as_array().map(Vec::len), &found["truncated"]),
        (Some(1), &json!(true))
    );
    let found = get(&admin, &format!("/search?q={}&kinds=project", hidden.name)).await;
    assert_eq!(column(&found["hits"], "kind"), ["project"]);
    for wrong in ["q=", "q=a&kinds=planet", "q=a&limit=0", "q=a&limit=51"] {
        let refused = admin.get(&format!("/api/ext/v1/search?{wrong}")).await;
        assert_eq!(refused.status, 422, "{wrong}");
    }
}

pub(super) async fn matrix(server: &Server) {
    let team = server.private_project().await;
    let guest = team.member(Role::Guest).await;
    let admin = server.admin();
    let rows = get(&admin, &format!("/access/matrix?project={}", team.name)).await;
    let mut listed = rows.as_array().expect("a list").iter();
    let row = listed.find(|row| row["name"] == guest.name());
    let row = row.expect("the guest is listed");
    assert_eq!(
        (&row["kind"], &row["role"]),
        (&json!("user"), &json!("guest"))
    );
    let permissions = row["permissions"].as_array().expect("a list");
    assert!(permissions.contains(&json!("repository:pull")));
    assert!(!permissions.contains(&json!("repository:push")));
    admin.get("/api/ext/v1/access/matrix").await.expect(422);
    admin
        .get("/api/ext/v1/access/matrix?project=none")
        .await
        .expect(404);
}

pub(super) async fn owner(server: &Server) {
    let (team, heir) = (server.private_project().await, server.stranger().await);
    let admin = server.admin();
    let path = format!("/api/ext/v1/projects/{}/owner", team.name);
    let change = async |name: &str| admin.put(&path).json(&json!({ "username": name })).await;
    change("nobody-of-this-name")
        .await
        .expect_error(404, "NOT_FOUND");
    change(heir.name()).await.expect(200);
    let owned = format!("/api/v2.0/projects?owner={}", heir.name());
    let owned = admin.get(&owned).await.expect(200).json();
    assert_eq!(column(&owned, "name"), [&*team.name]);
    // Owning gives no role.
    heir.get(&format!("/api/v2.0/projects/{}", team.name))
        .await
        .expect_error(403, "FORBIDDEN");
    let events = format!(
        "/api/v2.0/projects/{}/auditlog-exts?q=operation=update",
        team.name
    );
    let events = admin.get(&events).await.expect(200);
    assert_eq!(events.header("x-total-count"), "1");
}
