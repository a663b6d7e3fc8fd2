//! Session IDs: they are signed and contain the whole state of a session without bytes, so that starting one writes
//! nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Algorithm, Timestamp};
use policy::PushPermit;
use tenancy::secret::{MasterKey, equal};

/// Random bytes, time, algorithm.
const PAYLOAD: usize = 16 + 8 + 1;
/// Bytes of the signature in the ID.
const SIGNATURE: usize = 16;

/// An upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    id: String,
    started: Timestamp,
    algorithm: Algorithm,
}

impl Session {
    pub(super) fn begin(
        master: &MasterKey,
        permit: &PushPermit,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Self {
        let mut bytes = Vec::with_capacity(PAYLOAD + SIGNATURE);
        bytes.extend_from_slice(&auth::random::<16>());
        bytes.extend_from_slice(&now.0.to_be_bytes());
        bytes.push(algorithm.hash_len() as u8);
        let signature = sign(master, permit, &bytes);
        bytes.extend_from_slice(&signature);
        Self {
            id: URL_SAFE_NO_PAD.encode(bytes),
            started: now,
            algorithm,
        }
    }

    pub(super) fn read(master: &MasterKey, permit: &PushPermit, id: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
        let (payload, signature) = bytes.split_at_checked(PAYLOAD)?;
        if !equal(&sign(master, permit, payload), signature) {
            return None;
        }
        let started = i64::from_be_bytes(payload.get(16..24)?.try_into().ok()?);
        let algorithm = match payload.get(24)? {
            32 => Algorithm::Sha256,
            64 => Algorithm::Sha512,
            _ => return None,
        };
        Some(Self {
            id: id.to_owned(),
            started: Timestamp(started),
            algorithm,
        })
    }

    /// The ID, usable in a path.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The algorithm of the running hash.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A session belongs to a repository, to the project of that name, and to whoever started it.
fn sign(master: &MasterKey, permit: &PushPermit, payload: &[u8]) -> [u8; SIGNATURE] {
    let principal = permit.caller().id().map_or(0, |id| id.0);
    let mut text = payload.to_vec();
    text.extend_from_slice(&principal.to_be_bytes());
    text.extend_from_slice(&permit.project().0.to_be_bytes());
    text.extend_from_slice(permit.repository().as_str().as_bytes());
    let hash = master.keyed_hash("upload-session", &text);
    let mut signature = [0; SIGNATURE];
    signature.copy_from_slice(&hash[..SIGNATURE]);
    signature
}
