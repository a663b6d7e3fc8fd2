//! The audit log: one row for each change, written in the change's own transaction. Rows are
//! chained afterwards, see [`chain`].

pub mod chain;
pub mod recorder;

use model::{AccountId, ProjectId, Timestamp};

use crate::sql::Row;
use crate::{Result, Tx};

/// What is written.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// When it happened.
    pub at: Timestamp,
    /// Who did it; `None` for whoever was not signed in, and for the command line.
    pub account: Option<AccountId>,
    /// The name that was used.
    pub account_name: String,
    /// The address that it came from; empty for the command line.
    pub address: String,
    /// Harbor's operation: `create`, `pull`, `delete`, `update`, `login`, …
    pub operation: &'static str,
    /// Harbor's resource type: `artifact`, `tag`, `project`, …
    pub resource_type: &'static str,
    /// The resource's name.
    pub resource: String,
    /// The project that it belongs to.
    pub project: Option<ProjectId>,
    /// Whether it was done, or refused.
    pub success: bool,
    /// How often it happened within the second.
    pub times: i64,
    /// What else is worth knowing.
    pub detail: String,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// Row id, rising.
    pub id: i64,
    /// Microseconds since 1970.
    pub at: i64,
    /// Account id.
    pub account_id: Option<i64>,
    /// The name that was used.
    pub account_name: String,
    /// The address that it came from.
    pub address: String,
    /// What was done.
    pub operation: String,
    /// To what kind of thing.
    pub resource_type: String,
    /// To which one.
    pub resource: String,
    /// Project id.
    pub project_id: Option<i64>,
    /// Whether it was done, or refused.
    pub success: bool,
    /// How often it happened within the second.
    pub times: i64,
    /// What else is worth knowing.
    pub detail: String,
}

fn read(row: &Row) -> Result<Entry> {
    Ok(Entry {
        id: row.int("audit", "id")?,
        at: row.int("audit", "at")?,
        account_id: row.opt_int("audit", "account_id")?,
        account_name: row.text("audit", "account_name")?,
        address: row.text("audit", "address")?,
        operation: row.text("audit", "operation")?,
        resource_type: row.text("audit", "resource_type")?,
        resource: row.text("audit", "resource")?,
        project_id: row.opt_int("audit", "project_id")?,
        success: row.flag("audit", "success")?,
        times: row.int("audit", "times")?,
        detail: row.text("audit", "detail")?,
    })
}

/// Writes an entry.
///
/// # Errors
/// When the statement fails.
pub async fn append(tx: &mut Tx, entry: &NewEntry) -> Result<()> {
    tx.query(
        "insert into audit (at, account_id, account_name, address, operation, resource_type, resource, project_id, success, times, detail)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(entry.at)
    .bind(entry.account.map(|id| id.0))
    .bind(entry.account_name.as_str())
    .bind(entry.address.as_str())
    .bind(entry.operation)
    .bind(entry.resource_type)
    .bind(entry.resource.as_str())
    .bind(entry.project.map(|id| id.0))
    .bind(entry.success)
    .bind(entry.times)
    .bind(entry.detail.as_str())
    .execute()
    .await?;
    Ok(())
}

/// Entries with ids after `after`, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn walk(tx: &mut Tx, after: i64, limit: i64) -> Result<Vec<Entry>> {
    let rows = tx
        .query(
            "select id, at, account_id, account_name, address, operation, resource_type, resource, project_id, success, times, detail
             from audit where id > $1 order by id limit $2",
        )
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(read).collect()
}

/// The newest entries, newest first.
///
/// # Errors
/// When the statement fails.
pub async fn newest(tx: &mut Tx, limit: i64) -> Result<Vec<Entry>> {
    let rows = tx
        .query(
            "select id, at, account_id, account_name, address, operation, resource_type, resource, project_id, success, times, detail
             from audit order by id desc limit $1",
        )
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(read).collect()
}
