//! Making, reading, listing and deleting robots.

use super::*;

#[tokio::test]
async fn a_robot_is_made_read_changed_and_deleted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = project.member(Role::ProjectAdmin).await;
    let pairs = ["repository:push", "repository:pull", "tag:list"];
    let mut body = of_project("ci", &project.name, &pairs);
    body["description"] = json!("builds");
    body["duration"] = json!(30);
    let made = admin.post(ROBOTS).json(&body).await.expect(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let robot = Robot::made(&made);
    assert_eq!(robot.name, format!("robot${}+ci", project.name));
    assert_eq!(robot.secret.len(), 32);
    let read = admin.get(&robot.path).await.expect(200).json();
    let me = admin
        .get("/api/v2.0/users/current")
        .await
        .expect(200)
        .json();
    assert_eq!(read["name"], robot.name);
    assert_eq!(
        (&read["level"], &read["description"]),
        (&json!("project"), &json!("builds"))
    );
    assert_eq!(
        (&read["disable"], &read["editable"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&read["creator_type"], &read["creator_ref"]),
        (&json!("local"), &me["user_id"])
    );
    assert_eq!(
        read["permissions"],
        json!([in_project(&project.name, &pairs)]),
        "as given"
    );
    assert_eq!(read.get("secret"), None);
    assert_eq!(read["expires_at"], made.json()["expires_at"]);
    assert_eq!(read["creation_time"], made.json()["creation_time"]);
    let mut change = read.clone();
    change["description"] = json!("builds and tests");
    change["duration"] = json!(-1);
    change["permissions"] = json!([in_project(&project.name, &["repository:pull"])]);
    admin.put(&robot.path).json(&change).await.expect(200);
    let changed = admin.get(&robot.path).await.expect(200).json();
    for field in ["description", "duration", "permissions"] {
        assert_eq!(changed[field], change[field], "{field}");
    }
    assert_eq!(changed["expires_at"], -1);
    admin.delete(&robot.path).await.expect(200);
    admin.get(&robot.path).await.expect_error(403, "FORBIDDEN");
    server
        .admin()
        .get(&robot.path)
        .await
        .expect_error(404, "NOT_FOUND");
    // The name is free.
    make(&admin, &body).await;
}

#[tokio::test]
async fn a_robot_that_cannot_be_made_is_refused_with_the_reason() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let name = project.name.as_str();
    let good = of_project("taken", name, &["repository:pull"]);
    make(&admin, &good).await;
    let with = |field: &str, value: Value| {
        let mut body = of_project(&fresh("ci"), name, &["repository:pull"]);
        body[field] = value;
        body
    };
    let two = json!([
        in_project(name, &["repository:pull"]),
        in_project("library", &["tag:list"])
    ]);
    let deny = json!([{ "kind": "project", "namespace": name,
        "access": [{ "resource": "repository", "action": "pull", "effect": "deny" }] }]);
    let no_access = json!([{ "kind": "project", "namespace": name, "access": [] }]);
    let cases = [
        (good, 409, "already exists"),
        (
            with("name", json!("Y$$")),
            400,
            "robot name is not in lower case",
        ),
        (with("name", json!("")), 400, "robot name"),
        (with("level", json!("zzz")), 400, "error level input: zzz"),
        (with("level", Value::Null), 400, "error level input"),
        (with("duration", json!(0)), 400, "duration: must be -1"),
        (with("duration", json!(-2)), 400, "duration: must be -1"),
        (with("duration", json!(36_501)), 400, "36500 days"),
        (
            with("description", json!("x".repeat(1_025))),
            400,
            "description: ",
        ),
        (
            with("secret", json!("weak")),
            400,
            "the secret must be 8-128",
        ),
        (with("permissions", json!([])), 400, "empty permission"),
        (with("permissions", no_access), 400, "empty access"),
        (with("permissions", two), 400, "one entry"),
        (with("permissions", deny), 400, "effect"),
        (
            with("permissions", json!([in_project(name, &["zzz:pull"])])),
            400,
            "zzz:pull",
        ),
        (
            with("permissions", json!([in_project(name, &["repository:*"])])),
            400,
            "repository:*",
        ),
        (
            with("permissions", json!([in_project(name, &["robot:update"])])),
            400,
            "robot:update",
        ),
        (
            with("permissions", json!([on_system(&["user:list"])])),
            400,
            "one entry",
        ),
        (
            with(
                "permissions",
                json!([in_project("nope-nope", &["tag:list"])]),
            ),
            404,
            "project nope-nope not found",
        ),
        (
            of_system("x", &[in_project("nope-nope", &["tag:list"])]),
            404,
            "project nope-nope not found",
        ),
        (
            of_system("x", &[on_system(&["repository:pull"])]),
            400,
            "repository:pull",
        ),
        (
            with("permissions", json!("all")),
            422,
            "expected a sequence",
        ),
    ];
    for (body, status, text) in cases {
        let answer = admin.post(ROBOTS).json(&body).await;
        assert_eq!(answer.status, status, "{body}: {answer}");
        assert!(answer.message().contains(text), "{text} in {answer}");
    }
}

