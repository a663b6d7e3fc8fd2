//! Labels of the installation and of projects, and the artifacts that have them. A deleted one gets a tombstone: it is
//! no longer found, its name is free, and it cannot be put on an artifact; its links are purged in parts.

use std::collections::HashMap;

use model::{Digest, LabelId, ManifestId, NewLabel, ProjectId, Reference, RepositoryId, Timestamp};

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Row, Tx, ids_of_postgres, row};
use crate::tombstone::Part;

row! {
    columns label_columns;
    /// A label.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Label of label {
        /// Its id.
        pub id: LabelId = l.id,
        /// Its project; `None` for one of the whole installation.
        pub project: Option<ProjectId> = l.project_id,
        /// Its name.
        pub name: String = l.name,
        /// What it means.
        pub description: String = l.description,
        /// Its color.
        pub color: String = l.color,
        /// When it was made.
        pub created_at: Timestamp = l.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = l.updated_at,
    }
}

/// Name.
pub const NAME: Field = Field::new("name", Kind::Text, "l.name");

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 6] = [
    NAME,
    Field::new("id", Kind::Int, "l.id").unique(),
    Field::new("description", Kind::Text, "l.description"),
    Field::new("color", Kind::Text, "l.color"),
    Field::new("creation_time", Kind::Time, "l.created_at"),
    Field::new("update_time", Kind::Time, "l.updated_at"),
];

const SOURCE: Source = Source {
    name: "label.list",
    columns: label_columns!(),
    from: "label l",
    id: "l.id",
    order: NAME,
};

/// Labels of a project, or those of the installation, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    project: Option<ProjectId>,
    selection: &Selection,
) -> Result<(Vec<Label>, i64)> {
    let of = Conditions::default().and_value(
        "coalesce(l.project_id, 0) = $",
        project.map_or(0, |id| id.0),
    );
    let of = of.and("l.deleted_at is null");
    list::list(reader, &SOURCE, of, selection, Label::read).await
}

/// One label.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, id: LabelId) -> Result<Option<Label>> {
    let row = reader
        .query(concat!(
            "select ",
            label_columns!(),
            " from label l where l.id = $1 and l.deleted_at is null"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Label::read).transpose()
}

/// A label that is to be changed, which nobody else changes or deletes until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx, id: LabelId) -> Result<Option<Label>> {
    let row = tx
        .query_either(
            concat!(
                "select ",
                label_columns!(),
                " from label l where l.id = $1 and l.deleted_at is null"
            ),
            concat!(
                "select ",
                label_columns!(),
                " from label l where l.id = $1 and l.deleted_at is null for update"
            ),
        )
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Label::read).transpose()
}

/// Makes a label of a project, or of the installation.
///
/// # Errors
/// [`crate::Error::Duplicate`] if it has one of that name.
pub async fn create(
    tx: &mut Tx,
    project: Option<ProjectId>,
    new: &NewLabel,
    now: Timestamp,
) -> Result<LabelId> {
    let row = tx
        .query(
            "insert into label (project_id, name, description, color, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $5) returning id",
        )
        .bind(project)
        .bind(new.name.as_str())
        .bind(&*new.description)
        .bind(&*new.color)
        .bind(now)
        .one()
        .await?;
    row.get("label", "id")
}

/// Changes a label.
///
/// # Errors
/// [`crate::Error::Duplicate`] if another one has the name.
pub async fn update(tx: &mut Tx, id: LabelId, new: &NewLabel, now: Timestamp) -> Result<()> {
    tx.query(
        "update label set name = $2, description = $3, color = $4, updated_at = $5 where id = $1",
    )
    .bind(id)
    .bind(new.name.as_str())
    .bind(&*new.description)
    .bind(&*new.color)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Deletes a label; no artifact has it from then on.
///
/// # Errors
/// When the statement fails.
pub async fn delete(tx: &mut Tx, id: LabelId, now: Timestamp) -> Result<()> {
    tx.query(
        "update label set deleted_at = $2, updated_at = $2 where id = $1 and deleted_at is null",
    )
    .bind(id)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The first deleted label that is still to be purged.
///
/// # Errors
/// When the statement fails.
pub async fn deleted(reader: &mut Reader) -> Result<Option<LabelId>> {
    let row = reader
        .query("select id from label where deleted_at is not null order by id limit 1")
        .optional()
        .await?;
    row.map(|row| row.get("label", "id")).transpose()
}

/// Removes a part of the rows of deleted labels: at most `limit` links, and labels without links.
///
/// # Errors
/// When a statement fails.
pub async fn purge(tx: &mut Tx, limit: i64) -> Result<Part> {
    let Some(label) = deleted(tx).await? else {
        return Ok(Part::NOTHING);
    };
    let links = tx
        .query(
            "delete from label_link where label_id = $1 and manifest_id in (
                 select manifest_id from label_link where label_id = $1 order by manifest_id limit $2)",
        )
        .bind(label)
        .bind(limit)
        .execute()
        .await?;
    if (links as i64) < limit {
        tx.query("delete from label where id = $1 and deleted_at is not null")
            .bind(label)
            .execute()
            .await?;
    }
    Ok(Part::of(links as i64 + 1))
}

row! {
    columns artifact_columns;
    /// An artifact that a label is put on or taken off.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Artifact of manifest {
        /// Its row.
        pub id: ManifestId = m.id,
        /// Its digest.
        pub digest: Digest = m.digest,
    }
}

