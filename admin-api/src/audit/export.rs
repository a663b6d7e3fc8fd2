//! Everything that a search of the audit log finds, newest first, as a stream of CSV or of JSON lines.
//!
//! Each part of the stream is read in a short transaction of its own, once the previous part was sent, so that memory
//! is bounded and no transaction waits for the client. Memory for a part is held from beginning to end. Each part
//! continues after the last entry, so that no entry is duplicated or missing, whatever is written meanwhile. A search
//! that reads entries one by one goes through the log window by window, so that no statement reads more of them than a
//! page of the list does.

use std::sync::Arc;

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::Db;
use db::audit::list::{SEARCHED, bound_search};
use db::audit::{self, Filter};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::try_unfold;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, WARNING};
use policy::SignedIn;
use storage::budget::Reservation;

use super::scope;
use super::view::Whole;
use crate::allowed::Granted;
use crate::caller::By;
use crate::param::Params;
use crate::query::Query;
use crate::room::{self, Room};
use crate::{App, Error};

/// Entries per part.
const PART: i64 = 200;

/// The format of entries.
#[derive(Clone, Copy)]
enum Format {
    Csv,
    Ndjson,
}

impl Format {
    fn parse(text: Option<&str>) -> Result<Self, Error> {
        match text.unwrap_or("ndjson") {
            "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Ndjson),
            other => Err(Error::Validation(format!(
                "format in query should be one of [csv ndjson]: {other:?}"
            ))),
        }
    }

    /// The media type, and the extension of the file's name.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Csv => ("text/csv; charset=utf-8", "csv"),
            Self::Ndjson => ("application/x-ndjson", "ndjson"),
        }
    }

    /// The text before the first entry.
    fn head(self) -> String {
        match self {
            Self::Csv => row(Whole::COLUMNS),
            Self::Ndjson => String::new(),
        }
    }

    fn line(self, entry: Whole) -> String {
        match self {
            Self::Csv => row(entry.cells()),
            Self::Ndjson => {
                // Only texts and numbers, which can always be serialized.
                let json = serde_json::to_string(&entry).unwrap_or_default();
                format!("{json}\n")
            }
        }
    }
}

/// A row of CSV by RFC 4180, with every cell in quotes.
fn row(cells: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let cells = cells.into_iter();
    let quoted = cells.map(|cell| format!("\"{}\"", cell.as_ref().replace('"', "\"\"")));
    let quoted: Vec<String> = quoted.collect();
    format!("{}\r\n", quoted.join(","))
}

/// Streams all entries that a search finds among those that the caller may see, newest first. On a failure the
/// connection is cut, so that a complete answer is a complete export.
#[utoipa::path(
    get, path = "/api/ext/v1/audit/export", operation_id = "exportAuditLog", tag = "auditlog",
    params(
        ("format" = Option<String>, Query, description = "`csv` or `ndjson`, which is the default."),
        ("q" = Option<String>, Query, description = "Conditions, as those of the list."),
    ),
    responses((status = 200, description = "The entries.", body = String, content_type = "application/x-ndjson"))
)]
pub(crate) async fn export(
    By(caller): By,
    params: Params,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let format = Format::parse(params.get("format"))?;
    let mut query = Query::parse(&params)?;
    let selection = query.select(&audit::FIELDS, db::list::Page::ALL)?;
    let scope = scope::of(&app, &mut app.db.reader().await?, &permit).await?;
    let filter = scope::filter(&app, scope, &selection);
    let (kind, suffix) = format.names();
    let room = Room::for_rows(&app, &caller, PART as usize).await?.memory();
    let state = app.clone();
    let turns = Turns(Box::new(move || {
        let (app, caller) = (state.clone(), caller.clone());
        Box::pin(async move { room::turn(&app, &caller).await })
    }));
    let parts = parts((app.db.clone(), turns), filter, format, SEARCHED);
    let parts = parts.map(move |part| {
        let _held = &room;
        part
    });
    let mut response = Body::from_stream(parts).into_response();
    let headers = response.headers_mut();
    let name = format!("attachment; filename=\"audit-log.{suffix}\"");
    let warning = query.warning();
    for (header, text) in [
        (CONTENT_TYPE, Some(kind.to_owned())),
        (CONTENT_DISPOSITION, Some(name)),
        (WARNING, warning),
    ] {
        if let Some(value) = text.and_then(|text| text.try_into().ok()) {
            headers.insert(header, value);
        }
    }
    Ok(response)
}

/// The next step of a stream.
enum Next {
    /// The text before the first entry.
    Head(Filter),
    /// Finding a window: the newest part of the remaining entries that one statement may read.
    Window(Filter),
    /// Entries of a window, and the remainder after it, if any.
    Part(Filter, Option<Box<Filter>>),
    /// Nothing.
    End,
}

impl Next {
    /// The step after a window.
    fn after(rest: Option<Box<Filter>>) -> Self {
        rest.map_or(Self::End, |rest| Self::Window(*rest))
    }
}

/// How the turn is got at which a part is read: an export takes many, and never keeps one while its reader is slow.
struct Turns(Box<Turn>);

/// Gets a turn.
type Turn = dyn Fn() -> BoxFuture<'static, Result<Reservation, Error>> + Send + Sync;

