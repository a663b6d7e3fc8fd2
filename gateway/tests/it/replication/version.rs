//! Two sites that both change the same tags: the later change wins at both, and none is lost without a word.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::proxy::{Mode, Proxy};

use super::site::{
    add, comes, digest, following, gantry, gantry_at, leads, log, policy, pull, push, run, settled,
    site, sum,
};
use crate::harness::{Server, eventually, image};

/// Something between a server and whoever copies to it.
pub(super) async fn between(to: &Server) -> Proxy {
    let target = format!("127.0.0.1:{}", to.port());
    let proxy = tokio::task::spawn_blocking(move || Proxy::start(&target));
    proxy.await.expect("it starts").expect("a port is free")
}

/// Versions of the tags of a repository, as another Gantry reads them.
async fn versions(at: &Server, repository: &str) -> Vec<Value> {
    let (project, name) = repository.split_once('/').expect("a project");
    let path = format!("/api/ext/v1/projects/{project}/repositories/{name}/tag-versions");
    let listed = at.admin().get(&path).await.expect(200).json();
    listed.as_array().expect("a list").clone()
}

#[tokio::test]
async fn sites_that_were_cut_off_agree_on_the_later_change_and_catch_up() {
    let (one, other) = (site().await, site().await);
    let project = one.private_project().await;
    let repository = project.repository("app");
    let names = format!("{}/**", project.name);
    let (to_other, to_one) = (between(&other).await, between(&one).await);
    let registry = add(&one, &gantry_at(&other, "other", to_other.address())).await;
    let out = policy(&one, &following(push("out", registry, &names))).await;
    let registry = add(&other, &gantry_at(&one, "one", to_one.address())).await;
    let back = policy(&other, &following(push("back", registry, &names))).await;
    let first = image("before");
    for tag in ["v1", "old", "kept"] {
        one.admin().push_image(&repository, tag, &first).await;
        comes(&other, &repository, tag, Some(&first.digest)).await;
    }
    settled(&[&one, &other], &repository).await;

    for proxy in [&to_other, &to_one] {
        proxy.set(Mode::Refuse);
    }
    let (early, late, own) = (image("early"), image("late"), image("own"));
    one.admin().push_image(&repository, "v1", &early).await;
    other.admin().push_image(&repository, "own", &own).await;
    let path = format!("/v2/{repository}/manifests/old");
    other.admin().delete(&path).await.expect(202);
    // What was deleted here is pushed there afterwards, and stays.
    let path = format!("/v2/{repository}/manifests/kept");
    other.admin().delete(&path).await.expect(202);
    tokio::time::sleep(Duration::from_millis(20)).await;
    other.admin().push_image(&repository, "v1", &late).await;
    one.admin().push_image(&repository, "kept", &late).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for proxy in [&to_other, &to_one] {
        proxy.set(Mode::Pass);
    }
    for at in [&one, &other] {
        comes(at, &repository, "v1", Some(&late.digest)).await;
        comes(at, &repository, "own", Some(&own.digest)).await;
        comes(at, &repository, "old", None).await;
        comes(at, &repository, "kept", Some(&late.digest)).await;
    }
    settled(&[&one, &other], &repository).await;
    // What lost can be pulled by its digest where it was pushed.
    let lost = digest(&one, &repository, &early.digest).await;
    assert_eq!(lost.as_ref(), Some(&early.digest));
    // What lost has no tag any more, and whole runs copy that too.
    for (at, policy) in [(&one, out), (&other, back)] {
        run(at, policy).await;
    }
    settled(&[&one, &other], &repository).await;
    for (at, policy) in [(&one, out), (&other, back)] {
        let again = run(at, policy).await;
        let counts = ["copied", "deleted", "bytes"].map(|count| sum(&again, count));
        assert_eq!(counts, [0, 0, 0], "{again:#?}");
    }
    assert_eq!(
        versions(&one, &repository).await,
        versions(&other, &repository).await
    );
    for at in [&one, &other] {
        at.may_complain();
    }
}

/// The long form, by hand with `--ignored`: longer than requests are repeated.
#[tokio::test]
#[ignore = "a site is cut off for two minutes"]
async fn a_site_that_was_cut_off_for_two_minutes_catches_up_by_itself() {
    let (one, other) = (site().await, site().await);
    let project = one.private_project().await;
    let repository = project.repository("app");
    let proxy = between(&other).await;
    let registry = add(&one, &gantry_at(&other, "other", proxy.address())).await;
    policy(&one, &following(push("out", registry, &repository))).await;
    let (first, second) = (image("before"), image("meanwhile"));
    one.admin().push_image(&repository, "v1", &first).await;
    comes(&other, &repository, "v1", Some(&first.digest)).await;
    proxy.set(Mode::Refuse);
    one.admin().push_image(&repository, "v1", &second).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    proxy.set(Mode::Pass);
    comes(&other, &repository, "v1", Some(&second.digest)).await;
    one.may_complain();
}

