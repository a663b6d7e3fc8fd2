//! `gantry retention`: policies by which a project's artifacts are kept or go, and their runs.

pub(super) mod rules;

use std::process::ExitCode;

use clap::Subcommand;
use db::execution::{self, Execution, Vendor, task, task_log};
use db::list::Selection;
use db::retention::{self, Policy};
use model::retention::{RetentionCounts, RetentionRun};
use model::{ExecutionId, ProjectName, RetentionTerms};
use serde_json::{Value, json};
use tenancy::retention as service;

use self::rules::Rules;
use super::local::Local;
use super::out::{self, line};
use super::project;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show a project's policy.
    Show {
        /// The project's name.
        project: ProjectName,
        /// Print it as JSON, as `set --file` takes it.
        #[arg(long)]
        json: bool,
    },
    /// Make or replace a project's policy: what no rule keeps goes from the repositories that a rule is about.
    Set {
        /// The project's name.
        project: ProjectName,
        #[command(flatten)]
        rules: Rules,
    },
    /// Delete a project's policy with its schedule and history; what runs of it is stopped.
    Delete {
        /// The project's name.
        project: ProjectName,
    },
    /// Run a project's policy; a server does it.
    Run {
        /// The project's name.
        project: ProjectName,
        /// Delete nothing, and say in the log what would go.
        #[arg(long)]
        dry_run: bool,
    },
    /// List the executions of a project's policy, the newest first.
    List {
        /// The project's name.
        project: ProjectName,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Print the logs of an execution: what became of each artifact, and why.
    Log {
        /// The project's name.
        project: ProjectName,
        /// The execution's ID.
        execution: ExecutionId,
    },
    /// Stop an execution.
    Stop {
        /// The project's name.
        project: ProjectName,
        /// The execution's ID.
        execution: ExecutionId,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Show { project, json } => show(local, &project, json).await?,
            Self::Set { project, rules } => set(local, &project, rules).await?,
            Self::Delete { project } => delete(local, &project).await?,
            Self::Run { project, dry_run } => run(local, &project, dry_run).await?,
            Self::List { project, json } => list(local, &project, json).await?,
            Self::Log { project, execution } => log(local, &project, execution).await?,
            Self::Stop { project, execution } => stop(local, &project, execution).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The policy of a project, if it has one.
async fn find(local: &Local, project: &ProjectName) -> anyhow::Result<Option<Policy>> {
    let mut reader = local.db.reader().await?;
    let project = project::find(&mut reader, project).await?.id;
    Ok(retention::of_project(&mut reader, project).await?)
}

/// The policy of a project.
async fn policy(local: &Local, project: &ProjectName) -> anyhow::Result<Policy> {
    let found = find(local, project).await?;
    found.ok_or_else(|| {
        anyhow::anyhow!(
            "project {project} has no retention policy: make one with `gantry retention set`"
        )
    })
}

async fn show(local: &Local, project: &ProjectName, json: bool) -> anyhow::Result<()> {
    let policy = policy(local, project).await?;
    let terms: RetentionTerms = policy.rules.parse()?;
    let RetentionTerms { rules, grace_secs } = terms;
    if json {
        let mut value = json!({ "rules": rules, "cron": policy.cron });
        if let Some(grace_secs) = grace_secs {
            value["grace_secs"] = json!(grace_secs);
        }
        return Ok(out::json_lines(&[value])?);
    }
    let schedule = match policy.cron.as_str() {
        "" => "not scheduled",
        cron => cron,
    };
    line(&format!("policy {} of {project}: {schedule}", policy.id));
    if let Some(secs) = grace_secs {
        line(&format!(
            "  nothing goes within {secs} seconds of its last push"
        ));
    }
    for (compiled, rule) in model::retention::compile(&rules)?.iter().zip(&rules) {
        let state = if rule.disabled { "disabled" } else { "enabled" };
        line(&format!(
            "  {compiled} {state} {}",
            serde_json::to_string(rule)?
        ));
    }
    Ok(())
}

async fn set(local: &Local, project: &ProjectName, rules: Rules) -> anyhow::Result<()> {
    let new = rules.policy()?;
    let id = match find(local, project).await? {
        Some(policy) => {
            let permit = project::permit(local, project).await?;
            service::change(&local.db, &permit, policy.id, new, local.now()).await?;
            policy.id
        }
        None => {
            let permit = project::permit(local, project).await?;
            service::create(&local.db, &permit, new, local.now()).await?
        }
    };
    line(&format!("policy {id} of {project} is set"));
    Ok(())
}

async fn delete(local: &Local, project: &ProjectName) -> anyhow::Result<()> {
    let id = policy(local, project).await?.id;
    let permit = project::permit(local, project).await?;
    service::delete(&local.db, &permit, id, local.now()).await?;
    line(&format!("policy {id} of {project} is deleted"));
    Ok(())
}

async fn run(local: &Local, project: &ProjectName, dry_run: bool) -> anyhow::Result<()> {
    let id = policy(local, project).await?.id;
    let permit = project::permit(local, project).await?;
    let how = RetentionRun { dry_run };
    let started = service::start(&local.db, &permit, id, how, local.now()).await?;
    line(&format!(
        "execution {started} of policy {id} waits for a server"
    ));
    Ok(())
}

async fn list(local: &Local, project: &ProjectName, json: bool) -> anyhow::Result<()> {
    let id = policy(local, project).await?.id;
    let mut reader = local.db.reader().await?;
    let of_policy = (Vendor::Retention, id.0);
    let (executions, _) = execution::list(&mut reader, of_policy, &Selection::all()).await?;
    if json {
        let values: Vec<Value> = executions.iter().map(shown).collect();
        return Ok(out::json_lines(&values)?);
    }
    for execution in &executions {
        let Execution { id, started_at, .. } = execution;
        let (status, cause) = (execution.status.name(), execution.cause.name());
        let how = if run_of(execution).dry_run {
            " dry run"
        } else {
            ""
        };
        let message = match execution.status_message.as_str() {
            "" => String::new(),
            text => format!(": {text}"),
        };
        line(&format!(
            "{id:>6} {started_at} {cause}{how} {status}{message}"
        ));
    }
    Ok(())
}

fn run_of(execution: &Execution) -> RetentionRun {
    serde_json::from_str(&execution.attrs).unwrap_or_default()
}

fn shown(execution: &Execution) -> Value {
    json!({
        "id": execution.id,
        "status": execution.status.name(),
        "status_message": execution.status_message,
        "trigger": execution.cause.name(),
        "dry_run": run_of(execution).dry_run,
        "operator": execution.operator,
        "start_time": execution.started_at.to_string(),
        "end_time": execution.ended_at.map(|at| at.to_string()),
    })
}

/// Lines of a log that are read at a time.
const PAGE: i64 = 500;

async fn log(local: &Local, project: &ProjectName, id: ExecutionId) -> anyhow::Result<()> {
    let policy = policy(local, project).await?;
    let mut reader = local.db.reader().await?;
    let found = execution::get(&mut reader, id).await?;
    let of_policy = (Vendor::Retention, policy.id.0);
    let found = found.filter(|found| (found.vendor, found.vendor_id) == of_policy);
    found.ok_or(tenancy::Error::ExecutionUnknown(id))?;
    let (tasks, _) = task::list(&mut reader, id, &Selection::all()).await?;
    for task in tasks.iter().rev() {
        let counts: RetentionCounts = serde_json::from_str(&task.attrs).unwrap_or_default();
        let RetentionCounts {
            total,
            retained,
            deleted,
        } = counts;
        let (name, status) = (&task.subject, task.status.name());
        line(&format!(
            "{name}: {status}, {total} artifacts, {retained} stay, {deleted} were deleted {}",
            task.status_message
        ));
        let mut after = 0;
        loop {
            let (lines, last) = task_log::page(&mut reader, task.id, (after, PAGE)).await?;
            if lines.is_empty() || !out::is_open() {
                break;
            }
            lines
                .iter()
                .for_each(|one| line(&format!("  {}", one.text)));
            after = last;
        }
    }
    Ok(())
}

async fn stop(local: &Local, project: &ProjectName, id: ExecutionId) -> anyhow::Result<()> {
    let policy = policy(local, project).await?.id;
    let permit = project::permit(local, project).await?;
    service::stop(&local.db, &permit, (policy, id), local.now()).await?;
    line(&format!("execution {id} of policy {policy} is stopped"));
    Ok(())
}
