//! The types of events that settings and purges of the audit log name.

use axum::Json;
use model::EVENT_TYPES;
use policy::{SystemPermit, system, to};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::error::Rendered;

/// A type of events.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditLogEventType)]
pub(crate) struct View {
    event_type: &'static str,
}

/// Lists the types of events that the setting `disabled_audit_log_event_types` and purges name.
#[utoipa::path(
    get, path = "/api/v2.0/auditlog-exts/events", operation_id = "listAuditLogEventTypes", tag = "auditlog",
    responses((status = 200, description = "The types.", body = Vec<View>))
)]
pub(crate) async fn list(
    _: Granted<SystemPermit<(system::AuditLog, to::List)>>,
) -> Rendered<Vec<View>> {
    let views = EVENT_TYPES.iter().map(|event_type| View { event_type });
    Ok(Json(views.collect()))
}
