//! Functions on top of any store: the digest of an object, and the foreign objects in a store.

use futures_util::{StreamExt as _, TryStreamExt as _};
use model::{Algorithm, Digest, Hasher};

use crate::{BlobStore, Error, PROBE, Result, identity, key};

/// Bytes to hash at a time.
const PIECE: usize = 1 << 20;

/// Reads the first `size` bytes of an object and hashes them.
///
/// # Errors
/// [`crate::Error::Missing`] or [`crate::Error::Truncated`] if they are not there.
pub async fn digest(
    store: &dyn BlobStore,
    key: &str,
    size: u64,
    algorithm: Algorithm,
) -> Result<Digest> {
    digest_watched(store, key, size, algorithm, &|_| {}).await
}

/// As [`digest`]; `seen` gets the number of bytes of each chunk that was read.
///
/// # Errors
/// As [`digest`].
pub async fn digest_watched(
    store: &dyn BlobStore,
    key: &str,
    size: u64,
    algorithm: Algorithm,
    seen: &(dyn Fn(u64) + Send + Sync),
) -> Result<Digest> {
    let mut chunks = store.read(key, 0..size).await?;
    let (mut hasher, mut piece, mut held) = (Hasher::new(algorithm), Vec::new(), 0);
    while let Some(bytes) = chunks.try_next().await? {
        seen(bytes.len() as u64);
        held += bytes.len();
        piece.push(bytes);
        if held >= PIECE {
            (hasher, piece) = hashed(hasher, piece).await;
            held = 0;
        }
    }
    let (hasher, _) = hashed(hasher, piece).await;
    Ok(hasher.finish())
}

/// Hashes a piece off the async threads; gives the emptied piece back.
async fn hashed(mut hasher: Hasher, piece: Vec<bytes::Bytes>) -> (Hasher, Vec<bytes::Bytes>) {
    let work = move || {
        piece.iter().for_each(|bytes| hasher.update(bytes));
        (hasher, Vec::new())
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // Hashing does not panic, and nobody aborts it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// True if the store has at least one of Gantry's own objects, finished or not.
///
/// # Errors
/// When the store cannot be read.
pub async fn holds_objects(store: &dyn BlobStore) -> Result<bool> {
    for hour in store.hours().await? {
        if !store.list(hour).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Objects below a store's root that are not Gantry's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// How many there are.
    pub count: u64,
    /// Names of the first ones found.
    pub names: Vec<String>,
}

/// Counts the foreign objects, and returns the names of at most `names` of them; calls `seen` for each object, whoever
/// made it.
///
/// # Errors
/// When the store cannot be read.
pub async fn foreign(
    store: &dyn BlobStore,
    names: usize,
    seen: &(dyn Fn() + Send + Sync),
) -> Result<Foreign> {
    let mut walk = store.walk("").await?;
    let mut found = Foreign::default();
    while let Some(next) = walk.next().await {
        let key = match next {
            // A link that leads nowhere.
            Err(Error::Missing(key)) => key,
            next => next?.0,
        };
        seen();
        if is_ours(&key) {
            continue;
        }
        found.count += 1;
        if found.names.len() < names {
            found.names.push(key);
        }
    }
    Ok(found)
}

/// True for objects, leftovers of unfinished ones, the identity, and traces of a probe.
fn is_ours(path: &str) -> bool {
    key::is_own(path)
        || key::of_part(path).is_some_and(key::is_own)
        || path.starts_with(identity::KEY)
        || path.starts_with(PROBE)
}
