//! The shown parts of the configs of manifests: read from blobs when first requested, and stored here.

use model::{Digest, ManifestId};
use serde::Serialize;

use crate::error::Result;
use crate::sql::{Reader, Row, Tx, json_list, row};

row! {
    columns config_columns;
    /// A config that has not been read.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Config of blob {
        /// The manifest.
        pub manifest: ManifestId = m.id,
        /// The digest of the config.
        pub digest: Digest = b.digest,
        /// Where its bytes are.
        pub key: String = b.object_key,
        /// Their number.
        pub size: u64 = b.size,
    }
}

/// The configs of manifests, without missing ones.
///
/// # Errors
/// When the statement fails.
pub async fn configs(reader: &mut Reader, manifests: &[ManifestId]) -> Result<Vec<Config>> {
    let rows = reader
        .query_either(
            concat!(
                "select ",
                config_columns!(),
                " from json_each($1) j cross join manifest m on m.id = j.value
                 join blob b on b.digest = m.config_digest and b.lost_at is null"
            ),
            concat!(
                "select ",
                config_columns!(),
                " from manifest m join blob b on b.digest = m.config_digest and b.lost_at is null
                 where m.id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))"
            ),
        )
        .bind(json_list(manifests.iter().map(|id| id.0)))
        .all()
        .await?;
    rows.iter().map(Config::read).collect()
}

/// The shown part of a manifest's config; none if the config is broken.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The manifest's row.
    pub manifest: i64,
    /// JSON.
    pub attrs: Option<String>,
}

/// The stored parts of the configs of some manifests, unless longer than `longest` bytes.
///
/// # Errors
/// When the statement fails.
pub async fn kept(
    reader: &mut Reader,
    manifests: &[ManifestId],
    longest: usize,
) -> Result<Vec<Shown>> {
    let rows = reader
        .query_either(
            "select manifest_id, case when octet_length(attrs) <= $2 then attrs end as attrs
             from manifest_attrs where manifest_id in (select value from json_each($1))",
            "select manifest_id, case when octet_length(attrs) <= $2 then attrs end as attrs from manifest_attrs
             where manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
        )
        .bind(json_list(manifests.iter().map(|id| id.0)))
        .bind(longest as i64)
        .all()
        .await?;
    let read = |row: &Row| {
        Ok(Shown {
            manifest: row.get("manifest_attrs", "manifest_id")?,
            attrs: row.get("manifest_attrs", "attrs")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Stores the shown parts of configs, for manifests that still exist.
///
/// # Errors
/// When the statement fails.
pub async fn keep(tx: &mut Tx, shown: &[Shown]) -> Result<()> {
    tx.query_either(
        "insert into manifest_attrs (manifest_id, attrs)
         select m.id, j.value ->> 'attrs' from json_each($1) j
         cross join manifest m on m.id = j.value ->> 'manifest' where true on conflict (manifest_id) do nothing",
        "insert into manifest_attrs (manifest_id, attrs)
         select m.id, j.attrs from json_to_recordset(cast($1 as json)) as j (manifest bigint, attrs text)
         join manifest m on m.id = j.manifest order by m.id on conflict (manifest_id) do nothing",
    )
    .bind(json_list(shown))
    .execute()
    .await?;
    Ok(())
}
