//! A private certificate authority, for a registry without certificates from elsewhere. The caller stores the
//! authority; see `file` for server pairs.

use std::fmt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::X509Certificate;
use zeroize::Zeroizing;

use crate::decode::{decode_chain, parse, pem_error, read};
use crate::error::{Error, Result};
use crate::name::SubjectName;

/// Default validity of a server certificate, in days: the maximum that browsers accept.
pub const LEAF_DAYS: u32 = 397;

/// Validity of an authority, in days: ten years.
const AUTHORITY_DAYS: i64 = 3653;

/// How far certificates are backdated, for clients whose clock is slow.
const BACKDATE: Duration = Duration::hours(1);

/// The longest common name that X.509 allows (`ub-common-name`); longer names are only in the SANs.
const LONGEST_COMMON_NAME: usize = 64;

/// A private authority (ECDSA P-256) that signs certificates of servers and clients.
pub struct Authority {
    certificate_pem: String,
    /// Its certificate as its predecessor signed it, for clients that do not trust it yet.
    bridge_pem: Option<String>,
    certificate: CertificateDer<'static>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Creates a new authority, valid for ten years from `now`.
    ///
    /// # Errors
    ///
    /// [`Error::Issue`] if the key or the certificate cannot be created.
    pub fn create(common_name: &str, now: OffsetDateTime) -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Issue)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(common_name);
        params.not_before = now - BACKDATE;
        params.not_after = now + Duration::days(AUTHORITY_DAYS);
        // One authority below it: its successor, during a rotation.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.self_signed(&key).map_err(Error::Issue)?;
        Self::assemble(certificate.der().clone(), certificate.pem(), key)
    }

    /// Loads an existing authority, created here or elsewhere.
    ///
    /// # Errors
    ///
    /// When either text does not decode, the key does not match, or the certificate may not sign.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|error| pem_error(error, "the given certificate"))?;
        let key = KeyPair::from_pem(key)
            .map_err(|error| Error::UnsupportedKey("the given key".to_owned(), error.into()))?;
        Self::assemble(der, certificate.to_owned(), key)
    }

    fn assemble(
        certificate: CertificateDer<'static>,
        certificate_pem: String,
        key: KeyPair,
    ) -> Result<Self> {
        let parsed = parse(&certificate, "the given certificate")?;
        if !may_sign(&parsed) {
            return Err(Error::NotAnAuthority);
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(Error::KeyMismatch {
                certificate: "the given certificate".to_owned(),
                key: "the given key".to_owned(),
            });
        }
        let validity = parsed.validity();
        let (not_before, not_after) = (
            validity.not_before.to_datetime(),
            validity.not_after.to_datetime(),
        );
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(Error::Issue)?;
        Ok(Self {
            certificate_pem,
            bridge_pem: None,
            certificate,
            not_before,
            not_after,
            issuer,
        })
    }

    /// Signs the certificate of a successor, so that clients that trust only this authority accept what the successor
    /// signs.
    ///
    /// # Errors
    ///
    /// [`Error::AuthorityExpired`], [`Error::Issue`].
    pub fn bridge_to(&self, successor: &Self, now: OffsetDateTime) -> Result<String> {
        if self.not_after <= now {
            return Err(Error::AuthorityExpired(self.not_after));
        }
        let own = parse(&successor.certificate, "the given certificate")?;
        let common_name = own.subject().iter_common_name().next();
        let common_name = common_name.and_then(|name| name.as_str().ok());
        let mut params = CertificateParams::default();
        params.distinguished_name = named(common_name.unwrap_or_default());
        params.not_before = successor.not_before.max(self.not_before);
        params.not_after = successor.not_after.min(self.not_after);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        let bridge = params.signed_by(successor.issuer.key(), &self.issuer);
        Ok(bridge.map_err(Error::Issue)?.pem())
    }

    /// Sends a bridge with each server certificate that it issues.
    #[must_use]
    pub fn with_bridge(mut self, bridge_pem: String) -> Self {
        self.bridge_pem = Some(bridge_pem);
        self
    }

    /// The authority's certificate, which clients install to trust the registry.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's private key in PKCS#8 form; to be stored encrypted.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// When the authority expires; nothing it signs is valid for longer.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// The distinguished name of the authority, which is the issuer of the certificates that it signs.
    ///
    /// # Errors
    ///
    /// [`Error::BrokenCertificate`], which [`Authority::from_pem`] rules out.
    pub fn subject(&self) -> Result<String> {
        let own = parse(&self.certificate, "the given certificate")?;
        Ok(own.subject().to_string())
    }

    /// Issues a server certificate with a key of its own, for `days` from `now` (see [`LEAF_DAYS`]).
    ///
    /// The first name is the common name too. The certificate ends no later than the authority.
    ///
    /// # Errors
    ///
    /// [`Error::NoNames`], [`Error::AuthorityExpired`] or [`Error::Issue`].
    pub fn issue(&self, names: &[SubjectName], now: OffsetDateTime, days: u32) -> Result<Issued> {
        self.issue_for(Use::Server, names, now, days)
    }

    /// As [`Authority::issue`], for a server or for a client.
    ///
    /// # Errors
    ///
    /// Those of [`Authority::issue`].
    pub fn issue_for(
        &self,
        purpose: Use,
        names: &[SubjectName],
        now: OffsetDateTime,
        days: u32,
    ) -> Result<Issued> {
        if self.not_after <= now {
            return Err(Error::AuthorityExpired(self.not_after));
        }
        let first = names.first().ok_or(Error::NoNames)?;
        let mut alternatives = Vec::with_capacity(names.len());
        for name in names {
            let alternative = name.alternative()?;
            if !alternatives.contains(&alternative) {
                alternatives.push(alternative);
            }
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Issue)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&first.to_string());
        params.subject_alt_names = alternatives;
        params.not_before = self.not_before.max(now - BACKDATE);
        params.not_after = self.not_after.min(now + Duration::days(days.into()));
        // the explicit form also writes the subject key identifier
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match purpose {
            Use::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Use::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(Error::Issue)?;
        Ok(Issued {
            chain_pem: certificate.pem() + self.bridge_pem.as_deref().unwrap_or_default(),
            key_pem: Zeroizing::new(key.serialize_pem()),
        })
    }

    /// True if this authority signed the first certificate in a PEM file; blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], or what is wrong with the text.
    pub fn issued(&self, certificate: &Path) -> Result<bool> {
        let origin = certificate.display().to_string();
        let chain = decode_chain(&read(certificate)?, &origin)?;
        let first = chain.first().ok_or(Error::NoCertificate(origin.clone()))?;
        Ok(self.signed(&parse(first, &origin)?))
    }

    /// True if this authority signed the certificate.
    pub(crate) fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        let Ok(own) = parse(&self.certificate, "the given certificate") else {
            return false;
        };
        certificate.issuer().as_raw() == own.subject().as_raw()
            && certificate.verify_signature(Some(own.public_key())).is_ok()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A server, which proves its names.
    Server,
    /// A client, which proves who it is.
    Client,
}

