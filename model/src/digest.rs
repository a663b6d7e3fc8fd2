//! Content digests, and hashing with a state that can be stored.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

/// A registered digest algorithm of the OCI image specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the default.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The name as written in digests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Its number in databases.
    const fn number(self) -> u8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Length of the hash in bytes.
    pub const fn hash_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl FromStr for Algorithm {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(InvalidDigest::UnknownAlgorithm),
        }
    }
}

/// A content digest, `sha256:<64 hex>` or `sha512:<128 hex>`, as defined in the OCI image specification's "Digests"
/// section (lower-case hex only).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hash: [u8; 64],
}

/// Why a text is not a digest that this registry supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// No `algorithm:hex` form.
    #[error("invalid checksum digest format")]
    Format,
    /// An algorithm other than sha256 and sha512.
    #[error("unsupported digest algorithm (use sha256 or sha512)")]
    UnknownAlgorithm,
    /// The hex part has the wrong length or characters.
    #[error("invalid checksum digest length or characters")]
    Hash,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The algorithm of the hash.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash itself, 32 or 64 bytes.
    pub fn hash(&self) -> &[u8] {
        &self.hash[..self.algorithm.hash_len()]
    }

    /// A byte for the algorithm, and the hash: the form in which databases store it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.hash().len());
        bytes.push(self.algorithm.number());
        bytes.extend_from_slice(self.hash());
        bytes
    }

    /// The digest with these [`Self::to_bytes`].
    ///
    /// # Errors
    /// When there is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidDigest> {
        let (number, hash) = bytes.split_first().ok_or(InvalidDigest::Format)?;
        let algorithm = Algorithm::from_number(*number).ok_or(InvalidDigest::UnknownAlgorithm)?;
        if hash.len() != algorithm.hash_len() {
            return Err(InvalidDigest::Hash);
        }
        Ok(Self::new(algorithm, hash))
    }

    fn new(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hash = [0; 64];
        hash[..bytes.len()].copy_from_slice(bytes);
        Self { algorithm, hash }
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (algorithm, encoded) = text.split_once(':').ok_or(InvalidDigest::Format)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if encoded.len() != algorithm.hash_len() * 2 || !encoded.bytes().all(lower) {
            return Err(InvalidDigest::Hash);
        }
        let mut hash = [0; 64];
        hex::decode_to_slice(encoded, &mut hash[..algorithm.hash_len()])
            .map_err(|_| InvalidDigest::Hash)?;
        Ok(Self { algorithm, hash })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut encoded = [0; 128];
        let encoded = &mut encoded[..self.algorithm.hash_len() * 2];
        hex::encode_to_slice(self.hash(), encoded).map_err(|_| fmt::Error)?;
        f.write_str(self.algorithm.name())?;
        f.write_str(":")?;
        f.write_str(std::str::from_utf8(encoded).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A running hash whose state can be stored and resumed by another process.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-256 in progress.
    Sha256(Sha256),
    /// SHA-512 in progress.
    Sha512(Sha512),
}

/// Version of the stored state: the layout of `sha2` 0.11.
const STATE_VERSION: u8 = 1;

impl Hasher {
    /// A hash of no bytes yet.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Hashes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all bytes so far.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::new(Algorithm::Sha256, &hasher.finalize()),
            Self::Sha512(hasher) => Digest::new(Algorithm::Sha512, &hasher.finalize()),
        }
    }

    /// The state, to be stored with its offset: a version byte, the algorithm's hash length, then `sha2`'s own layout.
    pub fn state(&self) -> Vec<u8> {
        let mut state = vec![STATE_VERSION, self.algorithm().hash_len() as u8];
        match self {
            Self::Sha256(hasher) => state.extend_from_slice(&hasher.serialize()),
            Self::Sha512(hasher) => state.extend_from_slice(&hasher.serialize()),
        }
        state
    }

    /// Resumes a stored state; `None` if it has another version or is damaged.
    pub fn from_state(state: &[u8]) -> Option<Self> {
        let (head, body) = state.split_at_checked(2)?;
        match head {
            [STATE_VERSION, 32] => {
                let body = SerializedState::<Sha256>::try_from(body).ok()?;
                Sha256::deserialize(&body).ok().map(Self::Sha256)
            }
            [STATE_VERSION, 64] => {
                let body = SerializedState::<Sha512>::try_from(body).ok()?;
                Sha512::deserialize(&body).ok().map(Self::Sha512)
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm().name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_valid_digest_prints_back_unchanged(text in "sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}") {
            prop_assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = text.parse::<Digest>();
        }

        #[test]
        fn a_hash_continues_from_its_stored_state(a: Vec<u8>, b: Vec<u8>) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let mut first = Hasher::new(algorithm);
                first.update(&a);
                let mut second = Hasher::from_state(&first.state()).unwrap();
                second.update(&b);
                prop_assert_eq!(second.finish(), Digest::of(algorithm, &[a.clone(), b.clone()].concat()));
            }
        }

        #[test]
        fn a_damaged_state_is_refused_without_panic(state: Vec<u8>) {
            let _ = Hasher::from_state(&state);
        }
    }

    #[test]
    fn upper_case_hex_is_refused() {
        let text = format!("sha256:{}", "A".repeat(64));
        assert_eq!(text.parse::<Digest>(), Err(InvalidDigest::Hash));
    }
}
