//! The list of tags: sorted bytewise, in pages that `Link` joins.

use serde_json::json;

use super::SERVER;
use crate::harness::{Client, image};

const TAGS: [&str; 7] = ["1.0", "1.10", "1.2", "Z", "_under", "a-b", "latest"];

async fn tagged(client: &Client, repository: &str) {
    let image = image(repository);
    for tag in ["latest", "1.10", "Z", "1.0", "a-b", "_under", "1.2"] {
        client.push_image(repository, tag, &image).await;
    }
}

#[tokio::test]
async fn tags_are_sorted_bytewise() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("sorted");
    let admin = server.admin();
    tagged(&admin, &repository).await;
    let list = admin
        .get(&format!("/v2/{repository}/tags/list"))
        .await
        .expect(200);
    assert_eq!(list.json(), json!({ "name": repository, "tags": TAGS }));
    assert_eq!(list.link("next"), None);
}

#[tokio::test]
async fn pages_of_tags_join_to_the_whole_list() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("pages");
    let admin = server.admin();
    tagged(&admin, &repository).await;
    for size in [1, 2, 3, 6, 7, 100] {
        let mut found = Vec::new();
        let mut next = Some(format!("/v2/{repository}/tags/list?n={size}"));
        while let Some(path) = next {
            let page = admin.get(&path).await.expect(200);
            let tags = page.json()["tags"]
                .as_array()
                .cloned()
                .expect("tags are a list");
            assert!(
                tags.len() <= size,
                "{} tags where {size} were asked for",
                tags.len()
            );
            found.extend(
                tags.iter()
                    .filter_map(|tag| tag.as_str().map(str::to_owned)),
            );
            next = page.link("next");
        }
        assert_eq!(found, TAGS, "in pages of {size}");
    }
}

#[tokio::test]
async fn a_page_begins_after_last() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("last");
    let admin = server.admin();
    tagged(&admin, &repository).await;
    let cases: [(&str, &[&str]); 6] = [
        ("last=1.2", &TAGS[3..]),
        ("last=1.15", &TAGS[2..]),
        ("last=latest", &[]),
        ("n=2&last=1.0", &TAGS[1..3]),
        ("n=0", &[]),
        ("n=2&last=zzz", &[]),
    ];
    for (query, expected) in cases {
        let list = admin
            .get(&format!("/v2/{repository}/tags/list?{query}"))
            .await
            .expect(200);
        assert_eq!(list.json()["tags"], json!(expected), "{query}");
    }
}

#[tokio::test]
async fn a_page_size_that_is_no_number_is_refused() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("badsize");
    let admin = server.admin();
    admin
        .push_image(&repository, "latest", &image("badsize"))
        .await;
    for size in ["x", "-1", "1.5", "99999999999999999999999"] {
        admin
            .get(&format!("/v2/{repository}/tags/list?n={size}"))
            .await
            .expect(400);
    }
}
