//! One connection to a directory: opening, binding and searching. Each operation has a time limit, and its answer a
//! limit of bytes (see [`super::wire`]); whatever ends a connection is an error for which [`Error::is_of_connection`]
//! is true.

use std::sync::Arc;
use std::time::Duration;

use ldap3::adapters::{Adapter, PagedResults};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapResult, Scope, SearchOptions, StdStream};
use outgoing::Guard;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::answer;
use super::config::{Config, Url};
use super::entry::Entry;
use super::error::{Error, Result};
use super::wire::{self, Expected, Stream, Wire};

/// Entries to request at a time if there may be many: Active Directory returns at most 1,000.
const PAGE: i32 = 500;
/// Maximum entries of one search.
pub(super) const MOST_ENTRIES: usize = 5_000;
/// How long an unused connection is kept; shortly after, it is closed even if nobody asks for it.
pub(super) const IDLE: Duration = Duration::from_secs(60);
/// The time limit of a paged search, as a multiple of that of a single answer.
const PAGED_TIMES: u32 = 12;

/// A connection.
pub(super) struct Connection {
    /// Which of the directory's addresses it is connected to.
    pub(super) at: usize,
    ldap: Ldap,
    wire: Wire,
    timeout: Duration,
    /// True once an answer was not read to its end: the rest may still arrive.
    is_spent: bool,
    driver: AbortHandle,
}

/// How many entries a search may find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A few, in one answer; more are an error.
    Few(usize),
    /// Up to [`MOST_ENTRIES`], in pages.
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
    /// Connects to the address with a number among those of the settings, with TLS if they say so.
    pub(super) async fn open(
        (at, url): (usize, &Url),
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
        let begun = timeout(config.timeout, begin(stream, url, config, tls)).await;
        let stream = begun.map_err(|_| Error::Timeout)??;
        let between = Wire::between(stream, IDLE + config.timeout);
        let (wire, socket) = between.map_err(|error| unreachable(url, &error))?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(socket));
        // With an address like this the library uses the given socket.
        let opened = LdapConnAsync::with_settings(settings, "ldapi:///").await;
        let (connection, ldap) = opened?;
        // It ends with the handle above, or when that is dropped during an operation.
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to the directory ended");
            }
        });
        Ok(Self {
            at,
            ldap,
            wire,
            timeout: config.timeout,
            is_spent: false,
            driver: driver.abort_handle(),
        })
    }

    /// Binds as an entry. An empty password would succeed as anonymous, so callers refuse it before.
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<LdapResult> {
        let Self { ldap, wire, .. } = self;
        let bound = async { Ok(ldap.simple_bind(dn, password).await?) };
        wire.during(Expected::Bound, self.timeout, bound).await
    }

    /// Searches.
    ///
    /// # Errors
    /// [`Error::Cut`] for an incomplete answer.
    pub(super) async fn search(&mut self, search: &Search) -> Result<Vec<Entry>> {
        let (most, within) = match search.extent {
            Extent::Few(most) => (most, self.timeout),
            Extent::Many => (MOST_ENTRIES, self.timeout * PAGED_TIMES),
        };
        let Self { ldap, wire, .. } = self;
        let searched = wire.during(Expected::Found, within, run(ldap, search, most));
        let (found, result) = searched.await?;
        let Some(result) = result else {
            self.is_spent = true;
            return Err(Error::Cut(match search.extent {
                Extent::Few(_) => "size limit",
                Extent::Many => "5000 entries",
            }));
        };
        answer::searched(result)?;
        Ok(found)
    }

    /// True if it can serve another operation.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_spent && !self.wire.has_ended() && !self.driver.is_finished()
    }
}

/// Sends a search and reads the entries and the result; `None` if there are more than `most`.
async fn run(
    ldap: &mut Ldap,
    search: &Search,
    most: usize,
) -> Result<(Vec<Entry>, Option<LdapResult>)> {
    let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = match search.extent {
        Extent::Few(_) => Vec::new(),
        Extent::Many => vec![Box::new(PagedResults::new(PAGE))],
    };
    let limit = match search.extent {
        Extent::Few(most) => i32::try_from(most).unwrap_or_default(),
        Extent::Many => 0,
    };
    let mut stream = ldap
        .with_search_options(SearchOptions::new().sizelimit(limit))
        .streaming_search_with(
            adapters,
            &search.base,
            search.scope,
            &search.filter,
            search.attributes.clone(),
        )
        .await?;
    let mut found = Vec::new();
    while let Some(entry) = stream.next().await? {
        found.extend(Entry::read(entry));
        if found.len() > most {
            return Ok((Vec::new(), None));
        }
    }
    Ok((found, Some(stream.finish().await)))
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Encrypts a connection as the settings say.
async fn begin(
    mut stream: TcpStream,
    url: &Url,
    config: &Config,
    tls: &Arc<ClientConfig>,
) -> Result<Box<dyn Stream>> {
    if config.is_plain(url) {
        return Ok(Box::new(stream));
    }
    if !url.tls {
        wire::start_tls(&mut stream).await?;
    }
    wire::encrypt(stream, &url.host, tls).await
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
