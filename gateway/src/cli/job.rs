//! `gantry job`: showing and controlling background jobs.

use std::process::ExitCode;

use clap::Subcommand;
use db::job::{self, Cancelled, Job, Shown, State};
use db::job_log;
use db::list::Selection;
use db::schedule::{self, Schedule};
use jobs::engine::control;
use model::{JobId, Timestamp};
use policy::SystemPermit;
use serde_json::{Value, json};

use super::local::{self, Local};
use super::{out, print};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List queued, running and failed jobs, newest first.
    List {
        /// Only jobs of this kind, such as gc.
        #[arg(long)]
        kind: Option<String>,
        /// Also list done and cancelled jobs, which are kept for a week.
        #[arg(long)]
        all: bool,
        /// Maximum number of jobs.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Show a job and the last lines of its log.
    Show {
        /// The job's ID.
        id: JobId,
        /// Maximum number of lines.
        #[arg(long, value_name = "N", default_value_t = 100)]
        lines: u32,
    },
    /// Run a failed, cancelled or waiting job now.
    Retry {
        /// The job's ID.
        id: JobId,
    },
    /// List the schedules and their next five runs, in UTC and in local time.
    Schedules {
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Stop a running job, or remove a queued one. A standing job pauses for a few seconds.
    Cancel {
        /// The job's ID.
        id: JobId,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List {
                kind,
                all,
                limit,
                json,
            } => {
                let shown = if all { Shown::All } else { Shown::Open };
                let mut tx = local.db.reader().await?;
                let jobs = job::list(&mut tx, kind.as_deref(), shown, limit.into()).await?;
                match json {
                    true => out::json_lines(&jobs.iter().map(as_json).collect::<Vec<_>>())?,
                    false => list(&jobs),
                }
            }
            Self::Show { id, lines } => show(local, id, lines).await?,
            Self::Retry { id } => retry(local, id).await?,
            Self::Cancel { id } => cancel(local, id).await?,
            Self::Schedules { json } => schedules(local, json).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A job as JSON.
fn as_json(job: &Job) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": job.id, "kind": job.kind, "standing": job.standing, "state": job.state.to_string(),
        "payload": job.payload, "due": job.due_at.to_string(), "attempts": job.attempts,
        "progress": job.progress, "result": job.result, "last_error": job.last_error,
        "created": job.created_at.to_string(), "started": time(job.started_at), "ended": time(job.finished_at),
    })
}

fn list(jobs: &[Job]) {
    for job in jobs {
        let Job {
            id, kind, state, ..
        } = job;
        let error = match &job.last_error {
            Some(error) => format!("  failed {} times: {error}", job.attempts),
            None => String::new(),
        };
        print(&format!(
            "{id:>6}  {kind:<14} {state:<9} {}{error}",
            when(job)
        ));
    }
}

/// The time that matters in a job's state.
fn when(job: &Job) -> String {
    let at = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    match job.state {
        State::Queued => format!("due {}", job.due_at),
        State::Running => format!("since {}", at(job.started_at)),
        State::Done | State::Failed | State::Cancelled => at(job.finished_at),
    }
}

async fn show(local: &Local, id: JobId, lines: u32) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let job = job::get(&mut tx, id).await?;
    let job = job.ok_or_else(|| anyhow::anyhow!("there is no job {id}"))?;
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let stop = time(job.cancel_at);
    let facts = [
        ("kind", Some(job.kind)),
        ("state", Some(job.state.to_string())),
        (
            "payload",
            Some(job.payload).filter(|payload| payload != "null"),
        ),
        ("due", Some(job.due_at.to_string())),
        ("created", Some(job.created_at.to_string())),
        ("started", time(job.started_at)),
        ("ended", time(job.finished_at)),
        ("attempts", Some(job.attempts.to_string())),
        (
            "held by",
            job.holder.filter(|_| job.state == State::Running),
        ),
        ("stop requested", stop),
        ("progress", job.progress),
        ("result", job.result),
        ("last error", job.last_error),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            print(&format!("{name}: {value}"));
        }
    }
    for line in job_log::list(&mut tx, id, lines.into()).await? {
        print(&format!("{}  {:<5} {}", line.at, line.level, line.text));
    }
    Ok(())
}

/// How many runs of a schedule are shown.
const RUNS: usize = 5;

async fn schedules(local: &Local, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let (found, _) = schedule::list(&mut reader, &Selection::all()).await?;
    let now = local.now();
    if json {
        let shown = found.iter().map(|schedule| {
            let next = schedule.cron.following(now, RUNS);
            let next: Vec<String> = next.iter().map(Timestamp::to_string).collect();
            json!({ "kind": schedule.kind, "subject": schedule.subject, "cron": schedule.cron.to_string(), "next": next })
        });
        return Ok(out::json_lines(&shown.collect::<Vec<_>>())?);
    }
    for schedule in &found {
        let Schedule {
            kind,
            subject,
            cron,
            ..
        } = schedule;
        print(format!("{kind} {subject}").trim_end());
        print(&format!("  {cron}"));
        for at in cron.following(now, RUNS) {
            print(&format!("  {at}  {}", in_local_time(at)));
        }
    }
    Ok(())
}

/// A moment by the clock on the wall, with its distance from UTC.
fn in_local_time(at: Timestamp) -> String {
    let utc = chrono::DateTime::<chrono::Utc>::from_timestamp_micros(at.0).unwrap_or_default();
    utc.with_timezone(&chrono::Local)
        .format("%a %Y-%m-%d %H:%M %:z")
        .to_string()
}

async fn retry(local: &Local, id: JobId) -> anyhow::Result<()> {
    control::retry(&local.db, &local::system()?, id, local.now()).await?;
    print(&format!("job {id} is due now"));
    Ok(())
}

async fn cancel(local: &Local, id: JobId) -> anyhow::Result<()> {
    let permit: SystemPermit = local::system()?;
    let cancelled = control::cancel(&local.db, &permit, id, local.now()).await?;
    print(&match cancelled {
        Cancelled::Asked => format!("job {id} stops within seconds"),
        Cancelled::Done | Cancelled::Not => format!("job {id} is cancelled"),
    });
    Ok(())
}
