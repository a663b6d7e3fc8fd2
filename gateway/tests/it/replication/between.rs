//! Between servers: everything that belongs to an artifact comes along, both ways, and nothing is moved twice.

use serde_json::json;

use super::site::{
    add, digest, ended, gantry, log, policy, pull, push, referrers, run, site, start, sum, tasks,
};
use crate::harness::{Image, Server, eventually, fresh, image, index_of, media};

/// What is pushed to a repository.
pub(super) struct Set {
    pub(super) index: String,
    one: Image,
    pub(super) signature: Image,
    about_signature: Image,
    cosign_tag: String,
}

/// Pushes an index of two images under the tag `v1`, with a signature of the index, something attached to that, and a
/// signature of one of the images by cosign's tag; an image of another tag; and one without a tag.
pub(super) async fn push_set(at: &Server, repository: &str, seed: &str) -> Set {
    let admin = at.admin();
    let (one, two) = (image(&format!("{seed} one")), image(&format!("{seed} two")));
    for image in [&one, &two] {
        admin.push_image(repository, &image.digest, image).await;
    }
    let (index, bytes) = index_of(&[&one, &two]);
    let pushed = admin
        .push_manifest(repository, "v1", media::OCI_INDEX, bytes.clone())
        .await;
    pushed.expect(201);
    let subject = json!({"mediaType": media::OCI_INDEX, "digest": index, "size": bytes.len()});
    let kind = "application/vnd.dev.cosign.artifact.sig.v1+json";
    let signature = Image::build(
        &format!("{seed} signature"),
        json!({"subject": subject, "artifactType": kind}),
    );
    admin
        .push_image(repository, &signature.digest, &signature)
        .await;
    let about_signature = signature.about(&format!("{seed} log"), "application/vnd.example.log");
    admin
        .push_image(repository, &about_signature.digest, &about_signature)
        .await;
    let cosign = image(&format!("{seed} cosign"));
    let cosign_tag = format!("{}.sig", one.digest.replace(':', "-"));
    admin.push_image(repository, &cosign_tag, &cosign).await;
    let other = image(&format!("{seed} other"));
    admin.push_image(repository, "dev-1", &other).await;
    let untagged = image(&format!("{seed} untagged"));
    admin
        .push_image(repository, &untagged.digest, &untagged)
        .await;
    Set {
        index,
        one,
        signature,
        about_signature,
        cosign_tag,
    }
}

/// All of a set is there.
pub(super) async fn has_all(at: &Server, repository: &str, set: &Set) {
    assert_eq!(
        digest(at, repository, "v1").await.as_ref(),
        Some(&set.index)
    );
    let attached = referrers(at, repository, &set.index).await;
    assert_eq!(attached, std::slice::from_ref(&set.signature.digest));
    let attached = referrers(at, repository, &set.signature.digest).await;
    assert_eq!(attached, std::slice::from_ref(&set.about_signature.digest));
    let found = digest(at, repository, &set.cosign_tag).await;
    assert!(found.is_some(), "cosign's tag comes along");
    for blob in set.one.blobs() {
        let path = format!("/v2/{repository}/blobs/{}", blob.digest);
        let pulled = at.admin().get(&path).await.expect(200);
        assert_eq!(pulled.body, blob.bytes);
    }
}

#[tokio::test]
async fn a_push_brings_all_that_belongs_to_an_artifact_and_a_second_one_moves_nothing() {
    let (here, there) = (site().await, site().await);
    let project = here.public_project().await;
    let repository = project.repository("team/app");
    let set = push_set(&here, &repository, "push").await;
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &push("out", to, &format!("{}/**", project.name))).await;

    let first = run(&here, out).await;
    assert_eq!(first.len(), 1, "one task for each repository");
    assert_eq!(first[0]["operation"], "copy");
    let named = format!("{repository} [3 item(s) in total]");
    assert_eq!(first[0]["src_resource"], named.as_str());
    assert_eq!(first[0]["dst_resource"], named.as_str());
    assert_eq!(first[0]["status"], "Succeed");
    assert_eq!(sum(&first, "copied"), 3);
    let text = log(&here, &first[0]).await;
    assert!(text.contains("is copied to"), "{text}");
    has_all(&there, &repository, &set).await;
    // The project is made there, and is as public as it is here.
    let made = there
        .admin()
        .get(&format!("/api/v2.0/projects/{}", project.name))
        .await;
    assert_eq!(made.expect(200).json()["metadata"]["public"], "true");

    let second = run(&here, out).await;
    let counts = ["copied", "present", "bytes"].map(|count| sum(&second, count));
    assert_eq!(counts, [0, 3, 0], "nothing is moved twice");
}

