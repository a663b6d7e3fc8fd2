//! Jobs: background work in a queue, who runs it, and the results.
//!
//! **States.** A job is `queued` until it is due and a process takes it, then `running`, and finally `done`, `failed` or
//! `cancelled`. A standing job is always there: after every run it is queued again.
//!
//! **Taking.** A process that takes a job raises its number ([`fence`](crate::fence)) and holds the job until
//! `lease_until`, by the database's clock; it renews this lease. An expired lease, or one that a wrong clock put too far
//! into the future, is ended: the job is queued again under a new number. Only then can another process take it, so no
//! two holders have the same number, and everything that the old holder writes under its number fails: its steps, its
//! renewals and its ending. If a crash leaves a step in doubt, the step is either committed or not, and steps are written
//! so that repeating them changes nothing.
//!
//! **Clocks.** A job that was queued, or a schedule that was computed, in the future was so by a clock that was ahead:
//! the job is due at once, and the schedule is computed anew.
//!
//! **Limits.** At most so many jobs of a kind run at a time on all replicas. Claims are made one after the other (an
//! advisory lock), so the count is exact.
//!
//! **Waiting.** Transactions of a holder lock the row in share mode: ending a lease skips locked rows, and is retried
//! with the next poll. A run that is asked to stop (`cancel_at`) learns of it with its next renewal.

use std::fmt;
use std::time::Duration;

use model::{JobId, Timestamp};

use crate::error::{Error, Result};
use crate::execution::Status;
use crate::execution::ending::jobs_ended;
use crate::fence::Fence;
use crate::list::{self, Conditions, Field, Kind as FieldKind, Selection, Source};
use crate::sql::{Reader, Row, Tx, row, stored_names};
use crate::touch::Touch;

/// How long a lease lasts unless renewed.
pub const LEASE: Duration = Duration::from_secs(15);

/// Prefix of the holder's name for servers; commands have another one.
pub const SERVER: &str = "server ";

/// The order among due jobs of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Someone is waiting for it.
    High,
    /// The usual.
    #[default]
    Normal,
    /// After everything else.
    Low,
}

impl Priority {
    /// All priorities, highest first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits until it is due and a process is free.
    Queued,
    /// A process runs it.
    Running,
    /// It succeeded.
    Done,
    /// It failed, and is not retried.
    Failed,
    /// It was cancelled.
    Cancelled,
}

stored_names! {
    State {
        Queued = "queued",
        Running = "running",
        Done = "done",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}

/// A job to be added.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Which code runs it.
    pub kind: String,
    /// Version of the payload's format. A process that knows only older ones leaves the job to others.
    pub payload_version: i64,
    /// Its input, as JSON.
    pub payload: String,
    /// Among jobs of a kind with the same key, only one is queued or running.
    pub dedup_key: Option<String>,
    /// Whose it is among jobs of its kind.
    pub lane: Option<Lane>,
    /// The order among due jobs.
    pub priority: Priority,
    /// When it may begin.
    pub due_at: Timestamp,
}

/// Whose a job is, for a kind that is shared fairly: of those that are due, one of whom the fewest run is taken first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The larger group, such as a registry.
    pub group: String,
    /// The smaller one in it, such as a policy.
    pub member: String,
}

/// Maximum numbers of running jobs of one lane, on all replicas together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimit {
    /// Of one group.
    pub group: i64,
    /// Of one member of it.
    pub member: i64,
}

impl LaneLimit {
    /// None, for kinds that are not shared.
    pub const NONE: Self = Self {
        group: i64::MAX,
        member: i64::MAX,
    };
}

