//! `gantry audit`.

mod forward;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use db::audit::count::Count;
use db::audit::{self, Filter, Listed, chain};
use db::list::Test;
use jobs::audit_purge::{AuditPurge, Parameters};
use model::{EventType, Operation, ProjectName, RepositoryName, SystemClock, Tag, Timestamp};

use policy::Caller;

use super::local::Local;
use super::out::{self, line};
use super::parse;
use super::progress::Shown;
use crate::bootstrap;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show the newest entries, newest last.
    List(List),
    /// Print the number of entries; above 10,000 an estimate.
    Count(Chosen),
    /// Remove old entries of some types. The chain can still be verified: a signed statement says what was removed.
    Purge(Purge),
    /// Print all entries as JSON lines, or the head of the chain, to keep elsewhere.
    Export {
        /// Print the head of the chain instead of the entries.
        #[arg(long)]
        head: bool,
    },
    /// Show how the audit log is forwarded to collectors, and test that.
    #[command(subcommand)]
    Forward(forward::Command),
    /// Verify the chain; exit code 1 if entries were changed, removed or reordered.
    Verify {
        /// A previously exported head: it must still be in the chain, and seals up to it are accepted whichever key
        /// signed them.
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(super) struct List {
    /// Maximum number of entries.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// Older than this entry: the first number of the previous page.
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
    #[command(flatten)]
    chosen: Chosen,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
}

/// Which entries to remove.
#[derive(Args)]
pub(super) struct Purge {
    /// Keep entries younger than this: a number and h or d.
    #[arg(long, value_name = "SPAN", value_parser = parse::span)]
    keep: i64,
    /// Types, separated by commas, such as pull_artifact; `other` for all types but those of artifacts.
    #[arg(long, value_name = "TYPES")]
    types: String,
    /// Only print what would be removed.
    #[arg(long)]
    dry_run: bool,
}

/// Which entries.
#[derive(Args)]
pub(super) struct Chosen {
    /// By this user, or by `anonymous`, `command line`, `first start` or `garbage collection`.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// In this project, or in a deleted one of the same name.
    #[arg(long, value_name = "NAME")]
    project: Option<ProjectName>,
    /// On this repository or its contents.
    #[arg(long, value_name = "PROJECT/REPOSITORY")]
    repository: Option<RepositoryName>,
    /// On this tag, of any repository unless --repository is given.
    #[arg(long)]
    tag: Option<Tag>,
    /// The operation that was done, or refused.
    #[arg(long, value_parser = operations())]
    operation: Option<Operation>,
    /// From this time on: 2026-01-31 or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    from: Option<Timestamp>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    to: Option<Timestamp>,
    /// Only refused operations.
    #[arg(long)]
    refused: bool,
    /// Also types that the setting `disabled_audit_log_event_types` hides.
    #[arg(long)]
    hidden: bool,
    /// With this text in the resource or the detail, in any case. This reads entry by entry, so give --from too.
    #[arg(long, value_name = "TEXT", requires = "from")]
    contains: Option<String>,
}

impl Chosen {
    async fn filter(self, local: &Local) -> anyhow::Result<Filter> {
        let settings = local.settings().await?.current();
        let hidden = match self.hidden {
            true => Vec::new(),
            false => EventType::list(&settings.disabled_audit_log_event_types),
        };
        let refused = self.refused.then_some((audit::RESULT, Test::Flag(false)));
        Ok(Filter {
            hidden,
            tests: refused.into_iter().collect(),
            principal: self.user,
            project: self.project,
            repository: self.repository,
            tag: self.tag,
            operation: self.operation,
            contains: self.contains.zip(self.from),
            from: self.from,
            to: self.to,
            ..Filter::default()
        })
    }
}

/// The names of all operations.
fn operations() -> impl TypedValueParser<Value = Operation> {
    let names = Operation::ALL.iter().map(|operation| operation.name());
    PossibleValuesParser::new(names).try_map(|name| name.parse())
}

/// Number of entries read at once.
const BATCH: i64 = 1_000;

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(local).await,
            Self::Count(chosen) => count(local, &chosen.filter(local).await?).await,
            Self::Purge(purge) => purge.run(local).await,
            Self::Export { head: false } => export(local).await,
            Self::Export { head: true } => export_head(local).await,
            Self::Forward(command) => command.run(local).await,
            Self::Verify { head } => verify(local, head).await,
        }
    }
}

