//! Planning an execution: one task for each repository that has something to be copied.

use std::collections::{BTreeMap, HashSet};

use db::execution::{self, Status, task};
use db::replication::state;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::replication::Filters;

use super::copy::Route;
use super::error::{Copied, CopyError};
use super::list::Repository;
use super::order::{Order, Ways};
use super::task::TaskAttrs;
use super::works::Works;

/// Repositories that are looked at side by side.
const SIDE_BY_SIDE: usize = 8;
/// Tasks that are added per transaction.
const BATCH: usize = 100;
/// Repositories that are read at a time of what was copied.
const PAGE: i64 = 500;

/// What is said of a run that has nothing to do.
const NOTHING: &str = "no resources need to be replicated";

/// Plans an execution.
pub(super) struct Planning<'a> {
    pub(super) works: &'a Works,
    pub(super) route: &'a Route,
    pub(super) filters: &'a Filters,
    pub(super) order: &'a Order,
}

impl Planning<'_> {
    /// Adds the tasks. What was added before, in a process that died, is not added again.
    pub(super) async fn plan(&self) -> Copied<()> {
        let planned = match self.order.changes.is_empty() {
            true => Box::pin(self.of_all()).await?,
            false => Box::pin(self.of_changes()).await?,
        };
        for batch in planned.chunks(BATCH) {
            self.add(batch).await?;
        }
        self.planned(planned.is_empty()).await
    }

    async fn of_all(&self) -> Copied<Vec<TaskAttrs>> {
        let mut repositories = self.route.source.repositories(self.filters).await?;
        let only = &self.order.only;
        if !only.is_empty() {
            repositories.retain(|found| only.contains(&found.name));
        }
        let known: HashSet<String> = repositories.iter().map(|it| it.name.clone()).collect();
        let found = stream::iter(repositories)
            .map(|repository| Box::pin(self.look(repository)))
            .buffered(SIDE_BY_SIDE)
            .try_filter_map(|found| async move { Ok(found) });
        let mut planned: Vec<TaskAttrs> = found.try_collect().await?;
        if self.route.policy.deletion {
            let mut gone = self.of_gone(&known, &planned).await?;
            gone.retain(|task| only.is_empty() || only.contains(&task.source));
            planned.extend(gone);
        }
        Ok(planned)
    }

    /// The task of a repository, if there is something in it to be copied.
    async fn look(&self, repository: Repository) -> Copied<Option<TaskAttrs>> {
        let source = &self.route.source;
        let items = source
            .candidates(&repository.name, self.filters)
            .await?
            .len();
        if items == 0 {
            return Ok(None);
        }
        self.attrs(&repository, ("copy", items)).map(Some)
    }

    /// Repositories from which something was copied that have nothing to be copied any more.
    async fn of_gone(
        &self,
        known: &HashSet<String>,
        planned: &[TaskAttrs],
    ) -> Copied<Vec<TaskAttrs>> {
        let planned: HashSet<&str> = planned.iter().map(|task| task.source.as_str()).collect();
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let mut reader = self.works.db.reader().await?;
            let sources = state::sources(&mut reader, self.route.id, &after, PAGE).await?;
            drop(reader);
            let Some(last) = sources.last() else {
                return Ok(all);
            };
            after = last.clone();
            for name in sources {
                let is_planned = planned.contains(name.as_str());
                let is_meant = known.contains(&name) || self.filters.repository(&name);
                if is_meant && !is_planned {
                    let public = false;
                    all.push(self.attrs(&Repository { name, public }, ("deletion", 0))?);
                }
            }
        }
    }

    async fn of_changes(&self) -> Copied<Vec<TaskAttrs>> {
        let mut repositories: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
        for change in &self.order.changes {
            let of = repositories.entry(&change.repository).or_insert((0, true));
            of.0 += 1;
            of.1 &= change.deleted;
        }
        let mut planned = Vec::new();
        for (name, (items, deleted)) in repositories {
            let operation = if deleted { "deletion" } else { "copy" };
            let public = self.route.source.is_public(name).await?;
            let name = name.to_owned();
            planned.push(self.attrs(&Repository { name, public }, (operation, items))?);
        }
        Ok(planned)
    }

    fn attrs(
        &self,
        repository: &Repository,
        (operation, items): (&str, usize),
    ) -> Copied<TaskAttrs> {
        let mapping = &self.route.policy.mapping;
        let needs_project = !Ways(&self.route.policy).is_push()
            || matches!(&self.route.target, super::site::Site::There(remote) if remote.kind().has_projects());
        let destination = match needs_project {
            true => mapping.name_of(&repository.name)?.to_string(),
            false => mapping.text_of(&repository.name)?,
        };
        Ok(TaskAttrs {
            operation: operation.to_owned(),
            source: repository.name.clone(),
            destination,
            items,
            public: repository.public,
            ..TaskAttrs::default()
        })
    }

    async fn add(&self, batch: &[TaskAttrs]) -> Copied<()> {
        let new = batch.iter().map(|attrs| task::New {
            subject: attrs.source.clone(),
            job: None,
            attrs: serde_json::to_string(attrs).unwrap_or_default(),
        });
        let (new, execution): (Vec<task::New>, _) = (new.collect(), self.order.execution);
        let now = self.works.now().await?;
        let added = self.works.db.write(move |tx| {
            Box::pin(async move {
                let held = execution::hold(tx, execution).await?;
                if held.is_none_or(|held| held.status.is_final()) {
                    return Err(CopyError::Stopped);
                }
                task::add(tx, execution, &new, now).await?;
                Ok(())
            })
        });
        added.await
    }

    async fn planned(&self, is_empty: bool) -> Copied<()> {
        let (execution, now) = (self.order.execution, self.works.now().await?);
        let planned = self.works.db.write(move |tx| {
            Box::pin(async move {
                execution::hold(tx, execution).await?;
                match is_empty {
                    true => {
                        execution::end(tx, execution, (Status::Success, NOTHING), now).await?;
                    }
                    false => execution::planned(tx, execution, now).await?,
                }
                Ok::<_, db::Error>(())
            })
        });
        Ok(planned.await?)
    }
}
