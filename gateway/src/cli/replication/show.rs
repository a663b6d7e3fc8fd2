//! Showing executions and their tasks.

use std::process::ExitCode;

use anyhow::Context as _;
use db::execution::task::{self, Task};
use db::execution::{self, Status, Vendor, task_log};
use db::list::Selection;
use db::replication::policy::Policy;
use jobs::replication::TaskAttrs;
use model::{ExecutionId, Timestamp};
use serde_json::{Value, json};

use super::{Local, line, out};

pub(super) async fn executions(local: &Local, policy: &Policy, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let of = (Vendor::Replication, policy.id.0);
    let (found, _) = execution::list(&mut reader, of, &Selection::all()).await?;
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    if json {
        let values = found.iter().map(|run| {
            json!({
                "id": run.id, "status": run.status.name(), "message": run.status_message,
                "trigger": run.cause.name(), "started": run.started_at.to_string(), "ended": time(run.ended_at),
            })
        });
        return Ok(out::json_lines(&values.collect::<Vec<Value>>())?);
    }
    for run in found {
        let (id, status, cause) = (run.id, run.status.name(), run.cause.name());
        let (at, why) = (run.started_at, &run.status_message);
        line(&format!("{id:>6} {status} {cause} {at} {why}"));
    }
    Ok(())
}

pub(super) async fn execution(
    local: &Local,
    id: ExecutionId,
    log: bool,
) -> anyhow::Result<ExitCode> {
    let mut reader = local.db.reader().await?;
    let found = execution::get(&mut reader, id).await?;
    let found = found.filter(|found| found.vendor == Vendor::Replication);
    let found = found.with_context(|| format!("there is no execution {id}"))?;
    let (status, why) = (found.status.name(), &found.status_message);
    line(&format!("execution {id}: {status} {why}"));
    let (tasks, _) = task::list(&mut reader, id, &Selection::all()).await?;
    for task in tasks {
        show(&task);
        if log {
            let (lines, _) = task_log::page(&mut reader, task.id, (0, task_log::LINES)).await?;
            for entry in lines {
                line(&format!(
                    "    {} {:<5} {}",
                    entry.at, entry.level, entry.text
                ));
            }
        }
    }
    Ok(match found.status {
        Status::Error => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn show(task: &Task) {
    let attrs: TaskAttrs = serde_json::from_str(&task.attrs).unwrap_or_default();
    let (id, status, why) = (task.id, task.status.name(), &task.status_message);
    let (from, to) = (&attrs.source, &attrs.destination);
    line(&format!(
        "{id:>6} {status} {} {from} -> {to}: {} copied, {} there already, {} kept, {} deleted, {} bytes {why}",
        attrs.operation, attrs.copied, attrs.present, attrs.kept, attrs.deleted, attrs.bytes
    ));
}
