//! Restoring a backup: it looks first, and can be run again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Image, Server, image};

/// A stopped server without a database, the backup that was made of it, and the image in it.
async fn lost() -> (Server, PathBuf, Image) {
    let server = Server::start().await;
    let kept = image("kept by a backup");
    server.admin().push_image("library/kept", "v1", &kept).await;
    let folder = server.scratch().join("backup-2026.11");
    server
        .cli_prints(&["backup", folder.to_str().expect("a path is text")])
        .await;
    server.stop().await;
    lose(&server);
    (server, folder, kept)
}

fn lose(server: &Server) {
    for name in ["gantry.db", "gantry.db-wal", "gantry.db-shm"] {
        let _ = fs::remove_file(server.data().join(name));
    }
}

/// `gantry restore FOLDER …`: exit code and everything that was printed.
async fn restore(server: &Server, folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let folder = folder.to_str().expect("a path is text");
    let ended = server.cli(&[&["restore", folder], more].concat()).await;
    let said = [&ended.stdout[..], &ended.stderr[..]].concat();
    (
        ended.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

async fn serves(server: &Server, kept: &Image) {
    server.restart().await;
    let admin = server.admin();
    let pulled = admin.get("/v2/library/kept/manifests/v1").await.expect(200);
    assert_eq!(pulled.body, kept.manifest);
    server.still_serves().await;
}

#[tokio::test]
async fn nothing_is_restored_before_the_blobs_are_there() {
    let (server, folder, kept) = lost().await;
    let (blobs, away) = (server.data().join("blobs"), server.scratch().join("away"));
    fs::rename(&blobs, &away).expect("the blobs can be moved");
    let (code, said) = restore(&server, &folder, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    for blob in kept.blobs() {
        assert!(
            said.contains(&blob.digest),
            "{} is not named: {said}",
            blob.digest
        );
    }
    assert!(said.contains("nothing was restored"), "{said}");
    let _ = fs::remove_dir_all(&blobs);
    fs::rename(&away, &blobs).expect("the blobs can be moved");
    let (code, said) = restore(&server, &folder, &["--rehash"]).await;
    assert_eq!(code, Some(0), "{said}");
    serves(&server, &kept).await;
}

#[tokio::test]
async fn a_store_that_was_claimed_since_is_named_before_anything_is_restored() {
    let (server, folder, kept) = lost().await;
    let (code, said) = restore(&server, &folder, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    // The store's own installation is forgotten, so that there is something to claim.
    fs::remove_file(server.data().join("blobs/gantry-store.json")).expect("it is there");
    server.cli_prints(&["storage", "claim", "--yes"]).await;
    lose(&server);
    for _ in 0..2 {
        let (code, said) = restore(&server, &folder, &[]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("nothing was restored"), "{said}");
        assert!(said.contains("--claim"), "{said}");
        assert!(!said.contains("rows restored"), "{said}");
    }
    let (code, said) = restore(&server, &folder, &["--claim", "--yes"]).await;
    assert_eq!(code, Some(0), "{said}");
    serves(&server, &kept).await;
}

#[tokio::test]
async fn the_same_backup_may_be_restored_again() {
    let (server, folder, kept) = lost().await;
    for expected in ["rows restored", "already restored"] {
        let (code, said) = restore(&server, &folder, &[]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    serves(&server, &kept).await;
}

/// The identity of the server's store, as it stands there.
fn identity(server: &Server) -> String {
    let file = server.data().join("blobs/gantry-store.json");
    fs::read_to_string(file).expect("the store has one")
}

#[tokio::test]
async fn a_second_restore_changes_neither_database_nor_store() {
    let (server, folder, kept) = lost().await;
    let (code, said) = restore(&server, &folder, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    let before = identity(&server);
    let (code, said) = restore(&server, &folder, &["--claim"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(said.contains("gantry storage claim"), "{said}");
    assert_eq!(identity(&server), before);
    // Settings that name another store.
    let other = server.scratch().join("other");
    let (path, folder) = (
        other.to_str().expect("a path is text"),
        folder.to_str().expect("a path is text"),
    );
    let elsewhere = [("GANTRY_STORAGE__PATH", path)];
    let ended = server.cli_with(&["restore", folder], &elsewhere).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(!other.join("gantry-store.json").exists());
    serves(&server, &kept).await;
}

#[tokio::test]
async fn nothing_is_restored_below_a_running_server() {
    let (server, folder, kept) = lost().await;
    let (code, said) = restore(&server, &folder, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    server.restart().await;
    // Whoever opens the database meanwhile does not find it.
    server.may_complain();
    let away = server.scratch().join("away.db");
    let file = server.data().join("gantry.db");
    fs::rename(&file, &away).expect("the database can be moved");
    let (code, said) = restore(&server, &folder, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stop the server"), "{said}");
    assert!(!file.exists(), "a database was made");
    fs::rename(&away, &file).expect("the database can be moved");
    server.stop().await;
    serves(&server, &kept).await;
}

#[tokio::test]
async fn a_store_without_an_identity_is_taken_on_demand_alone() {
    let (server, folder, kept) = lost().await;
    let blobs = server.data().join("blobs");
    fs::remove_file(blobs.join("gantry-store.json")).expect("it is there");
    for more in [&[][..], &["--without-blobs"]] {
        let (code, said) = restore(&server, &folder, more).await;
        assert_eq!(code, Some(1), "{said}");
        for part in [
            "nothing was restored",
            "there is no gantry-store.json there",
            "--claim",
        ] {
            assert!(said.contains(part), "no {part} in: {said}");
        }
        assert!(!blobs.join("gantry-store.json").exists());
        assert!(!server.data().join("gantry.db").exists());
    }
    let (code, said) = restore(&server, &folder, &["--claim"]).await;
    assert_eq!(code, Some(1), "{said}");
    for part in ["nothing was restored", "the store has 3 objects", "--yes"] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
    assert!(!blobs.join("gantry-store.json").exists());
    assert!(!server.data().join("gantry.db").exists());
    let (code, said) = restore(&server, &folder, &["--claim", "--yes"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("of 3 objects, 0 are not in"), "{said}");
    serves(&server, &kept).await;
}

#[tokio::test]
async fn an_identity_that_was_cut_short_is_named_with_the_way_out() {
    let (server, folder, kept) = lost().await;
    let file = server.data().join("blobs/gantry-store.json");
    let whole = identity(&server);
    fs::write(&file, &whole[..whole.len() / 2]).expect("it can be written");
    let (code, said) = restore(&server, &folder, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    for part in [
        "nothing was restored",
        "gantry-store.json cannot be understood",
        "--claim",
    ] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
    fs::write(&file, &whole).expect("it can be written");
    let (code, said) = restore(&server, &folder, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    fs::write(&file, &whole[..whole.len() / 2]).expect("it can be written");
    let said = server.is_refused().await;
    for part in [
        "gantry-store.json cannot be understood",
        "gantry storage claim",
    ] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
    server.cli_prints(&["storage", "claim", "--yes"]).await;
    serves(&server, &kept).await;
}

#[tokio::test]
async fn another_master_key_restores_nothing() {
    let (server, folder, kept) = lost().await;
    let (key, away) = (
        server.data().join("master.key"),
        server.scratch().join("key"),
    );
    fs::rename(&key, &away).expect("the key can be moved");
    let path = key.to_str().expect("a path is text");
    server.cli_prints(&["secret", "new", path]).await;
    let (code, said) = restore(&server, &folder, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("master_key_file"), "{said}");
    fs::rename(&away, &key).expect("the key can be moved");
    let (code, said) = restore(&server, &folder, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    serves(&server, &kept).await;
}

#[tokio::test]
async fn what_is_lost_may_be_left_out_on_purpose() {
    let (server, folder, kept) = lost().await;
    fs::remove_dir_all(server.data().join("blobs")).expect("the blobs can be removed");
    let (code, said) = restore(&server, &folder, &["--without-blobs"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("3 of them are missing"), "{said}");
    server.restart().await;
    let manifest = server.admin().get("/v2/library/kept/manifests/v1").await;
    assert_eq!(manifest.expect(200).body, kept.manifest);
    server.still_serves().await;
}

#[tokio::test]
async fn a_backup_that_was_cut_short_is_named() {
    let server = Server::start().await;
    let folder = server.scratch().join("backup-2026.11");
    let rest = server.scratch().join("backup-2026.11.partial");
    fs::create_dir(&rest).expect("a folder can be made");
    let path = folder.to_str().expect("a path is text");
    let ended = server.cli(&["backup", path]).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("backup-2026.11.partial"), "{said}");
    fs::remove_dir(&rest).expect("the folder can be removed");
    server.cli_prints(&["backup", path]).await;
}
