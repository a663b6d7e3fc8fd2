//! Background jobs on two replicas: one does what is due, another goes on when it dies, and what fails is shown.

use std::time::{Duration, Instant};

use crate::harness::{Replicas, Server, eventually, image, noise, objects};

/// Blobs that nothing names; one a second goes.
const BLOBS: usize = 30;
/// How long a process that died keeps its jobs, and how long another one needs to notice: a poll and its jitter.
const LEASE: u64 = 15;
const NOTICE: u64 = 3;

/// How many jobs of a kind a server runs.
async fn running(server: &Server, kind: &str) -> f64 {
    let name = format!("gantry_job_running{{kind=\"{kind}\"}}");
    server.metric(&name).await
}

/// Two replicas with garbage that takes half a minute, the one that collects it first.
async fn collecting() -> (Replicas, [bool; 2]) {
    let replicas = Replicas::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await;
    for arguments in [&["gc", "pause"][..], &["gc", "rate", "60"]] {
        let done = replicas.first.cli_as_server(arguments).await;
        assert!(done.status.success(), "{done:?}");
    }
    for number in 0..BLOBS {
        let bytes = noise(&format!("collected {number}"), 1_000);
        let pusher = [&replicas.first, &replicas.second][number % 2].admin();
        pusher.push_blob("library/collected", bytes).await;
    }
    let resumed = replicas.second.cli_as_server(&["gc", "resume"]).await;
    assert!(resumed.status.success(), "{resumed:?}");
    let who = eventually(20, "somebody collects", async || {
        let (first, second) = (
            running(&replicas.first, "gc").await,
            running(&replicas.second, "gc").await,
        );
        let has_begun = objects(&replicas.blobs()).len() < BLOBS;
        (has_begun && first + second > 0.0).then_some([first == 1.0, second == 1.0])
    })
    .await;
    assert_ne!(who[0], who[1], "one of them collects");
    (replicas, who)
}

/// The one that collects, and the other one.
fn of(replicas: &Replicas, who: [bool; 2]) -> (&Server, &Server) {
    if who[0] {
        (&replicas.first, &replicas.second)
    } else {
        (&replicas.second, &replicas.first)
    }
}

/// All is collected, and whatever was counted was counted once.
async fn is_collected_once(replicas: &Replicas, server: &Server) {
    eventually(60, "all is collected", async || {
        objects(&replicas.blobs()).is_empty().then_some(())
    })
    .await;
    eventually(10, "nothing waits to be deleted", async || {
        let left = "select count(*) from object_garbage";
        (replicas.sql(left).await == "0").then_some(())
    })
    .await;
    let used = "select sum(used) from project_usage u join project p on p.id = u.project_id where p.name = 'library'";
    eventually(10, "the project has its room back", async || {
        (replicas.sql(used).await == "0").then_some(())
    })
    .await;
    let counted = server.cli_as_server(&["storage", "usage"]).await;
    assert!(counted.status.success(), "{counted:?}");
}

#[tokio::test]
async fn a_replica_takes_over_what_a_killed_one_collected() {
    let (replicas, who) = collecting().await;
    let (killed, left) = of(&replicas, who);
    killed.kill();
    let since = Instant::now();
    eventually(LEASE + NOTICE, "the other one collects", async || {
        (running(left, "gc").await == 1.0).then_some(())
    })
    .await;
    assert!(since.elapsed() > Duration::from_secs(5), "the lease held");
    is_collected_once(&replicas, left).await;
    let id = replicas.sql("select id from job where kind = 'gc'").await;
    let shown = left.cli_as_server(&["job", "show", &id]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("did not renew its lease"), "{shown}");
}

#[tokio::test]
async fn a_replica_that_stops_gives_its_jobs_back() {
    let (replicas, who) = collecting().await;
    let (stopped, left) = of(&replicas, who);
    stopped.stop().await;
    eventually(NOTICE, "the other one collects", async || {
        (running(left, "gc").await == 1.0).then_some(())
    })
    .await;
    is_collected_once(&replicas, left).await;
}

/// Manifests that lose their tag.
const UNTAGGED: usize = 12;

