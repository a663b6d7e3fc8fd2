//! Removes jobs that ended long ago, old lines of all logs of jobs and tasks, old executions of policies, expired sessions,
//! mailed links and sign-in tickets, accounts whose address was not verified, what is remembered of deleted tags, and
//! members of projects that cannot be restored any more.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use db::execution::{self, task_log};
use db::schedule::NewSchedule;
use db::tag::version;
use db::{Db, job, job_log, mailed_link, member, oidc, session};
use model::Clock;
use tenancy::setting::Settings;
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
    /// The settings.
    pub(crate) settings: Arc<Settings>,
}

/// How many jobs, log lines of other jobs and tasks, executions, sessions, mailed links, OIDC sign-in tickets, accounts,
/// deletions of tags and members of deleted projects were removed.
#[derive(Default)]
struct Pruned([u64; 9]);

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
            members,
        ] = self.0;
        write!(
            f,
            "{jobs} jobs, {lines} log lines, {executions} rows of executions, {sessions} sessions, {links} mailed links, {tickets} tickets of sign-ins, {accounts} unverified accounts, {tags} deletions of tags and {members} members of deleted projects removed"
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
        let restorable = now.minus(self.settings.current().project_restorable());
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
                    let members = member::prune_former(tx, restorable, BATCH).await?;
                    Ok::<_, db::Error>([
                        jobs, lines, executions, sessions, links, tickets, tags, members,
                    ])
                })
            });
            let [
                jobs,
                lines,
                executions,
                sessions,
                links,
                tickets,
                tags,
                members,
            ] = pruned.await?;
            let accounts = user::remove_unverified(&self.db, now, BATCH_OF_ACCOUNTS).await?;
            let pruned = [
                jobs, lines, executions, sessions, links, tickets, accounts, tags, members,
            ];
            for (sum, count) in all.0.iter_mut().zip(pruned) {
                *sum += count;
            }
            if pruned == [0; 9] {
                return Ok(all);
            }
        }
    }
}
