//! Manifests that name a subject, and the list of those that name one.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Image, eventually, image, media};

const SIGNATURE: &str = "application/vnd.example.signature";
const BILL: &str = "application/vnd.example.sbom";

/// The descriptors that the list shows, whatever pages it takes.
async fn referrers(client: &Client, repository: &str, digest: &str, query: &str) -> Vec<Value> {
    pages(client, repository, digest, query).await.concat()
}

/// The same, page by page.
async fn pages(client: &Client, repository: &str, digest: &str, query: &str) -> Vec<Vec<Value>> {
    let mut found = Vec::new();
    let mut next = Some(format!("/v2/{repository}/referrers/{digest}{query}"));
    while let Some(path) = next {
        let page = client.get(&path).await.expect(200);
        assert_eq!(page.header("content-type"), media::OCI_INDEX);
        let index = page.json();
        assert_eq!(
            (&index["schemaVersion"], &index["mediaType"]),
            (&json!(2), &json!(media::OCI_INDEX))
        );
        found.push(
            index["manifests"]
                .as_array()
                .cloned()
                .expect("manifests are a list"),
        );
        next = page.link("next");
    }
    found
}

async fn push_about(
    client: &Client,
    repository: &str,
    subject: &Image,
    seed: &str,
    artifact_type: &str,
) -> Image {
    let referrer = subject.about(seed, artifact_type);
    for blob in referrer.blobs() {
        client.push_blob(repository, blob.bytes.clone()).await;
    }
    let pushed = client.push_manifest(
        repository,
        &referrer.digest,
        &referrer.media_type,
        referrer.manifest.clone(),
    );
    assert_eq!(
        pushed.await.expect(201).header("oci-subject"),
        subject.digest
    );
    referrer
}

#[tokio::test]
async fn referrers_are_listed_with_what_clients_need() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("referrers");
    let admin = server.admin();
    let subject = image("subject");
    admin.push_image(&repository, "latest", &subject).await;
    assert_eq!(
        referrers(&admin, &repository, &subject.digest, "").await,
        Vec::<Value>::new()
    );
    let signature = push_about(&admin, &repository, &subject, "a signature", SIGNATURE).await;
    let bill = push_about(&admin, &repository, &subject, "a bill", BILL).await;
    let listed = referrers(&admin, &repository, &subject.digest, "").await;
    assert_eq!(listed.len(), 2);
    for (referrer, artifact_type, about) in [
        (signature, SIGNATURE, "a signature"),
        (bill, BILL, "a bill"),
    ] {
        let found = listed
            .iter()
            .find(|entry| entry["digest"] == referrer.digest.as_str());
        let found = found.unwrap_or_else(|| panic!("{about} is not in {listed:?}"));
        assert_eq!(found["mediaType"], media::OCI_MANIFEST);
        assert_eq!(found["size"], referrer.manifest.len());
        assert_eq!(found["artifactType"], artifact_type);
        assert_eq!(found["annotations"]["about"], about);
    }
}

#[tokio::test]
async fn referrers_are_filtered_by_artifact_type() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("filtered");
    let admin = server.admin();
    let subject = image("filtered subject");
    admin.push_image(&repository, "latest", &subject).await;
    let signature = push_about(&admin, &repository, &subject, "filtered one", SIGNATURE).await;
    push_about(&admin, &repository, &subject, "filtered two", BILL).await;
    let path = format!(
        "/v2/{repository}/referrers/{}?artifactType={SIGNATURE}",
        subject.digest
    );
    let answer = admin.get(&path).await.expect(200);
    assert_eq!(answer.header("oci-filters-applied"), "artifactType");
    let listed = answer.json()["manifests"]
        .as_array()
        .cloned()
        .expect("manifests are a list");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["digest"], signature.digest.as_str());
    assert!(
        referrers(&admin, &repository, &subject.digest, "?artifactType=none")
            .await
            .is_empty()
    );
    let unfiltered = admin
        .get(&format!("/v2/{repository}/referrers/{}", subject.digest))
        .await
        .expect(200);
    assert_eq!(unfiltered.maybe_header("oci-filters-applied"), None);
}

#[tokio::test]
async fn a_plus_in_the_filter_need_not_be_escaped() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("plus");
    let admin = server.admin();
    let subject = image("plus subject");
    admin.push_image(&repository, "latest", &subject).await;
    for number in 0..3 {
        let seed = format!("plus {number}");
        push_about(
            &admin,
            &repository,
            &subject,
            &seed,
            "application/spdx+json",
        )
        .await;
    }
    for query in [
        "?artifactType=application/spdx+json",
        "?artifactType=application%2Fspdx%2Bjson",
        "?n=1&artifactType=application/spdx+json",
    ] {
        let listed = referrers(&admin, &repository, &subject.digest, query).await;
        assert_eq!(listed.len(), 3, "{query}");
    }
}

#[tokio::test]
async fn the_artifact_type_falls_back_to_the_type_of_the_config() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("fallback");
    let admin = server.admin();
    let subject = image("fallback subject");
    admin.push_image(&repository, "latest", &subject).await;
    let referrer = Image::build("fallback", json!({ "subject": subject.descriptor() }));
    admin
        .push_image(&repository, &referrer.digest, &referrer)
        .await;
    let listed = referrers(&admin, &repository, &subject.digest, "").await;
    assert_eq!(listed[0]["artifactType"], media::OCI_CONFIG);
}

