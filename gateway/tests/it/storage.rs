//! Where blobs are kept: a bucket that clients are sent to, moving from one store to the other, and backups.

use std::fs;

use crate::harness::{Bucket, Replicas, Server, eventually, image, noise, sha256};

/// A server on files, with the settings of the bucket at hand.
async fn on_files(bucket: &Bucket, more: &[(&str, &str)]) -> Server {
    let mut settings = bucket.settings();
    settings.retain(|(key, _)| *key != "GANTRY_STORAGE__BACKEND");
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .chain(more.iter().copied())
        .collect();
    Server::with(&settings).await
}

#[tokio::test]
async fn large_blobs_are_fetched_from_the_bucket_by_rule() {
    let bucket = Bucket::of_test("redirect");
    let mut settings = bucket.settings();
    settings.extend([
        (
            "GANTRY_STORAGE__REDIRECT__NETWORKS",
            "127.0.0.9/32".to_owned(),
        ),
        ("GANTRY_STORAGE__REDIRECT__PROJECTS", "library".to_owned()),
        ("GANTRY_STORAGE__REDIRECT__MIN_BYTES", "100000".to_owned()),
    ]);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let server = Server::with(&settings).await;
    let admin = server.admin();
    let (large, small) = (noise("large", 200_000), noise("small", 50_000));
    let path = |bytes: &[u8]| format!("/v2/library/far/blobs/{}", sha256(bytes));
    admin.push_blob("library/far", large.clone()).await;
    admin.push_blob("library/far", small.clone()).await;
    let inside = admin.at(9);
    let answer = inside.get(&path(&large)).await.expect(307);
    assert_eq!(answer.digest(), sha256(&large));
    assert_eq!(answer.header("cache-control"), "no-store");
    let url = answer.header("location").to_owned();
    assert!(url.starts_with(bucket.endpoint()), "{url}");
    let fetched = server.fetch(&url).await.expect(200);
    assert_eq!(fetched.body, large);
    // The signature is over the whole URL.
    let forged = url.replace("X-Amz-Expires=300", "X-Amz-Expires=30000");
    assert_ne!(forged, url);
    server.fetch(&forged).await.expect(403);
    inside.head(&path(&large)).await.expect(200);
    // A bucket gives the part, but the whole to whoever asks for several, and has other entity tags.
    let ranged = |range: &str| inside.get(&path(&large)).header("range", range);
    ranged("bytes=0-9").await.expect(307);
    let several = ranged("bytes=0-9,20-29").await.expect(206);
    assert!(
        several
            .header("content-type")
            .starts_with("multipart/byteranges")
    );
    let conditional = ranged("bytes=0-9").header("if-range", format!("\"{}\"", sha256(&large)));
    assert_eq!(conditional.await.expect(206).body, large.slice(..10));
    ranged("bytes=0-9")
        .header("if-range", "\"other\"")
        .await
        .expect(307);
    inside.get(&path(&small)).await.expect(200);
    let outside = admin.get(&path(&large)).await.expect(200);
    assert_eq!(outside.body, large);
    let other = server.private_project().await;
    let repository = other.repository("far");
    admin.push_blob(&repository, large.clone()).await;
    let elsewhere = format!("/v2/{repository}/blobs/{}", sha256(&large));
    inside.get(&elsewhere).await.expect(200);
    let pulls = async || {
        let log = server.cli_prints(&["audit", "export"]).await;
        let of = |line: &&str| line.contains("library/far") && line.contains("127.0.0.9");
        log.lines().find(of).map(|_| ())
    };
    eventually(5, "the redirected pull is in the audit log", pulls).await;
}

