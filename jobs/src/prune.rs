//! Removes jobs that ended long ago, old lines of all logs of jobs and tasks, old executions of policies, expired sessions,
//! mailed links and sign-in tickets, accounts whose address was not verified, and what is remembered of deleted tags.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use db::execution::{self, task_log};
use db::schedule::NewSchedule;
use db::tag::version;
use db::{Db, job, job_log, mailed_link, oidc, session};
use model::Clock;
use tenancy::user;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry};

/// How long ended jobs and log lines are kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long the deletion of a tag is remembered: an installation that was cut off for longer brings the tag back.
const TAGS_KEPT: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Rows to remove per transaction.
const BATCH: i64 = 500;
/// Accounts to remove per transaction, each of which is an event.
const BATCH_OF_ACCOUNTS: i64 = 50;
/// Hourly, at a minute when little else starts.
const CRON: &str = "0 17 * * * *";

/// Removes old and expired rows.
pub(crate) struct Prune {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

/// How many jobs, log lines of other jobs and tasks, executions, sessions, mailed links, OIDC sign-in tickets, accounts and
/// deletions of tags were removed.
#[derive(Default)]
struct Pruned([u64; 8]);

impl fmt::Display for Pruned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [
            jobs,
            lines,
            executions,
            sessions,
            links,
            tickets,
            accounts,
            tags,
        ] = self.0;
        write!(
            f,
            "{jobs} jobs, {lines} log lines, {executions} rows of executions, {sessions} sessions, {links} mailed links, {tickets} tickets of sign-ins, {accounts} unverified accounts and {tags} deletions of tags removed"
        )
    }
}

impl Job for Prune {
    const KIND: &'static str = "prune";
    const RETRY: Retry = Retry {
        runs: 5,
        first: Duration::from_secs(10),
        longest: Duration::from_secs(600),
    };
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        match self.prune().await {
            Ok(pruned) => Outcome::Done(Some(pruned.to_string())),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Prune {
    /// The built-in schedule.
    pub(crate) fn schedule() -> NewSchedule {
        let cron = CRON.parse().expect("it has six fields");
        NewSchedule::of_kind(Self::KIND, Self::VERSION, cron)
    }

    async fn prune(&self) -> Result<Pruned> {
        let now = self.db.now(&*self.clock).await?;
        let before = now.minus(KEPT);
        let mut all = Pruned::default();
        loop {
            let pruned = self.db.write(move |tx| {
                Box::pin(async move {
                    let jobs = job::prune(tx, before, BATCH).await?;
                    let lines = job_log::prune(tx, before, BATCH).await?
                        + task_log::prune(tx, before, BATCH).await?;
                    let executions = execution::prune(tx, BATCH).await?;
                    let sessions = session::prune(tx, now, BATCH).await?;
                    let links = mailed_link::prune(tx, now, BATCH).await?;
                    let tickets = oidc::prune(tx, now, BATCH).await?;
                    let tags = version::prune(tx, now.minus(TAGS_KEPT), BATCH).await?;
                    Ok::<_, db::Error>([jobs, lines, executions, sessions, links, tickets, tags])
                })
            });
            let [jobs, lines, executions, sessions, links, tickets, tags] = pruned.await?;
            let accounts = user::remove_unverified(&self.db, now, BATCH_OF_ACCOUNTS).await?;
            let pruned = [
                jobs, lines, executions, sessions, links, tickets, accounts, tags,
            ];
            for (sum, count) in all.0.iter_mut().zip(pruned) {
                *sum += count;
            }
            if pruned == [0; 8] {
                return Ok(all);
            }
        }
    }
}
