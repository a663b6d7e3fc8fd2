//! What two processes on one database know of each other.

use std::fs;
use std::future::{Future, IntoFuture};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::model::{Clock as _, SystemClock};
use bytes::Bytes;
use http_body_util::channel::Sender;

use crate::harness::{
    Answer, Replicas, Server, eventually, fresh, image, index_of, media, noise, objects, sha256,
    unnamed,
};
use crate::push_pull::{foreign, manifest};

const LOGIN: &str = "/service/token?service=harbor-registry";

#[tokio::test]
async fn guesses_at_one_replica_count_at_the_other() {
    let replicas = Replicas::start().await;
    let (first, second) = (&replicas.first, &replicas.second);
    let name = fresh("guessed");
    first.create_user(&name).await;
    let guess = async |server: &Server| {
        let guesser = server.as_user_with(&name, "Wr0ngPassword").at(77);
        guesser.get(LOGIN).await.expect(401)
    };
    // One less than is refused.
    for _ in 0..4 {
        guess(first).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    guess(second).await;
    let owner = second.as_user(&name);
    let refused = owner.at(77).get(LOGIN).await.expect(429);
    assert_eq!(refused.header("retry-after"), "1");
    owner.at(78).get(LOGIN).await.expect(200);
    // The right password at one clears it at both.
    tokio::time::sleep(Duration::from_secs(2)).await;
    first.as_user(&name).at(77).get(LOGIN).await.expect(200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    for _ in 0..4 {
        guess(second).await;
    }
    owner.at(77).get(LOGIN).await.expect(200);
}

#[tokio::test]
async fn a_locked_table_holds_the_end_of_a_process_for_ten_seconds_at_most() {
    let replicas = Replicas::start().await;
    let server = &replicas.first;
    server.may_complain();
    let locked = replicas
        .sql("begin; lock table audit in access exclusive mode; select pg_sleep(15); commit");
    let stopped = async {
        eventually(5, "the table is locked", async || {
            let held = "select count(*) from pg_locks where relation = 'audit'::regclass \
                        and mode = 'AccessExclusiveLock' and granted \
                        and database = (select oid from pg_database where datname = current_database())";
            (replicas.sql(held).await == "1").then_some(())
        })
        .await;
        // Recorded in memory, and not to be written any more.
        let guesser = server.as_user_with("admin", "Wr0ngPassword").at(77);
        guesser.get(LOGIN).await.expect(401);
        server.ask_to_stop();
        assert!(server.ended(11).await.success());
        let log = server.log();
        let lines = log.lines().filter(|line| line.contains(" ERROR "));
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 1, "{log}");
        for part in ["are not written", "entries=", "is a table locked"] {
            assert!(lines[0].contains(part), "no {part} in {lines:?}");
        }
    };
    tokio::join!(locked, stopped);
}

#[tokio::test]
async fn manifests_mean_the_same_on_postgres() {
    let replicas = Replicas::start().await;
    foreign::what_is_here_is_referred_to(&replicas.first).await;
    manifest::nul_is_refused(&replicas.second).await;
}

#[tokio::test]
async fn an_index_and_the_end_of_its_child_do_not_cross() {
    let replicas = Replicas::start().await;
    let repository = replicas.first.private_project().await.repository("cross");
    let (pusher, deleter) = (replicas.first.admin(), replicas.second.admin());
    for round in 0..40 {
        let child = image(&format!("crossing {round}"));
        pusher.push_image(&repository, &child.digest, &child).await;
        let (_, index) = index_of(&[&child]);
        let tag = format!("round-{round}");
        let path = format!("/v2/{repository}/manifests/{}", child.digest);
        let (pushed, deleted) = tokio::join!(
            async {
                pusher
                    .push_manifest(&repository, &tag, media::OCI_INDEX, index)
                    .await
            },
            async { deleter.delete(&path).await },
        );
        match (pushed.status, deleted.status) {
            (201, 412) | (400, 202) => {}
            _ => panic!("{pushed}\n{deleted}"),
        }
        let there = pusher.get(&path).await.status == 200;
        assert_eq!(there, deleted.status == 412, "{deleted}");
    }
}

#[tokio::test]
async fn a_push_and_a_deletion_of_one_manifest_do_not_cross() {
    let replicas = Replicas::start().await;
    let repository = replicas.first.private_project().await.repository("same");
    let (pusher, deleter) = (replicas.first.admin(), replicas.second.admin());
    let image = image("pushed and deleted");
    pusher.push_image(&repository, "latest", &image).await;
    let path = format!("/v2/{repository}/manifests/{}", image.digest);
    for round in 0..40 {
        let tag = format!("round-{round}");
        let (pushed, deleted) = tokio::join!(
            async {
                let bytes = image.manifest.clone();
                pusher
                    .push_manifest(&repository, &tag, &image.media_type, bytes)
                    .await
            },
            async { deleter.delete(&path).await },
        );
        assert_eq!(pushed.status, 201, "{pushed}");
        assert!([202, 404].contains(&deleted.status), "{deleted}");
        let bytes = image.manifest.clone();
        let again = pusher.push_manifest(&repository, "latest", &image.media_type, bytes);
        again.await.expect(201);
    }
}

#[tokio::test]
async fn each_pull_and_pushes_of_the_same_tag_do_not_cross() {
    let replicas = Replicas::with(&[("GANTRY_AUDIT__PULLS", "each")]).await;
    let repository = replicas.first.private_project().await.repository("each");
    let (pusher, puller) = (replicas.first.admin(), replicas.second.admin());
    let images = [image("pushed by turns"), image("pushed by turns too")];
    for image in &images {
        pusher.push_image(&repository, "latest", image).await;
    }
    let path = format!("/v2/{repository}/manifests/latest");
    let pull = async || puller.get(&path).await;
    for image in images.iter().cycle().take(40) {
        let bytes = image.manifest.clone();
        let (pushed, pulled, again) = tokio::join!(
            pusher.push_manifest(&repository, "latest", &image.media_type, bytes),
            pull(),
            pull(),
        );
        pushed.expect(201);
        for pulled in [pulled, again] {
            let pulled = pulled.expect(200);
            let known = images.iter().any(|image| image.digest == pulled.digest());
            assert!(known, "{pulled}");
        }
    }
    let of_the_tag = format!(
        "select count(*) from audit where operation = 'pull' and resource = '{repository}:latest'"
    );
    assert_eq!(replicas.sql(&of_the_tag).await, "80", "each is an entry");
}

#[tokio::test]
async fn a_replica_whose_clock_is_wrong_says_so() {
    let replicas = Replicas::start().await;
    let (right, wrong) = (&replicas.first, &replicas.second);
    let warnings = || {
        let warning = "this machine's clock differs from the database's, whose time is used";
        wrong.log().matches(warning).count()
    };
    wrong.stop().await;
    // Warned of, and no more.
    wrong.restart_with_clock("+10").await;
    eventually(10, "it is warned of", async || {
        (warnings() == 1).then_some(())
    })
    .await;
    is_ahead(wrong, 10.0).await;
    wrong.operator().get("/readyz").await.expect(200);

    wrong.stop().await;
    wrong.restart_with_wrong_clock("+3h").await;
    let why = "this machine's clock is more than 30 s off the database's";
    let ready = wrong.operator().get("/readyz").await.expect(503);
    assert_eq!(ready.message(), why);
    let health = wrong.anonymous().get("/api/v2.0/health").await;
    let health = health.expect(200).text();
    assert!(
        health.contains(why) && health.ends_with(r#""status":"unhealthy"}"#),
        "{health}"
    );
    is_ahead(wrong, 3.0 * 3_600.0).await;
    assert_eq!(warnings(), 2, "once at each start");
    // What it serves all the same is right.
    for (from, to) in [(wrong, right), (right, wrong)] {
        let token = from.admin().token(&["repository:library/any:pull"]).await;
        to.with_bearer(&token).get("/v2/").await.expect(200);
    }
    right.operator().get("/readyz").await.expect(200);
}

/// The metric says that this replica's clock is ahead of the database's by that many seconds.
async fn is_ahead(server: &Server, seconds: f64) {
    let skew = server.metric("gantry_clock_skew_seconds").await;
    assert!((skew + seconds).abs() < 2.0, "{skew}");
}

/// How many bytes the first request brings, and where the second stalls.
const FIRST: usize = 1_000_000;
const STALLED: usize = 1_400_000;
/// Up to there the client sends when it goes on at the other replica, before anything comes late.
const GONE_ON: usize = 2_200_000;
const ALL: usize = 3_000_000;
/// Bytes that are written at a time.
const BATCH: usize = 256 << 10;

/// When the first replica gets what its client had sent before it went on at the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Late {
    BeforeTheCommit,
    AfterTheCommit,
}

#[tokio::test]
async fn an_upload_that_went_to_another_process_is_hashed_again() {
    let replicas = Replicas::start().await;
    for late in [Late::BeforeTheCommit, Late::AfterTheCommit] {
        is_whole_or_refused(&replicas, late).await;
    }
    let checked = replicas
        .second
        .cli_as_server(&["storage", "check", "--rehash"])
        .await;
    assert!(checked.status.success(), "{checked:?}");
}

async fn is_whole_or_refused(replicas: &Replicas, late: Late) {
    let repository = format!("library/{}", fresh("mixed"));
    let bytes = noise(&repository, ALL);
    let first = replicas.first.admin();
    let begun = first.start_upload(&repository).await;
    let begun = first.patch(&begun.location()).body(bytes.slice(..FIRST));
    let begun = begun.await.expect(202);
    let location = begun.location();
    let (mut stalled, patch) = first.patch(&location).streaming();
    let going_on = async {
        let stored = go_on(replicas, &begun, &bytes, (&mut stalled, late)).await;
        drop(stalled);
        stored
    };
    let (patched, stored) = tokio::join!(patch.attempt(), going_on);
    let refused = patched.as_ref().map_or(true, |answer| answer.status >= 400);
    assert!(refused, "{late:?}: {patched:?}");
    let path = format!("/v2/{repository}/blobs/{}", sha256(&bytes));
    for server in [&replicas.first, &replicas.second] {
        let pulled = server.admin().get(&path).await;
        match (stored.status, &*stored.code()) {
            (201, _) => assert!(
                pulled.expect(200).body == bytes,
                "{late:?}: bytes are mixed"
            ),
            (400, "DIGEST_INVALID") => drop(pulled.expect(404)),
            _ => panic!("{late:?}: {stored}"),
        }
    }
}

/// The request at the first replica stalls, the client finishes at the second, and other bytes come late at the
/// first; what the second answers.
async fn go_on(
    replicas: &Replicas,
    begun: &Answer,
    bytes: &Bytes,
    (stalled, late): (&mut Sender<Bytes, io::Error>, Late),
) -> Answer {
    let other = noise("what comes late", ALL);
    let file = file_of(replicas, FIRST);
    send(stalled, &other, FIRST..STALLED).await;
    grows_to(&file, FIRST + BATCH).await;
    let second = replicas.second.admin();
    let path = begun.location_with(&format!("digest={}", sha256(bytes)));
    let (mut body, put) = second.put(&path).streaming();
    let rest = async {
        send(&mut body, bytes, FIRST..GONE_ON).await;
        // Less than a batch may wait for more.
        grows_to(&file, GONE_ON - BATCH).await;
        if late == Late::BeforeTheCommit {
            send(stalled, &other, STALLED..GONE_ON).await;
            // Where the second has written already, and the first had not yet when it stalled.
            holds(&file, &other, STALLED + BATCH).await;
        }
        send(&mut body, bytes, GONE_ON..ALL).await;
        drop(body);
    };
    let (stored, ()) = tokio::join!(put.into_future(), rest);
    if late == Late::AfterTheCommit {
        send(stalled, &other, STALLED..GONE_ON).await;
    }
    stored
}

async fn send(body: &mut Sender<Bytes, io::Error>, bytes: &Bytes, range: std::ops::Range<usize>) {
    let sent = body.send_data(bytes.slice(range)).await;
    sent.expect("the server reads the body");
}

/// The object that has so many bytes.
fn file_of(replicas: &Replicas, size: usize) -> PathBuf {
    let has_size = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() == size as u64);
    let mut found = objects(&replicas.blobs()).into_iter().filter(has_size);
    found.next().expect("there is one")
}

