//! The audit log: one row for each event. [`crate::Tx::record`] writes them; they are chained afterwards, see [`chain`].

pub mod chain;
pub mod recorder;

use model::{Operation, ProjectName, RepositoryName, Tag, Timestamp};

use crate::error::Result;
use crate::list::Conditions;
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
