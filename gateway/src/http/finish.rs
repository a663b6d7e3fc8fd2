//! The end of a request: its metrics, and its line of the access log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::MatchedPath;
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use tracing::Span;

use crate::access_log::Entry;
use crate::app::App;
use crate::route::{RouteName, route_name};
use crate::wire::Served;

/// The status logged and counted for a request that its client cancelled before the answer.
const GIVEN_UP: u16 = 499;

/// All that is known about a request. If it is dropped before there is an answer, the client has cancelled.
pub(crate) struct Finish {
    pub(crate) began: Instant,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) route: RouteName,
    /// The template of a route of the REST API.
    pub(crate) template: Option<MatchedPath>,
    /// `None` before there is an answer.
    pub(crate) status: Option<StatusCode>,
    pub(crate) address: IpAddr,
    /// The name of the request's caller.
    pub(crate) principal: Option<Arc<str>>,
    /// The database statements of a request to the REST API.
    pub(crate) statements: u64,
    pub(crate) id: HeaderValue,
    pub(crate) app: Arc<App>,
    /// Ends with the answer's last byte.
    pub(crate) _served: Served,
    /// Also ends then.
    pub(crate) span: Span,
}

impl Drop for Finish {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.route = route_name(&self.method, self.uri.path());
            self.record();
            self.end(0, false);
        }
    }
}

impl Finish {
    /// Called when there is an answer, which is sent from now on.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.record();
    }

    fn record(&self) {
        self.span.record("http.route", self.label());
        self.span.record("http.response.status_code", self.status());
    }

    /// The template of the request's route.
    fn label(&self) -> &str {
        let template = self.template.as_ref().map(MatchedPath::as_str);
        template.unwrap_or(self.route.as_str())
    }

    fn status(&self) -> u16 {
        match self.status {
            Some(status) => status.as_u16(),
            None if std::thread::panicking() => StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
            None => GIVEN_UP,
        }
    }

    /// The last byte is sent, or never will be.
    pub(crate) fn end(&self, sent: u64, cut: bool) {
        let took = self.began.elapsed();
        self.app.metrics.request(
            (self.route, self.label()),
            &self.method,
            self.status(),
            took,
            sent,
        );
        if self.route == RouteName::Api {
            let counter = &self.app.metrics.statements;
            counter
                .with_label_values(&[self.label()])
                .inc_by(self.statements);
        }
        if let Some(log) = &self.app.access_log {
            log.line(&Entry {
                at: self.app.clock.now(),
                method: &self.method,
                path: self.uri.path(),
                version: self.version,
                address: self.address,
                principal: self.principal.as_deref(),
                id: &self.id,
                status: self.status(),
                took,
                sent,
                cut,
            });
        }
    }
}
