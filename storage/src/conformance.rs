//! The contract of [`BlobStore`] as a test that every backend runs. Panics if the contract is broken.
#![expect(clippy::unwrap_used, reason = "a conformance suite fails by panicking")]

use std::ops::Range;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use model::{Algorithm, Digest, Hasher, InstallationId, StoreId, Timestamp};

use crate::content::{self, foreign, holds_objects};
use crate::{
    BlobStore, BlobWriter, Checkpoint, Error, Existing, Finished, Identity, Result, identity, key,
};

const PROCESS: key::Process = key::Process([9; 4]);
const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const MIB: usize = 1 << 20;

/// Runs the suite on an empty store, and leaves it empty.
pub async fn run(store: &dyn BlobStore) {
    written_bytes_are_read_back(store).await;
    a_large_object_is_read_in_any_range(store).await;
    an_empty_object_is_an_object(store).await;
    a_checkpoint_is_where_writing_goes_on(store).await;
    writing_tells_of_checkpoints(store).await;
    bytes_behind_a_checkpoint_are_forgotten(store).await;
    a_checkpoint_is_sealed(store).await;
    a_checkpoint_is_sealed_when_more_was_written(store).await;
    what_is_missing_is_said_to_be(store).await;
    what_is_discarded_is_gone(store).await;
    many_objects_are_deleted_at_once(store).await;
    objects_are_listed_by_hour(store).await;
    what_others_keep_is_left_alone(store).await;
    the_first_identity_stands_until_it_is_replaced(store).await;
    what_is_finished_is_made_durable_and_detached(store).await;
    store.try_write().await.unwrap();
    let left: Vec<_> = store.walk("").await.unwrap().try_collect().await.unwrap();
    assert_eq!(left, []);
}

/// Runs the additional tests for several processes writing to one store; `other` is another process's view of it.
pub async fn run_shared(store: &dyn BlobStore, other: &dyn BlobStore) {
    for size in [100_000, 9 * MIB] {
        an_overtaken_writer_changes_nothing(store, other, size, Overtaken::Finishes).await;
        an_overtaken_writer_changes_nothing(store, other, size, Overtaken::Writes).await;
    }
}

fn key_of(name: u8) -> String {
    key::new(NOW, PROCESS, [name; 16])
}

