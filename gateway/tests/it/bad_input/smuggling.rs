//! Bytes that two servers might read differently, and other things that are not quite HTTP.

use std::time::Duration;

use super::{SERVER, leak};
use crate::harness::{RawAnswer, Server};

/// What may happen to a request of this kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// An error answer and the end of the connection, or the end alone.
    Refused,
    /// An error answer; where the request ends is clear, so that the connection may go on.
    Declined,
    /// Answered or refused, but what hides in its body is never taken for a request.
    NotSmuggled,
    /// Answered like the decent request that it is after all.
    Served,
}

use Fate::{Declined, NotSmuggled, Refused, Served};

/// `HOST` is replaced; a hidden request asks for `/v2/smuggled`.
pub(super) const CASES: &[(&str, Fate, &str)] = &[
    (
        "length and chunked",
        NotSmuggled,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v2/smuggled HTTP/1.1\r\nhost: HOST\r\n\r\n",
    ),
    (
        "chunked and length",
        NotSmuggled,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\nGET /v2/smuggled HTTP/1.1\r\nhost: HOST\r\n\r\n",
    ),
    (
        "two lengths",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    ),
    (
        "two lengths in one",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: 3, 4\r\n\r\nabcd",
    ),
    (
        "a negative length",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: -1\r\n\r\n",
    ),
    (
        "a length with a plus",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: +4\r\n\r\nabcd",
    ),
    (
        "a length in hex",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0x4\r\n\r\nabcd",
    ),
    (
        "a length that overflows",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: 18446744073709551617\r\n\r\na",
    ),
    (
        "no length at all",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: \r\n\r\nabcd",
    ),
    (
        "a space in the length",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: 1 0\r\n\r\nabcd",
    ),
    (
        "a space before the colon",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a tab before the colon",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length\t: 4\r\n\r\nabcd",
    ),
    (
        "a folded header",
        Refused,
        "GET /v2/ HTTP/1.1\r\nhost: HOST\r\nx-folded: a\r\n b\r\n\r\n",
    ),
    (
        "a folded transfer encoding",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "an unknown transfer encoding",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked not last",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked in HTTP/1.0",
        NotSmuggled,
        "POST /v2/ HTTP/1.0\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v2/smuggled HTTP/1.1\r\nhost: HOST\r\n\r\n",
    ),
    (
        "chunked with a vertical tab",
        Refused,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: \u{b}chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a chunk size that is none",
        Refused,
        "POST UPLOAD HTTP/1.1\r\nhost: HOST\r\nAUTH\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    ),
    (
        "a negative chunk size",
        Refused,
        "POST UPLOAD HTTP/1.1\r\nhost: HOST\r\nAUTH\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
    ),
    (
        "a chunk size that overflows",
        Refused,
        "POST UPLOAD HTTP/1.1\r\nhost: HOST\r\nAUTH\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
    ),
    (
        "a chunk size with 0x",
        Refused,
        "POST UPLOAD HTTP/1.1\r\nhost: HOST\r\nAUTH\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    ),
    (
        "a chunk longer than its size",
        Refused,
        "POST UPLOAD HTTP/1.1\r\nhost: HOST\r\nAUTH\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
    ),
    (
        "a chunk size that ends in LF",
        Refused,
        "POST UPLOAD HTTP/1.1\r\nhost: HOST\r\nAUTH\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    ),
    (
        "a chunk extension without end",
        Refused,
        "POST UPLOAD HTTP/1.1\r\nhost: HOST\r\nAUTH\r\ntransfer-encoding: chunked\r\n\r\n3;LONG\r\nabc\r\n0\r\n\r\n",
    ),
    (
        "a NUL in a header",
        Refused,
        "GET /v2/ HTTP/1.1\r\nhost: HOST\r\nx-a: a\0b\r\n\r\n",
    ),
    (
        "a NUL in a path",
        Refused,
        "GET /v2/\0 HTTP/1.1\r\nhost: HOST\r\n\r\n",
    ),
    (
        "a CR in a header",
        Refused,
        "GET /v2/ HTTP/1.1\r\nhost: HOST\r\nx-a: a\rb\r\n\r\n",
    ),
    (
        "a header without a name",
        Refused,
        "GET /v2/ HTTP/1.1\r\nhost: HOST\r\n: value\r\n\r\n",
    ),
    (
        "a header without a colon",
        Refused,
        "GET /v2/ HTTP/1.1\r\nhost: HOST\r\nnonsense\r\n\r\n",
    ),
    (
        "a space in a header name",
        Refused,
        "GET /v2/ HTTP/1.1\r\nhost: HOST\r\nx a: b\r\n\r\n",
    ),
    (
        "a header name in brackets",
        Refused,
        "GET /v2/ HTTP/1.1\r\nhost: HOST\r\n<x>: b\r\n\r\n",
    ),
    (
        "a header before the request line",
        Refused,
        " host: HOST\r\nGET /v2/ HTTP/1.1\r\n\r\n",
    ),
    (
        "a space before the first header",
        Refused,
        "GET /v2/ HTTP/1.1\r\n host: HOST\r\n\r\n",
    ),
    ("no host", Declined, "GET /v2/ HTTP/1.1\r\n\r\n"),
    (
        "two hosts",
        Declined,
        "GET /v2/ HTTP/1.1\r\nhost: HOST\r\nhost: evil.example\r\n\r\n",
    ),
    (
        "a version of the future",
        Refused,
        "GET /v2/ HTTP/3.0\r\nhost: HOST\r\n\r\n",
    ),
    (
        "a version that is none",
        Refused,
        "GET /v2/ HTTP/1.x\r\nhost: HOST\r\n\r\n",
    ),
    ("no version", Refused, "GET /v2/\r\nhost: HOST\r\n\r\n"),
    ("no path", Refused, "GET HTTP/1.1\r\nhost: HOST\r\n\r\n"),
    (
        "a path without a slash",
        NotSmuggled,
        "GET v2 HTTP/1.1\r\nhost: HOST\r\n\r\n",
    ),
    (
        "a method with a brace",
        Refused,
        "G{T /v2/ HTTP/1.1\r\nhost: HOST\r\n\r\n",
    ),
    (
        "two spaces",
        Refused,
        "GET  /v2/ HTTP/1.1\r\nhost: HOST\r\n\r\n",
    ),
    (
        "something else entirely",
        Refused,
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
    ),
    ("only LF", NotSmuggled, "GET /v2/ HTTP/1.1\nhost: HOST\n\n"),
    (
        "a tunnel",
        NotSmuggled,
        "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n",
    ),
    (
        "a proxy request for elsewhere",
        NotSmuggled,
        "GET http://example.com/v2/ HTTP/1.1\r\nhost: example.com\r\n\r\n",
    ),
    (
        "an upgrade to h2c",
        NotSmuggled,
        "GET /v2/ HTTP/1.1\r\nhost: HOST\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
    ),
    (
        "an expectation that is none",
        NotSmuggled,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\nexpect: 200-maybe\r\ncontent-length: 0\r\n\r\n",
    ),
    (
        "the same length twice",
        NotSmuggled,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nabcd",
    ),
    (
        "empty lines in front",
        Served,
        "\r\n\r\nGET /v2/ HTTP/1.1\r\nhost: HOST\r\n\r\n",
    ),
    (
        "a body that looks like a request",
        Served,
        "POST /v2/ HTTP/1.1\r\nhost: HOST\r\ncontent-length: 46\r\n\r\nGET /v2/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
];

#[tokio::test]
async fn what_is_not_quite_http_is_refused_and_nothing_is_smuggled() {
    let server = SERVER.get().await;
    let mut wrong = Vec::new();
    for (what, fate, text) in CASES {
        if let Err(why) = try_one(&server, *fate, text).await {
            wrong.push(format!("{what}: {fate:?} expected, but {why}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases are wrong:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
    server.still_serves().await;
}

async fn try_one(server: &Server, fate: Fate, text: &str) -> Result<(), String> {
    let text = text
        .replace("HOST", &server.host())
        .replace(
            "UPLOAD",
            &format!(
                "/v2/{}/blobs/uploads/?digest=sha256:{}",
                super::REPOSITORY,
                "0".repeat(64)
            ),
        )
        .replace("AUTH", "authorization: Basic YWRtaW46R2FudHJ5LUFkbTFu")
        .replace("LONG", &"x".repeat(100_000));
    let mut raw = server.raw().await;
    // a refusal may come before everything was written
    let _ = raw.write(text.as_bytes()).await;
    let mut answers: Vec<RawAnswer> = raw.answer().await.into_iter().collect();
    if fate == Refused && !answers.is_empty() && !raw.closes_within(Duration::from_secs(10)).await {
        return Err(format!("the connection goes on after {}", told(&answers)));
    }
    while let Some(answer) = raw.answer_if_any().await {
        answers.push(answer);
    }
    for answer in &answers {
        if let Some(leaked) = leak(&answer.text()) {
            return Err(format!("{leaked:?} leaked: {answer:?}"));
        }
        if answer.text().contains("smuggled") {
            return Err(format!("the hidden request was answered: {answer:?}"));
        }
        if answer.status >= 500 && answer.status != 501 {
            return Err(format!("{answer:?}"));
        }
    }
    let decent = |status: u16| [200, 401, 404, 405].contains(&status);
    let refused =
        |answer: &RawAnswer| (400..600).contains(&answer.status) && !decent(answer.status);
    match fate {
        Refused if answers.len() > 1 || !answers.iter().all(refused) => Err(told(&answers)),
        Declined if answers.len() != 1 || !answers.iter().all(refused) => Err(told(&answers)),
        Served if answers.len() != 1 || !decent(answers[0].status) => Err(told(&answers)),
        NotSmuggled if answers.len() > 1 && decent(answers[1].status) => {
            Err(format!("two answers: {}", told(&answers)))
        }
        Refused | Declined | Served | NotSmuggled => Ok(()),
    }
}

fn told(answers: &[RawAnswer]) -> String {
    let told = answers
        .iter()
        .map(|answer| format!("{} {}", answer.status, answer.text()));
    told.collect::<Vec<_>>().join(", ")
}
