//! What is held and used, and what the machine does.

use serde_json::json;

use super::{Installation, column, get};
use crate::harness::{Role, Server, eventually, fresh, image};

pub(super) async fn projects_and_repositories(server: &Server) {
    let team = server.private_project().await;
    let guest = team.member(Role::Guest).await;
    let admin = server.admin();
    let repository = team.repository("app");
    admin
        .push_image(&repository, "v1", &image("usage one"))
        .await;
    admin
        .push_image(&repository, "v2", &image("usage one"))
        .await;
    let other = image("usage two");
    admin.push_image(&repository, &other.digest, &other).await;

    let listed = get(&guest, "/projects/usage").await;
    assert_eq!(column(&listed, "name"), [&*team.name]);
    let row = &listed[0];
    assert_eq!(
        (&row["repo_count"], &row["artifact_count"]),
        (&json!(1), &json!(2))
    );
    let used = row["storage_used"].as_i64().expect("a number");
    assert!(used > 0 && row["storage_limit"] == -1, "{row}");
    let all = get(&admin, &format!("/projects/usage?q=name={}", team.name)).await;
    assert_eq!(&all[0], row);

    let rows = get(
        &guest,
        &format!("/projects/{}/repositories/usage", team.name),
    )
    .await;
    let row = &rows[0];
    assert_eq!(row["name"], repository);
    let counts = ["tag_count", "untagged_count", "artifact_count"].map(|name| row[name].as_i64());
    assert_eq!(counts, [Some(2), Some(1), Some(2)]);
    assert_eq!(row["capped"], false);
    // Blobs without manifests.
    let size = row["size"].as_i64().expect("a number");
    assert!(0 < size && size < used, "{size} of {used}");

    let stats = get(&guest, &format!("/projects/{}/stats", team.id)).await;
    assert_eq!(
        (&stats["repo_count"], &stats["artifact_count"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        (&stats["storage_used"], &stats["member_count"]),
        (&json!(used), &json!(2))
    );
    let counted = get(
        &admin,
        &format!("/stats/pushes?step=day&q=project={}", team.name),
    )
    .await;
    assert_eq!(counted["points"][0]["done"], 3, "{counted}");
    let counted = get(
        &admin,
        &format!("/stats/pulls?step=day&q=project={}", team.name),
    )
    .await;
    assert_eq!(counted["points"], json!([]));
    // What is counted by hour is what the log has.
    eventually(20, "counters and log agree", async || {
        for step in ["hour", "day"] {
            for (path, log) in [
                ("/stats/pulls", "operation=pull"),
                ("/stats/pushes", "operation=create,resource_type=artifact"),
            ] {
                let counters = get(&admin, &format!("{path}?step={step}")).await;
                let entries = get(&admin, &format!("/stats/audit?step={step}&q={log}")).await;
                if counters != entries {
                    return None;
                }
            }
        }
        Some(())
    })
    .await;
    // Whoever may not read quota and members is not told of them.
    let public = server.public_project().await;
    let stats = get(
        &server.stranger().await,
        &format!("/projects/{}/stats", public.id),
    )
    .await;
    assert_eq!(stats["repo_count"], 0);
    assert!(
        stats["storage_used"].is_null() && stats["member_count"].is_null(),
        "{stats}"
    );
}

pub(super) async fn storage(server: &Server) {
    let team = server.private_project().await;
    let admin = server.admin();
    admin
        .push_image(&team.repository("app"), "v1", &image("stored"))
        .await;
    let overview = get(&admin, "/storage/overview").await;
    let number = |name: &str| overview[name].as_i64().expect("a number");
    assert!(
        number("blob_count") > 0 && number("blob_bytes") > 0,
        "{overview}"
    );
    assert!(
        number("project_bytes") >= number("blob_bytes"),
        "{overview}"
    );
    let largest = get(&admin, "/storage/largest").await;
    assert!(column(&largest["projects"], "name").contains(&&*team.name));
    let sizes: Vec<i64> = largest["blobs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|blob| blob["size"].as_i64().expect("a number"))
        .collect();
    assert!(
        !sizes.is_empty() && sizes.is_sorted_by(|one, next| one >= next),
        "{sizes:?}"
    );
    assert_eq!(largest["as_of"], overview["as_of"], "it is counted once");
}

pub(super) async fn robots(server: &Server) {
    let team = server.private_project().await;
    let admin = server.admin();
    admin
        .push_image(&team.repository("app"), "v1", &image("robot's"))
        .await;
    let permissions = json!([{ "kind": "project", "namespace": team.name,
        "access": [{ "resource": "repository", "action": "pull" }] }]);
    let robot = json!({ "name": fresh("ci"), "level": "project", "duration": 1, "permissions": permissions });
    let made = admin
        .post("/api/v2.0/robots")
        .json(&robot)
        .await
        .expect(201);
    let (path, made) = (made.location().replace("/api/v2.0", ""), made.json());
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    let client = server.as_user_with(&text("name"), &text("secret"));
    client
        .get(&format!("/v2/{}/manifests/v1", team.repository("app")))
        .await
        .expect(200);
    let used = eventually(10, "the robot's use is written", async || {
        let used = get(&admin, &format!("{path}/usage")).await;
        let is_there = used["last_used_at"].is_string() && used["days"] != json!([]);
        is_there.then_some(used)
    })
    .await;
    assert_eq!(used["last_used_address"], "127.0.0.1");
    assert!(
        used["days"][0]["done"]
            .as_i64()
            .is_some_and(|done| done >= 1),
        "{used}"
    );
    // Names without `$` are for new robots; old ones keep theirs.
    let prefix = async |prefix: &str| {
        let body = json!({ "robot_name_prefix": prefix });
        admin
            .put("/api/v2.0/configurations")
            .json(&body)
            .await
            .expect(200);
    };
    prefix("robot-").await;
    let plain = json!({ "name": fresh("ci"), "level": "system", "duration": 1, "permissions": permissions });
    let plain = admin
        .post("/api/v2.0/robots")
        .json(&plain)
        .await
        .expect(201)
        .json();
    let (name, secret) = (
        plain["name"].as_str().expect("text"),
        plain["secret"].as_str().expect("text"),
    );
    assert!(name.starts_with("robot-ci-"), "{name}");
    for client in [&client, &server.as_user_with(name, secret)] {
        client
            .get(&format!("/v2/{}/manifests/v1", team.repository("app")))
            .await
            .expect(200);
    }
    prefix("robot$").await;
    // A robot keeps nothing for pages.
    for path in ["/me/preferences", "/home"] {
        client
            .get(&format!("/api/ext/v1{path}"))
            .await
            .expect_error(412, "PRECONDITION");
    }
    let own = get(&client, "/me/access").await;
    assert_eq!(column(&own, "project_name"), [&*team.name]);
    assert_eq!(own[0]["permissions"], json!(["repository:pull"]));
    assert_eq!(
        get(&client, "/projects/usage").await,
        json!([]),
        "it may not read the quota"
    );
}

pub(super) async fn certificates(server: &Server) {
    let admin = server.admin();
    let listed = get(&admin, "/certificates").await;
    let row = &listed[0];
    assert_eq!(row["source"], "ca");
    assert!(
        row["days_left"].as_i64().is_some_and(|days| days > 300),
        "{row}"
    );
    assert!(
        row["names"]
            .as_array()
            .expect("a list")
            .contains(&json!("localhost"))
    );
    let reloaded = admin
        .post("/api/ext/v1/certificates/reload")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&reloaded["replaced"], &reloaded["certificate"]["serial"]),
        (&json!(false), &row["serial"])
    );
    let pem = server
        .anonymous()
        .get("/api/ext/v1/certificates/ca")
        .await
        .expect(200);
    assert!(pem.text().starts_with("-----BEGIN CERTIFICATE-----"));
}

pub(super) async fn jobs(installation: &Installation<'_>) {
    let admin = installation.server().admin();
    installation
        .sql(
            "insert into job (kind, standing, payload_version, payload, priority, state, due_at, attempts, fence, last_error, created_at, finished_at)
             values ('gc_run', 0, 1, '{\"cadence\":\"Manual\",\"delete_untagged\":false,\"dry_run\":true,\"workers\":0}', 1, 'failed', 1, 3, 3, 'the disk is full', 1, 4102444800000000)",
        )
        .await;
    let failed = get(&admin, "/jobs?q=status=failed").await;
    let id = failed[0]["id"].as_i64().expect("a number");
    let path = format!("/api/ext/v1/jobs/{id}");
    admin
        .post(&format!("{path}/stop"))
        .await
        .expect_error(412, "PRECONDITION");
    let notices = get(&admin, "/notices").await;
    let texts = column(&notices, "text");
    assert!(
        texts.iter().any(|text| text.contains("the disk is full")),
        "{texts:?}"
    );
    admin.post(&format!("{path}/retry")).await.expect(200);
    eventually(10, "the job has run", async || {
        let job = get(&admin, &format!("/jobs/{id}")).await;
        (job["status"] == "done").then_some(())
    })
    .await;
    admin
        .post(&format!("{path}/retry"))
        .await
        .expect_error(412, "PRECONDITION");
    let events = admin
        .get("/api/v2.0/auditlog-exts?q=resource_type=job&page_size=5")
        .await;
    let events = events.expect(200).json();
    assert_eq!(events[0]["username"], "admin");
}
