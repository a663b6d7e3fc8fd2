//! Copying artifacts between projects.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{
    Client, Image, Project, Role, Server, image, index_of, media, objects, sha256,
};

const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

fn into(project: &Project<'_>, name: &str, from: &str) -> String {
    let project = &project.name;
    format!("/api/v2.0/projects/{project}/repositories/{name}/artifacts?from={from}")
}

/// Bytes that a project holds.
async fn used(server: &Server, project: &Project<'_>) -> i64 {
    let path = format!("/api/v2.0/quotas/{}", project.id);
    let quota = server.admin().get(&path).await.expect(200).json();
    quota["used"]["storage"].as_i64().expect("a number")
}

async fn push(client: &Client, repository: &str, image: &Image) {
    client.push_image(repository, &image.digest, image).await;
}

#[tokio::test]
async fn a_copy_has_everything_that_belongs_to_the_artifact_and_no_byte_moves() {
    let server = Server::start().await;
    let (from, to) = (
        server.private_project().await,
        server.private_project().await,
    );
    let repository = from.repository("app");
    let admin = server.admin();
    let parts = [1, 2].map(|number| image(&format!("copied part {number}")));
    for part in &parts {
        push(&admin, &repository, part).await;
    }
    let (digest, index) = index_of(&[&parts[0], &parts[1]]);
    for tag in ["v1", "latest"] {
        let pushed = admin.push_manifest(&repository, tag, media::OCI_INDEX, index.clone());
        pushed.await.expect(201);
    }
    // An SBOM of a part, and a signature of the SBOM.
    let bill = parts[1].about("copied bill", "application/example.bill");
    push(&admin, &repository, &bill).await;
    let signature = bill.about("copied signature", SIGNATURE);
    // Tags that nobody asks for, and one by which clients find the signature.
    admin.push_image(&repository, "signed", &signature).await;
    admin.push_image(&repository, "part", &parts[0]).await;
    let scheme = format!("{}.sig", bill.digest.replace(':', "-"));
    admin.push_image(&repository, &scheme, &signature).await;
    push(&admin, &repository, &image("not copied")).await;
    let own = image("the target's own");
    let there = to.repository("there/app");
    for tag in ["signed", "part", "v1"] {
        admin.push_image(&there, tag, &own).await;
    }
    let charged = used(&server, &to).await;
    let before = objects(&server.data().join("blobs")).len();
    let path = into(&to, "there/app", &format!("{repository}:v1"));
    let path = path.replace("there/", "there%252F");
    let copied = admin.post(&path).await.expect(201);
    let here = format!(
        "/api/v2.0/projects/{}/repositories/there%252Fapp/artifacts",
        to.name
    );
    assert_eq!(copied.header("location"), format!("{here}/v1"));
    assert_eq!(objects(&server.data().join("blobs")).len(), before);
    let found = admin.get(&format!("{here}/v1")).await.expect(200).json();
    assert_eq!(found["digest"], digest);
    let tags: Vec<_> = found["tags"].as_array().into_iter().flatten().collect();
    assert_eq!(tags.len(), 2, "all its tags");
    let listed = admin.get(&here).await.expect(200);
    assert_eq!(listed.header("x-total-count"), "2");
    for image in parts.iter().chain([&bill, &signature]) {
        let manifest = admin.get(&format!("/v2/{there}/manifests/{}", image.digest));
        assert_eq!(manifest.await.expect(200).body, image.manifest);
        for blob in image.blobs() {
            let pulled = admin.get(&format!("/v2/{there}/blobs/{}", blob.digest));
            assert_eq!(pulled.await.expect(200).body, blob.bytes);
        }
    }
    let signed = admin
        .get(&format!("{here}/{}/accessories", bill.digest))
        .await;
    assert_eq!(signed.expect(200).json()[0]["digest"], signature.digest);
    for (tag, digest) in [
        ("signed", &own.digest),
        ("part", &own.digest),
        (&scheme, &signature.digest),
    ] {
        let tagged = admin.get(&format!("/v2/{there}/manifests/{tag}")).await;
        assert_eq!(tagged.expect(200).digest(), *digest, "{tag}");
    }
    let bytes: usize = parts
        .iter()
        .chain([&bill, &signature])
        .map(|image| {
            image.manifest.len() + image.blobs().map(|blob| blob.bytes.len()).sum::<usize>()
        })
        .sum();
    let charged = charged + (bytes + index.len()) as i64;
    assert_eq!(used(&server, &to).await, charged);
    // What is there is not charged again, and tags move.
    admin.post(&path).await.expect(201);
    assert_eq!(used(&server, &to).await, charged);
    let list = ["audit", "list", "--repository", &there];
    let entries = server.cli_prints(&list).await;
    let copied = entries.lines().filter(|line| line.contains("copied from"));
    assert_eq!(copied.count(), 6, "each tag that is set, twice: {entries}");
    // The copy outlives what was copied.
    let source = format!("/api/v2.0/projects/{}/repositories/app", from.name);
    admin.delete(&source).await.expect(200);
    let pulled = admin.get(&format!("/v2/{there}/manifests/latest")).await;
    assert_eq!(pulled.expect(200).body, index);
    server.cli_prints(&["storage", "check"]).await;
}