#[tokio::test]
async fn blobs_move_to_a_bucket_and_back_while_it_serves() {
    let bucket = Bucket::of_test("move");
    let server = on_files(&bucket, &[]).await;
    let admin = server.admin();
    let (early, late) = (image("early"), image("late"));
    admin.push_image("library/moved", "early", &early).await;
    let large = noise("moved large", 20_000_000);
    admin.push_blob("library/moved", large.clone()).await;
    let whole = async |server: &Server| {
        let admin = server.admin();
        for blob in early.blobs().chain(late.blobs()) {
            let path = format!("/v2/library/moved/blobs/{}", blob.digest);
            assert_eq!(admin.get(&path).await.expect(200).body, blob.bytes);
        }
        let path = format!("/v2/library/moved/blobs/{}", sha256(&large));
        assert_eq!(admin.get(&path).await.expect(200).body, large);
    };
    // An upload that began before goes on where it was, and holds the move up.
    let session = admin.start_upload("library/moved").await.location();
    let half = noise("half", 2_000_000);
    let first = admin.patch(&session).body(half.slice(..1_000_000)).await;
    let session = first.expect(202).location();

    let to_bucket = [
        ("GANTRY_STORAGE__BACKEND", "s3"),
        ("GANTRY_STORAGE__MOVING_FROM", "files"),
    ];
    server.set(&to_bucket);
    server.stop().await;
    server.restart().await;
    let admin = server.admin();
    admin.push_image("library/moved", "late", &late).await;
    whole(&server).await;
    let moved = server.cli_as_server(&["storage", "move"]).await;
    let said = String::from_utf8_lossy(&moved.stdout).into_owned();
    assert!(!moved.status.success(), "{said}");
    assert!(
        said.contains("1 uploads were writing to the old store"),
        "{said}"
    );
    let put = format!("digest={}", sha256(&half));
    let rest = admin.patch(&session).body(half.slice(1_000_000..)).await;
    let session = rest.expect(202);
    admin.put(&session.location_with(&put)).await.expect(201);
    let moved = server.cli_as_server(&["storage", "move", "--remove"]).await;
    let said = String::from_utf8_lossy(&moved.stdout).into_owned();
    assert!(moved.status.success(), "{said}");
    whole(&server).await;
    let left = fs::read_dir(server.data().join("blobs")).expect("the folder can be read");
    let left = left.filter_map(|hour| fs::read_dir(hour.ok()?.path()).ok());
    assert_eq!(left.map(Iterator::count).sum::<usize>(), 0);

    server.set(&[("GANTRY_STORAGE__MOVING_FROM", "none")]);
    server.stop().await;
    server.restart().await;
    whole(&server).await;
    let check = server
        .cli_as_server(&["storage", "check", "--rehash"])
        .await;
    assert!(check.status.success(), "{check:?}");

    let back = [
        ("GANTRY_STORAGE__BACKEND", "files"),
        ("GANTRY_STORAGE__MOVING_FROM", "s3"),
    ];
    server.set(&back);
    server.stop().await;
    // Copies of an equal length that are no copies, as a power loss leaves them.
    for blob in early.blobs() {
        let why = server
            .cli_as_server(&["storage", "why", &blob.digest])
            .await;
        let why = String::from_utf8_lossy(&why.stdout).into_owned();
        let key = why.split_whitespace().nth(4).expect("it names the key");
        let file = server.data().join("blobs").join(key);
        fs::create_dir_all(file.parent().expect("it is in a folder")).expect("it can be made");
        fs::write(&file, vec![0; blob.bytes.len()]).expect("it can be written");
    }
    server.restart().await;
    whole(&server).await;
    let moved = server.cli_as_server(&["storage", "move", "--remove"]).await;
    assert!(moved.status.success(), "{moved:?}");
    server.set(&[("GANTRY_STORAGE__MOVING_FROM", "none")]);
    server.stop().await;
    server.restart().await;
    whole(&server).await;
    let check = server
        .cli_as_server(&["storage", "check", "--rehash"])
        .await;
    assert!(check.status.success(), "{check:?}");
}

