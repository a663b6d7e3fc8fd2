//! What a reference names.

use db::{Tx, manifest, repository, tag};
use model::{ProjectId, Reference, RepositoryId, RepositoryName};

use crate::{Error, Result};

/// The repository of a project, and the manifest that a reference names in it, held until the transaction ends.
pub(crate) async fn hold(
    tx: &mut Tx,
    (project, name): (ProjectId, &RepositoryName),
    reference: &Reference,
) -> Result<(RepositoryId, manifest::HeldManifest)> {
    let unknown = || Error::manifest_unknown(name, reference);
    let id = repository::published_in(tx, project, name).await?;
    let id = id.ok_or_else(unknown)?;
    let digest = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(tag) => tag::target(tx, id, tag).await?,
    };
    let held = match digest {
        Some(digest) => manifest::hold(tx, id, &digest).await?,
        None => None,
    };
    Ok((id, held.ok_or_else(unknown)?))
}