#[tokio::test]
async fn each_manifest_is_cleaned_away_once_though_a_replica_is_killed() {
    let replicas = Replicas::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await;
    let project = replicas.first.private_project().await;
    let (repository, admin) = (project.repository("app"), replicas.first.admin());
    for number in 0..=UNTAGGED {
        let image = image(&format!("build {number}"));
        admin.push_image(&repository, "latest", &image).await;
    }
    let policy = ["project", "untagged", &project.name, "--delete-after", "1s"];
    let set = replicas.first.cli_as_server(&policy).await;
    assert!(set.status.success(), "{set:?}");
    let deletions = format!(
        "select count(*) from audit where operation = 'delete' and resource like '{repository}@%'"
    );
    let noted = "select count(untagged_at) from manifest";
    eventually(
        30,
        "they are noted, to be deleted at the next look",
        async || (replicas.sql(noted).await != "0").then_some(()),
    )
    .await;
    replicas.first.kill();
    eventually(LEASE + 30, "all are cleaned away", async || {
        (replicas.sql(&deletions).await == UNTAGGED.to_string()).then_some(())
    })
    .await;
    let left = format!(
        "select count(*) from manifest m join repository r on r.id = m.repository_id where r.name = '{repository}'"
    );
    assert_eq!(replicas.sql(&left).await, "1");
    // Each change is chained, whoever seals.
    eventually(LEASE + NOTICE, "the log is sealed", async || {
        let verified = replicas.second.cli_as_server(&["audit", "verify"]).await;
        let all = "select (select max(id) from audit) = (select max(last_id) from audit_seal)";
        (verified.status.success() && replicas.sql(all).await == "t").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_job_that_always_fails_backs_off_and_is_shown() {
    let server = Server::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await;
    server.may_complain();
    let project = server.private_project().await;
    let repository = project.repository("app");
    server
        .admin()
        .push_image(&repository, "latest", &image("of a broken row"))
        .await;
    server.stop().await;
    let rename = format!("update repository set name = name || '#5' where name = '{repository}'");
    server.sql(&rename).await;
    server.restart().await;
    let policy = ["project", "untagged", &project.name, "--delete-after", "1s"];
    server.cli_prints(&policy).await;
    let failures = "gantry_job_failures_total{kind=\"untagged\"}";
    eventually(60, "it has failed three times", async || {
        (server.metric(failures).await >= 3.0).then_some(())
    })
    .await;
    assert_eq!(
        server.metric("gantry_job_failing{kind=\"untagged\"}").await,
        1.0
    );
    assert_eq!(server.metric("gantry_job_failing{kind=\"gc\"}").await, 0.0);
    let listed = server
        .cli_prints(&["job", "list", "--kind", "untagged"])
        .await;
    let named = "1 rows cannot be understood and were passed over";
    assert!(
        listed.contains("failed 3 times: ") && listed.contains(named),
        "{listed}"
    );
    let id = listed.split_whitespace().next().expect("it has a number");
    let shown = server.cli_prints(&["job", "show", id]).await;
    let waits: Vec<u64> = shown.lines().filter_map(wait).collect();
    let [first, second, third] = waits[..] else {
        panic!("three failures:\n{shown}");
    };
    assert!((3..=6).contains(&first), "{shown}");
    assert!((7..=12).contains(&second), "{shown}");
    assert!((15..=25).contains(&third), "{shown}");
    // What fails is tried at once where somebody wants that.
    server.cli_prints(&["job", "retry", id]).await;
    eventually(5, "it has failed again", async || {
        (server.metric(failures).await >= 4.0).then_some(())
    })
    .await;
}

/// The wait that a line of a job's log speaks of.
fn wait(line: &str) -> Option<u64> {
    let (_, wait) = line.split_once("retry in ")?;
    wait.strip_suffix(" s")?.parse().ok()
}

#[tokio::test]
async fn a_schedule_runs_once_whoever_is_there() {
    let replicas = Replicas::start().await;
    let scheduled = "select count(*) from schedule where kind = 'prune'";
    eventually(10, "there is a schedule", async || {
        (replicas.sql(scheduled).await == "1").then_some(())
    })
    .await;
    replicas.sql("update schedule set next_at = 1").await;
    let done = "select count(*) from job where kind = 'prune' and state = 'done'";
    eventually(10, "it has run", async || {
        (replicas.sql(done).await == "1").then_some(())
    })
    .await;
    let listed = replicas
        .second
        .cli_as_server(&["job", "list", "--all", "--kind", "prune"])
        .await;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let next = "select count(*) from schedule where kind = 'prune' and next_at > extract(epoch from now()) * 1000000";
    assert_eq!(replicas.sql(next).await, "1");
}

#[tokio::test]
async fn a_job_is_cancelled_by_its_number() {
    let (replicas, who) = collecting().await;
    let (collector, _) = of(&replicas, who);
    let id = replicas.sql("select id from job where kind = 'gc'").await;
    let cancelled = collector.cli_as_server(&["job", "cancel", &id]).await;
    assert!(cancelled.status.success(), "{cancelled:?}");
    eventually(8, "nobody collects", async || {
        let state = format!("select state from job where id = {id}");
        (replicas.sql(&state).await == "queued").then_some(())
    })
    .await;
    // It rests, and goes on.
    is_collected_once(&replicas, collector).await;
    let unknown = collector.cli_as_server(&["job", "show", "4711"]).await;
    assert!(!unknown.status.success());
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(said.trim(), "gantry: there is no job 4711");
}
