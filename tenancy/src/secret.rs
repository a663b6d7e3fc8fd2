//! The master key, keys derived from it, and text that must not be printed. Account passwords are hashed in `password`;
//! token keys are in `auth::token` and are encrypted here for storage.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{hkdf, hmac, rand};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Length of a master key, and of the keys derived from it, in bytes.
const KEY_LEN: usize = 32;

/// Maximum size of a master key file, in bytes.
const LARGEST_FILE: u64 = 4096;

/// The first byte of sealed data: AES-256-GCM, 12 bytes of nonce, ciphertext, 16 bytes of tag.
const SEAL_VERSION: u8 = 1;

/// Separates this product's derived keys from those that another derives from the same master key.
const SALT: &[u8] = b"gantry master key v1";

/// Why a secret could not be read, sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The master key file could not be read.
    #[error("cannot read the master key file {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The master key file could not be written.
    #[error("cannot write the master key file {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// The master key file does not hold a master key.
    #[error(
        "{} is not a master key; it must hold one line, 32 bytes in base64 or hex: \
         openssl rand -base64 32", .0.display()
    )]
    NotAKey(PathBuf),
    /// Sealed data is cut short, altered, or was sealed under another key, purpose or context.
    #[error("cannot open sealed data; it was altered, or sealed with another master key")]
    Sealed,
    /// The system provided no random bytes, or the cipher refused its input.
    #[error("the system's cryptography failed")]
    Crypto,
}

/// The master key of an installation, from which all other keys derive.
pub struct MasterKey(Zeroizing<[u8; KEY_LEN]>);

