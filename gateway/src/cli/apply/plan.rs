//! What differs between files and installation: shown first, and then brought about, one object after the other.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::difference::Found;
use super::file::Document;
use super::prune::{self, Named, Unnamed};
use super::world::World;
use crate::cli::out::{self, line};

/// The exit code of a dry run that found differences.
const DIFFERS: u8 = 2;

/// What is to be done.
pub(super) struct Plan {
    /// Objects to be made or changed.
    steps: Vec<Document>,
    /// Objects to be removed.
    unnamed: Vec<Unnamed>,
    /// Whether an object could not be compared.
    failed: bool,
    /// Whether something is in the way of an object that is to be made: then nothing is changed.
    blocked: bool,
}

impl Plan {
    /// Compares the objects of files with those that exist, and prints what differs.
    pub(super) async fn make(
        world: &World<'_>,
        documents: Vec<Document>,
        prune: bool,
    ) -> anyhow::Result<Self> {
        let marks = match prune {
            true => prune::marks(world).await?,
            false => Vec::new(),
        };
        let (mut steps, mut named) = (Vec::new(), Named::default());
        let (mut failed, mut blocked) = (false, false);
        for document in documents {
            let object = &document.object;
            named.projects.extend(object.project().cloned());
            named
                .registries
                .extend(object.registry().map(str::to_owned));
            match object.find(world).await {
                Ok(found) => {
                    if found.is_none()
                        && let Err(error) = object.check_new()
                    {
                        out::error(&document.failed(error));
                        blocked = true;
                    }
                    let id = found.as_ref().map(|found| (object.kind(), found.id));
                    named.objects.extend(id);
                    if show(&object.title(), found) {
                        steps.push(document);
                    }
                }
                Err(error) => {
                    out::error(&document.failed(error));
                    failed = true;
                }
            }
        }
        let unnamed = match (prune, failed) {
            (true, false) => prune::unnamed(world, marks, &named).await?,
            (true, true) => {
                out::error(&nothing_pruned());
                Vec::new()
            }
            (false, _) => Vec::new(),
        };
        for object in &unnamed {
            line(&format!("- {}", object.shown()));
        }
        Ok(Self {
            steps,
            unnamed,
            failed,
            blocked,
        })
    }

    /// How a dry run ends.
    pub(super) fn code(&self) -> ExitCode {
        match (
            self.failed || self.blocked,
            self.steps.is_empty() && self.unnamed.is_empty(),
        ) {
            (true, _) => ExitCode::FAILURE,
            (false, true) => ExitCode::SUCCESS,
            (false, false) => ExitCode::from(DIFFERS),
        }
    }

    /// Makes and changes objects, and then removes what no file names if none of that failed: what could not be changed
    /// may need what would go.
    pub(super) async fn carry_out(mut self, world: &World<'_>) -> anyhow::Result<ExitCode> {
        anyhow::ensure!(!self.blocked, "nothing is changed, because of the errors");
        tenancy::applied::sweep(&world.local.db).await?;
        let mut brought = BTreeSet::new();
        for document in &self.steps {
            match document.object.bring(world).await {
                Ok(id) => {
                    brought.insert((document.object.kind(), id));
                }
                Err(error) => {
                    out::error(&document.failed(error));
                    self.failed = true;
                }
            }
        }
        // What somebody gave a name of a file since it was compared.
        self.unnamed
            .retain(|it| !brought.contains(&(it.mark.kind, it.mark.object)));
        if self.failed && !self.unnamed.is_empty() {
            out::error(&nothing_pruned());
            return Ok(ExitCode::FAILURE);
        }
        for object in &self.unnamed {
            if let Err(error) = prune::remove(world, object).await {
                out::error(&error.context(object.title.clone()));
                self.failed = true;
            }
        }
        Ok(match self.failed {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    }
}

fn nothing_pruned() -> anyhow::Error {
    anyhow::anyhow!("nothing is pruned, because of the errors")
}

/// Prints what differs. Returns false if nothing does.
fn show(title: &str, found: Option<Found>) -> bool {
    let Some(found) = found else {
        line(&format!("+ {title}"));
        return true;
    };
    for change in found.changes.lines() {
        line(&format!("~ {title}: {change}"));
    }
    !found.changes.is_empty()
}
