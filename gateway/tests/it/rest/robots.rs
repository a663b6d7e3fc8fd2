//! Robots of projects and of the system: making, changing and using them.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Answer, Client, Jwt, Project, Role, Server, eventually, fresh, image};

const ROBOTS: &str = "/api/v2.0/robots";

/// A robot and its secret.
struct Robot {
    path: String,
    id: i64,
    name: String,
    secret: String,
}

impl Robot {
    fn made(answer: &Answer) -> Self {
        let body = answer.json();
        let text = |field: &str| body[field].as_str().expect("it is text").to_owned();
        let robot = Self {
            path: answer.location(),
            id: body["id"].as_i64().expect("an id is a number"),
            name: text("name"),
            secret: text("secret"),
        };
        assert!(
            robot.path.ends_with(&format!("{ROBOTS}/{}", robot.id)),
            "{answer}"
        );
        robot
    }

    fn client(&self, server: &Server) -> Client {
        server.as_user_with(&self.name, &self.secret)
    }
}

/// `repository:pull` and so on as Harbor writes it.
fn access(pairs: &[&str]) -> Value {
    let pairs = pairs.iter().map(|pair| {
        let (resource, action) = pair.split_once(':').expect("RESOURCE:ACTION");
        json!({ "resource": resource, "action": action, "effect": "allow" })
    });
    pairs.collect()
}

fn in_project(project: &str, pairs: &[&str]) -> Value {
    json!({ "kind": "project", "namespace": project, "access": access(pairs) })
}

fn on_system(pairs: &[&str]) -> Value {
    json!({ "kind": "system", "namespace": "/", "access": access(pairs) })
}

fn of_project(name: &str, project: &str, pairs: &[&str]) -> Value {
    json!({ "name": name, "level": "project", "duration": -1, "permissions": [in_project(project, pairs)] })
}

fn of_system(name: &str, permissions: &[Value]) -> Value {
    json!({ "name": name, "level": "system", "duration": -1, "permissions": permissions })
}

async fn make(caller: &Client, body: &Value) -> Robot {
    Robot::made(&caller.post(ROBOTS).json(body).await.expect(201))
}

/// A robot of a project, made by one of its admins.
async fn project_robot(project: &Project<'_>, pairs: &[&str]) -> Robot {
    let admin = project.member(Role::ProjectAdmin).await;
    make(&admin, &of_project(&fresh("ci"), &project.name, pairs)).await
}

async fn system_robot(server: &Server, permissions: &[Value]) -> Robot {
    make(&server.admin(), &of_system(&fresh("ci"), permissions)).await
}

/// A project with an image, and the path of its manifest.
async fn with_image(server: &Server, project: &Project<'_>) -> String {
    let repository = project.repository("app");
    let admin = server.admin();
    admin
        .push_image(&repository, "latest", &image(&repository))
        .await;
    format!("/v2/{repository}/manifests/latest")
}

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
async fn a_secret_is_replaced_and_the_old_one_and_its_tokens_open_nothing() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let manifest = with_image(&server, &project).await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let scope = format!("repository:{}:pull", project.repository("app"));
    let old = robot.client(&server);
    let token = old.with_token(&[&scope]).await;
    let admin = server.admin();
    let random = admin.patch(&robot.path).json(&json!({})).await.expect(200);
    assert_eq!(random.header("cache-control"), "no-store");
    let random = random.json()["secret"]
        .as_str()
        .expect("it is shown")
        .to_owned();
    for caller in [&old, &token] {
        caller
            .get(&manifest)
            .await
            .expect_error(401, "UNAUTHORIZED");
    }
    let new = server.as_user_with(&robot.name, &random);
    new.get(&manifest).await.expect(200);
    let weak = admin
        .patch(&robot.path)
        .json(&json!({ "secret": "weak" }))
        .await;
    assert!(
        weak.expect_error(400, "BAD_REQUEST")
            .message()
            .starts_with("the secret must be 8-128")
    );
    new.get(&manifest).await.expect(200);
    let chosen = admin
        .patch(&robot.path)
        .json(&json!({ "secret": "Secret00Secret" }))
        .await;
    assert_eq!(
        chosen.expect(200).json(),
        json!({}),
        "whoever chose it knows it"
    );
    new.get(&manifest).await.expect_error(401, "UNAUTHORIZED");
    let chosen = server.as_user_with(&robot.name, "Secret00Secret");
    chosen.get(&manifest).await.expect(200);
    let mut body = of_project(&fresh("ci"), &project.name, &["repository:pull"]);
    body["secret"] = json!("Secret00Secret");
    let made = make(&admin, &body).await;
    made.client(&server).get(&manifest).await.expect(200);
    assert_eq!(made.secret, "Secret00Secret");
}