/// Adds a job; `None` if one with the same key is queued or running.
///
/// # Errors
/// When the statement fails.
pub async fn add(tx: &mut Tx, new: &NewJob, now: Timestamp) -> Result<Option<JobId>> {
    let row = tx
        .query(
            "insert into job (kind, standing, payload_version, payload, dedup_key, priority, state, due_at, attempts, fence, created_at,
                 lane_group, lane_member)
             values ($1, 0, $2, $3, $4, $5, 'queued', $6, 0, 0, $7, $8, $9)
             on conflict (kind, dedup_key) where state in ('queued', 'running') do nothing returning id",
        )
        .bind(&*new.kind)
        .bind(new.payload_version)
        .bind(&*new.payload)
        .bind(new.dedup_key.as_deref())
        .bind(new.priority as i64)
        .bind(new.due_at)
        .bind(now)
        .bind(new.lane.as_ref().map(|lane| lane.group.as_str()))
        .bind(new.lane.as_ref().map(|lane| lane.member.as_str()))
        .optional()
        .await?;
    tx.touch(Touch::Jobs);
    row.map(|row| row.get("job", "id")).transpose()
}

/// How many jobs of a kind are queued, counted up to `most`.
///
/// # Errors
/// When the statement fails.
pub async fn queued(reader: &mut Reader, kind: &str, most: i64) -> Result<i64> {
    let row = reader
        .query(
            "select count(*) as waiting from
                 (select 1 from job where kind = $1 and state = 'queued' limit $2) queued",
        )
        .bind(kind)
        .bind(most)
        .one()
        .await?;
    row.get("job", "waiting")
}

/// Creates the standing jobs that do not exist.
///
/// # Errors
/// When a statement fails.
pub async fn ensure_standing(tx: &mut Tx, kinds: &[&str], now: Timestamp) -> Result<()> {
    for kind in kinds {
        tx.query(
            "insert into job (kind, standing, payload_version, payload, dedup_key, priority, state, due_at, attempts, fence, created_at)
             values ($1, 1, 1, 'null', 'standing', $2, 'queued', $3, 0, 0, $3)
             on conflict (kind, dedup_key) where state in ('queued', 'running') do nothing",
        )
        .bind(*kind)
        .bind(Priority::Normal as i64)
        .bind(now)
        .execute()
        .await?;
    }
    Ok(())
}

/// A kind that a process runs, with the newest payload version that it knows.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// The kind.
    pub kind: &'static str,
    /// The version.
    pub version: i64,
}

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Kinds and priorities of queued jobs.
    pub queued: Vec<(String, Priority)>,
    /// True if a lease has expired, or a clock that was ahead queued a job.
    pub lapsed: bool,
    /// True if a schedule is due.
    pub scheduled: bool,
}

/// Finds what is due, in one statement, however many jobs are queued.
///
/// # Errors
/// When the statement fails.
pub async fn due(reader: &mut Reader, runs: &[Runs], now: Timestamp) -> Result<Due> {
    let wanted = runs.iter().flat_map(|runs| {
        let one = |priority| (runs.kind, runs.version, priority as i64);
        Priority::ALL.map(one)
    });
    let wanted: Vec<(&str, i64, i64)> = wanted.collect();
    let rows = reader
        .query_either(
            "select w.value ->> 0 as kind, w.value ->> 2 as priority from json_each($1) w where exists
                 (select 1 from job j where j.kind = w.value ->> 0 and j.priority = w.value ->> 2
                  and j.state = 'queued' and j.due_at <= $2 and j.payload_version <= w.value ->> 1)
             union all select '', -1 where exists
                 (select 1 from job where state = 'running' and (lease_until < $2 or lease_until > $3))
             union all select '', -1 where exists
                 (select 1 from job where state = 'queued' and coalesce(finished_at, created_at) > $3)
             union all select '', -2 where exists (select 1 from schedule where next_at <= $2 or computed_at > $3)",
            "select w.value ->> 0 as kind, cast(w.value ->> 2 as bigint) as priority
             from json_array_elements(cast($1 as json)) as w (value) where exists
                 (select 1 from job j where j.kind = w.value ->> 0 and j.priority = cast(w.value ->> 2 as bigint)
                  and j.state = 'queued' and j.due_at <= $2 and j.payload_version <= cast(w.value ->> 1 as bigint))
             union all select '', -1 where exists
                 (select 1 from job where state = 'running' and (lease_until < $2 or lease_until > $3))
             union all select '', -1 where exists
                 (select 1 from job where state = 'queued' and coalesce(finished_at, created_at) > $3)
             union all select '', -2 where exists (select 1 from schedule where next_at <= $2 or computed_at > $3)",
        )
        .bind(serde_json::to_string(&wanted).unwrap_or_default())
        .bind(now)
        .bind(latest_end(now))
        .all()
        .await?;
    let mut due = Due::default();
    for row in &rows {
        match row.get::<i64>("job", "priority")? {
            -1 => due.lapsed = true,
            -2 => due.scheduled = true,
            _ => due.queued.push((row.get("job", "kind")?, priority(row)?)),
        }
    }
    due.queued.sort_by_key(|(_, priority)| *priority);
    Ok(due)
}

