//! A directory with its settings: connections to whichever of its addresses answers, and operations over them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ldap3::Scope;
use model::{Dn, Timestamp};
use outgoing::{Guard, Identity, Verification, client_config};
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::task::spawn_blocking;
use tracing::instrument;

use super::answer;
use super::config::{Config, Lookup};
use super::connection::{Connection, Extent, Search};
use super::entry::Entry;
use super::error::{Error, Result};
use super::filter;
use super::person::{self, FoundGroup, FoundPerson};
use super::pool::{Place, Pool};
use crate::random_hex;

/// How long a directory that did not answer is left alone.
const DOWN: Duration = Duration::from_secs(2);
/// Maximum groups of one person.
const MOST_GROUPS: usize = 2_000;

/// A directory.
pub struct Server {
    pub(super) config: Config,
    guard: Arc<Guard>,
    tls: Arc<ClientConfig>,
    searchers: Pool,
    binders: Pool,
    /// A name that no entry has.
    nobody: String,
    /// The address to try first: the one that answered last, unless it failed since.
    preferred: AtomicUsize,
    down: Mutex<Option<(Instant, Error)>>,
}

impl Server {
    /// A directory without connections yet.
    ///
    /// # Errors
    /// [`Error::Settings`] for certificates or a key that cannot be used.
    pub fn new(config: Config, guard: Arc<Guard>) -> Result<Self> {
        let verification = match (&config.authorities, config.verify) {
            (_, false) => Verification::Off,
            (Some(pem), true) => Verification::Authorities(pem),
            (None, true) => Verification::System,
        };
        let identity = config.identity.as_ref().map(|(chain, key)| Identity {
            chain,
            key: key.expose(),
        });
        let tls = client_config(verification, identity);
        let tls = tls.map_err(|error| Error::Settings(error.to_string()))?;
        Ok(Self {
            config,
            guard,
            tls,
            searchers: Pool::new(),
            binders: Pool::new(),
            nobody: random_hex::<16>(),
            preferred: AtomicUsize::new(0),
            down: Mutex::default(),
        })
    }

