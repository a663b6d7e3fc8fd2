//! Partitions of the audit log on PostgreSQL: one for each month in UTC, and one for all other times, so that no entry
//! is ever refused. SQLite has none.
//!
//! Partitions are made ahead, at each start and by a job. Entries that were written before the partition of their month
//! existed move into it when it is made. It is made as a table of its own and then attached: writers of other months do
//! not wait for that, readers do, for at most [`PATIENCE`]. If it cannot be made in that time, entries go into the
//! partition for all other times, and the next attempt moves them.

use model::Timestamp;

use crate::database::Db;
use crate::error::Result;
use crate::sql::{Reader, Row, Tx, json_list};

/// How far ahead partitions are made, and the distance between the times whose months are checked.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(60 * 24 * 3_600);
const STEPS: u32 = 4;
/// How long making one waits for readers of the log; new readers wait behind it meanwhile.
const PATIENCE: &str = "set local lock_timeout = '2s'";

/// Makes the missing partitions of this and the following months.
///
/// # Errors
/// When a statement fails, or when readers of the log did not end in time.
pub async fn make_ahead(db: &Db, now: Timestamp) -> Result<()> {
    if !db.is_shared() {
        return Ok(());
    }
    let times = json_list((0..=STEPS).map(|step| now.plus(AHEAD / STEPS * step).0));
    if missing(&mut db.reader().await?, OF_TIMES, &times)
        .await?
        .is_empty()
    {
        return Ok(());
    }
    db.write(move |tx| Box::pin(async move { make(tx, OF_TIMES, &times).await }))
        .await
}

/// Makes the partitions for entries that are about to be inserted as rows of JSON, with the time at the given position.
pub(crate) async fn make_for(tx: &mut Tx, rows: &str, position: usize) -> Result<()> {
    let times = format!(
        "select cast(value ->> {position} as bigint) as at from json_array_elements(cast($1 as json)) as r (value)"
    );
    make(tx, &times, rows).await
}

/// Times in a list.
const OF_TIMES: &str = "select cast(value as bigint) as at from json_array_elements_text(cast($1 as json)) as r (value)";

async fn make(tx: &mut Tx, times: &str, values: &str) -> Result<()> {
    if missing(tx, times, values).await?.is_empty() {
        return Ok(());
    }
    tx.query(PATIENCE).execute().await?;
    tx.query("select 1 as locked from pg_advisory_xact_lock(7105)")
        .one()
        .await?;
    // Another process may have made them meanwhile.
    let partitions = missing(tx, times, values).await?;
    if !partitions.is_empty() {
        tx.query("lock table audit_default in access exclusive mode")
            .execute()
            .await?;
    }
    for partition in partitions {
        for statement in partition.statements() {
            tx.query_built("audit.partition", statement)
                .execute()
                .await?;
        }
    }
    Ok(())
}

/// A partition to be made.
struct Partition {
    name: String,
    /// The first microsecond of its month, and that of the next.
    from: i64,
    until: i64,
}

impl Partition {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            name: row.get("audit", "name")?,
            from: row.get("audit", "since")?,
            until: row.get("audit", "until")?,
        })
    }

    fn statements(&self) -> [String; 3] {
        let Self { name, from, until } = self;
        [
            format!("create table {name} (like audit including all)"),
            format!(
                "with moved as (delete from audit_default where at >= {from} and at < {until} returning *)
                 insert into {name} select * from moved"
            ),
            format!("alter table audit attach partition {name} for values from ({from}) to ({until})"),
        ]
    }
}

/// The missing partitions for some times. Implausible times have none.
async fn missing(reader: &mut Reader, times: &str, values: &str) -> Result<Vec<Partition>> {
    let sql = format!(
        "select cast('audit_' || to_char(month, 'YYYY_MM') as text) as name,
             cast(extract(epoch from month) * 1000000 as bigint) as since,
             cast(extract(epoch from month + interval '1 month') * 1000000 as bigint) as until
         from (select distinct date_trunc('month', to_timestamp(cast(at as double precision) / 1000000) at time zone 'UTC') as month
               from ({times}) times where at between 946684800000000 and 7258118400000000) months
         where not exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = current_schema() and c.relname = 'audit_' || to_char(month, 'YYYY_MM'))
         order by month"
    );
    let rows = reader.query_built("audit.partitions", sql).bind(values);
    rows.all().await?.iter().map(Partition::read).collect()
}