/// The latest plausible end of a lease: one beyond was taken by a clock that was ahead.
pub(crate) const fn latest_end(now: Timestamp) -> Timestamp {
    now.plus(LEASE).plus(LEASE)
}

fn priority(row: &Row) -> Result<Priority> {
    let found: i64 = row.get("job", "priority")?;
    let known = Priority::ALL
        .into_iter()
        .find(|known| *known as i64 == found);
    known.ok_or(Error::Corrupt {
        table: "job",
        column: "priority",
    })
}

/// A job that a process has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// What the holder's writes carry.
    pub fence: Fence,
    /// What it is given.
    pub payload: String,
    /// Runs since the last success, including this one.
    pub attempts: i64,
    /// Why the previous run failed.
    pub last_error: Option<String>,
}

fn read_claimed(row: &Row) -> Result<Claimed> {
    Ok(Claimed {
        fence: Fence {
            job: row.get("job", "id")?,
            number: row.get("job", "fence")?,
        },
        payload: row.get("job", "payload")?,
        attempts: row.get("job", "attempts")?,
        last_error: row.get("job", "last_error")?,
    })
}

/// Which jobs a process takes.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Their kind.
    pub runs: Runs,
    /// Their priority.
    pub priority: Priority,
    /// Maximum number of running jobs of the kind, on all replicas together.
    pub limit: i64,
    /// Maximum numbers of running jobs of one lane.
    pub lane: LaneLimit,
    /// Maximum number of jobs to take.
    pub places: i64,
    /// The process that takes them.
    pub holder: &'a str,
}

/// Takes due jobs: those of whose lane the fewest run, and of them the oldest first.
///
/// # Errors
/// When a statement fails.
pub async fn claim(tx: &mut Tx, claim: Claim<'_>, now: Timestamp) -> Result<Vec<Claimed>> {
    tx.query_either(
        "select 1 as locked",
        "select 1 as locked from pg_advisory_xact_lock(7104)",
    )
    .one()
    .await?;
    let row = tx
        .query("select count(*) as total from job where kind = $1 and state = 'running'")
        .bind(claim.runs.kind)
        .one()
        .await?;
    let places = claim
        .places
        .min(claim.limit - row.get::<i64>("job", "total")?);
    if places <= 0 {
        return Ok(Vec::new());
    }
    let mut claimed = Vec::new();
    for _ in 0..places {
        let Some(row) = claim_one(tx, &claim, now).await? else {
            break;
        };
        claimed.push(read_claimed(&row)?);
    }
    Ok(claimed)
}

