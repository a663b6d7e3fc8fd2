//! Removing old entries so that the chain can still be verified. [`super::erasure`] rewrites entries in the same way.
//!
//! A seal's hash covers all of its entries, including those that a purge removes, and the next seal builds on it. So
//! seals stay unchanged, and a record beside a seal says what was removed: how many entries, how many are left, the
//! hash over the remaining ones, the rule, and the time, signed with the key of the chain. A purge first verifies the
//! seal, by its own hash or by the previous record, so that it never covers up a change by hand. Entries are removed
//! and the record is written in one transaction. Entries that are not sealed yet are not purged, nor those that a
//! follower has still to pass on (see [`super::follower`]).
//!
//! Two purges never work on one seal at once: each takes an advisory lock for its transaction. The sealer only adds
//! seals, and reads only the newest.

use model::{EventType, Timestamp};
use sha2::{Digest as _, Sha256};

use super::seal::{self, Seal, Sign};
use super::{Entry, follower};
use crate::error::{Error, Result};
use crate::list::Conditions;
use crate::sql::{Reader, Tx, json_list, row};

row! {
    columns purged_columns;
    /// The record of entries purged from a seal.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Purged of audit_purge {
        /// The seal.
        pub sequence: i64 = a.sequence,
        /// Entries that were removed.
        pub removed: i64 = a.removed,
        /// Entries that are left.
        pub remaining: i64 = a.remaining,
        /// The hash over those.
        pub hash: Vec<u8> = a.hash,
        /// The rule of the last purge.
        pub rule: String = a.rule,
        /// When that was.
        pub purged_at: Timestamp = a.purged_at,
        /// The signature over all of that and the seal's own hash.
        pub signature: Vec<u8> = a.signature,
    }
}

impl Purged {
    /// Whether it accounts for all entries of a seal.
    pub(super) fn is_about(&self, seal: &Seal) -> bool {
        self.sequence == seal.sequence
            && self.removed >= 0
            && self.remaining >= 0
            && self.removed.checked_add(self.remaining) == Some(seal.entries)
    }

    pub(super) fn is_signed(&self, seal: &Seal, sign: Sign<'_>) -> bool {
        sign(&self.digest(seal)).as_slice() == self.signature
    }

    /// What is signed: length-prefixed fields.
    fn digest(&self, seal: &Seal) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(b"gantry-audit-purge-1");
        field(&seal.hash);
        for number in [
            self.sequence,
            self.removed,
            self.remaining,
            self.purged_at.0,
        ] {
            field(&number.to_le_bytes());
        }
        field(&self.hash);
        field(self.rule.as_bytes());
        hasher.finalize().into()
    }
}

/// The record of what was purged from a seal, if any.
pub(super) async fn of_seal(reader: &mut Reader, sequence: i64) -> Result<Option<Purged>> {
    let row = reader
        .query(concat!(
            "select ",
            purged_columns!(),
            " from audit_purge a where a.sequence = $1"
        ))
        .bind(sequence)
        .optional()
        .await?;
    row.as_ref().map(Purged::read).transpose()
}

/// Which entries are purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Those that were written before this time.
    pub before: Timestamp,
    /// Of these types.
    pub types: Types,
}

/// Types of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Types {
    /// These.
    pub named: Vec<EventType>,
    /// Also all except these.
    pub all_but: Option<Vec<EventType>>,
}

impl Types {
    fn include(&self, entry: &Entry) -> bool {
        let is = |kind: &EventType| {
            kind.operation() == entry.operation && kind.resource_type() == entry.resource_type
        };
        self.named.iter().any(is) || (self.all_but.as_ref()).is_some_and(|but| !but.iter().any(is))
    }

    fn condition(&self, conditions: &mut Conditions) -> String {
        let mut any_of = |types: &[EventType]| {
            let is = types.iter().map(|kind| {
                let values = [kind.operation().into(), kind.resource_type().into()];
                conditions.text("(e.operation = $ and e.resource_type = $)", values)
            });
            let texts: Vec<String> = is.chain(["1 = 0".to_owned()]).collect();
            texts.join(" or ")
        };
        let named = any_of(&self.named);
        match &self.all_but {
            Some(but) => format!("({named} or not ({}))", any_of(but)),
            None => format!("({named})"),
        }
    }
}

impl Rule {
    fn fits(&self, entry: &Entry) -> bool {
        entry.at < self.before.0 && self.types.include(entry)
    }
}

/// The entries that a rule removes: the first and the last id, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first.
    pub first_id: i64,
    /// The last.
    pub last_id: i64,
    /// How many.
    pub entries: i64,
}

/// Which sealed entries a rule removes; `None` for none.
///
/// # Errors
/// When a statement fails.
pub async fn extent(reader: &mut Reader, rule: &Rule) -> Result<Option<Extent>> {
    let sealed = seal::head(reader).await?.map_or(0, |seal| seal.last_id);
    let last = sealed.min(passed_on(reader).await?);
    let mut conditions = Conditions::default()
        .and_value("e.at < $", rule.before)
        .and_value("e.id <= $", last);
    let types = rule.types.condition(&mut conditions);
    let sql = format!(
        "select coalesce(min(e.id), 0) as first, coalesce(max(e.id), 0) as last, count(*) as total from audit e {}",
        conditions.clause_with(&types)
    );
    let row = conditions
        .bind(reader.query_built("audit.purge.extent", sql))
        .one()
        .await?;
    let extent = Extent {
        first_id: row.get("audit", "first")?,
        last_id: row.get("audit", "last")?,
        entries: row.get("audit", "total")?,
    };
    Ok((extent.entries > 0).then_some(extent))
}

