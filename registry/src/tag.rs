//! Listing tags.

use db::{repository, tag};
use policy::PullPermit;

use crate::catalog::Names;
use crate::{Error, Registry, Result};

impl Registry {
    /// Tags of a repository after `last`.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] if there is no such repository.
    pub async fn tags(&self, permit: &PullPermit, last: Option<&str>, limit: i64) -> Result<Names> {
        let mut tx = self.db.reader().await?;
        let name = permit.repository();
        let tags = tag::list(&mut tx, name, last, limit + 1).await?;
        // A repository with tags is visible.
        if tags.is_empty() && repository::published(&mut tx, name).await?.is_none() {
            return Err(Error::NameUnknown(name.clone()));
        }
        Ok(Names::cut(tags, limit))
    }
}
