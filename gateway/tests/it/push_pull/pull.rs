//! GET and HEAD of blobs and manifests: ranges, conditions, headers.

use serde_json::json;

use super::SERVER;
use crate::harness::{Answer, Protocol, Server, eventually, image, media, noise};

/// What a `Range` header gets from a blob of 1,000 bytes: the part, or 416, or the whole.
enum Gets {
    Part(usize, usize),
    Nothing,
    Whole,
}

use Gets::{Nothing, Part, Whole};

const RANGES: &[(&str, Gets)] = &[
    ("bytes=0-0", Part(0, 0)),
    ("bytes=0-999", Part(0, 999)),
    ("bytes=0-", Part(0, 999)),
    ("bytes=10-19", Part(10, 19)),
    ("bytes=999-", Part(999, 999)),
    ("bytes=500-5000", Part(500, 999)),
    ("bytes=-1", Part(999, 999)),
    ("bytes=-100", Part(900, 999)),
    ("bytes=-1000", Part(0, 999)),
    ("bytes=-5000", Part(0, 999)),
    ("bytes=0-18446744073709551615", Part(0, 999)),
    ("bytes=1000-", Nothing),
    ("bytes=1000-2000", Nothing),
    ("bytes=5000-", Nothing),
    ("bytes=-0", Nothing),
    ("bytes=0-1,5000-6000", Part(0, 1)),
    ("bytes=1000-,-0", Nothing),
    ("bytes=0-5,5-6", Whole),
    ("bytes=0-1,5-2", Whole),
    ("bytes=5-2", Whole),
    ("bytes=", Whole),
    ("bytes=a-b", Whole),
    ("bytes=-", Whole),
    ("lines=0-5", Whole),
    ("0-5", Whole),
];

#[tokio::test]
async fn a_range_gets_its_part_of_a_blob() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("ranges");
    let bytes = noise("ranges", 1000);
    let digest = server.admin().push_blob(&repository, bytes.clone()).await;
    let path = format!("/v2/{repository}/blobs/{digest}");
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = server.admin().speaking(protocol);
        for (range, gets) in RANGES {
            let answer = client.get(&path).header("range", range).await;
            match gets {
                Part(first, last) => {
                    let answer = answer.expect(206);
                    assert_eq!(answer.body, bytes.slice(*first..=*last), "{range}");
                    assert_eq!(
                        answer.header("content-range"),
                        format!("bytes {first}-{last}/1000"),
                        "{range}"
                    );
                    assert_eq!(
                        answer.header("content-length"),
                        answer.body.len().to_string(),
                        "{range}"
                    );
                }
                Nothing => {
                    let answer = answer.expect(416);
                    assert_eq!(answer.header("content-range"), "bytes */1000", "{range}");
                }
                Whole => assert_eq!(answer.expect(200).body, bytes, "{range}"),
            }
        }
    }
}

/// The parts of a `multipart/byteranges` answer: what each says of itself, and its bytes.
fn parts_of(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let kind = answer.header("content-type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=");
    let boundary = boundary.unwrap_or_else(|| panic!("several parts expected: {answer}"));
    assert_eq!(
        answer.header("content-length"),
        answer.body.len().to_string()
    );
    assert_eq!(answer.maybe_header("content-range"), None);
    // Latin-1, so that bytes stay bytes.
    let text: String = answer.body.iter().map(|byte| char::from(*byte)).collect();
    let text = text.strip_suffix(&format!("\r\n--{boundary}--\r\n"));
    let text = format!("\r\n{}", text.expect("the last boundary ends the body"));
    let delimiter = format!("\r\n--{boundary}\r\n");
    let parts = text.split(&delimiter).skip(1);
    let parts = parts.map(|part| {
        let (head, bytes) = part.split_once("\r\n\r\n").expect("a part has a head");
        let (kind, range) = head.split_once("\r\n").expect("two lines");
        assert_eq!(kind, "Content-Type: application/octet-stream");
        let range = range.strip_prefix("Content-Range: bytes ");
        let bytes = bytes.chars().map(|c| u8::try_from(c).expect("a byte"));
        (range.expect("it says which").to_owned(), bytes.collect())
    });
    parts.collect()
}

