//! The audit log: who did what, in order, and that nobody can change it unseen.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Protocol, Role, Server, eventually, image};

/// Every entry so far, oldest first, as `gantry audit export` prints them.
async fn entries(server: &Server) -> Vec<Value> {
    let text = server.cli_prints(&["audit", "export"]).await;
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let mut entries: Vec<Value> = text.lines().map(parse).collect();
    entries.sort_by_key(|entry| entry["id"].as_i64());
    entries
}

/// The entries of this person, once there are at least so many, as `operation resource_type resource success`.
async fn deeds(server: &Server, who: &str, at_least: usize) -> Vec<String> {
    eventually(10, "the entries are written", async || {
        let all = entries(server).await;
        let own = all.iter().filter(|entry| entry["principal_name"] == who);
        let own: Vec<String> = own.map(told).collect();
        (own.len() >= at_least).then_some(own)
    })
    .await
}

fn told(entry: &Value) -> String {
    let word = |key: &str| entry[key].as_str().unwrap_or("?").to_owned();
    let success = if entry["success"] == json!(true) || entry["success"] == json!(1) {
        "done"
    } else {
        "refused"
    };
    format!(
        "{} {} {} {success}",
        word("operation"),
        word("resource_type"),
        word("resource")
    )
}

/// Some history by one person: a push, a move of the tag, pulls, deletions.
async fn history(person: &Client, repository: &str) {
    let (first, second) = (
        image(&format!("{repository} 1")),
        image(&format!("{repository} 2")),
    );
    person.push_image(repository, "v1", &first).await;
    person.push_image(repository, "v1", &second).await;
    person
        .get(&format!("/v2/{repository}/manifests/v1"))
        .await
        .expect(200);
    person
        .delete(&format!("/v2/{repository}/manifests/v1"))
        .await
        .expect(202);
    person
        .delete(&format!("/v2/{repository}/manifests/{}", second.digest))
        .await
        .expect(202);
}

#[tokio::test]
async fn changes_are_recorded_in_order() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let maintainer = project.member(Role::Maintainer).await;
    let repository = project.repository("app");
    let (first, second) = (image("audit one"), image("audit two"));
    maintainer.push_image(&repository, "v1", &first).await;
    maintainer
        .push_image(&repository, &second.digest, &second)
        .await;
    maintainer
        .delete(&format!("/v2/{repository}/manifests/v1"))
        .await
        .expect(202);
    maintainer
        .delete(&format!("/v2/{repository}/manifests/{}", first.digest))
        .await
        .expect(202);
    let deeds = deeds(&server, maintainer.name(), 4).await;
    let mut order = Vec::new();
    for expected in [
        format!("create artifact {repository}:v1 done"),
        format!("create artifact {repository}@{} done", second.digest),
        format!("delete tag {repository}:v1 done"),
        format!("delete artifact {repository}@{} done", first.digest),
    ] {
        let at = deeds.iter().position(|deed| *deed == expected);
        order.push(at.unwrap_or_else(|| panic!("{expected} is not among {deeds:#?}")));
    }
    assert!(order.is_sorted(), "{deeds:#?}");
}

#[tokio::test]
async fn changes_by_rest_are_recorded() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let name = crate::harness::fresh("recorded");
    let user = server.create_user(&name).await;
    let member = project.add(&name, Role::Guest).await;
    let change = json!({ "role_id": 2 });
    admin
        .put(&format!("{}/{member}", project.members()))
        .json(&change)
        .await
        .expect(200);
    let public = json!({ "metadata": { "public": "true" } });
    admin
        .put(&format!("/api/v2.0/projects/{}", project.id))
        .json(&public)
        .await
        .expect(200);
    project.remove(member).await;
    let password = json!({ "new_password": "An0therPassword" });
    admin
        .put(&format!("/api/v2.0/users/{user}/password"))
        .json(&password)
        .await
        .expect(200);
    admin
        .delete(&format!("/api/v2.0/users/{user}"))
        .await
        .expect(200);
    admin
        .delete(&format!("/api/v2.0/projects/{}", project.id))
        .await
        .expect(200);
    let deeds = deeds(&server, "admin", 8).await;
    for expected in [
        format!("create project {} done", project.name),
        format!("create user {name} done"),
        format!("create member {name} done"),
        format!("update member {name} done"),
        format!("update project {} done", project.name),
        format!("delete member {name} done"),
        format!("update user {name} done"),
        format!("delete user {name} done"),
        format!("delete project {} done", project.name),
    ] {
        assert!(
            deeds.contains(&expected),
            "{expected} is not among {deeds:#?}"
        );
    }
    let text = server.cli_prints(&["audit", "export"]).await;
    assert!(
        !text.contains("An0therPassword") && !text.contains(crate::harness::PASSWORD),
        "{text}"
    );
}