#[tokio::test]
async fn a_damaged_object_is_not_moved() {
    let bucket = Bucket::of_test("damaged");
    let server = on_files(&bucket, &[]).await;
    let admin = server.admin();
    let digest = admin.push_blob("library/bad", noise("bad", 100_000)).await;
    let why = server.cli_prints(&["storage", "why", &digest]).await;
    let key = why.split_whitespace().nth(4).expect("it names the key");
    let file = server.data().join("blobs").join(key);
    let mut bytes = fs::read(&file).expect("the object can be read");
    bytes[5_000] ^= 1;
    fs::write(&file, bytes).expect("the object can be written");
    server.set(&[
        ("GANTRY_STORAGE__BACKEND", "s3"),
        ("GANTRY_STORAGE__MOVING_FROM", "files"),
    ]);
    let early = server.cli_as_server(&["storage", "move", "--remove"]).await;
    let said = String::from_utf8_lossy(&early.stderr).into_owned();
    assert!(
        !early.status.success() && said.contains("do not belong together"),
        "the server has to know the new store first: {said}"
    );
    server.stop().await;
    server.restart().await;
    let moved = server.cli_as_server(&["storage", "move", "--remove"]).await;
    let said = String::from_utf8_lossy(&moved.stdout).into_owned();
    assert!(!moved.status.success(), "{said}");
    assert!(
        said.contains(&digest) && said.contains("the old object has"),
        "{said}"
    );
    assert!(file.exists(), "what was not copied is not removed");
    // Once it is known to be lost it holds nothing up.
    let check = server
        .cli_as_server(&["storage", "check", "--rehash"])
        .await;
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    let moved = server.cli_as_server(&["storage", "move", "--remove"]).await;
    assert!(moved.status.success(), "{moved:?}");
    assert!(file.exists(), "what was not copied is not removed");
}

#[tokio::test]
async fn a_backup_is_restored_beside_its_blobs() {
    let server = Server::start().await;
    let admin = server.admin();
    let (kept, later) = (image("backed up"), image("after the backup"));
    admin.push_image("library/kept", "v1", &kept).await;
    let folder = server.scratch().join("backup");
    let folder = folder.to_str().expect("a path is text");
    let done = server.cli_prints(&["backup", &format!("{folder}/")]).await;
    assert!(done.contains("3 blobs named"), "{done}");
    let again = server.cli(&["backup", folder]).await;
    assert!(!again.status.success(), "nothing is written over");
    admin.push_image("library/later", "v1", &later).await;
    let by_token = admin.with_token(&["repository:library/kept:pull"]).await;
    let restore_refused = async |reason: &str| {
        let refused = server.cli(&["restore", folder]).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        let fits = !refused.status.success() && said.contains(reason);
        assert!(fits, "{said}");
    };
    restore_refused("is running on").await;
    server.stop().await;
    restore_refused("not empty").await;
    for name in ["gantry.db", "gantry.db-wal", "gantry.db-shm"] {
        let _ = fs::remove_file(server.data().join(name));
    }
    let restored = server.cli_prints(&["restore", folder, "--rehash"]).await;
    assert!(restored.contains("all of them are present"), "{restored}");
    server.restart().await;
    let admin = server.admin();
    let pulled = admin.get("/v2/library/kept/manifests/v1").await.expect(200);
    assert_eq!(pulled.body, kept.manifest);
    for blob in kept.blobs() {
        let path = format!("/v2/library/kept/blobs/{}", blob.digest);
        assert_eq!(admin.get(&path).await.expect(200).body, blob.bytes);
    }
    admin
        .get("/v2/library/later/manifests/v1")
        .await
        .expect(404);
    let refused = by_token.get("/v2/library/kept/manifests/v1").await;
    assert_eq!(refused.status, 401, "its account's id may be another's now");
    server.cli_prints(&["audit", "verify"]).await;
    server.still_serves().await;
}

