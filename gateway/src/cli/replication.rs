//! `gantry replication`: policies by which artifacts are copied, and their executions.

mod show;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use db::list::Selection;
use db::replication::policy::{self as policies, Policy};
use jobs::replication as runs;
use model::replication::{Direction, FilterText, Mapping, PolicyContent, TriggerKind};
use model::{Cron, ExecutionId};
use serde_json::{Value, json};
use tenancy::replication_policy as service;

use super::local::{self, Local};
use super::out::{self, line};
use super::registry;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List policies.
    List {
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Make a policy.
    Create(Box<Create>),
    /// Let a policy run.
    Enable {
        /// The policy's name.
        policy: String,
    },
    /// Keep a policy from running. What runs goes on.
    Disable {
        /// The policy's name.
        policy: String,
    },
    /// Delete a policy that does not run. What it copied stays.
    Delete {
        /// The policy's name.
        policy: String,
    },
    /// Start a policy: a server runs it.
    Run {
        /// The policy's name.
        policy: String,
        /// Only say what would be copied.
        #[arg(long)]
        dry_run: bool,
    },
    /// List executions of a policy, the newest first.
    Executions {
        /// The policy's name.
        policy: String,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Show an execution with its tasks. Exits with 1 if it failed.
    Show {
        /// The execution's ID.
        execution: ExecutionId,
        /// Print the logs of its tasks too.
        #[arg(long)]
        log: bool,
    },
    /// Stop an execution.
    Stop {
        /// The execution's ID.
        execution: ExecutionId,
    },
    /// Repeat the tasks of an execution that failed.
    Retry {
        /// The execution's ID.
        execution: ExecutionId,
    },
}

/// A new policy.
#[derive(Args)]
pub(super) struct Create {
    /// Its name.
    policy: String,
    /// The registry to which artifacts go.
    #[arg(
        long,
        value_name = "REGISTRY",
        required_unless_present = "from",
        conflicts_with = "from"
    )]
    to: Option<String>,
    /// The registry from which artifacts come.
    #[arg(long, value_name = "REGISTRY")]
    from: Option<String>,
    /// What it is for.
    #[arg(long, default_value = "")]
    description: String,
    /// Which repositories: `*` for anything but a slash, `**` for anything, `{a,b}`.
    #[arg(long, value_name = "PATTERN")]
    names: Option<String>,
    /// Which repositories not.
    #[arg(long, value_name = "PATTERN")]
    not_names: Option<String>,
    /// Which tags.
    #[arg(long, value_name = "PATTERN")]
    tags: Option<String>,
    /// Which tags not.
    #[arg(long, value_name = "PATTERN")]
    not_tags: Option<String>,
    /// A label that artifacts must have; may be given several times.
    #[arg(long = "label", value_name = "NAME")]
    labels: Vec<String>,
    /// What stands in front of names at the destination.
    #[arg(long, default_value = "")]
    namespace: String,
    /// How many parts of names the namespace replaces; -1 for all but the last.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    replace: i64,
    /// When, in six fields (second, minute, hour, day of month, month, day of week), in UTC.
    #[arg(long, value_name = "CRON", value_parser = PolicyContent::cron)]
    cron: Option<Cron>,
    /// Whenever something is pushed here.
    #[arg(long, conflicts_with_all = ["cron", "from"])]
    on_push: bool,
    /// Move tags of the destination that point elsewhere.
    #[arg(long)]
    overrides: bool,
    /// Delete at the destination what was copied there and is deleted at the source.
    #[arg(long)]
    deletion: bool,
    /// Kilobits per second of each task; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    speed: i64,
    /// Send large blobs in chunks, from which a broken copy goes on.
    #[arg(long)]
    by_chunk: bool,
    /// Begin no run while another one goes on.
    #[arg(long)]
    single_active: bool,
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { json } => list(local, json).await?,
            Self::Create(new) => create(local, *new).await?,
            Self::Enable { policy } => enable(local, &policy, true).await?,
            Self::Disable { policy } => enable(local, &policy, false).await?,
            Self::Delete { policy } => {
                let found = find(local, &policy).await?;
                service::delete(&local.db, &local::system()?, found.id, local.now()).await?;
                line(&format!("policy {policy} is deleted"));
            }
            Self::Run { policy, dry_run } => {
                let wanted = (find(local, &policy).await?.id, dry_run);
                let permit = local::system()?;
                let id = runs::start(&local.db, &permit, wanted, local.now()).await?;
                line(&format!("execution {id} is started"));
            }
            Self::Executions { policy, json } => {
                let found = find(local, &policy).await?;
                show::executions(local, &found, json).await?;
            }
            Self::Show { execution, log } => return show::execution(local, execution, log).await,
            Self::Stop { execution } => {
                runs::stop(&local.db, &local::system()?, execution, local.now()).await?;
                line(&format!("execution {execution} is stopped"));
            }
            Self::Retry { execution } => {
                let permit = local::system()?;
                let id = runs::retry(&local.db, &permit, execution, local.now()).await?;
                line(&format!("execution {id} is started"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn find(local: &Local, name: &str) -> anyhow::Result<Policy> {
    let found = policies::by_name(&mut local.db.reader().await?, name).await?;
    found.with_context(|| format!("there is no policy {name}"))
}

async fn list(local: &Local, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let (found, _) = policies::list(&mut reader, &Selection::all()).await?;
    let mut values = Vec::new();
    for policy in found {
        let content = policy.content()?;
        let other = db::registry::get(&mut reader, policy.registry).await?;
        let other = other.map(|found| found.name).unwrap_or_default();
        let way = match content.direction {
            Direction::Push => "to",
            Direction::Pull => "from",
        };
        let (trigger, enabled) = (content.trigger.name(), content.enabled);
        if json {
            values.push(json!({
                "id": policy.id, "name": policy.name, way: other, "trigger": trigger, "enabled": enabled,
                "filters": content.filters, "namespace": content.mapping.namespace,
            }));
            continue;
        }
        let state = if enabled { "enabled" } else { "disabled" };
        let (id, name) = (policy.id, &policy.name);
        line(&format!("{id:>6} {name} {way} {other}, {trigger}, {state}"));
    }
    if json {
        out::json_lines(&values)?;
    }
    Ok(())
}

async fn create(local: &Local, new: Create) -> anyhow::Result<()> {
    let (direction, other) = match (&new.to, &new.from) {
        (Some(to), _) => (Direction::Push, to),
        (None, Some(from)) => (Direction::Pull, from),
        (None, None) => anyhow::bail!("name a registry with --to or --from"),
    };
    let trigger = match (&new.cron, new.on_push) {
        (Some(_), _) => TriggerKind::Scheduled,
        (None, true) => TriggerKind::EventBased,
        (None, false) => TriggerKind::Manual,
    };
    let content = PolicyContent {
        registry: registry::find(local, other).await?.id,
        filters: filters(
            [&new.names, &new.not_names],
            [&new.tags, &new.not_tags],
            &new.labels,
        ),
        name: new.policy,
        description: new.description,
        direction,
        mapping: Mapping {
            namespace: new.namespace,
            replace_count: new.replace,
        },
        trigger,
        cron: new.cron,
        deletion: new.deletion,
        overrides: new.overrides,
        enabled: true,
        speed: new.speed.max(0),
        copy_by_chunk: new.by_chunk,
        single_active: new.single_active,
    };
    let (content, permit) = (content.checked()?, local::system()?);
    let name = content.name.clone();
    let id = service::create(&local.db, &permit, content, local.now()).await?;
    line(&format!("policy {name} is made with id {id}"));
    Ok(())
}

/// The filters of patterns, which names and tags match, and which they do not; and of labels.
pub(super) fn filters(
    [names, not_names]: [&Option<String>; 2],
    [tags, not_tags]: [&Option<String>; 2],
    labels: &[String],
) -> Vec<FilterText> {
    let filter = |kind: &str, value: Value, decoration: Option<&str>| FilterText {
        kind: kind.to_owned(),
        value,
        decoration: decoration.map(str::to_owned),
    };
    let included = |kind: &str, pattern: &Option<String>| {
        let pattern = pattern.as_ref();
        pattern.map(|it| filter(kind, json!(it), None))
    };
    let excluded = |kind: &str, pattern: &Option<String>| {
        let pattern = pattern.as_ref();
        pattern.map(|it| filter(kind, json!(it), Some("excludes")))
    };
    let (names, not_names) = (included("name", names), excluded("name", not_names));
    let (tags, not_tags) = (included("tag", tags), excluded("tag", not_tags));
    let labels = (!labels.is_empty()).then(|| filter("label", json!(labels), None));
    [names, not_names, tags, not_tags, labels]
        .into_iter()
        .flatten()
        .collect()
}

async fn enable(local: &Local, name: &str, enabled: bool) -> anyhow::Result<()> {
    let found = find(local, name).await?;
    let content = PolicyContent {
        enabled,
        ..found.content()?
    };
    let permit = local::system()?;
    service::change(&local.db, &permit, found.id, content, local.now()).await?;
    let state = if enabled { "enabled" } else { "disabled" };
    line(&format!("policy {name} is {state}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_are_matched_and_excluded() {
        let text = |pattern: &str| Some(pattern.to_owned());
        let (names, not_names) = (text("team/**"), text("*/tmp/**"));
        let made = filters([&names, &not_names], [&None, &text("dev-*")], &[]);
        let said = serde_json::to_value(&made).unwrap();
        let wanted = json!([
            {"type": "name", "value": "team/**"},
            {"type": "name", "value": "*/tmp/**", "decoration": "excludes"},
            {"type": "tag", "value": "dev-*", "decoration": "excludes"},
        ]);
        assert_eq!(said, wanted);
    }
}
