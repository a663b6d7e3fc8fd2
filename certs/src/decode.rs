//! Reading certificates and keys: files, PEM and DER.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The largest certificate or key file that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let wrong = |error| Error::Read(path.to_owned(), error);
    let file = File::open(path).map_err(wrong)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(wrong)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Error::TooLarge {
            path: path.to_owned(),
            limit: LARGEST_FILE,
        });
    }
    Ok(bytes)
}

pub(crate) fn decode_chain(pem: &[u8], origin: &str) -> Result<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    chain.map_err(|error| pem_error(error, origin))
}

pub(crate) fn decode_key(pem: &[u8], origin: &str) -> Result<PrivateKeyDer<'static>> {
    use rustls::pki_types::pem::Error as PemError;
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        PemError::NoItemsFound if is_encrypted(pem) => Error::EncryptedKey(origin.to_owned()),
        PemError::NoItemsFound => Error::NoKey(origin.to_owned()),
        _ if is_encrypted(pem) => Error::EncryptedKey(origin.to_owned()),
        error => Error::BrokenPem(origin.to_owned(), error),
    })
}

/// Both ways that PEM says a passphrase is needed: PKCS#8's and OpenSSL's older one.
fn is_encrypted(pem: &[u8]) -> bool {
    let has = |mark: &[u8]| pem.windows(mark.len()).any(|window| window == mark);
    has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// Decodes a certificate, `origin` saying where it came from.
pub(crate) fn parse<'a>(der: &'a CertificateDer<'_>, origin: &str) -> Result<X509Certificate<'a>> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(Error::BrokenCertificate(
            origin.to_owned(),
            error.to_string().into(),
        )),
    }
}

/// Says which of our errors a failure to find a certificate in PEM text is.
pub(crate) fn pem_error(error: rustls::pki_types::pem::Error, origin: &str) -> Error {
    match error {
        rustls::pki_types::pem::Error::NoItemsFound => Error::NoCertificate(origin.to_owned()),
        error => Error::BrokenPem(origin.to_owned(), error),
    }
}
