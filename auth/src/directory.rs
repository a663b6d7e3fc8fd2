//! The directory that the settings name, and what becomes of its people. Settings may change at any time: each question is
//! put to the directory of that moment.

mod reading;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use db::Db;
use model::{Clock, Origin};
use outgoing::Guard;
use parking_lot::Mutex;
use tenancy::directory::{self, Admitted, Group, Person};
use tenancy::setting::{Settings, Values};

use crate::error;
use crate::ldap::{Config, Error, FoundGroup, FoundPerson, Result, Server};

/// The directory that the settings name, if they name one.
pub struct Directory {
    db: Db,
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    guard: Arc<Guard>,
    current: Mutex<Option<Current>>,
    /// Rises whenever it is another directory, or is asked otherwise.
    epoch: AtomicU64,
}

/// The directory, and the settings that it was made of.
struct Current {
    values: Arc<Values>,
    config: Option<Config>,
    server: Result<Option<Arc<Server>>>,
}

impl Directory {
    /// The directory that the settings name. Where `guard` does not let it, nothing connects.
    pub fn new(db: Db, settings: Arc<Settings>, clock: Arc<dyn Clock>, guard: Arc<Guard>) -> Self {
        Self {
            db,
            settings,
            clock,
            guard,
            current: Mutex::default(),
            epoch: AtomicU64::new(0),
        }
    }

    /// What connections must pass.
    pub fn guard(&self) -> Arc<Guard> {
        self.guard.clone()
    }

    /// True if people can sign in by it.
    pub fn is_configured(&self) -> bool {
        self.settings.current().has_directory()
    }

    /// The directory now.
    ///
    /// # Errors
    /// [`Error::NotConfigured`], [`Error::Settings`].
    pub fn server(&self) -> Result<Arc<Server>> {
        self.server_if_any()?.ok_or(Error::NotConfigured)
    }

    /// The directory now; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn server_if_any(&self) -> Result<Option<Arc<Server>>> {
        let values = self.settings.current();
        let mut current = self.current.lock();
        if let Some(known) = &mut *current {
            if Arc::ptr_eq(&known.values, &values) {
                return known.server.clone();
            }
            // Some other setting was changed: connections and what was proven hold.
            let config = Config::of(&self.settings);
            if known.server.is_ok() && config.as_ref().is_ok_and(|config| *config == known.config) {
                known.values = values;
                return known.server.clone();
            }
        }
        let made = self.make(values);
        let server = made.server.clone();
        *current = Some(made);
        self.epoch.fetch_add(1, Ordering::Relaxed);
        server
    }

    fn make(&self, values: Arc<Values>) -> Current {
        let (config, server) = match Config::of(&self.settings) {
            Ok(Some(config)) => {
                let server = Server::new(config.clone(), self.guard.clone());
                (Some(config), server.map(|server| Some(Arc::new(server))))
            }
            Ok(None) => (None, Ok(None)),
            Err(error) => (None, Err(error)),
        };
        Current {
            values,
            config,
            server,
        }
    }

    /// Another number whenever it is another directory, or is asked otherwise.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Makes a user of a person, or brings theirs up to date. The groups of whoever is known already stay as they are if
    /// the directory does not say them in full.
    ///
    /// # Errors
    /// [`error::Error::Ended`], [`error::Error::NotAdmitted`], [`error::Error::Directory`].
    pub async fn admit(
        &self,
        server: &Server,
        person: FoundPerson,
        by: Origin,
    ) -> Result<Admitted, error::Error> {
        if let Some(why) = person.ended {
            return Err(error::Error::Ended(why));
        }
        let subject = person.subject.clone();
        let groups = match server.groups_of(&person).await {
            Ok(groups) => Some(groups),
            Err(error) if self.is_known(&subject).await? => {
                let cause = error.chain();
                tracing::warn!(
                    cause,
                    "somebody's groups cannot be read from the directory: the last reading holds"
                );
                None
            }
            Err(error) => return Err(error.into()),
        };
        let (person, groups) = described(server, person, groups);
        let at = (by, self.clock.now());
        let admitted = directory::admit(&self.db, person, groups, at).await;
        admitted.map_err(error::Error::NotAdmitted)
    }

    async fn is_known(&self, subject: &str) -> Result<bool, error::Error> {
        let mut reader = self.db.reader().await?;
        let known = db::identity::by_subject(&mut reader, db::identity::LDAP, subject).await?;
        Ok(known.is_some())
    }
}

/// A person and their groups, as they are kept.
fn described(
    server: &Server,
    person: FoundPerson,
    groups: Option<Vec<FoundGroup>>,
) -> (Person, Option<Vec<Group>>) {
    let admin = server.is_admin(&person, groups.as_deref().unwrap_or_default());
    let groups = groups.map(|groups| {
        let groups = groups.into_iter();
        groups.map(Group::from).collect()
    });
    let person = Person {
        subject: person.subject,
        dn: person.dn,
        names: person.names,
        realname: person.realname,
        email: person.email,
        admin,
    };
    (person, groups)
}

impl From<FoundGroup> for Group {
    fn from(found: FoundGroup) -> Self {
        Self {
            entry: found.entry,
            name: found.name,
        }
    }
}