#[tokio::test]
async fn what_loses_is_named_in_the_log_and_one_that_only_pulls_and_pushes_agrees_too() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let registry = add(&here, &gantry(&there, "other")).await;
    // Both policies are here: the other site knows of neither.
    let mut wanted = push("out", registry, &repository);
    wanted["deletion"] = json!(true);
    let out = policy(&here, &wanted).await;
    let mut wanted = pull("in", registry, &repository);
    wanted["deletion"] = json!(true);
    let into = policy(&here, &wanted).await;
    let (first, second) = (image("first"), image("second"));
    here.admin().push_image(&repository, "v1", &first).await;
    run(&here, out).await;
    run(&here, into).await;
    there.admin().push_image(&repository, "v1", &second).await;
    let kept = run(&here, out).await;
    assert_eq!(
        (sum(&kept, "kept"), sum(&kept, "copied")),
        (1, 0),
        "{kept:#?}"
    );
    let text = log(&here, &kept[0]).await;
    assert!(
        text.contains(&format!("v1 is kept: it is {}", second.digest)),
        "{text}"
    );
    assert!(
        text.contains(&format!("{} can still be pulled", first.digest)),
        "{text}"
    );
    let taken = run(&here, into).await;
    assert_eq!(sum(&taken, "copied"), 1, "{taken:#?}");
    let text = log(&here, &taken[0]).await;
    assert!(
        text.contains(&format!("later than {}", first.digest)),
        "{text}"
    );
    assert_eq!(
        digest(&here, &repository, "v1").await.as_ref(),
        Some(&second.digest)
    );

    // A deletion there comes here, and one here goes there.
    here.admin().push_image(&repository, "v2", &first).await;
    run(&here, out).await;
    let path = format!("/v2/{repository}/manifests/v1");
    there.admin().delete(&path).await.expect(202);
    assert_eq!(
        sum(&run(&here, out).await, "copied"),
        0,
        "it was deleted there later"
    );
    assert_eq!(sum(&run(&here, into).await, "deleted"), 1);
    assert_eq!(digest(&here, &repository, "v1").await, None);
    let path = format!("/v2/{repository}/manifests/v2");
    here.admin().delete(&path).await.expect(202);
    assert_eq!(
        sum(&run(&here, into).await, "copied"),
        0,
        "it was deleted here later"
    );
    assert_eq!(sum(&run(&here, out).await, "deleted"), 1);
    assert_eq!(digest(&there, &repository, "v2").await, None);
}

#[tokio::test]
async fn a_deleted_repository_is_a_deletion_of_its_tags() {
    let (one, other) = (site().await, site().await);
    let project = one.private_project().await;
    let (app, stays) = (project.repository("app"), project.repository("stays"));
    let names = format!("{}/**", project.name);
    leads(&one, &other, &names).await;
    leads(&other, &one, &names).await;
    let pushed = image("repository");
    for repository in [&app, &stays] {
        one.admin().push_image(repository, "v1", &pushed).await;
        comes(&other, repository, "v1", Some(&pushed.digest)).await;
    }
    settled(&[&one, &other], &app).await;
    let path = format!("/api/v2.0/projects/{}/repositories/app", project.name);
    other.admin().delete(&path).await.expect(200);
    for at in [&one, &other] {
        comes(at, &app, "v1", None).await;
        comes(at, &stays, "v1", Some(&pushed.digest)).await;
    }
}

#[tokio::test]
async fn a_version_is_taken_only_from_who_replicates_and_not_from_the_future() {
    let here = site().await;
    let project = here.private_project().await;
    let repository = project.repository("app");
    let (first, second) = (image("first"), image("second"));
    here.admin().push_image(&repository, "v1", &first).await;
    here.admin()
        .push_image(&repository, &second.digest, &second)
        .await;
    let own = versions(&here, &repository).await;
    let (time, origin) = (own[0]["time"].as_i64().expect("a time"), "ab".repeat(16));
    assert_eq!(own[0]["digest"], first.digest.as_str());
    let path = format!(
        "/api/ext/v1/projects/{}/repositories/app/tags/v1/version",
        project.name
    );
    let version = |time: i64| json!({"digest": second.digest, "time": time, "origin": origin});
    let pusher = project.member(crate::harness::Role::ProjectAdmin).await;
    pusher
        .put(&path)
        .json(&version(time + 1))
        .await
        .expect_error(403, "FORBIDDEN");
    let admin = here.admin();
    let ahead = admin.put(&path).json(&version(time + 3_600_000_000)).await;
    let message = ahead.expect(400).message();
    assert!(message.contains("ahead of the clock here"), "{message}");
    let earlier = admin
        .put(&path)
        .json(&version(time - 1))
        .await
        .expect(200)
        .json();
    assert_eq!(earlier["outcome"], "kept");
    assert_eq!(earlier["state"]["digest"], first.digest.as_str());
    for outcome in ["taken", "same"] {
        let later = admin
            .put(&path)
            .json(&version(time + 1))
            .await
            .expect(200)
            .json();
        assert_eq!(later["outcome"], outcome);
    }
    // A push here is later than what it replaces, whatever the clocks say.
    let soon = time + 30_000_000;
    admin.put(&path).json(&version(soon)).await.expect(200);
    here.admin().push_image(&repository, "v1", &first).await;
    let now = versions(&here, &repository).await;
    assert_eq!(now[0]["time"].as_i64(), Some(soon + 1));
    assert_eq!(now[0]["digest"], first.digest.as_str());
    let nothing = admin
        .put(&path)
        .json(&json!({"time": 1, "origin": origin}))
        .await;
    nothing.expect(400);
}

