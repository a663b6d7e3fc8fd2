//! Digests that are none.

use hyper::Method;

use super::{Case, REPOSITORY, SERVER, check};

pub(super) fn cases() -> Vec<Case> {
    let zeros = |count: usize| "0".repeat(count);
    let digests = [
        "sha256:".to_owned(),
        "sha256:zz".to_owned(),
        format!("sha256:{}", zeros(63)),
        format!("sha256:{}", zeros(65)),
        format!("sha256:{}A", zeros(63)),
        format!("sha256:{}g", zeros(63)),
        format!("SHA256:{}", zeros(64)),
        format!("sha256%20:{}", zeros(64)),
        format!("sha256:%20{}", zeros(63)),
        format!("sha256:{}%00", zeros(63)),
        format!("sha256:{}%0a", zeros(64)),
        format!("sha256:0x{}", zeros(62)),
        format!("sha256::{}", zeros(64)),
        format!("sha256-{}", zeros(64)),
        format!(":{}", zeros(64)),
        format!("sha512:{}", zeros(64)),
        format!("sha512:{}", zeros(127)),
        format!("sha384:{}", zeros(96)),
        format!("md5:{}", zeros(32)),
        format!("sha1:{}", zeros(40)),
        format!("sha256+b64:{}", zeros(64)),
        "latest".to_owned(),
        "%00".to_owned(),
        "%ff".to_owned(),
        zeros(64),
    ];
    let mut cases = Vec::new();
    for digest in &digests {
        cases.push(
            Case::get(format!("/v2/{REPOSITORY}/blobs/{digest}")).is(&[400], &["DIGEST_INVALID"]),
        );
    }
    for digest in digests.iter().take(6) {
        cases.push(
            Case::get(format!("/v2/{REPOSITORY}/referrers/{digest}"))
                .is(&[400], &["DIGEST_INVALID"]),
        );
        let delete = Case::new(Method::DELETE, format!("/v2/{REPOSITORY}/blobs/{digest}"));
        cases.push(delete.is(&[400], &["DIGEST_INVALID"]));
        let post = Case::new(
            Method::POST,
            format!("/v2/{REPOSITORY}/blobs/uploads/?digest={digest}"),
        )
        .body("x");
        cases.push(post.is(&[400], &["DIGEST_INVALID"]));
    }
    cases
}

#[tokio::test]
async fn digests_that_are_none_are_400() {
    let server = SERVER.get().await;
    server.admin().push_blob(REPOSITORY, "something").await;
    check(&server, &cases()).await;
}
