//! Lists of the distribution specification: the catalog and tags.

use http::Method;
use model::Tag;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::bounds::Bounds;
use crate::client::{Ask, pulling};
use crate::link;
use crate::{Error, Remote, Result};

/// Entries of a page that are asked for.
const PAGE: usize = 1_000;
/// The scope of a token to read the catalog.
const CATALOG: &str = "registry:catalog:*";
/// What is wrong with a list whose later page is not there.
pub(crate) const NO_PAGE: &str = "a later page of its list is not there";

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
        let take = |page: Catalog| page.repositories.unwrap_or_default();
        let listed = self.pages(first, CATALOG.to_owned(), "list its repositories", take);
        let missing = || Error::Missing {
            host: self.host().to_owned(),
            what: "a list of its repositories: name the repository in the policy's name filter"
                .to_owned(),
        };
        match listed.await {
            Err(Error::NoAnswer { .. }) => Err(missing()),
            listed => listed?.ok_or_else(missing),
        }
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

    /// Whether there is a repository at all, as far as the account may see: not, where the registry lists none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn lists_something(&self) -> Result<bool> {
        if self.kind().has_projects() {
            return self.lists_a_repository().await;
        }
        let what = "list its repositories";
        let ask = Ask::new(Method::GET, "/v2/_catalog?n=1", what).scope(CATALOG.to_owned());
        let listed = match self.listed(ask).await {
            Err(Error::NoAnswer { .. } | Error::Denied { .. } | Error::Refused { .. }) => None,
            listed => listed?,
        };
        let Some(answer) = listed else {
            return Ok(false);
        };
        let page: Catalog = serde_json::from_slice(&answer.body)
            .map_err(|error| self.protocol(what, error.to_string()))?;
        Ok(page.repositories.is_some_and(|names| !names.is_empty()))
    }

    /// All entries of a list; `None` where there is no such list.
    async fn pages<T: DeserializeOwned>(
        &self,
        first: String,
        scope: String,
        what: &str,
        take: impl Fn(T) -> Vec<String>,
    ) -> Result<Option<Vec<String>>> {
        let (mut all, mut bounds) = (Vec::new(), Bounds::LIST);
        let mut next = Some(first);
        let mut is_first = true;
        while let Some(at) = next {
            let ask = Ask::new(Method::GET, at.clone(), what).scope(scope.clone());
            let answer = match self.listed(ask).await? {
                Some(answer) => answer,
                None if is_first => return Ok(None),
                None => return Err(self.protocol(what, NO_PAGE.to_owned())),
            };
            let page = serde_json::from_slice(&answer.body)
                .map_err(|error| self.protocol(what, error.to_string()))?;
            let entries = take(page);
            self.bounded(&mut bounds, (entries.len(), answer.body.len()), what)?;
            all.extend(entries);
            next = self.next_page(&at, link::next(&answer.headers), what)?;
            is_first = false;
        }
        Ok(Some(all))
    }

    /// Where the next page is; `None` after the last one.
    ///
    /// # Errors
    /// Where it is not at the registry, or is the same page again.
    pub(crate) fn next_page(
        &self,
        at: &str,
        link: Option<&str>,
        what: &str,
    ) -> Result<Option<String>> {
        let Some(link) = link else {
            return Ok(None);
        };
        let from = match at.starts_with('/') {
            true => self.0.base.url(at),
            false => at.to_owned(),
        };
        let next = self.0.base.resolve(&from, link);
        match next.filter(|next| self.is_own(next) && *next != from) {
            Some(next) => Ok(Some(next)),
            None => {
                let problem = format!("its next page is {link:?}, which is none of its own");
                Err(self.protocol(what, problem))
            }
        }
    }
}
