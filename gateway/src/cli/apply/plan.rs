//! What differs between files and installation: shown first, and then brought about, one object after the other.

use std::process::ExitCode;

use db::applied::Mark;

use super::difference::Found;
use super::file::Document;
use super::prune::{self, Named};
use super::world::World;
use crate::cli::out::{self, line};

/// The exit code of a dry run that found differences.
const DIFFERS: u8 = 2;

/// What is to be done.
pub(super) struct Plan {
    /// Objects to be made or changed.
    steps: Vec<Document>,
    /// Objects to be removed.
    unnamed: Vec<Mark>,
    /// Whether an object could not be compared.
    failed: bool,
}

impl Plan {
    /// Compares the objects of files with those that exist, and prints what differs.
    pub(super) async fn make(
        world: &World<'_>,
        documents: Vec<Document>,
        prune: bool,
    ) -> anyhow::Result<Self> {
        let (mut steps, mut failed, mut named) = (Vec::new(), false, Named::default());
        for document in documents {
            let object = &document.object;
            named.projects.extend(object.project().cloned());
            match object.find(world).await {
                Ok(found) => {
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
            (true, false) => prune::unnamed(world, &named).await?,
            (true, true) => {
                out::error(&nothing_pruned());
                Vec::new()
            }
            (false, _) => Vec::new(),
        };
        for mark in &unnamed {
            line(&format!("- {}", mark.name));
        }
        Ok(Self {
            steps,
            unnamed,
            failed,
        })
    }

    /// How a dry run ends.
    pub(super) fn code(&self) -> ExitCode {
        match (
            self.failed,
            self.steps.is_empty() && self.unnamed.is_empty(),
        ) {
            (true, _) => ExitCode::FAILURE,
            (false, true) => ExitCode::SUCCESS,
            (false, false) => ExitCode::from(DIFFERS),
        }
    }

    /// Makes and changes objects, and then removes what no file names if none of that failed: what could not be changed
    /// may need what would go.
    pub(super) async fn carry_out(mut self, world: &World<'_>) -> ExitCode {
        for document in &self.steps {
            if let Err(error) = document.object.bring(world).await {
                out::error(&document.failed(error));
                self.failed = true;
            }
        }
        if self.failed && !self.unnamed.is_empty() {
            out::error(&nothing_pruned());
            return ExitCode::FAILURE;
        }
        for mark in &self.unnamed {
            if let Err(error) = prune::remove(world, mark).await {
                out::error(&error.context(mark.name.clone()));
                self.failed = true;
            }
        }
        match self.failed {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        }
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
