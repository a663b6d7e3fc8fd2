//! Garbage collection that administrators start and schedule, purges' schedules, and the job engine as Harbor shows it.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Server, eventually, image};

const GC: &str = "/api/v2.0/system/gc";
const PURGE: &str = "/api/v2.0/system/purgeaudit";

/// Starts a pass of garbage collection and waits for its end.
async fn run(admin: &Client, parameters: Value) -> (String, Value) {
    let now = json!({ "schedule": { "type": "Manual" }, "parameters": parameters });
    let path = format!("{GC}/schedule");
    let started = admin.post(&path).json(&now).await.expect(201).location();
    assert!(started.starts_with(&format!("{GC}/")), "{started}");
    let ended = eventually(40, "the pass ends", async || {
        let run = admin.get(&started).await.expect(200).json();
        let is_open = run["job_status"] == "Pending" || run["job_status"] == "Running";
        (!is_open).then_some(run)
    })
    .await;
    (started, ended)
}

fn parameters(run: &Value) -> Value {
    let text = run["job_parameters"].as_str().expect("a text");
    serde_json::from_str(text).expect("it is JSON")
}

#[tokio::test]
async fn a_pass_collects_what_is_due_and_tells_what_it_did() {
    let server = Server::with(&[
        ("GANTRY_GC__GRACE_SECS", "1"),
        ("GANTRY_GC__HOLD_SECS", "0"),
    ])
    .await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    let pushed = image(&repository);
    server.cli_prints(&["gc", "pause"]).await;
    admin.push_image(&repository, "v1", &pushed).await;
    admin
        .delete(&format!("/v2/{repository}/manifests/{}", pushed.digest))
        .await
        .expect(202);
    // Until the links are due.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let (_, dry) = run(&admin, json!({ "dry_run": true, "workers": 3 })).await;
    assert_eq!(dry["job_status"], "Success");
    let told = parameters(&dry);
    assert_eq!(
        (&told["dry_run"], &told["workers"]),
        (&json!(true), &json!(3))
    );
    assert_eq!(
        (&told["time_window"], &told["delete_tag"]),
        (&json!(2), &json!(false))
    );

    let (path, ended) = run(&admin, json!({})).await;
    assert_eq!(ended["job_status"], "Success", "{ended}");
    assert_eq!(
        (&ended["job_name"], &ended["job_kind"]),
        (&json!("GARBAGE_COLLECTION"), &json!("MANUAL"))
    );
    assert_eq!(
        ended["schedule"],
        json!({ "type": "Manual", "next_scheduled_time": "0001-01-01T00:00:00.000Z" })
    );
    let told = parameters(&ended);
    assert!(told["purged_blobs"].as_i64() >= Some(1), "{told}");
    assert!(told["freed_space"].as_i64() >= Some(1), "{told}");
    let log = admin.get(&format!("{path}/log")).await.expect(200);
    assert!(
        log.text().contains("manifests are actually deleted"),
        "{log}"
    );
    let id = &ended["id"];
    let shown = admin
        .get(&format!("/api/ext/v1/jobs/{id}"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&shown["kind"], &shown["status"]),
        (&json!("gc_run"), &json!("done"))
    );
    assert!(
        !shown["log"].as_array().expect("a list").is_empty(),
        "{shown}"
    );
    let jobs = admin
        .get("/api/ext/v1/jobs?q=kind%3Dgc_run")
        .await
        .expect(200);
    assert_eq!(
        (jobs.header("x-total-count"), &jobs.json()[0]["id"]),
        ("2", id)
    );
    let list = admin.get(GC).await.expect(200);
    assert_eq!(list.header("x-total-count"), "2");
    assert_eq!(list.json()[0]["id"], ended["id"], "the newest first");
    // What has ended stays as it is.
    admin.put(&path).await.expect(200);
    assert_eq!(
        admin.get(&path).await.expect(200).json()["job_status"],
        "Success"
    );
}

#[tokio::test]
async fn a_pass_deletes_untagged_manifests_where_that_is_asked_for_but_no_new_ones() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    let (old, new, kept) = (image("old"), image("new"), image("kept"));
    for image in [&old, &new] {
        admin.push_image(&repository, &image.digest, image).await;
    }
    admin.push_image(&repository, "v1", &kept).await;
    server.stop().await;
    let bytes = old
        .digest
        .split(':')
        .nth(1)
        .expect("a digest has two parts")
        .to_uppercase();
    let age = format!(
        "update manifest set pushed_at = pushed_at - 14400000000 where hex(digest) like '%{bytes}'"
    );
    server.sql(&age).await;
    server.restart().await;
    let (_, without) = run(&admin, json!({})).await;
    assert_eq!(parameters(&without)["purged_manifests"], 0);
    let (_, ended) = run(&admin, json!({ "delete_untagged": true })).await;
    assert_eq!(parameters(&ended)["purged_manifests"], 1, "{ended}");
    for (image, status) in [(&old, 404), (&new, 200), (&kept, 200)] {
        let path = format!("/v2/{repository}/manifests/{}", image.digest);
        admin.get(&path).await.expect(status);
    }
}

