//! The access log: a line on standard output for each request. Lines gather in memory and are written in batches, so
//! that no request waits for them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderValue, Method, Version};
use model::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::LogFormat;

/// Bytes that may wait; further lines are dropped and counted.
const CAPACITY: usize = 4 << 20;
/// How often lines are written.
const INTERVAL: Duration = Duration::from_millis(250);

/// Maximum length of a logged path, in bytes.
const LONGEST_PATH: usize = 1_024;

/// What is logged of a request.
pub(crate) struct Entry<'a> {
    pub(crate) at: Timestamp,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) version: Version,
    pub(crate) address: IpAddr,
    /// The name of the request's caller.
    pub(crate) principal: Option<&'a str>,
    pub(crate) id: &'a HeaderValue,
    pub(crate) status: u16,
    pub(crate) took: Duration,
    /// Bytes of the answer's body.
    pub(crate) sent: u64,
    /// Whether the answer was cut.
    pub(crate) cut: bool,
}

/// Lines waiting to be written.
pub(crate) struct AccessLog {
    format: LogFormat,
    waiting: Mutex<Lines>,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Lines {
    text: String,
    /// The second that was last printed, and its text: most lines fall into the same second.
    second: i64,
    printed: String,
}

impl Lines {
    /// The time as [`Timestamp`] prints it, without milliseconds.
    fn second(&mut self, at: Timestamp) {
        if self.second != at.seconds() {
            self.second = at.seconds();
            self.printed = at.to_string();
            self.printed.truncate("2026-01-02T03:04:05".len());
        }
    }
}

impl AccessLog {
    pub(crate) fn new(format: LogFormat) -> Self {
        Self {
            format,
            waiting: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Adds a line.
    pub(crate) fn line(&self, entry: &Entry<'_>) {
        let Entry {
            method,
            version,
            address,
            principal,
            status,
            took,
            sent,
            cut,
            ..
        } = *entry;
        let id = entry.id.to_str().unwrap_or("-");
        let path = shortened(entry.path);
        let (took, micros) = (took.as_millis(), took.subsec_micros() % 1_000);
        let millis = entry.at.0.div_euclid(1_000).rem_euclid(1_000);
        let mut lines = self.waiting.lock();
        if lines.text.len() > CAPACITY {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        lines.second(entry.at);
        let Lines { text, printed, .. } = &mut *lines;
        // Writing to a string cannot fail.
        let _ = match self.format {
            LogFormat::Human => {
                let cut = if cut { " cut" } else { "" };
                let principal = principal.map_or("-".into(), readable);
                writeln!(
                    text,
                    "{printed}.{millis:03}Z {address} {principal} {method} {path} {version:?} {status} {sent} B {took}.{micros:03} ms {id}{cut}"
                )
            }
            LogFormat::Json => {
                let path = serde_json::Value::from(path);
                let principal = serde_json::Value::from(principal);
                let id = serde_json::Value::from(id);
                writeln!(
                    text,
                    r#"{{"timestamp":"{printed}.{millis:03}Z","client.address":"{address}","principal.name":{principal},"http.request.method":"{method}","http.path":{path},"http.version":"{version:?}","http.status":{status},"sent_bytes":{sent},"elapsed_ms":{took}.{micros:03},"request.id":{id},"cut":{cut}}}"#
                )
            }
        };
    }

    /// Writes lines until `cancel`, then the remaining ones.
    pub(crate) async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            let ending = tokio::select! {
                () = cancel.cancelled() => true,
                _ = ticks.tick() => false,
            };
            let lines = std::mem::take(&mut self.waiting.lock().text);
            if !lines.is_empty() {
                // A closed standard output is no reason to stop serving.
                let _ = tokio::task::spawn_blocking(move || {
                    let mut out = std::io::stdout().lock();
                    out.write_all(lines.as_bytes()).and_then(|()| out.flush())
                })
                .await;
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(
                    lines = dropped,
                    "standard output is too slow: access log lines were dropped"
                );
            }
            if ending {
                return;
            }
        }
    }
}

/// The part of a path that is logged.
pub(crate) fn shortened(path: &str) -> &str {
    &path[..path.floor_char_boundary(LONGEST_PATH)]
}

/// A name as one word of a line: in quotes if it has spaces or characters that a terminal acts on.
fn readable(name: &str) -> Cow<'_, str> {
    let plain = |letter: char| letter.is_alphanumeric() || "-_.@+'".contains(letter);
    if !name.is_empty() && name != "-" && name.chars().all(plain) {
        name.into()
    } else {
        format!("{name:?}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_are_cut() {
        assert_eq!(shortened("/v2/"), "/v2/");
        let long = format!("/{}", "a".repeat(60_000));
        assert_eq!(shortened(&long).len(), LONGEST_PATH);
        let within = format!("{}ü", "a".repeat(LONGEST_PATH - 1));
        assert_eq!(shortened(&within).len(), LONGEST_PATH - 1);
    }

    #[test]
    fn a_name_is_one_word_and_no_terminal_acts_upon_it() {
        assert_eq!(readable("ann.b@c-d"), "ann.b@c-d");
        assert_eq!(readable("übung"), "übung");
        assert_eq!(readable("Ann B."), "\"Ann B.\"");
        assert_eq!(readable("a\u{1b}[31m"), "\"a\\u{1b}[31m\"");
        assert_eq!(readable("-"), "\"-\"");
    }
}
