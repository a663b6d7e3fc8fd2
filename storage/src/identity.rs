//! The identity of a store: a small object at its root that binds it to one installation, so that no other database
//! treats its objects as garbage. `jobs::stores` compares it with the database.

use std::io;

use model::{InstallationId, StoreId};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The key of the identity.
pub const KEY: &str = "gantry-store.json";

/// The newest format of the identity that this program reads and writes.
const FORMAT: u32 = 1;
/// Maximum size of an identity, in bytes.
pub(crate) const LONGEST: u64 = 64 << 10;

/// Which store this is, and which installation it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    format: u32,
    /// The installation whose blobs the store holds.
    pub installation: InstallationId,
    /// The store itself.
    pub store: StoreId,
    /// When it got this identity, for human readers.
    pub made_at: String,
}

/// What happens to an existing identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is kept.
    Kept,
    /// It is replaced.
    Replaced,
}

impl Identity {
    /// The identity of a store of an installation.
    pub const fn new(installation: InstallationId, store: StoreId, made_at: String) -> Self {
        Self {
            format: FORMAT,
            installation,
            store,
            made_at,
        }
    }

    /// True if both name the same store of the same installation.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.installation, self.store) == (other.installation, other.store)
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("strings and numbers are JSON");
        text.push(b'\n');
        text
    }

    pub(crate) fn parse(text: &[u8]) -> Result<Self> {
        let unreadable = |why: crate::Cause| Error::Failed {
            action: "read",
            key: KEY.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, why),
        };
        let identity: Self =
            serde_json::from_slice(text).map_err(|error| unreadable(error.into()))?;
        if identity.format > FORMAT {
            return Err(unreadable("a newer version of Gantry wrote it".into()));
        }
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_was_written() {
        let made_at = "2026-01-02T03:04:05.678Z".to_owned();
        let identity = Identity::new(
            InstallationId::new([1; 16]),
            StoreId::new([2; 16]),
            made_at.clone(),
        );
        assert_eq!(Identity::parse(&identity.text()).unwrap(), identity);
        let newer = Identity {
            format: FORMAT + 1,
            ..identity
        };
        for text in [newer.text(), b"{".to_vec(), Vec::new()] {
            let error = Identity::parse(&text).unwrap_err();
            assert!(error.unreadable_identity().is_some(), "{error:?}");
        }
    }
}