#[tokio::test]
async fn a_damaged_backup_is_refused_whole() {
    let server = Server::start().await;
    let admin = server.admin();
    admin
        .push_image("library/kept", "v1", &image("damaged backup"))
        .await;
    let folder = server.scratch().join("backup");
    let path = folder.to_str().expect("a path is text");
    server.cli_prints(&["backup", path]).await;
    server.stop().await;
    for name in ["gantry.db", "gantry.db-wal", "gantry.db-shm"] {
        let _ = fs::remove_file(server.data().join(name));
    }
    let file = folder.join("database.jsonl");
    let text = fs::read_to_string(&file).expect("the backup can be read");
    fs::write(&file, text.replacen("library", "librarx", 1)).expect("it can be written");
    let refused = server.cli(&["restore", path]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("its hash differs"),
        "{said}"
    );
    fs::write(&file, text).expect("it can be written");
    let key = server.data().join("master.key");
    let away = server.scratch().join("key");
    fs::rename(&key, &away).expect("the key can be moved");
    let keyless = server.cli(&["restore", path]).await;
    assert!(!keyless.status.success(), "the key is not made anew");
    fs::rename(&away, &key).expect("the key can be moved");
    server.cli_prints(&["restore", path]).await;
    server.restart().await;
    server.still_serves().await;
}

/// Moves the database away, as if its volume were lost.
fn lose_database(server: &Server) {
    for name in ["gantry.db", "gantry.db-wal", "gantry.db-shm"] {
        let _ = fs::rename(server.data().join(name), server.scratch().join(name));
    }
}

fn find_database(server: &Server) {
    for name in ["gantry.db", "gantry.db-wal", "gantry.db-shm"] {
        let _ = fs::remove_file(server.data().join(name));
        let _ = fs::rename(server.scratch().join(name), server.data().join(name));
    }
}

#[tokio::test]
async fn a_new_database_is_refused_on_a_store_that_was_used() {
    let server = Server::start().await;
    let admin = server.admin();
    let kept = image("kept without its database");
    admin.push_image("library/kept", "v1", &kept).await;
    server.stop().await;
    lose_database(&server);
    for _ in 0..2 {
        let why = server.is_refused().await;
        assert!(
            why.contains("the database is new") && why.contains("gantry storage claim"),
            "{why}"
        );
        assert!(!why.contains("password"), "nothing was made: {why}");
    }
    // Commands see it too, and nobody claims without being asked.
    for command in [
        &["storage", "check"][..],
        &["gc", "status"],
        &["storage", "claim"],
    ] {
        let refused = server.cli(command).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    }
    find_database(&server);
    server.restart().await;
    let pulled = server.admin().get("/v2/library/kept/manifests/v1").await;
    assert_eq!(pulled.expect(200).body, kept.manifest);
    server.cli_prints(&["storage", "check", "--rehash"]).await;
    server.stop().await;

    lose_database(&server);
    // The CA was in the database: what it issued is of no use to the next one.
    fs::remove_dir_all(server.data().join("certs")).expect("the folder can be removed");
    server.is_refused().await;
    let claimed = server.cli_prints(&["storage", "claim", "--yes"]).await;
    assert!(
        claimed.contains("of 3 objects, 3 are not in the database and will be deleted"),
        "{claimed}"
    );
    server.restart().await;
    let log = server.cli_prints(&["audit", "export"]).await;
    assert!(log.lines().any(|line| line.contains("claim")), "{log}");
    eventually(
        20,
        "what the new database does not name is swept",
        async || {
            let store = fs::read_dir(server.data().join("blobs")).expect("the folder can be read");
            let objects = store.filter_map(|hour| fs::read_dir(hour.ok()?.path()).ok());
            (objects.map(Iterator::count).sum::<usize>() == 0).then_some(())
        },
    )
    .await;
    server.stop().await;
    // The database from before is no longer the store's own.
    find_database(&server);
    let why = server.is_refused().await;
    assert!(why.contains("belongs to installation"), "{why}");
}

