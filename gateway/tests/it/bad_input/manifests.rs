//! Manifests that are none.

use hyper::Method;

use super::{Case, REPOSITORY, SERVER, check};
use crate::harness::{media, sha256};

/// The config blob that is really there, so that nothing but the malformation is wrong.
const CONFIG: &[u8] = b"{\"os\":\"linux\"}";

/// So many annotations, without the braces around them.
fn annotations(count: usize) -> String {
    let each = (0..count).map(|at| format!("\"{at}\":\"\""));
    each.collect::<Vec<_>>().join(",")
}

pub(super) fn cases() -> Vec<Case> {
    let digest = sha256(CONFIG);
    let size = CONFIG.len();
    let config = format!(
        "{{\"mediaType\":\"{}\",\"digest\":\"{digest}\",\"size\":{size}}}",
        media::OCI_CONFIG
    );
    let with = |head: &str, config: &str, layers: &str| {
        format!("{{{head},\"config\":{config},\"layers\":{layers}}}")
    };
    let layer = |digest: &str, size: &str| {
        format!("[{{\"mediaType\":\"a/b\",\"digest\":\"{digest}\",\"size\":{size}}}]")
    };
    let deep = format!("{{\"schemaVersion\":2,\"a\":{}", "[".repeat(100_000));
    let texts = [
        String::new(),
        "not json".to_owned(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "5".to_owned(),
        "\"text\"".to_owned(),
        "{}".to_owned(),
        "{\"schemaVersion\":2}".to_owned(),
        "{\"schemaVersion\":1}".to_owned(),
        "{\"schemaVersion\":1,\"name\":\"a\",\"tag\":\"b\",\"fsLayers\":[],\"history\":[]}"
            .to_owned(),
        with("\"schemaVersion\":\"2\"", &config, "[]"),
        with("\"schemaVersion\":3", &config, "[]"),
        with("\"schemaVersion\":2.5", &config, "[]"),
        with("\"schemaVersion\":2,\"mediaType\":5", &config, "[]"),
        with(
            "\"schemaVersion\":2,\"mediaType\":\"text/plain\"",
            &config,
            "[]",
        ),
        with("\"schemaVersion\":2", "null", "[]"),
        with("\"schemaVersion\":2", "{}", "[]"),
        with("\"schemaVersion\":2", "\"x\"", "[]"),
        with(
            "\"schemaVersion\":2",
            &config.replace(&digest, "sha256:zz"),
            "[]",
        ),
        with(
            "\"schemaVersion\":2",
            &config.replace(&digest, "sha256:../../etc/passwd"),
            "[]",
        ),
        with(
            "\"schemaVersion\":2",
            &config.replace(&format!("{size}}}"), "-1}"),
            "[]",
        ),
        with(
            "\"schemaVersion\":2",
            &config.replace(&format!("{size}}}"), "1.5}"),
            "[]",
        ),
        with(
            "\"schemaVersion\":2",
            &config.replace(&format!("{size}}}"), "\"13\"}"),
            "[]",
        ),
        with(
            "\"schemaVersion\":2",
            &config.replace(&format!("{size}}}"), "1e30}"),
            "[]",
        ),
        with("\"schemaVersion\":2", &config, "{}"),
        with("\"schemaVersion\":2", &config, "\"x\""),
        with("\"schemaVersion\":2", &config, "[5]"),
        with("\"schemaVersion\":2", &config, "[{}]"),
        with("\"schemaVersion\":2", &config, &layer("x", "1")),
        with("\"schemaVersion\":2", &config, &layer(&digest, "-5")),
        with("\"schemaVersion\":2,\"subject\":\"x\"", &config, "[]"),
        with(
            "\"schemaVersion\":2,\"subject\":{\"digest\":\"zz\"}",
            &config,
            "[]",
        ),
        with("\"schemaVersion\":2,\"annotations\":5", &config, "[]"),
        with(
            &format!(
                "\"schemaVersion\":2,\"annotations\":{{{}}}",
                annotations(10_001)
            ),
            &config,
            "[]",
        ),
        format!("{} trailing", with("\"schemaVersion\":2", &config, "[]")),
        format!("\u{feff}{}", with("\"schemaVersion\":2", &config, "[]")),
        deep,
    ];
    let put = |body: &[u8]| {
        let path = format!("/v2/{REPOSITORY}/manifests/bad");
        Case::new(Method::PUT, path)
            .header("content-type", media::OCI_MANIFEST)
            .body(body)
    };
    let invalid: &[&str] = &["MANIFEST_INVALID"];
    let mut cases: Vec<Case> = texts
        .iter()
        .map(|text| put(text.as_bytes()).is(&[400], invalid))
        .collect();
    cases.push(put(b"\xff\xfe\x00").is(&[400], invalid));
    cases.push(put(b"{\"schemaVersion\":2,\"config\":\"\xff\"}").is(&[400], invalid));
    cases.push(put(&vec![b' '; (4 << 20) + 1]).is(
        &[413],
        &[
            "SIZE_INVALID",
            "MANIFEST_INVALID",
            "REQUEST_ENTITY_TOO_LARGE",
        ],
    ));
    let index = |body: &str| {
        put(body.as_bytes())
            .header("content-type", media::OCI_INDEX)
            .is(&[400], invalid)
    };
    for body in [
        "{\"schemaVersion\":2,\"manifests\":{}}",
        "{\"schemaVersion\":2,\"manifests\":[5]}",
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"a/b\",\"digest\":\"zz\",\"size\":1}]}",
    ] {
        let mut case = index(body);
        case.headers.remove(0);
        cases.push(case);
    }
    let list = with("\"schemaVersion\":2", &config, "[]");
    let other = Case::new(
        Method::PUT,
        format!("/v2/{REPOSITORY}/manifests/sha256:{}", "0".repeat(64)),
    );
    cases.push(
        other
            .header("content-type", media::OCI_MANIFEST)
            .body(&list)
            .is(&[400], &["DIGEST_INVALID"]),
    );
    let no_type = Case::new(Method::PUT, format!("/v2/{REPOSITORY}/manifests/bad"))
        .body("{\"schemaVersion\":2}");
    cases.push(no_type.is(&[400], invalid));
    cases
}

#[tokio::test]
async fn manifests_that_are_none_are_400() {
    let server = SERVER.get().await;
    server.admin().push_blob(REPOSITORY, CONFIG).await;
    check(&server, &cases()).await;
    let admin = server.admin();
    admin
        .get(&format!("/v2/{REPOSITORY}/manifests/bad"))
        .await
        .expect(404);
}
