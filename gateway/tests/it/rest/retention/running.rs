//! Runs that take a while: by a schedule, stopped, beside pushes, and taken over from a process that was killed.

use serde_json::{Value, json};

use super::{RETENTIONS, arrived, ended, is_there, make, policy, push, rule, run, server, task};
use crate::harness::{Client, Replicas, Server, eventually, image, sha256};

/// Manifests without a tag, which share their blobs: their digests.
async fn push_many(caller: &Client, repository: &str, count: usize) -> Vec<String> {
    let base = image(repository);
    caller.push_image(repository, "base", &base).await;
    let mut digests = Vec::new();
    for number in 0..count {
        let mut manifest: Value = serde_json::from_slice(&base.manifest).expect("it is JSON");
        manifest["annotations"] = json!({ "number": number.to_string() });
        let bytes = manifest.to_string();
        let digest = sha256(bytes.as_bytes());
        let pushed = caller.push_manifest(repository, &digest, &base.media_type, bytes);
        pushed.await.expect(201);
        digests.push(digest);
    }
    arrived().await;
    digests
}

/// How many artifacts a repository has.
async fn left(caller: &Client, project: &str) -> i64 {
    let path = format!("/api/v2.0/projects/{project}/repositories/app");
    let shown = caller.get(&path).await.expect(200).json();
    shown["artifact_count"].as_i64().unwrap_or_default()
}

#[tokio::test]
async fn a_schedule_runs_the_policy() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    let images = push(&admin, &repository, &[Some("v1"), Some("v2")]).await;
    let rules = [rule("latestPushedK", 1, ("**", "**"))];
    let body = policy(&project, &rules, "0 * * * * *");
    let made = admin.post(RETENTIONS).json(&body).await.expect(201);
    let executions = format!("{}/executions", made.location());
    let first = eventually(75, "the minute comes", async || {
        let listed = admin.get(&executions).await.expect(200).json();
        listed[0]["id"].as_i64()
    });
    let first = format!("{executions}/{}", first.await);
    let shown = ended(&admin, &first).await;
    assert_eq!(
        (&shown["status"], &shown["trigger"]),
        (&json!("Success"), &json!("SCHEDULE"))
    );
    assert!(!is_there(&admin, &repository, &images[0].digest).await);
    assert!(is_there(&admin, &repository, &images[1].digest).await);

    // Without a cron, it does not run any more.
    let body = policy(&project, &rules, "");
    admin.put(&made.location()).json(&body).await.expect(200);
    let schedules = admin
        .get("/api/v2.0/schedules?page_size=100")
        .await
        .expect(200)
        .json();
    let mut schedules = schedules.as_array().expect("a list").iter();
    assert!(!schedules.any(|one| one["cron"] == "0 * * * * *"));
}

#[tokio::test]
async fn a_run_that_is_stopped_deletes_no_more() {
    let server = server().await;
    let project = server.private_project().await;
    let admin = server.admin();
    push_many(&admin, &project.repository("app"), 400).await;
    let policy = make(&admin, &project, &[rule("always", 0, ("**", "base"))]).await;
    let executions = format!("{policy}/executions");
    let started = admin.post(&executions).json(&json!({ "dry_run": false }));
    let started = started.await.expect(201).location();
    eventually(20, "some of it is gone", async || {
        (left(&admin, &project.name).await < 401).then_some(())
    })
    .await;
    let refused = admin
        .patch(&started)
        .json(&json!({ "action": "zzz" }))
        .await;
    let refused = refused.expect_error(400, "BAD_REQUEST");
    assert_eq!(refused.message(), "action: must be stop");
    let stop = json!({ "action": "stop" });
    admin.patch(&started).json(&stop).await.expect(200);
    let shown = ended(&admin, &started).await;
    assert_eq!(shown["status"], "Stopped");
    let (stopped, _) = task(&admin, &started, "app").await;
    assert_eq!(stopped["status"], "Stopped");
    let before = left(&admin, &project.name).await;
    assert!(before > 1, "it was stopped in the middle");
    // The step that was being done when it was stopped may have ended since; after that nothing goes.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let settled = left(&admin, &project.name).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(left(&admin, &project.name).await, settled);
    assert!(before - settled <= 10, "{before} and {settled}");
    // Stopping it again changes nothing, and what is left goes with the next run.
    admin.patch(&started).json(&stop).await.expect(200);
    let again = run(&admin, &policy, false).await;
    let (done, _) = task(&admin, &again, "app").await;
    assert_eq!(
        (&done["total"], &done["retained"]),
        (&json!(settled), &json!(1))
    );
}

