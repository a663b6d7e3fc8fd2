//! One task: one repository.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use db::execution::task::{self, Task};
use db::execution::{Status, task_log};
use db::job_log::{Level, Line};
use db::project;
use db::retention::candidate::Artifact;
use model::retention::RetentionCounts;
use model::{ManifestId, ProjectId, RepositoryName};
use registry::retention::table::{self, Fate};
use registry::retention::{Evaluated, Held, Look, MOST, Rules, Step, Stepped, Verdict};

use super::{Retention, Run};
use crate::Result;

/// How often in a row a repository may change between the look at it and the deletion.
const LOOKS: u32 = 30;
/// The rest before it is looked at again, in times of the number of looks.
const REST: Duration = Duration::from_millis(50);
/// Artifacts that the log lists, of which those that were deleted come first.
const LISTED: i64 = task_log::LINES - 100;

/// A repository that a task is about.
pub(super) struct Place {
    project: ProjectId,
    pub(super) name: RepositoryName,
    /// What the task did so far.
    pub(super) counts: RetentionCounts,
    /// Artifacts that something else than a rule keeps, as it was looked at last.
    held: HashMap<ManifestId, Held>,
}

/// How the deletion in a repository went.
enum Deleted {
    /// All that no rule keeps is gone, or held.
    All(Evaluated),
    /// It changed; the flag says whether some was deleted before.
    Outdated(bool),
    /// The task was stopped.
    Stopped,
    /// Nothing is to be written now.
    ReadOnly,
}

impl Retention {
    /// Does a task to its end, unless it is stopped.
    pub(super) async fn retain(&self, run: &Run, task: &Task) -> Result<()> {
        let Some(mut place) = self.place(run, task).await? else {
            return Ok(());
        };
        let mut looks = 0;
        let mut is_introduced = false;
        while looks < LOOKS {
            let Some((_, rules)) = self.rules(run).await? else {
                return Ok(());
            };
            if !is_introduced {
                self.introduce(run, task, &rules).await?;
                is_introduced = true;
            }
            let named = (place.project, &place.name);
            let evaluated = match self.registry.evaluate_retention(named, &rules).await? {
                Look::At(evaluated) => evaluated,
                Look::Gone => {
                    return self
                        .finish(run, task, &place, "the repository is gone")
                        .await;
                }
                Look::TooLarge => {
                    let message = format!(
                        "the repository has more than {MOST} artifacts: nothing is deleted"
                    );
                    return self.end(task, (Status::Error, &message), None).await;
                }
            };
            if rules.about(&place.name).is_empty() {
                let message = "no rule is about the repository any more";
                return self.finish(run, task, &place, message).await;
            }
            match self
                .delete(run, task, (&mut place, evaluated), &rules)
                .await?
            {
                Deleted::All(evaluated) => {
                    return self.list(run, task, (&mut place, &evaluated), &rules).await;
                }
                Deleted::Stopped => return Ok(()),
                Deleted::ReadOnly => {
                    let message = "nothing is deleted while read_only is on";
                    return self.end(task, (Status::Error, message), None).await;
                }
                Deleted::Outdated(some) => looks = if some { 1 } else { looks + 1 },
            }
            tokio::time::sleep(REST * looks).await;
        }
        let message = format!(
            "the repository changed {LOOKS} times while it was looked at: run the policy again when less is pushed"
        );
        self.end(task, (Status::Error, &message), None).await
    }

    /// The repository of a task; `None` where the policy is gone.
    async fn place(&self, run: &Run, task: &Task) -> Result<Option<Place>> {
        let Some((policy, _)) = self.rules(run).await? else {
            return Ok(None);
        };
        let project = project::by_id(&mut self.db.reader().await?, policy.project).await?;
        let Some(project) = project else {
            return Ok(None);
        };
        let corrupt = |_| db::Error::Corrupt {
            table: "task",
            column: "subject",
        };
        let name = format!("{}/{}", project.name, task.subject);
        Ok(Some(Place {
            project: project.id,
            name: name.parse().map_err(corrupt)?,
            counts: serde_json::from_str(&task.attrs).unwrap_or_default(),
            held: HashMap::new(),
        }))
    }

    /// Deletes what no rule keeps, a few artifacts at a time.
    async fn delete(
        &self,
        run: &Run,
        task: &Task,
        (place, mut evaluated): (&mut Place, Evaluated),
        rules: &Rules,
    ) -> Result<Deleted> {
        place.held.clear();
        if run.dry_run {
            return Ok(Deleted::All(evaluated));
        }
        let going = evaluated.artifacts.iter().enumerate();
        let going = going.filter(|(_, verdict)| verdict.goes());
        // The newest first: an index goes before what it lists.
        let going: Vec<usize> = going.map(|(at, _)| at).rev().collect();
        let before = place.counts.deleted;
        for some in going.chunks(self.registry.retention_at_once()) {
            if self.settings.current().read_only {
                return Ok(Deleted::ReadOnly);
            }
            let begun = Instant::now();
            let free = self.not_held(place, &evaluated, some).await?;
            if free.is_empty() {
                continue;
            }
            let step = Step {
                execution: run.execution.id,
                task: task.id,
                job: run.job,
                counts: place.counts,
            };
            let named = (place.project, &place.name);
            let stepped = self
                .registry
                .delete_by_retention(named, (evaluated, free), rules, step);
            match stepped.await? {
                Stepped::Done(done) => {
                    place.counts = done.counts;
                    place.held.extend(done.held);
                    evaluated = done.evaluated;
                }
                Stepped::Outdated => {
                    return Ok(Deleted::Outdated(place.counts.deleted > before));
                }
                Stepped::Stopped => return Ok(Deleted::Stopped),
            }
            // Half of the time is the others'.
            tokio::time::sleep(begun.elapsed()).await;
        }
        Ok(Deleted::All(evaluated))
    }

