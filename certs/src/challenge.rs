//! The certificate by which a server proves a name to an ACME server over TLS (RFC 8737): self-signed, valid for the
//! name, with the digest of the proof in an extension.

use std::fmt;
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::oid_registry::{Oid, asn1_rs::oid};

use crate::decode::parse;
use crate::error::{Error, Result};
use crate::name::SubjectName;

/// `id-pe-acmeIdentifier`.
const EXTENSION: Oid<'static> = oid!(1.3.6.1.5.5.7.1.31);

/// The proof of a name.
pub struct ChallengeCertificate(Arc<CertifiedKey>);

impl ChallengeCertificate {
    /// The proof for a name, from the SHA-256 digest of the key authorization.
    ///
    /// # Errors
    ///
    /// [`Error::Issue`].
    pub fn new(name: &SubjectName, digest: &[u8; 32]) -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Issue)?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name.alternative()?];
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key).map_err(Error::Issue)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = aws_lc_rs::sign::any_supported_type(&der).map_err(Error::Tls)?;
        let chain = vec![certificate.der().clone()];
        Ok(Self(Arc::new(CertifiedKey::new(chain, signing))))
    }

    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        self.0.clone()
    }
}

impl fmt::Debug for ChallengeCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChallengeCertificate")
    }
}

/// True if a server presented the proof with this digest.
pub fn proves(certificate: &CertificateDer<'_>, digest: &[u8; 32]) -> bool {
    let Ok(parsed) = parse(certificate, "") else {
        return false;
    };
    let mut extensions = parsed.extensions().iter();
    // An octet string of 32 bytes.
    let is_proof = |value: &[u8]| value.strip_prefix(&[4, 32]) == Some(digest);
    extensions.any(|extension| extension.oid == EXTENSION && is_proof(extension.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_its_digest_alone() {
        let proof = ChallengeCertificate::new(&"a.example".parse().unwrap(), &[7; 32]).unwrap();
        let key = proof.certified_key();
        assert!(proves(&key.cert[0], &[7; 32]));
        assert!(!proves(&key.cert[0], &[8; 32]));
    }
}
