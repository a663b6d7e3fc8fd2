//! Certificates that every replica presents: imported ones, and having ACME obtain one now. Their keys are sealed with
//! the master key. How ACME obtains them is a job.

use certs::ServerCertificate;
use db::certificate::{self, ACME, Certificate, Source};
use db::{Db, acme};
use model::{Event, Operation, ResourceType, Subject, Timestamp};
use policy::SystemPermit;
use zeroize::Zeroizing;

use crate::secret::{MasterKey, SecretError};
use crate::{Error, Result};

/// What keys are sealed for.
const SEAL: &str = "certificate key";
/// Maximum length of a name.
const LONGEST_NAME: usize = 64;

/// Seals the key of the certificate with this name.
///
/// # Errors
/// [`Error::Secret`].
pub fn seal_key(master: &MasterKey, name: &str, key: &str) -> Result<Vec<u8>> {
    Ok(master.seal(SEAL, key.as_bytes(), name.as_bytes())?)
}

/// The key of a certificate, in PEM.
///
/// # Errors
/// [`Error::Secret`].
pub fn open_key(master: &MasterKey, certificate: &Certificate) -> Result<Zeroizing<String>> {
    let opened = master.open(SEAL, &certificate.key, certificate.name.as_bytes())?;
    let text = std::str::from_utf8(&opened).map_err(|_| SecretError::Sealed)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Imports a certificate with its key, in place of that of the same name. Returns what was imported.
///
/// # Errors
/// [`Error::CertificateName`], [`Error::CertificateInvalid`].
pub async fn import(
    db: &Db,
    permit: &SystemPermit,
    master: &MasterKey,
    (name, chain, key): (&str, &str, &str),
    now: Timestamp,
) -> Result<ServerCertificate> {
    check_name(name)?;
    let certificate = ServerCertificate::from_pem(chain, key).map_err(Error::CertificateInvalid)?;
    let sealed = seal_key(master, name, key)?;
    let detail = format!(
        "imported {} for {}",
        certificate.serial(),
        certificate.names().join(", ")
    );
    let event = event(permit, (Operation::Create, name), now).with_detail(detail);
    let (name, chain) = (name.to_owned(), chain.to_owned());
    db.write(move |tx| {
        Box::pin(async move {
            certificate::put(tx, &name, (Source::Import, &chain, &sealed), now).await?;
            Ok::<_, Error>(tx.record(&event).await?)
        })
    })
    .await?;
    Ok(certificate)
}

/// Removes an imported certificate.
///
/// # Errors
/// [`Error::CertificateUnknown`].
pub async fn remove(db: &Db, permit: &SystemPermit, name: &str, now: Timestamp) -> Result<()> {
    let event = event(permit, (Operation::Delete, name), now);
    let name = name.to_owned();
    db.write(move |tx| {
        Box::pin(async move {
            if name == ACME || !certificate::delete(tx, &name).await? {
                return Err(Error::CertificateUnknown(name));
            }
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

/// The account that ACME uses for the next order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// The present one.
    Keep,
    /// A new one.
    New,
}

/// Has ACME obtain a certificate now, whatever the present one is worth and whatever wait is left.
///
/// # Errors
/// [`Error::NoAcme`].
pub async fn order_now(
    db: &Db,
    permit: &SystemPermit,
    account: Account,
    now: Timestamp,
) -> Result<()> {
    let event = event(permit, (Operation::Update, ACME), now).with_detail("ordered".to_owned());
    db.write(move |tx| {
        Box::pin(async move {
            if !acme::order_now(tx, now).await? {
                return Err(Error::NoAcme);
            }
            if account == Account::New {
                acme::forget_accounts(tx).await?;
            }
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

fn event(permit: &SystemPermit, (operation, name): (Operation, &str), now: Timestamp) -> Event {
    let subject = Subject::Installation(ResourceType::Certificate, name.to_owned());
    Event::new(now, permit.caller().origin(), operation, subject)
}

fn check_name(name: &str) -> Result<()> {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let valid =
        (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_plain) && name != ACME;
    match valid {
        true => Ok(()),
        false => Err(Error::CertificateName(name.to_owned())),
    }
}
