//! A store that lost or changed what it was given: found by `gantry storage check`, and never served as
//! if it were whole.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Server, eventually, noise};

/// The largest file of the blob store.
fn largest(folder: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let entry = entry.expect("the folder can be read");
            let metadata = entry.metadata().expect("the file is there");
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                files.push((metadata.len(), entry.path()));
            }
        }
    }
    files.sort();
    files.pop().expect("there is a blob").1
}

/// A server with one large blob, the blob's path, and its file.
async fn stored() -> (Server, String, PathBuf) {
    let server = Server::start().await;
    server.may_complain();
    let digest = server
        .admin()
        .push_blob("library/faults", noise("faults", 5 << 20))
        .await;
    let file = largest(&server.data().join("blobs"));
    (server, format!("/v2/library/faults/blobs/{digest}"), file)
}

/// What a check marked is 404 for whoever asks.
async fn is_missing(server: &Server, path: &str) {
    let admin = server.admin();
    eventually(5, "the mark is seen", async || {
        let answer = admin.get(path).attempt().await;
        answer
            .is_ok_and(|answer| answer.status == 404)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_whole_passes_the_check() {
    let (server, _, _) = stored().await;
    let checked = server.cli(&["storage", "check", "--rehash"]).await;
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
}

#[tokio::test]
async fn a_lost_file_is_found_and_not_served() {
    let (server, path, file) = stored().await;
    fs::remove_file(&file).expect("the file can be removed");
    let answer = server.admin().get(&path).await;
    assert!(answer.status >= 500, "{answer}");
    assert!(answer.maybe_header("retry-after").is_some(), "{answer}");
    assert!(
        !answer.text().contains("No such file"),
        "an inner matter leaked: {answer}"
    );
    let checked = server.cli(&["storage", "check"]).await;
    assert_eq!(
        checked.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    is_missing(&server, &path).await;
    server.still_serves().await;
}

#[tokio::test]
async fn a_shortened_file_is_found_and_its_pull_is_cut() {
    let (server, path, file) = stored().await;
    let opened = fs::File::options()
        .write(true)
        .open(&file)
        .expect("the file can be opened");
    opened.set_len(3 << 20).expect("the file can be shortened");
    for protocol in [
        crate::harness::Protocol::Http1,
        crate::harness::Protocol::Http2,
    ] {
        let answer = server.admin().speaking(protocol).get(&path).attempt().await;
        let served = answer.is_ok_and(|answer| answer.status < 500);
        assert!(!served, "{protocol:?}: a part was served as the whole");
    }
    let checked = server.cli(&["storage", "check"]).await;
    assert_eq!(
        checked.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    is_missing(&server, &path).await;
    server.still_serves().await;
}

#[tokio::test]
async fn a_changed_byte_is_found_by_rehashing() {
    let (server, _, file) = stored().await;
    let mut bytes = fs::read(&file).expect("the file can be read");
    bytes[1_000_000] ^= 1;
    fs::write(&file, bytes).expect("the file can be written");
    assert!(
        server.cli(&["storage", "check"]).await.status.success(),
        "sizes are right"
    );
    let checked = server.cli(&["storage", "check", "--rehash"]).await;
    assert_eq!(
        checked.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
}
