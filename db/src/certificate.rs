//! Certificates that every replica presents. Keys stay sealed here.

use model::{CertificateId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Tx, row, stored_names};

/// The name of the certificate that ACME obtains.
pub const ACME: &str = "acme";

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An operator imported it.
    Import,
    /// ACME obtained it.
    Acme,
}

stored_names! {
    Source {
        Import = "import",
        Acme = "acme",
    }
}

row! {
    columns certificate_columns;
    /// A certificate with its key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Certificate of certificate {
        /// Its id: another one has replaced it if its name has another id.
        pub id: CertificateId = c.id,
        /// What operators call it.
        pub name: String = c.name,
        /// Where it comes from.
        pub source: Source = c.source,
        /// The chain in PEM, its own certificate first.
        pub chain: String = c.chain,
        /// The sealed key.
        pub key: Vec<u8> = c.key,
        /// When it was stored.
        pub created_at: Timestamp = c.created_at,
    }
}

/// The ids of all certificates, in order: they change whenever a certificate does.
///
/// # Errors
/// When the statement fails.
pub async fn ids(reader: &mut Reader) -> Result<Vec<CertificateId>> {
    let rows = reader.query("select id from certificate order by id");
    let rows = rows.all().await?;
    rows.iter()
        .map(|row| row.get("certificate", "id"))
        .collect()
}

/// All certificates, the oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn all(reader: &mut Reader) -> Result<Vec<Certificate>> {
    let rows = reader.query(concat!(
        "select ",
        certificate_columns!(),
        " from certificate c order by c.id"
    ));
    rows.all().await?.iter().map(Certificate::read).collect()
}

/// The certificate of a name.
///
/// # Errors
/// When the statement fails.
pub async fn named(reader: &mut Reader, name: &str) -> Result<Option<Certificate>> {
    let row = reader
        .query(concat!(
            "select ",
            certificate_columns!(),
            " from certificate c where c.name = $1"
        ))
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(Certificate::read).transpose()
}

/// Stores a certificate, in place of that of the same name.
///
/// # Errors
/// When a statement fails.
pub async fn put(
    tx: &mut Tx,
    name: &str,
    (source, chain, key): (Source, &str, &[u8]),
    now: Timestamp,
) -> Result<()> {
    delete(tx, name).await?;
    tx.query(
        "insert into certificate (name, source, chain, key, created_at) values ($1, $2, $3, $4, $5)",
    )
    .bind(name)
    .bind(source)
    .bind(chain)
    .bind(key)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Deletes a certificate; returns whether there was one.
///
/// # Errors
/// When the statement fails.
pub async fn delete(tx: &mut Tx, name: &str) -> Result<bool> {
    let deleted = tx.query("delete from certificate where name = $1");
    Ok(deleted.bind(name).execute().await? > 0)
}

/// Deletes all certificates, whose keys can no longer be opened.
///
/// # Errors
/// When the statement fails.
pub async fn forget(tx: &mut Tx) -> Result<()> {
    tx.query("delete from certificate").execute().await?;
    Ok(())
}