#[tokio::test]
async fn an_empty_folder_is_refused_in_the_place_of_the_store() {
    let server = Server::start().await;
    server
        .admin()
        .push_blob("library/a", noise("unmounted", 9_000))
        .await;
    server.stop().await;
    let (blobs, away) = (server.data().join("blobs"), server.scratch().join("away"));
    fs::rename(&blobs, &away).expect("the folder can be moved");
    let why = server.is_refused().await;
    assert!(why.contains("there is no gantry-store.json"), "{why}");
    fs::remove_dir(&blobs).expect("it was made empty");
    fs::rename(&away, &blobs).expect("the folder can be moved back");
    server.restart().await;
    server.still_serves().await;
}

#[tokio::test]
async fn nothing_is_taken_into_a_folder_that_came_in_the_place_of_the_store() {
    let server = Server::start().await;
    server.may_complain();
    let admin = server.admin();
    let before = noise("mounted", 9_000);
    admin.push_blob("library/a", before.clone()).await;
    let (blobs, away) = (server.data().join("blobs"), server.scratch().join("away"));
    fs::rename(&blobs, &away).expect("the folder can be moved");
    fs::create_dir(&blobs).expect("a folder can be made");
    // At once, not only when the store is looked at again.
    let upload = admin.start_upload("library/a").await;
    let bytes = noise("lost", 9_000);
    let path = upload.location_with(&format!("digest={}", sha256(&bytes)));
    let put = admin.put(&path).body(bytes.clone()).await;
    assert_eq!(put.status, 503, "{}", put.text());
    let check = server.cli_as_server(&["storage", "check"]).await;
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    fs::remove_dir_all(&blobs).expect("the folder can be removed");
    fs::rename(&away, &blobs).expect("the folder can be moved back");
    admin.push_blob("library/a", bytes).await;
    let path = format!("/v2/library/a/blobs/{}", sha256(&before));
    assert_eq!(admin.get(&path).await.expect(200).body, before);
}

#[tokio::test]
async fn a_replica_with_a_folder_of_its_own_is_refused() {
    let replicas = Replicas::start().await;
    replicas.second.stop().await;
    let own = replicas.second.scratch().join("own");
    let own = own.to_str().expect("a path is text");
    replicas.second.set(&[("GANTRY_STORAGE__PATH", own)]);
    let why = replicas.second.is_refused().await;
    assert!(why.contains("there is no gantry-store.json"), "{why}");
    replicas.first.still_serves().await;
}

#[tokio::test]
async fn files_of_others_beside_the_blobs_are_left_alone() {
    let server = Server::start().await;
    let admin = server.admin();
    let digest = admin.push_blob("library/own", noise("own", 9_000)).await;
    let why = server.cli_prints(&["storage", "why", &digest]).await;
    let key = why.split_whitespace().nth(4).expect("it names the key");
    let (hour, name) = key.split_once('/').expect("a key has an hour");
    server.stop().await;
    let blobs = server.data().join("blobs");
    let write = |path: &str| {
        let file = blobs.join(path);
        fs::create_dir_all(file.parent().expect("it is in a folder")).expect("it can be made");
        fs::write(&file, b"quarterly").expect("it can be written");
        file
    };
    let reversed: String = name.chars().rev().collect();
    let others = [
        write("2024/report.pdf"),
        write("470000/notes.txt"),
        write(&format!("2024/{name}")),
        write(&format!("{hour}/{name}.bak")),
    ];
    let left_behind = write(&format!("{hour}/{reversed}"));
    server.restart().await;
    eventually(20, "what a crash left behind is swept", async || {
        (!left_behind.exists()).then_some(())
    })
    .await;
    for file in &others {
        assert!(file.exists(), "{} was deleted", file.display());
    }
    let check = server.cli_prints(&["storage", "check", "--rehash"]).await;
    assert!(check.contains("4 objects are not Gantry's own"), "{check}");
    assert!(check.contains("2024/report.pdf"), "{check}");
}
