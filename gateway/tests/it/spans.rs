//! Spans by OTLP: what a collector gets to see of a push, and that a client's trace goes on.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use futures_util::future::join_all;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message as _;

use crate::harness::{Server, eventually, image};

/// An endpoint that takes spans as the OTLP specification's "OTLP/HTTP" section says.
struct Collector {
    address: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!(
            "http://{}",
            listener.local_addr().expect("it has an address")
        );
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let kept = spans.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { address, spans }
    }

    /// All spans that came. The last ones are among them once the server has ended.
    fn spans(&self) -> Vec<Span> {
        self.spans.lock().clone()
    }
}

fn serve(stream: TcpStream, spans: &Mutex<Vec<Span>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    loop {
        let mut length = 0;
        let mut line = String::new();
        let mut first = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
            let lower = line.to_ascii_lowercase();
            if first.is_empty() {
                first.clone_from(&line);
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            line.clear();
        }
        if first.is_empty() {
            return;
        }
        assert!(first.starts_with("POST /v1/traces "), "{first}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the whole body");
        let request = ExportTraceServiceRequest::decode(&body[..]).expect("an OTLP request");
        for resource in request.resource_spans {
            let attributes = resource.resource.expect("a resource").attributes;
            assert!(attributes.iter().any(|pair| pair.key == "service.name"));
            for scope in resource.scope_spans {
                spans.lock().extend(scope.spans);
            }
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        (&stream).write_all(answer.as_bytes()).expect("an answer");
    }
}

/// The text of the statement that a span is of.
fn statement(span: &Span) -> Option<&str> {
    let mut attributes = span.attributes.iter();
    let text = attributes.find(|pair| pair.key == "db.query.text")?;
    match text.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_push_is_one_trace_from_the_request_to_the_statement() {
    let collector = Collector::start();
    let server = Server::with(&[("GANTRY_TRACING__OTLP_ENDPOINT", &collector.address)]).await;
    let admin = server.admin();
    admin
        .push_image("library/traced", "v1", &image("traced"))
        .await;
    server.stop().await;
    let spans = collector.spans();
    let parent = |child: &Span| {
        let found = spans
            .iter()
            .find(|span| span.span_id == child.parent_span_id);
        found.unwrap_or_else(|| panic!("no parent of {}", child.name))
    };
    let statements = named(&spans, "db.manifest.insert");
    let [statement] = statements[..] else {
        panic!("one manifest was pushed: {statements:?}");
    };
    let mut path = vec![statement.name.as_str()];
    let mut span = statement;
    while !span.parent_span_id.is_empty() {
        assert_eq!(span.trace_id, statement.trace_id);
        span = parent(span);
        path.push(&span.name);
    }
    let expected = [
        "db.manifest.insert",
        "db.transaction.run",
        "registry.manifest.push",
        "http.manifest.put",
    ];
    assert_eq!(path, expected);
    assert!(!named(&spans, "auth.password.verify").is_empty());
    assert!(!named(&spans, "job.flush.run").is_empty());
    let text = format!("{spans:?}");
    assert!(
        !text.contains(crate::harness::ADMIN_PASSWORD),
        "a secret is in a span"
    );
}

#[tokio::test]
async fn a_trace_that_a_client_began_goes_on() {
    let collector = Collector::start();
    let server = Server::with(&[
        ("GANTRY_TRACING__OTLP_ENDPOINT", &collector.address),
        ("GANTRY_TRACING__SAMPLE_RATIO", "0"),
    ])
    .await;
    let asked = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let admin = server.admin();
    admin
        .get("/v2/")
        .header("traceparent", asked)
        .await
        .expect(200);
    admin.get("/v2/").await.expect(200);
    server.stop().await;
    let spans = collector.spans();
    let requests = named(&spans, "http.base.get");
    let [request] = requests[..] else {
        panic!("only what the client traces is sampled: {requests:?}");
    };
    assert_eq!(
        hex::encode(&request.trace_id),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(hex::encode(&request.parent_span_id), "b7ad6b7169203331");
}

#[tokio::test]
async fn a_collector_that_is_not_there_harms_nobody() {
    let port = crate::harness::free_port();
    let nowhere = format!("http://127.0.0.1:{port}");
    let server = Server::with(&[("GANTRY_TRACING__OTLP_ENDPOINT", &nowhere)]).await;
    server
        .admin()
        .push_image("library/traced", "v1", &image("untraced"))
        .await;
    server.stop().await;
}

/// The trace of what a test asks for: its id, and its header.
const OWN: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// The same trace, of which nobody wants to see anything.
const UNSEEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[tokio::test]
async fn a_list_of_quotas_asks_once_for_all() {
    const PROJECTS: usize = 15;
    let collector = Collector::start();
    let server = Server::with(&[
        ("GANTRY_TRACING__OTLP_ENDPOINT", &collector.address),
        ("GANTRY_TRACING__SAMPLE_RATIO", "0"),
    ])
    .await;
    for _ in 0..PROJECTS {
        server.private_project().await;
    }
    let listed = server
        .admin()
        .get("/api/v2.0/quotas?page_size=50")
        .header("traceparent", SAMPLED)
        .await
        .expect(200)
        .json();
    let listed = listed.as_array().expect("it is a list").len();
    assert!(listed >= PROJECTS, "{listed} quotas");
    server.stop().await;
    let spans = collector.spans();
    let statements: Vec<&str> = spans.iter().filter_map(statement).collect();
    let of_usage = statements
        .iter()
        .filter(|text| text.contains("from project_usage"));
    assert_eq!(of_usage.count(), 1, "{statements:#?}");
    assert!(statements.len() < PROJECTS, "{statements:#?}");
}

#[tokio::test]
async fn looks_at_health_read_nothing_of_the_installation() {
    let collector = Collector::start();
    let server = Server::with(&[("GANTRY_TRACING__OTLP_ENDPOINT", &collector.address)]).await;
    let is_look = |span: &&Span| statement(span) == Some("select 1");
    eventually(20, "three looks at the database", async || {
        let looks = collector.spans().iter().filter(is_look).count();
        (looks >= 3).then_some(())
    })
    .await;
    let anyone = server.anonymous();
    for path in ["/readyz", "/api/v2.0/health"] {
        let asked = anyone.get(path).header("traceparent", SAMPLED);
        asked.await.expect(200);
    }
    server.stop().await;
    let spans = collector.spans();
    let first = spans
        .iter()
        .filter(is_look)
        .map(|span| span.start_time_unix_nano);
    let first = first.min().expect("there were three");
    // Neither a request's nor a job's.
    let beside =
        |span: &&Span| span.parent_span_id.is_empty() && span.start_time_unix_nano >= first;
    let mut statements = spans.iter().filter(beside).filter_map(statement);
    let read = statements.find(|text| text.contains("from installation"));
    assert_eq!(
        read, None,
        "a look at health read a value of the installation"
    );
    let asked: Vec<&Span> = spans
        .iter()
        .filter(|span| hex::encode(&span.trace_id) == OWN)
        .collect();
    assert!(asked.len() >= 2, "{asked:?}");
    let read: Vec<&str> = asked.into_iter().filter_map(statement).collect();
    assert!(read.is_empty(), "who asks makes work: {read:#?}");
}

#[tokio::test]
async fn many_pulls_are_a_handful_of_statements() {
    const TAGS: usize = 10;
    const CLIENTS: u8 = 30;
    let collector = Collector::start();
    let server = Server::with(&[("GANTRY_TRACING__OTLP_ENDPOINT", &collector.address)]).await;
    let (admin, pulled) = (server.admin(), image("pulled by many"));
    for tag in 0..TAGS {
        let tag = format!("v{tag}");
        admin.push_image("library/many", &tag, &pulled).await;
    }
    let holder = admin.with_token(&["repository:library/many:pull"]).await;
    // Told apart by address and tag: no two of these pulls are counted as one.
    let pulls = (0..CLIENTS).map(|client| {
        let client = holder.at(100 + client);
        async move {
            for tag in 0..TAGS {
                let pull = client.get(&format!("/v2/library/many/manifests/v{tag}"));
                pull.header("traceparent", UNSEEN).await.expect(200);
            }
        }
    });
    join_all(pulls).await;
    let all = TAGS * usize::from(CLIENTS);
    eventually(20, "all pulls are counted", async || {
        let path = "/api/v2.0/projects/library/repositories/many";
        let repository = admin.get(path).await.expect(200).json();
        (repository["pull_count"] == all).then_some(())
    })
    .await;
    server.stop().await;
    let spans = collector.spans();
    let flushes = named(&spans, "db.tag_stat.insert");
    assert!(
        (1..=all / 10).contains(&flushes.len()),
        "{} flushes of {all} pulls",
        flushes.len()
    );
    for flush in flushes {
        let beside = |span: &&Span| span.parent_span_id == flush.parent_span_id;
        let statements = spans.iter().filter(beside).filter_map(statement);
        let statements: Vec<&str> = statements.collect();
        assert!(statements.len() <= 6, "{statements:#?}");
    }
}
