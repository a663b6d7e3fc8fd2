//! Certificates of clients: who may have signed them, which were revoked, and what they say about their owner.
//!
//! A handshake refuses a certificate that cannot be trusted, but a resumed session skips it, and a connection may be
//! open for long. So each request checks the certificate again ([`ClientCertificate::check`]); the result is kept for
//! [`CHECKED_FOR`], or until the authorities or lists change.

use std::fmt;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, RootCertStore};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use crate::decode::{decode_chain, parse, read};
use crate::error::{Error, Result};

/// How long the result of a check is kept.
const CHECKED_FOR: time::Duration = time::Duration::seconds(10);
/// Days before the end of a revocation list from which it is warned about.
const WARN_DAYS: i64 = 3;
/// Maximum number of names of a certificate that are looked at.
const MOST_NAMES: usize = 16;
/// Maximum bytes of a name.
const LONGEST_NAME: usize = 512;

/// The files by which clients' certificates are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustFiles {
    /// The authorities, in PEM.
    pub authorities: PathBuf,
    /// Revocation lists, in PEM.
    pub revoked: Option<PathBuf>,
}

/// The authorities whose certificates clients may present, and what these have revoked.
pub struct ClientTrust {
    /// `None` if all authorities were revoked.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    lists: Vec<List>,
    /// Authorities that are on the list of theirs.
    revoked: Vec<String>,
    /// Authorities without a list, although there are lists.
    unlisted: Vec<String>,
}

/// A revocation list.
struct List {
    issuer: String,
    next_update: Option<OffsetDateTime>,
}

impl ClientTrust {
    /// Reads the files; blocks on the disk.
    ///
    /// # Errors
    ///
    /// Each names the file and what to do.
    pub fn load(files: &TrustFiles) -> Result<Self> {
        let origin = files.authorities.display().to_string();
        let authorities = decode_chain(&read(&files.authorities)?, &origin)?;
        if authorities.is_empty() {
            return Err(Error::NoCertificate(origin));
        }
        let revoked = match &files.revoked {
            Some(path) => revocation_lists(path)?,
            None => Vec::new(),
        };
        // Chains end at the first authority of the file, so nothing else looks for it on a list.
        let (on_lists, authorities): (Vec<_>, Vec<_>) = authorities
            .into_iter()
            .partition(|authority| is_on(authority, &revoked));
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            roots
                .add(authority.clone())
                .map_err(|error| Error::BrokenCertificate(origin.clone(), error.into()))?;
        }
        let lists: Vec<List> = revoked.iter().filter_map(|list| list_of(list)).collect();
        let unlisted = match files.revoked {
            Some(_) => subjects(&authorities)
                .filter(|subject| !lists.iter().any(|list| list.issuer == *subject))
                .collect(),
            None => Vec::new(),
        };
        Ok(Self {
            verifier: verifier(roots, revoked, origin)?,
            lists,
            revoked: subjects(&on_lists).collect(),
            unlisted,
        })
    }

    /// Checks handshakes; asks for no certificate if none could be accepted.
    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        let verifier = self.verifier.clone();
        verifier.unwrap_or_else(WebPkiClientVerifier::no_client_auth)
    }

    pub(crate) fn findings(&self, now: OffsetDateTime) -> Vec<String> {
        let mut findings = Vec::new();
        for list in &self.lists {
            let Some(end) = list.next_update else {
                continue;
            };
            let issuer = &list.issuer;
            if end <= now {
                findings.push(format!(
                    "the revocation list of {issuer} was to be renewed by {end}: certificates of this authority are refused until it is"
                ));
            } else if end - now < time::Duration::days(WARN_DAYS) {
                findings.push(format!(
                    "the revocation list of {issuer} has to be renewed by {end}: from then on certificates of this authority are refused"
                ));
            }
        }
        findings.extend(self.revoked.iter().map(|authority| {
            format!(
                "the authority {authority} was revoked: certificates that it signed are refused"
            )
        }));
        findings.extend(self.unlisted.iter().map(|issuer| {
            format!("there is no revocation list of {issuer}: certificates that it signs are refused, as nobody knows whether they were revoked")
        }));
        findings
    }
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTrust")
    }
}

fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>> {
    let origin = path.display().to_string();
    let text = read(path)?;
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    match lists {
        Ok(lists) if lists.is_empty() => Err(Error::NoRevocationList(origin)),
        Ok(lists) => Ok(lists),
        Err(error) => Err(Error::BrokenPem(origin, error)),
    }
}

/// Checks whole chains: what an authority signed counts for nothing once it was revoked itself.
fn verifier(
    roots: RootCertStore,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    origin: String,
) -> Result<Option<Arc<dyn ClientCertVerifier>>> {
    if roots.is_empty() {
        return Ok(None);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(revoked)
        .enforce_revocation_expiration()
        .allow_unauthenticated();
    let built = verifier.build();
    built
        .map(Some)
        .map_err(|error| Error::BrokenCertificate(origin, error.into()))
}

/// True if an authority is on a list of its issuer. Both are the operator's files, so nobody else can have it refused.
fn is_on(authority: &CertificateDer<'_>, lists: &[CertificateRevocationListDer<'_>]) -> bool {
    let Ok(authority) = parse(authority, "") else {
        return false;
    };
    lists.iter().any(|list| {
        let Ok((_, list)) = CertificateRevocationList::from_der(list) else {
            return false;
        };
        list.issuer().as_raw() == authority.issuer().as_raw()
            && list
                .iter_revoked_certificates()
                .any(|revoked| revoked.raw_serial() == authority.raw_serial())
    })
}

fn list_of(list: &CertificateRevocationListDer<'_>) -> Option<List> {
    let (_, list) = CertificateRevocationList::from_der(list).ok()?;
    Some(List {
        issuer: list.issuer().to_string(),
        next_update: list.next_update().map(|end| end.to_datetime()),
    })
}

fn subjects<'a>(authorities: &'a [CertificateDer<'_>]) -> impl Iterator<Item = String> + 'a {
    let parsed = authorities.iter().filter_map(|der| parse(der, "").ok());
    parsed.map(|authority| authority.subject().to_string())
}

/// Why a client's certificate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Clients are no longer asked for certificates.
    #[error("client certificates are not accepted")]
    Unasked,
    /// It was revoked, or an authority between it and a trusted one.
    #[error("the client certificate, or that of its authority, was revoked")]
    Revoked,
    /// It expired.
    #[error("the client certificate has expired, or is not valid yet")]
    Expired,
    /// Its revocation cannot be checked.
    #[error(
        "whether the client certificate was revoked is unknown: the revocation list of an authority of its chain is missing or too old"
    )]
    Unknown,
    /// It is not one of an authority that is trusted.
    #[error("the client certificate is not from an authority that this registry trusts")]
    Untrusted,
}

/// The certificate that a client presented on a connection.
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    subjects: Vec<String>,
    serial: String,
    issuer: String,
    common_name: Option<String>,
    organizations: Vec<String>,
    units: Vec<String>,
    not_after: OffsetDateTime,
    /// When it was found good, and by which trust.
    checked: parking_lot::Mutex<Option<(Arc<ClientTrust>, OffsetDateTime)>>,
}

impl ClientCertificate {
    /// Reads a chain, the client's own certificate first; `None` if it cannot be read.
    pub fn new(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let chain: Vec<_> = chain.iter().map(|der| der.clone().into_owned()).collect();
        let first = chain.first()?.clone();
        let parsed = parse(&first, "").ok()?;
        Some(Self {
            subjects: names(&parsed),
            serial: hex::encode(parsed.raw_serial()),
            issuer: parsed.issuer().to_string(),
            common_name: texts(parsed.subject().iter_common_name())
                .into_iter()
                .next(),
            organizations: texts(parsed.subject().iter_organization()),
            units: texts(parsed.subject().iter_organizational_unit()),
            not_after: parsed.validity().not_after.to_datetime(),
            checked: parking_lot::Mutex::default(),
            chain,
        })
    }

