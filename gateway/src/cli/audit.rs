//! `gantry audit`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use db::audit::{self, Entry, chain};
use model::Timestamp;

use super::local::Local;
use super::print;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show the newest entries, newest last.
    List {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: i64,
    },
    /// Print all entries as JSON lines, or the head of the chain to be kept elsewhere.
    Export {
        /// Print the head of the chain instead of the entries.
        #[arg(long)]
        head: bool,
    },
    /// Verify the chain; exit code 1 where something was changed, removed or reordered.
    Verify {
        /// A head that was exported before: it must still be in the chain.
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
    },
}

/// Entries that are read at once.
const BATCH: i64 = 1_000;

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { limit } => list(local, limit).await,
            Self::Export { head: false } => export(local).await,
            Self::Export { head: true } => export_head(local).await,
            Self::Verify { head } => verify(local, head).await,
        }
    }
}

async fn list(local: &Local, limit: i64) -> anyhow::Result<ExitCode> {
    let mut tx = local.db.reader().await?;
    let entries = audit::newest(&mut tx, limit).await?;
    for entry in entries.iter().rev() {
        print(&line(entry));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(entry: &Entry) -> String {
    let at = Timestamp(entry.at);
    let result = if entry.success { "" } else { " refused" };
    let times = if entry.times > 1 {
        format!(" ×{}", entry.times)
    } else {
        String::new()
    };
    let Entry {
        account_name,
        address,
        operation,
        resource_type,
        resource,
        ..
    } = entry;
    format!("{at} {account_name} {address} {operation} {resource_type} {resource}{times}{result}")
}

async fn export(local: &Local) -> anyhow::Result<ExitCode> {
    let mut after = 0;
    loop {
        let mut tx = local.db.reader().await?;
        let entries = audit::walk(&mut tx, after, BATCH).await?;
        let Some(last) = entries.last() else {
            return Ok(ExitCode::SUCCESS);
        };
        after = last.id;
        for entry in &entries {
            print(&serde_json::to_string(entry)?);
        }
    }
}

async fn export_head(local: &Local) -> anyhow::Result<ExitCode> {
    let mut tx = local.db.reader().await?;
    let head = chain::head(&mut tx)
        .await?
        .context("nothing is sealed yet")?;
    print(&serde_json::to_string(&head)?);
    Ok(ExitCode::SUCCESS)
}

async fn verify(local: &Local, head: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let head = match head {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Some(serde_json::from_str(&text).with_context(|| {
                format!(
                    "{} is no head of `gantry audit export --head`",
                    path.display()
                )
            })?)
        }
    };
    let mut tx = local.db.reader().await?;
    let sign = |hash: &[u8]| jobs::audit_seal::sign(&local.master, hash);
    let report = chain::verify(&mut tx, &sign, head.as_ref()).await?;
    for finding in &report.findings {
        print(finding);
    }
    let chain::Report {
        seals,
        sealed,
        unsealed,
        ..
    } = &report;
    print(&format!(
        "{seals} seals over {sealed} entries, {unsealed} not sealed yet"
    ));
    if report.findings.is_empty() {
        print("the audit log is whole");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
