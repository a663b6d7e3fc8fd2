//! What this server can do beyond Harbor's API, so that pages can omit missing features.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Everyone;

/// The features, each with the version of its requests and answers.
const FEATURES: [(&str, u32); 23] = [
    ("access_explain", 1),
    ("access_matrix", 1),
    ("audit_export", 1),
    ("audit_series", 1),
    ("bulk", 1),
    ("certificates", 1),
    ("favourites", 1),
    ("home", 1),
    ("jobs", 1),
    ("notices", 1),
    ("own_access", 1),
    ("preferences", 1),
    ("project_stats", 1),
    ("replication", 1),
    ("robot_usage", 1),
    ("search", 1),
    ("sessions", 1),
    ("series", 1),
    ("storage", 1),
    ("tag_history", 1),
    ("tags", 1),
    ("usage", 1),
    ("webhooks", 1),
];

/// The answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Capabilities {
    /// Features by their names, with their versions.
    features: BTreeMap<&'static str, u32>,
}

/// Lists what this server can do beyond Harbor's API, with versions. Features that are not listed do not exist.
#[utoipa::path(
    get, path = "/api/ext/v1/capabilities", operation_id = "getCapabilities", tag = "capabilities",
    responses((status = 200, description = "The features.", body = Capabilities))
)]
pub(crate) async fn list(_: Everyone) -> Json<Capabilities> {
    let features = FEATURES.into_iter().collect();
    Json(Capabilities { features })
}
