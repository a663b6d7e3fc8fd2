//! Listing tags.

use db::{repository, tag};
use policy::PullPermit;

use crate::catalog::Names;
use crate::{Error, Registry, Result};

impl Registry {
    /// Tags of a repository after `last`.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] where there is no such repository.
    pub async fn tags(&self, permit: &PullPermit, last: Option<&str>, limit: i64) -> Result<Names> {
        let mut tx = self.db.reader().await?;
        let id = repository::published(&mut tx, permit.repository()).await?;
        let id = id.ok_or_else(|| Error::NameUnknown(permit.repository().clone()))?;
        Ok(Names::cut(
            tag::list(&mut tx, id, last, limit + 1).await?,
            limit,
        ))
    }
}
