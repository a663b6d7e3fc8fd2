//! Deleted projects, and how they are restored.
//!
//! A deletion leaves the project's row, settings, labels and rules for immutable tags, and keeps who its members were.
//! Its robots, retention policy, webhooks and workload rules are deleted for good, and its repositories held no artifacts.

use model::{ProjectId, ProjectName, Timestamp};

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::member;
use crate::sql::{Reader, Tx, row};
use crate::touch::Touch;

row! {
    columns deleted_columns;
    /// A deleted project.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Deleted of project {
        /// Its id.
        pub id: ProjectId = p.id,
        /// The name that it had, which another project may have now.
        pub name: ProjectName = p.name,
        /// When it was made.
        pub created_at: Timestamp = p.created_at,
        /// When it was deleted.
        pub deleted_at: Timestamp = p.deleted_at,
    }
    computed {
        /// The owner's name.
        pub owner_name: String = "o.name",
        /// Whether another project has the name now.
        pub is_taken: bool = "(case when exists (select 1 from project l where l.name = p.name and l.deleted_at is null) then 1 else 0 end)",
    }
}

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 3] = [
    Field::new("name", Kind::Text, "p.name"),
    Field::new("project_id", Kind::Int, "p.id").unique(),
    DELETED,
];

const DELETED: Field = Field::new("deletion_time", Kind::Time, "p.deleted_at");

const SOURCE: Source = Source {
    name: "project.deleted.list",
    columns: deleted_columns!(),
    from: "project p join user_account u on u.id = p.owner_id join principal o on o.id = u.principal_id",
    id: "p.id",
    order: DELETED,
};

/// Projects that were deleted after a time, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    after: Timestamp,
    selection: &Selection,
) -> Result<(Vec<Deleted>, i64)> {
    let deleted = Conditions::default().and_value("p.deleted_at > $", after);
    list::list(reader, &SOURCE, deleted, selection, Deleted::read).await
}

/// A project that was deleted after a time. Nobody else restores it until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx, id: ProjectId, after: Timestamp) -> Result<Option<Deleted>> {
    let row = tx
        .query_either(
            concat!(
                "select ",
                deleted_columns!(),
                " from project p join user_account u on u.id = p.owner_id join principal o on o.id = u.principal_id
                 where p.id = $1 and p.deleted_at > $2"
            ),
            concat!(
                "select ",
                deleted_columns!(),
                " from project p join user_account u on u.id = p.owner_id join principal o on o.id = u.principal_id
                 where p.id = $1 and p.deleted_at > $2 for update of p"
            ),
        )
        .bind(id)
        .bind(after)
        .optional()
        .await?;
    row.as_ref().map(Deleted::read).transpose()
}

/// Restores a deleted project, with its members.
///
/// # Errors
/// [`crate::Error::Duplicate`] if another project has the name now.
pub async fn restore(tx: &mut Tx, project: &Deleted, now: Timestamp) -> Result<()> {
    tx.query("update project set deleted_at = null, updated_at = $2 where id = $1")
        .bind(project.id)
        .bind(now)
        .execute()
        .await?;
    member::restore_all(tx, project.id).await?;
    tx.touch(Touch::Everything);
    Ok(())
}