/// The seal that covers the first entry at or after an id; `None` if there is none.
///
/// # Errors
/// When the statement fails.
pub async fn seal_from(reader: &mut Reader, id: i64) -> Result<Option<i64>> {
    let row = reader
        .query("select min(sequence) as sequence from audit_seal where last_id >= $1")
        .bind(id)
        .one()
        .await?;
    row.get("audit_seal", "sequence")
}

/// What a purge did to a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Entries that were removed.
    pub removed: i64,
    /// The last entry that the seal covers.
    pub last_id: i64,
}

/// Removes the entries of a seal that match a rule, and records that. `None` if there is no such seal.
///
/// # Errors
/// [`Error::ChainBroken`] if the seal is not valid; when a statement fails.
pub async fn purge(
    tx: &mut Tx,
    sequence: i64,
    rule: &Rule,
    sign: Sign<'_>,
    now: Timestamp,
) -> Result<Option<Step>> {
    let Some((seal, entries, earlier)) = hold_proven(tx, sequence, sign).await? else {
        return Ok(None);
    };
    let passed_on = passed_on(tx).await?;
    let (going, left): (Vec<Entry>, Vec<Entry>) = entries
        .into_iter()
        .partition(|entry| entry.id <= passed_on && rule.fits(entry));
    let step = Step {
        removed: going.len() as i64,
        last_id: seal.last_id,
    };
    if step.removed == 0 {
        return Ok(Some(step));
    }
    remove(tx, &going).await?;
    let removed = step.removed + earlier.map_or(0, |earlier| earlier.removed);
    let left = (removed, left.as_slice());
    state(tx, &seal, left, (&rule.to_string(), sign, now)).await?;
    Ok(Some(step))
}

/// A seal with its entries and the record of those that were purged, proven, and held against other purges. `None` if
/// there is no such seal.
pub(super) async fn hold_proven(
    tx: &mut Tx,
    sequence: i64,
    sign: Sign<'_>,
) -> Result<Option<(Seal, Vec<Entry>, Option<Purged>)>> {
    tx.query_either(
        "select 1 as locked",
        "select 1 as locked from pg_advisory_xact_lock(7107)",
    )
    .one()
    .await?;
    let Some(seal) = seal::after(tx, sequence - 1).await? else {
        return Ok(None);
    };
    let entries = seal::sealed_by(tx, &seal, seal.first_id - 1).await?;
    let earlier = of_seal(tx, seal.sequence).await?;
    prove(&seal, &entries, earlier.as_ref(), sign)?;
    Ok(Some((seal, entries, earlier)))
}

/// The newest entry that no follower has still to pass on.
async fn passed_on(reader: &mut Reader) -> Result<i64> {
    let passed = follower::passed_by_all(reader).await?;
    Ok(passed.unwrap_or(i64::MAX))
}

/// Fails unless a seal, or its purge record, is valid: a purge must not cover up a change.
fn prove(seal: &Seal, entries: &[Entry], earlier: Option<&Purged>, sign: Sign<'_>) -> Result<()> {
    let hash = seal::hash(seal.sequence, &seal.previous, entries);
    let holds = match earlier {
        None => hash.as_slice() == seal.hash && entries.len() as i64 == seal.entries,
        Some(purged) => {
            hash.as_slice() == purged.hash && purged.is_about(seal) && purged.is_signed(seal, sign)
        }
    };
    match holds {
        true => Ok(()),
        false => Err(Error::ChainBroken(seal.sequence)),
    }
}

async fn remove(tx: &mut Tx, entries: &[Entry]) -> Result<()> {
    let times = || entries.iter().map(|entry| entry.at);
    tx.query_either(
        "delete from audit where id in (select value from json_each($1)) and at >= $2 and at <= $3",
        "delete from audit where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
         and at >= $2 and at <= $3",
    )
    .bind(json_list(entries.iter().map(|entry| entry.id)))
    .bind(times().min())
    .bind(times().max())
    .execute()
    .await?;
    Ok(())
}

/// Records, signed, what is left of a seal's entries, and by which rule.
pub(super) async fn state(
    tx: &mut Tx,
    seal: &Seal,
    (removed, left): (i64, &[Entry]),
    (rule, sign, now): (&str, Sign<'_>, Timestamp),
) -> Result<()> {
    let mut purged = Purged {
        sequence: seal.sequence,
        removed,
        remaining: left.len() as i64,
        hash: seal::hash(seal.sequence, &seal.previous, left).to_vec(),
        rule: rule.to_owned(),
        purged_at: now,
        signature: Vec::new(),
    };
    purged.signature = sign(&purged.digest(seal)).to_vec();
    tx.query(
        "insert into audit_purge (sequence, removed, remaining, hash, rule, purged_at, signature)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (sequence) do update set removed = excluded.removed, remaining = excluded.remaining,
             hash = excluded.hash, rule = excluded.rule, purged_at = excluded.purged_at, signature = excluded.signature",
    )
    .bind(purged.sequence)
    .bind(purged.removed)
    .bind(purged.remaining)
    .bind(purged.hash.as_slice())
    .bind(&*purged.rule)
    .bind(purged.purged_at)
    .bind(purged.signature.as_slice())
    .execute()
    .await?;
    Ok(())
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |types: &[EventType]| {
            let names: Vec<String> = types.iter().map(ToString::to_string).collect();
            names.join(",")
        };
        write!(f, "before {}: {}", self.before, list(&self.types.named))?;
        match &self.types.all_but {
            Some(but) => write!(f, ", all but {}", list(but)),
            None => Ok(()),
        }
    }
}
