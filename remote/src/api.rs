//! Harbor's REST API, which Gantry serves too: requests with name and password, and pages.

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::bounds::Bounds;
use crate::client::{Answer, Ask};
use crate::list::NO_PAGE;
use crate::{Remote, Result};

/// Rows of a page.
const PAGE: usize = 100;

/// What stays as it is (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text as a part of a path or query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

impl Remote {
    /// A request to the API.
    pub(crate) fn call<'a>(method: Method, path: &str, what: &'a str) -> Ask<'a> {
        let mut ask = Ask::new(method, format!("/api/v2.0{path}"), what);
        ask.is_api = true;
        ask
    }

    /// A request with a JSON body.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        what: &str,
    ) -> Result<Answer> {
        let ask = Self::call(Method::POST, path, what)
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()));
        self.ask(ask).await
    }

    /// All rows of a list; `None` where there is no such list.
    pub(crate) async fn rows<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &str,
    ) -> Result<Option<Vec<T>>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let (mut all, mut bounds) = (Vec::new(), Bounds::LIST);
        for page in 1.. {
            let at = format!("{path}{joint}page={page}&page_size={PAGE}");
            let answer = match self.listed(Self::call(Method::GET, &at, what)).await? {
                Some(answer) => answer,
                None if page == 1 => return Ok(None),
                None => return Err(self.protocol(what, NO_PAGE.to_owned())),
            };
            let rows: Vec<T> = serde_json::from_slice(&answer.body)
                .map_err(|error| self.protocol(what, error.to_string()))?;
            self.bounded(&mut bounds, (rows.len(), answer.body.len()), what)?;
            let is_last = rows.len() < PAGE;
            all.extend(rows);
            if is_last {
                break;
            }
        }
        Ok(Some(all))
    }
}