#[tokio::test]
async fn logins_failures_and_refusals_are_recorded() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let person = server.stranger().await;
    let login = "/service/token?service=harbor-registry";
    person.get(login).await.expect(200);
    server
        .as_user_with(person.name(), "Wrong-Passw0rd")
        .get(login)
        .await
        .expect(401);
    let repository = project.repository("app");
    person
        .get(&format!("/v2/{repository}/manifests/latest"))
        .await
        .expect(401);
    let deeds = deeds(&server, person.name(), 3).await;
    let name = person.name();
    assert!(
        deeds.contains(&format!("login user {name} done")),
        "{deeds:#?}"
    );
    assert!(
        deeds.contains(&format!("login user {name} refused")),
        "{deeds:#?}"
    );
    assert!(
        deeds
            .iter()
            .any(|deed| deed.starts_with("pull ") && deed.ends_with("refused")),
        "{deeds:#?}"
    );
}

#[tokio::test]
async fn refusals_of_one_caller_are_counted_together_whatever_they_name() {
    let server = Server::start().await;
    let person = server.stranger().await;
    for number in 0..60 {
        person
            .get(&format!("/v2/hidden/app-{number}/manifests/latest"))
            .await
            .expect(401);
        person
            .get(&format!("/api/v2.0/users/{}", number + 1_000))
            .await
            .expect(403);
    }
    let first = deeds(&server, person.name(), 2).await;
    assert!(
        first.contains(&"pull repository hidden/app-0 refused".to_owned()),
        "the first one is there at once: {first:#?}"
    );
    server.stop().await;
    let all = entries(&server).await;
    for operation in ["pull", "refuse"] {
        let of = |entry: &&Value| {
            entry["principal_name"] == person.name() && entry["operation"] == operation
        };
        let times = all.iter().filter(of).filter_map(|e| e["times"].as_i64());
        let times: Vec<i64> = times.collect();
        // One more pair where the minute ended meanwhile.
        assert!(times.len() <= 4, "{operation}: {times:?}");
        assert_eq!(times.iter().sum::<i64>(), 60, "{operation}: {times:?}");
    }
    server.restart().await;
}

