//! Versions of tags from other installations: a later one is taken, whatever it replaces, and an earlier one is not. What a
//! tag pointed at stays and can be pulled by its digest.

use std::slice;
use std::time::Duration;

use db::blob::Place;
use db::immutability::Immutability;
use db::tag::{self, Deletion, Kept, Onto, version};
use db::{Tx, manifest, repository};
use model::replication::TagState;
use model::{
    Digest, InstallationId, Operation, Reference, RepositoryName, Subject, Tag, Timestamp,
};
use policy::{ProjectPermit, on, to};

use super::subject;
use crate::immutability::refuse_tag;
use crate::{Error, Registry, Result};

/// How far the clock of another site may be ahead: what it sets would win until that time has come.
pub const AHEAD: Duration = Duration::from_secs(60);

/// How many seconds a version is ahead of the clock here, if that is more than it may be.
pub fn ahead(at: Timestamp, now: Timestamp) -> Option<u64> {
    (at > now.plus(AHEAD)).then(|| at.since(now).as_secs())
}

/// What came of a version from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is what the tag is now, in place of this.
    Taken(Option<TagState>),
    /// The tag was that already.
    Same,
    /// The tag is still this, which is later.
    Kept(TagState),
}

impl Registry {
    /// Points a tag at a manifest of the repository as it was pointed elsewhere, unless what the tag is now is later. Where
    /// it points there already, it gets the later version, and nothing is recorded.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; where the tag is immutable.
    pub async fn accept_tag(
        &self,
        permit: &ProjectPermit<on::Repository, to::Push>,
        name: &RepositoryName,
        (tag, digest): (&Tag, Digest),
        (at, origin): (Timestamp, InstallationId),
    ) -> Result<Accepted> {
        let state = TagState {
            digest: Some(digest),
            at,
            origin,
        };
        let project = permit.project().id;
        let what = Subject::Artifact {
            project,
            repository: name.clone(),
            tag: None,
            digest,
        };
        let event = self.event(permit.caller(), Operation::Create, what);
        let (name, tag) = (name.clone(), tag.clone());
        let accepted = self.charging(project, move |taking, tx| {
            let (name, tag, event) = (name.clone(), tag.clone(), event.clone());
            Box::pin(async move {
                let unknown = || Error::manifest_unknown(&name, &Reference::Digest(digest));
                let id = repository::published_in(tx, project, &name).await?;
                let id = id.ok_or_else(unknown)?;
                let before = version::of(tx, &name, &tag).await?;
                match before {
                    Some(before) if before.digest == state.digest => {
                        if state.is_later_than(&before) {
                            tag::adopt(tx, id, &tag, &state).await?;
                        }
                        return Ok(Accepted::Same);
                    }
                    Some(before) if !state.is_later_than(&before) => {
                        return Ok(Accepted::Kept(before));
                    }
                    Some(_) | None => {}
                }
                let at = Place {
                    project,
                    repository: id,
                    name: &name,
                    taking,
                };
                let rules = Immutability::of(tx, project).await?;
                let (one, onto) = (slice::from_ref(&tag), Onto::Earlier(state));
                let claim = tag::claim(tx, (at, &rules), one, &digest, onto).await?;
                let claim = claim.map_err(|kept| Error::kept(at, kept))?;
                let held = manifest::hold(tx, id, &digest).await?;
                let held = held.ok_or_else(unknown)?;
                match tag::set(tx, at, claim, held.id, &event).await? {
                    Ok(()) => {}
                    // A later push came between.
                    Err(Kept::Taken(_)) => return still(tx, &name, &tag).await,
                    Err(kept @ Kept::Immutable(_)) => return Err(Error::kept(at, kept)),
                }
                repository::publish(tx, id, event.at).await?;
                Ok(Accepted::Taken(before))
            })
        });
        accepted.await
    }

    /// Deletes a tag as it was deleted elsewhere, unless what it is now is later. It is remembered also where there is no
    /// such tag: an earlier version that comes afterwards is not taken.
    ///
    /// # Errors
    /// Where the tag is immutable.
    pub async fn accept_deletion(
        &self,
        permit: &ProjectPermit<on::Tag, to::Delete>,
        name: &RepositoryName,
        tag: &Tag,
        (at, origin): (Timestamp, InstallationId),
    ) -> Result<Accepted> {
        let (state, deletion) = (
            TagState {
                digest: None,
                at,
                origin,
            },
            Deletion::Elsewhere(at, origin),
        );
        let project = permit.project().id;
        let what = subject(project, name, tag);
        let event = self.event(permit.caller(), Operation::Delete, what);
        let (name, tag) = (name.clone(), tag.clone());
        let accepted = self.charging(project, move |_, tx| {
            let (name, tag, event) = (name.clone(), tag.clone(), event.clone());
            Box::pin(async move {
                let before = version::of(tx, &name, &tag).await?;
                if let Some(before) = before
                    && before.digest.is_some()
                {
                    if !state.is_later_than(&before) {
                        return Ok(Accepted::Kept(before));
                    }
                    let id = repository::published_in(tx, project, &name).await?;
                    let id = id.ok_or_else(|| Error::NameUnknown(name.clone()))?;
                    refuse_tag(&Immutability::of(tx, project).await?, &name, &tag)?;
                    tag::delete(tx, (id, &name), &tag, deletion).await?;
                    tx.record(&event).await?;
                    return Ok(Accepted::Taken(Some(before)));
                }
                if before.is_none_or(|before| state.is_later_than(&before)) {
                    version::note_deletion(tx, &name, &tag, (None, deletion)).await?;
                }
                Ok(Accepted::Same)
            })
        });
        accepted.await
    }
}

async fn still(tx: &mut Tx, name: &RepositoryName, tag: &Tag) -> Result<Accepted> {
    let now = version::of(tx, name, tag).await?;
    Ok(now.map_or(Accepted::Same, Accepted::Kept))
}
