//! The list of repositories.

use db::binding;
use db::repository::{self, Visible};
use policy::{Caller, CatalogPermit};

use crate::memory::holder;
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
        caller: &Caller,
        last: Option<&str>,
        limit: i64,
    ) -> Result<Names> {
        let _turn = self.memory.turn(holder(caller)).await?;
        let mut reader = self.db.for_lists().reader().await?;
        let projects = match permit {
            CatalogPermit::Everything => None,
            CatalogPermit::Visible(principal) => {
                Some(binding::projects_of(&mut reader, *principal).await?)
            }
            CatalogPermit::Projects(projects) => Some(projects.clone()),
        };
        let visible = projects
            .as_deref()
            .map_or(Visible::Everything, Visible::Projects);
        Ok(Names::cut(
            repository::catalog(&mut reader, visible, last, limit + 1).await?,
            limit,
        ))
    }
}
