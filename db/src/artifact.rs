//! Manifests as clients see them: artifacts with their counters and the shown parts of their configs. `listed` decides
//! which of them are in lists.

pub mod attrs;
pub mod closure;
mod filter;

use std::collections::HashSet;

use model::{Digest, ManifestId, ProjectId, Reference, RepositoryId, RepositoryName, Timestamp};

use self::filter::Scope;
use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, LONGEST_TEXT, Lean, Selection, Source};
use crate::sql::{Reader, Row, ids_of_postgres, json_list, row};

row! {
    columns artifact_columns;
    /// A manifest as it is listed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Artifact of manifest {
        /// Its row.
        pub id: ManifestId = m.id,
        /// Its repository.
        pub repository: RepositoryId = m.repository_id,
        /// Its digest.
        pub digest: Digest = m.digest,
        /// Its media type.
        pub media_type: String = m.media_type,
        /// Its artifact type, or else the media type of its config.
        pub artifact_type: Option<String> = m.artifact_type,
        /// Its type, such as `IMAGE`.
        pub kind: String = m.kind,
        /// The media type of its config; its own if it has none.
        pub config_type: String = m.config_type,
        /// Its bytes and those of all that it references.
        pub size: i64 = m.total_size,
        /// When it was first pushed.
        pub pushed_at: Timestamp = m.pushed_at,
        /// When it was last pulled.
        pub pulled_at: Option<Timestamp> = s.pulled_at,
    }
    computed {
        /// Its repository's name.
        pub name: RepositoryName = "r.name",
        /// Its repository's project.
        pub project: ProjectId = "r.project_id",
        /// Whether its config still has to be read.
        pub is_unread: bool = "cast(case when m.config_digest is not null and a.manifest_id is null then 1 else 0 end as bigint)",
        /// Its annotations as JSON, unless they are large.
        pub annotations: Option<String> = "case when octet_length(m.annotations) <= :longest then m.annotations end",
        /// The shown part of its config, if it was read and is not large.
        pub attrs: Option<String> = "case when octet_length(a.attrs) <= :longest then a.attrs end",
    }
}

macro_rules! joined {
    () => {
        "manifest m left join repository r on r.id = m.repository_id
         left join manifest_stat s on s.manifest_id = m.id left join manifest_attrs a on a.manifest_id = m.id"
    };
}

/// When it was first pushed.
pub const PUSHED: Field = Field::new("push_time", Kind::Time, "m.pushed_at");
const PULLED: Field = Field::new("pull_time", Kind::Time, "s.pulled_at").optional();
/// The tags: `*` for any, `nil` for none.
pub const TAGS: Field = Field::new("tags", Kind::Text, "").unsorted();
/// The id of a label on them; several can be combined.
pub const LABELS: Field = Field::new("labels", Kind::Int, "").unsorted();
/// `*` to include those that are only parts of indexes.
pub const BASE: Field = Field::new("base", Kind::Text, "").unsorted();
/// The digest.
pub const DIGEST: Field = Field::new("digest", Kind::Text, "m.digest");

/// The media type of the config.
pub const MEDIA_TYPE: Field = Field::new("media_type", Kind::Text, "m.config_type");
/// The artifact type.
pub const ARTIFACT_TYPE: Field =
    Field::new("artifact_type", Kind::Text, "m.artifact_type").optional();

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 12] = [
    TAGS,
    LABELS,
    BASE,
    DIGEST,
    PUSHED,
    PULLED,
    Field::new("type", Kind::Text, "m.kind"),
    MEDIA_TYPE,
    Field::new("manifest_media_type", Kind::Text, "m.media_type"),
    ARTIFACT_TYPE,
    Field::new("size", Kind::Int, "m.total_size"),
    Field::new("id", Kind::Int, "m.id"),
];

const SOURCE: Source = Source {
    name: "artifact.list",
    columns: artifact_columns!(),
    from: joined!(),
    id: "m.id",
    order: PUSHED,
};

/// Only the time of the last pull is in another table; other columns of it are not filtered by.
const LEAN: Lean = Lean {
    from: "manifest m",
    without: &["s."],
};

/// The artifacts of a repository, and how many there are in all. Without filters, the number comes from the
/// repository's counter.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    repository: RepositoryId,
    selection: &Selection,
) -> Result<(Vec<Artifact>, i64)> {
    let scope = Scope::Repository(repository);
    let conditions = filter::asked(reader.is_postgres(), scope, selection);
    let total = if selection.tests.is_empty() {
        counted(reader, repository).await?
    } else {
        count(reader, selection, &conditions).await?
    };
    let (source, wanted) = ((&SOURCE, LEAN.of(&SOURCE, selection)), (selection, total));
    let rows = list::page(reader, source, &conditions, wanted, Artifact::read).await?;
    Ok((rows, total))
}

/// Which of a project's artifacts to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latest {
    /// All.
    All,
    /// The last pushed one of each repository, for each media type of the config.
    ByMediaType,
    /// The last pushed one of each repository, for each artifact type.
    ByArtifactType,
}