#[tokio::test]
async fn several_ranges_get_their_parts_in_one_answer() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("parts");
    for size in [1_000, 3_000_000] {
        let bytes = noise(&format!("parts of {size}"), size);
        let digest = server.admin().push_blob(&repository, bytes.clone()).await;
        let path = format!("/v2/{repository}/blobs/{digest}");
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let client = server.admin().speaking(protocol);
            let range = format!("bytes=900-999, 0-0,,10-19,20-29,{}-", size + 5);
            let answer = client.get(&path).header("range", &range).await.expect(206);
            let expected = [(900, 999), (0, 0), (10, 19), (20, 29)];
            let expected = expected.map(|(first, last): (usize, usize)| {
                let range = format!("{first}-{last}/{size}");
                (range, bytes[first..=last].to_vec())
            });
            assert_eq!(parts_of(&answer), expected, "{protocol:?} {size}");
            assert_eq!(answer.header("accept-ranges"), "bytes");
            assert_eq!(answer.digest(), digest);
        }
    }
}

#[tokio::test]
async fn as_many_ranges_as_podman_asks_for_get_their_parts() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("podman");
    let bytes = noise("podman", 2_000_000);
    let admin = server.admin();
    let digest = admin.push_blob(&repository, bytes.clone()).await;
    let path = format!("/v2/{repository}/blobs/{digest}");
    let asked = |count: usize| {
        let ranges: Vec<String> = (0..count)
            .map(|at| format!("{}-{}", at * 1_900, at * 1_900 + 99))
            .collect();
        format!("bytes={}", ranges.join(","))
    };
    let answer = admin
        .get(&path)
        .header("range", asked(1_024))
        .await
        .expect(206);
    let parts = parts_of(&answer);
    assert_eq!(parts.len(), 1_024);
    for (at, (_, part)) in parts.iter().enumerate() {
        assert_eq!(part, &bytes[at * 1_900..at * 1_900 + 100], "part {at}");
    }
    let answer = admin
        .get(&path)
        .header("range", asked(1_025))
        .await
        .expect(200);
    assert!(answer.body == bytes, "more than that get the whole");
}

#[tokio::test]
async fn a_range_holds_only_while_the_blob_is_what_if_range_says() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("if-range");
    let bytes = noise("if-range", 1_000);
    let admin = server.admin();
    let digest = admin.push_blob(&repository, bytes.clone()).await;
    let path = format!("/v2/{repository}/blobs/{digest}");
    let with = async |validator: String| {
        let request = admin.get(&path).header("range", "bytes=0-9");
        request.header("if-range", validator).await
    };
    let answer = with(format!("\"{digest}\"")).await.expect(206);
    assert_eq!(answer.body, bytes.slice(..10));
    let others = [
        format!("W/\"{digest}\""),
        "\"other\"".to_owned(),
        "Sat, 28 Nov 2026 10:00:00 GMT".to_owned(),
        digest.clone(),
        String::new(),
    ];
    for validator in others {
        let answer = with(validator.clone()).await.expect(200);
        assert_eq!(answer.body, bytes, "{validator:?}");
    }
    let request = admin.get(&path).header("range", "bytes=5000-");
    request.header("if-range", "\"other\"").await.expect(200);
}

#[tokio::test]
async fn a_head_has_no_ranges() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("head-range");
    let admin = server.admin();
    let digest = admin
        .push_blob(&repository, noise("head-range", 1_000))
        .await;
    let path = format!("/v2/{repository}/blobs/{digest}");
    for range in ["bytes=0-9", "bytes=0-9,20-29", "bytes=5000-"] {
        let answer = admin.head(&path).header("range", range).await.expect(200);
        assert_eq!(answer.header("content-length"), "1000", "{range}");
        assert_eq!(answer.maybe_header("content-range"), None, "{range}");
    }
}

#[tokio::test]
async fn ranges_of_a_large_blob_join_to_the_whole() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("pieces");
    let bytes = noise("pieces", 3_000_000);
    let admin = server.admin();
    let digest = admin.push_blob(&repository, bytes.clone()).await;
    let path = format!("/v2/{repository}/blobs/{digest}");
    let mut joined = Vec::new();
    while joined.len() < bytes.len() {
        let range = format!("bytes={}-{}", joined.len(), joined.len() + 777_776);
        joined.extend_from_slice(
            &admin
                .get(&path)
                .header("range", range)
                .await
                .expect(206)
                .body,
        );
    }
    assert!(joined == bytes, "the pieces differ from the whole");
}

