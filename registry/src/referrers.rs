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

/// Descriptors on a page: few enough to be answered in a few milliseconds.
const PAGE: i64 = 200;

impl Registry {
    /// At most `limit` referrers of a subject, which need not exist.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn referrers(
        &self,
        permit: &PullPermit,
        subject: &Digest,
        artifact_type: Option<&str>,
        (after, limit): (i64, i64),
    ) -> Result<Referrers> {
        let limit = limit.min(PAGE);
        let mut tx = self.db.reader().await?;
        let name = permit.repository();
        let page = manifest::referrers(&mut tx, name, subject, artifact_type, (after, limit));
        let page = page.await?;
        let next = page.found.last().filter(|_| page.more).map(|(id, _)| *id);
        let found = page.found.into_iter();
        Ok(Referrers {
            descriptors: found.map(|(_, descriptor)| descriptor).collect(),
            next,
            total: page.total,
        })
    }
}