#[tokio::test]
async fn robots_are_listed_by_level_and_found_by_name() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = project.member(Role::ProjectAdmin).await;
    for name in ["b", "a-x", "a_y"] {
        make(
            &admin,
            &of_project(name, &project.name, &["repository:pull"]),
        )
        .await;
    }
    let names = |answer: &Answer| {
        let list = answer.json();
        let names = list.as_array().expect("a list").iter();
        let names: Vec<String> = names
            .map(|robot| robot["name"].as_str().expect("a name").to_owned())
            .collect();
        names
    };
    let full = |name: &str| format!("robot${}+{name}", project.name);
    let level = format!("Level=project,ProjectID={}", project.id);
    let ask = async |q: &str| {
        let q = q
            .replace('=', "%3D")
            .replace(',', "%2C")
            .replace('+', "%252B");
        admin.get(&format!("{ROBOTS}?q={q}")).await.expect(200)
    };
    let all = ask(&level).await;
    assert_eq!(names(&all), [full("a-x"), full("a_y"), full("b")]);
    assert_eq!(all.header("x-total-count"), "3");
    let pulls = json!([in_project(&project.name, &["repository:pull"])]);
    assert_eq!(all.json()[0]["permissions"], pulls);
    let one = ask(&format!("{level},name={}+b", project.name)).await;
    assert_eq!(names(&one), [full("b")]);
    let part = ask(&format!("{level},name=~a_")).await;
    assert_eq!(names(&part), [full("a_y")], "_ stands for itself");
    assert_eq!(names(&ask(&format!("{level},name=nobody")).await), [""; 0]);
    let page = admin
        .get(&format!(
            "{ROBOTS}?q=Level%3Dproject%2CProjectID%3D{}&page_size=2&sort=-name",
            project.id
        ))
        .await;
    assert_eq!(names(&page.expect(200)), [full("b"), full("a_y")]);
    for bad in [
        "Level%3Dproject",
        "Level%3Dproject%2CProjectID%3D0",
        "Level%3Dproject%2CProjectID%3Dx",
        "Level%3Dall",
        "ProjectID%3D1",
    ] {
        admin
            .get(&format!("{ROBOTS}?q={bad}"))
            .await
            .expect_error(400, "BAD_REQUEST");
    }
    admin.get(ROBOTS).await.expect_error(403, "FORBIDDEN");
    server
        .anonymous()
        .get(ROBOTS)
        .await
        .expect_error(401, "UNAUTHORIZED");
    let system = system_robot(&server, &[on_system(&["user:list"])]).await;
    let listed = server
        .admin()
        .get(&format!("{ROBOTS}?page_size=100"))
        .await
        .expect(200);
    assert!(names(&listed).contains(&system.name), "{listed}");
    assert!(!names(&listed).contains(&full("b")), "{listed}");
}