#[tokio::test]
async fn a_range_of_an_empty_blob_cannot_be_satisfied() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("empty");
    let admin = server.admin();
    let digest = admin.push_blob(&repository, "").await;
    let path = format!("/v2/{repository}/blobs/{digest}");
    let refused = admin
        .get(&path)
        .header("range", "bytes=0-0")
        .await
        .expect(416);
    assert_eq!(refused.header("content-range"), "bytes */0");
}

#[tokio::test]
async fn what_a_client_already_has_is_304() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("cached");
    let admin = server.admin();
    let image = image("conditional");
    admin.push_image(&repository, "latest", &image).await;
    let layer = &image.layers[0].digest;
    let resources = [
        (format!("/v2/{repository}/manifests/latest"), &image.digest),
        (
            format!("/v2/{repository}/manifests/{}", image.digest),
            &image.digest,
        ),
        (format!("/v2/{repository}/blobs/{layer}"), layer),
    ];
    for (path, digest) in resources {
        assert_eq!(
            admin.get(&path).await.expect(200).header("etag"),
            format!("\"{digest}\"")
        );
        let matching = [
            format!("\"{digest}\""),
            digest.clone(),
            format!("W/\"{digest}\""),
            format!("\"other\", \"{digest}\""),
            "*".to_owned(),
        ];
        for etag in matching {
            let answer = admin
                .get(&path)
                .header("if-none-match", &etag)
                .await
                .expect(304);
            assert!(answer.body.is_empty(), "{etag}");
            assert_eq!(answer.header("etag"), format!("\"{digest}\""), "{etag}");
            admin
                .head(&path)
                .header("if-none-match", &etag)
                .await
                .expect(304);
        }
        admin
            .get(&path)
            .header("if-none-match", "\"other\"")
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("head");
    let image = image("head and get");
    server
        .admin()
        .push_image(&repository, "latest", &image)
        .await;
    let paths = [
        format!("/v2/{repository}/manifests/latest"),
        format!("/v2/{repository}/manifests/{}", image.digest),
        format!("/v2/{repository}/blobs/{}", image.layers[0].digest),
        format!("/v2/{repository}/blobs/{}", image.config.digest),
        format!("/v2/{repository}/manifests/nothing"),
        format!("/v2/{repository}/blobs/sha256:{}", "0".repeat(64)),
    ];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = server.admin().speaking(protocol);
        for path in &paths {
            let (mut get, mut head) = (client.get(path).await, client.head(path).await);
            assert_eq!(get.status, head.status, "{path}");
            for answer in [&mut get, &mut head] {
                answer.headers.remove("date");
                answer.headers.remove("x-request-id");
            }
            assert_eq!(get.headers, head.headers, "{protocol:?} {path}");
            assert!(head.body.is_empty(), "{path}");
        }
    }
}

#[tokio::test]
async fn a_pull_has_the_headers_that_clients_read() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("headers");
    let admin = server.admin();
    let image = image("headers");
    admin.push_image(&repository, "latest", &image).await;
    let manifest = admin
        .get(&format!("/v2/{repository}/manifests/latest"))
        .await
        .expect(200);
    assert_eq!(manifest.header("content-type"), media::OCI_MANIFEST);
    assert_eq!(
        manifest.header("content-length"),
        image.manifest.len().to_string()
    );
    assert_eq!(manifest.digest(), image.digest);
    assert_eq!(
        manifest.header("docker-distribution-api-version"),
        "registry/2.0"
    );
    let blob = admin
        .get(&format!("/v2/{repository}/blobs/{}", image.config.digest))
        .await
        .expect(200);
    assert_eq!(blob.header("content-type"), "application/octet-stream");
    assert_eq!(blob.header("accept-ranges"), "bytes");
    assert_eq!(blob.digest(), image.config.digest);
}

