//! The audit log: one row for each change, written in the change's own transaction. Rows are
//! chained afterwards, see [`chain`].

pub mod chain;
pub mod recorder;

use std::borrow::Cow;

use model::{AccountId, Operation, ProjectId, ProjectName, RepositoryName, Tag, Timestamp};
use serde::Serialize;

use crate::error::Result;
use crate::list::Conditions;
use crate::sql::{Reader, Tx, row};

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
    /// The name of an [`Operation`].
    pub operation: &'static str,
    /// Harbor's resource type: `artifact`, `tag`, `project`, …
    pub resource_type: &'static str,
    /// The resource's name.
    pub resource: String,
    /// The project that it belongs to.
    pub project: Option<ProjectId>,
    /// Whether it was done, or refused.
    pub success: bool,
    /// How often it happened within the second; refusals: within the minute.
    pub times: i64,
    /// What else is worth knowing.
    pub detail: String,
}

/// Who makes changes.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The account; `None` for the command line.
    pub account: Option<AccountId>,
    /// The name that is used.
    pub name: String,
    /// The address that it comes from; empty for the command line.
    pub address: String,
}

impl Actor {
    /// The entry of a change that is made: operation, resource type and resource are Harbor's.
    pub fn change(
        self,
        at: Timestamp,
        (operation, resource_type): (&'static str, &'static str),
        resource: String,
        project: Option<ProjectId>,
    ) -> NewEntry {
        NewEntry {
            at,
            account: self.account,
            account_name: self.name,
            address: self.address,
            operation,
            resource_type,
            resource,
            project,
            success: true,
            times: 1,
            detail: String::new(),
        }
    }
}

row! {
    columns entry_columns;
    /// What was written.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
    pub struct Entry of audit {
        /// Row id, rising.
        pub id: i64 = e.id,
        /// Microseconds since 1970.
        pub at: i64 = e.at,
        /// Account id.
        pub account_id: Option<i64> = e.account_id,
        /// The name that was used.
        pub account_name: String = e.account_name,
        /// The address that it came from.
        pub address: String = e.address,
        /// What was done.
        pub operation: String = e.operation,
        /// To what kind of thing.
        pub resource_type: String = e.resource_type,
        /// To which one.
        pub resource: String = e.resource,
        /// Project id.
        pub project_id: Option<i64> = e.project_id,
        /// Whether it was done, or refused.
        pub success: bool = e.success,
        /// How often it happened within the second; refusals: within the minute.
        pub times: i64 = e.times,
        /// What else is worth knowing.
        pub detail: String = e.detail,
    }
}

/// Writes an entry.
///
/// # Errors
/// When the statement fails.
pub async fn append(tx: &mut Tx, entry: &NewEntry) -> Result<()> {
    append_all(tx, std::slice::from_ref(entry)).await
}

#[derive(Serialize)]
struct EntryRow<'a> {
    at: i64,
    account_id: Option<i64>,
    account_name: Cow<'a, str>,
    address: &'a str,
    operation: &'static str,
    resource_type: &'static str,
    resource: Cow<'a, str>,
    project_id: Option<i64>,
    success: i64,
    times: i64,
    detail: Cow<'a, str>,
}

/// PostgreSQL stores no NUL: one in a name that a client made up must not keep others from being written.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

impl<'a> EntryRow<'a> {
    fn of(entry: &'a NewEntry) -> Self {
        Self {
            at: entry.at.0,
            account_id: entry.account.map(|id| id.0),
            account_name: storable(&entry.account_name),
            address: &entry.address,
            operation: entry.operation,
            resource_type: entry.resource_type,
            resource: storable(&entry.resource),
            project_id: entry.project.map(|id| id.0),
            success: i64::from(entry.success),
            times: entry.times,
            detail: storable(&entry.detail),
        }
    }
}

/// Writes entries, in their order, with one statement.
///
/// # Errors
/// When the statement fails.
pub async fn append_all(tx: &mut Tx, entries: &[NewEntry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows: Vec<EntryRow<'_>> = entries.iter().map(EntryRow::of).collect();
    tx.query_either(
        "insert into audit (at, account_id, account_name, address, operation, resource_type, resource, project_id, success, times, detail)
         select value ->> 'at', value ->> 'account_id', value ->> 'account_name', value ->> 'address', value ->> 'operation',
                value ->> 'resource_type', value ->> 'resource', value ->> 'project_id', value ->> 'success', value ->> 'times',
                value ->> 'detail' from json_each($1) order by key",
        "insert into audit (at, account_id, account_name, address, operation, resource_type, resource, project_id, success, times, detail)
         select at, account_id, account_name, address, operation, resource_type, resource, project_id, success, times, detail
         from json_to_recordset(cast($1 as json)) as e
              (at bigint, account_id bigint, account_name text, address text, operation text, resource_type text, resource text,
               project_id bigint, success bigint, times bigint, detail text)",
    )
    .bind(serde_json::to_string(&rows).unwrap_or_default())
    .execute()
    .await?;
    Ok(())
}

/// Entries with ids after `after`, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn walk(reader: &mut Reader, after: i64, limit: i64) -> Result<Vec<Entry>> {
    let rows = reader
        .query(concat!(
            "select ",
            entry_columns!(),
            " from audit e where e.id > $1 order by e.id limit $2"
        ))
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Entry::read).collect()
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
    pub operation: Option<Operation>,
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
    fn conditions(&self) -> Conditions {
        let mut all = Conditions::default();
        if let Some(name) = &self.account {
            all = all.and_value("e.account_name = $", name.as_str());
        }
        if let Some(name) = &self.project {
            // A deleted project may have had the name as well.
            let ids = "e.project_id in (select id from project where name = $)";
            all = all.and_value(ids, name.as_str());
        }
        if let Some(name) = &self.repository {
            let within = "(substr(e.resource, 1, length($)) = $
                 and substr(e.resource, length($) + 1, 1) in ('', ':', '@'))";
            all = all.and_value(within, name.as_str());
        }
        if let Some(tag) = &self.tag {
            let ends = "(e.resource_type in ('artifact', 'tag')
                 and substr(e.resource, length(e.resource) - length($) + 1) = $)";
            all = all.and_value(ends, format!(":{tag}"));
        }
        if let Some(operation) = self.operation {
            all = all.and_value("e.operation = $", operation.name());
        }
        let bounds = [
            ("e.at >= $", self.from.map(|at| at.0)),
            ("e.at < $", self.to.map(|at| at.0)),
            ("e.id < $", self.before),
        ];
        for (condition, bound) in bounds {
            if let Some(bound) = bound {
                all = all.and_value(condition, bound);
            }
        }
        all
    }
}

/// The newest entries that a filter lets through, newest first; [`Filter::before`] goes on from the last one.
///
/// # Errors
/// When the statement fails.
pub async fn list(reader: &mut Reader, filter: &Filter, limit: i64) -> Result<Vec<Listed>> {
    let conditions = filter.conditions();
    let sql = format!(
        "select {}, p.name as project from audit e left join project p on p.id = e.project_id {}
         order by e.id desc limit ${}",
        entry_columns!(),
        conditions.clause(),
        conditions.len() + 1
    );
    let query = conditions.bind(reader.query_built("audit.list", sql));
    let rows = query.bind(limit).all().await?;
    rows.iter()
        .map(|row| {
            Ok(Listed {
                entry: Entry::read(row)?,
                project: row.get("project", "project")?,
            })
        })
        .collect()
}
