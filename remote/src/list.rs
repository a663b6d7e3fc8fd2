//! Lists of the distribution specification: the catalog and tags.

use http::Method;
use model::Tag;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::{Ask, pulling};
use crate::link;
use crate::{Error, Remote, Result};

/// Entries of a page that are asked for.
const PAGE: usize = 1_000;
/// Pages of a list that are read.
const MOST_PAGES: usize = 10_000;

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl Remote {
    /// Names of all repositories that the account may see.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn catalog(&self) -> Result<Vec<String>> {
        let first = format!("/v2/_catalog?n={PAGE}");
        let scope = "registry:catalog:*".to_owned();
        let take = |page: Catalog| page.repositories.unwrap_or_default();
        let listed = self.pages(first, scope, "list its repositories", take);
        listed.await?.ok_or_else(|| Error::Missing {
            host: self.host().to_owned(),
            what: "a list of its repositories: name the repository in the policy's name filter"
                .to_owned(),
        })
    }

    /// Tags of a repository; none where it does not exist. What is no tag of the specification is left out.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn tags(&self, repository: &str) -> Result<Vec<Tag>> {
        let first = format!("/v2/{repository}/tags/list?n={PAGE}");
        let what = format!("list the tags of {repository}");
        let take = |page: Tags| page.tags.unwrap_or_default();
        let listed = self
            .pages(first, pulling(repository), &what, take)
            .await?
            .unwrap_or_default();
        Ok(listed.iter().filter_map(|tag| tag.parse().ok()).collect())
    }

    /// All entries of a list; `None` where there is no such list.
    async fn pages<T: DeserializeOwned>(
        &self,
        first: String,
        scope: String,
        what: &str,
        take: impl Fn(T) -> Vec<String>,
    ) -> Result<Option<Vec<String>>> {
        let mut all = Vec::new();
        let mut at = first;
        for _ in 0..MOST_PAGES {
            let ask = Ask::new(Method::GET, at.clone(), what).scope(scope.clone());
            let Some(answer) = self.found(ask).await? else {
                return Ok((!all.is_empty()).then_some(all));
            };
            let page = serde_json::from_slice(&answer.body)
                .map_err(|error| self.protocol(what, error.to_string()))?;
            all.extend(take(page));
            match self.next_page(&at, link::next(&answer.headers)) {
                Some(next) if next != at => at = next,
                _ => break,
            }
        }
        Ok(Some(all))
    }

    /// Where the next page of the registry is; nowhere else.
    pub(crate) fn next_page(&self, at: &str, link: Option<&str>) -> Option<String> {
        let from = match at.starts_with('/') {
            true => self.0.base.url(at),
            false => at.to_owned(),
        };
        let next = self.0.base.resolve(&from, link?)?;
        self.0.base.is_own(&next).then_some(next)
    }
}
