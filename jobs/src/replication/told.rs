//! What webhooks tell of a task, in Harbor's form: that it began, and how it ended.

use db::Tx;
use db::execution::task::Task;
use db::execution::{self, Status};
use db::webhook::note;
use model::replication::Direction;
use model::{RepositoryName, Timestamp, WebhookEvent};
use serde_json::{Value, json};

use super::copy::Route;
use super::site::Site;

/// An event to be noted with a change of a task.
#[derive(Clone)]
pub(super) struct Told {
    local: RepositoryName,
    source: String,
    data: Value,
    task: Task,
}

/// What a task has done.
pub(super) struct Did {
    /// References that it is about.
    pub(super) items: usize,
    /// Those that are at the destination.
    pub(super) there: u64,
    /// Those that failed.
    pub(super) failed: u64,
}

impl Told {
    /// What is told of a task; `None` where the repository here has no valid name.
    pub(super) fn of(route: &Route, task: &Task, (from, to): (&str, &str)) -> Option<Self> {
        let policy = &route.policy;
        let local = match policy.direction {
            Direction::Push => from,
            Direction::Pull => to,
        };
        let side = |site: &Site, repository: &str| json!({ "registry_type": "harbor", "endpoint": site.name(), "namespace": namespace(repository) });
        let data = json!({
            "description": policy.description,
            "artifact_type": "image",
            "authentication_type": "basic",
            "override_mode": policy.overrides,
            "src_resource": side(&route.source, from),
            "dest_resource": side(&route.target, to),
            "execution_id": task.execution,
            "task_id": task.id,
        });
        Some(Self {
            local: local.parse().ok()?,
            source: from.to_owned(),
            data,
            task: task.clone(),
        })
    }
}

/// All but the last part of a repository's name.
fn namespace(repository: &str) -> &str {
    repository
        .rsplit_once('/')
        .map_or("", |(namespace, _)| namespace)
}

/// Notes what became of a task, if a policy of webhooks asks for it.
pub(super) async fn note(
    tx: &mut Tx,
    mut told: Told,
    (status, did): (Status, &Did),
    now: Timestamp,
) -> Result<(), db::Error> {
    let found = execution::get(tx, told.task.execution).await?;
    let Some(found) = found else { return Ok(()) };
    let mut data = std::mem::take(&mut told.data);
    data["job_status"] = status.name().into();
    data["trigger_type"] = found.cause.name().into();
    data["execution_timestamp"] = found.started_at.seconds().into();
    let artifacts = |references: u64| {
        let (from, items) = (&told.source, did.items);
        json!([{
            "type": "image", "status": status.name(), "name_tag": format!("{from} [{items} item(s) in total]"),
            "references": [references.to_string()],
        }])
    };
    match status {
        Status::Success => data["successful_artifact"] = artifacts(did.there),
        Status::Error => data["failed_artifact"] = artifacts(did.failed.max(1)),
        Status::Pending | Status::Scheduled | Status::Running | Status::Stopped => {}
    }
    let project = told.local.project();
    let new = note::New {
        project: &project,
        event: WebhookEvent::Replication,
        operator: &found.operator,
        execution: found.id,
        data: &json!({ "replication": data }).to_string(),
    };
    note::add(tx, &new, now).await
}
