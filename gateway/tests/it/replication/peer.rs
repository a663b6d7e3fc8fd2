//! To and from distribution, which has neither projects nor an API for referrers.

use serde_json::{Value, json};
use testkit::peer::{Certificate, Kept, Peer};

use super::site::{add, digest, gantry, policy, pull, push, referrers, run, site, sum};
use crate::harness::{Image, fresh, image, index_of, media};

/// A distribution registry, and the body by which it is added.
pub(super) fn distribution(folder: &std::path::Path) -> (Peer, Value) {
    let certificate = Certificate::make(folder).expect("openssl makes a certificate");
    let peer = Peer::distribution(&certificate, folder, Kept::Files(&folder.join("data")));
    let peer = peer.expect("set GANTRY_TEST_DISTRIBUTION: go install github.com/distribution/distribution/v3/cmd/registry@v3.1.1");
    let ca = std::fs::read_to_string(certificate.ca()).expect("it was made");
    let body = json!({
        "name": "peer", "type": "docker-registry", "url": peer.target.url, "ca_certificate": ca,
    });
    (peer, body)
}

#[tokio::test]
async fn a_repository_goes_to_distribution_and_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_peer, body) = distribution(folder.path());
    let here = site().await;
    let project = here.private_project().await;
    let repository = project.repository("app");
    let admin = here.admin();
    let (one, two) = (image("peer one"), image("peer two"));
    for image in [&one, &two] {
        admin.push_image(&repository, &image.digest, image).await;
    }
    let (index, bytes) = index_of(&[&one, &two]);
    let pushed = admin
        .push_manifest(&repository, "v1", media::OCI_INDEX, bytes.clone())
        .await;
    pushed.expect(201);
    let subject = json!({"mediaType": media::OCI_INDEX, "digest": index, "size": bytes.len()});
    let signature = Image::build(
        "peer signature",
        json!({"subject": subject, "artifactType": "application/vnd.example.signature"}),
    );
    admin
        .push_image(&repository, &signature.digest, &signature)
        .await;

    let to = add(&here, &body).await;
    let mut wanted = push("out", to, &repository);
    // It takes names without a project.
    wanted["dest_namespace"] = json!("copies");
    let out = policy(&here, &wanted).await;
    let first = run(&here, out).await;
    assert_eq!(sum(&first, "copied"), 1);
    assert_eq!(first[0]["dst_resource"], "copies/app [1 item(s) in total]");
    let again = run(&here, out).await;
    assert_eq!((sum(&again, "copied"), sum(&again, "bytes")), (0, 0));

    // Back under another name: the signature is found by the tag schema.
    let mut wanted = pull("in", to, "copies/**");
    let namespace = fresh("back");
    wanted["dest_namespace"] = json!(namespace);
    let into = policy(&here, &wanted).await;
    let tasks = run(&here, into).await;
    assert_eq!(sum(&tasks, "copied"), 1, "{tasks:#?}");
    let name = format!("{namespace}/app");
    assert_eq!(digest(&here, &name, "v1").await.as_ref(), Some(&index));
    let attached = referrers(&here, &name, &index).await;
    assert_eq!(attached, [signature.digest]);
}

#[tokio::test]
async fn a_registry_with_a_token_service_is_pushed_to_and_pulled_from_by_name_and_password() {
    // Spoken to as Docker Hub and others are: by the specification and its token service alone.
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let app = image("by token");
    here.admin().push_image(&repository, "v1", &app).await;
    let space = fresh("space");
    let body = json!({"project_name": space, "metadata": {"public": "false"}});
    let made = there.admin().post("/api/v2.0/projects").json(&body).await;
    made.expect(201);
    let mut other = gantry(&there, "by-token");
    other["type"] = json!("docker-registry");
    let registry = add(&here, &other).await;
    let mut wanted = push("out", registry, &repository);
    wanted["dest_namespace"] = json!(space);
    let out = policy(&here, &wanted).await;
    assert_eq!(sum(&run(&here, out).await, "copied"), 1);
    let name = format!("{space}/app");
    assert_eq!(
        digest(&there, &name, "v1").await.as_ref(),
        Some(&app.digest)
    );
    let mut wanted = pull("in", registry, &name);
    let back = fresh("back");
    wanted["dest_namespace"] = json!(back);
    let into = policy(&here, &wanted).await;
    assert_eq!(sum(&run(&here, into).await, "copied"), 1);
    let copy = digest(&here, &format!("{back}/app"), "v1").await;
    assert_eq!(copy, Some(app.digest));

    let asked = json!({
        "type": "docker-registry", "url": other["url"], "ca_certificate": other["ca_certificate"],
        "credential_type": "basic", "access_key": "admin", "access_secret": "wrong",
    });
    let path = "/api/v2.0/registries/ping";
    let refused = here.admin().post(path).json(&asked).await;
    let message = refused.expect(400).message();
    assert!(message.contains("refuses the credentials"), "{message}");
    there.may_complain();
}