#[tokio::test]
async fn a_schedule_is_set_read_replaced_and_ended() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let schedule = format!("{GC}/schedule");
    let none = json!({ "schedule": { "type": "None" } });
    admin.put(&schedule).json(&none).await.expect(200);
    let absent = admin.get(&schedule).await.expect(200);
    assert_eq!(
        (absent.header("content-type"), absent.text()),
        ("application/json", String::new())
    );
    let weekly = json!({ "schedule": { "type": "Weekly", "cron": "0 0 0 * * 0" }, "parameters": { "delete_untagged": true } });
    let set = admin.post(&schedule).json(&weekly).await.expect(201);
    assert_eq!(set.location(), format!("{GC}/0"));
    let read = admin.get(&schedule).await.expect(200).json();
    assert_eq!(read["job_kind"], "0 0 0 * * 0");
    assert_eq!(read["job_name"], Value::Null);
    assert_eq!(read["schedule"]["type"], "Weekly");
    assert_eq!(read["schedule"]["cron"], "0 0 0 * * 0");
    let next = read["schedule"]["next_scheduled_time"]
        .as_str()
        .expect("a time");
    assert!(next.ends_with("T00:00:00.000Z"), "{next}");
    assert_eq!(
        read["job_parameters"],
        "{\"delete_tag\":false,\"delete_untagged\":true,\"workers\":0}"
    );
    let daily = json!({ "schedule": { "type": "Daily", "cron": "0 0 0 * * *" } });
    admin.put(&schedule).json(&daily).await.expect(200);
    let read = admin.get(&schedule).await.expect(200).json();
    assert_eq!(read["schedule"]["type"], "Daily");
    assert_eq!(parameters(&read)["delete_untagged"], false);
    let all = admin
        .get("/api/v2.0/schedules?page_size=100")
        .await
        .expect(200);
    let all = all.json();
    let mut all = all.as_array().expect("a list").iter();
    let gc = all.find(|one| one["vendor_type"] == "GARBAGE_COLLECTION");
    assert_eq!(gc.expect("it is listed")["cron"], "0 0 0 * * *");
    admin.put(&schedule).json(&none).await.expect(200);
    assert_eq!(admin.get(&schedule).await.expect(200).text(), "");
}

#[tokio::test]
async fn a_schedule_that_is_due_runs() {
    let server = Server::start().await;
    let admin = server.admin();
    let custom = json!({ "schedule": { "type": "Custom", "cron": "0 * * * * *" }, "parameters": { "dry_run": true } });
    admin
        .post(&format!("{GC}/schedule"))
        .json(&custom)
        .await
        .expect(201);
    server.stop().await;
    server
        .sql("update schedule set next_at = computed_at where kind = 'gc_run'")
        .await;
    server.restart().await;
    let run = eventually(30, "it runs", async || {
        let list = admin.get(GC).await.expect(200).json();
        let first = list[0].clone();
        (first["job_status"] == "Success").then_some(first)
    })
    .await;
    assert_eq!(run["job_kind"], "SCHEDULE");
    assert_eq!(run["schedule"]["type"], "Schedule");
}

