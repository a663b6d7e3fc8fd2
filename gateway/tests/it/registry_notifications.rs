//! Registry notifications: the same requests make the same events here as at distribution, and no endpoint loses any,
//! whoever is down.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};
use testkit::daemon::Daemon;
use testkit::peer::DISTRIBUTION;

use crate::harness::{
    Answer, Client, Collector, Image, Server, Speech, eventually, free_port, image,
};

const SETTINGS: &str = "/api/v2.0/configurations";
const STATE: &str = "/api/ext/v1/registry-notifications";

/// Servers that may connect to endpoints on this machine, and write each pull at once.
const LOCAL: [(&str, &str); 2] = [
    ("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8"),
    ("GANTRY_AUDIT__PULLS", "each"),
];

async fn set(server: &Server, settings: &Value) -> Answer {
    server.admin().put(SETTINGS).json(settings).await
}

/// Sends to these endpoints from now on; every process knows that within a second.
async fn notify(server: &Server, endpoints: &Value) {
    let settings = json!({ "registry_notifications": endpoints.to_string() });
    set(server, &settings).await.expect(200);
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// All events that came, in the order in which they came, each once.
fn events(collector: &Collector) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let all = collector.requests().into_iter().flat_map(|request| {
        let envelope: Value = serde_json::from_str(&request.body).expect("an envelope is JSON");
        envelope["events"].as_array().expect("a list").clone()
    });
    all.filter(|event| seen.insert(event["id"].as_str().expect("an id").to_owned()))
        .collect()
}

/// What an event says, without times, ids and hosts.
fn told(event: &Value) -> Value {
    let mut target = event["target"].clone();
    if let Some(url) = target["url"].as_str() {
        let path = url.find("/v2/").map(|at| url[at..].to_owned());
        target["url"] = json!(path.expect("a URL of the registry"));
    }
    json!({ "action": event["action"], "target": target, "method": event["request"]["method"] })
}

fn keys(value: &Value) -> BTreeSet<String> {
    let object: &Map<String, Value> = value.as_object().expect("an object");
    object.keys().cloned().collect()
}

/// Pushes, a mount, a pull, another tag, and its deletion.
async fn requests(client: &Client, image: &Image) {
    let (app, other) = ("library/app", "library/other");
    client.push_image(app, "v1", image).await;
    for blob in image.blobs() {
        let path = format!(
            "/v2/{other}/blobs/uploads/?mount={}&from={app}",
            blob.digest
        );
        client.post(&path).await.expect(201);
    }
    let put = client.push_manifest(other, "v1", &image.media_type, image.manifest.clone());
    put.await.expect(201);
    client
        .get(&format!("/v2/{app}/manifests/v1"))
        .header("accept", &image.media_type)
        .await
        .expect(200);
    let put = client.push_manifest(
        app,
        &image.digest,
        &image.media_type,
        image.manifest.clone(),
    );
    put.await.expect(201);
    let put = client.push_manifest(app, "v2", &image.media_type, image.manifest.clone());
    put.await.expect(201);
    client
        .delete(&format!("/v2/{app}/manifests/v2"))
        .await
        .expect(202);
}

/// Deletes an artifact once the receiver was told that it was pushed: what is gone has no size any more.
async fn delete_once_told(client: &Client, image: &Image, receiver: &Collector) {
    eventually(20, "the push is told of", async || {
        let all = events(receiver);
        let told = all.iter().any(|event| event["target"]["tag"] == "v2");
        told.then_some(())
    })
    .await;
    let path = format!("/v2/library/other/manifests/{}", image.digest);
    client.delete(&path).await.expect(202);
}