/// How often a turn is asked for, each time for as long as a list would wait.
const ATTEMPTS: u32 = 10;

fn parts(
    (db, turns): (Db, Turns),
    filter: Filter,
    format: Format,
    searched: i64,
) -> impl futures_util::Stream<Item = Result<Bytes, BoxError>> + Send {
    let db = Arc::new((db, turns));
    try_unfold(Next::Head(filter), move |next| {
        let db = db.clone();
        async move {
            let (db, Turns(turn)) = &*db;
            let mut next = next;
            loop {
                let _turn = patiently(turn).await?;
                next = match next {
                    Next::Head(filter) => {
                        return Ok(Some((format.head().into(), Next::Window(filter))));
                    }
                    Next::Window(filter) => window(db, filter, searched).await?,
                    Next::Part(filter, rest) => match part(db, filter, rest, format).await? {
                        (lines, next) if lines.is_empty() => next,
                        part => return Ok(Some(part)),
                    },
                    Next::End => return Ok(None),
                }
            }
        }
    })
}

/// A turn, asked for several times: the beginning was sent already.
async fn patiently(turn: &Turn) -> Result<Reservation, BoxError> {
    for _ in 0..ATTEMPTS {
        if let Ok(turn) = turn().await {
            return Ok(turn);
        }
    }
    Err("no turn at the database in time".into())
}

async fn window(db: &Db, filter: Filter, searched: i64) -> Result<Next, db::Error> {
    let mut window = filter.clone();
    let since = bound_search(&mut db.reader().await?, &mut window, searched).await?;
    let rest = since.map(|since| {
        Box::new(Filter {
            to: Some(since),
            ..filter
        })
    });
    Ok(Next::Part(window, rest))
}

async fn part(
    db: &Db,
    mut filter: Filter,
    rest: Option<Box<Filter>>,
    format: Format,
) -> Result<(Bytes, Next), db::Error> {
    let mut reader = db.reader().await?;
    let found = audit::list(&mut reader, &filter, PART).await?;
    drop(reader);
    let next = match found.last() {
        Some(last) if found.len() as i64 == PART => {
            filter.before = Some(last.entry.id);
            Next::Part(filter, rest)
        }
        _ => Next::after(rest),
    };
    let lines = found.into_iter().map(|listed| format.line(listed.into()));
    Ok((lines.collect::<String>().into(), next))
}

#[cfg(test)]
mod tests {
    use db::Tx;
    use db::list::Test;
    use futures_util::TryStreamExt as _;
    use model::{Client, Event, Operation, Origin, Principal, Subject, Timestamp};
    use registry::memory::PATIENCE;
    use storage::budget::{Budget, Holder};

    use super::*;

    fn event(at: i64, subject: &str) -> Event {
        let origin = Origin {
            principal: Principal::CommandLine,
            client: Client::default(),
        };
        let subject = Subject::User(subject.to_owned());
        Event::new(Timestamp(at), origin, Operation::Create, subject)
    }

    /// Two of each moment, so that windows end within one; most is found in some windows and nothing in others.
    fn fill(tx: &mut Tx) -> BoxFuture<'_, db::Result<()>> {
        let subject = |at: i64| if (20..30).contains(&at) { "ann" } else { "bob" };
        let events: Vec<Event> = (0..80).map(|at| event(at / 2 + 1, subject(at))).collect();
        Box::pin(async move { tx.record_all(&events).await })
    }

    #[tokio::test]
    async fn a_search_goes_through_the_whole_log_window_by_window() {
        let folder = tempfile::tempdir().unwrap();
        let at = db::Location::Sqlite(folder.path().join("t.db"));
        let db = Db::open(&at).await.unwrap();
        db.write(fill).await.unwrap();
        let resource = audit::FIELDS.into_iter();
        let resource = resource.clone().find(|field| field.name == "resource");
        let search = |text: &str| Filter {
            tests: vec![(resource.unwrap(), Test::Contains(text.to_owned()))],
            ..Filter::default()
        };
        for (text, found) in [("AN", 10), ("b", 70), ("n", 10), ("zzz", 0)] {
            let turns = Turns(Box::new(|| {
                let budget = Budget::new(8);
                Box::pin(
                    async move { Ok(budget.take(Holder::default(), 1, PATIENCE).await.unwrap()) },
                )
            }));
            let exported = parts((db.clone(), turns), search(text), Format::Ndjson, 7);
            let exported: Vec<Bytes> = exported.try_collect().await.unwrap();
            let exported = exported.concat();
            let lines = std::str::from_utf8(&exported).unwrap().lines();
            let ids: Vec<i64> = lines
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
                .map(|line| line["id"].as_i64().unwrap())
                .collect();
            assert_eq!(ids.len(), found, "{text}");
            assert!(ids.is_sorted_by(|a, b| a > b), "{text}: {ids:?}");
        }
    }

    #[test]
    fn cells_are_quoted_whatever_they_hold() {
        assert_eq!(
            row(["a", "b,c", "d\"e", "f\ng"]),
            "\"a\",\"b,c\",\"d\"\"e\",\"f\ng\"\r\n"
        );
    }
}