    /// Those of some artifacts that nothing holds, as far as it is seen before the transaction.
    async fn not_held(
        &self,
        place: &mut Place,
        evaluated: &Evaluated,
        some: &[usize],
    ) -> Result<Vec<Verdict>> {
        let mut free = Vec::new();
        for verdict in some.iter().map(|at| &evaluated.artifacts[*at]) {
            let named = (place.project, &place.name);
            let artifact = (evaluated.repository, verdict.id);
            match self.registry.held_from_retention(named, artifact).await? {
                Some(held) => drop(place.held.insert(verdict.id, held)),
                None => free.push(*verdict),
            }
        }
        Ok(free)
    }

    /// Lists in the log what is left, and ends the task. In a dry run it lists what would be deleted.
    async fn list(
        &self,
        run: &Run,
        task: &Task,
        (place, evaluated): (&mut Place, &Evaluated),
        rules: &Rules,
    ) -> Result<()> {
        let (mut left, mut going, mut listed) = (0, 0, 0);
        let most = (LISTED - place.counts.deleted).max(0);
        let mut after = ManifestId(0);
        loop {
            let page = self.registry.retention_page(evaluated.repository, after);
            let page = page.await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let mut lines = Vec::new();
            for artifact in &page {
                let (goes, line) = self
                    .line(run, (&*place, evaluated), artifact, rules)
                    .await?;
                left += 1;
                going += i64::from(goes);
                if listed < most {
                    listed += 1;
                    lines.push(line);
                }
            }
            if !self.log(run, task, lines).await? {
                return Ok(());
            }
        }
        if left > listed {
            let more = left - listed;
            self.log(
                run,
                task,
                vec![format!("{more} more artifacts are not listed")],
            )
            .await?;
        }
        place.counts.total = place.counts.deleted + left;
        place.counts.retained = left - going;
        self.finish(run, task, place, "").await
    }

    /// Whether an artifact would be deleted, and its line.
    async fn line(
        &self,
        run: &Run,
        (place, evaluated): (&Place, &Evaluated),
        artifact: &Artifact,
        rules: &Rules,
    ) -> Result<(bool, String)> {
        let verdict = evaluated.verdict(artifact.id);
        let seen = verdict.and_then(|_| place.held.get(&artifact.id).cloned());
        let held = match verdict {
            Some(verdict) if run.dry_run && verdict.goes() => {
                let named = (place.project, &place.name);
                let going = (evaluated.repository, artifact.id);
                self.registry.held_from_retention(named, going).await?
            }
            _ => seen,
        };
        let fate = match (verdict, &held) {
            (None, _) => Fate::New,
            (_, Some(held)) => Fate::Held(held),
            (Some(verdict), None) => Fate::Decided(verdict),
        };
        let goes = matches!(fate, Fate::Decided(verdict) if verdict.goes());
        Ok((goes, table::line(artifact, fate, &rules.all)))
    }

    /// The first lines of a task's log.
    async fn introduce(&self, run: &Run, task: &Task, rules: &Rules) -> Result<()> {
        let how = if run.dry_run {
            "dry run, nothing is deleted"
        } else {
            "what no rule keeps is deleted"
        };
        let again = match task.run_count {
            1 => "",
            _ => "; taken over from a process that ended",
        };
        let mut lines = vec![format!("repository {}: {how}{again}", task.subject)];
        lines.extend(rules.all.iter().map(ToString::to_string));
        let grace = rules.grace.as_secs();
        lines.push(format!(
            "nothing goes within {grace} seconds of its last push (grace_secs)"
        ));
        lines.push(table::head());
        self.log(run, task, lines).await?;
        Ok(())
    }

    /// Adds lines to a task's log; false where the task was stopped.
    async fn log(&self, run: &Run, task: &Task, lines: Vec<String>) -> Result<bool> {
        let (task, job, now) = (task.id, run.job, self.clock.now());
        let logged = self.db.write(move |tx| {
            Box::pin(async move {
                if !task::is_running(tx, task, job).await? {
                    return Ok::<_, db::Error>(false);
                }
                let lines = lines.into_iter();
                let lines = lines.map(|line| Line::new(now, Level::Info, line));
                task_log::append(tx, task, &lines.collect::<Vec<_>>()).await?;
                Ok(true)
            })
        });
        Ok(logged.await?)
    }

    async fn finish(&self, run: &Run, task: &Task, place: &Place, message: &str) -> Result<()> {
        let told = self.told(run, task, place).await?;
        // Numbers alone are always JSON.
        let counts = serde_json::to_string(&place.counts).unwrap_or_default();
        self.end_telling(task, (Status::Success, message), Some(counts), told)
            .await
    }
}
