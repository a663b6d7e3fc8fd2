//! Requests for certificates, with the key that they are for.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::name::SubjectName;

/// A new key (ECDSA P-256), in PEM.
///
/// # Errors
///
/// [`Error::Issue`].
pub fn new_key() -> Result<Zeroizing<String>> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Issue)?;
    Ok(Zeroizing::new(key.serialize_pem()))
}

/// The request for a certificate for these names, signed with a key in PEM.
///
/// # Errors
///
/// [`Error::UnsupportedKey`], [`Error::Issue`].
pub fn request(names: &[SubjectName], key_pem: &str) -> Result<Vec<u8>> {
    let key = KeyPair::from_pem(key_pem)
        .map_err(|error| Error::UnsupportedKey("the given key".to_owned(), error.into()))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = names
        .iter()
        .map(SubjectName::alternative)
        .collect::<Result<_>>()?;
    let request = params.serialize_request(&key).map_err(Error::Issue)?;
    Ok(request.der().to_vec())
}