#[tokio::test]
async fn what_is_no_schedule_is_refused_by_name() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let custom = |cron: &str| json!({ "schedule": { "type": "Custom", "cron": cron } });
    let manual =
        |parameters: Value| json!({ "schedule": { "type": "Manual" }, "parameters": parameters });
    let old = json!({ "audit_retention_hour": 240_001, "include_event_types": "pull_artifact" });
    for (path, body, status, named) in [
        (
            GC,
            custom("zzz"),
            400,
            "invalid cron string for scheduled gc: zzz, error: expected exactly 6 fields, found 1: [zzz]",
        ),
        (GC, custom("1 0 0 * * *"), 400, "seconds"),
        (GC, custom(""), 400, "cron"),
        (
            GC,
            json!({ "schedule": { "type": "zzz" } }),
            422,
            "schedule.type",
        ),
        (GC, json!({}), 422, "schedule.type"),
        (GC, manual(json!({ "workers": 11 })), 400, "workers"),
        (GC, manual(json!({ "dry_run": "yes" })), 400, "dry_run"),
        (
            PURGE,
            json!({ "schedule": { "type": "Manual" } }),
            400,
            "bad request: schedule parameter cann't be empty",
        ),
        (
            PURGE,
            manual(json!({ "include_event_types": "pull_artifact" })),
            400,
            "audit_retention_hour",
        ),
        (
            PURGE,
            manual(json!({ "audit_retention_hour": 1 })),
            400,
            "include_event_types",
        ),
        (PURGE, manual(old), 400, "audit_retention_hour"),
    ] {
        let answer = admin
            .post(&format!("{path}/schedule"))
            .json(&body)
            .await
            .expect(status);
        assert!(answer.message().contains(named), "{body}: {answer}");
    }
    let missing = admin
        .get(&format!("{GC}/99999999"))
        .await
        .expect_error(404, "NOT_FOUND");
    assert_eq!(
        missing.message(),
        "garbage collection execution 99999999 not found"
    );
    admin
        .put(&format!("{PURGE}/99999999"))
        .await
        .expect_error(404, "NOT_FOUND");
    admin
        .get(&format!("{GC}/99999999/log"))
        .await
        .expect_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_queue_that_is_paused_waits_until_it_is_resumed_or_stopped() {
    let server = Server::start().await;
    let admin = server.admin();
    let queue = "/api/v2.0/jobservice/queues/GARBAGE_COLLECTION";
    let act =
        async |path: &str, action: &str| admin.put(path).json(&json!({ "action": action })).await;
    let wrong = act(queue, "zzz").await.expect(422);
    assert_eq!(
        wrong.message(),
        "validation failure list:\nvalidation failure list:\naction in body should be one of [stop pause resume]"
    );
    act("/api/v2.0/jobservice/queues/NOTHING", "stop")
        .await
        .expect_error(404, "NOT_FOUND");
    act(queue, "PAUSE").await.expect(200);
    let now = json!({ "schedule": { "type": "Manual" }, "parameters": { "dry_run": true } });
    let start = async || {
        let path = format!("{GC}/schedule");
        admin.post(&path).json(&now).await.expect(201).location()
    };
    let (first, status) = (start().await, async |path: &str| {
        admin.get(path).await.expect(200).json()["job_status"].clone()
    });
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(status(&first).await, "Pending");
    let queues = admin
        .get("/api/v2.0/jobservice/queues")
        .await
        .expect(200)
        .json();
    let mut queues = queues.as_array().expect("a list").iter();
    let gc = queues
        .find(|one| one["job_type"] == "GARBAGE_COLLECTION")
        .expect("it is listed");
    assert_eq!((&gc["count"], &gc["paused"]), (&json!(1), &json!(true)));
    assert!(gc["latency"].as_i64() >= Some(2), "{gc}");
    act(queue, "stop").await.expect(200);
    assert_eq!(status(&first).await, "Stopped");
    let second = start().await;
    act("/api/v2.0/jobservice/queues/all", "resume")
        .await
        .expect(200);
    eventually(20, "it runs", async || {
        (status(&second).await == "Success").then_some(())
    })
    .await;
    let paused = async || {
        let path = "/api/v2.0/schedules/all/paused";
        admin.get(path).await.expect(200).json()["paused"].clone()
    };
    assert_eq!(paused().await, false);
    act("/api/v2.0/jobservice/queues/SCHEDULER", "pause")
        .await
        .expect(200);
    assert_eq!(paused().await, true);
    let other = admin.get("/api/v2.0/schedules/zzz/paused").await;
    other.expect_error(400, "BAD_REQUEST");
    let log = second.rsplit('/').next().expect("it has parts");
    let log = format!("/api/v2.0/jobservice/jobs/{log}/log");
    assert!(admin.get(&log).await.expect(200).text().contains("dry run"));
}

#[tokio::test]
async fn pools_are_processes_and_workers_their_places() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let pools = admin
        .get("/api/v2.0/jobservice/pools")
        .await
        .expect(200)
        .json();
    let pool = &pools[0];
    assert_eq!(pool["concurrency"], 8);
    let id = pool["worker_pool_id"].as_str().expect("an id");
    let workers = admin
        .get(&format!("/api/v2.0/jobservice/pools/{id}/workers"))
        .await;
    let workers = workers.expect(200).json();
    let workers = workers.as_array().expect("a list");
    assert!(workers.len() >= 8, "{workers:?}");
    assert!(workers.iter().all(|worker| worker["pool_id"] == id));
    let missing = admin.get("/api/v2.0/jobservice/pools/zzz/workers").await;
    missing.expect_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn accepted_vulnerabilities_are_stored_whole_or_not_at_all() {
    let server = SERVER.get().await;
    let (admin, path) = (server.admin(), "/api/v2.0/system/CVEAllowlist");
    let list = json!({ "items": [{ "cve_id": "CVE-2026-1" }], "expires_at": 1_893_456_000 });
    admin.put(path).json(&list).await.expect(200);
    for wrong in [
        json!({ "items": [{ "cve_id": "CVE-2026-2" }, { "cve_id": "CVE-2026-2" }] }),
        json!({ "items": [{ "cve_id": "" }] }),
    ] {
        let refused = admin
            .put(path)
            .json(&wrong)
            .await
            .expect_error(400, "BAD_REQUEST");
        assert!(refused.message().contains("cve_id"), "{refused}");
    }
    let read = server.stranger().await.get(path).await.expect(200).json();
    assert_eq!(read["items"], list["items"]);
    assert_eq!(read["expires_at"], list["expires_at"]);
}
