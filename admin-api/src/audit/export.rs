//! Everything that a search of the audit log finds, newest first, as a stream of CSV or of JSON lines.
//!
//! A part of the stream is read in a short transaction of its own, once the part before it was sent, so that memory is
//! bounded and no transaction waits for the client. Parts follow each other by the last entry, so that no entry is
//! there twice or missing, whatever is written meanwhile.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::Db;
use db::audit::{self, Filter};
use futures_util::stream::try_unfold;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, WARNING};
use policy::SignedIn;

use super::scope;
use super::view::Whole;
use crate::allowed::Granted;
use crate::caller::By;
use crate::param::Params;
use crate::query::Query;
use crate::{App, Error};

/// Entries of a part.
const PART: i64 = 500;

/// How entries are written.
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

    /// The media type, and how the file's name ends.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Csv => ("text/csv; charset=utf-8", "csv"),
            Self::Ndjson => ("application/x-ndjson", "ndjson"),
        }
    }

    /// What stands before the first entry.
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
                // Texts and numbers alone are always JSON.
                let json = serde_json::to_string(&entry).unwrap_or_default();
                format!("{json}\n")
            }
        }
    }
}

/// A row of CSV, as RFC 4180 has it, every cell in quotes.
fn row(cells: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let cells = cells.into_iter();
    let quoted = cells.map(|cell| format!("\"{}\"", cell.as_ref().replace('"', "\"\"")));
    let quoted: Vec<String> = quoted.collect();
    format!("{}\r\n", quoted.join(","))
}

/// Streams all entries that a search finds in what the caller may see, newest first. If it breaks off, the connection
/// does, so that a whole answer is a whole export.
#[utoipa::path(
    get, path = "/api/ext/v1/audit/export", operation_id = "exportAuditLog", tag = "auditlog",
    params(
        ("format" = Option<String>, Query, description = "`csv` or `ndjson`, which is the default."),
        ("q" = Option<String>, Query, description = "Conditions, as those of the list."),
    ),
    responses((status = 200, description = "The entries.", body = String, content_type = "application/x-ndjson"))
)]
pub(crate) async fn export(
    By(_): By,
    params: Params,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let format = Format::parse(params.get("format"))?;
    let mut query = Query::parse(&params)?;
    let selection = query.select(&audit::FIELDS, db::list::Page::ALL)?;
    let scope = scope::of(&mut app.db.reader().await?, &permit).await?;
    let filter = scope::filter(&app, scope, &selection);
    let (kind, suffix) = format.names();
    let mut response = Body::from_stream(parts(app.db.clone(), filter, format)).into_response();
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

/// What follows in a stream.
enum Next {
    /// What stands before the first entry.
    Head(Filter),
    /// Entries.
    Part(Filter),
    /// Nothing.
    End,
}

fn parts(
    db: Db,
    filter: Filter,
    format: Format,
) -> impl futures_util::Stream<Item = Result<Bytes, db::Error>> + Send {
    let db = Arc::new(db);
    try_unfold(Next::Head(filter), move |next| {
        let db = db.clone();
        async move {
            match next {
                Next::Head(filter) => Ok(Some((format.head().into(), Next::Part(filter)))),
                Next::Part(filter) => part(&db, filter, format).await,
                Next::End => Ok(None),
            }
        }
    })
}

async fn part(
    db: &Db,
    mut filter: Filter,
    format: Format,
) -> Result<Option<(Bytes, Next)>, db::Error> {
    let mut reader = db.reader().await?;
    let found = audit::list(&mut reader, &filter, PART).await?;
    drop(reader);
    let Some(last) = found.last() else {
        return Ok(None);
    };
    filter.before = Some(last.entry.id);
    let next = match found.len() as i64 {
        PART => Next::Part(filter),
        _ => Next::End,
    };
    let lines = found.into_iter().map(|listed| format.line(listed.into()));
    Ok(Some((lines.collect::<String>().into(), next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_whatever_they_hold() {
        assert_eq!(
            row(["a", "b,c", "d\"e", "f\ng"]),
            "\"a\",\"b,c\",\"d\"\"e\",\"f\ng\"\r\n"
        );
    }
}
