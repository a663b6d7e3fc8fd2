//! An execution that was stopped writes nothing more, and slow registries do not hold up others.

use std::time::Duration;

use serde_json::json;
use testkit::proxy::Mode;

use super::hostile::{Fault, Hostile};
use super::site::{
    add, digest, ended, gantry, gantry_at, policy, pull, push, run, site, start, sum,
};
use super::version::between;
use crate::harness::{Blob, Image, eventually, image, media, noise};

#[tokio::test]
async fn a_stopped_pull_ends_at_once_and_stores_nothing_afterwards() {
    let (here, there) = (site().await, site().await);
    let project = there.private_project().await;
    let repository = project.repository("app");
    let layer = Blob::new(noise("stopped", 6 << 20));
    let app = Image::build(
        "stopped",
        json!({"layers": [layer.descriptor(media::OCI_LAYER)]}),
    );
    there
        .admin()
        .push_blob(&repository, layer.bytes.clone())
        .await;
    there
        .admin()
        .push_blob(&repository, app.config.bytes.clone())
        .await;
    let manifest = app.manifest.clone();
    let admin = there.admin();
    let pushed = admin.push_manifest(&repository, "v1", media::OCI_MANIFEST, manifest);
    pushed.await.expect(201);
    let from = add(&here, &gantry(&there, "other")).await;
    let mut wanted = pull("in", from, &repository);
    // About a MiB a second.
    wanted["speed"] = json!(8_192);
    let into = policy(&here, &wanted).await;
    let execution = start(&here, into).await;
    eventually(20, "the blob comes", async || {
        (here.metric("gantry_uploads_open").await >= 1.0).then_some(())
    })
    .await;
    let path = format!("/api/v2.0/replication/executions/{execution}");
    here.admin().put(&path).await.expect(200);
    assert_eq!(ended(&here, execution).await["status"], "Stopped");
    tokio::time::sleep(Duration::from_secs(9)).await;
    let blob = format!("/v2/{repository}/blobs/{}", layer.digest);
    assert_eq!(here.admin().head(&blob).await.status, 404);
    assert_eq!(digest(&here, &repository, "v1").await, None);
    // It can be run again.
    wanted["speed"] = json!(0);
    let path = format!("/api/v2.0/replication/policies/{into}");
    here.admin().put(&path).json(&wanted).await.expect(200);
    assert_eq!(sum(&run(&here, into).await, "copied"), 1);
    here.may_complain();
}

#[tokio::test]
async fn a_policy_that_hangs_can_be_disabled_and_deleted() {
    let (here, there) = (site().await, site().await);
    let project = there.private_project().await;
    let repository = project.repository("app");
    let app = image("hangs");
    there.admin().push_image(&repository, "v1", &app).await;
    let between = between(&there).await;
    let from = add(&here, &gantry_at(&there, "other", between.address())).await;
    let mut wanted = pull("in", from, &repository);
    let into = policy(&here, &wanted).await;
    let path = format!("/api/v2.0/replication/policies/{into}");
    between.set(Mode::Silence);
    let works = async |count: f64| {
        eventually(20, "as many runs are at work", async || {
            let running = here
                .metric("gantry_job_running{kind=\"replication\"}")
                .await;
            (running == count).then_some(())
        })
        .await;
    };

    let hangs = start(&here, into).await;
    works(1.0).await;
    wanted["enabled"] = json!(false);
    here.admin().put(&path).json(&wanted).await.expect(200);
    assert_eq!(ended(&here, hangs).await["status"], "Stopped");
    works(0.0).await;

    wanted["enabled"] = json!(true);
    here.admin().put(&path).json(&wanted).await.expect(200);
    start(&here, into).await;
    works(1.0).await;
    here.admin().delete(&path).await.expect(200);
    here.admin().get(&path).await.expect(404);
    works(0.0).await;
    between.set(Mode::Pass);
    let registry = format!("/api/v2.0/registries/{from}");
    here.admin().delete(&registry).await.expect(200);
    assert_eq!(digest(&here, &repository, "v1").await, None);
    here.may_complain();
    there.may_complain();
}

#[tokio::test]
async fn many_policies_of_a_registry_that_fails_leave_places_for_others() {
    let (here, there) = (site().await, site().await);
    let app = image("places");
    let hostile = Hostile::start(&app, Fault::Answers(500));
    let body = json!({"name": "hostile", "type": "docker-registry", "url": hostile.url});
    let from = add(&here, &body).await;
    let mut failing = Vec::new();
    for number in 0..8 {
        let wanted = pull(&format!("in-{number}"), from, "broken/app");
        let into = policy(&here, &wanted).await;
        for _ in 0..2 {
            failing.push(start(&here, into).await);
        }
    }
    eventually(20, "they are at work", async || {
        (hostile.asked("/blobs/") > 0).then_some(())
    })
    .await;
    let project = here.private_project().await;
    let repository = project.repository("app");
    here.admin().push_image(&repository, "v1", &app).await;
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &push("out", to, &repository)).await;
    let done = tokio::time::timeout(Duration::from_secs(10), run(&here, out)).await;
    assert_eq!(
        sum(&done.expect("it does not wait for the others"), "copied"),
        1
    );
    for execution in failing {
        let path = format!("/api/v2.0/replication/executions/{execution}");
        here.admin().put(&path).await.expect(200);
    }
}
