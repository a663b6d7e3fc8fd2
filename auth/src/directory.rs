//! The configured directory, and its people as users. Settings may change at any time: each request goes to the
//! directory configured at that moment.

mod reading;

use std::sync::Arc;

use db::Db;
use model::{Clock, Origin};
use outgoing::Guard;
use parking_lot::Mutex;
use tenancy::directory::{self, Admitted, Group, Person};
use tenancy::setting::{Settings, Values};

use crate::error;
use crate::ldap::{Config, Error, FoundGroup, FoundPerson, Result, Server};

/// The configured directory, if there is one.
pub struct Directory {
    db: Db,
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    guard: Arc<Guard>,
    current: Mutex<Option<Current>>,
    /// Locked while the next one is made, which may read many files.
    making: tokio::sync::Mutex<()>,
}

/// The directory, and the settings that it was made from.
struct Current {
    values: Arc<Values>,
    config: Option<Config>,
    server: Result<Option<Arc<Server>>>,
    epoch: u64,
}

/// A directory, with a number that changes with the directory or with how it is asked.
pub(crate) struct Epoch {
    pub(crate) server: Arc<Server>,
    pub(crate) number: u64,
}

impl Directory {
    /// The configured directory. Connections are subject to `guard`.
    pub fn new(db: Db, settings: Arc<Settings>, clock: Arc<dyn Clock>, guard: Arc<Guard>) -> Self {
        Self {
            db,
            settings,
            clock,
            guard,
            current: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }
    }

    /// The guard on connections.
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
    pub async fn server(&self) -> Result<Arc<Server>> {
        self.server_if_any().await?.ok_or(Error::NotConfigured)
    }

    /// The directory now; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub async fn server_if_any(&self) -> Result<Option<Arc<Server>>> {
        Ok(self.epoch().await?.map(|epoch| epoch.server))
    }

    /// The directory now, with its number; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub(crate) async fn epoch(&self) -> Result<Option<Epoch>> {
        if let Some(known) = self.known() {
            return known;
        }
        let _making = self.making.lock().await;
        // Another task may have made it meanwhile.
        if let Some(known) = self.known() {
            return known;
        }
        let values = self.settings.current();
        let (config, server) = match Config::of(&self.settings, &values) {
            Ok(Some(config)) => {
                let server = Server::build(config.clone(), self.guard.clone()).await;
                (Some(config), server.map(|server| Some(Arc::new(server))))
            }
            Ok(None) => (None, Ok(None)),
            Err(error) => (None, Err(error)),
        };
        let mut current = self.current.lock();
        let made = Current {
            values,
            config,
            server,
            epoch: current.as_ref().map_or(1, |before| before.epoch + 1),
        };
        let epoch = made.epoch();
        *current = Some(made);
        epoch
    }

    /// The directory now, if it does not have to be made first: never waits. The inner `None` means that there is none.
    pub(crate) fn known(&self) -> Option<Result<Option<Epoch>>> {
        let values = self.settings.current();
        let mut current = self.current.lock();
        let known = current.as_mut()?;
        if Arc::ptr_eq(&known.values, &values) {
            return Some(known.epoch());
        }
        // Another setting was changed: connections and proofs stay valid.
        let config = Config::of(&self.settings, &values);
        let is_same =
            known.server.is_ok() && config.as_ref().is_ok_and(|config| *config == known.config);
        is_same.then(|| {
            known.values = values;
            known.epoch()
        })
    }

    /// Makes a user for a person, or updates it. The groups of an existing user stay as they are if the directory does
    /// not return all of them.
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
        let groups = match self.is_known(&subject).await? {
            true => server.groups_of(&person).await.map_or_else(
                |error| {
                    let cause = error.chain();
                    tracing::warn!(
                        cause,
                        "somebody's groups cannot be read from the directory: the last reading holds"
                    );
                    None
                },
                Some,
            ),
            false => Some(server.first_groups_of(&person).await?),
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

impl Current {
    fn epoch(&self) -> Result<Option<Epoch>> {
        let server = self.server.clone()?;
        Ok(server.map(|server| Epoch {
            server,
            number: self.epoch,
        }))
    }
}

/// A person and their groups, in the stored form.
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