async fn claim_one(tx: &mut Tx, claim: &Claim<'_>, now: Timestamp) -> Result<Option<Row>> {
    tx.query(
        "update job set state = 'running', fence = fence + 1, attempts = attempts + 1, holder = $5,
             lease_until = $6, started_at = $4, cancel_at = null, progress = null
         where state = 'queued' and id in (
             select j.id from job j
             left join (select lane_group, count(*) as running from job where kind = $1 and state = 'running'
                 group by lane_group) g on g.lane_group = j.lane_group
             left join (select lane_group, lane_member, count(*) as running from job where kind = $1 and state = 'running'
                 group by lane_group, lane_member) m on m.lane_group = j.lane_group and m.lane_member = j.lane_member
             where j.kind = $1 and j.priority = $2 and j.state = 'queued' and j.due_at <= $4 and j.payload_version <= $3
             and coalesce(g.running, 0) < $7 and coalesce(m.running, 0) < $8
             order by coalesce(g.running, 0), coalesce(m.running, 0), j.due_at, j.id limit 1)
         returning id, fence, payload, attempts, last_error",
    )
    .bind(claim.runs.kind)
    .bind(claim.priority as i64)
    .bind(claim.runs.version)
    .bind(now)
    .bind(claim.holder)
    .bind(now.plus(LEASE))
    .bind(claim.lane.group)
    .bind(claim.lane.member)
    .optional()
    .await
}

/// Takes a standing job, due or not; `None` while another process holds it.
///
/// # Errors
/// When a statement fails.
pub async fn take_standing(
    tx: &mut Tx,
    kind: &str,
    holder: &str,
    now: Timestamp,
) -> Result<Option<Claimed>> {
    ensure_standing(tx, &[kind], now).await?;
    end_lapsed(tx, now).await?;
    let row = tx
        .query(
            "update job set state = 'running', fence = fence + 1, attempts = attempts + 1, holder = $2,
                 lease_until = $4, started_at = $3, cancel_at = null, progress = null
             where kind = $1 and standing = 1 and state = 'queued'
             returning id, fence, payload, attempts, last_error",
        )
        .bind(kind)
        .bind(holder)
        .bind(now)
        .bind(now.plus(LEASE))
        .optional()
        .await?;
    row.as_ref().map(read_claimed).transpose()
}

/// Asks the [server](SERVER) that holds a standing job to stop.
///
/// # Errors
/// When the statement fails.
pub async fn ask_to_stop(tx: &mut Tx, kind: &str, now: Timestamp) -> Result<()> {
    tx.query(
        "update job set cancel_at = $2
         where kind = $1 and standing = 1 and state = 'running' and cancel_at is null and holder like $3 || '%'",
    )
    .bind(kind)
    .bind(now)
    .bind(SERVER)
    .execute()
    .await?;
    Ok(())
}

/// Takes a running job from its holder: it is cancelled if that was requested, and queued otherwise.
macro_rules! lapse {
    () => {
        "update job set state = case when cancel_at is null or standing = 1 then 'queued' else 'cancelled' end,
             fence = fence + 1, due_at = $1, finished_at = $1, lease_until = null, cancel_at = null, progress = null"
    };
}

/// Ends expired leases: the jobs are queued again, and further writes of their holders fail. Jobs that a clock that was
/// ahead has queued become due. Returns the jobs that were running, with their holders.
///
/// # Errors
/// When the statement fails.
pub async fn end_lapsed(tx: &mut Tx, now: Timestamp) -> Result<Vec<(JobId, String)>> {
    let rows = tx
        .query_either(
            concat!(lapse!(), " where state = 'running' and (lease_until < $1 or lease_until > $2) returning id, holder, state"),
            concat!(lapse!(), " where id in (select id from job where state = 'running' and (lease_until < $1 or lease_until > $2)
                 order by id for update skip locked) returning id, holder, state"),
        )
        .bind(now)
        .bind(latest_end(now))
        .all()
        .await?;
    tx.query(
        "update job set due_at = $1, finished_at = case when finished_at > $1 then $1 else finished_at end,
             created_at = case when created_at > $1 then $1 else created_at end
         where state = 'queued' and coalesce(finished_at, created_at) > $2",
    )
    .bind(now)
    .bind(latest_end(now))
    .execute()
    .await?;
    let mut cancelled: Vec<JobId> = Vec::new();
    for row in &rows {
        if row.get::<State>("job", "state")? == State::Cancelled {
            cancelled.push(row.get("job", "id")?);
        }
    }
    jobs_ended(tx, &cancelled, (Status::Stopped, ""), now).await?;
    rows.iter().map(read_held).collect()
}

