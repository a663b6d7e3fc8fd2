//! Garbage collection: what nothing refers to goes, object and all; what something refers to stays.

use std::fs;
use std::path::PathBuf;

use ::model::{Clock as _, SystemClock};

use crate::harness::{self, Server, eventually, fresh, image, noise};

/// A server that waits one second for references.
async fn impatient() -> Server {
    Server::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await
}

/// How many objects are stored.
fn objects(server: &Server) -> usize {
    paths(server).len()
}

/// Where each object is.
fn paths(server: &Server) -> Vec<PathBuf> {
    harness::objects(&server.data().join("blobs"))
}

#[tokio::test]
async fn what_a_deleted_image_named_goes() {
    let server = impatient().await;
    let admin = server.admin();
    let (kept, gone) = (image("kept"), image("gone"));
    admin.push_image("library/kept", "v1", &kept).await;
    admin.push_image("library/gone", "v1", &gone).await;
    let all = objects(&server);
    admin
        .delete(&format!("/v2/library/gone/manifests/{}", gone.digest))
        .await
        .expect(202);
    let left = all - gone.blobs().count();
    eventually(20, "the deleted image's objects are gone", async || {
        (objects(&server) == left).then_some(())
    })
    .await;
    for blob in gone.blobs() {
        let path = format!("/v2/library/gone/blobs/{}", blob.digest);
        admin.get(&path).await.expect_error(404, "BLOB_UNKNOWN");
    }
    for blob in kept.blobs() {
        let path = format!("/v2/library/kept/blobs/{}", blob.digest);
        admin.get(&path).await.expect(200);
        let why = server.cli_prints(&["storage", "why", &blob.digest]).await;
        assert!(
            why.contains(&format!("library/kept: named by {}", kept.digest)),
            "{why}"
        );
    }
    server.cli_prints(&["storage", "check", "--rehash"]).await;
    server.cli_prints(&["storage", "usage"]).await;
    // The same image again: under new keys, and whole.
    admin.push_image("library/gone", "v2", &gone).await;
    assert_eq!(objects(&server), all);
}

