//! Settings of the installation, by the names of Harbor's `/configurations`: declared in [`declared`], stored in the
//! database, read from memory. Those that the configuration file or the environment sets under `[settings]` are fixed.
//!
//! A change is one transaction that locks the version number first, so that changes run one after the other and each
//! sees the earlier ones. It raises the number last. The process that made the change reads the settings before it
//! answers; the others check the number twice a second.

mod declared;
mod fixed;
pub mod follower;
mod kind;
mod rule;

use std::sync::Arc;

use arc_swap::ArcSwap;
use db::setting::{self, Changed};
use db::{Db, Tx};
use model::{Event, Operation, ResourceType, Subject, Timestamp};
use policy::SystemPermit;
use serde_json::Value;

pub use self::declared::{DECLARED, Declaration, Values};
pub use self::fixed::Fixed;
pub use self::kind::{Certificates, Effect, Endpoints, Kind, MailTls, Readers, SyslogProtocol};
use crate::secret::MasterKey;
use crate::{Error, InvalidSetting, Result};

/// The answer to writing requests while `read_only` is on. The text is Harbor's.
pub const READ_ONLY: &str = "The system is in read only mode. Any modification is prohibited.";

/// The purpose for sealing values.
const PURPOSE: &str = "setting";

/// The settings.
pub struct Settings {
    db: Db,
    master: Arc<MasterKey>,
    fixed: Fixed,
    current: ArcSwap<Read>,
}

/// The settings as read.
struct Read {
    version: i64,
    values: Arc<Values>,
}

/// A setting as shown to administrators.
pub struct Shown {
    /// Which.
    pub declaration: &'static Declaration,
    /// Its value; `None` for a secret.
    pub value: Option<Value>,
    /// Whether it can be changed.
    pub editable: bool,
}

/// Settings to be changed, by name.
pub type Changes = Vec<(&'static Declaration, Value)>;

impl Settings {
    /// The settings of a database, except the fixed ones.
    ///
    /// # Errors
    /// [`Error::Secret`] if the master key is another one; when the database cannot be read.
    pub async fn open(db: Db, master: Arc<MasterKey>, fixed: Fixed) -> Result<Arc<Self>> {
        let unread = Read {
            version: -1,
            values: Arc::default(),
        };
        let settings = Self {
            db,
            master,
            fixed,
            current: ArcSwap::from_pointee(unread),
        };
        settings.refresh().await?;
        Ok(Arc::new(settings))
    }

    /// The settings now.
    pub fn current(&self) -> Arc<Values> {
        self.current.load().values.clone()
    }

    /// Reads the settings if they were changed since they were read.
    ///
    /// # Errors
    /// Those of [`Settings::open`]; the settings read before then stay in use.
    pub async fn refresh(&self) -> Result<()> {
        let mut reader = self.db.reader().await?;
        // Before the settings: these may be newer than the number, and are then read once more.
        let version = setting::version(&mut reader).await?;
        // A database server that took over may be behind the previous one.
        if version == self.current.load().version {
            return Ok(());
        }
        let changed = setting::all(&mut reader).await?;
        let values = Arc::new(values(&self.master, &self.fixed, &changed));
        self.current.store(Arc::new(Read { version, values }));
        Ok(())
    }

    /// Adds followers of the audit log that are not there yet, as settings in the configuration file or the environment may
    /// be others than before this process was started. It removes none: those of other processes may ask for them, such
    /// as while replicas are replaced one after the other. Changes add and remove them themselves.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn begin_followers(self: &Arc<Self>) -> Result<()> {
        let settings = self.clone();
        let begun = self.db.write(move |tx| {
            Box::pin(async move {
                setting::lock(tx).await?;
                let changed = setting::all(tx).await?;
                let wanted = values(&settings.master, &settings.fixed, &changed).followers();
                let there = followers(tx).await?;
                let (begun, unwanted) = (without(&wanted, &there), without(&there, &wanted));
                for name in &begun {
                    db::audit::follower::begin(tx, name).await?;
                }
                Ok::<_, Error>((begun, unwanted))
            })
        });
        let (begun, unwanted) = begun.await?;
        for follower in begun {
            tracing::info!(follower, "what the audit log says is passed on from now on");
        }
        for follower in unwanted {
            let setting = follower::setting_of(&follower);
            tracing::warn!(
                follower,
                setting.name = setting,
                "the audit log is kept for a receiver that no setting of this process names: if none is to have it any more, \
                 set the setting to what it is to be, such as by `gantry config set`"
            );
        }
        Ok(())
    }

    /// All settings as administrators see them, by name.
    pub fn shown(&self) -> Vec<Shown> {
        let values = self.current();
        let shown = DECLARED.iter().map(|declaration| Shown {
            declaration,
            value: (declaration.kind != Kind::Secret).then(|| declaration.of(&values)),
            editable: self.unchangeable(declaration).is_none(),
        });
        let mut shown: Vec<Shown> = shown.collect();
        shown.sort_unstable_by_key(|shown| shown.declaration.name);
        shown
    }

    /// Whether a setting is fixed by the configuration file or the environment.
    pub fn is_fixed(&self, declaration: &Declaration) -> bool {
        self.fixed.has(declaration)
    }

    /// Changes settings, all or none. A setting that cannot be changed may be given with the value that it has.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub async fn change(
        self: &Arc<Self>,
        permit: &SystemPermit,
        changes: Changes,
        now: Timestamp,
    ) -> Result<()> {
        let (settings, origin) = (self.clone(), permit.caller().origin());
        let subject = Subject::Installation(ResourceType::Configuration, "configuration".into());
        let event = Event::new(now, origin, Operation::Update, subject);
        let changed = self.db.write(move |tx| {
            Box::pin(async move {
                let names = settings.change_in(tx, &changes).await?;
                if names.is_empty() {
                    return Ok(());
                }
                setting::raise(tx).await?;
                Ok::<_, Error>(tx.record(&event.with_detail(names.join(", "))).await?)
            })
        });
        changed.await?;
        self.refresh().await
    }

    /// Stores the settings that differ; returns their names.
    async fn change_in(&self, tx: &mut Tx, changes: &Changes) -> Result<Vec<&'static str>> {
        setting::lock(tx).await?;
        let changed = setting::all(tx).await?;
        let before = values(&self.master, &self.fixed, &changed);
        let mut after = before.clone();
        for (declaration, value) in changes {
            declaration.set(&mut after, value)?;
        }
        // A combination that was already invalid, such as by a fixed value, is not this change's fault.
        if before.check().is_ok() {
            after.check()?;
        }
        let mut names = Vec::new();
        for (declaration, _) in changes {
            let value = declaration.of(&after);
            let is_broken = changed.iter().any(|row| {
                row.name == declaration.name
                    && opened(&self.master, declaration, &row.value).is_err()
            });
            let is_same = value == declaration.of(&before) && !is_broken;
            if is_same || names.contains(&declaration.name) {
                continue;
            }
            if let Some(why) = self.unchangeable(declaration) {
                return Err(why.into());
            }
            let value = stored(&self.master, declaration, &value)?;
            let name = declaration.name.to_owned();
            setting::put(tx, &Changed { name, value }).await?;
            names.push(declaration.name);
        }
        let given = changes.iter().map(|(declaration, _)| declaration.name);
        let given: Vec<_> = given.collect();
        for setting in follow(tx, &after.followers(), &given).await? {
            if !names.contains(&setting) {
                names.push(setting);
            }
        }
        Ok(names)
    }

    fn unchangeable(&self, declaration: &Declaration) -> Option<InvalidSetting> {
        let name = declaration.name;
        match declaration.effect {
            Effect::Never(reason) => Some(InvalidSetting::Unchangeable { name, reason }),
            Effect::Now => {
                let fixed = self.is_fixed(declaration);
                fixed.then_some(InvalidSetting::Fixed { name })
            }
        }
    }
}

