//! What the first start makes, and every start reads: master key, private CA, server certificate,
//! token keys and the first administrator.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use auth::password::PasswordHasher;
use auth::secret::{MasterKey, Secret};
use auth::token::{TokenKey, TokenKeys};
use certs::{Authority, LEAF_DAYS, Pair, ServerCertificate};
use db::{Db, account, project, setting};
use model::{AccountId, Timestamp};
use storage::{BlobStore, Files, Moving, S3};

use crate::config::{Backend, Config};

/// Days before its end at which a certificate of our own is renewed.
const RENEW_DAYS: i64 = 30;
/// The setting that holds the private CA.
pub(crate) const CA: &str = "ca";
const TOKEN_KEY: &str = "token-key";

/// Makes the data folder, readable to nobody else.
pub(crate) fn data_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if folder.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.with_context(|| format!("cannot make the data folder {}", folder.display()))
}

/// The master key; beside SQLite it is made where it is absent, beside PostgreSQL it must be given,
/// since all replicas need the same one.
pub(crate) fn master_key(config: &Config) -> anyhow::Result<Arc<MasterKey>> {
    let path = config.master_key();
    let key = if config.database.url.is_empty() {
        MasterKey::load_or_create(&path)?
    } else {
        MasterKey::load(&path)?
    };
    Ok(Arc::new(key))
}

/// The blob store; two as one while blobs are moved.
pub(crate) async fn store(config: &Config) -> anyhow::Result<Arc<dyn BlobStore>> {
    let new = store_in(config, config.storage.backend).await?;
    let Some(from) = config.moving_from() else {
        return Ok(new);
    };
    anyhow::ensure!(
        from != config.storage.backend,
        "[storage] moving_from is the backend itself: set it to the other one, or to none"
    );
    Ok(Arc::new(Moving::new(store_in(config, from).await?, new)))
}

/// One store, looked at where it is not on this machine.
pub(crate) async fn store_in(
    config: &Config,
    backend: Backend,
) -> anyhow::Result<Arc<dyn BlobStore>> {
    match backend {
        Backend::Files => Ok(Arc::new(Files::open(&config.blobs())?)),
        Backend::S3 => {
            let store = S3::open(&config.storage.s3).context("[storage.s3]")?;
            store.probe().await.context("[storage.s3]")?;
            Ok(Arc::new(store))
        }
    }
}

