//! Referrers: manifests attached to a manifest.

use db::manifest::{self, Referrers};
use model::Digest;
use policy::PullPermit;

use crate::memory::holder;
use crate::{Registry, Result};

/// Descriptors per page: few enough to answer in a few milliseconds.
const PAGE: i64 = 200;

impl Registry {
    /// Returns at most `limit` referrers of a subject, which need not exist.
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
        let _turn = self.memory.turn(holder(permit.caller())).await?;
        let mut tx = self.db.for_lists().reader().await?;
        let repository = (permit.project(), permit.repository());
        let page = manifest::referrers(&mut tx, repository, subject, artifact_type, (after, limit));
        Ok(page.await?)
    }
}
