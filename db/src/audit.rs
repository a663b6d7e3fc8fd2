//! The audit log: one row for each event. `Tx::record` in `audit/event.rs` writes them; they are chained afterwards, see
//! [`chain`].

pub mod chain;
pub mod count;
mod event;
pub mod partition;
pub mod recorder;

use model::{Digest, Operation, ProjectName, RepositoryName, Tag, Timestamp};

use crate::error::Result;
use crate::list::{Conditions, containing};
use crate::sql::{Reader, row};

row! {
    columns entry_columns;
    /// What was written.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
    pub struct Entry of audit {
        /// Row id, rising.
        pub id: i64 = e.id,
        /// Microseconds since 1970.
        pub at: i64 = e.at,
        /// The id of whoever did it.
        pub principal_id: Option<i64> = e.principal_id,
        /// The name that was used.
        pub principal_name: String = e.principal_name,
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
        /// The repository that it is, or lies in.
        pub repository: Option<String> = e.repository,
        /// The tag that it is, or was named by.
        pub tag: Option<String> = e.tag,
        /// The digest of its content.
        pub digest: Option<Digest> = e.digest,
        /// Whether it was done, or refused.
        pub success: bool = e.success,
        /// How often it happened within the second; refusals: within the minute.
        pub times: i64 = e.times,
        /// What else is worth knowing.
        pub detail: String = e.detail,
    }
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
    pub principal: Option<String>,
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
    /// A text within the resource or the detail, and the time since when it is looked for: no index helps.
    pub contains: Option<(String, Timestamp)>,
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
    /// The conditions. Each leads to one range of an index that ends with time and id, so that a page costs the same
    /// wherever it lies.
    async fn conditions(&self, reader: &mut Reader) -> Result<Conditions> {
        let mut all = Conditions::default();
        if let Some(name) = &self.principal {
            all = all.and_value("e.principal_name = $", name.as_str());
        }
        if let Some(name) = &self.project {
            all = all.and_any("e.project_id", &projects(reader, name).await?);
        }
        if let Some(name) = &self.repository {
            all = all.and_value("e.repository = $", name.as_str());
        }
        if let Some(tag) = &self.tag {
            all = all.and_value("e.tag = $", tag.as_str());
        }
        if let Some(operation) = self.operation {
            all = all.and_value("e.operation = $", operation.name());
        }
        if let Some((text, _)) = &self.contains {
            let pattern = containing(text);
            all = all.and_value(
                "(lower(e.resource) like lower($) escape '\\' or lower(e.detail) like lower($) escape '\\')",
                pattern,
            );
        }
        let since = self.contains.as_ref().map(|(_, since)| *since);
        if let Some(from) = self.from.max(since) {
            all = all.and_value("e.at >= $", from);
        }
        self.upper_bound(reader, all).await
    }

    /// One of both bounds, whichever is narrower: with two, SQLite may read on from the other one.
    async fn upper_bound(&self, reader: &mut Reader, all: Conditions) -> Result<Conditions> {
        let mut all = all;
        if let Some(id) = self.before {
            match time_of(reader, id).await? {
                Some(at) if self.to.is_none_or(|to| at < to) => {
                    return Ok(older_than(reader, all, at, id));
                }
                // It lies beyond the other bound.
                Some(_) => {}
                // It is gone.
                None => all = all.and_value("e.id < $", id),
            }
        }
        Ok(match self.to {
            Some(to) => all.and_value("e.at < $", to),
            None => all,
        })
    }
}

/// Ids of the project with a name, and of deleted ones that had it.
async fn projects(reader: &mut Reader, name: &ProjectName) -> Result<Vec<i64>> {
    let rows = reader
        .query("select id from project where name = $1 order by id")
        .bind(name.as_str())
        .all()
        .await?;
    rows.iter().map(|row| row.get("project", "id")).collect()
}

/// When the entry with an id was written, if it is there.
async fn time_of(reader: &mut Reader, id: i64) -> Result<Option<Timestamp>> {
    let row = reader
        .query("select at from audit where id = $1")
        .bind(id)
        .optional()
        .await?;
    row.map(|row| row.get("audit", "at")).transpose()
}

/// Goes on after an entry.
fn older_than(reader: &Reader, all: Conditions, at: Timestamp, id: i64) -> Conditions {
    let all = match reader.is_postgres() {
        // It tells which partitions to leave alone.
        true => all.and_value("e.at <= $", at),
        false => all,
    };
    all.and_values("(e.at, e.id) < ($, $)", [at.into(), id.into()])
}

/// The newest entries that a filter lets through, newest first; [`Filter::before`] goes on from the last one.
///
/// # Errors
/// When the statement fails.
pub async fn list(reader: &mut Reader, filter: &Filter, limit: i64) -> Result<Vec<Listed>> {
    let conditions = filter.conditions(reader).await?;
    let sql = format!(
        "select {}, p.name as project from audit e left join project p on p.id = e.project_id {}
         order by e.at desc, e.id desc limit ${}",
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