/// distribution on plain HTTP, with an endpoint.
fn distribution(folder: &std::path::Path, url: &str) -> (Daemon, u16) {
    let port = free_port();
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {folder}/data}}\n  delete: {{enabled: true}}\n\
         http: {{addr: \"127.0.0.1:{port}\"}}\n\
         notifications:\n  endpoints:\n    - {{name: peer, url: \"{url}\", timeout: 1s, threshold: 5, backoff: 1s}}\n",
        folder = folder.display(),
    );
    let config = folder.join("config.yml");
    std::fs::write(&config, text).expect("the folder can be written");
    let program = std::env::var_os(DISTRIBUTION).unwrap_or_else(|| "registry".into());
    let mut command = Command::new(program);
    command
        .arg("serve")
        .arg(&config)
        .env("OTEL_TRACES_EXPORTER", "none");
    let daemon = Daemon::start("distribution", command, &folder.join("log"));
    let mut daemon = daemon.expect("set GANTRY_TEST_DISTRIBUTION: go install github.com/distribution/distribution/v3/cmd/registry@v3.1.1");
    daemon
        .wait_until(Duration::from_secs(20), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .expect("distribution starts");
    (daemon, port)
}

#[tokio::test]
async fn the_same_requests_are_the_same_events_as_at_distribution() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (
        Collector::start(Speech::Http).await,
        Collector::start(Speech::Http).await,
    );
    let server = Server::with(&LOCAL).await;
    notify(&server, &json!([{ "name": "ci", "url": here.url() }])).await;
    let (_peer, port) = distribution(folder.path(), &there.url());
    let image = image("notified");
    requests(&server.admin(), &image).await;
    delete_once_told(&server.admin(), &image, &here).await;
    requests(&server.plain(port), &image).await;
    delete_once_told(&server.plain(port), &image, &there).await;

    let is_last = |event: &Value| {
        event["action"] == "delete" && event["target"]["repository"] == "library/other"
    };
    let theirs = eventually(20, "distribution has told all", async || {
        let all = events(&there);
        // It tells of the tags of what was deleted by its digest, too; here they go with it without a word.
        let count = all.iter().filter(|event| is_last(event)).count();
        (count == 2).then_some(all)
    })
    .await;
    let ours = eventually(20, "Gantry has told all", async || {
        let all = events(&here);
        all.iter().any(is_last).then_some(all)
    })
    .await;
    let of_tag = |event: &Value| is_last(event) && event["target"]["tag"] != Value::Null;
    let expected: Vec<Value> = theirs.iter().filter(|it| !of_tag(it)).map(told).collect();
    let found: Vec<Value> = ours.iter().map(told).collect();
    assert_eq!(found, expected, "{found:#?}\n{expected:#?}");
    for (our, their) in ours.iter().zip(&theirs) {
        assert_eq!(keys(our), keys(their));
        for part in ["request", "source"] {
            assert_eq!(keys(&our[part]), keys(&their[part]), "{part}");
        }
        assert_eq!(our["actor"], json!({ "name": "admin" }));
        assert_eq!(our["request"]["addr"], "127.0.0.1");
    }
    for request in here.requests() {
        let kind = request.header("content-type");
        assert_eq!(
            kind,
            Some("application/vnd.docker.distribution.events.v2+json")
        );
    }
}

/// Images under tags that say their order; the tags.
async fn push_some(server: &Server, kind: &str, count: usize) -> Vec<String> {
    let mut tags = Vec::new();
    for number in 0..count {
        let tag = format!("{kind}-{number:03}");
        let image = image(&tag);
        server
            .admin()
            .push_image("library/order", &tag, &image)
            .await;
        tags.push(tag);
    }
    tags
}

/// The tags that an endpoint was told of, in order.
fn tags(collector: &Collector) -> Vec<String> {
    let all = events(collector);
    let pushed = all.iter().filter(|event| event["action"] == "push");
    let tags = pushed.filter_map(|event| event["target"]["tag"].as_str().map(str::to_owned));
    tags.collect()
}