#[tokio::test]
async fn a_policy_says_how_far_it_is_behind() {
    let (one, other) = (site().await, site().await);
    let project = one.private_project().await;
    let repository = project.repository("app");
    let proxy = between(&other).await;
    let registry = add(&one, &gantry_at(&other, "other", proxy.address())).await;
    let out = policy(&one, &following(push("out", registry, &repository))).await;
    let lag = async || {
        let path = format!("/api/v2.0/replication/policies/{out}");
        let shown = one.admin().get(&path).await.expect(200).json();
        shown["lag_seconds"].as_i64().expect("a number")
    };
    let metric = async || {
        let name = format!("gantry_replication_lag_seconds{{policy=\"{out}\"}}");
        one.metric(&name).await
    };
    assert_eq!((lag().await, metric().await), (0, 0.0));
    proxy.set(Mode::Silence);
    let app = image("behind");
    one.admin().push_image(&repository, "v1", &app).await;
    eventually(20, "it is behind", async || {
        (lag().await >= 2 && metric().await >= 2.0).then_some(())
    })
    .await;
    proxy.set(Mode::Pass);
    comes(&other, &repository, "v1", Some(&app.digest)).await;
    eventually(20, "it has caught up", async || {
        (lag().await == 0 && metric().await == 0.0).then_some(())
    })
    .await;
}

/// What the docs say that a robot needs.
const RIGHTS: [(&str, &[&str]); 2] = [
    (
        "/",
        &[
            "project list",
            "project create",
            "replication list",
            "replication create",
        ],
    ),
    (
        "*",
        &[
            "project read",
            "repository list",
            "repository pull",
            "repository push",
            "repository delete",
            "artifact list",
            "artifact read",
            "artifact delete",
            "tag list",
            "tag create",
            "tag delete",
            "accessory list",
            "label list",
            "label create",
            "artifact-label create",
        ],
    ),
];

#[tokio::test]
async fn a_robot_with_the_rights_that_the_docs_name_is_enough() {
    let (here, there) = (site().await, site().await);
    let permissions = RIGHTS.map(|(namespace, rights)| {
        let kind = if namespace == "/" {
            "system"
        } else {
            "project"
        };
        let right = |text: &&str| {
            let (resource, action) = text.split_once(' ').expect("two words");
            json!({"resource": resource, "action": action})
        };
        let access: Vec<Value> = rights.iter().map(right).collect();
        json!({"kind": kind, "namespace": namespace, "access": access})
    });
    let body = json!({
        "name": "copy", "level": "system", "duration": -1, "permissions": permissions,
    });
    let robot = there.admin().post("/api/v2.0/robots").json(&body).await;
    let robot = robot.expect(201).json();
    let mut other = gantry(&there, "other");
    other["credential"]["access_key"] = robot["name"].clone();
    other["credential"]["access_secret"] = robot["secret"].clone();
    let registry = add(&here, &other).await;
    let project = here.public_project().await;
    let repository = project.repository("app");
    let mut wanted = push("out", registry, &repository);
    wanted["deletion"] = json!(true);
    let out = policy(&here, &wanted).await;
    leads(&there, &here, &repository).await;
    let (first, second) = (image("robot, first"), image("robot, second"));
    here.admin().push_image(&repository, "v1", &first).await;
    assert_eq!(sum(&run(&here, out).await, "copied"), 1);
    settled(&[&here, &there], &repository).await;
    here.admin().push_image(&repository, "v1", &second).await;
    let tasks = run(&here, out).await;
    let text = log(&here, &tasks[0]).await;
    assert!(
        text.contains(&format!("later than {}", first.digest)),
        "{text}"
    );
    comes(&there, &repository, "v1", Some(&second.digest)).await;
    let path = format!("/v2/{repository}/manifests/v1");
    here.admin().delete(&path).await.expect(202);
    assert_eq!(sum(&run(&here, out).await, "deleted"), 1);
    comes(&there, &repository, "v1", None).await;
}
