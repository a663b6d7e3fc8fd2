//! The hash chain over the audit log. A sealer takes committed rows in batches; each seal holds the hash of its rows
//! and of the previous seal, signed with a key that is not in the database.

use model::Timestamp;
use serde::Serialize;

use super::follower::newest_id;
use super::purge::{self, Purged};
pub use super::seal::{BATCH, Seal, Sign, head};
use super::seal::{after, hash, sealed_by};
use crate::audit::{self, Entry};
use crate::error::Result;
use crate::sql::{Reader, Tx};

/// Whether there are rows that are not sealed yet.
///
/// # Errors
/// When the statement fails.
pub async fn is_waiting(reader: &mut Reader) -> Result<bool> {
    let row = reader
        .query(
            "select count(*) as total from (select 1 from audit where id >
                 coalesce((select max(last_id) from audit_seal), 0) limit 1) as waiting",
        )
        .one()
        .await?;
    Ok(row.get::<i64>("audit", "total")? > 0)
}

/// How far the log may be sealed, once some transactions have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The newest id that was assigned.
    pub last_id: i64,
    /// Open transactions that write into the log, or into what counts in one order with it, and may have an id up to
    /// that one.
    writers: Vec<String>,
}

/// Finds how far the log may be sealed. A transaction has its lock on the table from before it gets an id until its
/// end, so none is missed.
///
/// # Errors
/// When a statement fails.
pub async fn horizon(reader: &mut Reader) -> Result<Horizon> {
    Ok(Horizon {
        last_id: newest_id(reader).await?,
        writers: writers(reader).await?,
    })
}

/// Whether no transaction can add a row up to the horizon any more.
///
/// # Errors
/// When the statement fails.
pub async fn is_settled(reader: &mut Reader, horizon: &Horizon) -> Result<bool> {
    if horizon.writers.is_empty() {
        return Ok(true);
    }
    let open = writers(reader).await?;
    Ok(!horizon.writers.iter().any(|writer| open.contains(writer)))
}

async fn writers(reader: &mut Reader) -> Result<Vec<String>> {
    let rows = reader
        .query_either(
            // The only writer is the caller itself.
            "select '' as writer where 0",
            "select virtualtransaction as writer from pg_locks
             where locktype = 'relation' and mode = 'RowExclusiveLock'
             and relation in (cast('audit' as regclass), cast('blob_event' as regclass))
             and database = (select oid from pg_database where datname = current_database())",
        )
        .all()
        .await?;
    rows.iter().map(|row| row.get("audit", "writer")).collect()
}

