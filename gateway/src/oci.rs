//! The registry API: authenticates the caller, checks permissions, and calls the operation.

mod access;
mod blob;
mod catalog;
mod manifest;
mod redirect;
mod referrers;
mod tag;
mod upload;

use std::net::IpAddr;
use std::sync::Arc;

use auth::{Place, Sender};
use db::Age;
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use model::RepositoryName;
use policy::Caller;

use crate::app::App;
use crate::http::answer::json;
use crate::http::header::{authorization, text};
use crate::http::host::external_host;
use crate::http::peer::Peer;
use crate::http::query::{pairs, refuse_many};
use crate::http::request_body::RequestBody;
use crate::http::response_body::Body;
use crate::oci_error::{Challenge, OciError};
use crate::route::{BadRoute, Route};

/// Header that docker expects.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// Header with the digest of a body.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Number of headers in the answer to a pull, so that the map is allocated once.
const HEADERS: usize = 16;

type Answer = Result<Response<Body>, OciError>;

/// A request with its caller.
struct Call<'a> {
    app: &'a Arc<App>,
    caller: Caller,
    /// The challenge for a refused caller.
    challenge: Challenge,
    method: Method,
    headers: HeaderMap,
    query: Vec<(String, String)>,
}

/// Answers a request below `/v2`. The answer's extensions hold the [`Caller`] if it is known.
pub(crate) async fn answer(
    app: &Arc<App>,
    (peer, address): (&Peer, IpAddr),
    route: Result<Route, BadRoute>,
    request: Request<RequestBody>,
) -> Response<Body> {
    let mut response = match route {
        Ok(route) => operate(app, (peer, address), route, request)
            .await
            .unwrap_or_else(OciError::response),
        Err(bad) => OciError::Route(bad).response(),
    };
    response
        .headers_mut()
        .insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

async fn operate(
    app: &Arc<App>,
    (peer, address): (&Peer, IpAddr),
    route: Route,
    request: Request<RequestBody>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let host = external_host(app, &parts.uri, &parts.headers);
    let query = parameters(&route, &parts)?;
    let scope = scope(&route, &parts.method, &query);
    let challenge = Challenge {
        host,
        scope,
        error: None,
    };
    let authorization = authorization(&parts.headers);
    let age = age(&route, &parts.method);
    let caller = match authorization {
        Ok(authorization) => {
            let sender = Sender::of(address, &parts.headers).at(Place::Tools);
            app.identity.caller(authorization, sender, age).await
        }
        Err(malformed) => Err(malformed),
    };
    let caller = caller.map_err(|error| OciError::Identity(error, challenge.clone()))?;
    let caller = match &peer.certificate {
        None => caller,
        Some(presented) => {
            let headers = &parts.headers;
            let caller = Box::pin(presented.caller(app, (caller, headers), age)).await;
            caller.map_err(|not| OciError::without_caller(not, &challenge))?
        }
    };
    let call = Call {
        app,
        caller,
        challenge,
        method: parts.method,
        headers: parts.headers,
        query,
    };
    let pushed_to = pushed_to(&route, &call.method);
    let answer = match call.refuse_writing() {
        // Of a size of its own: it would make the future of every request as large.
        Ok(()) => Box::pin(call.answer(route, body)).await,
        Err(refused) => Err(refused),
    };
    let over_quota = match (&answer, pushed_to) {
        (Err(OciError::Registry(error @ registry::Error::QuotaExceeded(_))), Some(name)) => {
            Some((name, error.to_string()))
        }
        _ => None,
    };
    if let Some((name, why)) = over_quota {
        Box::pin(call.record_over_quota(&name, &why)).await;
    }
    let mut response = answer.unwrap_or_else(OciError::response);
    response.extensions_mut().insert(call.caller);
    Ok(response)
}

/// How old a caller's rights may be; for a pull, a moment.
fn age(route: &Route, method: &Method) -> Age {
    let read = match route {
        Route::Manifest(..) | Route::Blob(..) | Route::Tags(_) | Route::Referrers(..) => true,
        Route::Catalog => true,
        Route::Base | Route::UploadStart(_) | Route::Upload(..) => false,
    };
    if read && (method == Method::GET || method == Method::HEAD) {
        Age::Moments
    } else {
        Age::Now
    }
}

/// The repository into which a request pushes, if it does.
fn pushed_to(route: &Route, method: &Method) -> Option<RepositoryName> {
    let writes = method == Method::PUT || method == Method::POST || method == Method::PATCH;
    match route {
        Route::Manifest(name, _) | Route::UploadStart(name) | Route::Upload(name, _) if writes => {
            Some(name.clone())
        }
        _ => None,
    }
}

/// What a mount needs.
fn mount_scope(target: &RepositoryName, source: &RepositoryName) -> String {
    format!("repository:{target}:pull,push repository:{source}:pull")
}

/// The parameters of a request. A pull has none, and holds none while it waits for memory.
fn parameters(route: &Route, parts: &Parts) -> Result<Vec<(String, String)>, OciError> {
    let query = parts.uri.query().unwrap_or_default();
    let is_pull = match route {
        Route::Base | Route::Blob(..) => true,
        Route::Manifest(..) => parts.method != Method::PUT,
        Route::Catalog
        | Route::UploadStart(_)
        | Route::Upload(..)
        | Route::Tags(_)
        | Route::Referrers(..) => false,
    };
    if is_pull {
        refuse_many(query)?;
        return Ok(Vec::new());
    }
    Ok(pairs(query)?)
}

fn scope(route: &Route, method: &Method, query: &[(String, String)]) -> Option<String> {
    let on = |name: &RepositoryName, actions: &str| Some(format!("repository:{name}:{actions}"));
    match route {
        Route::Base => None,
        Route::Catalog => Some("registry:catalog:*".to_owned()),
        Route::UploadStart(name) => {
            let from = query.iter().find(|(key, _)| key == "from");
            match from.and_then(|(_, source)| source.parse().ok()) {
                Some(source) => Some(mount_scope(name, &source)),
                None => on(name, "pull,push"),
            }
        }
        Route::Upload(name, _) => on(name, "pull,push"),
        Route::Manifest(name, _) | Route::Blob(name, _) => match *method {
            Method::PUT => on(name, "pull,push"),
            Method::DELETE => on(name, "delete"),
            _ => on(name, "pull"),
        },
        Route::Tags(name) | Route::Referrers(name, _) => on(name, "pull"),
    }
}

impl Call<'_> {
    /// Refuses all writes while the `read_only` setting is on.
    fn refuse_writing(&self) -> Result<(), OciError> {
        let reads = self.method == Method::GET || self.method == Method::HEAD;
        if !reads && self.app.settings.current().read_only {
            return Err(OciError::ReadOnly);
        }
        Ok(())
    }

    /// Pulls are small; larger futures are boxed, so that they do not enlarge the future of every request.
    async fn answer(&self, route: Route, body: RequestBody) -> Answer {
        match route {
            Route::Base => self.base(),
            Route::Catalog => Box::pin(self.catalog()).await,
            Route::Manifest(name, reference) => match self.method {
                Method::PUT => Box::pin(self.put_manifest(name, reference, body)).await,
                Method::DELETE => Box::pin(self.delete_manifest(name, reference)).await,
                _ => self.get_manifest(name, reference).await,
            },
            Route::Blob(name, digest) => match self.method {
                Method::DELETE => Box::pin(self.delete_blob(name, digest)).await,
                _ => self.get_blob(name, digest).await,
            },
            Route::UploadStart(name) => Box::pin(self.start_upload(name, body)).await,
            Route::Upload(name, id) => match self.method {
                Method::PATCH => Box::pin(self.append_upload(name, &id, body)).await,
                Method::PUT => Box::pin(self.finish_upload(name, &id, body)).await,
                Method::DELETE => Box::pin(self.cancel_upload(name, &id)).await,
                _ => Box::pin(self.upload_status(name, &id)).await,
            },
            Route::Tags(name) => Box::pin(self.tags(name)).await,
            Route::Referrers(name, digest) => Box::pin(self.referrers(name, digest)).await,
        }
    }

    /// `GET /v2/`: checks the credentials.
    fn base(&self) -> Answer {
        if !self.caller.is_signed_in() {
            return Err(self.challenged(None, "access the registry"));
        }
        Ok(json(StatusCode::OK, &serde_json::json!({})))
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The page that `n` and `last` ask for.
    fn page(&self) -> Result<(Option<&str>, i64), OciError> {
        /// Maximum and default number of names on a page.
        const LIMIT: i64 = 1_000;
        let asked = match self.parameter("n") {
            None => LIMIT,
            Some(text) => text
                .parse::<i64>()
                .ok()
                .filter(|n| *n >= 0)
                .ok_or_else(|| {
                    OciError::bad(
                        "PAGINATION_NUMBER_INVALID",
                        "n must be a number of 0 or more",
                    )
                })?,
        };
        let last = self.parameter("last");
        if last.is_some_and(|last| last.contains('\0')) {
            let message = "last must not contain NUL";
            return Err(OciError::bad("UNSUPPORTED", message));
        }
        Ok((last, asked.min(LIMIT)))
    }
}

/// A page of names with a link to the next one.
fn names(
    path: &str,
    mut body: serde_json::Value,
    (key, names): (&str, registry::catalog::Names),
    limit: i64,
) -> Response<Body> {
    let last = names.names.last().cloned();
    body[key] = names.names.into();
    let mut response = json(StatusCode::OK, &body);
    if let Some(last) = last.filter(|_| names.more) {
        let last = percent_encoding::utf8_percent_encode(&last, percent_encoding::NON_ALPHANUMERIC);
        let link = format!(r#"<{path}?last={last}&n={limit}>; rel="next""#);
        response.headers_mut().insert(header::LINK, text(link));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_bounded_and_a_pull_keeps_none() {
        let asked = |route: &str, query: &str| {
            let uri = format!("{route}?{query}");
            let request = Request::get(&uri).body(()).unwrap();
            let (_, route) = crate::route::parse(&Method::GET, route);
            parameters(&route.unwrap(), &request.into_parts().0).map(|pairs| pairs.len())
        };
        let many = |count: usize| vec!["a"; count].join("&");
        let (tags, manifest) = ("/v2/a/b/tags/list", "/v2/a/b/manifests/c");
        assert_eq!(asked(tags, &many(256)).ok(), Some(256));
        assert_eq!(asked(manifest, &many(256)).ok(), Some(0));
        assert!(asked(tags, &many(257)).is_err());
        assert!(asked(manifest, &many(31_000)).is_err());
    }
}
