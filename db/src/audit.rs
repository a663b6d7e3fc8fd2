//! The audit log: one row for each event. `Tx::record` in `audit/event.rs` writes them; they are chained afterwards, see
//! [`chain`].

pub mod chain;
pub mod count;
pub mod erasure;
mod event;
mod filter;
pub mod follower;
pub mod hour;
pub mod list;
pub mod partition;
pub mod purge;
pub mod recorder;
pub mod registry_event;
mod seal;
pub mod series;

use model::Digest;

pub use filter::{FIELDS, Filter, ID, RESOURCE_TYPE, RESULT, Scope, TIME};
pub use list::{Listed, list};

use crate::error::Result;
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
        /// The user agent of the program.
        pub agent: String = e.agent,
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
        /// How often it happened within a second; for refusals within a minute.
        pub times: i64 = e.times,
        /// Further information.
        pub detail: String = e.detail,
    }
}

pub(crate) use entry_columns;

/// Entries with ids after `after`, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn walk(reader: &mut Reader, after: i64, limit: i64) -> Result<Vec<Entry>> {
    between(reader, after, i64::MAX, limit).await
}

/// Entries with ids after `after` and up to `last`, oldest first.
async fn between(reader: &mut Reader, after: i64, last: i64, limit: i64) -> Result<Vec<Entry>> {
    let rows = reader
        .query(concat!(
            "select ",
            entry_columns!(),
            " from audit e where e.id > $1 and e.id <= $2 order by e.id limit $3"
        ))
        .bind(after)
        .bind(last)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Entry::read).collect()
}