#[tokio::test]
async fn a_subject_may_come_later_or_never() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("later");
    let admin = server.admin();
    let subject = image("later subject");
    let referrer = push_about(&admin, &repository, &subject, "early", SIGNATURE).await;
    let listed = referrers(&admin, &repository, &subject.digest, "").await;
    assert_eq!(listed[0]["digest"], referrer.digest.as_str());
    admin.push_image(&repository, "latest", &subject).await;
    assert_eq!(
        referrers(&admin, &repository, &subject.digest, "")
            .await
            .len(),
        1
    );
    let nothing = format!("sha256:{}", "4".repeat(64));
    assert!(
        referrers(&admin, &repository, &nothing, "")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn an_index_can_be_a_referrer() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("index");
    let admin = server.admin();
    let subject = image("index subject");
    admin.push_image(&repository, "latest", &subject).await;
    let index = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [],
        "artifactType": SIGNATURE, "subject": subject.descriptor() });
    let pushed = admin
        .push_manifest(&repository, "about", media::OCI_INDEX, index.to_string())
        .await
        .expect(201);
    assert_eq!(pushed.header("oci-subject"), subject.digest);
    let listed = referrers(&admin, &repository, &subject.digest, "").await;
    assert_eq!(
        (&listed[0]["mediaType"], &listed[0]["artifactType"]),
        (&json!(media::OCI_INDEX), &json!(SIGNATURE))
    );
}

#[tokio::test]
async fn pages_of_referrers_join_to_the_whole_list() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("paged");
    let admin = server.admin();
    let subject = image("paged subject");
    admin.push_image(&repository, "latest", &subject).await;
    let mut expected = Vec::new();
    for number in 0..7 {
        let kind = if number % 2 == 0 { SIGNATURE } else { BILL };
        expected.push(
            push_about(
                &admin,
                &repository,
                &subject,
                &format!("page {number}"),
                kind,
            )
            .await
            .digest,
        );
    }
    expected.sort();
    for (query, sizes) in [("", vec![7]), ("?n=2", vec![2, 2, 2, 1]), ("?n=7", vec![7])] {
        let pages = pages(&admin, &repository, &subject.digest, query).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        let mut listed: Vec<String> = pages
            .concat()
            .iter()
            .filter_map(|entry| entry["digest"].as_str().map(str::to_owned))
            .collect();
        listed.sort();
        assert_eq!(listed, expected, "{query}");
    }
    let filtered = referrers(
        &admin,
        &repository,
        &subject.digest,
        &format!("?n=2&artifactType={SIGNATURE}"),
    )
    .await;
    assert_eq!(filtered.len(), 4, "pages keep the filter");
}

#[tokio::test]
async fn large_annotations_make_short_pages() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("bulky");
    let admin = server.admin();
    let subject = image("bulky subject");
    admin.push_image(&repository, "latest", &subject).await;
    for number in 0..5 {
        let seed = format!("{number}{}", "x".repeat(1 << 20));
        push_about(&admin, &repository, &subject, &seed, BILL).await;
    }
    let pages = pages(&admin, &repository, &subject.digest, "").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
}

#[tokio::test]
async fn a_deleted_referrer_leaves_the_list() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("gone");
    let admin = server.admin();
    let subject = image("gone subject");
    admin.push_image(&repository, "latest", &subject).await;
    let referrer = push_about(&admin, &repository, &subject, "gone", SIGNATURE).await;
    admin
        .delete(&format!("/v2/{repository}/manifests/{}", referrer.digest))
        .await
        .expect(202);
    assert!(
        referrers(&admin, &repository, &subject.digest, "")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn referrers_go_with_their_subject_tagged_or_not() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("with");
    let admin = server.admin();
    let subject = image("with subject");
    admin.push_image(&repository, "latest", &subject).await;
    let untagged = push_about(&admin, &repository, &subject, "untagged", SIGNATURE).await;
    let tagged = push_about(&admin, &repository, &subject, "tagged", BILL).await;
    admin
        .push_manifest(
            &repository,
            "keep",
            &tagged.media_type,
            tagged.manifest.clone(),
        )
        .await
        .expect(201);
    admin
        .delete(&format!("/v2/{repository}/manifests/{}", subject.digest))
        .await
        .expect(202);
    for gone in [&untagged.digest, &tagged.digest, "keep"] {
        let path = format!("/v2/{repository}/manifests/{gone}");
        admin.get(&path).await.expect(404);
    }
    let tags = admin.get(&format!("/v2/{repository}/tags/list")).await;
    assert_eq!(tags.expect(200).json()["tags"], json!([]));
}

#[tokio::test]
async fn many_referrers_go_after_their_subject() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("many");
    let admin = server.admin();
    let subject = image("many referrers");
    admin.push_image(&repository, "latest", &subject).await;
    let mut attached = Vec::new();
    for number in 0..45 {
        let seed = format!("one of many {number}");
        attached.push(push_about(&admin, &repository, &subject, &seed, BILL).await);
    }
    admin
        .delete(&format!("/v2/{repository}/manifests/{}", subject.digest))
        .await
        .expect(202);
    let later = push_about(&admin, &repository, &subject, "a later one", BILL).await;
    eventually(20, "they are gone", async || {
        for referrer in &attached {
            let path = format!("/v2/{repository}/manifests/{}", referrer.digest);
            if admin.get(&path).await.status != 404 {
                return None;
            }
        }
        Some(())
    })
    .await;
    let listed = referrers(&admin, &repository, &subject.digest, "").await;
    let listed: Vec<&str> = listed
        .iter()
        .filter_map(|it| it["digest"].as_str())
        .collect();
    assert_eq!(listed, [later.digest.as_str()]);
}