    /// Who its owner is: `spiffe://…` and other URIs, `dns:NAME`, `email:ADDRESS`, `ip:ADDRESS` and `cn:COMMON NAME`; at
    /// most 16.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// The serial number in lower-case hex.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The distinguished name of its issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The common name of its subject.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The organizations of its subject.
    pub fn organizations(&self) -> &[String] {
        &self.organizations
    }

    /// The organizational units of its subject.
    pub fn units(&self) -> &[String] {
        &self.units
    }

    /// When it expires.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    pub(crate) fn check(
        &self,
        trust: &Arc<ClientTrust>,
        now: OffsetDateTime,
    ) -> Result<(), Refused> {
        let is_known = self.checked.lock().as_ref().is_some_and(|(by, at)| {
            Arc::ptr_eq(by, trust) && *at <= now && now - *at < CHECKED_FOR && now < self.not_after
        });
        if is_known {
            return Ok(());
        }
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let (own, rest) = self.chain.split_first().ok_or(Refused::Untrusted)?;
        let verifier = trust.verifier.as_ref().ok_or(Refused::Revoked)?;
        let verified = verifier.verify_client_cert(own, rest, at);
        verified.map_err(|error| refusal(&error))?;
        *self.checked.lock() = Some((trust.clone(), now));
        Ok(())
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("subjects", &self.subjects)
            .field("serial", &self.serial)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

fn refusal(error: &rustls::Error) -> Refused {
    let rustls::Error::InvalidCertificate(error) = error else {
        return Refused::Untrusted;
    };
    match error {
        CertificateError::Revoked => Refused::Revoked,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Refused::Expired,
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => Refused::Unknown,
        _ => Refused::Untrusted,
    }
}

fn texts<'a>(
    attributes: impl Iterator<Item = &'a x509_parser::x509::AttributeTypeAndValue<'a>>,
) -> Vec<String> {
    let texts = attributes.filter_map(|attribute| attribute.as_str().ok());
    let short = texts.filter(|text| text.len() <= LONGEST_NAME);
    short.take(MOST_NAMES).map(str::to_owned).collect()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        found.extend(extension.value.general_names.iter().filter_map(subject));
    }
    let common = texts(certificate.subject().iter_common_name());
    found.extend(common.into_iter().next().map(|name| format!("cn:{name}")));
    found.retain(|name| name.len() <= LONGEST_NAME && !name.chars().any(char::is_control));
    found.truncate(MOST_NAMES);
    found
}

/// A name as rules write it. A URI that begins like another kind of name is left out, so that none is taken for it.
fn subject(name: &GeneralName<'_>) -> Option<String> {
    let mut text = String::new();
    match name {
        GeneralName::DNSName(name) => write!(text, "dns:{}", name.to_ascii_lowercase()).ok()?,
        GeneralName::RFC822Name(address) => write!(text, "email:{address}").ok()?,
        GeneralName::URI(uri) => {
            let is_other = |kind| uri.to_ascii_lowercase().starts_with(kind);
            if ["dns:", "email:", "ip:", "cn:"].into_iter().any(is_other) {
                return None;
            }
            text.push_str(uri);
        }
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(|octets| Ipv4Addr::from(octets).to_string());
            let sixteen =
                || <[u8; 16]>::try_from(*bytes).map(|octets| Ipv6Addr::from(octets).to_string());
            write!(text, "ip:{}", four.or_else(|_| sixteen()).ok()?).ok()?;
        }
        _ => return None,
    }
    Some(text)
}

#[cfg(test)]
mod tests;
