//! What robots may do, and what they may give.

use super::*;

#[tokio::test]
async fn a_robot_copies_and_restores_what_it_may_pull_and_push() {
    let server = SERVER.get().await;
    let (from, to) = (
        server.private_project().await,
        server.private_project().await,
    );
    with_image(&server, &from).await;
    let (admin, repository) = (server.admin(), to.repository("app"));
    let (old, new) = (image(&fresh("old")), image(&fresh("new")));
    for pushed in [&old, &new] {
        admin.push_image(&repository, "v1", pushed).await;
    }
    let copy = format!(
        "/api/v2.0/projects/{}/repositories/copied/artifacts?from={}:latest",
        to.name,
        from.repository("app")
    );
    let restore = format!(
        "/api/ext/v1/projects/{}/repositories/app/tags/v1/restore",
        to.name
    );
    let body = json!({ "digest": old.digest });
    let (read, create) = (["artifact:read"], ["artifact:create", "tag:create"]);
    let pull = ["artifact:read", "repository:pull"];
    let push = ["artifact:create", "tag:create", "repository:push"];
    for (there, here, copied, restored) in [
        (&read[..], &create[..], 403, 403),
        (&read[..], &push[..], 403, 200),
        (&pull[..], &create[..], 403, 403),
        (&pull[..], &push[..], 201, 200),
    ] {
        let permissions = [in_project(&from.name, there), in_project(&to.name, here)];
        let robot = system_robot(&server, &permissions).await.client(&server);
        assert_eq!(robot.post(&copy).await.status, copied, "{there:?} {here:?}");
        let answer = robot.post(&restore).json(&body).await;
        assert_eq!(answer.status, restored, "{here:?}");
    }
}

