//! Requests for lists, and their responses with count, links and warnings.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use db::list::{Field, Page, Selection};
use http::header::{LINK, WARNING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::caller::By;
use crate::input::{Input, in_query};
use crate::page::{Far, Paging};
use crate::param::Params;
use crate::query::Query;
use crate::room::Room;
use crate::{AdminState, Error};

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
/// Marks a total as not exact.
const ESTIMATED: HeaderName = HeaderName::from_static("x-total-count-estimated");

/// The requested part of a list, and its order.
pub(crate) struct Listing {
    path: String,
    /// All parameters.
    pub(crate) params: Params,
    paging: Paging,
    /// `q` and `sort`.
    pub(crate) query: Query,
    /// Memory for the page.
    pub(crate) room: Room,
}

impl Input for Listing {
    fn parameters() -> Vec<Parameter> {
        vec![
            in_query("page", Type::Integer, "The page, from 1."),
            in_query(
                "page_size",
                Type::Integer,
                "Rows of a page: 10 by default, at most 100; 0 or less for all rows, 1,000 at a time.",
            ),
            in_query(
                "q",
                Type::String,
                "Conditions `k=v`, `k=~v`, `k=[a~b]` and `k={a b}`, separated by commas; `\\,` is a comma of a value.",
            ),
            in_query(
                "sort",
                Type::String,
                "Fields to sort by, separated by commas; with `-` in front, in descending order.",
            ),
        ]
    }
}

impl FromRequestParts<Arc<AdminState>> for Listing {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        // First, so that a malformed request is logged with its caller too.
        let By(caller) = By::from_request_parts(parts, app).await?;
        let params = Params::from_request_parts(parts, app).await?;
        let (paging, query) = (Paging::parse(&params)?, Query::parse(&params)?);
        Ok(Self {
            path: parts.uri.path().to_owned(),
            room: Room::for_rows(app, &caller, paging.most()).await?,
            paging,
            query,
            params,
        })
    }
}

impl Listing {
    /// The rows to read.
    pub(crate) fn rows(&self) -> Page {
        self.paging.rows()
    }

    /// The rows to read of a list with `fields`, and their order.
    pub(crate) fn select(&mut self, fields: &[Field]) -> Result<Selection, Error> {
        self.query.select(fields, self.paging.rows())
    }

    /// The response: these rows, out of `total`.
    pub(crate) fn answer<T: Serialize>(self, rows: &[T], total: i64) -> Response {
        let headers = HeaderMap::from_iter([(TOTAL_COUNT, HeaderValue::from(total))]);
        let link = self.paging.links(&self.path, &self.params, total);
        let warnings = [self.query.warning(), self.paging.warning(total)];
        self.respond(headers, rows, (link, warnings))
    }

    /// The response of a list that may be long: these rows, out of about so many.
    pub(crate) fn answer_far<T: Serialize>(self, rows: &[T], far: Far) -> Response {
        let mut headers = HeaderMap::from_iter([(TOTAL_COUNT, HeaderValue::from(far.total))]);
        if far.is_estimate {
            headers.insert(ESTIMATED, HeaderValue::from_static("true"));
        }
        let link = self.paging.far_links(&self.path, &self.params, &far);
        let searched = far.searched_since.map(|since| {
            format!("299 gantry \"searched since {since} only: give op_time=[FROM~TO] for another time\"")
        });
        let warnings = [
            self.query.warning(),
            self.paging.warning(far.total),
            searched,
        ];
        self.respond(headers, rows, (link, warnings))
    }

    fn respond<T: Serialize>(
        self,
        mut headers: HeaderMap,
        rows: &[T],
        (link, warnings): (Option<String>, impl IntoIterator<Item = Option<String>>),
    ) -> Response {
        let warnings: Vec<String> = warnings.into_iter().flatten().collect();
        let warning = (!warnings.is_empty()).then(|| warnings.join(", "));
        for (name, text) in [(LINK, link), (WARNING, warning)] {
            // A value that is not valid in a header is left out; both headers are hints.
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(name, value);
            }
        }
        (headers, self.room.held(), Json(rows)).into_response()
    }
}
