//! Health checks of a store: a small read, and sometimes a write.

use std::time::Duration;

use crate::identity::{self, Identity};
use crate::{BlobStore, Error};

/// Time limit for the store's answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a health check covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Read the identity.
    Read,
    /// Also write and delete a small object.
    Write,
}

/// The health of a store.
#[derive(Debug)]
pub enum Health {
    /// It can be used.
    Well,
    /// It cannot be read.
    Down(Error),
    /// It can be read, but not written.
    ReadOnly(Error),
    /// It is not the expected store, or has no identity.
    Wrong(Option<Identity>),
}

/// Checks a store that must have an identity.
pub async fn look(store: &dyn BlobStore, expected: &Identity, probe: Probe) -> Health {
    match within("read", store.identity()).await {
        Err(error) => return Health::Down(error),
        Ok(Some(found)) if found.is_same(expected) => {}
        Ok(found) => return Health::Wrong(found),
    }
    if probe == Probe::Write
        && let Err(error) = within("write", store.try_write()).await
    {
        return Health::ReadOnly(error);
    }
    Health::Well
}

/// Applies the time limit.
async fn within<T>(
    action: &'static str,
    work: impl Future<Output = crate::Result<T>>,
) -> crate::Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(elapsed) => Err(Error::Unavailable {
            action,
            key: identity::KEY.to_owned(),
            source: elapsed.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use model::{InstallationId, StoreId};

    use super::*;
    use crate::identity::Existing;
    use crate::{Files, Memory};

    fn identity(store: u8) -> Identity {
        let installation = InstallationId::new([1; 16]);
        Identity::new(installation, StoreId::new([store; 16]), String::new())
    }

    #[tokio::test]
    async fn a_store_is_well_or_wrong() {
        let store = Memory::default();
        let health = look(&store, &identity(1), Probe::Write).await;
        assert!(matches!(health, Health::Wrong(None)), "{health:?}");
        let identity_of_one = identity(1);
        let put = store.put_identity(&identity_of_one, Existing::Kept);
        put.await.unwrap();
        let health = look(&store, &identity(1), Probe::Write).await;
        assert!(matches!(health, Health::Well), "{health:?}");
        let health = look(&store, &identity(2), Probe::Read).await;
        assert!(matches!(health, Health::Wrong(Some(_))), "{health:?}");
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_or_written_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Files::open(folder.path()).unwrap();
        let identity_of_one = identity(1);
        let put = store.put_identity(&identity_of_one, Existing::Kept);
        put.await.unwrap();
        // A folder in the place of the probe's file: root may write where permissions forbid it.
        let blocked = folder.path().join(store.probe_name());
        std::fs::create_dir(&blocked).unwrap();
        let health = look(&store, &identity(1), Probe::Read).await;
        assert!(matches!(health, Health::Well), "{health:?}");
        let health = look(&store, &identity(1), Probe::Write).await;
        assert!(matches!(health, Health::ReadOnly(_)), "{health:?}");
        let file = folder.path().join(identity::KEY);
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        let health = look(&store, &identity(1), Probe::Read).await;
        assert!(matches!(health, Health::Down(_)), "{health:?}");
    }
}
