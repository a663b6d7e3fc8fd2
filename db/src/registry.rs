//! Other registries, to which artifacts are copied and from which they come. Their secrets are sealed by whoever stores
//! them here.

use std::collections::HashMap;

use model::replication::RegistryKind;
use model::{InstallationId, RegistryId, Timestamp};

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Row, Tx, json_list, row};

row! {
    columns registry_columns;
    /// Another registry.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Registry of registry {
        /// Its id.
        pub id: RegistryId = g.id,
        /// Its name.
        pub name: String = g.name,
        /// What it is for.
        pub description: String = g.description,
        /// What kind it is.
        pub kind: RegistryKind = g.kind,
        /// Its URL, without a slash at its end.
        pub url: String = g.url,
        /// Who signs in there; empty for nobody.
        pub access_key: String = g.access_key,
        /// Their secret, sealed.
        pub secret: Option<Vec<u8>> = g.secret,
        /// Whether whoever answers is believed, whatever certificate it has.
        pub insecure: bool = g.insecure,
        /// Authorities of its own, in PEM.
        pub ca: Option<String> = g.ca,
        /// Why it could not be used when it was last looked at; `None` where it could.
        pub problem: Option<String> = g.problem,
        /// When that was.
        pub checked_at: Timestamp = g.checked_at,
        /// Which installation of Gantry it is, where it is one and has told.
        pub origin: Option<InstallationId> = g.origin,
        /// When it was added.
        pub created_at: Timestamp = g.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = g.updated_at,
    }
}

/// Id.
pub const ID: Field = Field::new("id", Kind::Int, "g.id").unique();
/// Name.
pub const NAME: Field = Field::new("name", Kind::Text, "g.name").unique();

/// What lists can be narrowed and sorted by.
pub const FIELDS: [Field; 7] = [
    ID,
    NAME,
    Field::new("type", Kind::Text, "g.kind"),
    Field::new("url", Kind::Text, "g.url"),
    Field::new("description", Kind::Text, "g.description"),
    Field::new("creation_time", Kind::Time, "g.created_at"),
    Field::new("update_time", Kind::Time, "g.updated_at"),
];

const SOURCE: Source = Source {
    name: "registry.list",
    columns: registry_columns!(),
    from: "registry g",
    id: "g.id",
    order: ID,
};

/// A page of registries, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(reader: &mut Reader, selection: &Selection) -> Result<(Vec<Registry>, i64)> {
    let all = Conditions::default();
    list::list(reader, &SOURCE, all, selection, Registry::read).await
}

/// A registry.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, id: RegistryId) -> Result<Option<Registry>> {
    let row = reader
        .query(concat!(
            "select ",
            registry_columns!(),
            " from registry g where g.id = $1"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Registry::read).transpose()
}

/// The registry of a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(reader: &mut Reader, name: &str) -> Result<Option<Registry>> {
    let row = reader
        .query(concat!(
            "select ",
            registry_columns!(),
            " from registry g where g.name = $1"
        ))
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(Registry::read).transpose()
}

/// Some registries.
///
/// # Errors
/// When the statement fails.
pub async fn by_ids(
    reader: &mut Reader,
    ids: &[RegistryId],
) -> Result<HashMap<RegistryId, Registry>> {
    let rows = reader
        .query_either(
            concat!(
                "select ",
                registry_columns!(),
                " from registry g where g.id in (select value from json_each($1))"
            ),
            concat!(
                "select ",
                registry_columns!(),
                " from registry g where g.id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))"
            ),
        )
        .bind(json_list(ids.iter().map(|id| id.0)))
        .all()
        .await?;
    let read = |row: &Row| Registry::read(row).map(|found| (found.id, found));
    rows.iter().map(read).collect()
}

/// How many there are.
///
/// # Errors
/// When the statement fails.
pub async fn count(reader: &mut Reader) -> Result<i64> {
    let row = reader.query("select count(*) as total from registry").one();
    row.await?.get("registry", "total")
}

/// Registries that were last looked at before a time, at most `limit`, the longest ago first.
///
/// # Errors
/// When the statement fails.
pub async fn unchecked(
    reader: &mut Reader,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<RegistryId>> {
    let rows = reader
        .query("select id from registry where checked_at < $1 order by checked_at, id limit $2")
        .bind(before)
        .bind(limit)
        .all()
        .await?;
    rows.iter()
        .map(|row: &Row| row.get("registry", "id"))
        .collect()
}

/// What a registry is, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What kind it is.
    pub kind: RegistryKind,
    /// Its URL, without a slash at its end.
    pub url: String,
    /// Who signs in there; empty for nobody.
    pub access_key: String,
    /// Whether whoever answers is believed.
    pub insecure: bool,
    /// Authorities of its own, in PEM.
    pub ca: Option<String>,
}

/// Adds a registry, without a secret.
///
/// # Errors
/// [`crate::Error::Duplicate`] where another one has the name.
pub async fn create(tx: &mut Tx, content: &Content, now: Timestamp) -> Result<RegistryId> {
    let row = tx
        .query(
            "insert into registry (name, description, kind, url, access_key, insecure, ca, checked_at, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8) returning id",
        )
        .bind(&*content.name)
        .bind(&*content.description)
        .bind(content.kind.name())
        .bind(&*content.url)
        .bind(&*content.access_key)
        .bind(content.insecure)
        .bind(content.ca.as_deref())
        .bind(now)
        .one()
        .await?;
    row.get("registry", "id")
}

/// Changes a registry, which answered just now.
///
/// # Errors
/// [`crate::Error::Duplicate`] where another one has the name.
pub async fn update(tx: &mut Tx, id: RegistryId, content: &Content, now: Timestamp) -> Result<()> {
    tx.query(
        "update registry set name = $2, description = $3, kind = $4, url = $5, access_key = $6, insecure = $7, ca = $8,
             origin = case when url = $5 then origin end, problem = null, checked_at = $9, updated_at = $9
         where id = $1",
    )
    .bind(id)
    .bind(&*content.name)
    .bind(&*content.description)
    .bind(content.kind.name())
    .bind(&*content.url)
    .bind(&*content.access_key)
    .bind(content.insecure)
    .bind(content.ca.as_deref())
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Sets the sealed secret of a registry, or takes it away.
///
/// # Errors
/// When the statement fails.
pub async fn set_secret(tx: &mut Tx, id: RegistryId, sealed: Option<&[u8]>) -> Result<()> {
    tx.query("update registry set secret = $2 where id = $1")
        .bind(id)
        .bind(sealed)
        .execute()
        .await?;
    Ok(())
}

/// Notes whether a registry could be used.
///
/// # Errors
/// When the statement fails.
pub async fn set_checked(
    tx: &mut Tx,
    id: RegistryId,
    problem: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    tx.query("update registry set problem = $2, checked_at = $3 where id = $1")
        .bind(id)
        .bind(problem)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// Notes which installation of Gantry a registry is.
///
/// # Errors
/// When the statement fails.
pub async fn set_origin(tx: &mut Tx, id: RegistryId, origin: InstallationId) -> Result<()> {
    tx.query("update registry set origin = $2 where id = $1")
        .bind(id)
        .bind(origin.to_string())
        .execute()
        .await?;
    Ok(())
}

/// Removes a registry that no policy names. Returns false where there is none.
///
/// # Errors
/// When the statement fails.
pub async fn delete(tx: &mut Tx, id: RegistryId) -> Result<bool> {
    let removed = tx.query("delete from registry where id = $1").bind(id);
    Ok(removed.execute().await? == 1)
}
