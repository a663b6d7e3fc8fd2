//! Asking whether tags may be pointed at a manifest. Only what answers yes can be handed to [`super::set`], so that nobody
//! sets a tag past the rules and the other conditions.
//!
//! **Beside others.** Who sets a tag that a rule covers holds its name first, whether it is there or not; of two who do,
//! the second waits, and then sees what the first one set. Other tags are not held: the statement that sets one looks at
//! what is there, and the last one wins, or finds the tag taken. Names are held before manifests, in their order.

use model::{Digest, RepositoryId, Tag};

use crate::content::Place;
use crate::error::Result;
use crate::immutability::Immutability;
use crate::sql::Tx;

/// What a tag may point at when it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// Anything: it is moved.
    Anything,
    /// Nothing: it is a new one.
    Nothing,
    /// What an earlier import pointed it at.
    Imported,
}

/// Tags that may be pointed at a manifest in this transaction.
#[derive(Debug)]
pub struct Claim {
    pub(super) tags: Vec<Tag>,
    pub(super) to: Digest,
    pub(super) onto: Onto,
}

impl Claim {
    /// Whether nothing is left to be set.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

/// Why a tag stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A rule keeps it.
    Immutable(Tag),
    /// It points at what it may not be moved from.
    Taken(Tag),
}

/// Asks whether tags may be pointed at a manifest. Immutable ones that point there already are left out.
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

/// The digest that a tag points at, which nobody else who asks for it changes until the transaction ends: also not by
/// making the tag, where there is none.
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
