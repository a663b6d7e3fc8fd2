//! One connection to a directory: opening, binding and searching. Each operation has a bound of time; whatever ends a
//! connection is an error of [`Error::is_of_connection`]'s kind.

use std::sync::Arc;
use std::time::Duration;

use ldap3::adapters::PagedResults;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapResult, Scope, SearchOptions, StdStream};
use outgoing::Guard;
use rustls::ClientConfig;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::answer;
use super::config::{Config, Url};
use super::entry::Entry;
use super::error::{Error, Result};

/// Entries that are asked for at a time where there may be many: Active Directory gives at most 1,000.
const PAGE: i32 = 500;
/// Entries of one search that are taken.
pub(super) const MOST_ENTRIES: usize = 5_000;
/// Times of a single answer that a search in pages may take.
const PAGED_TIMES: u32 = 12;

/// A connection.
pub(super) struct Connection {
    ldap: Ldap,
    timeout: Duration,
    driver: AbortHandle,
}

/// How many entries a search may find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A few, which come at once; more are an error.
    Few(i32),
    /// Up to [`MOST_ENTRIES`], which come in pages.
    Many,
}

/// A search.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) base: String,
    pub(super) scope: Scope,
    pub(super) filter: String,
    pub(super) attributes: Vec<String>,
    pub(super) extent: Extent,
}

impl Connection {
    /// Connects, with TLS if the settings say so.
    pub(super) async fn open(
        url: &Url,
        config: &Config,
        guard: &Guard,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self> {
        let to = (url.host.as_str(), url.port);
        let stream = guard.connect(to, config.trust, config.timeout).await;
        let stream = stream.map_err(|error| match error {
            outgoing::Error::Timeout => Error::Timeout,
            other => unreachable(url, &other),
        })?;
        let stream = stream
            .into_std()
            .map_err(|error| unreachable(url, &error))?;
        let settings = LdapConnSettings::new()
            .set_std_stream(StdStream::Tcp(stream))
            .set_starttls(config.starttls && !url.tls)
            .set_config(tls.clone());
        let text = url.to_string();
        let opening = LdapConnAsync::with_settings(settings, &text);
        let opened = timeout(config.timeout, opening).await;
        let opened = opened.map_err(|_| Error::Timeout)?;
        let (connection, ldap) = opened.map_err(|error| match error {
            ldap3::LdapError::LdapResult { .. } => Error::Tls(Arc::new(error)),
            other if !config.is_plain(url) => Error::Tls(Arc::new(other)),
            other => other.into(),
        })?;
        // It ends with the handle above it, or when that is dropped in the middle of an operation.
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to the directory ended");
            }
        });
        Ok(Self {
            ldap,
            timeout: config.timeout,
            driver: driver.abort_handle(),
        })
    }

    /// Binds as somebody. An empty password would be let in as nobody, so whoever calls refuses it before.
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<LdapResult> {
        let bound = self.ldap.with_timeout(self.timeout);
        Ok(bound.simple_bind(dn, password).await?)
    }

    /// Searches.
    ///
    /// # Errors
    /// [`Error::Cut`] for an answer that is not complete.
    pub(super) async fn search(&mut self, search: &Search) -> Result<Vec<Entry>> {
        match search.extent {
            Extent::Few(most) => self.search_few(search, most).await,
            Extent::Many => {
                let paged = timeout(self.timeout * PAGED_TIMES, self.search_many(search));
                paged.await.map_err(|_| Error::Timeout)?
            }
        }
    }

    async fn search_few(&mut self, search: &Search, most: i32) -> Result<Vec<Entry>> {
        let asked = self
            .ldap
            .with_timeout(self.timeout)
            .with_search_options(SearchOptions::new().sizelimit(most))
            .search(
                &search.base,
                search.scope,
                &search.filter,
                search.attributes.clone(),
            );
        let found = asked.await?;
        answer::searched(found.1)?;
        Ok(found.0.into_iter().filter_map(Entry::read).collect())
    }

    async fn search_many(&mut self, search: &Search) -> Result<Vec<Entry>> {
        let mut stream = self
            .ldap
            .with_timeout(self.timeout)
            .streaming_search_with(
                PagedResults::new(PAGE),
                &search.base,
                search.scope,
                &search.filter,
                search.attributes.clone(),
            )
            .await?;
        let mut found = Vec::new();
        while let Some(entry) = stream.next().await? {
            found.extend(Entry::read(entry));
            if found.len() > MOST_ENTRIES {
                return Err(Error::Cut("5000 entries"));
            }
        }
        answer::searched(stream.finish().await)?;
        Ok(found)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn unreachable(url: &Url, error: &dyn std::error::Error) -> Error {
    let mut text = format!("{url}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Error::Unreachable(Arc::new(std::io::Error::other(text)))
}
