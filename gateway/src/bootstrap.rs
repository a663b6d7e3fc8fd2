//! What the first start creates, and every start reads: master key, private CA, token keys, store and the first
//! administrator. The server certificate is in `certificate`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use auth::token::{TokenKey, TokenKeys};
use certs::Authority;
use db::Db;
use db::installation::{self, TOKEN_KEY};
use model::{Event, Operation, ResourceType, Subject, SystemTask, Timestamp, UserId};
use policy::{Caller, ProjectCreation, SystemPermit, permit};
use serde::{Deserialize, Serialize};
use tenancy::password::{NewPassword, PasswordHasher};
use tenancy::project::NewProject;
use tenancy::secret::MasterKey;
use tenancy::setting::{self, Settings};

use crate::config::Config;

/// The name of the private CA in the database.
pub(crate) const CA: &str = "ca";
/// What the first private CA is called; each further one has a number after it.
const CA_NAME: &str = "Gantry private CA";
/// The secrets encrypted with the master key.
const SEALED: [&str; 2] = [CA, TOKEN_KEY];

/// The master key. With SQLite it is created at the first start; with PostgreSQL it must be given, since all replicas
/// need the same one.
///
/// # Errors
/// If it cannot be read, or is gone although the database needs it.
pub(crate) async fn master_key(config: &Config, db: &Db) -> anyhow::Result<Arc<MasterKey>> {
    let path = config.master_key();
    let key = if path.exists() || !config.database.is_sqlite() {
        MasterKey::load(&path)?
    } else {
        anyhow::ensure!(
            !has_sealed(db).await?,
            "there is no master key at {path}, but the database has secrets that need it: the CA's key, the token \
             keys and the signatures of the audit log. Restore the file from its copy, or set [secrets] \
             master_key_file to its path. If it is lost for good, `gantry db forget-secrets` discards these secrets; \
             the next start then creates a new CA, which clients have to trust",
            path = path.display()
        );
        MasterKey::load_or_create(&path)?
    };
    Ok(Arc::new(key))
}