#[tokio::test]
async fn a_pull_by_a_copier_or_a_scanner_counts_as_none() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let (admin, repository) = (server.admin(), project.repository("app"));
    let skip = json!({ "scanner_skip_update_pulltime": true });
    let changed = admin.put("/api/v2.0/configurations").json(&skip).await;
    changed.expect(200);
    for tag in ["v1", "v2"] {
        admin.push_image(&repository, tag, &image(tag)).await;
    }
    let path = |tag: &str| format!("/v2/{repository}/manifests/{tag}");
    for agent in ["harbor-registry-client", "trivy/0.58.1"] {
        let pulled = admin.get(&path("v1")).header("user-agent", agent).await;
        pulled.expect(200);
    }
    admin.get(&path("v2")).await.expect(200);
    let rest = format!("/api/v2.0/projects/{}/repositories/app", project.name);
    let pulled_at = async |tag: &str| {
        let shown = admin.get(&format!("{rest}/artifacts/{tag}")).await;
        let shown = shown.expect(200).json();
        shown["pull_time"].as_str().unwrap_or_default().to_owned()
    };
    // Pulls are written in batches: with the last one all are.
    eventually(20, "the last pull is counted", async || {
        (!pulled_at("v2").await.starts_with("0001")).then_some(())
    })
    .await;
    assert!(pulled_at("v1").await.starts_with("0001"));
    let shown = admin.get(&rest).await.expect(200).json();
    assert_eq!(shown["pull_count"], 1);
    let log = "/api/v2.0/auditlog-exts?q=operation%3Dpull%2Cresource_type%3Dartifact";
    let log = admin.get(log).await.expect(200);
    assert_eq!(log.header("x-total-count"), "3", "the audit log has all");
}

#[tokio::test]
async fn accept_neither_converts_nor_refuses() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("accept");
    let admin = server.admin();
    let image = image("accept");
    admin.push_image(&repository, "latest", &image).await;
    for accept in [
        media::OCI_MANIFEST,
        media::DOCKER_MANIFEST,
        media::OCI_INDEX,
        "text/html",
        "*/*",
        "",
    ] {
        let path = format!("/v2/{repository}/manifests/latest");
        let answer = admin.get(&path).header("accept", accept).await.expect(200);
        assert_eq!(
            (answer.header("content-type"), &answer.body),
            (media::OCI_MANIFEST, &image.manifest),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn what_is_missing_says_what_is_missing() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("there");
    let admin = server.admin();
    admin
        .push_image(&repository, "latest", &image("there"))
        .await;
    let nothing = format!("sha256:{}", "0".repeat(64));
    let by_tag = admin
        .get(&format!("/v2/{repository}/manifests/nope"))
        .await
        .expect_error(404, "MANIFEST_UNKNOWN");
    assert!(
        by_tag.message().contains("not found"),
        "scripts look for it: {by_tag}"
    );
    admin
        .get(&format!("/v2/{repository}/manifests/{nothing}"))
        .await
        .expect_error(404, "MANIFEST_UNKNOWN");
    admin
        .get(&format!("/v2/{repository}/blobs/{nothing}"))
        .await
        .expect_error(404, "BLOB_UNKNOWN");
    let missing = project.repository("not-there");
    admin
        .get(&format!("/v2/{missing}/tags/list"))
        .await
        .expect_error(404, "NAME_UNKNOWN");
    let answer = admin
        .get(&format!("/v2/{missing}/manifests/latest"))
        .await
        .expect(404);
    assert!(
        ["NAME_UNKNOWN", "MANIFEST_UNKNOWN"].contains(&answer.code().as_str()),
        "{answer}"
    );
}

#[tokio::test]
async fn the_version_check_asks_for_a_sign_in() {
    let server = SERVER.get().await;
    let refused = server
        .anonymous()
        .get("/v2/")
        .await
        .expect_error(401, "UNAUTHORIZED");
    let realm = format!(
        "Bearer realm=\"https://{}/service/token\",service=\"harbor-registry\"",
        server.host()
    );
    assert_eq!(refused.header("www-authenticate"), realm);
    assert_eq!(
        refused.header("docker-distribution-api-version"),
        "registry/2.0"
    );
    for path in ["/v2/", "/v2"] {
        let answer = server.admin().get(path).await.expect(200);
        assert_eq!(
            answer.header("docker-distribution-api-version"),
            "registry/2.0"
        );
    }
}
