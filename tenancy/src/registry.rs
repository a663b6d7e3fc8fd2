//! Other registries: adding, changing and removing them. Their secrets are sealed for their rows. Whether one answers is
//! found out before, by whoever calls.

use std::sync::Arc;

use db::registry::{self, Content, Registry};
use db::replication::policy as policies;
use db::replication::state::{self, Of};
use db::{Db, Tx};
use model::{Event, Operation, Origin, RegistryId, ResourceType, Subject, Timestamp};
use policy::{SystemPermit, system, to};

use crate::secret::{MasterKey, Secret};
use crate::{Error, Result};

/// Registries that there are at most.
pub const MOST: i64 = 1_000;
/// For what secrets are sealed.
const PURPOSE: &str = "registry";

/// What happens to the secret of a registry that is changed.
#[derive(Clone, Debug)]
pub enum NewSecret {
    /// It stays.
    Kept,
    /// There is none any more.
    Removed,
    /// It is this one.
    Set(Secret),
}

fn context(id: RegistryId) -> [u8; 8] {
    id.0.to_be_bytes()
}

/// The secret of a registry.
///
/// # Errors
/// [`Error::Secret`] with another master key.
pub fn secret_of(registry: &Registry, master: &MasterKey) -> Result<Option<Secret>> {
    let Some(sealed) = &registry.secret else {
        return Ok(None);
    };
    let opened = master.open(PURPOSE, sealed, &context(registry.id))?;
    let text = String::from_utf8_lossy(&opened).into_owned();
    Ok(Some(Secret::new(text)))
}

async fn set_secret(
    tx: &mut Tx,
    id: RegistryId,
    master: &MasterKey,
    new: &NewSecret,
) -> Result<()> {
    let sealed = match new {
        NewSecret::Kept => return Ok(()),
        NewSecret::Removed => None,
        NewSecret::Set(secret) => {
            let plain = secret.expose().as_bytes();
            Some(master.seal(PURPOSE, plain, &context(id))?)
        }
    };
    Ok(registry::set_secret(tx, id, sealed.as_deref()).await?)
}

/// Adds a registry.
///
/// # Errors
/// [`Error::RegistryExists`], [`Error::TooManyRegistries`].
pub async fn create(
    (db, master): (&Db, &Arc<MasterKey>),
    permit: &SystemPermit<(system::Registry, to::Create)>,
    (content, secret): (Content, NewSecret),
    now: Timestamp,
) -> Result<RegistryId> {
    let (origin, master) = (permit.caller().origin(), master.clone());
    db.write(move |tx| {
        Box::pin(async move {
            if registry::count(tx).await? >= MOST {
                return Err(Error::TooManyRegistries(MOST));
            }
            let made = registry::create(tx, &content, now).await;
            let id = made.map_err(|error| exists(error, &content.name))?;
            set_secret(tx, id, &master, &secret).await?;
            let event = event((now, origin), Operation::Create, &content.name);
            tx.record(&event.with_detail(described(&content))).await?;
            Ok(id)
        })
    })
    .await
}

/// Changes a registry. With another URL, what its policies noted is forgotten: it is said of another registry.
///
/// # Errors
/// [`Error::RegistryUnknown`], [`Error::RegistryExists`].
pub async fn change(
    (db, master): (&Db, &Arc<MasterKey>),
    permit: &SystemPermit<(system::Registry, to::Update)>,
    id: RegistryId,
    (content, secret): (Content, NewSecret),
    now: Timestamp,
) -> Result<()> {
    let (origin, master) = (permit.caller().origin(), master.clone());
    db.write(move |tx| {
        Box::pin(async move {
            let before = registry::get(tx, id).await?;
            let before = before.ok_or(Error::RegistryUnknown(id))?;
            let is_moved = before.url != content.url;
            if is_moved {
                state::forget_all(tx, Of::Registry(id)).await?;
            }
            // The stored secret may be of another change than the URL: it goes to no address that it was not given for.
            let secret = match &secret {
                NewSecret::Kept if is_moved => &NewSecret::Removed,
                given => given,
            };
            let changed = registry::update(tx, id, &content, now).await;
            changed.map_err(|error| exists(error, &content.name))?;
            set_secret(tx, id, &master, secret).await?;
            let event = event((now, origin), Operation::Update, &content.name);
            Ok(tx.record(&event.with_detail(described(&content))).await?)
        })
    })
    .await
}

/// Removes a registry that no policy names.
///
/// # Errors
/// [`Error::RegistryUnknown`], [`Error::RegistryUsed`].
pub async fn delete(
    db: &Db,
    permit: &SystemPermit<(system::Registry, to::Delete)>,
    id: RegistryId,
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let gone = registry::get(tx, id).await?;
            let gone = gone.ok_or(Error::RegistryUnknown(id))?;
            if policies::count(tx, Some(id)).await? > 0 {
                return Err(Error::RegistryUsed(id));
            }
            registry::delete(tx, id).await?;
            let event = event((now, origin), Operation::Delete, &gone.name);
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

/// Notes whether a registry could be used. It is no change that anybody made, and so no event.
///
/// # Errors
/// When the database fails.
pub async fn checked(
    db: &Db,
    id: RegistryId,
    problem: Option<String>,
    now: Timestamp,
) -> Result<()> {
    db.write(move |tx| {
        Box::pin(async move { Ok(registry::set_checked(tx, id, problem.as_deref(), now).await?) })
    })
    .await
}

/// What is set, without the secret.
fn described(content: &Content) -> String {
    let account = match content.access_key.as_str() {
        "" => "nobody",
        key => key,
    };
    let checked = if content.insecure {
        "insecure"
    } else {
        "verified"
    };
    format!(
        "{} {} as {account}, {checked}",
        content.kind.name(),
        content.url
    )
}

fn exists(error: db::Error, name: &str) -> Error {
    match error {
        db::Error::Duplicate(_) => Error::RegistryExists(name.to_owned()),
        other => other.into(),
    }
}

fn event((now, origin): (Timestamp, Origin), operation: Operation, name: &str) -> Event {
    let subject = Subject::Installation(ResourceType::Registry, name.to_owned());
    Event::new(now, origin, operation, subject)
}