    /// As [`Self::new`], which reads the system's certificates from many files, off the async threads.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub async fn build(config: Config, guard: Arc<Guard>) -> Result<Self> {
        let built = spawn_blocking(move || Self::new(config, guard)).await;
        built.unwrap_or_else(|_| Err(Error::Settings("certificates cannot be read".to_owned())))
    }

    /// Takes as long as checking the password of an existing person, for names that do not exist.
    ///
    /// # Errors
    /// When the directory does not answer.
    pub async fn check_nobody(&self, password: &str) -> Result<()> {
        let dn = format!("cn={},{}", self.nobody, self.config.base_dn);
        self.check(&dn, password).await.map(|_| ())
    }

    /// Whether somebody's password is right.
    ///
    /// # Errors
    /// When the directory does not answer.
    #[instrument(name = "auth.ldap.bind", level = "debug", skip_all)]
    pub async fn check(&self, dn: &str, password: &str) -> Result<bool> {
        // A bind without a password succeeds as anonymous (RFC 4513, section 5.1.2).
        if dn.is_empty() || password.is_empty() {
            return Ok(false);
        }
        let place = self.binders.place(self.config.timeout).await?;
        loop {
            let kept = place.idle();
            let is_fresh = kept.is_none();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.open().await?,
            };
            match connection.bind(dn, password).await {
                Err(Error::Unreachable(_)) if !is_fresh => place.clear(),
                Err(error) => return Err(self.failed(connection.at, &place, error)),
                Ok(result) => {
                    let right = answer::is_right(result)
                        .map_err(|error| self.failed(connection.at, &place, error))?;
                    self.answered(connection.at);
                    place.give_back(connection);
                    return Ok(right);
                }
            }
        }
    }

    /// The person with a name: the value of `ldap_uid`, `DOMAIN\name`, or a principal name of Active Directory.
    ///
    /// # Errors
    /// [`Error::Ambiguous`]; when the directory does not answer.
    pub async fn find(&self, name: &str, now: Timestamp) -> Result<Option<FoundPerson>> {
        let bare = name.rsplit_once('\\').map_or(name, |(_domain, name)| name);
        if bare.is_empty() || bare.contains('\0') {
            return Ok(None);
        }
        let mut clauses = vec![filter::is(&self.config.uid, bare)];
        if bare.contains('@') {
            clauses.push(filter::is("userPrincipalName", bare));
        }
        let clause = filter::any(&clauses);
        let found = match self.search_people(&clause, Extent::Few(2)).await {
            Err(Error::Cut("size limit")) => return Err(Error::Ambiguous),
            found => found?,
        };
        match &found[..] {
            [] => Ok(None),
            [entry] => Ok(person::read(entry, &self.config, Some(bare), now)),
            _ => Err(Error::Ambiguous),
        }
    }

    /// The existing people with these subjects.
    ///
    /// # Errors
    /// When the directory does not answer.
    pub(crate) async fn find_all(
        &self,
        subjects: &[&str],
        now: Timestamp,
    ) -> Result<Vec<FoundPerson>> {
        let clauses = subjects.iter().filter_map(|it| person::filter_of(it));
        let clauses: Vec<String> = clauses.collect();
        let mut entries = match clauses.is_empty() {
            true => Vec::new(),
            false => {
                self.search_people(&filter::any(&clauses), Extent::Many)
                    .await?
            }
        };
        for dn in subjects.iter().filter_map(|it| it.strip_prefix("dn:")) {
            entries.extend(self.search_person_at(dn).await?);
        }
        Ok(self.read_people(&entries, None, now))
    }

    /// People by their exact name, or all.
    ///
    /// # Errors
    /// [`Error::Cut`] if there are too many; when the directory does not answer.
    pub async fn search_users(
        &self,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<FoundPerson>> {
        let clause = match name {
            Some(name) => filter::is(&self.config.uid, name),
            None => filter::has(&self.config.uid),
        };
        let entries = self.search_people(&clause, Extent::Many).await?;
        Ok(self.read_people(&entries, name, now))
    }

    fn read_people(
        &self,
        entries: &[Entry],
        asked: Option<&str>,
        now: Timestamp,
    ) -> Vec<FoundPerson> {
        let people = entries.iter();
        people
            .filter_map(|entry| person::read(entry, &self.config, asked, now))
            .collect()
    }

    /// How to find somebody's groups; `None` if groups are not used.
    pub(crate) fn lookup(&self) -> Option<Lookup> {
        let groups = &self.config.groups;
        (!groups.filter.is_empty()).then_some(groups.lookup)
    }

    /// The groups that somebody is in. Without `ldap_group_search_filter` there are none.
    ///
    /// # Errors
    /// [`Error::Cut`]; when the directory does not answer.
    pub async fn groups_of(&self, person: &FoundPerson) -> Result<Vec<FoundGroup>> {
        let Some(lookup) = self.lookup() else {
            return Ok(Vec::new());
        };
        match lookup {
            Lookup::Attribute if person.is_cut => Err(Error::Cut(
                "values of one attribute; set ldap_group_lookup to search or nested",
            )),
            Lookup::Attribute => {
                let is_ad = person.is_active_directory();
                self.groups_at(person.member_of.iter(), is_ad).await
            }
            Lookup::Search => self.groups_with(&member_clause(person)).await,
            Lookup::Nested => {
                let nested = filter::has_member_in_chain(&person.dn);
                match self.groups_with(&nested).await {
                    // The directory does not support the rule: direct groups are all there is.
                    Err(error @ Error::RuleUnknown(_)) => {
                        warn_of_direct_groups(&error);
                        self.direct_groups_of(person).await
                    }
                    found => found,
                }
            }
        }
    }

    /// The groups of somebody whose groups were never read: if indirect groups cannot be read now, only the direct
    /// ones.
    ///
    /// # Errors
    /// As of [`Self::groups_of`].
    pub(crate) async fn first_groups_of(&self, person: &FoundPerson) -> Result<Vec<FoundGroup>> {
        match self.groups_of(person).await {
            Err(error @ (Error::Timeout | Error::Cut(_)))
                if self.lookup() == Some(Lookup::Nested) =>
            {
                warn_of_direct_groups(&error);
                self.direct_groups_of(person).await
            }
            found => found,
        }
    }

    async fn direct_groups_of(&self, person: &FoundPerson) -> Result<Vec<FoundGroup>> {
        self.groups_with(&member_clause(person)).await
    }

    /// Those of these entries that are groups.
    pub(crate) async fn groups_at<'d>(
        &self,
        entries: impl Iterator<Item = &'d Dn> + Send,
        is_active_directory: bool,
    ) -> Result<Vec<FoundGroup>> {
        let base: Option<Dn> = self.config.groups.base_dn.parse().ok();
        let is_within = |entry: &Dn| base.as_ref().is_none_or(|base| entry.is_within(base));
        let attribute = match is_active_directory {
            true => "distinguishedName",
            false => "entryDN",
        };
        let within = entries.filter(|entry| is_within(entry));
        let clauses: Vec<String> = within
            .map(|entry| filter::is(attribute, entry.as_str()))
            .collect();
        if clauses.len() > MOST_GROUPS {
            return Err(Error::Cut("2000 groups of a person"));
        }
        match clauses.is_empty() {
            true => Ok(Vec::new()),
            false => self.groups_with(&filter::any(&clauses)).await,
        }
    }

    /// Groups by their exact name, or all.
    ///
    /// # Errors
    /// [`Error::Cut`] if there are too many; when the directory does not answer.
    pub async fn search_groups(&self, name: Option<&str>) -> Result<Vec<FoundGroup>> {
        match name {
            Some(name) => {
                let clause = filter::is(&self.config.groups.name, name);
                self.groups_with(&clause).await
            }
            None => self.groups_with("").await,
        }
    }

    /// The group of an entry.
    ///
    /// # Errors
    /// When the directory does not answer.
    pub async fn group_at(&self, entry: &Dn) -> Result<Option<FoundGroup>> {
        let search = Search {
            base: entry.as_str().to_owned(),
            scope: Scope::Base,
            ..self.group_search("")
        };
        match self.search(&search).await {
            Err(Error::NoBase(_)) => Ok(None),
            found => Ok(self.read_groups(&found?).into_iter().next()),
        }
    }

    async fn groups_with(&self, clause: &str) -> Result<Vec<FoundGroup>> {
        let found = self.search(&self.group_search(clause)).await?;
        Ok(self.read_groups(&found))
    }

    fn read_groups(&self, entries: &[Entry]) -> Vec<FoundGroup> {
        let groups = entries.iter();
        groups
            .filter_map(|entry| person::read_group(entry, &self.config))
            .collect()
    }

    fn group_search(&self, clause: &str) -> Search {
        let groups = &self.config.groups;
        let named = filter::has(&groups.name);
        let clause = match clause {
            "" => named,
            _ => format!("(&{clause}{named})"),
        };
        Search {
            base: groups.base_dn.clone(),
            scope: groups.scope,
            filter: filter::both(&groups.filter, &clause),
            attributes: vec![groups.name.clone()],
            extent: Extent::Many,
        }
    }

    /// Whether somebody is in the group whose members are system administrators.
    pub fn is_admin(&self, person: &FoundPerson, groups: &[FoundGroup]) -> bool {
        let Some(admin) = &self.config.admin else {
            return false;
        };
        person.member_of.contains(admin) || groups.iter().any(|group| group.entry == *admin)
    }

    async fn search_people(&self, clause: &str, extent: Extent) -> Result<Vec<Entry>> {
        let search = Search {
            base: self.config.base_dn.clone(),
            scope: self.config.scope,
            filter: filter::both(&self.config.filter, clause),
            attributes: person::attributes(&self.config),
            extent,
        };
        self.search(&search).await
    }

    /// The person whose entry it is, if it is one.
    async fn search_person_at(&self, dn: &str) -> Result<Vec<Entry>> {
        let search = Search {
            base: dn.to_owned(),
            scope: Scope::Base,
            filter: filter::both(&self.config.filter, &filter::has(&self.config.uid)),
            attributes: person::attributes(&self.config),
            extent: Extent::Few(1),
        };
        match self.search(&search).await {
            Err(Error::NoBase(_)) => Ok(Vec::new()),
            found => found,
        }
    }

    /// Searches, over a connection that was used before if there is one.
    #[instrument(name = "auth.ldap.search", level = "debug", skip_all)]
    pub(super) async fn search(&self, search: &Search) -> Result<Vec<Entry>> {
        let place = self.searchers.place(self.config.timeout).await?;
        loop {
            let kept = place.idle();
            let is_fresh = kept.is_none();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.open_searcher(&place).await?,
            };
            match connection.search(search).await {
                Err(Error::Unreachable(_)) if !is_fresh => place.clear(),
                Err(error) if error.is_of_connection() => {
                    return Err(self.failed(connection.at, &place, error));
                }
                done => {
                    self.answered(connection.at);
                    place.give_back(connection);
                    return done;
                }
            }
        }
    }

    /// A connection bound as the entry for searches.
    async fn open_searcher(&self, place: &Place<'_>) -> Result<Connection> {
        let mut connection = self.open().await?;
        match self.let_in(&mut connection).await {
            Ok(()) => Ok(connection),
            Err(error) => Err(self.failed(connection.at, place, error)),
        }
    }

    pub(super) async fn let_in(&self, connection: &mut Connection) -> Result<()> {
        let (dn, password) = (&self.config.search_dn, &self.config.search_password);
        if dn.is_empty() {
            return Ok(());
        }
        if password.expose().is_empty() {
            return Err(Error::Settings(
                "ldap_search_dn has no ldap_search_password".to_owned(),
            ));
        }
        answer::let_in(connection.bind(dn, password.expose()).await?)
    }

    /// A connection to the first address that answers, starting with the one that answered last.
    async fn open(&self) -> Result<Connection> {
        if let Some((at, error)) = &*self.down.lock()
            && at.elapsed() < DOWN
        {
            return Err(error.clone());
        }
        let (first, count) = (
            self.preferred.load(Ordering::Relaxed),
            self.config.urls.len(),
        );
        let mut last = Error::NotConfigured;
        for number in 0..count {
            let at = (first + number) % count;
            match self.connect(at).await {
                Ok(connection) => {
                    *self.down.lock() = None;
                    return Ok(connection);
                }
                Err(error) => last = error,
            }
        }
        *self.down.lock() = Some((Instant::now(), last.clone()));
        Err(last)
    }

    /// A connection to the address with a number.
    pub(super) async fn connect(&self, at: usize) -> Result<Connection> {
        let to = (at, &self.config.urls[at]);
        Connection::open(to, &self.config, &self.guard, &self.tls).await
    }

    fn answered(&self, at: usize) {
        self.preferred.store(at, Ordering::Relaxed);
    }

    /// If a directory accepts connections but then stays silent, the next address is tried next, however many
    /// operations noticed that at once; idle connections to the same address are closed too.
    fn failed(&self, at: usize, place: &Place<'_>, error: Error) -> Error {
        if error.is_of_connection() {
            let next = (at + 1) % self.config.urls.len();
            let order = Ordering::Relaxed;
            // Another operation may have moved on already.
            let _ = self.preferred.compare_exchange(at, next, order, order);
            place.clear();
        }
        error
    }
}

fn warn_of_direct_groups(error: &Error) {
    let cause = error.chain();
    tracing::warn!(
        cause,
        "groups in groups cannot be read from the directory: only direct ones count"
    );
}

/// The groups that name somebody among their members, as the common classes of groups do.
fn member_clause(person: &FoundPerson) -> String {
    filter::any(&[
        filter::is("member", &person.dn),
        filter::is("uniqueMember", &person.dn),
        filter::is("memberUid", person.name()),
    ])
}