impl MasterKey {
    /// Reads the key from `path`, or creates one there (mode 0600) if there is no such file.
    ///
    /// If several processes start at once, all get the same key. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`SecretError::Read`], [`SecretError::Write`], [`SecretError::NotAKey`] or [`SecretError::Crypto`].
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        match Self::load(path) {
            Err(SecretError::Read(_, error)) if error.kind() == io::ErrorKind::NotFound => {
                create(path, &Self::generate_text()?)?;
                Self::load(path)
            }
            loaded => loaded,
        }
    }

    /// Reads the key from `path`; blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`SecretError::Read`] or [`SecretError::NotAKey`].
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        let wrong = |error| SecretError::Read(path.to_owned(), error);
        let mut text = Zeroizing::new(Vec::new());
        let file = File::open(path).map_err(wrong)?;
        file.take(LARGEST_FILE)
            .read_to_end(&mut text)
            .map_err(wrong)?;
        Self::parse(&text).ok_or_else(|| SecretError::NotAKey(path.to_owned()))
    }

    /// Parses the key from the text of a file: 32 bytes in hex or base64 (either alphabet, padded or not).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let lenient =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let decode = |alphabet| GeneralPurpose::new(alphabet, lenient).decode(text).ok();
        let bytes = match text.len() {
            64 => hex::decode(text).ok(),
            43 | 44 => decode(&STANDARD).or_else(|| decode(&URL_SAFE)),
            _ => None,
        };
        let bytes = Zeroizing::new(bytes?);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// A new random key in file format: one line of base64.
    ///
    /// # Errors
    ///
    /// [`SecretError::Crypto`] if the system provides no random bytes.
    pub fn generate_text() -> Result<Zeroizing<String>, SecretError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut *key).map_err(|_| SecretError::Crypto)?;
        let mut text = base64::engine::general_purpose::STANDARD.encode(key.as_slice());
        text.push('\n');
        Ok(Zeroizing::new(text))
    }

    /// The key for a purpose, by HKDF-SHA256; equal purposes give equal keys, and the keys of others reveal nothing
    /// about it.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; KEY_LEN]> {
        let mut derived = Zeroizing::new([0; KEY_LEN]);
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(&*self.0);
        key.expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|material| material.fill(&mut *derived))
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        derived
    }

    /// Encrypts `plaintext` for a purpose; `context` must be given again to open it, and is not stored.
    ///
    /// Pass as `context` what the data belongs to, such as a row's ID, so that it cannot be moved elsewhere.
    ///
    /// # Errors
    ///
    /// [`SecretError::Crypto`] if the system provides no random bytes.
    pub fn seal(
        &self,
        purpose: &str,
        plaintext: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SecretError::Crypto)?;
        let mut sealed =
            Vec::with_capacity(1 + NONCE_LEN + plaintext.len() + AES_256_GCM.tag_len());
        sealed.push(SEAL_VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let (_, body) = sealed.split_at_mut(1 + NONCE_LEN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .cipher(purpose)?
            .seal_in_place_separate_tag(nonce, associated(context), body)
            .map_err(|_| SecretError::Crypto)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Decrypts what [`MasterKey::seal`] made for the same purpose and context.
    ///
    /// # Errors
    ///
    /// [`SecretError::Sealed`] when it is anything else.
    pub fn open(
        &self,
        purpose: &str,
        sealed: &[u8],
        context: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let rest = sealed
            .strip_prefix(&[SEAL_VERSION])
            .ok_or(SecretError::Sealed)?;
        let (nonce, body) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SecretError::Sealed)?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .cipher(purpose)?
            .open_in_place(nonce, associated(context), &mut body)
            .map_err(|_| SecretError::Sealed)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// HMAC-SHA256 of `data` under the key for one purpose: how random secrets are stored and looked up.
    pub fn keyed_hash(&self, purpose: &str, data: &[u8]) -> [u8; KEY_LEN] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.derive(purpose));
        let tag = hmac::sign(&key, data);
        tag.as_ref().try_into().expect("HMAC-SHA256 is 32 bytes")
    }

    fn cipher(&self, purpose: &str) -> Result<LessSafeKey, SecretError> {
        let key = UnboundKey::new(&AES_256_GCM, &*self.derive(purpose));
        key.map(LessSafeKey::new).map_err(|_| SecretError::Crypto)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// Constant-time comparison, which reveals only the lengths.
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

/// Text that is never printed and is wiped when dropped: a password, a robot's secret, a database URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the code that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// HMAC-SHA256 of `data` by this text, in hexadecimal digits: how requests are signed.
    pub fn sign(&self, data: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        hex::encode(hmac::sign(&key, data))
    }

    /// Compares with `text` in constant time, which reveals only the lengths.
    pub fn matches(&self, text: &str) -> bool {
        equal(self.0.as_bytes(), text.as_bytes())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Writes `***`, so that a configuration can be shown.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// The additional authenticated data of sealed data, which includes the version so that it cannot be changed.
fn associated(context: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([&[SEAL_VERSION], context].concat())
}

/// Writes a new file atomically, readable by its owner only; if another process was faster, its file is kept.
fn create(path: &Path, text: &str) -> Result<(), SecretError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    try_create(folder, path, text).map_err(|error| SecretError::Write(path.to_owned(), error))
}

fn try_create(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    // tempfile creates it with mode 0600
    let mut temporary = tempfile::Builder::new()
        .prefix(".gantry-")
        .tempfile_in(folder)?;
    temporary.write_all(text.as_bytes())?;
    temporary.as_file().sync_all()?;
    match temporary.persist_noclobber(path) {
        Ok(_) => {}
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(failed) => return Err(failed.error),
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    fn key() -> MasterKey {
        MasterKey::parse(&[b'a'; 64]).unwrap()
    }

    #[test]
    fn a_key_is_made_once_for_the_owner_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::load_or_create(&path).unwrap();
        let read = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(made.0, read.0);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn who_comes_second_gets_the_first_ones_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = MasterKey::load_or_create(&path).unwrap();
        create(&path, &MasterKey::generate_text().unwrap()).unwrap();
        assert_eq!(MasterKey::load(&path).unwrap().0, first.0);
    }

    #[test]
    fn a_key_reads_in_hex_and_in_every_base64() {
        let bytes = [0xfb; KEY_LEN];
        let engine = base64::engine::general_purpose::STANDARD;
        let padded = engine.encode(bytes);
        let unpadded = padded.trim_end_matches('=').to_owned();
        let url_safe = padded.replace('+', "-").replace('/', "_");
        for text in [
            hex::encode(bytes),
            hex::encode_upper(bytes),
            padded,
            unpadded,
            url_safe,
        ] {
            let key = MasterKey::parse(format!("{text}\r\n").as_bytes()).unwrap();
            assert_eq!(*key.0, bytes, "{text}");
        }
    }

    #[test]
    fn a_file_with_something_else_is_named_with_the_fix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        for wrong in [&b""[..], b"password", &[b'z'; 64], &[b'a'; 65], &[0xff; 44]] {
            fs::write(&path, wrong).unwrap();
            let error = MasterKey::load_or_create(&path).unwrap_err().to_string();
            assert!(
                error.contains("master.key") && error.contains("openssl rand"),
                "{error}"
            );
        }
    }

    #[test]
    fn purposes_have_keys_of_their_own() {
        assert_eq!(key().derive("one"), key().derive("one"));
        assert_ne!(key().derive("one"), key().derive("two"));
        assert_ne!(
            key().keyed_hash("one", b"data"),
            key().keyed_hash("two", b"data")
        );
        assert_ne!(
            key().keyed_hash("one", b"data"),
            key().keyed_hash("one", b"date")
        );
    }

    #[test]
    fn derivation_stays_as_it_is_or_stored_secrets_are_lost() {
        // computed with Python's hmac and RFC 5869
        let golden = "7db7ac1bc7f869ee8e5798585ab9d08031ffb6f8fa014a4e339577fbbabd4898";
        assert_eq!(hex::encode(key().derive("golden").as_slice()), golden);
    }

    #[test]
    fn sealed_data_opens_only_under_its_key_purpose_and_context_and_unaltered() {
        let sealed = key().seal("ca", b"secret", b"row 1").unwrap();
        assert_eq!(*key().open("ca", &sealed, b"row 1").unwrap(), b"secret");
        let other = MasterKey::parse(&[b'b'; 64]).unwrap();
        assert!(other.open("ca", &sealed, b"row 1").is_err());
        assert!(key().open("cb", &sealed, b"row 1").is_err());
        assert!(key().open("ca", &sealed, b"row 2").is_err());
        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert!(key().open("ca", &altered, b"row 1").is_err());
            assert!(key().open("ca", &sealed[..position], b"row 1").is_err());
        }
    }

    #[test]
    fn sealing_twice_gives_different_data() {
        let seal = || key().seal("ca", b"secret", b"").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn secrets_do_not_print() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(format!("{secret:?} {:?}", key()), "*** MasterKey(***)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert!(secret.matches("hunter2") && !secret.matches("hunter3") && !secret.matches(""));
    }

    proptest! {
        #[test]
        fn sealed_data_opens_to_what_it_was(data: Vec<u8>, context: Vec<u8>) {
            let sealed = key().seal("any", &data, &context).unwrap();
            prop_assert_eq!(&*key().open("any", &sealed, &context).unwrap(), &data);
        }

        #[test]
        fn no_text_makes_parsing_or_opening_panic(text: Vec<u8>) {
            let _ = MasterKey::parse(&text);
            let _ = key().open("any", &text, b"");
        }
    }
}
