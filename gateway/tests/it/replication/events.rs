//! What is pushed or deleted starts policies, and two servers that push to each other settle.

use serde_json::{Value, json};

use super::site::{add, comes, digest, gantry, policy, push, referrers, site};
use crate::harness::{Server, eventually, image};

/// A policy that starts with what happens here.
fn on_push(name: &str, to: i64, names: &str) -> Value {
    let mut wanted = push(name, to, names);
    wanted["trigger"] = json!({"type": "event_based"});
    wanted
}

#[tokio::test]
async fn what_is_pushed_goes_out_and_what_is_deleted_goes_there_if_it_was_copied() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let to = add(&here, &gantry(&there, "other")).await;
    let mut wanted = on_push("out", to, &format!("{}/**", project.name));
    wanted["deletion"] = json!(true);
    policy(&here, &wanted).await;
    let (app, own) = (image("event"), image("their own"));
    here.admin().push_image(&repository, "v1", &app).await;
    comes(&there, &repository, "v1", Some(&app.digest)).await;
    // What is attached later comes too, though it has no tag.
    let signature = app.about("later", "application/vnd.example.signature");
    here.admin()
        .push_image(&repository, &signature.digest, &signature)
        .await;
    eventually(20, "the signature comes", async || {
        let attached = referrers(&there, &repository, &app.digest).await;
        (attached == [signature.digest.clone()]).then_some(())
    })
    .await;
    // A tag that was never copied is never deleted.
    there.admin().push_image(&repository, "v2", &own).await;
    here.admin().push_image(&repository, "v3", &app).await;
    comes(&there, &repository, "v3", Some(&app.digest)).await;
    let path = format!("/v2/{repository}/manifests/v3");
    here.admin().delete(&path).await.expect(202);
    comes(&there, &repository, "v3", None).await;
    assert_eq!(digest(&there, &repository, "v2").await, Some(own.digest));
    assert_eq!(digest(&there, &repository, "v1").await, Some(app.digest));
}

/// How many entries of the log say that a tag was set in a repository.
async fn pushes(at: &Server, repository: &str) -> usize {
    let query = format!("q=operation%3Dcreate%2Cresource%3D~{repository}&page_size=100");
    let path = format!("/api/v2.0/auditlog-exts?{query}");
    let logged = at.admin().get(&path).await.expect(200).json();
    logged.as_array().expect("a list").len()
}

#[tokio::test]
async fn two_servers_that_push_to_each_other_settle() {
    let (one, other) = (site().await, site().await);
    let project = one.private_project().await;
    let repository = project.repository("app");
    let names = format!("{}/**", project.name);
    let to = add(&one, &gantry(&other, "other")).await;
    policy(&one, &on_push("out", to, &names)).await;
    let back = add(&other, &gantry(&one, "one")).await;
    policy(&other, &on_push("back", back, &names)).await;
    let (first, second) = (image("first"), image("second"));
    one.admin().push_image(&repository, "v1", &first).await;
    comes(&other, &repository, "v1", Some(&first.digest)).await;
    other.admin().push_image(&repository, "v1", &second).await;
    comes(&one, &repository, "v1", Some(&second.digest)).await;
    // Nothing goes to and fro: the number of pushes stays as it is.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let before = (
        pushes(&one, &repository).await,
        pushes(&other, &repository).await,
    );
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    let after = (
        pushes(&one, &repository).await,
        pushes(&other, &repository).await,
    );
    assert_eq!(before, after, "they settle");
    for at in [&one, &other] {
        let found = digest(at, &repository, "v1").await;
        assert_eq!(found.as_ref(), Some(&second.digest));
    }
}