async fn has_all(collector: &Collector, expected: &[String]) {
    eventually(60, "all pushes are told in their order", async || {
        (tags(collector) == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_and_all_is_in_order_whoever_is_down() {
    let collector = Collector::start(Speech::Http).await;
    let (port, url) = (collector.port(), collector.url());
    let server = Server::with(&LOCAL).await;
    notify(
        &server,
        &json!([{ "name": "ci", "url": url, "threshold": 2, "backoff": "500ms" }]),
    )
    .await;
    let mut expected = push_some(&server, "up", 5).await;
    has_all(&collector, &expected).await;
    let blobs = |collector: &Collector| {
        let all = events(collector).into_iter();
        all.filter(|event| event["target"]["mediaType"] == "application/octet-stream")
            .count()
    };
    assert_eq!(blobs(&collector), 15, "a config and two layers of each");

    collector.answer(500);
    expected.extend(push_some(&server, "refused", 3).await);
    let failing = eventually(20, "it fails", async || {
        let states = server.admin().get(STATE).await.expect(200).json();
        (states[0]["failures"].as_i64() > Some(2)).then_some(states)
    })
    .await;
    assert_eq!(failing[0]["error"], "the endpoint answers with status 500");
    let first = events(&collector).len();
    drop(collector);
    expected.extend(push_some(&server, "down", 3).await);
    server.kill();
    server.restart().await;
    expected.extend(push_some(&server, "killed", 10).await);
    server.kill();
    let collector = Collector::at(port, Speech::Http).await;
    server.restart().await;
    has_all(&collector, &expected[5..]).await;
    assert_eq!(first, 20, "each push is told before the next one fails");
    assert_eq!(blobs(&collector), 3 * (3 + 3 + 10));
    let name = "gantry_registry_notification_failing";
    assert_eq!(server.metric(name).await, 0.0);
}

#[tokio::test]
async fn an_endpoint_that_hangs_holds_up_no_other_and_gets_only_what_it_wants() {
    let (hanging, wanted, picky) = (
        Collector::start(Speech::Http).await,
        Collector::start(Speech::Http).await,
        Collector::start(Speech::Http).await,
    );
    hanging.hang(true);
    let server = Server::with(&LOCAL).await;
    let endpoints = json!([
        { "name": "hanging", "url": hanging.url(), "timeout": "30s" },
        { "name": "wanted", "url": wanted.url() },
        { "name": "picky", "url": picky.url(),
          "ignore": { "actions": ["delete"], "mediatypes": ["application/octet-stream"] } },
    ]);
    let headers = json!({ "picky": { "Authorization": ["Bearer hunter2"] } });
    set(
        &server,
        &json!({ "registry_notification_headers": headers.to_string() }),
    )
    .await
    .expect(200);
    notify(&server, &endpoints).await;
    let first = push_some(&server, "first", 1).await;
    eventually(10, "the first push is told", async || {
        (tags(&wanted) == first).then_some(())
    })
    .await;
    // By now the other one hangs.
    let second = push_some(&server, "second", 1).await;
    eventually(
        10,
        "the second push is told though one endpoint hangs",
        async || (tags(&wanted).ends_with(&second)).then_some(()),
    )
    .await;
    server
        .admin()
        .delete("/v2/library/order/manifests/first-000")
        .await
        .expect(202);
    eventually(10, "the deletion is told", async || {
        events(&wanted)
            .iter()
            .any(|event| event["action"] == "delete")
            .then_some(())
    })
    .await;
    let third = push_some(&server, "third", 1).await;
    eventually(10, "the third push is told", async || {
        tags(&picky).ends_with(&third).then_some(())
    })
    .await;
    let actions: BTreeSet<String> = events(&picky)
        .iter()
        .map(|event| event["action"].to_string())
        .collect();
    assert_eq!(actions, BTreeSet::from(["\"push\"".to_owned()]));
    assert_eq!(events(&picky).len(), 3, "the manifests alone");
    for request in picky.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer hunter2"));
    }
    assert!(
        wanted
            .requests()
            .iter()
            .all(|it| it.header("authorization").is_none())
    );
    let log = server.log();
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn endpoints_that_cannot_be_are_refused_with_a_reason() {
    let server = Server::start().await;
    for (name, value, why) in [
        (
            "registry_notifications",
            "[{\"name\": \"a\"}]",
            "missing field `url`",
        ),
        (
            "registry_notifications",
            "[{\"name\": \"a\", \"url\": \"ftp://h\"}]",
            "url must be https://",
        ),
        (
            "registry_notification_headers",
            "{\"a\": {\"Host\": \"hunter2\"}}",
            "is set by Gantry itself",
        ),
    ] {
        let refused = set(&server, &json!({ name: value }))
            .await
            .expect(400)
            .message();
        assert!(
            refused.starts_with(name) && refused.contains(why),
            "{refused}"
        );
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    let person = server.stranger().await;
    person.get(STATE).await.expect(403);
    // A request leads nowhere on this machine unless the operator says so.
    let collector = Collector::start(Speech::Http).await;
    notify(
        &server,
        &json!([{ "name": "inside", "url": collector.url() }]),
    )
    .await;
    push_some(&server, "guarded", 1).await;
    let states = eventually(20, "it fails", async || {
        let states = server.admin().get(STATE).await.expect(200).json();
        (states[0]["failures"].as_i64() > Some(0)).then_some(states)
    })
    .await;
    assert!(
        states[0]["error"]
            .as_str()
            .is_some_and(|why| why.contains("[outgoing] allow")),
        "{states}"
    );
    assert!(collector.requests().is_empty());
}
