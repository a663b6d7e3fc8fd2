//! What a reference names.

use db::manifest::HeldManifest;
use db::{Reader, Tx, manifest, repository, tag};
use model::{Digest, ProjectId, Reference, RepositoryId, RepositoryName};

use crate::{Error, Result};

/// The repository of a project, and the digest that a reference names in it, whether it is there or not.
pub(crate) async fn find(
    reader: &mut Reader,
    (project, name): (ProjectId, &RepositoryName),
    reference: &Reference,
) -> Result<(RepositoryId, Digest)> {
    let unknown = || Error::manifest_unknown(name, reference);
    let id = repository::published_in(reader, project, name).await?;
    let id = id.ok_or_else(unknown)?;
    let digest = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(tag) => tag::target(reader, id, tag).await?,
    };
    Ok((id, digest.ok_or_else(unknown)?))
}

/// The repository of a project, and the manifest that a reference names in it, held until the transaction ends.
pub(crate) async fn hold(
    tx: &mut Tx,
    named: (ProjectId, &RepositoryName),
    reference: &Reference,
) -> Result<(RepositoryId, HeldManifest)> {
    let (id, digest) = find(tx, named, reference).await?;
    let held = manifest::hold(tx, id, &digest).await?;
    let held = held.ok_or_else(|| Error::manifest_unknown(named.1, reference))?;
    Ok((id, held))
}
