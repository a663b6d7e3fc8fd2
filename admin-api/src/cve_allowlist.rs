//! Vulnerabilities that the whole installation accepts. They are stored, but not used until images are scanned.

use axum::Json;
use axum::extract::State;
use model::Timestamp;
use policy::{SignedIn, SystemPermit};
use serde::{Deserialize, Serialize};
use tenancy::cve_allowlist;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::{App, Error};

/// The list in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = CVEAllowlist)]
pub(crate) struct View {
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    items: Vec<Item>,
    update_time: String,
}

/// The body of `PUT /system/CVEAllowlist`.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = SystemAllowlistRequest)]
pub(crate) struct AllowlistRequest {
    expires_at: Option<i64>,
    items: Option<Vec<Item>>,
}

/// A vulnerability.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = CVEAllowlistItem)]
struct Item {
    cve_id: String,
}

impl BodyOf for AllowlistRequest {
    const NAME: &'static str = "allowlist";
}

/// Returns the vulnerabilities that the whole installation accepts.
#[utoipa::path(
    get, path = "/api/v2.0/system/CVEAllowlist", operation_id = "getSystemCVEAllowlist", tag = "SystemCVEAllowlist",
    responses((status = 200, description = "The list.", body = View))
)]
pub(crate) async fn get(_: Granted<SignedIn>, State(app): App) -> Rendered<View> {
    let list = cve_allowlist::get(&mut app.db.reader().await?).await?;
    let time = |at: i64| match at {
        0 => "0001-01-01T00:00:00.000Z".to_owned(),
        at => Timestamp(at).to_string(),
    };
    let items = list.items.into_iter().map(|cve_id| Item { cve_id });
    Ok(Json(View {
        creation_time: time(list.created_at),
        expires_at: list.expires_at,
        id: (list.created_at != 0).then_some(1),
        items: items.collect(),
        update_time: time(list.updated_at),
    }))
}

/// Replaces the vulnerabilities that the whole installation accepts.
#[utoipa::path(
    put, path = "/api/v2.0/system/CVEAllowlist", operation_id = "putSystemCVEAllowlist", tag = "SystemCVEAllowlist",
    request_body = AllowlistRequest,
    responses((status = 200, description = "Replaced."))
)]
pub(crate) async fn update(
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
    body: Unread<AllowlistRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let items = body.items.unwrap_or_default();
    let items: Vec<String> = items.into_iter().map(|item| item.cve_id).collect();
    cve_allowlist::check(&items).map_err(|invalid| Error::BadRequest(invalid.to_string()))?;
    let now = app.clock.now();
    Ok(cve_allowlist::set(&app.db, &permit, items, body.expires_at, now).await?)
}