async fn grows_to(file: &Path, size: usize) {
    eventually(10, "the bytes are written", async || {
        let found = fs::metadata(file).expect("the file is there");
        (found.len() >= size as u64).then_some(())
    })
    .await;
}

/// Waits until the file has some of these bytes at their place.
async fn holds(file: &Path, bytes: &Bytes, at: usize) {
    let mut found = [0; 100];
    eventually(10, "the late bytes are written", async || {
        let file = fs::File::open(file).expect("the file can be opened");
        let read = file.read_exact_at(&mut found, at as u64);
        (read.is_ok() && found == bytes[at..at + 100]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_with_a_wrong_clock_sweeps_nothing_that_is_being_written() {
    let replicas = Replicas::start().await;
    let (wrong, right) = (&replicas.first, &replicas.second);
    let (store, hour) = (replicas.blobs(), SystemClock.now().hour());
    wrong.stop().await;
    // What a replica has written and is about to name, and what a crash left long ago.
    let (begun, left) = (unnamed(&store, hour, 1), unnamed(&store, hour - 5, 2));
    in_the_middle_of_a_push(right, async {
        forget_sweeps(&replicas).await;
        wrong.restart_with_wrong_clock("+3h").await;
        has_swept(&replicas).await;
    })
    .await;
    assert!(!left.exists(), "nothing was swept");
    assert!(begun.exists(), "a clock that is ahead swept it");

    wrong.stop().await;
    wrong.restart_with_wrong_clock("-2h").await;
    let left = unnamed(&store, hour - 5, 3);
    let before = objects(&store);
    in_the_middle_of_a_push(wrong, async {
        assert!(hour_of_new(&store, &before).await >= hour);
        right.stop().await;
        forget_sweeps(&replicas).await;
        right.restart().await;
        has_swept(&replicas).await;
    })
    .await;
    assert!(!left.exists(), "nothing was swept");
    assert!(begun.exists(), "it was swept beside a clock that is behind");
}

/// The hour that an object was written in which was not there before.
async fn hour_of_new(store: &Path, before: &[PathBuf]) -> i64 {
    let new = eventually(10, "an object is written", async || {
        let mut now = objects(store).into_iter();
        now.find(|path| !before.contains(path))
    })
    .await;
    let folder = new.parent().and_then(Path::file_name);
    let hour = folder.and_then(|name| name.to_str()?.parse().ok());
    hour.unwrap_or_else(|| panic!("no hour in {}", new.display()))
}

/// From now on no hour counts as swept, and a sweep is due: who starts next looks at all hours that are over. A
/// replica that runs has looked a moment before, found nothing to do, and does not look again for ten minutes.
async fn forget_sweeps(replicas: &Replicas) {
    replicas
        .sql("update job set due_at = 0 where kind = 'sweep'")
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    replicas
        .sql("delete from installation where name = 'sweep-mark'")
        .await;
}

/// Waits for the end of a sweep, which notes how far it came.
async fn has_swept(replicas: &Replicas) {
    let noted = "select count(*) from installation where name = 'sweep-mark'";
    eventually(20, "a sweep has ended", async || {
        (replicas.sql(noted).await == "1").then_some(())
    })
    .await;
}

/// Pushes a blob, and does something else when half of it has come.
async fn in_the_middle_of_a_push(server: &Server, work: impl Future<Output = ()>) {
    let admin = server.admin();
    let bytes = noise(&fresh("pushed meanwhile"), 900_000);
    let session = admin.start_upload("library/meanwhile").await;
    let digest = sha256(&bytes);
    let path = session.location_with(&format!("digest={digest}"));
    let (mut body, put) = admin.put(&path).streaming();
    let rest = async {
        send(&mut body, &bytes, 0..600_000).await;
        eventually(10, "the upload has begun", async || {
            (server.metric("gantry_uploads_open").await == 1.0).then_some(())
        })
        .await;
        work.await;
        send(&mut body, &bytes, 600_000..900_000).await;
        drop(body);
    };
    let (stored, ()) = tokio::join!(put.into_future(), rest);
    stored.expect(201);
    let path = format!("/v2/library/meanwhile/blobs/{digest}");
    let pulled = admin.get(&path).await.expect(200);
    assert!(pulled.body == bytes, "the bytes differ");
}

#[tokio::test]
async fn a_robot_that_is_disabled_or_rotated_at_one_replica_is_out_at_the_other() {
    let replicas = Replicas::start().await;
    let (first, second) = (&replicas.first, &replicas.second);
    let project = first.private_project().await;
    let repository = project.repository("app");
    let admin = first.admin();
    admin
        .push_image(&repository, "latest", &image(&repository))
        .await;
    let manifest = format!("/v2/{repository}/manifests/latest");
    let pull = serde_json::json!([{ "kind": "project", "namespace": project.name,
        "access": [{ "resource": "repository", "action": "pull" }] }]);
    let body =
        serde_json::json!({ "name": "ci", "level": "project", "duration": 1, "permissions": pull });
    let made = admin.post("/api/v2.0/robots").json(&body).await.expect(201);
    let (path, made) = (made.location(), made.json());
    let text = |field: &str| made[field].as_str().expect("it is text");
    let robot = second.as_user_with(text("name"), text("secret"));
    let token = robot
        .with_token(&[&format!("repository:{repository}:pull")])
        .await;
    for caller in [&robot, &token] {
        caller.get(&manifest).await.expect(200);
    }
    let is_out = async || {
        for caller in [&robot, &token] {
            eventually(2, "the robot is out", async || {
                (caller.get(&manifest).await.status == 401).then_some(())
            })
            .await;
        }
    };
    let mut change = admin.get(&path).await.expect(200).json();
    change["disable"] = true.into();
    admin.put(&path).json(&change).await.expect(200);
    is_out().await;
    change["disable"] = false.into();
    admin.put(&path).json(&change).await.expect(200);
    robot.get(&manifest).await.expect(200);
    let rotated = admin.patch(&path).json(&serde_json::json!({})).await;
    let rotated = rotated.expect(200).json();
    is_out().await;
    let secret = rotated["secret"].as_str().expect("it is shown");
    second
        .as_user_with(text("name"), secret)
        .get(&manifest)
        .await
        .expect(200);
    let used = eventually(5, "the use is written", async || {
        let read = admin.get(&path).await.expect(200).json();
        read["last_used_at"].is_string().then_some(read)
    })
    .await;
    assert!(used["last_used_address"].is_string(), "{used}");
}
