//! The list of repositories.

use db::repository::{self, Visible};
use policy::CatalogPermit;

use crate::{Registry, Result};

/// A page of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The names, bytewise sorted.
    pub names: Vec<String>,
    /// Whether there are more.
    pub more: bool,
}

impl Names {
    /// Truncates a list that was queried with one more than `limit`.
    pub(crate) fn cut(mut names: Vec<String>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or_default();
        let more = names.len() > limit;
        names.truncate(limit);
        Self { names, more }
    }
}

impl Registry {
    /// Repositories with at least one tag that the caller may see, after `last`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn catalog(
        &self,
        permit: &CatalogPermit,
        last: Option<&str>,
        limit: i64,
    ) -> Result<Names> {
        let visible = match permit {
            CatalogPermit::Everything => Visible::Everything,
            CatalogPermit::Visible(projects) => Visible::Projects(projects),
        };
        let mut tx = self.db.reader().await?;
        Ok(Names::cut(
            repository::catalog(&mut tx, visible, last, limit + 1).await?,
            limit,
        ))
    }
}