/// Whether the database holds anything encrypted with a master key.
///
/// # Errors
/// If it cannot be read.
pub(crate) async fn has_sealed(db: &Db) -> anyhow::Result<bool> {
    let mut tx = db.reader().await?;
    for name in SEALED {
        if installation::get(&mut tx, name).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes what was encrypted with a lost master key, so that the next start creates new secrets.
///
/// # Errors
/// If the database cannot be written.
pub(crate) async fn forget_sealed(
    db: &Db,
    permit: &SystemPermit,
    now: Timestamp,
) -> anyhow::Result<()> {
    let subject = Subject::Installation(ResourceType::Secrets, "master key".to_owned());
    let event = Event::new(now, permit.caller().origin(), Operation::Delete, subject);
    let deleted = db.write(move |tx| {
        Box::pin(async move {
            for name in SEALED {
                installation::delete(tx, name).await?;
            }
            setting::forget_secrets(tx).await?;
            db::certificate::forget(tx).await?;
            db::acme::forget(tx).await?;
            tx.record(&event).await
        })
    });
    Ok(deleted.await?)
}

/// A secret of the installation: created once, kept encrypted in the database, the same for all replicas.
async fn secret(
    db: &Db,
    master: &MasterKey,
    name: &'static str,
    make: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<String> {
    let mut tx = db.reader().await?;
    let stored = installation::get(&mut tx, name).await?;
    drop(tx);
    let sealed = match stored {
        Some(sealed) => sealed,
        None => {
            let sealed = master.seal("installation", make()?.as_bytes(), name.as_bytes())?;
            db.write(move |tx| {
                Box::pin(async move { installation::put_if_absent(tx, name, &sealed).await })
            })
            .await?
        }
    };
    open_secret(master, name, &sealed)
}

fn open_secret(master: &MasterKey, name: &str, sealed: &[u8]) -> anyhow::Result<String> {
    let opened = master.open("installation", sealed, name.as_bytes());
    let opened = opened.map_err(|error| {
        anyhow::anyhow!(
            "{error}: is [secrets] master_key_file the one that this database was made with?"
        )
    })?;
    Ok(String::from_utf8(opened.to_vec())?)
}

/// Whether the master key is the one that a database was created with, judged by its [`CA`].
pub(crate) fn check_master_key(master: &MasterKey, sealed: Option<&[u8]>) -> anyhow::Result<()> {
    let sealed = sealed.context("there is no private CA in it: no server ever ran on it")?;
    open_secret(master, CA, sealed).map(|_| ())
}

/// Fails if the key does not decrypt the database's CA key.
///
/// # Errors
/// If it does not, or the database cannot be read.
pub(crate) async fn verify_master_key(db: &Db, master: &MasterKey) -> anyhow::Result<()> {
    let mut tx = db.reader().await?;
    let sealed = installation::get(&mut tx, CA).await?;
    sealed.map_or(Ok(()), |sealed| check_master_key(master, Some(&sealed)))
}

/// The private CA as it is stored: certificate, key, and the one before while a rotation is under way.
#[derive(Serialize, Deserialize)]
struct StoredCa(
    String,
    String,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<PreviousCa>,
);

/// The private CA before a rotation, without its key, which is needed no more.
#[derive(Serialize, Deserialize)]
struct PreviousCa {
    certificate: String,
    /// The present CA's certificate as the previous one signed it.
    bridge: String,
    /// Until when clients get both.
    until: i64,
}

/// The private CA, and the one before it for as long as clients may still trust that one alone.
pub(crate) struct Authorities {
    /// Signs.
    pub(crate) current: Authority,
    /// The certificate of the one before, and until when it counts.
    pub(crate) previous: Option<(String, Timestamp)>,
}

impl Authorities {
    fn new(stored: StoredCa, now: Timestamp) -> anyhow::Result<Self> {
        let StoredCa(certificate, key, previous) = stored;
        let current = Authority::from_pem(&certificate, &key)?;
        let previous = previous.filter(|previous| now < Timestamp(previous.until));
        Ok(match previous {
            Some(previous) => Self {
                current: current.with_bridge(previous.bridge),
                previous: Some((previous.certificate, Timestamp(previous.until))),
            },
            None => Self {
                current,
                previous: None,
            },
        })
    }

    /// The certificates that clients should trust, in PEM: the present one first.
    pub(crate) fn bundle(&self) -> String {
        let mut pem = self.current.certificate_pem().to_owned();
        if let Some((previous, _)) = &self.previous {
            pem.push_str(previous);
        }
        pem
    }

    /// True if an issuer is one of Gantry's private CAs, present or past.
    pub(crate) fn is_own(issuer: &str) -> bool {
        let number = issuer
            .strip_prefix("CN=")
            .and_then(|name| name.strip_prefix(CA_NAME));
        number.is_some_and(|number| number.is_empty() || number.starts_with(' '))
    }
}

/// The private CA, which is made if there is none.
pub(crate) async fn authorities(
    db: &Db,
    master: &MasterKey,
    now: Timestamp,
) -> anyhow::Result<Authorities> {
    let make = || {
        let authority = Authority::create(CA_NAME, now.date_time())?;
        stored_ca(&authority, None)
    };
    let text = secret(db, master, CA, make).await?;
    Authorities::new(serde_json::from_str(&text)?, now)
}

fn stored_ca(authority: &Authority, previous: Option<PreviousCa>) -> anyhow::Result<String> {
    let stored = StoredCa(
        authority.certificate_pem().to_owned(),
        authority.key_pem().to_string(),
        previous,
    );
    Ok(serde_json::to_string(&stored)?)
}

/// Makes a new private CA. For `overlap`, clients that trust only the previous one are served too, and those that ask
/// for the CA get both.
///
/// # Errors
/// If a rotation is under way, or the database cannot be written.
pub(crate) async fn rotate_authority(
    db: &Db,
    master: &MasterKey,
    permit: &SystemPermit,
    overlap: Duration,
    now: Timestamp,
) -> anyhow::Result<Authorities> {
    let read = installation::get(&mut db.reader().await?, CA).await?;
    let before = authorities(db, master, now).await?;
    if let Some((_, until)) = &before.previous {
        anyhow::bail!(
            "a rotation is under way until {until}, as clients may still trust the previous CA alone: wait, or end it \
             with `gantry cert rotate --finish`"
        );
    }
    let name = before.current.subject()?;
    let number = name
        .rsplit(' ')
        .next()
        .and_then(|last| last.parse::<u32>().ok());
    let next = Authority::create(
        &format!("{CA_NAME} {}", number.unwrap_or(1) + 1),
        now.date_time(),
    )?;
    let previous = match before.current.bridge_to(&next, now.date_time()) {
        Ok(bridge) => Some(PreviousCa {
            certificate: before.current.certificate_pem().to_owned(),
            bridge,
            until: now.plus(overlap).0,
        }),
        // Nobody accepts what it signs.
        Err(certs::Error::AuthorityExpired(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let stored = stored_ca(&next, previous)?;
    replace_authority(db, master, permit, (read, stored, "rotated"), now).await
}

/// Ends a rotation: from now on only the present CA counts.
///
/// # Errors
/// If none is under way, or the database cannot be written.
pub(crate) async fn finish_rotation(
    db: &Db,
    master: &MasterKey,
    permit: &SystemPermit,
    now: Timestamp,
) -> anyhow::Result<Authorities> {
    let read = installation::get(&mut db.reader().await?, CA).await?;
    let before = authorities(db, master, now).await?;
    anyhow::ensure!(
        before.previous.is_some(),
        "no rotation of the CA is under way"
    );
    let stored = stored_ca(&before.current, None)?;
    replace_authority(db, master, permit, (read, stored, "rotation finished"), now).await
}

async fn replace_authority(
    db: &Db,
    master: &MasterKey,
    permit: &SystemPermit,
    (read, stored, detail): (Option<Vec<u8>>, String, &str),
    now: Timestamp,
) -> anyhow::Result<Authorities> {
    let sealed = master.seal("installation", stored.as_bytes(), CA.as_bytes())?;
    let subject = Subject::Installation(ResourceType::Certificate, "ca".to_owned());
    let event = Event::new(now, permit.caller().origin(), Operation::Update, subject);
    let event = event.with_detail(detail.to_owned());
    let replaced = db.write(move |tx| {
        Box::pin(async move {
            let read = read.unwrap_or_default();
            if !installation::replace(tx, CA, (&read, &sealed)).await? {
                return Ok(false);
            }
            tx.record(&event).await?;
            Ok::<_, db::Error>(true)
        })
    });
    anyhow::ensure!(
        replaced.await?,
        "another process replaced the CA at the same time: see `gantry cert list`"
    );
    Authorities::new(serde_json::from_str(&stored)?, now)
}

/// The keys that sign tokens.
pub(crate) async fn token_keys(db: &Db, master: &MasterKey) -> anyhow::Result<TokenKeys> {
    let make = || Ok(TokenKey::generate()?.to_pem()?.to_string());
    let pem = secret(db, master, TOKEN_KEY, make).await?;
    Ok(TokenKeys::new(
        Arc::new(TokenKey::from_pem(&pem)?),
        Vec::new(),
    ))
}

/// Creates `admin` and the project `library` if there is no `admin` yet. Returns the password if it was generated here
/// and has to be printed. `unused` becomes true if another password is stored than the one that is set.
pub(crate) async fn administrator(
    db: &Db,
    (config, settings): (&Config, &Settings),
    (hasher, unused): (&PasswordHasher, &AtomicBool),
    now: Timestamp,
) -> anyhow::Result<Option<NewPassword>> {
    if tenancy::installation::has_begun(db).await? {
        let is_unused = warn_of_unused_password(db, config, hasher).await?;
        unused.store(is_unused, Ordering::Relaxed);
        return Ok(None);
    }
    let (password, made) = match config.admin_password().map_err(anyhow::Error::msg)? {
        Some(password) => (password, false),
        None => (generated_password().try_into()?, true),
    };
    let library = "library".parse().context("the name of the first project")?;
    let library = NewProject::named(library, true, settings.current().new_project_limit());
    let caller = Caller::system(SystemTask::FirstStart);
    let system = permit::permit_system(&caller)?;
    let create = permit::permit_create_project(&caller, ProjectCreation::Admins)?;
    let permits = (&system, &create);
    let first =
        tenancy::installation::begin(db, hasher, permits, (&password, library), now).await?;
    Ok((first && made).then_some(password))
}

/// A given password is only the first one of `admin`. If another one is stored, a log line says how to change it, and the
/// result is true.
async fn warn_of_unused_password(
    db: &Db,
    config: &Config,
    hasher: &PasswordHasher,
) -> anyhow::Result<bool> {
    let Some(given) = config.admin_password().map_err(anyhow::Error::msg)? else {
        return Ok(false);
    };
    let admin = db::user::by_id(&mut db.reader().await?, UserId::ADMIN).await?;
    let stored = admin.and_then(|admin| admin.password_hash);
    let is_unused = !hasher.verify(given.expose(), stored.as_deref()).await?;
    if is_unused {
        tracing::warn!(
            "the password of admin is not the one in GANTRY_ADMIN_PASSWORD or [secrets] admin_password_file, which is for the \
             first start alone: `gantry user passwd admin` changes it, or take the setting away"
        );
    }
    Ok(is_unused)
}

/// 120 random bits, with the character classes that the password rule requires.
fn generated_password() -> String {
    format!("Gy1{}", auth::random_hex::<15>())
}
