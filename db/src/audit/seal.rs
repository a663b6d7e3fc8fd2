//! Links of the hash chain: each seal covers entries of the log, and its hash covers these and the previous seal.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Entry;
use crate::audit;
use crate::error::Result;
use crate::sql::{Reader, Row};

/// Signs the head of the chain: a keyed hash whose key the database does not hold.
pub type Sign<'a> = &'a (dyn Fn(&[u8]) -> [u8; 32] + Send + Sync);

/// A link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// 1, 2, 3, …
    pub sequence: i64,
    /// Id of the first row.
    pub first_id: i64,
    /// Id of the last row.
    pub last_id: i64,
    /// Number of rows.
    pub entries: i64,
    /// Hash of the previous seal.
    pub previous: Vec<u8>,
    /// Hash over all of the above and the rows.
    pub hash: Vec<u8>,
    /// Signature of that hash.
    pub signature: Vec<u8>,
}

/// Maximum rows per seal.
pub const BATCH: i64 = 1_000;

fn read(row: &Row) -> Result<Seal> {
    Ok(Seal {
        sequence: row.get("audit_seal", "sequence")?,
        first_id: row.get("audit_seal", "first_id")?,
        last_id: row.get("audit_seal", "last_id")?,
        entries: row.get("audit_seal", "entries")?,
        previous: row.get("audit_seal", "previous")?,
        hash: row.get("audit_seal", "hash")?,
        signature: row.get("audit_seal", "signature")?,
    })
}

/// The newest seal.
///
/// # Errors
/// When the statement fails.
pub async fn head(reader: &mut Reader) -> Result<Option<Seal>> {
    let row = reader
        .query(
            "select sequence, first_id, last_id, entries, previous, hash, signature
             from audit_seal order by sequence desc limit 1",
        )
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// The hash of a seal: length-prefixed fields, so that no two logs have the same text.
pub(super) fn hash(sequence: i64, previous: &[u8], entries: &[Entry]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(b"gantry-audit-3");
    field(&sequence.to_le_bytes());
    field(previous);
    for entry in entries {
        field(&entry.id.to_le_bytes());
        field(&entry.at.to_le_bytes());
        field(&entry.principal_id.unwrap_or(-1).to_le_bytes());
        field(entry.principal_name.as_bytes());
        field(entry.address.as_bytes());
        field(entry.agent.as_bytes());
        field(entry.operation.as_bytes());
        field(entry.resource_type.as_bytes());
        field(entry.resource.as_bytes());
        field(&entry.project_id.unwrap_or(-1).to_le_bytes());
        for text in [&entry.repository, &entry.tag] {
            field(text.as_deref().unwrap_or_default().as_bytes());
        }
        field(
            &entry
                .digest
                .map(|digest| digest.to_bytes())
                .unwrap_or_default(),
        );
        field(&[u8::from(entry.success)]);
        field(&entry.times.to_le_bytes());
        field(entry.detail.as_bytes());
    }
    hasher.finalize().into()
}

/// The seal that follows one.
pub(super) async fn after(reader: &mut Reader, sequence: i64) -> Result<Option<Seal>> {
    let row = reader
        .query(
            "select sequence, first_id, last_id, entries, previous, hash, signature
             from audit_seal where sequence > $1 order by sequence limit 1",
        )
        .bind(sequence)
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// The rows that a seal covers, which come after the last one of the previous seal: at most one more than it can cover.
pub(super) async fn sealed_by(reader: &mut Reader, seal: &Seal, before: i64) -> Result<Vec<Entry>> {
    audit::between(reader, before, seal.last_id, BATCH + 1).await
}
