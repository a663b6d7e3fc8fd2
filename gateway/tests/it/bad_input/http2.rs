//! HTTP/2 that is none: frames written by hand, against the rules of RFC 9113.

use std::time::Duration;

use super::SERVER;
use crate::harness::{RawH2, Server};

/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH: u8 = 5;
const PING: u8 = 6;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const BOTH: u8 = END_STREAM | END_HEADERS;

/// `:method GET`, `:scheme https`, `:path /`, by the static table of HPACK.
const GET_ROOT: &[u8] = b"\x82\x87\x84";
/// The same without a path.
const NO_PATH: &[u8] = b"\x82\x87";
const TWO_METHODS: &[u8] = b"\x82\x83\x87\x84";
const NO_METHOD: &[u8] = b"\x87\x84";
const STATUS_IN_REQUEST: &[u8] = b"\x82\x87\x84\x88";
/// Literal fields, neither indexed nor compressed.
const CAPITALS: &[u8] = b"\x82\x87\x84\0\x01X\x01a";
const CONNECTION: &[u8] = b"\x82\x87\x84\0\x0aconnection\x05close";
const CHUNKED: &[u8] = b"\x82\x87\x84\0\x11transfer-encoding\x07chunked";
const LINE_BREAK: &[u8] = b"\x82\x87\x84\0\x01x\x08a\r\nb: cd";
const NUL: &[u8] = b"\x82\x87\x84\0\x01x\x03a\0b";
const EMPTY_PATH: &[u8] = b"\x82\x87\x04\0";
const LATE_PSEUDO: &[u8] = b"\x82\x87\0\x01x\x01a\x84";
const UNKNOWN_PSEUDO: &[u8] = b"\x82\x87\x84\0\x05:evil\x01a";
const LENGTH_9: &[u8] = b"\x83\x87\x84\0\x0econtent-length\x019";
const BAD_INDEX: &[u8] = b"\xff\xff\xff\xff\x0f";
const BAD_HUFFMAN: &[u8] = b"\x82\x87\x84\0\x01x\x84\xff\xff\xff\xff";
const CUT_SHORT: &[u8] = b"\x82\x87\x84\0\x7fabc";

/// What is wrong, and the frames: type, flags, stream, payload.
type Frames = &'static [(u8, u8, u32, &'static [u8])];

#[rustfmt::skip]
pub(super) const CASES: &[(&str, Frames)] = &[
    ("no path", &[(HEADERS, BOTH, 1, NO_PATH)]),
    ("an empty path", &[(HEADERS, BOTH, 1, EMPTY_PATH)]),
    ("two methods", &[(HEADERS, BOTH, 1, TWO_METHODS)]),
    ("no method", &[(HEADERS, BOTH, 1, NO_METHOD)]),
    ("a status in a request", &[(HEADERS, BOTH, 1, STATUS_IN_REQUEST)]),
    ("a pseudo-header after others", &[(HEADERS, BOTH, 1, LATE_PSEUDO)]),
    ("an unknown pseudo-header", &[(HEADERS, BOTH, 1, UNKNOWN_PSEUDO)]),
    ("a capital in a name", &[(HEADERS, BOTH, 1, CAPITALS)]),
    ("a connection header", &[(HEADERS, BOTH, 1, CONNECTION)]),
    ("a transfer encoding", &[(HEADERS, BOTH, 1, CHUNKED)]),
    ("a line break in a value", &[(HEADERS, BOTH, 1, LINE_BREAK)]),
    ("a NUL in a value", &[(HEADERS, BOTH, 1, NUL)]),
    ("a body shorter than its length", &[(HEADERS, END_HEADERS, 1, LENGTH_9), (DATA, END_STREAM, 1, b"abc")]),
    ("a body longer than its length", &[(HEADERS, END_HEADERS, 1, LENGTH_9), (DATA, END_STREAM, 1, b"0123456789")]),
    ("no body in spite of its length", &[(HEADERS, BOTH, 1, LENGTH_9)]),
    ("an index that is none", &[(HEADERS, BOTH, 1, BAD_INDEX)]),
    ("a Huffman code that is none", &[(HEADERS, BOTH, 1, BAD_HUFFMAN)]),
    ("a header block cut short", &[(HEADERS, BOTH, 1, CUT_SHORT)]),
    ("headers on stream 0", &[(HEADERS, BOTH, 0, GET_ROOT)]),
    ("headers on an even stream", &[(HEADERS, BOTH, 2, GET_ROOT)]),
    ("a stream that goes back", &[(HEADERS, BOTH, 5, NO_PATH), (HEADERS, BOTH, 3, NO_PATH)]),
    ("data on an idle stream", &[(DATA, END_STREAM, 1, b"abc")]),
    ("data on stream 0", &[(DATA, END_STREAM, 0, b"abc")]),
    ("padding longer than the frame", &[(DATA, 8, 1, b"\xffabc")]),
    ("a continuation of nothing", &[(CONTINUATION, END_HEADERS, 1, GET_ROOT)]),
    ("something within a header block", &[(HEADERS, END_STREAM, 1, GET_ROOT), (PING, 0, 0, b"12345678")]),
    ("a ping of the wrong length", &[(PING, 0, 0, b"123")]),
    ("settings of the wrong length", &[(SETTINGS, 0, 0, b"123")]),
    ("settings on a stream", &[(SETTINGS, 0, 1, b"")]),
    ("a window of more than 2 GiB", &[(SETTINGS, 0, 0, b"\0\x04\xff\xff\xff\xff")]),
    ("a window update of nothing", &[(WINDOW, 0, 0, b"\0\0\0\0")]),
    ("a window that overflows", &[(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), (WINDOW, 0, 0, b"\x7f\xff\xff\xff")]),
    ("a reset of an idle stream", &[(RESET, 0, 7, b"\0\0\0\x08")]),
    ("a push from a client", &[(PUSH, END_HEADERS, 1, b"\0\0\0\x02\x82\x87\x84")]),
    ("a stream that depends on itself", &[(PRIORITY, 0, 1, b"\0\0\0\x01\x10"), (HEADERS, BOTH, 1, NO_PATH)]),
];

