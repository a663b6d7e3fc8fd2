//! One action on many items. Each is handled under the caller's own permit, in a transaction of its own and with an
//! event of its own, exactly like a request of its own; a refusal of one does not stop the others.

mod action;

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Extensions, Method, StatusCode};
use policy::SignedIn;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::action::Action;
use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::{App, Error, read_only};

/// Maximum items of a request.
const MOST: usize = 100;
/// Time after which no further item is started: before clients and balancers give up.
const SPELL: Duration = Duration::from_secs(30);

/// The body of `POST /bulk`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct BulkRequest {
    /// `delete_artifacts`, `delete_tags`, `delete_repositories`, `add_label` or `remove_label`.
    action: Option<String>,
    /// Whether to delete artifacts even if they have other tags besides the one that names them.
    force: Option<bool>,
    /// The items: `team/app@sha256:…` or `team/app:v1` for artifacts, `team/app:v1` for tags, `team/app` for
    /// repositories. At most 100.
    items: Option<Vec<String>>,
    /// The label to add or remove.
    label_id: Option<i64>,
}

impl BodyOf for BulkRequest {
    const NAME: &'static str = "bulk";
}

/// The result for one item.
#[derive(Serialize, ToSchema)]
struct BulkResult {
    /// The code of the error, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    item: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The status that its own request would have got; 504 if there was no time for it.
    status: u16,
    /// Tags that were deleted with an artifact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

/// The results for all items.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkResults {
    /// How many succeeded.
    done: usize,
    /// In the order of the request.
    results: Vec<BulkResult>,
}

impl BulkResult {
    fn new(item: String, outcome: Result<Vec<String>, Error>) -> Self {
        match outcome {
            Ok(tags) => Self {
                code: None,
                item,
                message: None,
                status: StatusCode::OK.as_u16(),
                tags,
            },
            Err(error) => {
                let (status, code, message) = error.told();
                Self {
                    code: Some(code),
                    item,
                    message: Some(message),
                    status: status.as_u16(),
                    tags: Vec::new(),
                }
            }
        }
    }

    fn left_out(item: String) -> Self {
        Self {
            code: Some("TIMEOUT"),
            item,
            message: Some("there was no time left: ask for it again".to_owned()),
            status: StatusCode::GATEWAY_TIMEOUT.as_u16(),
            tags: Vec::new(),
        }
    }
}

/// In the extensions of a response, for the history: a part of the request was refused.
#[derive(Clone, Copy, Debug)]
pub struct PartlyRefused;

/// Applies one action to many items, each under the caller's own permissions: deletes artifacts, tags or repositories,
/// or adds or removes a label. The answer has a result for each. An artifact that has other tags besides the one that
/// names it is deleted only with `force`. After 30 s no further item is started.
#[utoipa::path(
    post, path = "/api/ext/v1/bulk", operation_id = "runBulk", tag = "bulk", request_body = BulkRequest,
    responses((status = 200, description = "What came of each.", body = BulkResults))
)]
pub(crate) async fn run(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
    body: Unread<BulkRequest>,
) -> Result<Response, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let action = Action::parse(body.action.as_deref(), body.label_id, body.force)?;
    let items = body.items.unwrap_or_default();
    if items.is_empty() || items.len() > MOST {
        return Err(Error::Validation(format!(
            "items in body should have 1 to {MOST} entries"
        )));
    }
    let (begun, mut results) = (Instant::now(), Vec::with_capacity(items.len()));
    for item in items {
        if begun.elapsed() >= SPELL {
            results.push(BulkResult::left_out(item));
            continue;
        }
        // Read-only mode may have been switched on since.
        let outcome = match read_only::check(&app, &Method::POST, &Extensions::new()) {
            Ok(()) => action.run(&app, permit.caller(), &item).await,
            Err(error) => Err(error),
        };
        results.push(BulkResult::new(item, outcome));
    }
    let is_done = |result: &&BulkResult| result.code.is_none();
    let is_refused = |result: &BulkResult| result.status == StatusCode::FORBIDDEN.as_u16();
    let is_partly_refused = results.iter().any(is_refused);
    let done = results.iter().filter(is_done).count();
    let mut response = Json(BulkResults { done, results }).into_response();
    if is_partly_refused {
        response.extensions_mut().insert(PartlyRefused);
    }
    Ok(response)
}