#[tokio::test]
async fn a_robot_pulls_and_pushes_what_it_may_and_nothing_else() {
    let server = SERVER.get().await;
    let (project, other) = (
        server.private_project().await,
        server.private_project().await,
    );
    let manifest = with_image(&server, &project).await;
    let hidden = with_image(&server, &other).await;
    let puller = project_robot(&project, &["repository:pull"]).await;
    let repository = project.repository("app");
    let scope = format!("repository:{repository}:pull,push,delete");
    let by_password = puller.client(&server);
    let token = by_password.token(&[&scope]).await;
    let claims = Jwt::parse(&token).claims;
    assert_eq!(claims["sub"], puller.name);
    assert_eq!(claims["access"][0]["actions"], json!(["pull"]));
    for caller in [by_password.clone(), server.with_bearer(&token)] {
        caller.get(&manifest).await.expect(200);
        caller.get(&hidden).await.expect_error(401, "UNAUTHORIZED");
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        caller
            .post(&uploads)
            .await
            .expect_error(401, "UNAUTHORIZED");
        caller
            .delete(&manifest)
            .await
            .expect_error(401, "UNAUTHORIZED");
    }
    // Push without pull is enough for all that a push does, and for a pull.
    let pusher = project_robot(&project, &["repository:push"])
        .await
        .client(&server);
    pusher
        .push_image(&repository, "v2", &image("by a robot"))
        .await;
    pusher.get(&manifest).await.expect(200);
    // The catalog has what it may pull.
    let names = by_password
        .get("/v2/_catalog?n=10000")
        .await
        .expect(200)
        .json();
    let names = names["repositories"].as_array().expect("a list").clone();
    assert!(names.contains(&json!(repository)), "{names:?}");
    assert!(
        !names.contains(&json!(other.repository("app"))),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_robot_of_the_system_spans_projects() {
    let server = SERVER.get().await;
    let (one, two, third) = (
        server.private_project().await,
        server.private_project().await,
        server.private_project().await,
    );
    let pull = ["repository:pull"];
    let permissions = [
        in_project(&one.name, &pull),
        in_project(&two.name, &["repository:push"]),
    ];
    let robot = system_robot(&server, &permissions).await;
    assert!(robot.name.starts_with("robot$ci"), "{}", robot.name);
    let paths = [
        with_image(&server, &one).await,
        with_image(&server, &two).await,
        with_image(&server, &third).await,
    ];
    let statuses = async |client: &Client| {
        let mut statuses = Vec::new();
        for path in &paths {
            statuses.push(client.get(path).await.status);
        }
        statuses
    };
    assert_eq!(statuses(&robot.client(&server)).await, [200, 200, 401]);
    let everywhere = system_robot(&server, &[in_project("*", &pull)]).await;
    assert_eq!(statuses(&everywhere.client(&server)).await, [200, 200, 200]);
    let listed = robot
        .client(&server)
        .get("/api/v2.0/projects?page_size=100")
        .await;
    let listed = listed.expect(200).json();
    let names: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|project| project["name"].as_str().expect("a name"))
        .collect();
    assert!(
        names.contains(&&*one.name) && names.contains(&&*two.name),
        "{names:?}"
    );
    assert!(!names.contains(&&*third.name), "{names:?}");
}

#[tokio::test]
async fn what_is_not_listed_on_the_system_is_refused() {
    let server = SERVER.get().await;
    let lists = system_robot(
        &server,
        &[on_system(&[
            "user:list",
            "quota:list",
            "system-volumes:read",
        ])],
    )
    .await;
    let lists = lists.client(&server);
    for path in [
        "/api/v2.0/users",
        "/api/v2.0/quotas",
        "/api/v2.0/systeminfo/volumes",
    ] {
        lists.get(path).await.expect(200);
    }
    for path in [
        "/api/v2.0/configurations",
        "/api/v2.0/users/1",
        "/api/v2.0/quotas/1",
        ROBOTS,
    ] {
        lists.get(path).await.expect_error(403, "FORBIDDEN");
    }
    let project = json!({ "project_name": fresh("made") });
    lists
        .post("/api/v2.0/projects")
        .json(&project)
        .await
        .expect_error(403, "FORBIDDEN");
    let makes = system_robot(&server, &[on_system(&["project:create"])])
        .await
        .client(&server);
    makes
        .post("/api/v2.0/projects")
        .json(&project)
        .await
        .expect(201);
    makes
        .get("/api/v2.0/users")
        .await
        .expect_error(403, "FORBIDDEN");
    // No robot gets rid of a system administrator.
    let deletes = system_robot(&server, &[on_system(&["user:delete"])])
        .await
        .client(&server);
    let (boss, person) = (fresh("boss"), fresh("person"));
    let (boss, person) = (
        server.create_user(&boss).await,
        server.create_user(&person).await,
    );
    let flag = json!({ "sysadmin_flag": true });
    let path = format!("/api/v2.0/users/{boss}/sysadmin");
    server.admin().put(&path).json(&flag).await.expect(200);
    deletes
        .delete(&format!("/api/v2.0/users/{boss}"))
        .await
        .expect_error(403, "FORBIDDEN");
    deletes
        .delete(&format!("/api/v2.0/users/{person}"))
        .await
        .expect(200);
    deletes
        .get("/api/v2.0/users/current")
        .await
        .expect_error(412, "PRECONDITION");
}

#[tokio::test]
async fn nobody_makes_a_robot_that_is_stronger_than_they_are() {
    let server = SERVER.get().await;
    let (own, other) = (
        server.private_project().await,
        server.private_project().await,
    );
    let admin = own.member(Role::ProjectAdmin).await;
    let body = of_project(&fresh("ci"), &other.name, &["repository:pull"]);
    admin
        .post(ROBOTS)
        .json(&body)
        .await
        .expect_error(403, "FORBIDDEN");
    let body = of_system(&fresh("ci"), &[in_project(&own.name, &["repository:pull"])]);
    admin
        .post(ROBOTS)
        .json(&body)
        .await
        .expect_error(403, "FORBIDDEN");
    for role in [
        Role::Maintainer,
        Role::Developer,
        Role::Guest,
        Role::LimitedGuest,
    ] {
        let member = own.member(role).await;
        let body = of_project(&fresh("ci"), &own.name, &["repository:pull"]);
        member
            .post(ROBOTS)
            .json(&body)
            .await
            .expect_error(403, "FORBIDDEN");
    }
    // No role has this, so no role gives it.
    let body = of_project(&fresh("ci"), &own.name, &["metadata:list", "tag:list"]);
    let refused = admin
        .post(ROBOTS)
        .json(&body)
        .await
        .expect_error(403, "DENIED");
    assert!(
        refused.message().ends_with("which lack metadata:list"),
        "{refused}"
    );
    // A robot that makes robots gives what it has.
    let maker = project_robot(&own, &["robot:create", "robot:read", "repository:pull"]).await;
    let maker_client = maker.client(&server);
    let weaker = of_project(&fresh("ci"), &own.name, &["repository:pull"]);
    let made = make(&maker_client, &weaker).await;
    let read = maker_client.get(&made.path).await.expect(200).json();
    assert_eq!(
        (&read["creator_type"], &read["creator_ref"]),
        (&json!("robot"), &json!(maker.id))
    );
    let stronger = of_project(
        &fresh("ci"),
        &own.name,
        &["repository:pull", "repository:push", "tag:delete"],
    );
    let refused = maker_client
        .post(ROBOTS)
        .json(&stronger)
        .await
        .expect_error(403, "DENIED");
    assert!(
        refused
            .message()
            .ends_with("which lack repository:push, tag:delete"),
        "{refused}"
    );
    // What everyone has while a project is public is nobody's to give.
    let open = server.public_project().await;
    let poor = project_robot(&open, &["robot:create"]).await;
    poor.client(&server)
        .post(ROBOTS)
        .json(&of_project(&fresh("ci"), &open.name, &["repository:pull"]))
        .await
        .expect_error(403, "DENIED");
    let system = of_system(&fresh("ci"), &[in_project(&own.name, &["repository:pull"])]);
    maker_client
        .post(ROBOTS)
        .json(&system)
        .await
        .expect_error(403, "FORBIDDEN");
    maker_client
        .patch(&made.path)
        .json(&json!({}))
        .await
        .expect_error(403, "FORBIDDEN");
    maker_client
        .delete(&made.path)
        .await
        .expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_robot_of_the_system_that_makes_robots_is_bounded_too() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let permissions = [
        on_system(&["robot:create", "user:list"]),
        in_project("*", &["repository:pull"]),
    ];
    let maker = system_robot(&server, &permissions).await.client(&server);
    let pull = ["repository:pull"];
    make(
        &maker,
        &of_system(&fresh("ci"), &[in_project(&project.name, &pull)]),
    )
    .await;
    make(
        &maker,
        &of_system(
            &fresh("ci"),
            &[in_project("*", &pull), on_system(&["user:list"])],
        ),
    )
    .await;
    for stronger in [
        in_project(&project.name, &["repository:push"]),
        in_project("*", &["repository:pull", "tag:list"]),
        // One that is not there is refused like one in which it may give nothing.
        in_project("no-such-project", &["repository:push"]),
        on_system(&["user:create"]),
        on_system(&["robot:delete"]),
    ] {
        let body = of_system(&fresh("ci"), &[stronger]);
        maker
            .post(ROBOTS)
            .json(&body)
            .await
            .expect_error(403, "DENIED");
    }
    let body = of_project(&fresh("ci"), &project.name, &pull);
    maker
        .post(ROBOTS)
        .json(&body)
        .await
        .expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_changed_robot_gains_nothing_that_its_changer_lacks() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = project.member(Role::ProjectAdmin).await;
    let body = of_project("ci", &project.name, &["metadata:list", "tag:list"]);
    let robot = make(&server.admin(), &body).await;
    let read = admin.get(&robot.path).await.expect(200).json();
    let change = |pairs: &[&str]| {
        let mut change = read.clone();
        change["permissions"] = json!([in_project(&project.name, pairs)]);
        change
    };
    // It keeps what a system administrator gave it.
    let keeps = change(&["metadata:list", "repository:pull"]);
    admin.put(&robot.path).json(&keeps).await.expect(200);
    admin
        .put(&robot.path)
        .json(&change(&["tag:list"]))
        .await
        .expect(200);
    let back = change(&["metadata:list"]);
    admin
        .put(&robot.path)
        .json(&back)
        .await
        .expect_error(403, "DENIED");
    let moved = {
        let mut moved = read.clone();
        moved["permissions"] = json!([in_project("library", &["tag:list"])]);
        moved
    };
    admin
        .put(&robot.path)
        .json(&moved)
        .await
        .expect_error(400, "BAD_REQUEST");
    for (field, value) in [("name", "robot$other"), ("level", "system")] {
        let mut renamed = change(&["tag:list"]);
        renamed[field] = json!(value);
        let refused = admin
            .put(&robot.path)
            .json(&renamed)
            .await
            .expect_error(400, "BAD_REQUEST");
        assert_eq!(
            refused.message(),
            "cannot update the level or name of robot"
        );
    }
    let member = project.member(Role::Maintainer).await;
    member.get(&robot.path).await.expect(200);
    member
        .put(&robot.path)
        .json(&change(&["tag:list"]))
        .await
        .expect_error(403, "FORBIDDEN");
    member
        .patch(&robot.path)
        .json(&json!({}))
        .await
        .expect_error(403, "FORBIDDEN");
    member
        .delete(&robot.path)
        .await
        .expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_robot_sees_repositories_only_where_it_may_list_them() {
    let server = &SERVER.get().await;
    let project = server.private_project().await;
    with_image(server, &project).await;
    let tags_alone = project_robot(&project, &["tag:list"]).await;
    let all_projects = system_robot(server, &[on_system(&["project:list"])]).await;
    let lists = project_robot(&project, &["repository:list"]).await;
    let repository = project.repository("app");
    let found = async |robot: &Robot| {
        let client = robot.client(server);
        let listed = format!("/api/v2.0/repositories?q=name%3D~{}", project.name);
        let listed = client.get(&listed).await.expect(200).json();
        let searched = format!("/api/v2.0/search?q={}", project.name);
        let searched = client.get(&searched).await.expect(200).json();
        let counts = client.get("/api/v2.0/statistics").await.expect(200).json();
        (
            listed.to_string().contains(&repository),
            searched["repository"].to_string().contains(&repository),
            counts["private_repo_count"].as_i64() >= Some(1),
        )
    };
    assert_eq!(found(&tags_alone).await, (false, false, false));
    assert_eq!(found(&all_projects).await, (false, false, false));
    assert_eq!(found(&lists).await, (true, true, true));
}

#[tokio::test]
async fn a_robot_makes_none_that_outlives_it() {
    let server = &SERVER.get().await;
    let everywhere =
        json!({ "kind": "project", "namespace": "*", "access": access(&["repository:pull"]) });
    let mut maker = of_system(
        &fresh("ci"),
        &[on_system(&["robot:create"]), everywhere.clone()],
    );
    maker["duration"] = json!(2);
    let maker = make(&server.admin(), &maker).await.client(server);
    let mut child = of_system(&fresh("ci"), &[everywhere]);
    for (days, status) in [(-1, 403), (30, 403), (1, 201)] {
        child["duration"] = json!(days);
        let answer = maker.post(ROBOTS).json(&child).await.expect(status);
        assert!(
            status == 201 || answer.to_string().contains("duration"),
            "{answer}"
        );
    }
}
