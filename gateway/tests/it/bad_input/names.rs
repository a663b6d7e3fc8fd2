//! Repository names, tags and project names that break the rules.

use super::{Case, SERVER, check};

const NAMES: &[&str] = &[
    "App",
    "library/App",
    "Library/app",
    "library/-app",
    "library/app-",
    "library/.app",
    "library/app.",
    "library/_app",
    "library/a..b",
    "library/a._b",
    "library/a-.b",
    "library/a___b",
    "library/a__.b",
    "library/a/b-",
    "library/a/B",
    "library/a%20b",
    "library/a%00b",
    "library/a%0ab",
    "library/a%0d%0ab",
    "library/%C3%A9",
    "library/%ff%fe",
    "library/a%5Cb",
    "library/a+b",
    "library/a*b",
    "library/a~b",
    "library/a@b",
    "library/a:b",
    "library/a$b",
    "library/a'b",
    "library/a%22b",
    "library/a%3Cscript%3E",
    "library/a%27%20or%201=1--",
    "li--brary/app",
    "li__brary/app",
    "-library/app",
    "library-/app",
];

const TAGS: &[&str] = &[
    ".tag",
    "-tag",
    "a%20b",
    "a%00b",
    "a%0ab",
    "a+b",
    "a*b",
    "a$b",
    "a!b",
    "a~b",
    "a%C3%A9",
    "a%ff",
    "a@b",
    "a:b",
    "a%3Ab",
    "sha256:",
    "sha256:abc",
    "sha256%3Aabc",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
];

pub(super) fn cases() -> Vec<Case> {
    let bad_name = |name: &str| {
        Case::get(format!("/v2/{name}/manifests/latest")).is(&[400], &["NAME_INVALID"])
    };
    let bad_tag = |tag: &str| {
        // A colon, which no tag has, makes it a digest.
        let code: &[&str] = if tag.contains(':') || tag.contains("%3A") {
            &["DIGEST_INVALID"]
        } else {
            &["TAG_INVALID"]
        };
        Case::get(format!("/v2/library/app/manifests/{tag}")).is(&[400], code)
    };
    let mut cases: Vec<Case> = NAMES.iter().map(|name| bad_name(name)).collect();
    cases.push(bad_name(&format!("library/{}", "a".repeat(248))));
    cases.push(bad_name(&format!("{}/a", "a".repeat(256))));
    cases.extend(TAGS.iter().map(|tag| bad_tag(tag)));
    cases.push(bad_tag(&"a".repeat(129)));
    cases.push(bad_tag(&"a".repeat(5000)));
    for last in ["tags/list", "blobs/uploads/", "referrers/sha256:00"] {
        let method = if last.starts_with("blobs") {
            hyper::Method::POST
        } else {
            hyper::Method::GET
        };
        cases.push(
            Case::new(method, format!("/v2/library/UPPER/{last}"))
                .is(&[400], &["NAME_INVALID", "DIGEST_INVALID"]),
        );
    }
    cases
}

#[tokio::test]
async fn names_that_break_the_rules_are_400() {
    let server = SERVER.get().await;
    check(&server, &cases()).await;
}

#[tokio::test]
async fn the_longest_names_are_accepted() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let longest = format!("library/{}", "a".repeat(247));
    let image = crate::harness::image("the longest names");
    admin.push_image(&longest, &"t".repeat(128), &image).await;
    admin
        .get(&format!("/v2/{longest}/manifests/{}", "t".repeat(128)))
        .await
        .expect(200);
    let odd = "library/a__b.c-d--e---f/0/1_2";
    admin.push_image(odd, "_T.a-g_", &image).await;
}

#[tokio::test]
async fn an_invalid_name_is_refused_before_anybody_signs_in() {
    let server = SERVER.get().await;
    let anonymous = server.anonymous();
    for path in [
        "/v2/library/UPPER/manifests/latest",
        "/v2/UPPER/manifests/latest",
    ] {
        anonymous.get(path).await.expect_error(400, "NAME_INVALID");
    }
    anonymous
        .get("/v2/library/app/blobs/sha256:zz")
        .await
        .expect_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn a_name_without_a_project_is_no_repository() {
    let server = SERVER.get().await;
    let nothing = format!("sha256:{}", "0".repeat(64));
    for client in [server.admin(), server.anonymous()] {
        for last in [
            "manifests/v1",
            "tags/list",
            &format!("blobs/{nothing}"),
            &format!("referrers/{nothing}"),
        ] {
            let path = format!("/v2/app/{last}");
            let answer = client.get(&path).await.expect_error(404, "NAME_UNKNOWN");
            assert!(answer.message().contains("HOST/PROJECT/app"), "{answer}");
        }
        // As clients do before they push.
        let look = client.request(hyper::Method::HEAD, "/v2/app/manifests/v1");
        look.await.expect(404);
    }
}

#[tokio::test]
async fn a_push_without_a_project_is_told_at_once_what_to_push_to() {
    let server = SERVER.get().await;
    for client in [server.admin(), server.anonymous()] {
        for (method, path) in [
            (hyper::Method::POST, "/v2/app/blobs/uploads/"),
            (hyper::Method::PUT, "/v2/app/manifests/v1"),
        ] {
            // Docker goes on trying after NAME_INVALID, and gives up after DENIED.
            let refused = client
                .request(method, path)
                .await
                .expect_error(403, "DENIED");
            assert!(refused.message().contains("HOST/PROJECT/app"), "{refused}");
        }
    }
}
