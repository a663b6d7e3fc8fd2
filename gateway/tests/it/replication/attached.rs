//! What is attached to an artifact is there before any tag of it, and lists of attachments lose nothing.

use serde_json::{Value, json};

use super::peer::distribution;
use super::site::{add, ended, gantry, policy, push, run, site, start, sum};
use crate::harness::{Client, Image, Server, image, media};

/// The ids of entries of the log by which something was made in a repository, with what they are about, the oldest first.
async fn made(at: &Server, repository: &str) -> Vec<(i64, String)> {
    let query = format!("q=operation%3Dcreate%2Cresource%3D~{repository}&page_size=100&sort=id");
    let path = format!("/api/v2.0/auditlog-exts?{query}");
    let logged = at.admin().get(&path).await.expect(200).json();
    let entries = logged.as_array().expect("a list").iter();
    let entry = |it: &Value| {
        let resource = it["resource"].as_str().expect("a text").to_owned();
        (it["id"].as_i64().expect("an id"), resource)
    };
    entries.map(entry).collect()
}

#[tokio::test]
async fn no_tag_is_seen_before_what_is_attached_to_it() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let app = image("many tags");
    for number in 0..8 {
        let tag = format!("v{number}");
        here.admin().push_image(&repository, &tag, &app).await;
    }
    let mut last = app.clone();
    for level in 0..4 {
        last = last.about(
            &format!("level {level}"),
            "application/vnd.example.signature",
        );
        here.admin()
            .push_image(&repository, &last.digest, &last)
            .await;
    }
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &push("out", to, &repository)).await;
    assert_eq!(sum(&run(&here, out).await, "copied"), 8);
    let entries = made(&there, &repository).await;
    let attached = entries
        .iter()
        .filter(|(_, what)| what.contains(&last.digest));
    let attached = attached.map(|(id, _)| *id).max().expect("it is there");
    let tagged = entries.iter().filter(|(_, what)| what.contains(":v"));
    let tagged: Vec<i64> = tagged.map(|(id, _)| *id).collect();
    assert_eq!(tagged.len(), 8, "{entries:?}");
    assert!(tagged.iter().all(|id| *id > attached), "{entries:?}");
}

/// Digests that the list by the tag schema has.
async fn listed(peer: &Client, repository: &str, subject: &str) -> Vec<String> {
    let tag = subject.replace(':', "-");
    let path = format!("/v2/{repository}/manifests/{tag}");
    let answer = peer.get(&path).header("accept", media::OCI_INDEX).await;
    let index = answer.expect(200).json();
    let listed = index["manifests"].as_array().expect("a list").iter();
    let mut digests: Vec<String> = listed
        .map(|it| it["digest"].as_str().expect("a digest").to_owned())
        .collect();
    digests.sort();
    digests
}

#[tokio::test]
async fn lists_of_attachments_lose_nothing_between_writers_and_are_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let (peer, body) = distribution(folder.path());
    let port = peer
        .target
        .url
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let client = Client::bulk(port.expect("a port"), &peer.target.ca);
    let (one, other) = (site().await, site().await);
    let app = image("signed by two");
    let mut signatures = Vec::new();
    let mut policies = Vec::new();
    for (at, seed) in [(&one, "one"), (&other, "other")] {
        let project = at.private_project().await;
        let repository = project.repository("app");
        at.admin().push_image(&repository, "v1", &app).await;
        for number in 0..3 {
            let signature = app.about(
                &format!("{seed} {number}"),
                "application/vnd.example.signature",
            );
            at.admin()
                .push_image(&repository, &signature.digest, &signature)
                .await;
            signatures.push(signature);
        }
        let to = add(at, &body).await;
        let mut wanted = push("out", to, &repository);
        wanted["dest_namespace"] = json!("lists");
        policies.push((at, policy(at, &wanted).await));
    }
    let mut expected: Vec<String> = signatures.iter().map(|it| it.digest.clone()).collect();
    expected.sort();
    // At the same time, from two installations; what one of them removed from the list, its next run mends.
    let executions = [
        start(policies[0].0, policies[0].1).await,
        start(policies[1].0, policies[1].1).await,
    ];
    for ((at, _), execution) in policies.iter().zip(executions) {
        assert_eq!(ended(at, execution).await["status"], "Succeed");
    }
    for (at, policy) in &policies {
        run(at, *policy).await;
    }
    assert_eq!(listed(&client, "lists/app", &app.digest).await, expected);

    // Somebody else replaces the list.
    let lost = Image::build("nothing", json!({"subject": app.descriptor()}));
    let index = json!({
        "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [],
        "annotations": {"by": lost.digest},
    });
    let tag = app.digest.replace(':', "-");
    let path = format!("/v2/lists/app/manifests/{tag}");
    let replaced = client
        .put(&path)
        .content_type(media::OCI_INDEX)
        .body(index.to_string());
    replaced.await.expect(201);
    for (at, policy) in &policies {
        let tasks = run(at, *policy).await;
        assert_eq!(sum(&tasks, "bytes"), 0);
    }
    assert_eq!(listed(&client, "lists/app", &app.digest).await, expected);
}
