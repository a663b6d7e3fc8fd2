//! Which manifests a repository lists, and how many: those that are no accessories and have a tag or are in no index.
//! `manifest.tagged`, `manifest.listed` and `repository.artifacts` say so without a look at other rows.
//!
//! A transaction notes what it changes ([`Tx::relist`]): manifests that tags come to or leave, that an index lists or
//! lists no more, that become accessories. When it is about to commit, [`settle`] locks the row of the repository, looks
//! at these manifests in a new statement, and writes what differs. Whoever had the lock before has committed, and that
//! statement sees it; who comes later looks at what it changes itself, and sees this one. So whatever decides about a
//! manifest, the last transaction that changes it sees all of it, and the counter moves by what is written.
//!
//! The repository is locked last. Who changes something about a manifest holds the manifest's row before that, so that
//! nobody waits for a manifest while holding a repository. There are exceptions: a manifest that two pushes move the same
//! tag away from at once (`tag.previous_id` says which it was), and one that an import moves a tag away from. They can end
//! in a deadlock, never in a wrong counter: pushes are retried, an import says so and is run again.
//!
//! What a deleted index lists is in an index until its references are purged. Deleted manifests are not listed, and
//! their columns mean nothing.

use model::RepositoryId;

use crate::error::Result;
use crate::relist::{Relist, Relists};
use crate::sql::{Tx, json_list};

/// Brings the columns up to date for all that a transaction noted, at its end.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn settle(tx: &mut Tx, relists: Relists) -> Result<()> {
    for (repository, relist) in relists {
        if !relist.is_empty() {
            settle_one(tx, repository, &relist).await?;
        }
    }
    Ok(())
}

macro_rules! is_tagged {
    () => {
        "case when exists (select 1 from tag t where t.manifest_id = m.id) then 1 else 0 end"
    };
}

macro_rules! is_listed {
    () => {
        "case when exists (select 1 from accessory a where a.manifest_id = m.id) then 0
              when exists (select 1 from tag t where t.manifest_id = m.id) then 1
              when exists (select 1 from manifest_reference c where c.child_id = m.id) then 0
              else 1 end"
    };
}

macro_rules! affected {
    () => {
        "select value from json_each($2) union select previous_id from tag
         where repository_id = $1 and previous_id is not null and name in (select value from json_each($3))"
    };
}

async fn settle_one(tx: &mut Tx, repository: RepositoryId, relist: &Relist) -> Result<()> {
    if tx.is_postgres() && !relist.is_locked {
        tx.query("select id from repository where id = $1 for no key update")
            .bind(repository)
            .optional()
            .await?;
    }
    // One round trip, after the lock.
    tx.query_either(
        concat!(
            "update repository set artifacts = artifacts + $4 + coalesce((select sum(", is_listed!(), " - m.listed)
                 from manifest m where m.id in (", affected!(), ") and m.deleted_at is null), 0)
             where id = $1;
             update manifest as m set tagged = ", is_tagged!(), ", listed = ", is_listed!(), "
             where id in (", affected!(), ") and deleted_at is null
             and (tagged <> ", is_tagged!(), " or listed <> ", is_listed!(), ")"
        ),
        concat!(
            "with affected as materialized (
                 select cast(json_array_elements_text(cast($2 as json)) as bigint) as id
                 union select previous_id from tag where repository_id = $1 and previous_id is not null
                 and name = any (array(select json_array_elements_text(cast($3 as json))))),
             found as materialized (
                 select m.id, m.tagged, m.listed, ", is_tagged!(), " as is_tagged, ", is_listed!(), " as is_listed
                 from affected join manifest m on m.id = affected.id where m.deleted_at is null),
             changed as (
                 update manifest m set tagged = found.is_tagged, listed = found.is_listed from found
                 where m.id = found.id and m.deleted_at is null
                 and (found.tagged <> found.is_tagged or found.listed <> found.is_listed)
                 returning found.is_listed - found.listed as difference)
             update repository set artifacts = artifacts + $4 + (select cast(coalesce(sum(difference), 0) as bigint) from changed)
             where id = $1 and ($4 <> 0 or exists (select 1 from changed))"
        ),
    )
    .bind(repository)
    .bind(json_list(&relist.manifests))
    .bind(json_list(&relist.tags))
    .bind(relist.difference)
    .execute()
    .await?;
    Ok(())
}
