//! Accessories of other manifests, which are listed with these. Rows are deleted with their manifests; a subject may be
//! pushed later, deleted, and pushed again.

use model::{AccessoryKind, ManifestId, RepositoryId, Tag, accessory};

use crate::error::Result;
use crate::sql::Tx;

/// Records that a manifest is a signature of the one that its tag names, by cosign's scheme, if it is. One with a
/// subject is an accessory of that subject.
///
/// # Errors
/// When the statement fails.
pub(crate) async fn note_tag(
    tx: &mut Tx,
    repository: RepositoryId,
    tag: &Tag,
    manifest: ManifestId,
) -> Result<()> {
    let Some(subject) = accessory::signed_by(tag) else {
        return Ok(());
    };
    tx.query(
        "insert into accessory (manifest_id, repository_id, subject, type)
         select m.id, m.repository_id, $3, $4 from manifest m where m.id = $1 and m.repository_id = $2
         and exists (select 1 from manifest_reference c where c.manifest_id = m.id and c.media_type = $5)
         on conflict (manifest_id) do nothing",
    )
    .bind(manifest)
    .bind(repository)
    .bind(&subject)
    .bind(AccessoryKind::Cosign.name())
    .bind(accessory::COSIGN_LAYER)
    .execute()
    .await?;
    Ok(())
}
