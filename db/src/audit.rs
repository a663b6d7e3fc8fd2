//! The audit log: one row for each change, written in the change's own transaction. Rows are
//! chained afterwards, see [`chain`].

pub mod chain;
pub mod recorder;

use model::{AccountId, ProjectId, ProjectName, RepositoryName, Tag, Timestamp};

use crate::sql::{Query, Row, Value};
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

/// Which entries a list shows: those that all of it fits.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The name of whoever did it.
    pub account: Option<String>,
    /// The project that they belong to.
    pub project: Option<ProjectName>,
    /// The repository, or what is in it.
    pub repository: Option<RepositoryName>,
    /// The tag of a repository.
    pub tag: Option<Tag>,
    /// What was done.
    pub operation: Option<String>,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Older than the entry with this id.
    pub before: Option<i64>,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// The name of its project.
    pub project: Option<String>,
}

impl Filter {
    /// The condition, and the values that it binds from `$1` on.
    fn condition(&self) -> (String, Vec<Value>) {
        let mut given: Vec<(&str, Value)> = Vec::new();
        if let Some(name) = &self.account {
            given.push(("e.account_name = $", name.as_str().into()));
        }
        if let Some(name) = &self.project {
            // A deleted project may have had the name as well.
            let ids = "e.project_id in (select id from project where name = $)";
            given.push((ids, name.as_str().into()));
        }
        if let Some(name) = &self.repository {
            let within = "(substr(e.resource, 1, length($)) = $
                 and substr(e.resource, length($) + 1, 1) in ('', ':', '@'))";
            given.push((within, name.as_str().into()));
        }
        if let Some(tag) = &self.tag {
            let ends = "(e.resource_type in ('artifact', 'tag')
                 and substr(e.resource, length(e.resource) - length($) + 1) = $)";
            given.push((ends, format!(":{tag}").into()));
        }
        if let Some(operation) = &self.operation {
            given.push(("e.operation = $", operation.as_str().into()));
        }
        let bounds = [
            ("e.at >= $", self.from.map(|at| at.0)),
            ("e.at < $", self.to.map(|at| at.0)),
            ("e.id < $", self.before),
        ];
        for (condition, bound) in bounds {
            given.extend(bound.map(|bound| (condition, bound.into())));
        }
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        for (condition, value) in given {
            values.push(value);
            conditions.push(condition.replace('$', &format!("${}", values.len())));
        }
        let condition = match conditions.len() {
            0 => String::new(),
            _ => format!("where {}", conditions.join(" and ")),
        };
        (condition, values)
    }
}

/// The newest entries that a filter lets through, newest first; [`Filter::before`] goes on from the last one.
///
/// # Errors
/// When the statement fails.
pub async fn list(tx: &mut Tx, filter: &Filter, limit: i64) -> Result<Vec<Listed>> {
    let (condition, mut values) = filter.condition();
    values.push(limit.into());
    let sql = format!(
        "select e.id, e.at, e.account_id, e.account_name, e.address, e.operation, e.resource_type, e.resource, e.project_id,
             e.success, e.times, e.detail, p.name as project
         from audit e left join project p on p.id = e.project_id {condition} order by e.id desc limit ${}",
        values.len()
    );
    let query = tx.query_built("audit list", sql);
    let rows = values.into_iter().fold(query, Query::bind).all().await?;
    rows.iter()
        .map(|row| {
            Ok(Listed {
                entry: read(row)?,
                project: row.opt_text("project", "project")?,
            })
        })
        .collect()
}