/// A newly issued certificate with its key.
pub struct Issued {
    /// The chain to send: its own certificate, and the authority's bridge if it has one. Clients already have the
    /// authority's own certificate.
    pub chain_pem: String,
    /// The private key in PKCS#8 form.
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("chain_pem", &self.chain_pem)
            .finish_non_exhaustive()
    }
}

fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let usage_allows = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    certificate.is_ca() && usage_allows
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if common_name.len() <= LONGEST_COMMON_NAME {
        name.push(DnType::CommonName, common_name);
    }
    name
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use x509_parser::extensions::GeneralName;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn names(names: &[&str]) -> Vec<SubjectName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn an_authority_may_sign_and_lasts_ten_years() {
        let authority = Authority::create("Gantry CA", NOW).unwrap();
        let der = der(authority.certificate_pem());
        let parsed = parse(&der, "").unwrap();
        assert!(may_sign(&parsed));
        assert_eq!(parsed.subject().to_string(), "CN=Gantry CA");
        assert_eq!(authority.not_after(), datetime!(2036-03-01 12:00 UTC));
        assert!(authority.signed(&parsed));
    }

    #[test]
    fn an_authority_survives_being_stored() {
        let made = Authority::create("Gantry CA", NOW).unwrap();
        let taken = Authority::from_pem(made.certificate_pem(), &made.key_pem()).unwrap();
        let leaf = der(&taken
            .issue(&names(&["a.example"]), NOW, 1)
            .unwrap()
            .chain_pem);
        assert!(made.signed(&parse(&leaf, "").unwrap()));
        assert_eq!(taken.key_pem(), made.key_pem());
    }

    /// Checks a server certificate as clients do.
    fn accepts(roots: &Authority, chain_pem: &str) -> bool {
        use rustls::client::WebPkiServerVerifier;
        use rustls::pki_types::{ServerName, UnixTime};
        let mut store = rustls::RootCertStore::empty();
        store.add(der(roots.certificate_pem())).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(std::sync::Arc::new(store), provider)
                .build()
                .unwrap();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .map(Result::unwrap)
            .collect();
        let seconds = u64::try_from(NOW.unix_timestamp()).unwrap();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let name = ServerName::try_from("a.example").unwrap();
        let verified = verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], at);
        verified.is_ok()
    }

    #[test]
    fn a_successor_is_accepted_by_clients_of_either() {
        let old = Authority::create("Gantry CA", NOW).unwrap();
        let new = Authority::create("Gantry CA 2", NOW).unwrap();
        let other = Authority::create("Gantry CA 2", NOW).unwrap();
        let bare = new.issue(&names(&["a.example"]), NOW, 9).unwrap();
        assert!(!accepts(&old, &bare.chain_pem) && accepts(&new, &bare.chain_pem));
        let bridge = old.bridge_to(&new, NOW).unwrap();
        let new = new.with_bridge(bridge);
        let bridged = new.issue(&names(&["a.example"]), NOW, 9).unwrap();
        assert!(accepts(&old, &bridged.chain_pem) && accepts(&new, &bridged.chain_pem));
        assert!(!accepts(&other, &bridged.chain_pem));
    }

    #[test]
    fn an_authority_refuses_the_key_of_another() {
        let (one, two) = (
            Authority::create("one", NOW).unwrap(),
            Authority::create("two", NOW).unwrap(),
        );
        let error = Authority::from_pem(one.certificate_pem(), &two.key_pem()).unwrap_err();
        assert!(matches!(error, Error::KeyMismatch { .. }));
    }

    #[test]
    fn a_server_certificate_makes_no_authority() {
        let leaf = Authority::create("CA", NOW)
            .unwrap()
            .issue(&names(&["a"]), NOW, 1)
            .unwrap();
        let error = Authority::from_pem(&leaf.chain_pem, &leaf.key_pem).unwrap_err();
        assert!(matches!(error, Error::NotAnAuthority));
    }

    #[test]
    fn names_become_the_right_kind_and_the_first_is_the_common_name() {
        let authority = Authority::create("CA", NOW).unwrap();
        let asked = names(&[
            "Registry.example",
            "*.apps.example",
            "10.9.0.2",
            "[::1]",
            "registry.example",
        ]);
        let leaf = der(&authority.issue(&asked, NOW, LEAF_DAYS).unwrap().chain_pem);
        let leaf = parse(&leaf, "").unwrap();
        let alternatives = leaf.subject_alternative_name().unwrap().unwrap();
        let mut loopback = [0; 16];
        loopback[15] = 1;
        assert_eq!(
            alternatives.value.general_names,
            [
                GeneralName::DNSName("registry.example"),
                GeneralName::DNSName("*.apps.example"),
                GeneralName::IPAddress(&[10, 9, 0, 2]),
                GeneralName::IPAddress(&loopback),
            ]
        );
        assert_eq!(leaf.subject().to_string(), "CN=registry.example");
    }

    #[test]
    fn a_leaf_names_its_key_and_its_authoritys_and_serves_only() {
        let authority = Authority::create("CA", NOW).unwrap();
        let leaf = der(&authority
            .issue(&names(&["a"]), NOW, LEAF_DAYS)
            .unwrap()
            .chain_pem);
        let (leaf, own) = (parse(&leaf, "").unwrap(), der(authority.certificate_pem()));
        let own = parse(&own, "").unwrap();
        let oid = |parsed: &X509Certificate<'_>, oid| {
            let mut found = parsed
                .extensions()
                .iter()
                .filter(|extension| extension.oid == oid);
            found.next().map(|extension| extension.value.to_vec())
        };
        let subject = x509_parser::oid_registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER;
        let issuer = x509_parser::oid_registry::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER;
        assert!(oid(&leaf, subject.clone()).is_some());
        // the last 20 bytes of both are the identifier itself
        let (ours, theirs) = (oid(&leaf, issuer).unwrap(), oid(&own, subject).unwrap());
        assert_eq!(ours[ours.len() - 20..], theirs[theirs.len() - 20..]);
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && !usage.client_auth && !leaf.is_ca());
    }

    #[test]
    fn a_leaf_ends_no_later_than_its_authority() {
        let authority = Authority::create("CA", NOW).unwrap();
        let late = authority.not_after() - Duration::days(3);
        let leaf = der(&authority
            .issue(&names(&["a"]), late, LEAF_DAYS)
            .unwrap()
            .chain_pem);
        let end = parse(&leaf, "").unwrap().validity().not_after.to_datetime();
        assert_eq!(end, authority.not_after());
        let error = authority
            .issue(&names(&["a"]), authority.not_after(), 1)
            .unwrap_err();
        assert!(matches!(error, Error::AuthorityExpired(_)));
    }

    #[test]
    fn a_certificate_without_names_is_refused() {
        let authority = Authority::create("CA", NOW).unwrap();
        assert!(matches!(
            authority.issue(&[], NOW, 1).unwrap_err(),
            Error::NoNames
        ));
    }

    #[test]
    fn a_file_is_issued_by_whoever_signed_it() {
        let (own, other) = (
            Authority::create("CA", NOW).unwrap(),
            Authority::create("CA", NOW).unwrap(),
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let pair = own.issue(&names(&["a"]), NOW, 1).unwrap();
        std::fs::write(file.path(), &pair.chain_pem).unwrap();
        assert!(own.issued(file.path()).unwrap());
        assert!(!other.issued(file.path()).unwrap());
        std::fs::write(file.path(), "half").unwrap();
        assert!(own.issued(file.path()).is_err());
    }

    #[test]
    fn a_name_too_long_for_a_common_name_stands_in_the_alternatives() {
        let long = format!("{}.{}.example", "a".repeat(60), "b".repeat(60));
        let authority = Authority::create("CA", NOW).unwrap();
        let leaf = der(&authority.issue(&names(&[&long]), NOW, 1).unwrap().chain_pem);
        let leaf = parse(&leaf, "").unwrap();
        assert_eq!(leaf.subject().iter().count(), 0);
        assert!(leaf.subject_alternative_name().unwrap().unwrap().critical);
    }

    #[test]
    fn keys_do_not_print() {
        let authority = Authority::create("CA", NOW).unwrap();
        let issued = authority.issue(&names(&["a"]), NOW, 1).unwrap();
        assert!(!format!("{authority:?} {issued:?}").contains("PRIVATE"));
    }
}