/// The artifacts of all repositories that a project shows, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list_in_project(
    reader: &mut Reader,
    project: ProjectId,
    latest: Latest,
    selection: &Selection,
) -> Result<(Vec<Artifact>, i64)> {
    let scope = Scope::Project(project);
    let conditions = filter::asked(reader.is_postgres(), scope, selection);
    let conditions = match latest {
        Latest::All => conditions,
        Latest::ByMediaType => filter::latest(conditions, scope, "config_type"),
        Latest::ByArtifactType => filter::latest(conditions, scope, "artifact_type"),
    };
    let total = count(reader, selection, &conditions).await?;
    let (source, wanted) = ((&SOURCE, LEAN.of(&SOURCE, selection)), (selection, total));
    let rows = list::page(reader, source, &conditions, wanted, Artifact::read).await?;
    Ok((rows, total))
}

async fn count(reader: &mut Reader, selection: &Selection, conditions: &Conditions) -> Result<i64> {
    let from = match selection.tests.iter().any(|(field, _)| *field == PULLED) {
        true => SOURCE.from,
        false => "manifest m",
    };
    list::count(reader, (SOURCE.name, from), conditions).await
}

async fn counted(reader: &mut Reader, repository: RepositoryId) -> Result<i64> {
    let row = reader
        .query("select artifacts from repository where id = $1")
        .bind(repository)
        .optional()
        .await?;
    row.map_or(Ok(0), |row| row.get("repository", "artifacts"))
}

/// A statement for the living artifacts that meet a condition, showing texts of at most `:longest` bytes.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "select ",
            artifact_columns!(),
            " from ",
            joined!(),
            " where ",
            $condition,
            " and m.deleted_at is null"
        )
    };
}

/// The manifest that a reference names in a repository of a project, listed or not.
///
/// # Errors
/// When the statement fails.
pub async fn find(
    reader: &mut Reader,
    project: ProjectId,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<Artifact>> {
    let statement = match reference {
        Reference::Digest(_) => select!(
            "m.repository_id = (select id from repository where name = $1 and project_id = $2 and deleted_at is null)
             and m.digest = $3"
        ),
        Reference::Tag(_) => select!(
            "m.id = (select t.manifest_id from tag t join repository n on n.id = t.repository_id
                 where n.name = $1 and n.project_id = $2 and n.deleted_at is null and t.name = $3)"
        ),
    };
    let query = reader
        .query_built("artifact.find", list::showing(statement, LONGEST_TEXT))
        .bind(repository.as_str())
        .bind(project);
    let query = match reference {
        Reference::Digest(digest) => query.bind(digest),
        Reference::Tag(tag) => query.bind(tag.as_str()),
    };
    let row = query.optional().await?;
    row.as_ref().map(Artifact::read).transpose()
}

/// Living manifests by their rows.
///
/// # Errors
/// When the statement fails.
pub async fn by_ids(reader: &mut Reader, ids: &[ManifestId]) -> Result<Vec<Artifact>> {
    let statement = match reader.is_postgres() {
        false => select!("m.id in (select value from json_each($1))"),
        true => select!(
            "m.id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))"
        ),
    };
    let rows = reader
        .query_built("artifact.by_ids", statement.replace(list::LONGEST, "$2"))
        .bind(json_list(ids.iter().map(|id| id.0)))
        .bind(list::longest_text(ids.len() as i64) as i64)
        .all()
        .await?;
    rows.iter().map(Artifact::read).collect()
}

row! {
    columns part_columns;
    /// A manifest that an index lists.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Part of manifest_reference {
        /// The index.
        pub index: ManifestId = c.manifest_id,
        /// The row of the manifest.
        pub child: Option<ManifestId> = c.child_id,
        /// Its digest.
        pub digest: Digest = c.digest,
        /// `os/architecture[/variant]`.
        pub platform: Option<String> = c.platform,
        /// Its annotations in the index, as JSON.
        pub annotations: Option<String> = c.annotations,
    }
}

/// The manifests that some indexes list, in their order; see [`list::hanging`] for how many.
///
/// # Errors
/// When the statement fails.
pub async fn parts(reader: &mut Reader, indexes: &[ManifestId]) -> Result<Vec<Part>> {
    const STATEMENTS: (&str, &str) = (
        concat!(
            "select ",
            part_columns!(),
            " from (select c.* from json_each($1) j cross join manifest_reference c
                 where c.manifest_id = j.value and c.position < $2 and c.kind = 'manifest' limit $3) c
             order by c.manifest_id, c.position"
        ),
        concat!(
            "select ",
            part_columns!(),
            " from (select c.* from ",
            ids_of_postgres!(),
            " join manifest_reference c on c.manifest_id = j.id
                 where c.position < $2 and c.kind = 'manifest' limit $3) c
             order by c.manifest_id, c.position"
        ),
    );
    list::hanging(reader, STATEMENTS, indexes, Part::read).await
}

