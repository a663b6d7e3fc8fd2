//! A server that replicates: its registries, policies and executions, by REST.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{ADMIN_PASSWORD, Answer, Server, eventually};

/// What reaches the other registries on this machine.
const ALLOWED: (&str, &str) = ("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8");
/// What comes with a registry's credentials.
pub(super) const BASIC: &str = "basic";

/// A server that may reach others on this machine.
pub(super) async fn site() -> Server {
    Server::with(&[ALLOWED]).await
}

/// The body by which another server is added, as its administrator, with its own authority.
pub(super) fn gantry(other: &Server, name: &str) -> Value {
    let ca = std::fs::read_to_string(other.authority_file()).expect("it has an authority");
    json!({
        "name": name, "type": "harbor", "url": format!("https://{}", other.host()), "ca_certificate": ca,
        "credential": {"type": BASIC, "access_key": "admin", "access_secret": ADMIN_PASSWORD},
    })
}

fn id_of(made: &Answer) -> i64 {
    let location = made.location();
    let last = location.rsplit('/').next().expect("a path has parts");
    last.parse().expect("an id is a number")
}

/// As [`gantry`], reached at another address.
pub(super) fn gantry_at(other: &Server, name: &str, address: SocketAddr) -> Value {
    let mut body = gantry(other, name);
    body["url"] = json!(format!("https://{address}"));
    body
}

/// A policy that starts with what happens here, and passes deletions on.
pub(super) fn following(mut wanted: Value) -> Value {
    wanted["trigger"] = json!({"type": "event_based"});
    wanted["deletion"] = json!(true);
    wanted
}

/// Has what is pushed and deleted at one server go to another one by itself.
pub(super) async fn leads(from: &Server, to: &Server, names: &str) -> i64 {
    let name = format!("to-{}", to.port());
    let registry = add(from, &gantry(to, &name)).await;
    policy(from, &following(push(&name, registry, names))).await
}

/// Waits until a reference names this, or nothing.
pub(super) async fn comes(at: &Server, repository: &str, reference: &str, expected: Option<&str>) {
    eventually(60, "it comes by itself", async || {
        let found = digest(at, repository, reference).await;
        (found.as_deref() == expected).then_some(())
    })
    .await;
}

/// How often something was stored in, or deleted from, a repository, by the log.
pub(super) async fn changes(at: &Server, repository: &str) -> usize {
    let query = format!("q=resource%3D~{repository}&page_size=100");
    let path = format!("/api/v2.0/auditlog-exts?{query}");
    let logged = at.admin().get(&path).await.expect(200).json();
    let changes = logged.as_array().expect("a list").iter();
    changes
        .filter(|entry| {
            ["create", "delete"].contains(&entry["operation"].as_str().unwrap_or_default())
        })
        .count()
}

/// Waits until nothing changes any more: for longer than a copy takes to begin.
pub(super) async fn settled(sites: &[&Server], repository: &str) -> Vec<usize> {
    let counted = async || {
        let mut counts = Vec::new();
        for at in sites {
            counts.push(changes(at, repository).await);
        }
        counts
    };
    let mut before = counted().await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = counted().await;
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("{repository} goes to and fro: {before:?}");
}

/// Adds a registry: its id.
pub(super) async fn add(at: &Server, registry: &Value) -> i64 {
    let made = at.admin().post("/api/v2.0/registries").json(registry).await;
    id_of(&made.expect(201))
}

/// A policy that pushes repositories of these names to a registry, without a namespace.
pub(super) fn push(name: &str, to: i64, names: &str) -> Value {
    json!({
        "name": name, "dest_registry": {"id": to}, "src_registry": null, "enabled": true, "override": true,
        "filters": [{"type": "name", "value": names}], "trigger": {"type": "manual"},
    })
}

/// A policy that pulls repositories of these names from a registry.
pub(super) fn pull(name: &str, from: i64, names: &str) -> Value {
    json!({
        "name": name, "src_registry": {"id": from}, "dest_registry": null, "enabled": true, "override": true,
        "filters": [{"type": "name", "value": names}], "trigger": {"type": "manual"},
    })
}

/// Makes a policy: its id.
pub(super) async fn policy(at: &Server, policy: &Value) -> i64 {
    let path = "/api/v2.0/replication/policies";
    let made = at.admin().post(path).json(policy).await;
    id_of(&made.expect(201))
}

const EXECUTIONS: &str = "/api/v2.0/replication/executions";

/// Starts a policy: the execution's id.
pub(super) async fn start(at: &Server, policy: i64) -> i64 {
    let body = json!({ "policy_id": policy });
    let made = at.admin().post(EXECUTIONS).json(&body).await;
    id_of(&made.expect(201))
}

/// An execution once it has ended.
pub(super) async fn ended(at: &Server, execution: i64) -> Value {
    let (admin, path) = (at.admin(), format!("{EXECUTIONS}/{execution}"));
    eventually(120, "the execution ends", async || {
        let shown = admin.get(&path).await.expect(200).json();
        (shown["status"] != "InProgress").then_some(shown)
    })
    .await
}

/// Its tasks.
pub(super) async fn tasks(at: &Server, execution: i64) -> Vec<Value> {
    let path = format!("{EXECUTIONS}/{execution}/tasks?page_size=100");
    let tasks = at.admin().get(&path).await.expect(200).json();
    tasks.as_array().expect("a list").clone()
}

/// The log of a task.
pub(super) async fn log(at: &Server, task: &Value) -> String {
    let path = format!(
        "{EXECUTIONS}/{}/tasks/{}/log",
        task["execution_id"], task["id"]
    );
    at.admin().get(&path).await.expect(200).text()
}

/// Runs a policy to its end, which must be a success: its tasks.
pub(super) async fn run(at: &Server, policy: i64) -> Vec<Value> {
    let execution = start(at, policy).await;
    let shown = ended(at, execution).await;
    let tasks = tasks(at, execution).await;
    if shown["status"] != "Succeed" {
        let mut logs = Vec::new();
        for task in &tasks {
            logs.push(log(at, task).await);
        }
        panic!("{shown:#}\n{tasks:#?}\n{}", logs.join("\n"));
    }
    tasks
}

/// The sum of a count over tasks.
pub(super) fn sum(tasks: &[Value], count: &str) -> u64 {
    let counts = tasks
        .iter()
        .map(|task| task[count].as_u64().expect("a count"));
    counts.sum()
}

/// The digest of what a reference names, if it is there.
pub(super) async fn digest(at: &Server, repository: &str, reference: &str) -> Option<String> {
    let path = format!("/v2/{repository}/manifests/{reference}");
    let answer = at.admin().head(&path).await;
    (answer.status == 200).then(|| answer.digest().to_owned())
}

/// Digests of what is attached to a manifest.
pub(super) async fn referrers(at: &Server, repository: &str, subject: &str) -> Vec<String> {
    let path = format!("/v2/{repository}/referrers/{subject}");
    let found = at.admin().get(&path).await.expect(200).json();
    let found = found["manifests"].as_array().expect("a list");
    let digest = |it: &Value| it["digest"].as_str().expect("a digest").to_owned();
    found.iter().map(digest).collect()
}
