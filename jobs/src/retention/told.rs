//! What webhooks tell of a repository of which a task deleted artifacts, in Harbor's form.

use db::execution::task::Task;
use db::project;
use db::webhook::note;
use model::{ExecutionId, ProjectName, WebhookEvent};
use serde_json::{Value, json};

use super::repository::Place;
use super::{Retention, Run};
use crate::Result;

/// Deleted artifacts that are named at most.
const NAMED: i64 = 500;

/// An event to be noted with the end of a task.
pub(super) struct Told {
    project: ProjectName,
    operator: String,
    execution: ExecutionId,
    data: String,
}

impl Told {
    pub(super) fn note(&self) -> note::New<'_> {
        note::New {
            project: &self.project,
            event: WebhookEvent::TagRetention,
            operator: &self.operator,
            execution: self.execution,
            data: &self.data,
        }
    }
}

impl Retention {
    /// What is told of a task, if it deleted something.
    pub(super) async fn told(&self, run: &Run, task: &Task, place: &Place) -> Result<Option<Told>> {
        if place.counts.deleted == 0 {
            return Ok(None);
        }
        let Some((policy, _)) = self.rules(run).await? else {
            return Ok(None);
        };
        let mut reader = self.db.reader().await?;
        let found = project::by_id(&mut reader, policy.project).await?;
        let Some(project) = found.map(|project| project.name) else {
            return Ok(None);
        };
        let (execution, since) = (run.execution.id, task.created_at);
        let detail = registry::retention::deleted_by(execution, policy.id);
        let gone = note::deleted(&mut reader, (&place.name, &detail), since, NAMED).await?;
        let deleted: Vec<Value> = gone
            .iter()
            .map(|digest| {
                json!({
                    "type": "image", "status": "SUCCESS", "name_tag": format!("{}@{digest}", place.name),
                    "references": null,
                })
            })
            .collect();
        let data = json!({ "retention": {
            "total": place.counts.total,
            "retained": place.counts.retained,
            "project_name": project.as_str(),
            "retention_policy_id": policy.id,
            "retention_rule": rules(&policy.rules),
            "result": "SUCCESS",
            "deleted_artifact": deleted,
        }});
        Ok(Some(Told {
            project,
            operator: run.execution.operator.clone(),
            execution,
            data: data.to_string(),
        }))
    }
}

/// The rules that have an effect.
fn rules(stored: &str) -> Value {
    let stored: Value = serde_json::from_str(stored).unwrap_or_default();
    // Beside a grace of its own, a policy has its rules under a key.
    let all = stored.as_array().or(stored["rules"].as_array());
    let shown = all
        .into_iter()
        .flatten()
        .filter(|rule| rule["disabled"] != true);
    let shown = shown.map(|rule| {
        json!({
            "template": rule["template"], "params": rule["params"], "tag_selectors": rule["tag_selectors"],
            "scope_selectors": rule["scope_selectors"],
        })
    });
    shown.collect()
}
