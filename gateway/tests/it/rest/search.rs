//! Search and statistics: what a caller may see is found and counted, on both databases.

use serde_json::{Value, json};

use crate::harness::{Client, Replicas, Role, Server, image};

async fn search(client: &Client, part: &str) -> (Vec<String>, Vec<Value>) {
    let found = client.get(&format!("/api/v2.0/search?q={part}")).await;
    let found = found.expect(200).json();
    let projects = found["project"].as_array().expect("a list").iter();
    let name = |project: &Value| project["name"].as_str().expect("a name").to_owned();
    let repositories = found["repository"].as_array().expect("a list");
    (projects.map(name).collect(), repositories.clone())
}

async fn statistics(client: &Client) -> Value {
    let counted = client.get("/api/v2.0/statistics").await;
    counted.expect(200).json()
}

async fn found_and_counted(server: &Server) {
    let (private, public) = (
        server.private_project().await,
        server.public_project().await,
    );
    let admin = server.admin();
    for project in [&private, &public] {
        let repository = project.repository("deep/app_1");
        admin.push_image(&repository, "v1", &image("a")).await;
        // A tag more is no artifact more.
        admin.push_image(&repository, "v2", &image("a")).await;
    }
    // Blobs alone are no repository.
    let bytes = image("a").manifest;
    admin.push_blob(&private.repository("blobs"), bytes).await;
    let guest = private.member(Role::Guest).await;
    let (stranger, anonymous) = (server.stranger().await, server.anonymous());

    for (client, sees_both) in [
        (&admin, true),
        (&guest, true),
        (&stranger, false),
        (&anonymous, false),
    ] {
        let (projects, _) = search(client, &private.name).await;
        assert_eq!(projects.len(), usize::from(sees_both), "{}", client.name());
        let (projects, repositories) = search(client, &public.name.to_uppercase()).await;
        assert_eq!(projects, [&*public.name]);
        let expected = json!({
            "artifact_count": 1, "project_id": public.id, "project_name": public.name,
            "project_public": true, "repository_name": public.repository("deep/app_1"),
        });
        assert_eq!(repositories, [expected]);
        let (_, repositories) = search(client, "deep/App%5F").await;
        assert_eq!(
            repositories.len(),
            usize::from(sees_both) + 1,
            "{}",
            client.name()
        );
        // What would match anything in a pattern matches itself.
        assert_eq!(search(client, "%25").await, (vec![], vec![]));
    }

    let all = json!({
        "private_project_count": 1, "private_repo_count": 1,
        "public_project_count": 2, "public_repo_count": 1,
        "total_project_count": 3, "total_repo_count": 2,
    });
    let mut counted = statistics(&admin).await;
    let stored = counted["total_storage_consumption"].take();
    assert!(stored.as_i64().is_some_and(|bytes| bytes > 0), "{stored}");
    for (name, count) in all.as_object().expect("an object") {
        assert_eq!(&counted[name], count, "{name}");
    }
    for (client, own) in [(&guest, 1), (&stranger, 0)] {
        let expected = json!({
            "private_project_count": own, "private_repo_count": own,
            "public_project_count": 2, "public_repo_count": 1,
            "total_project_count": 0, "total_repo_count": 0, "total_storage_consumption": 0,
        });
        assert_eq!(statistics(client).await, expected);
    }
}

#[tokio::test]
async fn what_one_may_see_is_found_and_counted() {
    found_and_counted(&Server::start().await).await;
}

#[tokio::test]
async fn what_one_may_see_is_found_and_counted_on_postgres() {
    found_and_counted(&Replicas::start().await.first).await;
}
