//! `gantry rule`: rules that make tags of a project immutable.

use std::process::ExitCode;

use clap::Subcommand;
use db::immutable_rule::{self, Rule};
use db::list::Selection;
use model::{ImmutableRule, ImmutableRuleId, ProjectName};
use serde_json::{Value, json};
use tenancy::immutable_rule as service;

use super::local::Local;
use super::out::{self, line};
use super::project;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List a project's rules.
    List {
        /// The project's name.
        project: ProjectName,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Create a rule. It takes effect at once: tags that it covers cannot be moved or deleted.
    Create {
        /// The project's name.
        project: ProjectName,
        /// Which repositories, named without the project: `*` for anything but a slash, `**` for whole parts, `{a,b}`.
        #[arg(long, value_name = "PATTERN", default_value = "**")]
        repositories: String,
        /// Which tags.
        #[arg(long, value_name = "PATTERN", default_value = "**")]
        tags: String,
    },
    /// Enable a rule that was disabled.
    Enable {
        /// The project's name.
        project: ProjectName,
        /// The rule's ID.
        id: ImmutableRuleId,
    },
    /// Disable a rule without deleting it.
    Disable {
        /// The project's name.
        project: ProjectName,
        /// The rule's ID.
        id: ImmutableRuleId,
    },
    /// Delete a rule.
    Delete {
        /// The project's name.
        project: ProjectName,
        /// The rule's ID.
        id: ImmutableRuleId,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { project, json } => list(local, &project, json).await?,
            Self::Create {
                project,
                repositories,
                tags,
            } => {
                let rule = ImmutableRule::of_patterns(&repositories, &tags);
                create(local, &project, rule).await?;
            }
            Self::Enable { project, id } => enable(local, &project, id, true).await?,
            Self::Disable { project, id } => enable(local, &project, id, false).await?,
            Self::Delete { project, id } => delete(local, &project, id).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(local: &Local, project: &ProjectName, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let project = project::find(&mut reader, project).await?.id;
    let (rules, _) = immutable_rule::list(&mut reader, project, &Selection::all()).await?;
    if json {
        let values: Vec<Value> = rules.iter().map(shown).collect::<Result<_, _>>()?;
        return Ok(out::json_lines(&values)?);
    }
    for Rule {
        id,
        enabled,
        selectors,
        ..
    } in rules
    {
        let state = if enabled { "enabled" } else { "disabled" };
        line(&format!("{id:>6} {state} {selectors}"));
    }
    Ok(())
}

/// A rule as JSON, its conditions in Harbor's form.
fn shown(rule: &Rule) -> serde_json::Result<Value> {
    let mut value: Value = serde_json::from_str(&rule.selectors)?;
    value["id"] = json!(rule.id);
    value["disabled"] = json!(!rule.enabled);
    Ok(value)
}

async fn create(local: &Local, project: &ProjectName, rule: ImmutableRule) -> anyhow::Result<()> {
    rule.compile()?;
    let permit = project::permit(local, project).await?;
    let id = service::create(&local.db, &permit, rule, local.now()).await?;
    line(&format!("rule {id} of {project} is in effect"));
    Ok(())
}

async fn enable(
    local: &Local,
    project: &ProjectName,
    id: ImmutableRuleId,
    enabled: bool,
) -> anyhow::Result<()> {
    let permit = project::permit(local, project).await?;
    service::enable(&local.db, &permit, id, enabled, local.now()).await?;
    let state = if enabled {
        "in effect"
    } else {
        "without effect"
    };
    line(&format!("rule {id} of {project} is {state}"));
    Ok(())
}

async fn delete(local: &Local, project: &ProjectName, id: ImmutableRuleId) -> anyhow::Result<()> {
    let permit = project::permit(local, project).await?;
    service::delete(&local.db, &permit, id, local.now()).await?;
    line(&format!("rule {id} of {project} is deleted"));
    Ok(())
}
