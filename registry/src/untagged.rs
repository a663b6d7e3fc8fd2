//! Deletes manifests that have been untagged for longer than their project keeps them.

use db::audit::{self, NewEntry};
use db::blob::Place;
use db::manifest::{self, Going, Way};
use db::untagged::{self, Untagged};
use model::{ProjectId, RepositoryId, RepositoryName, Timestamp};

use crate::{Error, Registry, Result};

impl Registry {
    /// Deletes a manifest and its untagged referrers if it has been untagged since `due` and still is. Returns true if
    /// it did.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_untagged(
        &self,
        project: ProjectId,
        (repository, name): (RepositoryId, &RepositoryName),
        manifest: &Untagged,
        due: Timestamp,
    ) -> Result<bool> {
        let name = name.clone();
        let going = Going {
            id: manifest.id,
            digest: manifest.digest,
        };
        let now = self.clock.now();
        let lease = now.plus(self.limits.grace);
        let rows = self.rows_at_once();
        let entry = NewEntry {
            at: now,
            account: None,
            account_name: "garbage collection".to_owned(),
            address: String::new(),
            operation: "delete",
            resource_type: "artifact",
            resource: format!("{name}@{}", manifest.digest),
            project: Some(project),
            success: true,
            times: 1,
            detail: "untagged".to_owned(),
        };
        let mut way = Way::default();
        loop {
            let before = self.db.writes_asked_for();
            let (begun, name, entry) = (way, name.clone(), entry.clone());
            let deleted = self.charging(project, move |taking, tx| {
                let (name, entry, mut way) = (name.clone(), entry.clone(), begun.clone());
                Box::pin(async move {
                    if !untagged::hold(tx, going.id, due).await? {
                        return Ok(Part::Kept);
                    }
                    let at = Place {
                        project,
                        repository,
                        name: &name,
                        taking,
                    };
                    if !manifest::delete(tx, at, going, &mut way, lease, rows).await? {
                        return Ok(Part::Rest(way));
                    }
                    audit::append(tx, &entry).await?;
                    Ok::<_, Error>(Part::Last)
                })
            });
            way = match deleted.await? {
                Part::Kept => return Ok(false),
                Part::Rest(way) => way,
                Part::Last => return Ok(true),
            };
            self.give_way(before).await;
        }
    }
}

/// The outcome of a transaction.
enum Part {
    /// Nothing deleted: the manifest has a tag again.
    Kept,
    /// Part of what depends on the manifest was deleted; continue from here.
    Rest(Way),
    /// The manifest itself was deleted.
    Last,
}
