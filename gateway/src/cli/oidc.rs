//! `gantry oidc`: tests the configured provider step by step.

use std::process::ExitCode;
use std::sync::Arc;

use auth::oidc::{Config, Finding, Provider, Step, probe};
use clap::Subcommand;

use super::local::Local;
use super::out::line;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Read the provider's configuration and keys, try the client's ID and secret, and print what works, and how to fix
    /// what does not.
    Test,
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        let Self::Test = self;
        let provider = provider(local).await?;
        Ok(match print(&probe(&provider).await) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// The configured provider; connections to it pass the same guard as the server's.
pub(super) async fn provider(local: &Local) -> anyhow::Result<Provider> {
    let config = Config::of(&*local.settings().await?)?;
    let guard = Arc::new(local.config.outgoing.guard());
    Ok(Provider::new(config, guard)?)
}

/// Prints steps, and returns whether all of them worked.
fn print(steps: &[Step]) -> bool {
    let mut works = true;
    for step in steps {
        let what = step.what;
        match &step.finding {
            Finding::Good(note) => line(&format!("ok     {what}: {note}")),
            Finding::Poor(note) => line(&format!("note   {what}: {note}")),
            Finding::Bad(error) => {
                works = false;
                line(&format!("FAILED {what}: {}", error.chain()));
                line(&format!("       -> {}", step.advice().unwrap_or_default()));
            }
        }
    }
    works
}
