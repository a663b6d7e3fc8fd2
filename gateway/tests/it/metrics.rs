//! The listener for operators: `/metrics`, `/healthz`, `/readyz`.

use std::collections::BTreeMap;

use crate::harness::{Server, Shared, eventually, image};

static SERVER: Shared = Shared::new(&[]);

/// Every sample, by its name and labels as printed.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (name, value) = line
            .rsplit_once(' ')
            .unwrap_or_else(|| panic!("no sample: {line}"));
        let value = value
            .parse()
            .unwrap_or_else(|_| panic!("no number: {line}"));
        let well_formed = name
            .chars()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic());
        assert!(
            well_formed && name.contains('{') == name.ends_with('}'),
            "no sample: {line}"
        );
        assert!(
            found.insert(name.to_owned(), value).is_none(),
            "twice: {line}"
        );
    }
    found
}

async fn scrape(server: &Server) -> String {
    let answer = server.operator().get("/metrics").await.expect(200);
    assert!(
        answer.header("content-type").starts_with("text/plain"),
        "{answer}"
    );
    answer.text()
}

/// The sum of a counter over all its labels that contain these.
fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let matching = |key: &str| {
        let (metric, rest) = key.split_once('{').unwrap_or((key, ""));
        metric == name && labels.iter().all(|label| rest.contains(label))
    };
    samples(text)
        .iter()
        .filter(|(key, _)| matching(key))
        .map(|(_, value)| value)
        .sum()
}

#[tokio::test]
async fn the_metrics_of_every_area_are_there() {
    let server = SERVER.get().await;
    let admin = server.admin();
    admin
        .push_image("library/metrics", "latest", &image("metrics"))
        .await;
    admin
        .get("/v2/library/metrics/manifests/latest")
        .await
        .expect(200);
    let text = scrape(&server).await;
    let found = samples(&text);
    for name in [
        "gantry_http_requests_total",
        "gantry_http_request_duration_seconds_bucket",
        "gantry_http_request_duration_seconds_count",
        "gantry_build_info",
        "gantry_certificate_expiry_timestamp_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        let present = found.keys().any(|key| key.split('{').next() == Some(name));
        assert!(present, "no {name} in\n{text}");
    }
    for area in ["upload", "cache", "db", "bytes"] {
        assert!(
            found
                .keys()
                .any(|key| key.starts_with("gantry_") && key.contains(area)),
            "nothing about {area}"
        );
    }
    for line in text.lines().filter(|line| line.starts_with("gantry_")) {
        for private in ["library", "latest", "sha256:", "admin\""] {
            assert!(
                !line.contains(private),
                "labels come from closed sets: {line}"
            );
        }
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_class() {
    let server = Server::start().await;
    let before = scrape(&server).await;
    let admin = server.admin();
    for _ in 0..7 {
        admin
            .get("/v2/library/none/manifests/none")
            .await
            .expect(404);
    }
    let counted = |text: &str| {
        sum(
            text,
            "gantry_http_requests_total",
            &["method=\"GET\"", "4xx", "manifests"],
        )
    };
    let wanted = counted(&before) + 7.0;
    eventually(5, "seven more requests are counted", async || {
        (counted(&scrape(&server).await) >= wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn unknown_paths_and_methods_do_not_make_new_series() {
    let server = Server::start().await;
    let admin = server.admin();
    let names = |text: &str| samples(text).len();
    admin.get("/nowhere/0").await;
    let before = names(&scrape(&server).await);
    for number in 0..50 {
        admin.get(&format!("/nowhere/{number}")).await;
        let method = hyper::Method::from_bytes(format!("M{number}").as_bytes())
            .expect("a method is a token");
        admin.request(method, "/v2/").await;
    }
    let after = names(&scrape(&server).await);
    assert!(after <= before + 40, "{before} series became {after}");
}

#[tokio::test]
async fn health_is_answered_on_both_listeners() {
    let server = SERVER.get().await;
    for client in [server.operator(), server.anonymous()] {
        for path in ["/healthz", "/readyz"] {
            client.get(path).await.expect(200);
        }
    }
    server.operator().get("/v2/").await.expect(404);
    server.anonymous().get("/metrics").await.expect(404);
}
