//! Robots of projects and of the system: making, changing and using them.

mod making;
mod rights;
mod secret;

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
