//! How many lists of projects a robot gets from one core.

use serde_json::{Value, json};
use testkit::gantry::Server;

use crate::request::Request;
use crate::stage::Stage;
use crate::wrk::wrk;

/// Connections that ask without a rest.
const CONNECTIONS: u32 = 8;

/// What was measured of one robot.
pub(super) struct Rate {
    pub(super) title: &'static str,
    /// Lists for each second of the server's processor time.
    pub(super) per_core: f64,
    pub(super) p99_ms: f64,
}

/// A robot that sees one private project besides the public ones, and one that sees all.
pub(super) fn rates(stage: &Stage<'_>, gantry: &Server) -> Result<Vec<Rate>, String> {
    let robots = [
        ("a robot of one project", "list-00042"),
        ("a robot of all projects", "*"),
    ];
    let rate = |(title, namespace)| {
        let request = Request {
            path: "/api/v2.0/projects".to_owned(),
            headers: vec![format!("Authorization: {}", robot(gantry, namespace)?)],
        };
        let seconds = if stage.setup.options.short { 1 } else { 20 };
        let server = gantry.daemon.processes();
        let figures = wrk(&server, &gantry.target, &request, CONNECTIONS, seconds)?;
        let figure = |name: &str| {
            let found = figures.get(name).copied();
            found.ok_or_else(|| format!("wrk says no {name}"))
        };
        Ok(Rate {
            title,
            per_core: figure("operations")? / figure("cpu_s")?,
            p99_ms: figure("p99_ms")?,
        })
    };
    robots.into_iter().map(rate).collect()
}

/// Makes a robot of the system; what it sends.
fn robot(gantry: &Server, namespace: &str) -> Result<String, String> {
    let name = format!("bench-{}", namespace.replace('*', "all"));
    let access = json!([{ "resource": "repository", "action": "pull" }]);
    let body = json!({ "name": name, "level": "system", "duration": 1,
        "permissions": [{ "kind": "project", "namespace": namespace, "access": access }] });
    let body = body.to_string();
    let kind = "Content-Type: application/json";
    let args = ["-X", "POST", "-H", kind, "-d", &*body];
    let (status, answer) = gantry.target.request(&args, "/api/v2.0/robots")?;
    let made: Value = serde_json::from_slice(&answer).unwrap_or_default();
    match (made["name"].as_str(), made["secret"].as_str()) {
        (Some(name), Some(secret)) => {
            use base64::Engine as _;
            let pair = format!("{name}:{secret}");
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            Ok(format!("Basic {encoded}"))
        }
        _ => Err(format!("POST /api/v2.0/robots answered {status}: {made}")),
    }
}