/// Ends the leases of all [servers](SERVER) and the waits of standing jobs: for a server that knows that it is the only
/// one.
///
/// # Errors
/// When a statement fails.
pub async fn end_all(tx: &mut Tx, now: Timestamp) -> Result<()> {
    tx.query(concat!(
        lapse!(),
        " where state = 'running' and holder like $2 || '%'"
    ))
    .bind(now)
    .bind(SERVER)
    .execute()
    .await?;
    tx.query("update job set due_at = $1 where state = 'queued' and standing = 1 and due_at > $1")
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

fn read_held(row: &Row) -> Result<(JobId, String)> {
    Ok((row.get("job", "id")?, row.get("job", "holder")?))
}

/// The result of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The lease is renewed.
    Held,
    /// The lease is renewed, but the run should stop.
    Cancelled,
    /// Another process has taken the job.
    Lost,
}

/// Renews a lease, and records the progress.
///
/// # Errors
/// When the statement fails.
pub async fn renew(
    tx: &mut Tx,
    fence: Fence,
    progress: Option<&str>,
    now: Timestamp,
) -> Result<Renewed> {
    let row = tx
        .query(
            "update job set lease_until = $3, progress = $4 where id = $1 and fence = $2 and state = 'running'
             returning cancel_at",
        )
        .bind(fence.job)
        .bind(fence.number)
        .bind(now.plus(LEASE))
        .bind(progress)
        .optional()
        .await?;
    let Some(row) = row else {
        return Ok(Renewed::Lost);
    };
    Ok(match row.get::<Option<Timestamp>>("job", "cancel_at")? {
        Some(_) => Renewed::Cancelled,
        None => Renewed::Held,
    })
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The new state.
    pub state: State,
    /// When it is due again, if queued.
    pub due_at: Option<Timestamp>,
    /// Runs since the last success.
    pub attempts: i64,
    /// The result, if it succeeded.
    pub result: Option<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Ends a run, and what it leaves open of executions unless it is queued again. Returns false if another process has
/// taken the job.
///
/// # Errors
/// When a statement fails.
pub async fn end(tx: &mut Tx, fence: Fence, ending: &Ending, now: Timestamp) -> Result<bool> {
    let ended = tx
        .query(
            "update job set state = $3, due_at = coalesce($4, due_at), attempts = $5, result = coalesce($6, result),
                 last_error = $7, finished_at = $8, holder = null, lease_until = null, cancel_at = null, progress = null
             where id = $1 and fence = $2 and state = 'running'",
        )
        .bind(fence.job)
        .bind(fence.number)
        .bind(ending.state)
        .bind(ending.due_at)
        .bind(ending.attempts)
        .bind(ending.result.as_deref())
        .bind(ending.error.as_deref())
        .bind(now)
        .execute()
        .await?;
    if ended == 0 {
        return Ok(false);
    }
    let left_open = match ending.state {
        State::Queued | State::Running => return Ok(true),
        State::Done => (Status::Error, "its job ended without it"),
        State::Failed => (Status::Error, ending.error.as_deref().unwrap_or_default()),
        State::Cancelled => (Status::Stopped, ""),
    };
    jobs_ended(tx, &[fence.job], left_open, now).await?;
    Ok(true)
}

row! {
    columns job_columns;
    /// A job as operators see it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Job of job {
        /// Its id.
        pub id: JobId = j.id,
        /// Its kind.
        pub kind: String = j.kind,
        /// Whether it is always there.
        pub standing: bool = j.standing,
        /// Its input, as JSON.
        pub payload: String = j.payload,
        /// How far it is.
        pub state: State = j.state,
        /// When it may begin.
        pub due_at: Timestamp = j.due_at,
        /// Runs since the last success.
        pub attempts: i64 = j.attempts,
        /// The process that runs it, or lost it when its lease expired.
        pub holder: Option<String> = j.holder,
        /// When its holder was asked to stop.
        pub cancel_at: Option<Timestamp> = j.cancel_at,
        /// How far the run is.
        pub progress: Option<String> = j.progress,
        /// The result of the last successful run.
        pub result: Option<String> = j.result,
        /// Why the last run failed, if it did.
        pub last_error: Option<String> = j.last_error,
        /// When it was added.
        pub created_at: Timestamp = j.created_at,
        /// When the last run began.
        pub started_at: Option<Timestamp> = j.started_at,
        /// When the last run ended.
        pub finished_at: Option<Timestamp> = j.finished_at,
    }
}

