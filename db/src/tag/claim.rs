//! Checks whether tags may be pointed at a manifest. [`super::set`] takes only the result of this check, so that no tag
//! is set against the rules and the other conditions.
//!
//! **Concurrency.** A transaction that sets a tag covered by a rule locks its name first, whether the tag exists or
//! not; of two, the second waits, and then sees what the first one set. Other tags are not locked: the statement that
//! sets one reads the existing row, and the last one wins, or finds the tag taken. Names are locked before manifests,
//! in order.

use model::replication::TagState;
use model::{Digest, RepositoryId, Tag};

use crate::content::Place;
use crate::error::Result;
use crate::immutability::Immutability;
use crate::sql::Tx;

/// What a tag may point at before it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// Anything: it is moved.
    Anything,
    /// Nothing: it is a new one.
    Nothing,
    /// The target that an earlier import gave it.
    Imported,
    /// What it was before this: it is moved, and gets this version.
    Earlier(TagState),
}

/// Tags that may be pointed at a manifest in this transaction.
#[derive(Debug)]
pub struct Claim {
    pub(super) tags: Vec<Tag>,
    pub(super) to: Digest,
    pub(super) onto: Onto,
}

impl Claim {
    /// Whether nothing is left to set.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

/// Why a tag may not be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A rule makes it immutable.
    Immutable(Tag),
    /// It points at something from which it may not be moved.
    Taken(Tag),
}

/// Checks whether tags may be pointed at a manifest. Immutable ones that point there already are left out.
///
/// # Errors
/// When a statement fails.
pub async fn claim(
    tx: &mut Tx,
    (at, rules): (Place<'_>, &Immutability),
    tags: &[Tag],
    to: &Digest,
    onto: Onto,
) -> Result<Result<Claim, Kept>> {
    let is_covered = |tag: &Tag| rules.covers(at.name, tag);
    let (mut covered, mut tags): (Vec<Tag>, Vec<Tag>) = tags.iter().cloned().partition(is_covered);
    covered.sort_unstable();
    for tag in covered {
        match hold_name(tx, at.repository, &tag).await? {
            None => tags.push(tag),
            Some(_) if onto == Onto::Nothing => return Ok(Err(Kept::Taken(tag))),
            Some(digest) if digest == *to => {}
            Some(_) => return Ok(Err(Kept::Immutable(tag))),
        }
    }
    let to = *to;
    Ok(Ok(Claim { tags, to, onto }))
}

/// The digest that a tag points at, with its name locked: no other claim can change or create the tag until the
/// transaction ends.
async fn hold_name(tx: &mut Tx, repository: RepositoryId, tag: &Tag) -> Result<Option<Digest>> {
    tx.query_either(
        "select $1 as locked where $2 is not null",
        "select 1 as locked from pg_advisory_xact_lock(hashtextextended($2, cast(7108 as bigint) * 100000000 + $1))",
    )
    .bind(repository)
    .bind(tag.as_str())
    .optional()
    .await?;
    super::target(tx, repository, tag).await
}