/// What a reference names in a repository of a project, which is not deleted until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold_artifact(
    tx: &mut Tx,
    (project, repository): (ProjectId, RepositoryId),
    reference: &Reference,
) -> Result<Option<Artifact>> {
    macro_rules! select {
        ($condition:literal, $lock:literal) => {
            concat!(
                "select ",
                artifact_columns!(),
                " from manifest m join repository r on r.id = m.repository_id
                 where r.id = $1 and r.project_id = $2 and m.deleted_at is null and ",
                $condition,
                $lock
            )
        };
    }
    macro_rules! either {
        ($condition:literal) => {
            tx.query_either(
                select!($condition, ""),
                select!($condition, " for key share of m"),
            )
        };
    }
    let query = match reference {
        Reference::Digest(_) => either!("m.digest = $3"),
        Reference::Tag(_) => either!(
            "m.id = (select t.manifest_id from tag t where t.repository_id = $1 and t.name = $3)"
        ),
    };
    let query = query.bind(repository).bind(project);
    let query = match reference {
        Reference::Digest(digest) => query.bind(digest),
        Reference::Tag(tag) => query.bind(tag.as_str()),
    };
    let row = query.optional().await?;
    row.as_ref().map(Artifact::read).transpose()
}

/// How many labels an artifact has, including deleted ones not yet purged; counted up to `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn count_of(reader: &mut Reader, manifest: ManifestId, limit: i64) -> Result<i64> {
    let row = reader
        .query(
            "select count(*) as total from (
                 select 1 from label_link k join label l on l.id = k.label_id and l.deleted_at is null
                 where k.manifest_id = $1 limit $2) found",
        )
        .bind(manifest)
        .bind(limit)
        .one()
        .await?;
    row.get("label_link", "total")
}

/// Puts a label on an artifact. Returns false if it has it.
///
/// # Errors
/// When the statement fails.
pub async fn attach(tx: &mut Tx, manifest: ManifestId, label: LabelId) -> Result<bool> {
    let attached = tx
        .query(
            "insert into label_link (manifest_id, label_id) values ($1, $2)
             on conflict (manifest_id, label_id) do nothing",
        )
        .bind(manifest)
        .bind(label)
        .execute()
        .await?;
    Ok(attached == 1)
}

/// Takes a label off an artifact. Returns false if it does not have it.
///
/// # Errors
/// When the statement fails.
pub async fn detach(tx: &mut Tx, manifest: ManifestId, label: LabelId) -> Result<bool> {
    let detached = tx
        .query("delete from label_link where manifest_id = $1 and label_id = $2")
        .bind(manifest)
        .bind(label)
        .execute()
        .await?;
    Ok(detached == 1)
}

/// The labels of some artifacts, by name; artifacts without are left out. See [`list::hanging`] for how many.
///
/// # Errors
/// When the statement fails.
pub async fn of_manifests(
    reader: &mut Reader,
    manifests: &[ManifestId],
) -> Result<HashMap<ManifestId, Vec<Label>>> {
    const STATEMENTS: (&str, &str) = (
        concat!(
            "select k.manifest_id, ",
            label_columns!(),
            " from (select k.* from json_each($1) j cross join label_link k on k.manifest_id = j.value and k.label_id in (
                 select x.label_id from label_link x join label y on y.id = x.label_id and y.deleted_at is null
                 where x.manifest_id = j.value order by x.label_id limit $2) limit $3) k
             join label l on l.id = k.label_id and l.deleted_at is null order by l.name, l.id"
        ),
        concat!(
            "select k.manifest_id, ",
            label_columns!(),
            " from (select k.* from ",
            ids_of_postgres!(),
            " cross join lateral (
                 select x.* from label_link x join label y on y.id = x.label_id and y.deleted_at is null
                 where x.manifest_id = j.id order by x.label_id limit $2) k limit $3) k
             join label l on l.id = k.label_id and l.deleted_at is null order by l.name, l.id"
        ),
    );
    let read = |row: &Row| Ok((row.get("label_link", "manifest_id")?, Label::read(row)?));
    let mut labels: HashMap<ManifestId, Vec<Label>> = HashMap::new();
    for (manifest, label) in list::hanging(reader, STATEMENTS, manifests, read).await? {
        labels.entry(manifest).or_default().push(label);
    }
    Ok(labels)
}
