//! `gantry apply`: brings projects and what belongs to them to what YAML files say. All files are read and checked
//! first; then what differs is shown; then objects are made, changed and removed one by one, by the services that all
//! other commands use.

mod difference;
mod file;
mod label;
mod member;
mod object;
mod plan;
mod project;
mod prune;
mod registry;
mod replication;
mod retention;
mod robot;
mod rule;
mod text;
mod title;
mod world;

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::object::Object;
use self::plan::Plan;
use self::world::World;
use super::local::{self, Local};
use super::out;
use crate::config::Config;

#[derive(Args)]
pub(super) struct Apply {
    /// Folder of the files that end in .yaml or .yml; folders in it are not searched.
    #[arg(short = 'f', long = "folder", value_name = "DIR")]
    folder: PathBuf,
    /// Only print what differs. The exit code is 0 if nothing does, 2 if something does, and 1 after an error.
    #[arg(long)]
    dry_run: bool,
    /// Also remove what an earlier `apply` made and no file names any more. Projects that hold repositories stay, with
    /// what is in them.
    #[arg(long)]
    prune: bool,
}

impl Apply {
    pub(super) fn start(self, config: Config) -> anyhow::Result<ExitCode> {
        match self.dry_run {
            true => local::look(config, async |local| self.run(local).await),
            false => local::run(config, async |local| self.run(local).await),
        }
    }

    async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        let documents = match file::read(&self.folder) {
            Ok(documents) => documents,
            Err(errors) => {
                errors.iter().for_each(out::error);
                return Ok(ExitCode::FAILURE);
            }
        };
        let (mut projects, mut registries) = (HashSet::new(), BTreeSet::new());
        for document in &documents {
            match &document.object {
                Object::Project(project) => {
                    projects.insert(project.name.clone());
                }
                Object::Registry(registry) => {
                    registries.insert(registry.name.clone());
                }
                _ => {}
            }
        }
        let world = World {
            local,
            projects,
            registries,
        };
        let plan = Plan::make(&world, documents, self.prune).await?;
        match self.dry_run {
            true => Ok(plan.code()),
            false => plan.carry_out(&world).await,
        }
    }
}