/// Bytes that differ from each other at all distances that matter.
fn content(size: usize, seed: u8) -> Bytes {
    let mut block = vec![0; size];
    for (at, word) in block.chunks_mut(8).enumerate() {
        let mixed = (at as u64 ^ u64::from(seed) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word.copy_from_slice(&mixed.to_be_bytes()[..word.len()]);
    }
    block.into()
}

fn hasher() -> Hasher {
    Hasher::new(Algorithm::Sha256)
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

async fn create(store: &dyn BlobStore, key: &str) -> Box<dyn BlobWriter> {
    store.create(key, hasher()).await.unwrap()
}

/// Hands bytes over in batches of an odd size; the last checkpoint that was reached.
async fn write(writer: &mut Box<dyn BlobWriter>, bytes: &Bytes) -> Option<Checkpoint> {
    let mut reached = None;
    for batch in bytes.chunks(300_001) {
        let pieces = batch.chunks(16_384).map(|piece| bytes.slice_ref(piece));
        let checkpoint = writer.write(pieces.collect()).await.unwrap();
        reached = checkpoint.or(reached);
    }
    reached
}

/// A checkpoint as it comes back from the database.
fn kept(checkpoint: &Checkpoint) -> Checkpoint {
    Checkpoint {
        hasher: Hasher::from_state(&checkpoint.hasher.state()).unwrap(),
        ..checkpoint.clone()
    }
}

async fn read(store: &dyn BlobStore, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
    let chunks: Vec<Bytes> = store.read(key, range).await?.try_collect().await?;
    Ok(chunks.concat())
}

async fn bytes_of(store: &dyn BlobStore, key: &str, range: Range<u64>) -> Vec<u8> {
    read(store, key, range).await.unwrap()
}

/// Fails unless the object has exactly these bytes.
async fn has(store: &dyn BlobStore, key: &str, expected: &[u8]) {
    let size = expected.len() as u64;
    assert_eq!(store.size(key).await.unwrap(), Some(size));
    assert!(bytes_of(store, key, 0..size).await == expected, "{key}");
}

/// Fails unless the object has exactly these bytes, and is gone once it is deleted.
async fn holds(store: &dyn BlobStore, key: &str, expected: &[u8]) {
    has(store, key, expected).await;
    delete(store, &[key.to_owned()]).await;
    is_gone(store, key).await;
}

async fn delete(store: &dyn BlobStore, keys: &[String]) {
    let not_deleted = store.delete(keys).await.unwrap();
    assert!(not_deleted.is_empty(), "{not_deleted:?}");
}

async fn is_gone(store: &dyn BlobStore, key: &str) {
    assert_eq!(store.size(key).await.unwrap(), None);
    let listed = store.list(NOW.hour()).await.unwrap();
    assert!(!listed.contains(&key.to_owned()), "{listed:?}");
}

async fn written_bytes_are_read_back(store: &dyn BlobStore) {
    let (key, bytes) = (key_of(1), content(3_000_000, 1));
    let mut writer = create(store, &key).await;
    write(&mut writer, &bytes).await;
    let last = vec![Bytes::from_static(b"end")];
    let finished = writer.finish(last).await.unwrap();
    let bytes = [&bytes, &b"end"[..]].concat();
    let expected = Finished {
        size: bytes.len() as u64,
        digest: digest(&bytes),
    };
    assert_eq!(finished, expected);
    ranges_are_read(store, &key, &bytes).await;
    holds(store, &key, &bytes).await;
}

async fn ranges_are_read(store: &dyn BlobStore, key: &str, bytes: &[u8]) {
    let size = bytes.len();
    for range in [0..1, 100_000..200_001, size / 2..size, size - 1..size] {
        let found = bytes_of(store, key, range.start as u64..range.end as u64).await;
        assert!(found == bytes[range.clone()], "{range:?}");
    }
    let size = size as u64;
    for beyond in [0..size + 1, size - 1..size + 1, size + 5..size + 9] {
        let found = read(store, key, beyond).await;
        assert!(matches!(found, Err(Error::Truncated(_))), "{found:?}");
    }
}

async fn a_large_object_is_read_in_any_range(store: &dyn BlobStore) {
    let (key, bytes) = (key_of(2), content(21 * MIB + 17, 2));
    let mut writer = create(store, &key).await;
    write(&mut writer, &bytes).await;
    let finished = writer.finish(Vec::new()).await.unwrap();
    assert_eq!(finished.digest, digest(&bytes));
    ranges_are_read(store, &key, &bytes).await;
    for edge in [8 * MIB, 16 * MIB] {
        let range = edge - 70_000..edge + 70_000;
        let found = bytes_of(store, &key, range.start as u64..range.end as u64).await;
        assert!(found == bytes[range], "{edge}");
    }
    holds(store, &key, &bytes).await;
}

async fn an_empty_object_is_an_object(store: &dyn BlobStore) {
    let key = key_of(3);
    let writer = create(store, &key).await;
    let finished = writer.finish(Vec::new()).await.unwrap();
    assert_eq!(finished.digest, digest(b""));
    assert_eq!(bytes_of(store, &key, 0..0).await, b"");
    holds(store, &key, b"").await;
}

async fn a_checkpoint_is_where_writing_goes_on(store: &dyn BlobStore) {
    let key = key_of(4);
    let mut writer = create(store, &key).await;
    write(&mut writer, &Bytes::from_static(b"hello ")).await;
    let first = writer.checkpoint().await.unwrap();
    assert_eq!(first.size, 6);
    write(&mut writer, &Bytes::from_static(b"lost")).await;
    writer.checkpoint().await.unwrap();
    writer.abandon().await;
    let beyond = Checkpoint {
        size: 12,
        ..kept(&first)
    };
    let beyond = store.resume(&key, beyond).await.err();
    assert!(matches!(beyond, Some(Error::Truncated(_))), "{beyond:?}");
    let writer = store.resume(&key, kept(&first)).await.unwrap();
    let last = vec![Bytes::from_static(b"world")];
    let finished = writer.finish(last).await.unwrap();
    assert_eq!(finished.digest, digest(b"hello world"));
    holds(store, &key, b"hello world").await;
}

/// Whether a writer tells of checkpoints, and how often, is its own affair; what it says must hold.
async fn writing_tells_of_checkpoints(store: &dyn BlobStore) {
    let (key, bytes) = (key_of(5), content(4 * MIB, 5));
    let mut writer = create(store, &key).await;
    let (mut all, mut reached) = (Vec::new(), None);
    while reached.is_none() && all.len() < 72 * MIB {
        reached = write(&mut writer, &bytes).await;
        all.extend_from_slice(&bytes);
    }
    let checkpoint = match reached {
        Some(checkpoint) => checkpoint,
        None => writer.checkpoint().await.unwrap(),
    };
    write(&mut writer, &content(17 * MIB, 6)).await;
    writer.abandon().await;
    all.truncate(checkpoint.size as usize);
    let writer = store.resume(&key, kept(&checkpoint)).await.unwrap();
    let last = content(9 * MIB, 7);
    let finished = writer.finish(vec![last.clone()]).await.unwrap();
    all.extend_from_slice(&last);
    assert_eq!(finished.digest, digest(&all));
    holds(store, &key, &all).await;
}

async fn bytes_behind_a_checkpoint_are_forgotten(store: &dyn BlobStore) {
    let (key, bytes) = (key_of(6), content(20 * MIB + 5, 8));
    let mut writer = create(store, &key).await;
    write(&mut writer, &bytes).await;
    let checkpoint = writer.checkpoint().await.unwrap();
    assert_eq!(checkpoint.size, bytes.len() as u64);
    for seed in [9, 10] {
        write(&mut writer, &content(13 * MIB, seed)).await;
        writer.abandon().await;
        writer = store.resume(&key, kept(&checkpoint)).await.unwrap();
    }
    let more = content(11 * MIB, 11);
    write(&mut writer, &more).await;
    let finished = writer.finish(Vec::new()).await.unwrap();
    let all = [&bytes[..], &more].concat();
    assert_eq!(finished.digest, digest(&all));
    holds(store, &key, &all).await;
}

async fn a_checkpoint_is_sealed(store: &dyn BlobStore) {
    for size in [0, 5, 2 * MIB, 8 * MIB, 17 * MIB + 3] {
        let (key, bytes) = (key_of(7), content(size, 12));
        let mut writer = create(store, &key).await;
        write(&mut writer, &bytes).await;
        let checkpoint = writer.checkpoint().await.unwrap();
        drop(writer);
        // The answer to the first may be lost.
        store.seal(&key, kept(&checkpoint)).await.unwrap();
        store.seal(&key, kept(&checkpoint)).await.unwrap();
        holds(store, &key, &bytes).await;
    }
}

async fn a_checkpoint_is_sealed_when_more_was_written(store: &dyn BlobStore) {
    for size in [5, 9 * MIB] {
        let (key, bytes) = (key_of(8), content(size, 13));
        let mut writer = create(store, &key).await;
        write(&mut writer, &bytes).await;
        let checkpoint = writer.checkpoint().await.unwrap();
        write(&mut writer, &content(10 * MIB, 14)).await;
        writer.checkpoint().await.unwrap();
        writer.abandon().await;
        store.seal(&key, kept(&checkpoint)).await.unwrap();
        has(store, &key, &bytes).await;
        // The later checkpoint may have left bytes.
        store.discard(&key).await.unwrap();
        is_gone(store, &key).await;
    }
}

async fn what_is_missing_is_said_to_be(store: &dyn BlobStore) {
    let key = key_of(9);
    let nothing = Checkpoint {
        size: 0,
        hasher: hasher(),
        state: None,
    };
    let found = read(store, &key, 0..1).await.err();
    assert!(matches!(found, Some(Error::Missing(_))), "{found:?}");
    let found = read(store, &key, 0..0).await.err();
    assert!(matches!(found, Some(Error::Missing(_))), "{found:?}");
    let found = store.resume(&key, nothing.clone()).await.err();
    assert!(matches!(found, Some(Error::Missing(_))), "{found:?}");
    let found = store.seal(&key, nothing).await.err();
    assert!(matches!(found, Some(Error::Missing(_))), "{found:?}");
    delete(store, std::slice::from_ref(&key)).await;
    store.discard(&key).await.unwrap();
    is_gone(store, &key).await;
}

async fn what_is_discarded_is_gone(store: &dyn BlobStore) {
    for size in [5, 8 * MIB, 9 * MIB] {
        let key = key_of(10);
        let mut writer = create(store, &key).await;
        write(&mut writer, &content(size, 15)).await;
        let checkpoint = writer.checkpoint().await.unwrap();
        writer.abandon().await;
        assert_eq!(store.list(NOW.hour()).await.unwrap(), [key.as_str()]);
        assert_eq!(store.hours().await.unwrap(), [NOW.hour()]);
        store.discard(&key).await.unwrap();
        is_gone(store, &key).await;
        let found = store.resume(&key, kept(&checkpoint)).await.err();
        assert!(matches!(found, Some(Error::Missing(_))), "{found:?}");
        let found = store.seal(&key, kept(&checkpoint)).await.err();
        assert!(matches!(found, Some(Error::Missing(_))), "{found:?}");
    }
}

/// More than one request of S3 removes, most of which are not there.
async fn many_objects_are_deleted_at_once(store: &dyn BlobStore) {
    let named = |name: u16| {
        let name = u128::from(name) << 64;
        key::new(NOW, PROCESS, name.to_be_bytes())
    };
    let keys: Vec<String> = (1_000..2_100).map(named).collect();
    for key in keys.iter().step_by(100) {
        let writer = create(store, key).await;
        writer.finish(Vec::new()).await.unwrap();
    }
    assert_eq!(store.list(NOW.hour()).await.unwrap().len(), 11);
    delete(store, &keys).await;
    delete(store, &[]).await;
    assert!(store.list(NOW.hour()).await.unwrap().is_empty());
}

async fn objects_are_listed_by_hour(store: &dyn BlobStore) {
    let later = Timestamp(NOW.0 + 3_600_000_000);
    let (first, second) = (key_of(11), key::new(later, PROCESS, [12; 16]));
    for key in [&first, &second] {
        let writer = create(store, key).await;
        writer.finish(Vec::new()).await.unwrap();
    }
    assert_eq!(store.hours().await.unwrap(), [NOW.hour(), later.hour()]);
    assert_eq!(store.list(later.hour()).await.unwrap(), [second.as_str()]);
    assert_eq!(store.list(NOW.hour()).await.unwrap(), [first.as_str()]);
    delete(store, &[second]).await;
    store.forget_hour(later.hour()).await.unwrap();
    store.forget_hour(NOW.hour()).await.unwrap();
    assert_eq!(store.hours().await.unwrap(), [NOW.hour()]);
    assert!(store.list(later.hour()).await.unwrap().is_empty());
    delete(store, &[first]).await;
    store.forget_hour(NOW.hour()).await.unwrap();
    assert!(store.hours().await.unwrap().is_empty());
}

/// Files of others, some of them with names that are almost those of objects.
async fn what_others_keep_is_left_alone(store: &dyn BlobStore) {
    let own = key_of(14);
    let name = own.split_once('/').unwrap().1;
    let mut others = vec![
        "2024/report.pdf".to_owned(),
        format!("2024/{name}"),
        format!("{}/notes.txt", NOW.hour()),
        format!("{own}0"),
        format!("{own}.txt"),
        format!("0{own}"),
        format!("{}/{}", NOW.hour(), "A".repeat(40)),
        "docker/registry/v2/blobs/data".to_owned(),
        "readme".to_owned(),
    ];
    others.sort_unstable();
    assert!(!holds_objects(store).await.unwrap());
    for key in others.iter().chain([&own]) {
        let writer = create(store, key).await;
        writer.finish(Vec::new()).await.unwrap();
    }
    assert!(holds_objects(store).await.unwrap());
    assert_eq!(store.hours().await.unwrap(), [NOW.hour()]);
    assert_eq!(store.list(NOW.hour()).await.unwrap(), [own.as_str()]);
    assert!(store.list(2024).await.unwrap().is_empty());
    store.discard(&own).await.unwrap();
    store.forget_hour(NOW.hour()).await.unwrap();
    let mut found = foreign(store, 100, &|| {}).await.unwrap();
    found.names.sort_unstable();
    assert_eq!((found.count, found.names), (9, others.clone()));
    assert_eq!(foreign(store, 2, &|| {}).await.unwrap().names.len(), 2);
    assert!(!holds_objects(store).await.unwrap());
    delete(store, &others).await;
    store.forget_hour(NOW.hour()).await.unwrap();
}

async fn the_first_identity_stands_until_it_is_replaced(store: &dyn BlobStore) {
    let identity = |number: u8| {
        let installation = InstallationId::new([number; 16]);
        Identity::new(installation, StoreId::new([number; 16]), NOW.to_string())
    };
    let put = async |number, existing| store.put_identity(&identity(number), existing).await;
    assert_eq!(store.identity().await.unwrap(), None);
    let stands = put(1, Existing::Kept).await.unwrap();
    assert_eq!(stands, identity(1));
    let stands = put(2, Existing::Kept).await.unwrap();
    assert_eq!(stands, identity(1));
    assert_eq!(store.identity().await.unwrap(), Some(identity(1)));
    let stands = put(3, Existing::Replaced).await.unwrap();
    assert_eq!(stands, identity(3));
    assert_eq!(store.identity().await.unwrap(), Some(identity(3)));
    assert_eq!(foreign(store, 10, &|| {}).await.unwrap().count, 0);
    delete(store, &[identity::KEY.to_owned()]).await;
}

async fn what_is_finished_is_made_durable_and_detached(store: &dyn BlobStore) {
    let (key, bytes) = (key_of(15), content(3_000_000, 20));
    let missing = store.sync(&key).await.err();
    assert!(matches!(missing, Some(Error::Missing(_))), "{missing:?}");
    let mut writer = create(store, &key).await;
    write(&mut writer, &bytes).await;
    let finished = writer.finish(Vec::new()).await.unwrap();
    store.sync(&key).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.detach(&key, finished).await.unwrap(), finished);
    }
    let read = content::digest(store, &key, finished.size, Algorithm::Sha256).await;
    assert_eq!(read.unwrap(), finished.digest);
    let beyond = content::digest(store, &key, finished.size + 1, Algorithm::Sha256).await;
    assert!(matches!(beyond, Err(Error::Truncated(_))), "{beyond:?}");
    holds(store, &key, &bytes).await;
}