#[tokio::test]
async fn a_copy_needs_rights_on_both_ends() {
    let server = SERVER.get().await;
    let (from, to) = (
        server.private_project().await,
        server.private_project().await,
    );
    let pushed = image("rights on both ends");
    server
        .admin()
        .push_image(&from.repository("app"), "v1", &pushed)
        .await;
    let here = into(&to, "app", &format!("{}:v1", from.repository("app")));
    let developer = to.member(Role::Developer).await;
    let refused = developer.post(&here).await;
    refused.expect_error(403, "FORBIDDEN");
    from.add(developer.name(), Role::LimitedGuest).await;
    developer.post(&here).await.expect(201);
    let guest = to.member(Role::Guest).await;
    from.add(guest.name(), Role::ProjectAdmin).await;
    guest.post(&here).await.expect_error(403, "FORBIDDEN");
    let hidden = into(&to, "app", "no-such-project/app:v1");
    let refused = developer.post(&hidden).await;
    refused.expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused_and_leaves_nothing() {
    let server = SERVER.get().await;
    let (from, to) = (
        server.private_project().await,
        server.private_project().await,
    );
    let repository = from.repository("app");
    let admin = server.admin();
    let pushed = image("cannot be copied");
    admin.push_image(&repository, "v1", &pushed).await;
    let signature = pushed.about("an accessory alone", SIGNATURE);
    push(&admin, &repository, &signature).await;
    for (from, status, code) in [
        (format!("{repository}:none"), 400, "BAD_REQUEST"),
        (format!("{repository}@sha256:12"), 400, "BAD_REQUEST"),
        ("zzz".to_owned(), 400, "BAD_REQUEST"),
        (String::new(), 422, "UNPROCESSABLE_ENTITY"),
        (format!("{repository}@{}", signature.digest), 403, "DENIED"),
    ] {
        let refused = admin.post(&into(&to, "app", &from)).await;
        refused.expect_error(status, code);
    }
    let quota = format!("/api/v2.0/quotas/{}", to.id);
    let limit = |bytes: i64| json!({ "hard": { "storage": bytes } });
    admin.put(&quota).json(&limit(2_000)).await.expect(200);
    let copy = into(&to, "app", &format!("{repository}:v1"));
    let refused = admin.post(&copy).await.expect_error(403, "DENIED");
    assert!(refused.message().contains("will exceed"), "{refused}");
    assert_eq!(used(&server, &to).await, 0);
    let all = format!("/api/v2.0/projects/{}/repositories", to.name);
    assert_eq!(
        admin.get(&all).await.expect(200).json(),
        Value::from(Vec::<Value>::new())
    );
    admin.put(&quota).json(&limit(-1)).await.expect(200);
    admin.post(&copy).await.expect(201);
}

#[tokio::test]
async fn a_copy_with_more_entries_than_one_transaction_may_write_is_refused() {
    let server = SERVER.get().await;
    let (from, to) = (
        server.private_project().await,
        server.private_project().await,
    );
    let repository = from.repository("app");
    let admin = server.admin();
    let mut parts = [1, 2].map(|number| image(&format!("many entries {number}")));
    for part in &mut parts {
        push(&admin, &repository, part).await;
        let mut manifest: Value = serde_json::from_slice(&part.manifest).expect("it is JSON");
        let layer = manifest["layers"][0].clone();
        manifest["layers"] = vec![layer; 5_000].into();
        part.manifest = manifest.to_string().into_bytes().into();
        part.digest = sha256(&part.manifest);
        let (kind, bytes) = (&part.media_type, part.manifest.clone());
        let pushed = admin.push_manifest(&repository, &part.digest, kind, bytes);
        pushed.await.expect(201);
    }
    let (digest, index) = index_of(&[&parts[0], &parts[1]]);
    let pushed = admin.push_manifest(&repository, &digest, media::OCI_INDEX, index);
    pushed.await.expect(201);
    let copy = |digest: &str| into(&to, "app", &format!("{repository}@{digest}"));
    admin.post(&copy(&parts[0].digest)).await.expect(201);
    let refused = admin.post(&copy(&digest)).await;
    let refused = refused.expect_error(400, "BAD_REQUEST");
    assert!(refused.message().contains("10000"), "{refused}");
}