#[tokio::test]
async fn a_pull_maps_names_filters_tags_and_is_stored_as_a_push() {
    let (here, there) = (site().await, site().await);
    let project = there.private_project().await;
    let repository = project.repository("deep/app");
    let set = push_set(&there, &repository, "pull").await;
    let from = add(&here, &gantry(&there, "other")).await;
    let namespace = fresh("mirror");
    let mut wanted = pull("in", from, &format!("{}/**", project.name));
    wanted["dest_namespace"] = json!(namespace);
    wanted["dest_namespace_replace_count"] = json!(1);
    let filters = wanted["filters"].as_array_mut().expect("a list");
    filters.push(json!({"type": "tag", "value": "v*"}));
    let into = policy(&here, &wanted).await;

    let tasks = run(&here, into).await;
    assert_eq!(sum(&tasks, "copied"), 1);
    let name = format!("{namespace}/deep/app");
    has_all(&here, &name, &set).await;
    assert_eq!(digest(&here, &name, "dev-1").await, None, "it is filtered");
    // To the other one it was no pull: what somebody pulls afterwards is the first that counts.
    let path = format!("/v2/{repository}/manifests/v1");
    there.admin().get(&path).await.expect(200);
    let path = format!(
        "/api/v2.0/projects/{}/repositories/deep%252Fapp",
        project.name
    );
    let pulls = eventually(20, "the pull is counted", async || {
        let shown = there.admin().get(&path).await.expect(200).json();
        shown["pull_count"].as_i64().filter(|pulls| *pulls > 0)
    });
    assert_eq!(pulls.await, 1);
    let query = "q=operation%3Dcreate%2Cresource_type%3Dartifact&page_size=100";
    let path = format!("/api/v2.0/auditlog-exts?{query}");
    let logged = here.admin().get(&path).await.expect(200).json();
    let names: Vec<&str> = logged
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["username"].as_str().expect("a name"))
        .collect();
    assert!(
        !names.is_empty() && names.iter().all(|name| *name == "replication"),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_tag_that_points_elsewhere_is_kept_unless_the_policy_overrides() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let (ours, theirs) = (image("ours"), image("theirs"));
    here.admin().push_image(&repository, "v1", &ours).await;
    let body = json!({"project_name": project.name, "metadata": {"public": "false"}});
    let made = there.admin().post("/api/v2.0/projects").json(&body).await;
    made.expect(201);
    there.admin().push_image(&repository, "v1", &theirs).await;
    let to = add(&here, &gantry(&there, "other")).await;
    let mut wanted = push("out", to, &repository);
    wanted["override"] = json!(false);
    let out = policy(&here, &wanted).await;

    let kept = run(&here, out).await;
    assert_eq!((sum(&kept, "kept"), sum(&kept, "copied")), (1, 0));
    assert!(log(&here, &kept[0]).await.contains("does not override"));
    assert_eq!(digest(&there, &repository, "v1").await, Some(theirs.digest));

    wanted["override"] = json!(true);
    let path = format!("/api/v2.0/replication/policies/{out}");
    here.admin().put(&path).json(&wanted).await.expect(200);
    assert_eq!(sum(&run(&here, out).await, "copied"), 1);
    assert_eq!(digest(&there, &repository, "v1").await, Some(ours.digest));
}

#[tokio::test]
async fn what_was_copied_along_a_chain_is_mended_and_blobs_are_mounted() {
    let (first, second, third) = (site().await, site().await, site().await);
    let project = first.private_project().await;
    let (one, two) = (project.repository("one"), project.repository("two"));
    let set = push_set(&first, &one, "chain").await;
    // The same blobs in another repository move once.
    first.admin().push_image(&two, "v1", &set.one).await;
    let names = format!("{}/**", project.name);
    let to = add(&first, &gantry(&second, "second")).await;
    let out = policy(&first, &push("out", to, &names)).await;
    run(&first, out).await;
    let from = add(&third, &gantry(&second, "second")).await;
    let into = policy(&third, &pull("in", from, &names)).await;
    run(&third, into).await;
    for at in [&second, &third] {
        has_all(at, &one, &set).await;
        assert_eq!(digest(at, &two, "v1").await.as_ref(), Some(&set.one.digest));
    }

    // What somebody deletes at the end comes back with the next run, and no bytes move where they are still there.
    let path = format!("/v2/{one}/manifests/{}", set.signature.digest);
    third.admin().delete(&path).await.expect(202);
    let path = format!("/v2/{two}/manifests/v1");
    third.admin().delete(&path).await.expect(202);
    let mended = run(&third, into).await;
    assert!(sum(&mended, "copied") >= 1);
    has_all(&third, &one, &set).await;
    assert_eq!(
        digest(&third, &two, "v1").await.as_ref(),
        Some(&set.one.digest)
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_move_and_moves_nothing() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    here.admin()
        .push_image(&repository, "v1", &image("dry"))
        .await;
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &push("out", to, &repository)).await;
    let path = format!("/api/ext/v1/replication/policies/{out}/dry-run");
    let made = here.admin().post(&path).await.expect(201);
    let id = made
        .location()
        .rsplit('/')
        .next()
        .and_then(|id| id.parse().ok());
    let id = id.expect("an execution");
    let shown = ended(&here, id).await;
    assert_eq!(
        (&shown["status"], &shown["dry_run"]),
        (&json!("Succeed"), &json!(true))
    );
    let tasks = tasks(&here, id).await;
    let text = log(&here, &tasks[0]).await;
    assert!(text.contains("would be copied to"), "{text}");
    assert_eq!(digest(&there, &repository, "v1").await, None);
}

#[tokio::test]
async fn a_policy_without_matches_is_done_and_a_disabled_one_does_not_start() {
    let (here, there) = (site().await, site().await);
    let to = add(&here, &gantry(&there, "other")).await;
    let mut wanted = push("out", to, &format!("{}/**", fresh("nothing")));
    let out = policy(&here, &wanted).await;
    let shown = ended(&here, start(&here, out).await).await;
    assert_eq!(shown["status"], "Succeed");
    assert_eq!(shown["status_text"], "no resources need to be replicated");
    wanted["enabled"] = json!(false);
    let path = format!("/api/v2.0/replication/policies/{out}");
    here.admin().put(&path).json(&wanted).await.expect(200);
    let body = json!({ "policy_id": out });
    let refused = here
        .admin()
        .post("/api/v2.0/replication/executions")
        .json(&body)
        .await;
    refused.expect_error(412, "PRECONDITION");
    let used = format!("/api/v2.0/registries/{to}");
    here.admin()
        .delete(&used)
        .await
        .expect_error(412, "PRECONDITION");
    here.admin().delete(&path).await.expect(200);
    here.admin().delete(&used).await.expect(200);
}