/// One job.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, id: JobId) -> Result<Option<Job>> {
    let row = reader
        .query(concat!(
            "select ",
            job_columns!(),
            " from job j where j.id = $1"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Job::read).transpose()
}

/// Fields by which pages of jobs can be filtered and sorted.
pub const FIELDS: [Field; 5] = [
    ID,
    KIND,
    Field::new("status", FieldKind::Text, "j.state"),
    CREATED,
    UPDATED,
];

/// When it was added.
pub const CREATED: Field = Field::new("creation_time", FieldKind::Time, "j.created_at");
/// When it was added, or its last run began or ended.
pub const UPDATED: Field = Field::new(
    "update_time",
    FieldKind::Time,
    "coalesce(j.finished_at, j.started_at, j.created_at)",
);

/// Id.
pub const ID: Field = Field::new("id", FieldKind::Int, "j.id").unique();
/// Kind.
pub const KIND: Field = Field::new("kind", FieldKind::Text, "j.kind");

const SOURCE: Source = Source {
    name: "job.list",
    columns: job_columns!(),
    from: "job j",
    id: "j.id",
    order: ID,
};

/// A page of jobs, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn page(reader: &mut Reader, selection: &Selection) -> Result<(Vec<Job>, i64)> {
    list::list(reader, &SOURCE, Conditions::default(), selection, Job::read).await
}

/// Which jobs to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Queued, running and failed ones.
    Open,
    /// Also done and cancelled ones.
    All,
}

/// The newest jobs, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    reader: &mut Reader,
    kind: Option<&str>,
    shown: Shown,
    limit: i64,
) -> Result<Vec<Job>> {
    let rows = reader
        .query(concat!(
            "select ",
            job_columns!(),
            " from job j where j.kind = coalesce($1, j.kind) and ($2 = 1 or j.state in ('queued', 'running', 'failed'))
             order by j.id desc limit $3"
        ))
        .bind(kind)
        .bind(shown == Shown::All)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Job::read).collect()
}

/// The result of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The job will not run.
    Done,
    /// The holder was asked to stop.
    Asked,
    /// The job is neither running nor queued for a single run.
    Not,
}

/// Cancels a queued job, or asks the holder of a running one to stop. A queued standing job stays queued.
///
/// # Errors
/// When a statement fails.
pub async fn cancel(tx: &mut Tx, id: JobId, now: Timestamp) -> Result<Cancelled> {
    let ended = tx
        .query(
            "update job set state = 'cancelled', finished_at = $2 where id = $1 and state = 'queued' and standing = 0",
        )
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    if ended == 1 {
        jobs_ended(tx, &[id], (Status::Stopped, ""), now).await?;
        return Ok(Cancelled::Done);
    }
    let asked = tx
        .query("update job set cancel_at = coalesce(cancel_at, $2) where id = $1 and state = 'running'")
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    Ok(match asked {
        1 => Cancelled::Asked,
        _ => Cancelled::Not,
    })
}