#[tokio::test]
async fn a_disabled_or_deleted_robot_is_out_and_so_are_its_tokens() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let manifest = with_image(&server, &project).await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let scope = format!("repository:{}:pull", project.repository("app"));
    let client = robot.client(&server);
    let token = client.with_token(&[&scope]).await;
    let admin = server.admin();
    let mut change = admin.get(&robot.path).await.expect(200).json();
    change["disable"] = json!(true);
    admin.put(&robot.path).json(&change).await.expect(200);
    token.get(&manifest).await.expect_error(401, "UNAUTHORIZED");
    let login = "/service/token?service=harbor-registry";
    let refused = client.get(login).await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(refused.message(), "the robot account is disabled");
    let guess = server.as_user_with(&robot.name, "Wr0ngSecret").at(91);
    let wrong = guess.get(login).await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(
        wrong.message(),
        "wrong user name or password",
        "the reason is for its owner"
    );
    change["disable"] = json!(false);
    admin.put(&robot.path).json(&change).await.expect(200);
    client.get(&manifest).await.expect(200);
    token.get(&manifest).await.expect_error(401, "UNAUTHORIZED");
    let token = client.with_token(&[&scope]).await;
    token.get(&manifest).await.expect(200);
    admin.delete(&robot.path).await.expect(200);
    for caller in [&client, &token] {
        caller
            .get(&manifest)
            .await
            .expect_error(401, "UNAUTHORIZED");
    }
    client.get(login).await.expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn an_expired_robot_is_out_and_so_are_its_tokens() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let manifest = with_image(&server, &project).await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let scope = format!("repository:{}:pull", project.repository("app"));
    let client = robot.client(&server);
    let token = client.with_token(&[&scope]).await;
    for caller in [&client, &token] {
        caller.get(&manifest).await.expect(200);
    }
    let over = "update robot set created_at = created_at - 172800000000, duration = 1, \
                expires_at = created_at - 86400000000 where id = ";
    server.sql(&format!("{over}{}", robot.id)).await;
    eventually(2, "the robot has expired", async || {
        (token.get(&manifest).await.status == 401).then_some(())
    })
    .await;
    client
        .get(&manifest)
        .await
        .expect_error(401, "UNAUTHORIZED");
    let login = "/service/token?service=harbor-registry";
    let refused = client.get(login).await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(refused.message(), "the robot account has expired");
    // More time, counted from when it was made.
    let admin = server.admin();
    let mut change = admin.get(&robot.path).await.expect(200).json();
    change["duration"] = json!(30);
    admin.put(&robot.path).json(&change).await.expect(200);
    client.get(&manifest).await.expect(200);
}

#[tokio::test]
async fn the_last_use_is_told() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let manifest = with_image(&server, &project).await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let admin = server.admin();
    assert_eq!(
        admin
            .get(&robot.path)
            .await
            .expect(200)
            .json()
            .get("last_used_at"),
        None
    );
    robot
        .client(&server)
        .at(93)
        .get(&manifest)
        .await
        .expect(200);
    let used = eventually(5, "the use is written", async || {
        let read = admin.get(&robot.path).await.expect(200).json();
        read["last_used_at"].is_string().then_some(read)
    })
    .await;
    assert_eq!(used["last_used_address"], "127.0.0.93");
    assert!(
        used["last_used_at"].as_str() >= used["creation_time"].as_str(),
        "{used}"
    );
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
