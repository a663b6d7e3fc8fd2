//! Which repositories an execution is about: those of the project that a rule is about, each a task.

use db::execution::{self, Status, task};
use db::retention::candidate;
use model::RepositoryName;

use super::{Retention, Run};
use crate::Result;

/// Repositories to look up at a time.
const PAGE: i64 = 500;
/// What Harbor says where there are none.
const NOTHING: &str = "no resources for retention";

impl Retention {
    /// Adds the tasks. Whoever repeats it adds those that are missing.
    pub(super) async fn plan(&self, run: &Run) -> Result<()> {
        let id = run.execution.id;
        let now = self.clock.now();
        if let Some((policy, rules)) = self.rules(run).await? {
            let mut after = String::new();
            loop {
                let mut reader = self.db.reader().await?;
                let page =
                    candidate::repositories(&mut reader, policy.project, &after, PAGE).await?;
                drop(reader);
                let Some(last) = page.last() else { break };
                last.as_str().clone_into(&mut after);
                let about = page.iter().filter(|name| !rules.about(name).is_empty());
                let new: Vec<task::New> = about.map(task_of).collect();
                let added = self
                    .db
                    .write(move |tx| Box::pin(async move { task::add(tx, id, &new, now).await }));
                added.await?;
            }
        }
        let planned = self.db.write(move |tx| {
            Box::pin(async move {
                execution::hold(tx, id).await?;
                execution::planned(tx, id, now).await?;
                let counts = execution::counts(tx, &[id]).await?;
                if counts.is_empty() {
                    execution::end(tx, id, (Status::Success, NOTHING), now).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        Ok(planned.await?)
    }
}

/// Named without the project, as in Harbor.
fn task_of(name: &RepositoryName) -> task::New {
    let name = name.as_str();
    task::New {
        subject: name
            .split_once('/')
            .map_or(name, |(_, rest)| rest)
            .to_owned(),
        job: None,
        attrs: "{}".to_owned(),
    }
}