/// Seals unsealed rows up to an id, at most [`BATCH`] of them; returns how many. No transaction may be able to add one
/// any more ([`is_settled`]).
///
/// # Errors
/// When a statement fails.
pub async fn seal(tx: &mut Tx, sign: Sign<'_>, up_to: i64, now: Timestamp) -> Result<i64> {
    tx.query_either(
        "select 1 as locked",
        "select 1 as locked from pg_advisory_xact_lock(7101)",
    )
    .one()
    .await?;
    let head = head(tx).await?;
    let after = head.as_ref().map_or(0, |seal| seal.last_id);
    let rows = tx
        .query("select id from audit where id > $1 and id <= $2 order by id limit $3")
        .bind(after)
        .bind(up_to)
        .bind(BATCH)
        .all()
        .await?;
    let Some(last) = rows.last() else {
        return Ok(0);
    };
    let last_id = last.get("audit", "id")?;
    let entries = audit::walk(tx, after, rows.len() as i64).await?;
    let entries: Vec<Entry> = entries
        .into_iter()
        .filter(|entry| entry.id <= last_id)
        .collect();
    let Some(first) = entries.first() else {
        return Ok(0);
    };
    let sequence = head.as_ref().map_or(0, |seal| seal.sequence) + 1;
    let previous = head.map_or_else(Vec::new, |seal| seal.hash);
    let hash = hash(sequence, &previous, &entries);
    tx.query(
        "insert into audit_seal (sequence, first_id, last_id, entries, previous, hash, signature, sealed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(sequence)
    .bind(first.id)
    .bind(last_id)
    .bind(entries.len() as i64)
    .bind(previous.as_slice())
    .bind(hash.as_slice())
    .bind(sign(&hash).as_slice())
    .bind(now)
    .execute()
    .await?;
    Ok(entries.len() as i64)
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Valid seals.
    pub seals: i64,
    /// Rows that they cover and that exist.
    pub sealed: i64,
    /// Rows that they cover and that were purged, by a signed record.
    pub purged: i64,
    /// Rows that are not sealed yet.
    pub unsealed: i64,
    /// What is wrong; empty if everything is valid.
    pub findings: Vec<String>,
}

/// Checks every seal and row, and that the chain still contains `exported`, if given. Seals up to an exported one need
/// no signature: it was kept elsewhere, and its hash covers all of them. Calls `seen` after each seal.
///
/// # Errors
/// When a statement fails; what is wrong is in the report.
pub async fn verify(
    reader: &mut Reader,
    sign: Sign<'_>,
    exported: Option<&Seal>,
    seen: &(dyn Fn() + Send + Sync),
) -> Result<Report> {
    let mut found = Verification::default();
    let mut vouched = None;
    while let Some(seal) = after(reader, found.sequence).await? {
        let entries = sealed_by(reader, &seal, found.last_id).await?;
        let purged = purge::of_seal(reader, seal.sequence).await?;
        if exported == Some(&seal) {
            vouched = Some(seal.sequence);
        }
        found.look(seal, &entries, purged.as_ref(), sign);
        seen();
    }
    if exported.is_some() && vouched.is_none() {
        found.report.findings.push(
            "the exported head is not in the chain: its end was cut off or rewritten".to_owned(),
        );
    }
    found.name_unsigned(vouched.unwrap_or_default());
    let row = reader
        .query("select count(*) as total from audit where id > $1")
        .bind(found.last_id)
        .one()
        .await?;
    found.report.unsealed = row.get("audit", "total")?;
    Ok(found.report)
}

/// The state of a verification, and what it found.
#[derive(Default)]
struct Verification {
    report: Report,
    /// Hash, last row and number of the seal that was checked last.
    previous: Vec<u8>,
    last_id: i64,
    sequence: i64,
    /// Seals whose signature is not by this key.
    unsigned: Vec<i64>,
    /// Seals whose record of purged rows is not signed by this key. No exported head vouches for these records.
    unstated: Vec<i64>,
}

impl Verification {
    fn look(&mut self, seal: Seal, entries: &[Entry], purged: Option<&Purged>, sign: Sign<'_>) {
        let name = format!(
            "seal {} (rows {} to {})",
            seal.sequence, seal.first_id, seal.last_id
        );
        let findings = &mut self.report.findings;
        if seal.sequence != self.sequence + 1 || seal.previous != self.previous {
            findings.push(format!(
                "{name}: the seals before it were removed or changed"
            ));
        }
        let statement = purged.filter(|purged| purged.is_about(&seal));
        if purged.is_some() && statement.is_none() {
            findings.push(format!("{name}: what was purged is not told of it"));
        }
        let (left, expected) = match statement {
            Some(purged) => (purged.remaining, &purged.hash),
            None => (seal.entries, &seal.hash),
        };
        if entries.len() as i64 != left {
            let found = entries.len();
            findings.push(format!(
                "{name}: {left} rows were sealed, {found} are there"
            ));
        } else if hash(seal.sequence, &seal.previous, entries).as_slice() != expected {
            findings.push(format!("{name}: a row was changed"));
        }
        if sign(&seal.hash).as_slice() != seal.signature {
            self.unsigned.push(seal.sequence);
        }
        if statement.is_some_and(|purged| !purged.is_signed(&seal, sign)) {
            self.unstated.push(seal.sequence);
        }
        self.report.seals += 1;
        self.report.sealed += entries.len() as i64;
        self.report.purged += statement.map_or(0, |purged| purged.removed);
        (self.previous, self.last_id, self.sequence) = (seal.hash, seal.last_id, seal.sequence);
    }

    /// Reports the seals whose signature is wrong, except those that an exported head vouches for, and those whose
    /// purge record has no valid signature.
    fn name_unsigned(&mut self, vouched: i64) {
        self.unsigned.retain(|sequence| *sequence > vouched);
        for (first, last) in runs(&self.unstated) {
            self.report.findings.push(format!(
                "seals {first} to {last}: what was purged is told by somebody without this master key: entries were removed \
                 by hand, or that key was lost and given up (`gantry db forget-secrets`)"
            ));
        }
        for (first, last) in runs(&self.unsigned) {
            self.report.findings.push(format!(
                "seals {first} to {last}: the signatures are not by this master key: they were changed, or that key \
                 was lost and given up (`gantry db forget-secrets`). If it was, give a head that was exported since \
                 or before (`gantry audit export --head`, `gantry audit verify --head FILE`): it vouches for the seals \
                 up to its own"
            ));
        }
    }
}

/// The first and the last of each run of numbers.
fn runs(numbers: &[i64]) -> impl Iterator<Item = (i64, i64)> {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    runs.map(|run| (run[0], run[run.len() - 1]))
}
