//! Requests that no honest client sends: each gets the right refusal, nothing leaks, and the server serves on.

mod digests;
mod headers;
mod http2;
mod json;
mod manifests;
mod names;
mod paths;
mod smuggling;
mod tokens;
mod uploads;

use hyper::Method;

use crate::harness::{Answer, Client, Protocol, Server, Shared};

static SERVER: Shared = Shared::new(&[]);

/// One malformed request and the answers that are right.
#[derive(Clone)]
struct Case {
    method: Method,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    status: &'static [u16],
    code: &'static [&'static str],
}

impl Case {
    fn new(method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        Self {
            method,
            path,
            headers: Vec::new(),
            body: Vec::new(),
            status: &[400],
            code: &[],
        }
    }

    fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }

    fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// The statuses and the error codes that are right, several where standards leave a choice.
    fn is(mut self, status: &'static [u16], code: &'static [&'static str]) -> Self {
        (self.status, self.code) = (status, code);
        self
    }
}

/// Sends every case over HTTP/1.1 and h2, and reports all that went wrong at once.
async fn check(server: &Server, cases: &[Case]) {
    let mut wrong = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = server.admin().speaking(protocol);
        for case in cases {
            if let Err(why) = send(&client, case).await {
                wrong.push(format!("{protocol:?}: {why}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases are wrong:\n{}",
        wrong.len(),
        cases.len() * 2,
        wrong.join("\n")
    );
    server.still_serves().await;
}

async fn send(client: &Client, case: &Case) -> Result<(), String> {
    let mut request = client
        .request(case.method.clone(), &case.path)
        .body(case.body.clone());
    for (name, value) in &case.headers {
        request = request.header(name, value);
    }
    let asked = format!(
        "{} {:?} {:?}",
        case.method,
        shortened(&case.path),
        shown(case)
    );
    let answer = request
        .attempt()
        .await
        .map_err(|error| format!("{asked}: no answer: {error:?}"))?;
    judge(&answer, case.status, case.code).map_err(|why| format!("{asked}: {why}"))
}

/// Whether an answer is one of the right ones and tells nothing about the inside.
fn judge(answer: &Answer, status: &[u16], code: &[&str]) -> Result<(), String> {
    let text = answer.text();
    if !status.contains(&answer.status) {
        return Err(format!("{status:?} {code:?} expected, but {answer}"));
    }
    if !code.is_empty() && !answer.body.is_empty() && !code.contains(&answer.code().as_str()) {
        return Err(format!("code {code:?} expected, but {answer}"));
    }
    leak(&text).map_or(Ok(()), |leaked| Err(format!("{leaked:?} leaked: {answer}")))
}

/// Words that belong into a log, not into an answer.
fn leak(text: &str) -> Option<&'static str> {
    let inside = [
        ".rs:",
        "panicked",
        "sqlx",
        "sqlite",
        "SELECT ",
        "/tmp/",
        "/root/",
        "stack backtrace",
        "os error",
    ];
    inside.into_iter().find(|word| text.contains(word))
}

/// Headers and body of a case, as far as a line has room.
fn shown(case: &Case) -> String {
    let headers = case
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.escape_ascii()));
    let body = shortened(&String::from_utf8_lossy(&case.body));
    format!(
        "{}{body}",
        headers
            .map(|header| shortened(&header) + "; ")
            .collect::<String>()
    )
}

fn shortened(text: &str) -> String {
    if text.len() <= 90 {
        text.to_owned()
    } else {
        format!(
            "{}… ({} bytes)",
            text.chars().take(80).collect::<String>(),
            text.len()
        )
    }
}

/// The project that every server has, and a repository in it.
const REPOSITORY: &str = "library/bad-input";

#[test]
fn there_are_more_than_200_cases() {
    let cases = [
        names::cases().len(),
        digests::cases().len(),
        headers::cases().len(),
        http2::CASES.len(),
        json::cases().len(),
        manifests::cases().len(),
        paths::cases().len(),
        uploads::CHUNKS.len(),
        smuggling::CASES.len(),
        tokens::FORGERIES.len(),
    ];
    assert!(cases.iter().sum::<usize>() >= 200, "{cases:?}");
}
