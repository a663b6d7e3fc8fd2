//! A server certificate with its key, checked to match and ready for handshakes.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use crate::authority::Authority;
use crate::decode::{decode_chain, decode_key, parse, read};
use crate::error::{Error, Result};
use crate::name::SubjectName;

/// A chain of certificates as a server sends it, and what an operator asks about it.
pub struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    names: Vec<String>,
    serial: String,
    issuer: String,
}

impl Chain {
    /// Reads a chain, the server's own certificate first.
    ///
    /// # Errors
    ///
    /// [`Error::NoCertificate`], [`Error::BrokenCertificate`].
    pub fn new(certificates: Vec<CertificateDer<'static>>, origin: &str) -> Result<Self> {
        let leaf = certificates.first();
        let leaf = leaf.ok_or_else(|| Error::NoCertificate(origin.to_owned()))?;
        let parsed = parse(leaf, origin)?;
        Ok(Self {
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
            names: alternative_names(&parsed),
            serial: hex::encode(parsed.raw_serial()),
            issuer: parsed.issuer().to_string(),
            certificates,
        })
    }

    /// The certificates that are sent, the server's own first.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// From when the certificate is valid.
    pub fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// When the certificate expires.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// The DNS names and IP addresses for which it is valid, in its own order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// True if it is valid for `name`.
    pub fn covers(&self, name: &SubjectName) -> bool {
        let own = self.names.iter().map(|own| own.parse::<SubjectName>());
        own.flatten().any(|own| own == *name)
    }

    /// True if clients that use `name` accept it: wildcards stand for one label.
    pub fn serves(&self, name: &SubjectName) -> bool {
        let wildcard = match name {
            SubjectName::Dns(name) => name.split_once('.').map(|(_, rest)| format!("*.{rest}")),
            SubjectName::Address(_) => None,
        };
        let wildcard = wildcard.and_then(|name| name.parse().ok());
        self.covers(name) || wildcard.is_some_and(|name| self.covers(&name))
    }

    /// The serial number in lower-case hex.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The distinguished name of its issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// What a listener presents: a chain and its key.
pub struct ServerCertificate {
    certified_key: Arc<CertifiedKey>,
    chain: Chain,
}

impl Deref for ServerCertificate {
    type Target = Chain;

    fn deref(&self) -> &Chain {
        &self.chain
    }
}

impl ServerCertificate {
    /// Reads a chain and its key from two PEM files; blocks on the disk.
    ///
    /// # Errors
    ///
    /// Each names the file and what to do. Expiry is not checked: an expired certificate is better than none, and
    /// clients report it.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self> {
        let chain_pem = read(certificate)?;
        let key_pem = read(key)?;
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        Self::assemble(&chain_pem, &key_pem, certificate, key)
    }

    /// Reads a chain and its key from PEM text.
    ///
    /// # Errors
    ///
    /// When either does not decode or they do not match.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self> {
        let origins = (
            "the given certificate".to_owned(),
            "the given key".to_owned(),
        );
        Self::assemble(chain.as_bytes(), key.as_bytes(), origins.0, origins.1)
    }

    fn assemble(
        chain: &[u8],
        key: &[u8],
        chain_origin: String,
        key_origin: String,
    ) -> Result<Self> {
        let chain = decode_chain(chain, &chain_origin)?;
        let key = decode_key(key, &key_origin)?;
        if chain.is_empty() {
            return Err(Error::NoCertificate(chain_origin));
        }
        let signing_key = aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|error| Error::UnsupportedKey(key_origin.clone(), error.into()))?;
        let certified_key = CertifiedKey::new(chain, signing_key);
        match certified_key.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                return Err(Error::KeyMismatch {
                    certificate: chain_origin,
                    key: key_origin,
                });
            }
            Err(error) => return Err(Error::BrokenCertificate(chain_origin, error.into())),
        }
        Ok(Self {
            chain: Chain::new(certified_key.cert.clone(), &chain_origin)?,
            certified_key: Arc::new(certified_key),
        })
    }

    /// The chain and key in rustls's form.
    pub fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified_key
    }

    /// True if `authority` signed it; checks the signature.
    pub fn issued_by(&self, authority: &Authority) -> bool {
        let leaf = self.certified_key.cert.first().map(|leaf| parse(leaf, ""));
        matches!(leaf, Some(Ok(leaf)) if authority.signed(&leaf))
    }

    /// True if both present the same chain.
    pub(crate) fn same_chain(&self, other: &Self) -> bool {
        self.certified_key.cert == other.certified_key.cert
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("names", &self.names)
            .field("serial", &self.serial)
            .field("issuer", &self.issuer)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(printable)
        .collect()
}

