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

/// Descriptors on a page: few enough to be answered in a few milliseconds, and with annotations of any size
/// seen in practice far below the 4 MiB that clients read.
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
        let mut rows =
            manifest::referrers(&mut tx, name, subject, artifact_type, (after, limit + 1)).await?;
        let total = manifest::count_referrers(&mut tx, name, subject).await?;
        let more = rows.len() as i64 > limit;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|(id, _)| *id);
        let descriptors = rows.into_iter().map(|(_, descriptor)| descriptor).collect();
        Ok(Referrers {
            descriptors,
            next,
            total,
        })
    }
}