#[tokio::test]
async fn a_project_takes_its_robots_with_it() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let robot = project_robot(&project, &["repository:pull", "project:read"]).await;
    let both = [
        in_project(&project.name, &["repository:pull"]),
        in_project("library", &["tag:list"]),
    ];
    let system = system_robot(&server, &both).await;
    let admin = server.admin();
    let path = format!("/api/v2.0/projects/{}", project.name);
    robot.client(&server).get(&path).await.expect(200);
    admin.delete(&path).await.expect(200);
    let login = "/service/token?service=harbor-registry";
    robot
        .client(&server)
        .get(login)
        .await
        .expect_error(401, "UNAUTHORIZED");
    admin.get(&robot.path).await.expect_error(404, "NOT_FOUND");
    let read = admin.get(&system.path).await.expect(200).json();
    assert_eq!(
        read["permissions"],
        json!([in_project("library", &["tag:list"])])
    );
    // One of the same name in a project of the same name is another.
    let again = json!({ "project_name": project.name });
    admin
        .post("/api/v2.0/projects")
        .json(&again)
        .await
        .expect(201);
    robot
        .client(&server)
        .get(login)
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn robots_have_no_browser_and_no_account() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let client = robot.client(&server);
    client
        .get("/api/v2.0/users/current")
        .await
        .expect_error(412, "PRECONDITION");
    client
        .get("/api/v2.0/permissions")
        .await
        .expect_error(403, "FORBIDDEN");
    let anonymous = server.anonymous();
    let prepared = anonymous.get("/c/login").await.expect(200);
    let token = prepared.header("x-harbor-csrf-token").to_owned();
    let cookie = prepared
        .header("set-cookie")
        .split(';')
        .next()
        .expect("a cookie")
        .to_owned();
    let name = robot.name.replace('$', "%24").replace('+', "%2B");
    let form = format!("principal={name}&password={}", robot.secret);
    let refused = anonymous
        .post("/c/login")
        .header("x-harbor-csrf-token", &token)
        .header("cookie", &cookie)
        .form(&form)
        .await;
    assert_eq!(refused.status, 401, "{refused}");
}

#[tokio::test]
async fn what_robots_may_be_given_is_told_to_whoever_makes_them() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let path = "/api/v2.0/permissions";
    let all = server.admin().get(path).await.expect(200).json();
    let count = |list: &Value| list.as_array().map(Vec::len);
    assert_eq!(
        (count(&all["system"]), count(&all["project"])),
        (Some(70), Some(70))
    );
    let admin = project.member(Role::ProjectAdmin).await;
    let some = admin.get(path).await.expect(200).json();
    assert_eq!(
        (count(&some["system"]), count(&some["project"])),
        (None, Some(69))
    );
    // All that is offered is given.
    let offered =
        json!([{ "kind": "project", "namespace": project.name, "access": some["project"] }]);
    let body = json!({ "name": "all", "level": "project", "duration": 1, "permissions": offered });
    make(&admin, &body).await;
    let everything = json!([
        { "kind": "system", "namespace": "/", "access": all["system"] },
        { "kind": "project", "namespace": "*", "access": all["project"] },
    ]);
    let body = json!({ "name": fresh("all"), "level": "system", "duration": 1, "permissions": everything });
    make(&server.admin(), &body).await;
    let developer = project.member(Role::Developer).await;
    developer.get(path).await.expect_error(403, "FORBIDDEN");
    server
        .anonymous()
        .get(path)
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_hidden_project_and_a_missing_one_are_refused_alike() {
    let server = &SERVER.get().await;
    let hidden = server.private_project().await;
    let maker = system_robot(server, &[on_system(&["robot:create", "label:create"])]).await;
    let maker = maker.client(server);
    let missing = fresh("missing");
    for pairs in [
        &["repository:pull", "tag:list"] as &[&str],
        &["repository:pull", "nothing:list"],
        &["repository:pull", "repository:pull"],
    ] {
        let mut answers = Vec::new();
        for name in [hidden.name.as_str(), &missing] {
            let permissions = [on_system(&["label:create"]), in_project(name, pairs)];
            let body = of_system(&fresh("ci"), &permissions);
            let answer = maker.post(ROBOTS).json(&body).await;
            answers.push((answer.status, answer.message()));
        }
        assert_eq!(answers[0], answers[1], "{pairs:?}");
    }
}
