//! Which manifests a repository lists, and how many: those that are not accessories and have a tag or are in no index.
//! `manifest.tagged`, `manifest.listed` and `repository.artifacts` have this without reading other rows.
//!
//! A transaction records what it changes ([`Tx::relist`]): manifests that gain or lose a tag, that an index lists or no
//! longer lists, or that become accessories. Before its commit, [`settle`] locks the row of the repository, reads these
//! manifests in a new statement, and writes the differences. The previous holder of the lock has committed, so that
//! statement sees its changes; a later one sees those of this transaction. So the last transaction that changes
//! something about a manifest sees all of it, and the counter changes by what is written.
//!
//! The repository is locked last. A transaction that changes something about a manifest locks the manifest's row before
//! that, so none waits for a manifest while it holds a repository. There are exceptions: a manifest from which two
//! pushes move the same tag at once (`tag.previous_id` names it), and one from which an import moves a tag. They can
//! end in a deadlock, never in a wrong counter: pushes are retried, an import reports it and is run again.
//!
//! The children of a deleted index count as listed by it until its references are purged. Deleted manifests are not
//! listed, and their columns have no meaning.

use model::RepositoryId;

use crate::error::Result;
use crate::relist::{Relist, Relists};
use crate::sql::{Tx, json_list};

/// Updates the columns for all recorded changes, at the end of a transaction.
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
