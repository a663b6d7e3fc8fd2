//! Robots that were given all that robots may be given: they are served where that is what a route needs, and nowhere else.

use std::fmt::Write;

use admin_api::{Needs, Route};
use serde_json::json;

use super::SERVER;
use super::table::{Action, PRIVATE_REST, World, route_of};
use crate::harness::{Client, Server, fresh};

/// The level of a robot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Project,
    System,
}

/// A robot of the level that has everything.
async fn almighty(server: &Server, level: Level, project: &str) -> Client {
    let admin = server.admin();
    let all = admin.get("/api/v2.0/permissions").await.expect(200).json();
    let place = |kind: &str, namespace: &str| json!({ "kind": kind, "namespace": namespace, "access": all[kind] });
    let (level, permissions) = match level {
        Level::Project => ("project", json!([place("project", project)])),
        Level::System => (
            "system",
            json!([place("project", "*"), place("system", "/")]),
        ),
    };
    let body =
        json!({ "name": fresh("all"), "level": level, "duration": 2, "permissions": permissions });
    let made = admin.post("/api/v2.0/robots").json(&body).await.expect(201);
    let made = made.json();
    let text = |field: &str| made[field].as_str().map(str::to_owned);
    let (name, secret) = (text("name"), text("secret"));
    let pair = name.zip(secret);
    let (name, secret) = pair.unwrap_or_else(|| panic!("no secret in {made}"));
    server.as_user_with(&name, &secret)
}

/// Whether such a robot has what an action needs.
fn may(level: Level, action: Action, needs: Needs) -> bool {
    match needs {
        // The setting lets everyone make projects, but robots must be given it.
        _ if action == Action::CreateProject => level == Level::System,
        // It takes from another project.
        _ if action == Action::CopyArtifact => level == Level::System,
        Needs::Nobody | Needs::SignedIn => true,
        Needs::System | Needs::User | Needs::AnyProjectAdmin => false,
        Needs::OnSystem(resource, action) => {
            level == Level::System && resource.grantable().contains(action)
        }
        Needs::Project(resource, action) => resource.grantable().contains(action),
        Needs::Robot(action) => policy::Resource::Robot.grantable().contains(action),
    }
}

async fn check(level: Level) {
    let server = SERVER.get().await;
    let world = World::around(&server, server.private_project().await).await;
    let robot = almighty(&server, level, &world.project.name).await;
    let mut wrong = String::new();
    for (action, _) in PRIVATE_REST {
        let Some(route) = route_of(*action) else {
            continue;
        };
        let is_route =
            |declared: &&Route| format!("{} {}", declared.method, declared.path) == route;
        let declared = admin_api::routes().iter().find(is_route);
        let needs = declared.expect("the table has declared routes").needs;
        let answer = world.attempt(&robot, *action).await;
        let served = answer.status < 500 && ![401, 403].contains(&answer.status);
        if served != may(level, *action, needs) {
            writeln!(wrong, "{action:?} ({needs}): {answer}").expect("a string can be written");
        }
    }
    assert!(
        wrong.is_empty(),
        "robots do not have what they were given:\n{wrong}"
    );
}

#[tokio::test]
async fn a_robot_of_a_project_has_what_it_was_given_there() {
    check(Level::Project).await;
}

#[tokio::test]
async fn a_robot_of_the_system_has_what_it_was_given() {
    check(Level::System).await;
}
