//! The history of tags' targets. It outlives tags, manifests and purges of the audit log. `tag::set` writes it, in the same
//! statement as the tag.

use model::{Digest, PrincipalId, RepositoryId, Tag, Timestamp};

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, row};

row! {
    columns pointed_columns;
    /// A target of a tag, from when, and who set it; `None` for the command line.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Pointed of tag_history {
        /// The digest.
        pub digest: Digest = h.digest,
        /// When it was set.
        pub at: Timestamp = h.at,
        /// Who set it.
        pub by: Option<PrincipalId> = h.principal_id,
    }
    computed {
        /// The name of the principal that set it.
        pub by_name: Option<String> = "p.name",
        /// Whether the manifest is still in the repository.
        pub is_there: bool = "cast(case when m.id is null then 0 else 1 end as bigint)",
    }
}

/// When it was set, which is also the order in which rows are written.
pub const SET: Field = Field::new("time", Kind::Time, "h.at");

/// Fields by which a history can be filtered.
pub const FIELDS: [Field; 1] = [SET];

const SOURCE: Source = Source {
    name: "tag.history",
    columns: pointed_columns!(),
    from: "tag_history h left join principal p on p.id = h.principal_id
           left join manifest m on m.repository_id = h.repository_id and m.digest = h.digest and m.deleted_at is null",
    id: "h.id",
    order: SET,
};

/// The targets of a tag, and how often it was set in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    repository: RepositoryId,
    tag: &Tag,
    selection: &Selection,
) -> Result<(Vec<Pointed>, i64)> {
    let conditions = Conditions::default()
        .and_value("h.repository_id = $", repository)
        .and_value("h.name = $", tag.as_str());
    list::list(reader, &SOURCE, conditions, selection, Pointed::read).await
}

/// Whether a tag ever pointed at a digest.
///
/// # Errors
/// When the statement fails.
pub async fn has(
    reader: &mut Reader,
    repository: RepositoryId,
    tag: &Tag,
    digest: &Digest,
) -> Result<bool> {
    let row = reader
        .query(
            "select id from tag_history where repository_id = $1 and name = $2 and digest = $3 limit 1",
        )
        .bind(repository)
        .bind(tag.as_str())
        .bind(digest)
        .optional()
        .await?;
    Ok(row.is_some())
}
