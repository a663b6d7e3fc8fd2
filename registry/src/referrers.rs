//! What is attached to a manifest.

use db::manifest;
use model::{Descriptor, Digest};
use policy::PullPermit;

use crate::{Registry, Result};

/// A page of referrers.
#[derive(Clone, Debug)]
pub struct Referrers {
    /// Descriptors in the order in which they were pushed.
    pub descriptors: Vec<Descriptor>,
    /// Where the next page begins, if there is one.
    pub next: Option<i64>,
    /// How many there are of all types.
    pub total: i64,
}

/// Descriptors on a page: with annotations of ordinary size it stays below the 4 MiB that clients read.
const PAGE: i64 = 500;

impl Registry {
    /// The referrers of a subject, which need not exist.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn referrers(
        &self,
        permit: &PullPermit,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: i64,
    ) -> Result<Referrers> {
        let mut tx = self.db.reader().await?;
        let name = permit.repository();
        let mut rows =
            manifest::referrers(&mut tx, name, subject, artifact_type, (after, PAGE + 1)).await?;
        let total = manifest::count_referrers(&mut tx, name, subject).await?;
        let more = rows.len() as i64 > PAGE;
        rows.truncate(PAGE as usize);
        let next = rows.last().filter(|_| more).map(|(id, _)| *id);
        let descriptors = rows.into_iter().map(|(_, descriptor)| descriptor).collect();
        Ok(Referrers {
            descriptors,
            next,
            total,
        })
    }
}
