//! What every backend must do, as a test that each of them runs. It panics where the contract of
//! [`BlobStore`] is broken.
#![expect(clippy::unwrap_used, reason = "a conformance suite fails by panicking")]

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use model::{Algorithm, Digest, Hasher, Timestamp};

use crate::{BlobStore, Error, key};

const PROCESS: key::Process = key::Process([9; 4]);
const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

async fn bytes_of(store: &dyn BlobStore, key: &str, range: std::ops::Range<u64>) -> Vec<u8> {
    let chunks: Vec<Bytes> = store
        .read(key, range)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    chunks.concat()
}

fn hasher() -> Hasher {
    Hasher::new(Algorithm::Sha256)
}

/// Runs the suite on an empty store.
pub async fn run(store: &dyn BlobStore) {
    written_bytes_are_read_back(store).await;
    an_empty_object_is_an_object(store).await;
    a_checkpoint_is_where_writing_goes_on(store).await;
    what_is_missing_is_said_to_be(store).await;
    objects_are_listed_by_hour(store).await;
}

async fn written_bytes_are_read_back(store: &dyn BlobStore) {
    let key = key::new(NOW, PROCESS, [1; 16]);
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i * 7 / 3) as u8).collect();
    let mut writer = store.create(&key, hasher()).await.unwrap();
    for batch in content.chunks(300_001) {
        let pieces = batch.chunks(16_384).map(Bytes::copy_from_slice).collect();
        writer.write(pieces).await.unwrap();
    }
    let finished = writer
        .finish(vec![Bytes::from_static(b"end")])
        .await
        .unwrap();
    let content = [content.as_slice(), b"end"].concat();
    assert_eq!(finished.size, content.len() as u64);
    assert_eq!(finished.digest, Digest::of(Algorithm::Sha256, &content));
    assert_eq!(bytes_of(store, &key, 0..finished.size).await, content);
    assert_eq!(
        bytes_of(store, &key, 100_000..200_001).await,
        content[100_000..200_001]
    );
    assert_eq!(
        bytes_of(store, &key, finished.size - 1..finished.size).await,
        b"d"
    );
    let beyond: Result<Vec<Bytes>, Error> = match store.read(&key, 0..finished.size + 1).await {
        Ok(chunks) => chunks.try_collect().await,
        Err(error) => Err(error),
    };
    assert!(matches!(beyond, Err(Error::Truncated(_))), "{beyond:?}");
}

async fn an_empty_object_is_an_object(store: &dyn BlobStore) {
    let key = key::new(NOW, PROCESS, [2; 16]);
    let writer = store.create(&key, hasher()).await.unwrap();
    let finished = writer.finish(Vec::new()).await.unwrap();
    assert_eq!(finished.digest, Digest::of(Algorithm::Sha256, b""));
    assert_eq!(store.size(&key).await.unwrap(), Some(0));
    assert_eq!(bytes_of(store, &key, 0..0).await, b"");
}

async fn a_checkpoint_is_where_writing_goes_on(store: &dyn BlobStore) {
    let key = key::new(NOW, PROCESS, [3; 16]);
    let mut writer = store.create(&key, hasher()).await.unwrap();
    writer
        .write(vec![Bytes::from_static(b"hello ")])
        .await
        .unwrap();
    let checkpoint = writer.checkpoint().await.unwrap();
    assert_eq!(checkpoint.size, 6);
    writer
        .write(vec![Bytes::from_static(b"lost")])
        .await
        .unwrap();
    writer.checkpoint().await.unwrap();
    drop(writer);
    let state = Hasher::from_state(&checkpoint.hasher.state()).unwrap();
    let writer = store.resume(&key, 6, state).await.unwrap();
    let finished = writer
        .finish(vec![Bytes::from_static(b"world")])
        .await
        .unwrap();
    assert_eq!(
        finished.digest,
        Digest::of(Algorithm::Sha256, b"hello world")
    );
    assert_eq!(bytes_of(store, &key, 0..11).await, b"hello world");
    let beyond = store.resume(&key, 12, hasher()).await;
    assert!(matches!(beyond.err(), Some(Error::Truncated(_))));
}

async fn what_is_missing_is_said_to_be(store: &dyn BlobStore) {
    let key = key::new(NOW, PROCESS, [4; 16]);
    assert!(matches!(
        store.read(&key, 0..1).await.err(),
        Some(Error::Missing(_))
    ));
    assert!(matches!(
        store.resume(&key, 0, hasher()).await.err(),
        Some(Error::Missing(_))
    ));
    assert_eq!(store.size(&key).await.unwrap(), None);
    store.delete(&key).await.unwrap();
}

async fn objects_are_listed_by_hour(store: &dyn BlobStore) {
    let later = Timestamp(NOW.0 + 3_600_000_000);
    let key = key::new(later, PROCESS, [5; 16]);
    store
        .create(&key, hasher())
        .await
        .unwrap()
        .finish(Vec::new())
        .await
        .unwrap();
    assert_eq!(store.hours().await.unwrap(), [NOW.hour(), later.hour()]);
    assert_eq!(
        store.list(later.hour()).await.unwrap(),
        std::slice::from_ref(&key)
    );
    assert_eq!(store.list(NOW.hour()).await.unwrap().len(), 3);
    store.delete(&key).await.unwrap();
    store.forget_hour(later.hour()).await.unwrap();
    store.forget_hour(NOW.hour()).await.unwrap();
    assert_eq!(store.hours().await.unwrap(), [NOW.hour()]);
    assert!(store.list(later.hour()).await.unwrap().is_empty());
}