fn printable(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|octets| Ipv4Addr::from(octets).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|octets| Ipv6Addr::from(octets).to_string()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use time::macros::datetime;

    use super::*;
    use crate::authority::Issued;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn issued(authority: &Authority) -> Issued {
        let names = ["registry.example", "10.9.0.2", "::1"].map(|name| name.parse().unwrap());
        authority.issue(&names, NOW, 30).unwrap()
    }

    #[test]
    fn a_pair_tells_what_it_is() {
        let authority = Authority::create("Gantry CA", NOW).unwrap();
        let Issued { chain_pem, key_pem } = issued(&authority);
        let server = ServerCertificate::from_pem(&chain_pem, &key_pem).unwrap();
        assert_eq!(server.names(), ["registry.example", "10.9.0.2", "::1"]);
        assert_eq!(server.not_before(), datetime!(2026-03-01 11:00 UTC));
        assert_eq!(server.not_after(), datetime!(2026-03-31 12:00 UTC));
        assert_eq!(server.issuer(), "CN=Gantry CA");
        assert!(server.serial().len() >= 16 && hex::decode(server.serial()).is_ok());
    }

    #[test]
    fn a_name_is_covered_however_it_is_written() {
        let pair = issued(&Authority::create("CA", NOW).unwrap());
        let server = ServerCertificate::from_pem(&pair.chain_pem, &pair.key_pem).unwrap();
        for name in ["Registry.Example", "0:0:0:0:0:0:0:1", "[::1]", "10.9.0.2"] {
            assert!(server.covers(&name.parse().unwrap()), "{name}");
        }
        assert!(!server.covers(&"other.example".parse().unwrap()));
    }

    #[test]
    fn only_the_authority_that_signed_it_issued_it() {
        let (own, namesake) = (
            Authority::create("CA", NOW).unwrap(),
            Authority::create("CA", NOW).unwrap(),
        );
        let pair = issued(&own);
        let server = ServerCertificate::from_pem(&pair.chain_pem, &pair.key_pem).unwrap();
        assert!(server.issued_by(&own));
        assert!(!server.issued_by(&namesake));
    }

    #[test]
    fn the_key_of_another_certificate_is_refused_with_both_files_named() {
        let authority = Authority::create("CA", NOW).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("a.crt"), folder.path().join("b.key"));
        fs::write(&certificate, issued(&authority).chain_pem).unwrap();
        fs::write(&key, issued(&authority).key_pem.as_bytes()).unwrap();
        let error = ServerCertificate::load(&certificate, &key).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("a.crt") && text.contains("b.key"), "{text}");
    }

    #[test]
    fn a_chain_with_the_authority_first_is_refused() {
        let authority = Authority::create("CA", NOW).unwrap();
        let pair = issued(&authority);
        let chain = authority.certificate_pem().to_owned() + &pair.chain_pem;
        let error = ServerCertificate::from_pem(&chain, &pair.key_pem).unwrap_err();
        assert!(matches!(error, Error::KeyMismatch { .. }));
    }

    #[test]
    fn each_thing_wrong_has_its_own_error() {
        let authority = Authority::create("CA", NOW).unwrap();
        let Issued { chain_pem, key_pem } = issued(&authority);
        let tried = |chain: &str, key: &str| ServerCertificate::from_pem(chain, key).unwrap_err();
        let encrypted = key_pem.replace("PRIVATE", "ENCRYPTED PRIVATE");
        assert!(matches!(tried("", &key_pem), Error::NoCertificate(_)));
        assert!(matches!(tried(&key_pem, &key_pem), Error::NoCertificate(_)));
        assert!(matches!(tried(&chain_pem, &chain_pem), Error::NoKey(_)));
        assert!(matches!(
            tried(&chain_pem, &encrypted),
            Error::EncryptedKey(_)
        ));
        assert!(matches!(
            tried(&chain_pem[..200], &key_pem),
            Error::BrokenPem(..)
        ));
        let missing = ServerCertificate::load(Path::new("/none.crt"), Path::new("/none.key"));
        assert!(missing.unwrap_err().to_string().contains("/none.crt"));
    }
}