/// Whether the server ends the stream or the connection, or refuses the request.
async fn is_refused(server: &Server, frames: Frames) -> Result<(), String> {
    let mut h2 = server.raw_h2().await;
    for (kind, flags, stream, payload) in frames {
        // a refusal may come before everything was written
        let _ = h2.write_frame(*kind, *flags, *stream, payload).await;
    }
    h2.refusal().await
}

#[tokio::test]
async fn what_is_not_quite_http2_is_refused() {
    let server = SERVER.get().await;
    let mut wrong = Vec::new();
    for (what, frames) in CASES {
        if let Err(why) = is_refused(&server, frames).await {
            wrong.push(format!("{what}: {why}"));
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

#[tokio::test]
async fn another_preface_ends_the_connection() {
    let server = SERVER.get().await;
    for preface in [
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "PRI * HTTP/9.9\r\n\r\nSM\r\n\r\n",
    ] {
        let mut h2 = RawH2::without_preface(&server).await;
        h2.write(preface.as_bytes())
            .await
            .expect("the server reads");
        assert_eq!(h2.refusal().await, Ok(()), "{preface:?}");
    }
}

/// CVE-2023-44487: requests that are reset before they are answered.
#[tokio::test]
async fn rapid_resets_do_not_bring_the_server_down() {
    let server = SERVER.get().await;
    let mut h2 = server.raw_h2().await;
    for number in 0..20_000 {
        let stream = 1 + 2 * number;
        let sent = async {
            h2.write_frame(HEADERS, BOTH, stream, GET_ROOT).await?;
            h2.write_frame(RESET, 0, stream, b"\0\0\0\x08").await
        };
        if sent.await.is_err() {
            break;
        }
    }
    server.still_serves().await;
}

/// CVE-2024-27316: a header block that never ends.
#[tokio::test]
async fn an_endless_header_block_is_cut_off() {
    let server = SERVER.get().await;
    let mut h2 = server.raw_h2().await;
    let field = b"\0\x01x\x7e"
        .iter()
        .copied()
        .chain(std::iter::repeat_n(b'a', 126))
        .collect::<Vec<u8>>();
    let block = field.repeat(120);
    let flood = async {
        if h2
            .write_frame(HEADERS, END_STREAM, 1, GET_ROOT)
            .await
            .is_err()
        {
            return;
        }
        while h2.write_frame(CONTINUATION, 0, 1, &block).await.is_ok() {}
    };
    let cut = tokio::time::timeout(Duration::from_secs(30), flood).await;
    assert!(cut.is_ok(), "half a minute of header was taken");
    server.still_serves().await;
}

#[tokio::test]
async fn floods_of_small_frames_do_not_bring_the_server_down() {
    let server = SERVER.get().await;
    let floods: [(u8, &[u8]); 3] = [
        (PING, b"12345678"),
        (SETTINGS, b""),
        (PRIORITY, b"\0\0\0\0\x10"),
    ];
    for (kind, payload) in floods {
        let mut h2 = server.raw_h2().await;
        let stream = u32::from(kind == PRIORITY);
        for _ in 0..20_000 {
            if h2.write_frame(kind, 0, stream, payload).await.is_err() {
                break;
            }
        }
    }
    server.still_serves().await;
}