row! {
    columns accessory_columns;
    /// A manifest that belongs to another.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Accessory of accessory {
        /// Its row.
        pub id: ManifestId = a.manifest_id,
        /// The other's digest.
        pub subject: Digest = a.subject,
        /// Harbor's name of its kind.
        pub kind: String = a.type,
        /// Its digest.
        pub digest: Digest = m.digest,
        /// Its bytes and those of all that it references.
        pub size: i64 = m.total_size,
        /// When it was first pushed.
        pub pushed_at: Timestamp = m.pushed_at,
    }
}

const ACCESSORIES: Source = Source {
    name: "artifact.accessories",
    columns: accessory_columns!(),
    from: "accessory a join manifest m on m.id = a.manifest_id",
    id: "a.manifest_id",
    order: ACCESSORY_PUSHED,
};

/// When an accessory was pushed.
pub const ACCESSORY_PUSHED: Field = Field::new("creation_time", Kind::Time, "m.pushed_at");

/// Fields by which lists of accessories can be filtered and sorted.
pub const ACCESSORY_FIELDS: [Field; 4] = [
    ACCESSORY_PUSHED,
    Field::new("type", Kind::Text, "a.type"),
    Field::new("size", Kind::Int, "m.total_size"),
    Field::new("id", Kind::Int, "a.manifest_id"),
];

/// The accessories of a manifest, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn accessories(
    reader: &mut Reader,
    (repository, subject): (RepositoryId, &Digest),
    selection: &Selection,
) -> Result<(Vec<Accessory>, i64)> {
    let conditions = Conditions::default()
        .and_value("a.repository_id = $", repository)
        .and_value("a.subject = $", subject)
        .and("m.deleted_at is null");
    list::list(reader, &ACCESSORIES, conditions, selection, Accessory::read).await
}

/// The accessories of several living manifests with the rows of these, oldest first; see [`list::hanging`] for how many.
///
/// # Errors
/// When the statement fails.
pub async fn accessories_of(
    reader: &mut Reader,
    subjects: &[ManifestId],
) -> Result<Vec<(ManifestId, Accessory)>> {
    macro_rules! of_subject {
        () => {
            "select x.* from accessory x join manifest y on y.id = x.manifest_id
             where x.repository_id = s.repository_id and x.subject = s.digest and y.deleted_at is null
             order by x.manifest_id limit $2"
        };
    }
    const STATEMENTS: (&str, &str) = (
        concat!(
            "select a.subject_id, ",
            accessory_columns!(),
            " from (select s.id as subject_id, a.* from json_each($1) j cross join manifest s on s.id = j.value
                 cross join accessory a on a.manifest_id in (select manifest_id from (",
            of_subject!(),
            ")) limit $3) a join manifest m on m.id = a.manifest_id order by a.manifest_id"
        ),
        concat!(
            "select a.subject_id, ",
            accessory_columns!(),
            " from (select s.id as subject_id, a.* from ",
            ids_of_postgres!(),
            " join manifest s on s.id = j.id cross join lateral (",
            of_subject!(),
            ") a limit $3) a join manifest m on m.id = a.manifest_id order by a.manifest_id"
        ),
    );
    let read = |row: &Row| Ok((row.get("manifest", "subject_id")?, Accessory::read(row)?));
    list::hanging(reader, STATEMENTS, subjects, read).await
}

/// Which kinds of accessories some living manifests have.
///
/// # Errors
/// When the statement fails.
pub async fn accessory_kinds(
    reader: &mut Reader,
    subjects: &[ManifestId],
) -> Result<HashSet<(ManifestId, String)>> {
    let rows = reader
        .query_either(
            "select distinct s.id, a.type from json_each($1) j cross join manifest s on s.id = j.value
             cross join accessory a on a.repository_id = s.repository_id and a.subject = s.digest
             join manifest m on m.id = a.manifest_id where m.deleted_at is null",
            concat!(
                "select distinct s.id, a.type from ",
                ids_of_postgres!(),
                " join manifest s on s.id = j.id
                 join accessory a on a.repository_id = s.repository_id and a.subject = s.digest
                 join manifest m on m.id = a.manifest_id where m.deleted_at is null"
            ),
        )
        .bind(json_list(subjects.iter().map(|id| id.0)))
        .all()
        .await?;
    rows.iter()
        .map(|row| Ok((row.get("manifest", "id")?, row.get("accessory", "type")?)))
        .collect()
}

row! {
    columns layer_columns;
    /// A blob that a manifest names, as it is in the store.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Layer of manifest_reference {
        /// The media type that the manifest states.
        pub media_type: String = c.media_type,
        /// Its digest.
        pub digest: Digest = b.digest,
        /// Where its bytes are.
        pub key: String = b.object_key,
        /// Their number.
        pub size: u64 = b.size,
    }
}

/// The blobs that a manifest names, in its order, without missing ones.
///
/// # Errors
/// When the statement fails.
pub async fn layers(reader: &mut Reader, manifest: ManifestId) -> Result<Vec<Layer>> {
    let rows = reader
        .query(concat!(
            "select ",
            layer_columns!(),
            " from manifest_reference c join blob b on b.id = c.blob_id and b.lost_at is null
             where c.manifest_id = $1 order by c.position"
        ))
        .bind(manifest)
        .all()
        .await?;
    rows.iter().map(Layer::read).collect()
}