/// A secret of the installation: made once, kept encrypted in the database, the same for all
/// replicas.
async fn secret(
    db: &Db,
    master: &MasterKey,
    name: &'static str,
    make: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<String> {
    let mut tx = db.reader().await?;
    let stored = setting::get(&mut tx, name).await?;
    drop(tx);
    let sealed = match stored {
        Some(sealed) => sealed,
        None => {
            let sealed = master.seal("setting", make()?.as_bytes(), name.as_bytes())?;
            db.write(move |tx| {
                Box::pin(async move { setting::put_if_absent(tx, name, &sealed).await })
            })
            .await?
        }
    };
    open_secret(master, name, &sealed)
}

fn open_secret(master: &MasterKey, name: &str, sealed: &[u8]) -> anyhow::Result<String> {
    let opened = master.open("setting", sealed, name.as_bytes());
    let opened = opened.map_err(|error| {
        anyhow::anyhow!(
            "{error}: is [secrets] master_key_file the one that this database was made with?"
        )
    })?;
    Ok(String::from_utf8(opened.to_vec())?)
}

/// Whether the master key is the one that a database was made with, by what the database holds of the [`CA`].
pub(crate) fn check_master_key(master: &MasterKey, sealed: Option<&[u8]>) -> anyhow::Result<()> {
    let sealed = sealed.context("there is no private CA in it: no server ever ran on it")?;
    open_secret(master, CA, sealed).map(|_| ())
}

/// The private CA.
pub(crate) async fn authority(
    db: &Db,
    master: &MasterKey,
    now: Timestamp,
) -> anyhow::Result<Authority> {
    let make = || {
        let authority = Authority::create("Gantry private CA", now.date_time())?;
        let key = authority.key_pem();
        Ok(serde_json::json!([authority.certificate_pem(), *key]).to_string())
    };
    let text = secret(db, master, CA, make).await?;
    let (certificate, key): (String, String) = serde_json::from_str(&text)?;
    Ok(Authority::from_pem(&certificate, &key)?)
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

/// Names in the server certificate: the machine's, localhost, loopback, and what is configured.
fn names(config: &Config) -> Vec<String> {
    let mut names = config.server.names.clone();
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let listen = config.server.listen.ip();
    let own = (!listen.is_unspecified()).then(|| listen.to_string());
    let always = [
        host,
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    for name in always.into_iter().chain(own) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The files of the server certificate. Without configured ones, the CA issues one, and a new one
/// when it comes near its end or names are missing in it; files that someone else put there are
/// left alone.
pub(crate) fn server_certificate(
    config: &Config,
    authority: &Authority,
    now: Timestamp,
) -> anyhow::Result<Pair> {
    let folder = config.certs();
    data_folder(&folder)?;
    certs::write_certificate(&folder.join("ca.crt"), authority.certificate_pem())?;
    if !config.tls.certificate.is_empty() {
        let (certificate, key) = (config.tls.certificate.clone(), config.tls.key.clone());
        return Ok(Pair {
            certificate: certificate.into(),
            key: key.into(),
        });
    }
    let pair = Pair::within(&folder);
    let wanted = names(config);
    if pair.certificate.exists() {
        let current = ServerCertificate::load(&pair.certificate, &pair.key)?;
        let renew_at = current.not_after() - time::Duration::days(RENEW_DAYS);
        let complete = wanted.iter().all(|name| current.names().contains(name));
        let fresh = now.date_time() < renew_at;
        if !current.issued_by(authority) || (complete && fresh) {
            return Ok(pair);
        }
    }
    renew(config, authority, now)
}

/// Issues a new server certificate in place of the one that is there.
pub(crate) fn renew(
    config: &Config,
    authority: &Authority,
    now: Timestamp,
) -> anyhow::Result<Pair> {
    let issued = authority.issue(&names(config), now.date_time(), LEAF_DAYS)?;
    Ok(certs::write_pair(&config.certs(), &issued)?)
}

/// Makes `admin` and the project `library` where there is no `admin` yet; the password, where it was
/// made here and has to be printed.
pub(crate) async fn administrator(
    db: &Db,
    config: &Config,
    hasher: &PasswordHasher,
    now: Timestamp,
) -> anyhow::Result<Option<Secret>> {
    let mut tx = db.reader().await?;
    if account::by_id(&mut tx, AccountId::ADMIN).await?.is_some() {
        return Ok(None);
    }
    drop(tx);
    let (password, made) = match config.admin_password()? {
        Some(password) => (password, false),
        None => (Secret::new(generated_password()), true),
    };
    auth::password::check_rule(password.expose()).map_err(|error| {
        anyhow::anyhow!("the password of admin (GANTRY_ADMIN_PASSWORD) is too weak: {error}")
    })?;
    let admin = account::NewAccount {
        name: "admin".to_owned(),
        email: None,
        realname: "system admin".to_owned(),
        comment: "admin user".to_owned(),
        password_hash: Some(hasher.hash(password.expose()).await?),
        sysadmin: true,
    };
    let first = db.write(move |tx| {
        Box::pin(async move {
            let first = account::create_admin(tx, &admin, now).await?;
            if first {
                let library = "library".parse().map_err(|_| db::Error::WriterGone)?;
                project::create(tx, &library, AccountId::ADMIN, true, -1, now).await?;
            }
            Ok::<_, db::Error>(first)
        })
    });
    let first = first.await?;
    Ok((first && made).then_some(password))
}

/// 120 random bits, in the classes that the password rule asks for.
fn generated_password() -> String {
    format!("Gy1{}", auth::random_hex::<15>())
}
