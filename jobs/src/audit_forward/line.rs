//! A line for collectors: an entry of the audit log as a JSON object, with the same fields as `gantry audit export` has,
//! the time as text, and the name of this installation.

use db::audit::Entry;
use model::Timestamp;
use serde::Serialize;
use time::macros::format_description;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// When the entry was written.
    pub(super) at: Timestamp,
    /// Its place in the log; 0 for a test.
    pub(super) id: i64,
    /// Its type, such as `create_artifact`.
    pub(super) kind: String,
    /// Whether it is about something that was refused.
    pub(super) refused: bool,
    /// The JSON.
    pub(super) text: String,
}

impl Line {
    pub(super) fn of(entry: &Entry, host: &str) -> Self {
        let at = Timestamp(entry.at);
        let shown = Shown {
            time: time(at),
            host,
            entry,
        };
        Self {
            at,
            id: entry.id,
            kind: format!("{}_{}", entry.operation, entry.resource_type),
            refused: !entry.success,
            text: serde_json::to_string(&shown).unwrap_or_default(),
        }
    }

    /// A line that says that it is a test.
    pub(super) fn test(at: Timestamp, host: &str) -> Self {
        let test = Test {
            time: time(at),
            host,
            test: true,
            detail: "a test of forwarding the audit log",
        };
        Self {
            at,
            id: 0,
            kind: "test".to_owned(),
            refused: false,
            text: serde_json::to_string(&test).unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    time: String,
    host: &'a str,
    #[serde(flatten)]
    entry: &'a Entry,
}

#[derive(Serialize)]
struct Test<'a> {
    time: String,
    host: &'a str,
    test: bool,
    detail: &'a str,
}

/// RFC 3339 with microseconds.
pub(super) fn time(at: Timestamp) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    // The form has only what every time has.
    at.date_time().format(form).unwrap_or_default()
}

/// About how many bytes the line of an entry has.
pub(super) fn about_bytes(entry: &Entry) -> usize {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    400 + entry.principal_name.len()
        + entry.resource.len()
        + entry.detail.len()
        + optional(&entry.repository)
        + optional(&entry.tag)
}