/// Makes a failed, cancelled or waiting job due now, with all its attempts. Returns false if it is running or done.
///
/// # Errors
/// [`Error::Duplicate`] if another job with its key is queued or running; when the statement fails.
pub async fn retry(tx: &mut Tx, id: JobId, now: Timestamp) -> Result<bool> {
    let queued = tx
        .query(
            "update job set state = 'queued', due_at = $2, attempts = 0, finished_at = null
             where id = $1 and state in ('queued', 'failed', 'cancelled')",
        )
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    tx.touch(Touch::Jobs);
    Ok(queued == 1)
}

/// The queue of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The kind.
    pub kind: String,
    /// Jobs whose last run failed, and that wait for a retry or are retried now.
    pub failing: i64,
    /// When the oldest queued job was or is due; standing jobs do not count.
    pub oldest_due: Option<Timestamp>,
}

/// Counts queued and running jobs, for metrics.
///
/// # Errors
/// When the statement fails.
pub async fn count(reader: &mut Reader) -> Result<Vec<Count>> {
    let rows = reader
        .query(
            "select kind, count(last_error) as failing,
                 min(case when standing = 0 and state = 'queued' then due_at end) as oldest_due
             from job where state in ('queued', 'running') group by kind order by kind",
        )
        .all()
        .await?;
    let read = |row: &Row| {
        Ok(Count {
            kind: row.get("job", "kind")?,
            failing: row.get("job", "failing")?,
            oldest_due: row.get("job", "oldest_due")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Jobs of a kind that wait for their turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The kind.
    pub kind: String,
    /// How many wait; standing jobs do not count.
    pub jobs: i64,
    /// Since when the oldest of them is due.
    pub oldest_due: Timestamp,
}

/// Jobs that are due and wait, by kind; kinds without any are left out.
///
/// # Errors
/// When the statement fails.
pub async fn waiting(reader: &mut Reader, now: Timestamp) -> Result<Vec<Waiting>> {
    let rows = reader
        .query(
            "select kind, count(*) as jobs, min(due_at) as oldest from job
             where state = 'queued' and standing = 0 and due_at <= $1 group by kind order by kind",
        )
        .bind(now)
        .all()
        .await?;
    let read = |row: &Row| {
        Ok(Waiting {
            kind: row.get("job", "kind")?,
            jobs: row.get("job", "jobs")?,
            oldest_due: row.get("job", "oldest")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Cancels all queued jobs of a kind, or of all kinds; returns how many. Standing jobs stay.
///
/// # Errors
/// When a statement fails.
pub async fn cancel_queued(tx: &mut Tx, kind: Option<&str>, now: Timestamp) -> Result<u64> {
    let rows = tx
        .query(
            "update job set state = 'cancelled', finished_at = $2
             where state = 'queued' and standing = 0 and kind = coalesce($1, kind) returning id",
        )
        .bind(kind)
        .bind(now)
        .all()
        .await?;
    let id = |row: &Row| row.get("job", "id");
    let jobs: Vec<JobId> = rows.iter().map(id).collect::<Result<_>>()?;
    jobs_ended(tx, &jobs, (Status::Stopped, ""), now).await?;
    Ok(jobs.len() as u64)
}

/// The jobs that run now, oldest first, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn running(reader: &mut Reader, limit: i64) -> Result<Vec<Job>> {
    let rows = reader
        .query(concat!(
            "select ",
            job_columns!(),
            " from job j where j.state = 'running' order by j.id limit $1"
        ))
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Job::read).collect()
}

/// Removes at most `limit` jobs that ended before `before`, with their logs; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.query(
        "delete from job where id in (select id from job where state in ('done', 'failed', 'cancelled')
             and finished_at < $1 order by finished_at limit $2)",
    )
    .bind(before)
    .bind(limit)
    .execute()
    .await
}