/// What a writer does that does not know yet that another process went on with its object.
#[derive(Clone, Copy)]
enum Overtaken {
    Writes,
    Finishes,
}

async fn an_overtaken_writer_changes_nothing(
    store: &dyn BlobStore,
    other: &dyn BlobStore,
    size: usize,
    how: Overtaken,
) {
    let (key, bytes) = (key_of(13), content(size, 16));
    let mut old = create(store, &key).await;
    write(&mut old, &bytes).await;
    let checkpoint = old.checkpoint().await.unwrap();
    write(&mut old, &content(9 * MIB, 17)).await;
    let mut new = other.resume(&key, kept(&checkpoint)).await.unwrap();
    let more = content(12 * MIB, 18);
    write(&mut new, &more.slice(..10 * MIB)).await;
    write(&mut old, &content(9 * MIB, 19)).await;
    if matches!(how, Overtaken::Writes) {
        old.checkpoint().await.unwrap();
    }
    let last = more.slice(10 * MIB..);
    let finished = new.finish(vec![last]).await.unwrap();
    let all = [&bytes[..], &more].concat();
    assert_eq!(finished.digest, digest(&all));
    if matches!(how, Overtaken::Finishes) {
        let late = old.finish(Vec::new()).await;
        assert!(matches!(late, Err(Error::Missing(_))), "{late:?}");
    } else {
        old.abandon().await;
    }
    holds(other, &key, &all).await;
}
