//! Schedules: jobs added at recurring times, in UTC. Missed times are made up for by one job.

use std::time::Duration;

use model::{Cron, Timestamp};

use crate::error::Result;
use crate::job::{self, NewJob, Priority};
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Row, Tx, row};

/// A schedule to be set.
#[derive(Clone, Debug)]
pub struct NewSchedule {
    /// The kind of its jobs.
    pub kind: String,
    /// What it belongs to, such as the id of a rule; empty if the kind has only one schedule.
    pub subject: String,
    /// Version of the payload's format.
    pub payload_version: i64,
    /// The input of its jobs, as JSON.
    pub payload: String,
    /// The times.
    pub cron: Cron,
}

impl NewSchedule {
    /// The only schedule of a kind, whose jobs need no input.
    pub fn of_kind(kind: &str, payload_version: i64, cron: Cron) -> Self {
        Self {
            kind: kind.to_owned(),
            subject: String::new(),
            payload_version,
            payload: "null".to_owned(),
            cron,
        }
    }
}

/// Sets the schedule of a kind and subject. If nothing changes, its next time is kept, unless a wrong clock put it later
/// than the next time after `now`.
///
/// # Errors
/// When the statement fails.
pub async fn set(tx: &mut Tx, new: &NewSchedule, now: Timestamp) -> Result<()> {
    let Some(next) = new.cron.next_after(now) else {
        return remove(tx, &new.kind, &new.subject).await;
    };
    tx.query(
        "insert into schedule (kind, subject, payload_version, payload, cron, next_at, computed_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (kind, subject) do update set payload_version = excluded.payload_version,
             payload = excluded.payload, cron = excluded.cron, next_at = excluded.next_at, computed_at = excluded.computed_at
         where schedule.cron <> excluded.cron or schedule.payload <> excluded.payload
             or schedule.payload_version <> excluded.payload_version or schedule.next_at > excluded.next_at",
    )
    .bind(&*new.kind)
    .bind(&*new.subject)
    .bind(new.payload_version)
    .bind(&*new.payload)
    .bind(new.cron.to_string())
    .bind(next)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

row! {
    columns schedule_columns;
    /// A schedule as operators see it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Schedule of schedule {
        /// Its id.
        pub id: i64 = s.id,
        /// The kind of its jobs.
        pub kind: String = s.kind,
        /// What it belongs to.
        pub subject: String = s.subject,
        /// The input of its jobs, as JSON.
        pub payload: String = s.payload,
        /// The times.
        pub cron: Cron = s.cron,
        /// The next time.
        pub next_at: Timestamp = s.next_at,
        /// When that was computed: when the schedule was set, or last added a job.
        pub computed_at: Timestamp = s.computed_at,
    }
}

/// Id.
pub const ID: Field = Field::new("id", Kind::Int, "s.id").unique();

const SOURCE: Source = Source {
    name: "schedule.list",
    columns: schedule_columns!(),
    from: "schedule s",
    id: "s.id",
    order: ID,
};

/// A page of schedules, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(reader: &mut Reader, selection: &Selection) -> Result<(Vec<Schedule>, i64)> {
    list::list(
        reader,
        &SOURCE,
        Conditions::default(),
        selection,
        Schedule::read,
    )
    .await
}

/// The schedule of a kind and subject.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, kind: &str, subject: &str) -> Result<Option<Schedule>> {
    let row = reader
        .query(concat!(
            "select ",
            schedule_columns!(),
            " from schedule s where s.kind = $1 and s.subject = $2"
        ))
        .bind(kind)
        .bind(subject)
        .optional()
        .await?;
    row.as_ref().map(Schedule::read).transpose()
}

/// Removes a schedule.
///
/// # Errors
/// When the statement fails.
pub async fn remove(tx: &mut Tx, kind: &str, subject: &str) -> Result<()> {
    tx.query("delete from schedule where kind = $1 and subject = $2")
        .bind(kind)
        .bind(subject)
        .execute()
        .await?;
    Ok(())
}

/// Schedules to handle per transaction.
const BATCH: i64 = 100;
/// How long a schedule that cannot be read is set aside.
const ASIDE: Duration = Duration::from_secs(24 * 3_600);

/// Adds the jobs of due schedules, and sets their next times, also for those computed by a fast clock. No job is added
/// while the previous one is queued or running.
///
/// # Errors
/// When a statement fails.
pub async fn fire(tx: &mut Tx, now: Timestamp) -> Result<()> {
    let rows = tx
        .query_either(
            "select id, kind, subject, payload_version, payload, cron, next_at from schedule
             where next_at <= $1 or computed_at > $3 order by next_at, id limit $2",
            "select id, kind, subject, payload_version, payload, cron, next_at from schedule
             where next_at <= $1 or computed_at > $3 order by next_at, id limit $2 for update skip locked",
        )
        .bind(now)
        .bind(BATCH)
        .bind(job::latest_end(now))
        .all()
        .await?;
    for row in &rows {
        let id = row.get::<i64>("schedule", "id")?;
        let next = match read(row, now) {
            Ok((new, cron)) => {
                if row.get::<Timestamp>("schedule", "next_at")? <= now {
                    job::add(tx, &new, now).await?;
                }
                // It had a next time before; the maximum stands for never.
                cron.next_after(now).unwrap_or(Timestamp(i64::MAX))
            }
            Err(error) => {
                tracing::error!(%error, schedule.id = id, "a schedule cannot be read and is set aside for a day");
                now.plus(ASIDE)
            }
        };
        tx.query("update schedule set next_at = $2, computed_at = $3 where id = $1")
            .bind(id)
            .bind(next)
            .bind(now)
            .execute()
            .await?;
    }
    Ok(())
}

fn read(row: &Row, now: Timestamp) -> Result<(NewJob, Cron)> {
    let new = NewJob {
        kind: row.get("schedule", "kind")?,
        payload_version: row.get("schedule", "payload_version")?,
        payload: row.get("schedule", "payload")?,
        dedup_key: Some(format!(
            "schedule {}",
            row.get::<String>("schedule", "subject")?
        )),
        lane: None,
        priority: Priority::Normal,
        due_at: now,
    };
    Ok((new, row.get("schedule", "cron")?))
}