impl List {
    async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        let filter = Filter {
            before: self.before,
            ..self.chosen.filter(local).await?
        };
        let mut entries = newest(local, filter, self.limit).await?;
        entries.reverse();
        if self.json {
            out::json_lines(&entries)?;
        } else {
            entries.iter().map(describe).for_each(|text| line(&text));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Purge {
    async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        anyhow::ensure!(self.keep >= 3_600, "--keep: at least 1h");
        // With another key, the statement would look forged.
        bootstrap::verify_master_key(&local.db, &local.master).await?;
        let parameters = Parameters {
            audit_retention_hour: self.keep / 3_600,
            include_event_types: self.types,
            dry_run: self.dry_run,
        };
        let purge = AuditPurge {
            db: local.db.clone(),
            clock: Arc::new(SystemClock),
            master: local.master.clone(),
        };
        purge
            .purge(&parameters, Caller::command_line().origin(), &mut |text| {
                line(&text)
            })
            .await?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn count(local: &Local, filter: &Filter) -> anyhow::Result<ExitCode> {
    let mut tx = local.db.reader().await?;
    match audit::count::count(&mut tx, filter).await? {
        Count::Exact(entries) => line(&entries.to_string()),
        Count::About(entries) => line(&format!("about {entries}")),
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest entries, newest first, as many as requested.
async fn newest(local: &Local, mut filter: Filter, limit: i64) -> anyhow::Result<Vec<Listed>> {
    let mut entries: Vec<Listed> = Vec::new();
    loop {
        let left = limit - entries.len() as i64;
        let mut tx = local.db.reader().await?;
        let page = audit::list(&mut tx, &filter, left.min(BATCH)).await?;
        drop(tx);
        let Some(oldest) = page.last() else {
            return Ok(entries);
        };
        filter.before = Some(oldest.entry.id);
        entries.extend(page);
    }
}

fn describe(listed: &Listed) -> String {
    let Listed { entry, project } = listed;
    let address = match &*entry.address {
        "" => "-",
        address => address,
    };
    let mut text = format!(
        "{} {} {} {address} {} {} {}",
        entry.id,
        Timestamp(entry.at),
        entry.principal_name,
        entry.operation,
        entry.resource_type,
        entry.resource
    );
    if entry.times > 1 {
        text += &format!(" ×{}", entry.times);
    }
    if !entry.success {
        text += " refused";
    }
    if let Some(project) = project {
        text += &format!(" project={project}");
    }
    if !entry.detail.is_empty() {
        text += &format!(" ({})", entry.detail);
    }
    text
}

async fn export(local: &Local) -> anyhow::Result<ExitCode> {
    let mut after = 0;
    while out::is_open() {
        let mut tx = local.db.reader().await?;
        let entries = audit::walk(&mut tx, after, BATCH).await?;
        drop(tx);
        let Some(last) = entries.last() else { break };
        after = last.id;
        out::json_lines(&entries)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn export_head(local: &Local) -> anyhow::Result<ExitCode> {
    let mut tx = local.db.reader().await?;
    let head = chain::head(&mut tx)
        .await?
        .context("nothing is sealed yet")?;
    out::json_lines(&[head])?;
    Ok(ExitCode::SUCCESS)
}

/// A head that was exported into a file.
fn exported(path: &Path) -> anyhow::Result<chain::Seal> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} does not hold a head written by `gantry audit export --head`",
            path.display()
        )
    })
}

async fn verify(local: &Local, head: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let head = head.as_deref().map(exported).transpose()?;
    // With another key, every seal would look forged.
    bootstrap::verify_master_key(&local.db, &local.master).await?;
    // In one snapshot: during a purge, rows and the statement about them would not match.
    let mut tx = local.db.snapshot().await?;
    let sign = |hash: &[u8]| jobs::audit_seal::sign(&local.master, hash);
    let shown = Shown::new();
    let seals = chain::head(&mut tx).await?.map(|seal| seal.sequence);
    let seals = seals.map(|seals| seals.max(0) as u64);
    shown.progress().begin("seals", seals, None);
    let seen = || shown.progress().count();
    let verifying = chain::verify(&mut tx, &sign, head.as_ref(), &seen);
    let report = shown.during(verifying).await?;
    for finding in &report.findings {
        line(finding);
    }
    let chain::Report {
        seals,
        sealed,
        purged,
        unsealed,
        ..
    } = &report;
    let purged = match purged {
        0 => String::new(),
        purged => format!(", {purged} more were purged"),
    };
    line(&format!(
        "{seals} seals over {sealed} entries{purged}, {unsealed} not sealed yet"
    ));
    if report.findings.is_empty() {
        line("the audit log is intact");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