/// Adds followers of the audit log, which begin with the entry of this change, and removes those that are not wanted and
/// whose setting is given, even with the value that it has: it may have been another one in a configuration file. Returns
/// the settings of those that were removed.
async fn follow(
    tx: &mut Tx,
    wanted: &[String],
    given: &[&'static str],
) -> db::Result<Vec<&'static str>> {
    let there = followers(tx).await?;
    for name in without(wanted, &there) {
        db::audit::follower::begin(tx, &name).await?;
    }
    let mut ended = Vec::new();
    for name in without(&there, wanted) {
        let setting = follower::setting_of(&name);
        if given.contains(&setting) {
            db::audit::follower::end(tx, &name).await?;
            ended.push(setting);
        }
    }
    Ok(ended)
}

/// The followers that there are, by name.
async fn followers(tx: &mut Tx) -> db::Result<Vec<String>> {
    let there = db::audit::follower::all(tx).await?;
    Ok(there.into_iter().map(|it| it.name).collect())
}

/// Those of some names that are not among others.
fn without(names: &[String], others: &[String]) -> Vec<String> {
    let names = names.iter().filter(|name| !others.contains(name));
    names.cloned().collect()
}

/// The settings from the stored changes and the fixed ones.
fn values(master: &MasterKey, fixed: &Fixed, changed: &[Changed]) -> Values {
    let mut values = Values::default();
    for Changed { name, value } in changed {
        // A newer program may have more settings.
        let Ok(declaration) = Declaration::named(name) else {
            continue;
        };
        let set = opened(master, declaration, value)
            .and_then(|value| Ok(declaration.set(&mut values, &value)?));
        if let Err(error) = set {
            // A row may be broken, or another version may have another rule: neither a start nor a change may fail
            // because of it.
            tracing::warn!(%error, setting.name = name, "a stored setting is not understood, and its initial value holds");
        }
    }
    fixed.set(&mut values);
    values
}

/// A value as stored: JSON, or the hex of a sealed secret.
fn stored(master: &MasterKey, declaration: &Declaration, value: &Value) -> Result<String> {
    let json = value.to_string();
    if declaration.kind != Kind::Secret {
        return Ok(json);
    }
    let context = declaration.name.as_bytes();
    Ok(hex::encode(master.seal(
        PURPOSE,
        json.as_bytes(),
        context,
    )?))
}

fn opened(master: &MasterKey, declaration: &Declaration, stored: &str) -> Result<Value> {
    let parsed = if declaration.kind == Kind::Secret {
        let sealed = hex::decode(stored).map_err(|_| setting::corrupt())?;
        let context = declaration.name.as_bytes();
        serde_json::from_slice(&master.open(PURPOSE, &sealed, context)?)
    } else {
        serde_json::from_str(stored)
    };
    Ok(parsed.map_err(|_| setting::corrupt())?)
}

/// Removes all secrets among the settings, as is necessary after the loss of the master key.
///
/// # Errors
/// When a statement fails.
pub async fn forget_secrets(tx: &mut Tx) -> db::Result<()> {
    for declaration in DECLARED.iter().filter(|it| it.kind == Kind::Secret) {
        setting::delete(tx, declaration.name).await?;
    }
    setting::raise(tx).await
}

#[cfg(test)]
mod tests;