#[tokio::test]
async fn the_access_log_names_the_caller() {
    let server = Server::start().await;
    let person = server.stranger().await;
    let token = person.with_token(&["repository:library/app:pull"]).await;
    token.get("/v2/").await.expect(200);
    person.get("/api/v2.0/users/current").await.expect(200);
    person.get("/v2/hidden/app/tags/list").await.expect(401);
    server.anonymous().get("/v2/").await.expect(401);
    let name = person.name();
    let lines = [
        format!(" 127.0.0.1 {name} GET /service/token HTTP/1.1 200 "),
        format!(" 127.0.0.1 {name} GET /v2/ HTTP/1.1 200 "),
        format!(" 127.0.0.1 {name} GET /api/v2.0/users/current HTTP/1.1 200 "),
        format!(" 127.0.0.1 {name} GET /v2/hidden/app/tags/list HTTP/1.1 401 "),
        " 127.0.0.1 - GET /v2/ HTTP/1.1 401 ".to_owned(),
    ];
    eventually(5, "the lines are written", async || {
        let log = server.log();
        lines.iter().all(|line| log.contains(line)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_that_their_clients_give_up_are_logged_and_counted() {
    const COUNT: &str = r#"gantry_http_requests_total{method="GET",route="/v2/",status="4xx"}"#;
    let server = Server::start().await;
    let wrong = server.as_user_with("nobody-waits", "wrong");
    // From here on a guess at this account waits for longer than a second.
    for address in [2, 2, 2, 2, 3, 3, 3, 3, 4] {
        wrong.at(address).get("/v2/").await.expect(401);
    }
    let before = server.metric(COUNT).await;
    for (address, protocol) in [(5, Protocol::Http1), (6, Protocol::Http2)] {
        let client = wrong.at(address).speaking(protocol);
        let asked = client.get("/v2/").attempt();
        let answered = tokio::time::timeout(Duration::from_millis(300), asked).await;
        assert!(answered.is_err(), "it was answered at once");
    }
    let lines = [
        " 127.0.0.5 - GET /v2/ HTTP/1.1 499 ",
        " 127.0.0.6 - GET /v2/ HTTP/2.0 499 ",
    ];
    eventually(5, "the lines are written", async || {
        let log = server.log();
        lines.iter().all(|line| log.contains(line)).then_some(())
    })
    .await;
    assert_eq!(server.metric(COUNT).await, before + 2.0);
}

#[tokio::test]
async fn long_paths_are_logged_in_part() {
    let server = Server::start().await;
    let path = format!("/{}", "a".repeat(60_000));
    server.anonymous().get(&path).await.expect(404);
    let line = eventually(5, "the line is written", async || {
        let log = server.log();
        let mut lines = log.lines();
        lines
            .find(|line| line.contains(" GET /aaaa"))
            .map(str::to_owned)
    });
    let line = line.await;
    assert!(line.contains("a HTTP/1.1 404 "), "{line}");
    assert!(line.len() < 1_300, "{} bytes", line.len());
}

#[tokio::test]
async fn the_first_401_of_a_client_is_no_event() {
    let server = Server::start().await;
    let before = entries(&server).await.len();
    for _ in 0..5 {
        server.anonymous().get("/v2/").await.expect(401);
        server
            .anonymous()
            .get("/v2/library/none/manifests/latest")
            .await;
    }
    server.stop().await;
    let after = entries(&server).await;
    assert_eq!(after.len(), before, "{after:#?}");
    server.restart().await;
}

#[tokio::test]
async fn pulls_within_a_second_are_one_entry_with_a_count() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let repository = project.repository("pulled");
    let pulled = image("pulled");
    server
        .admin()
        .push_image(&repository, "latest", &pulled)
        .await;
    let guest = project.member(Role::Guest).await;
    for _ in 0..40 {
        guest
            .get(&format!("/v2/{repository}/manifests/latest"))
            .await
            .expect(200);
        guest
            .head(&format!("/v2/{repository}/manifests/latest"))
            .await
            .expect(200);
    }
    let pulls = eventually(10, "all pulls are recorded", async || {
        let all = entries(&server).await;
        let own = |entry: &&Value| {
            entry["principal_name"] == guest.name() && entry["operation"] == "pull"
        };
        let pulls: Vec<Value> = all.iter().filter(own).cloned().collect();
        (pulls
            .iter()
            .filter_map(|entry| entry["times"].as_i64())
            .sum::<i64>()
            >= 40)
            .then_some(pulls)
    })
    .await;
    let counted: i64 = pulls
        .iter()
        .filter_map(|entry| entry["times"].as_i64())
        .sum();
    assert_eq!(counted, 40, "a HEAD is no pull: {pulls:#?}");
    assert!(
        pulls.len() <= 10,
        "40 pulls in a moment are {} entries",
        pulls.len()
    );
    for pull in &pulls {
        assert_eq!(pull["resource_type"], "artifact");
        assert_eq!(pull["resource"], format!("{repository}:latest"));
        assert_eq!(pull["address"], "127.0.0.1");
    }
}

#[tokio::test]
async fn each_pull_is_an_entry_where_that_is_asked_for() {
    let server = Server::with(&[("GANTRY_AUDIT__PULLS", "each")]).await;
    let repository = "library/each";
    server
        .admin()
        .push_image(repository, "latest", &image("each"))
        .await;
    for _ in 0..12 {
        server
            .anonymous()
            .get(&format!("/v2/{repository}/manifests/latest"))
            .await
            .expect(200);
    }
    let all = entries(&server).await;
    let pulls: Vec<&Value> = all
        .iter()
        .filter(|e| {
            e["operation"] == "pull" && e["resource"] == "library/each:latest" && e["times"] == 1
        })
        .collect();
    assert_eq!(pulls.len(), 12, "written before the bytes flow: {all:#?}");
    assert!(
        pulls
            .iter()
            .all(|pull| pull["principal_name"] == "anonymous"),
        "{pulls:#?}"
    );
}

#[tokio::test]
async fn what_is_in_memory_is_written_on_sigterm() {
    let server = Server::start().await;
    server
        .admin()
        .push_image("library/term", "latest", &image("term"))
        .await;
    server
        .anonymous()
        .get("/v2/library/term/manifests/latest")
        .await
        .expect(200);
    server.stop().await;
    let all = entries(&server).await;
    let pulled =
        |entry: &&Value| entry["operation"] == "pull" && entry["resource"] == "library/term:latest";
    assert_eq!(all.iter().filter(pulled).count(), 1, "{all:#?}");
    server.restart().await;
}

/// Waits until every entry is part of the chain.
async fn all_is_sealed(server: &Server) {
    eventually(10, "all is sealed", async || {
        let verified = server.cli(&["audit", "verify"]).await;
        let text = String::from_utf8_lossy(&verified.stdout).into_owned();
        (verified.status.success() && text.contains(" 0 not sealed")).then_some(())
    })
    .await;
}

/// A stopped server with a history in several seals, which verifies.
async fn sealed() -> Server {
    let server = Server::start().await;
    let project = server.private_project().await;
    let maintainer = project.member(Role::Maintainer).await;
    for repository in ["one", "two"] {
        history(&maintainer, &project.repository(repository)).await;
        all_is_sealed(&server).await;
    }
    server.stop().await;
    server.cli_prints(&["audit", "verify"]).await;
    server
}

/// Whether `gantry audit verify` finds that something is wrong.
async fn is_found(server: &Server) {
    let verified = server.cli(&["audit", "verify"]).await;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&verified.stdout),
        String::from_utf8_lossy(&verified.stderr)
    );
    assert!(!verified.status.success(), "nothing was found: {text}");
    server.restart().await;
}

#[tokio::test]
async fn an_edited_entry_is_found() {
    let server = sealed().await;
    server
        .sql(
            "update audit set principal_name = 'somebody' where id = (select min(id) + 2 from audit)",
        )
        .await;
    is_found(&server).await;
}

#[tokio::test]
async fn a_deleted_entry_is_found() {
    let server = sealed().await;
    server
        .sql("delete from audit where id = (select min(id) + 2 from audit)")
        .await;
    is_found(&server).await;
}

#[tokio::test]
async fn two_exchanged_entries_are_found() {
    let server = sealed().await;
    let exchange = "update audit set id = -1 where id = (select min(id) + 1 from audit);
        update audit set id = (select min(id) + 1 from audit where id > 0) where id = (select min(id) + 2 from audit where id > 0);
        update audit set id = (select min(id) + 2 from audit where id > 0) where id = -1";
    server.sql(exchange).await;
    is_found(&server).await;
}

#[tokio::test]
async fn an_inserted_entry_is_found() {
    let server = sealed().await;
    let insert = "delete from audit where id = (select min(id) + 2 from audit);
        insert into audit (id, at, principal_id, principal_name, address, operation, resource_type, resource, project_id,
            success, times, detail)
        select min(id) + 2, at, principal_id, principal_name, address, operation, resource_type,
            'forged', project_id, success, times, detail from audit";
    server.sql(insert).await;
    is_found(&server).await;
}

#[tokio::test]
async fn a_dropped_tail_is_found_with_an_exported_head() {
    let server = sealed().await;
    let head = server.scratch().join("head");
    let head = head.to_string_lossy();
    let exported = server.cli_prints(&["audit", "export", "--head"]).await;
    std::fs::write(&*head, exported).expect("the head can be written");
    server
        .cli_prints(&["audit", "verify", "--head", &head])
        .await;
    let tail =
        "delete from audit where id > (select last_id from audit_seal order by sequence limit 1);
        delete from audit_seal where sequence > (select min(sequence) from audit_seal)";
    server.sql(tail).await;
    let verified = server.cli(&["audit", "verify", "--head", &head]).await;
    assert!(
        !verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
    server.restart().await;
}