#[tokio::test]
async fn a_shared_blob_stays_while_one_repository_names_it() {
    let server = impatient().await;
    let admin = server.admin();
    let shared = image("shared");
    admin.push_image("library/one", "v1", &shared).await;
    admin.push_image("library/two", "v1", &shared).await;
    let all = objects(&server);
    let delete = async |repository: &str| {
        let path = format!("/v2/{repository}/manifests/{}", shared.digest);
        admin.delete(&path).await.expect(202);
    };
    let blob = shared.blobs().next().expect("an image has blobs");
    delete("library/one").await;
    eventually(20, "the link is gone", async || {
        let path = format!("/v2/library/one/blobs/{}", blob.digest);
        // A HEAD would renew its lease.
        (admin.get(&path).await.status == 404).then_some(())
    })
    .await;
    let path = format!("/v2/library/two/blobs/{}", blob.digest);
    admin.get(&path).await.expect(200);
    assert_eq!(objects(&server), all);
    delete("library/two").await;
    eventually(20, "the objects are gone", async || {
        (objects(&server) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_goes_while_it_is_paused() {
    let server = impatient().await;
    let admin = server.admin();
    server.cli_prints(&["gc", "pause"]).await;
    let digest = admin.push_blob("library/idle", noise("idle", 5_000)).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let status = server.cli_prints(&["gc", "status"]).await;
    assert!(status.contains("paused: true"), "{status}");
    assert!(
        status.contains("links that would be removed now: 1"),
        "{status}"
    );
    let path = format!("/v2/library/idle/blobs/{digest}");
    admin.get(&path).await.expect(200);
    server.cli_prints(&["gc", "resume"]).await;
    eventually(20, "the blob is gone", async || {
        (objects(&server) == 0 && admin.get(&path).await.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_pause_stops_a_collection_that_runs() {
    let server = impatient().await;
    let admin = server.admin();
    // One a second.
    server.cli_prints(&["gc", "rate", "60"]).await;
    for number in 0..12 {
        let bytes = noise(&format!("paused {number}"), 1_000);
        admin.push_blob("library/paused", bytes).await;
    }
    eventually(20, "the collection runs", async || {
        (objects(&server) < 12).then_some(())
    })
    .await;
    server.cli_prints(&["gc", "pause"]).await;
    // It may be in the middle of a spell, and sleep at its end.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let left = objects(&server);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(objects(&server), left);
    assert!(left > 0, "it went on");
}

#[tokio::test]
async fn whoever_was_told_that_a_blob_is_there_finds_it() {
    let server = Server::with(&[("GANTRY_GC__GRACE_SECS", "4")]).await;
    let admin = server.admin();
    let digest = admin.push_blob("library/seen", noise("seen", 5_000)).await;
    let path = format!("/v2/library/seen/blobs/{digest}");
    // Three times the grace: each HEAD renews it.
    for _ in 0..12 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        admin.head(&path).await.expect(200);
    }
}

#[tokio::test]
async fn a_project_holds_what_its_quota_allows() {
    let server = Server::start().await;
    let admin = server.admin();
    let name = fresh("quota");
    let project = serde_json::json!({ "project_name": name, "storage_limit": 12_000 });
    admin
        .post("/api/v2.0/projects")
        .json(&project)
        .await
        .expect(201);
    let repository = format!("{name}/app");
    let pushes = (0..20).map(|number| {
        let (admin, repository) = (&admin, &repository);
        async move {
            let bytes = noise(&format!("quota {number}"), 1_000);
            let digest = crate::harness::sha256(&bytes);
            let started = admin.start_upload(repository).await;
            let path = started.location_with(&format!("digest={digest}"));
            admin.put(&path).body(bytes).await
        }
    });
    let pushed = futures_util::future::join_all(pushes).await;
    let count = |status| {
        pushed
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!((count(201), count(403)), (12, 8));
    let refused = pushed
        .iter()
        .find(|answer| answer.status == 403)
        .expect("eight were refused");
    assert_eq!(refused.code(), "DENIED");
    assert_eq!(
        refused.message(),
        "adding 1000.0 B of storage resource, which when updated to current usage of 11.7 KiB \
         will exceed the configured upper limit of 11.7 KiB."
    );
    let summary = admin
        .get(&format!("/api/v2.0/projects/{name}/summary"))
        .await
        .expect(200)
        .json();
    assert_eq!(summary["quota"]["used"]["storage"], 12_000);
    let listed = admin
        .get("/api/v2.0/quotas?sort=-creation_time")
        .await
        .expect(200)
        .json();
    let quota = listed[0].clone();
    assert_eq!(
        (&quota["ref"]["name"], &quota["hard"]["storage"]),
        (&name.into(), &12_000.into())
    );
    let path = format!("/api/v2.0/quotas/{}", quota["id"]);
    let set = async |bytes: i64| {
        admin
            .put(&path)
            .json(&serde_json::json!({ "hard": { "storage": bytes } }))
            .await
    };
    set(-5).await.expect_error(400, "BAD_REQUEST");
    // Below what it holds: refused before a byte comes.
    set(5_000).await.expect(200);
    let start = format!("/v2/{repository}/blobs/uploads/");
    admin.post(&start).await.expect_error(403, "DENIED");
    set(-1).await.expect(200);
    admin
        .push_blob(&repository, noise("quota again", 50_000))
        .await;
    server.cli_prints(&["storage", "usage"]).await;
}

#[tokio::test]
async fn a_broken_row_keeps_no_other_project_from_being_looked_at() {
    let server = impatient().await;
    server.may_complain();
    let admin = server.admin();
    let (broken, sound) = (
        server.private_project().await,
        server.private_project().await,
    );
    let (first, second) = (image("first of two"), image("second of two"));
    for project in [&broken, &sound] {
        let repository = project.repository("app");
        admin.push_image(&repository, "latest", &first).await;
        admin.push_image(&repository, "latest", &second).await;
    }
    server.stop().await;
    let rename = format!(
        "update repository set name = name || '#5' where name = '{}'",
        broken.repository("app")
    );
    server.sql(&rename).await;
    server.restart().await;
    for project in [&broken, &sound] {
        let policy = ["project", "untagged", &project.name, "--delete-after", "1s"];
        server.cli_prints(&policy).await;
    }
    let path = format!("/v2/{}/manifests/{}", sound.repository("app"), first.digest);
    eventually(30, "the untagged manifest is gone", async || {
        (admin.get(&path).await.status == 404).then_some(())
    })
    .await;
    let named = "1 rows cannot be understood and were passed over, such as: row";
    eventually(30, "the row is named", async || {
        server.log().contains(named).then_some(())
    })
    .await;
}

#[tokio::test]
async fn untagged_manifests_go_where_the_project_wants_it() {
    let server = impatient().await;
    let admin = server.admin();
    let project = server.private_project().await;
    let repository = project.repository("app");
    let (first, second) = (image("first build"), image("second build"));
    // A tag that nothing may take away keeps what it belongs to.
    let signed = image("signed build");
    admin.push_image(&repository, &signed.digest, &signed).await;
    let report = signed.about("report of a build", "application/example.report");
    admin.push_image(&repository, "report-1", &report).await;
    let rule = ["rule", "create", &project.name, "--tags", "report-*"];
    server.cli_prints(&rule).await;
    let policy = ["project", "untagged", &project.name];
    let said = server.cli_prints(&policy).await;
    assert!(said.contains("untagged manifests are kept"), "{said}");
    for repository in [&*repository, "library/free"] {
        admin.push_image(repository, "latest", &first).await;
        admin.push_image(repository, "latest", &second).await;
    }
    server
        .cli_prints(&[&policy[..], &["--delete-after", "1s"]].concat())
        .await;
    let path = |repository: &str, digest: &str| format!("/v2/{repository}/manifests/{digest}");
    eventually(30, "the untagged manifest is gone", async || {
        let answer = admin.get(&path(&repository, &first.digest)).await;
        (answer.status == 404).then_some(())
    })
    .await;
    let kept = [
        path(&repository, &second.digest),
        path(&repository, &signed.digest),
        path(&repository, "report-1"),
        path("library/free", &first.digest),
    ];
    for path in kept {
        admin.get(&path).await.expect(200);
    }
    let log = server.cli_prints(&["audit", "export"]).await;
    let noted = format!("{repository}@{}", first.digest);
    assert!(
        log.lines()
            .any(|line| line.contains(&noted) && line.contains("untagged"))
    );
    server.cli_prints(&["storage", "usage"]).await;
    let said = server
        .cli_prints(&[&policy[..], &["--keep"]].concat())
        .await;
    assert!(said.contains("are kept"), "{said}");
}

#[tokio::test]
async fn an_orphan_that_cannot_be_deleted_does_not_end_the_sweep() {
    let server = impatient().await;
    server.stop().await;
    let hour = SystemClock.now().hour();
    let orphan = |hour: i64, name: &str| {
        let folder = server.data().join("blobs").join(hour.to_string());
        fs::create_dir_all(&folder).expect("the folder can be made");
        let path = folder.join(name);
        fs::write(&path, b"left by a crash").expect("the file can be written");
        path
    };
    let (stuck, other) = ("ab".repeat(20), "cd".repeat(20));
    let first = orphan(hour, &stuck);
    // A folder where a file is expected cannot be deleted as one, whoever tries.
    let obstacle = first.with_file_name(format!("{stuck}.copy"));
    fs::create_dir(obstacle).expect("the folder can be made");
    let second = orphan(hour + 1, &other);
    // Both hours are closed by then.
    server.restart_with_clock("+5h").await;
    eventually(20, "the other orphan is gone", async || {
        (!second.exists()).then_some(())
    })
    .await;
    let status = server.cli_prints(&["gc", "status"]).await;
    assert!(
        status.contains("objects that wait to be deleted: 1 "),
        "{status}"
    );
}

#[tokio::test]
async fn an_object_that_cannot_be_deleted_holds_up_no_other() {
    let server = impatient().await;
    let admin = server.admin();
    let push = async |number: usize| {
        let bytes = noise(&format!("stuck {number}"), 1_000);
        admin.push_blob("library/stuck", bytes).await
    };
    server.cli_prints(&["gc", "pause"]).await;
    push(0).await;
    let stuck = paths(&server).pop().expect("there is one");
    // A folder cannot be deleted as a file, whoever tries.
    fs::remove_file(&stuck).expect("the file can be removed");
    fs::create_dir(&stuck).expect("the folder can be made");
    for number in 1..9 {
        push(number).await;
    }
    server.cli_prints(&["gc", "resume"]).await;
    let only_it_is_left = async || (paths(&server) == [&*stuck]).then_some(());
    eventually(20, "the others are gone", only_it_is_left).await;
    eventually(10, "the failure is told", async || {
        let status = server.cli_prints(&["gc", "status"]).await;
        let told = "objects that could not be deleted: 1, for example: cannot delete object";
        (status.contains(told) && status.contains("Is a directory")).then_some(())
    })
    .await;
    assert!(server.metric("gantry_gc_deletions_failed_total").await >= 1.0);
    // Nor does it hold up what comes later.
    push(9).await;
    eventually(20, "the later one is gone", only_it_is_left).await;
}
