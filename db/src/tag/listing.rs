//! Lists of tags as clients see them.

use model::{ManifestId, RepositoryId, Tag, TagId, Timestamp};

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Lean, Selection, Source};
use crate::sql::{Reader, ids_of_postgres, json_list, row};

row! {
    columns tag_columns;
    /// A tag as it is listed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Listed of tag {
        /// Its row.
        pub id: TagId = t.id,
        /// Its repository.
        pub repository: RepositoryId = t.repository_id,
        /// Its name.
        pub name: Tag = t.name,
        /// What it points at.
        pub manifest: ManifestId = t.manifest_id,
        /// When it was created or moved.
        pub pushed_at: Timestamp = t.pushed_at,
        /// When its manifest was last pulled by it.
        pub pulled_at: Option<Timestamp> = s.pulled_at,
    }
    computed {
        /// How often its manifest was pulled by it.
        pub pulls: i64 = "coalesce(s.pulls, 0)",
    }
}

/// Its name.
pub const NAME: Field = Field::new("name", Kind::Text, "t.name").unique();
/// When it was created or moved.
pub const PUSHED: Field = Field::new("push_time", Kind::Time, "t.pushed_at");
const PULLED: Field = Field::new("pull_time", Kind::Time, "s.pulled_at").optional();

/// Fields by which the tags of an artifact can be filtered and sorted.
pub const FIELDS: [Field; 4] = [NAME, PUSHED, PULLED, Field::new("id", Kind::Int, "t.id")];

/// Fields by which the tags of a repository can be filtered and sorted.
pub const ALL_FIELDS: [Field; 6] = [
    NAME,
    PUSHED,
    PULLED,
    Field::new("id", Kind::Int, "t.id"),
    Field::new("size", Kind::Int, "m.total_size"),
    Field::new("type", Kind::Text, "m.kind"),
];

const SOURCE: Source = Source {
    name: "tag.list",
    columns: tag_columns!(),
    from: "tag t left join tag_stat s on s.tag_id = t.id left join manifest m on m.id = t.manifest_id",
    id: "t.id",
    order: NAME,
};

/// Data of artifacts and pull times are in other tables.
const LEAN: Lean = Lean {
    from: "tag t",
    without: &["s.", "m."],
};

/// The tags of a living manifest, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn of_manifest(
    reader: &mut Reader,
    manifest: ManifestId,
    selection: &Selection,
) -> Result<(Vec<Listed>, i64)> {
    let conditions = Conditions::default().and_value("t.manifest_id = $", manifest);
    list::list(reader, &SOURCE, conditions, selection, Listed::read).await
}

/// The tags of a repository, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn of_repository(
    reader: &mut Reader,
    repository: RepositoryId,
    selection: &Selection,
) -> Result<(Vec<Listed>, i64)> {
    // There are few deleted manifests, so excluding them is quicker than checking each living one.
    let conditions = Conditions::default()
        .and_value("t.repository_id = $", repository)
        .and_value(
            "t.manifest_id not in (select d.id from manifest d where d.repository_id = $ and d.deleted_at is not null)",
            repository,
        );
    let postgres = reader.is_postgres();
    let conditions = conditions.and_tests(postgres, &selection.tests);
    let from = LEAN.of(&SOURCE, selection);
    let total = list::count(reader, (SOURCE.name, from), &conditions).await?;
    let (source, wanted) = ((&SOURCE, from), (selection, total));
    let rows = list::page(reader, source, &conditions, wanted, Listed::read).await?;
    Ok((rows, total))
}

/// The tags of living manifests, newest first; see [`list::hanging`] for how many.
///
/// # Errors
/// When the statement fails.
pub async fn of_manifests(reader: &mut Reader, manifests: &[ManifestId]) -> Result<Vec<Listed>> {
    const STATEMENTS: (&str, &str) = (
        concat!(
            "select ",
            tag_columns!(),
            " from (select t.* from json_each($1) j cross join tag t on t.id in (
                 select x.id from tag x where x.manifest_id = j.value order by x.name limit $2) limit $3) t
             left join tag_stat s on s.tag_id = t.id order by t.pushed_at desc, t.id desc"
        ),
        concat!(
            "select ",
            tag_columns!(),
            " from (select t.* from ",
            ids_of_postgres!(),
            " cross join lateral (
                 select x.* from tag x where x.manifest_id = j.id order by x.name limit $2) t limit $3) t
             left join tag_stat s on s.tag_id = t.id order by t.pushed_at desc, t.id desc"
        ),
    );
    list::hanging(reader, STATEMENTS, manifests, Listed::read).await
}

/// Tags of some repositories whose names begin with a text, by name; at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn beginning(
    reader: &mut Reader,
    repositories: &[RepositoryId],
    text: &str,
    limit: i64,
) -> Result<Vec<(RepositoryId, Tag)>> {
    macro_rules! select {
        ($among:literal) => {
            concat!(
                "select t.repository_id, t.name from tag t join manifest m on m.id = t.manifest_id and m.deleted_at is null
                 where t.name >= $2 and t.name < $3 and t.repository_id ",
                $among,
                " order by t.name, t.repository_id limit $4"
            )
        };
    }
    // Tags are ASCII, and compared by their bytes.
    let beyond = format!("{text}\u{7f}");
    let rows = reader
        .query_either(
            select!("in (select value from json_each($1))"),
            select!(
                "= any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))"
            ),
        )
        .bind(json_list(repositories.iter().map(|id| id.0)))
        .bind(text)
        .bind(beyond)
        .bind(limit)
        .all()
        .await?;
    rows.iter()
        .map(|row| Ok((row.get("tag", "repository_id")?, row.get("tag", "name")?)))
        .collect()
}