#[tokio::test]
async fn a_run_that_waits_can_be_stopped_and_goes_with_its_policy() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let images = push(&admin, &project.repository("app"), &[Some("v1")]).await;
    let policy = make(&admin, &project, &[rule("latestPushedK", 0, ("**", "**"))]).await;
    let executions = format!("{policy}/executions");
    let steer = async |action: &str| {
        let path = "/api/v2.0/jobservice/queues/retention";
        let steered = admin.put(path).json(&json!({ "action": action })).await;
        steered.expect(200);
    };
    steer("pause").await;
    let mut started = Vec::new();
    for _ in 0..10 {
        let one = admin
            .post(&executions)
            .json(&json!({ "dry_run": false }))
            .await;
        started.push(one.expect(201).location());
    }
    let more = admin.post(&executions).json(&json!({})).await;
    more.expect_error(412, "PRECONDITION");
    let stop = json!({ "action": "stop" });
    admin.patch(&started[0]).json(&stop).await.expect(200);
    assert_eq!(ended(&admin, &started[0]).await["status"], "Stopped");
    admin.delete(&policy).await.expect(200);
    steer("resume").await;
    let jobs = "/api/ext/v1/jobs?q=kind%3Dretention%2Cstatus%3D{queued running}";
    let jobs = jobs
        .replace(' ', "%20")
        .replace('{', "%7B")
        .replace('}', "%7D");
    eventually(20, "no job is left", async || {
        let left = admin.get(&jobs).await.expect(200);
        (left.header("x-total-count") == "0").then_some(())
    })
    .await;
    assert!(is_there(&admin, &project.repository("app"), &images[0].digest).await);
}

#[tokio::test]
async fn a_tag_that_comes_while_a_policy_runs_survives() {
    let server = server().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    let digests = push_many(&admin, &repository, 200).await;
    let policy = make(
        &admin,
        &project,
        &[rule("always", 0, ("**", "{base,kept-*}"))],
    )
    .await;
    let executions = format!("{policy}/executions");
    let started = admin.post(&executions).json(&json!({ "dry_run": false }));
    let started = started.await.expect(201).location();
    // From the end, where the run comes last.
    let mut kept = Vec::new();
    for (number, digest) in digests.iter().enumerate().rev().step_by(7) {
        let read = admin
            .get(&format!("/v2/{repository}/manifests/{digest}"))
            .await;
        if read.status == 404 {
            continue;
        }
        let path = format!(
            "/api/v2.0/projects/{}/repositories/app/artifacts/{digest}/tags",
            project.name
        );
        let tagged = admin
            .post(&path)
            .json(&json!({ "name": format!("kept-{number}") }))
            .await;
        match tagged.status {
            201 => kept.push(digest),
            404 => {}
            _ => panic!("{tagged}"),
        }
    }
    let shown = ended(&admin, &started).await;
    assert_eq!(shown["status"], "Success", "{shown}");
    assert!(!kept.is_empty(), "some were tagged in time");
    for digest in &kept {
        assert!(
            is_there(&admin, &repository, digest).await,
            "{digest} has a tag that is kept"
        );
    }
    let (done, log) = task(&admin, &started, "app").await;
    assert_eq!(done["retained"], json!(kept.len() + 1), "{log}");
    assert_eq!(left(&admin, &project.name).await, kept.len() as i64 + 1);
}

#[tokio::test]
async fn another_replica_goes_on_with_a_run_and_deletes_nothing_twice() {
    const COUNT: usize = 600;
    let replicas = Replicas::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await;
    let project = replicas.first.private_project().await;
    let admin = replicas.first.admin();
    let repository = project.repository("app");
    push_many(&admin, &repository, COUNT).await;
    let policy = make(&admin, &project, &[rule("always", 0, ("**", "base"))]).await;
    let executions = format!("{policy}/executions");
    let started = admin.post(&executions).json(&json!({ "dry_run": false }));
    let started = started.await.expect(201).location();
    let deletions = format!(
        "select count(*) from audit where operation = 'delete' and resource like '{repository}@%'"
    );
    let holder = "select holder from job where kind = 'retention' and state = 'running'";
    let deleted = async || {
        replicas
            .sql(&deletions)
            .await
            .parse::<usize>()
            .expect("a number")
    };
    eventually(60, "some of it is gone", async || {
        (deleted().await > 0).then_some(())
    })
    .await;
    let before = replicas.sql(holder).await;
    assert!(!before.is_empty(), "it runs");
    let running = "gantry_job_running{kind=\"retention\"}";
    let is_first = replicas.first.metric(running).await == 1.0;
    let (killed, other) = match is_first {
        true => (&replicas.first, &replicas.second),
        false => (&replicas.second, &replicas.first),
    };
    killed.kill();
    let at_death = deleted().await;
    assert!(at_death < COUNT, "it was killed in the middle: {at_death}");
    let admin = other.admin();
    let shown = ended(&admin, &started).await;
    assert_eq!(shown["status"], "Success", "{shown}");
    assert_eq!(deleted().await, COUNT);
    let digests = deletions.replace("count(*)", "count(distinct digest)");
    assert_eq!(replicas.sql(&digests).await, COUNT.to_string());
    let (done, log) = task(&admin, &started, "app").await;
    assert_eq!(
        (&done["total"], &done["retained"]),
        (&json!(COUNT + 1), &json!(1))
    );
    assert!(
        log.contains("taken over from a process that ended"),
        "{log}"
    );
    assert_eq!(
        log.matches("| DEL |").count(),
        COUNT,
        "each is in the log once"
    );
    assert_eq!(left(&admin, &project.name).await, 1);
}
