//! Exchanges in order, from `exchanges.txt`: those with a number were recorded from a Harbor 2.16
//! (ids and what Gantry does better changed), those marked `gantry` fill the gaps.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Request, StatusCode};

use crate::{Api, request, text};

/// A question and the answer that is expected.
struct Exchange<'t> {
    name: &'t str,
    method: &'t str,
    path: &'t str,
    who: &'t str,
    question: Message<'t>,
    status: StatusCode,
    answer: Message<'t>,
}

/// Headers and a body.
#[derive(Default)]
struct Message<'t> {
    headers: Vec<(&'t str, &'t str)>,
    body: &'t str,
}

/// Headers that an answer has if and only if the recording has them.
const COMPARED: [&str; 5] = [
    "content-type",
    "location",
    "link",
    "x-total-count",
    "warning",
];

#[tokio::test]
async fn answers_are_those_of_a_harbor() {
    let api = Api::start().await;
    let mut wrong = Vec::new();
    let mut count = 0;
    for block in include_str!("exchanges.txt").split("### ").skip(1) {
        let exchange = parse(block.trim_end());
        count += 1;
        if let Err(difference) = check(&api, &exchange).await {
            wrong.push(format!("{}: {difference}", exchange.name));
        }
    }
    assert!(count >= 100, "{count}");
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn check(api: &Api, exchange: &Exchange<'_>) -> Result<(), String> {
    let answer = api.send(ask(exchange)).await;
    let status = answer.status();
    let headers = answer.headers().clone();
    let body = text(answer).await;
    if status != exchange.status {
        return Err(format!("{status} {body}"));
    }
    compare_headers(&exchange.answer, &headers)?;
    let (body, expected) = (masked(&body), masked(exchange.answer.body));
    if body != expected {
        return Err(format!("\n  {body}\n  {expected}"));
    }
    Ok(())
}

fn ask(exchange: &Exchange<'_>) -> Request<Body> {
    let mut request = request(exchange.method, exchange.path, exchange.who);
    for (name, value) in &exchange.question.headers {
        request = request.header(*name, *value);
    }
    let given = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case("content-type");
    if !exchange.question.headers.iter().any(given) {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request
        .body(Body::from(exchange.question.body.to_owned()))
        .unwrap()
}

fn compare_headers(expected: &Message<'_>, headers: &HeaderMap) -> Result<(), String> {
    for name in COMPARED {
        let got = headers.get(name).map(|value| value.to_str().unwrap());
        let mut all = expected.headers.iter();
        let want = all
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value);
        if got != want {
            return Err(format!("{name} is {got:?}, not {want:?}"));
        }
    }
    Ok(())
}

/// A body without what differs from run to run: times, apart from Harbor's "never", and random secrets.
fn masked(body: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(body);
    let body = parsed.map_or_else(|_| body.trim_end().to_owned(), |value| value.to_string());
    let parts = body.split('"').map(|part| {
        let time = part.len() == 24 && part.starts_with("20") && part.ends_with('Z');
        let secret = part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match (time, secret) {
            (true, _) => "T",
            (_, true) => "<secret>",
            (false, false) => part,
        }
    });
    parts.collect::<Vec<_>>().join("\"")
}

fn parse(block: &str) -> Exchange<'_> {
    let (name, rest) = block.split_once('\n').unwrap();
    let (line, rest) = rest.split_once('\n').unwrap();
    let (target, who) = line.split_once("   (").unwrap();
    let (method, path) = target.split_once(' ').unwrap();
    let (question, answer) = rest.split_once("→ ").unwrap();
    let (status, answer) = answer.split_once('\n').unwrap_or((answer, ""));
    Exchange {
        name,
        method,
        path,
        who: who.trim_end_matches(')'),
        question: parse_message(question),
        status: status.parse().unwrap(),
        answer: parse_message(answer),
    }
}

fn parse_message(text: &str) -> Message<'_> {
    let mut message = Message::default();
    let mut rest = text;
    while let Some((name, value)) = rest.lines().next().and_then(header) {
        message.headers.push((name, value));
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    message.body = rest.trim_end();
    message
}

fn header(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(": ")?;
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    plain.then_some((name, value))
}
