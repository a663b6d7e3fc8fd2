//! What can be asked of registries: filters, triggers, and kinds of them.

use axum::Json;
use axum::extract::State;
use model::replication::RegistryKind;
use policy::{SystemPermit, system, to};
use remote::{Patience, Target};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{RegistryRef, find};
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::{AdminState, App};

/// What policies with a registry may have.
#[derive(Serialize, ToSchema)]
pub(crate) struct RegistryInfo {
    /// Empty.
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'static str,
    supported_copy_by_chunk: bool,
    supported_resource_filters: Vec<FilterStyle>,
    supported_triggers: Vec<&'static str>,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A filter, and how it is given.
#[derive(Serialize, ToSchema)]
pub(crate) struct FilterStyle {
    style: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    values: Option<Vec<String>>,
}

/// Returns what policies with a registry may have.
#[utoipa::path(
    get, path = "/api/v2.0/registries/{id}/info", operation_id = "getRegistryInfo", tag = "registry",
    responses((status = 200, description = "Filters and triggers.", body = RegistryInfo))
)]
pub(crate) async fn info(
    RegistryRef(id): RegistryRef,
    _: Granted<SystemPermit<(system::Registry, to::Read)>>,
    State(app): App,
) -> Rendered<RegistryInfo> {
    let (kind, labels) = match id.0 {
        0 => (RegistryKind::Harbor, own_labels(&app).await?),
        _ => {
            let found = find(&app, id).await?;
            (found.kind, labels_of(&app, &found).await)
        }
    };
    let mut supported_triggers = vec!["manual", "scheduled"];
    if id.0 == 0 {
        supported_triggers.push("event_based");
    }
    Ok(Json(RegistryInfo {
        description: "",
        supported_copy_by_chunk: true,
        supported_resource_filters: filters(kind, labels),
        supported_triggers,
        kind: kind.name(),
    }))
}

fn filters(kind: RegistryKind, labels: Vec<String>) -> Vec<FilterStyle> {
    let style = |kind, style, values| FilterStyle {
        style,
        kind,
        values,
    };
    let mut filters = vec![style("name", "input", None), style("tag", "input", None)];
    if kind.has_projects() {
        let kinds = vec!["image".to_owned(), "artifact".to_owned()];
        filters.push(style("label", "list", Some(labels)));
        filters.push(style("resource", "radio", Some(kinds)));
    }
    filters
}

async fn own_labels(app: &AdminState) -> Result<Vec<String>, crate::Error> {
    let mut reader = app.db.reader().await?;
    let page = db::list::Selection {
        page: db::list::Page {
            offset: 0,
            limit: Some(1_000),
        },
        ..db::list::Selection::all()
    };
    let (labels, _) = db::label::list(&mut reader, None, &page).await?;
    Ok(labels.into_iter().map(|label| label.name).collect())
}

/// Labels of another registry; none where it does not answer.
async fn labels_of(app: &AdminState, registry: &db::registry::Registry) -> Vec<String> {
    if !registry.kind.has_projects() {
        return Vec::new();
    }
    let guard = app.identity.directory().guard();
    let target = Target::of(registry, &app.master);
    let Ok(remote) = target.and_then(|target| target.connect(guard, Patience::TRYING)) else {
        return Vec::new();
    };
    let within = std::time::Duration::from_secs(10);
    let labels = tokio::time::timeout(within, remote.global_labels()).await;
    labels.ok().and_then(Result::ok).unwrap_or_default()
}

/// Lists the kinds of registries that are spoken to.
#[utoipa::path(
    get, path = "/api/v2.0/replication/adapters", operation_id = "listRegistryProviderTypes", tag = "registry",
    responses((status = 200, description = "Their names.", body = Vec<String>))
)]
pub(crate) async fn adapters(
    _: Granted<SystemPermit<(system::ReplicationAdapter, to::List)>>,
) -> Rendered<Vec<&'static str>> {
    Ok(Json(RegistryKind::ALL.map(RegistryKind::name).to_vec()))
}

/// Returns where registries of a kind are, and how one signs in there, for those kinds for which that is known.
#[utoipa::path(
    get, path = "/api/v2.0/replication/adapterinfos", operation_id = "listRegistryProviderInfos", tag = "registry",
    responses((status = 200, description = "By the names of the kinds.", body = Object))
)]
pub(crate) async fn adapter_infos(
    _: Granted<SystemPermit<(system::ReplicationAdapter, to::List)>>,
) -> Rendered<Value> {
    let place = |name: &str| json!({"key": name, "value": format!("https://{name}")});
    let google = ["gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io"].map(place);
    Ok(Json(json!({
        "docker-hub": {
            "endpoint_pattern": {
                "endpoint_type": "EndpointPatternTypeFix",
                "endpoints": [place("hub.docker.com")],
            },
            "credential_pattern": null,
        },
        "github-ghcr": {
            "endpoint_pattern": {
                "endpoint_type": "EndpointPatternTypeFix",
                "endpoints": [place("ghcr.io")],
            },
            "credential_pattern": null,
        },
        "google-gcr": {
            "endpoint_pattern": {
                "endpoint_type": "EndpointPatternTypeList",
                "endpoints": google,
            },
            "credential_pattern": {
                "access_key_type": "AccessKeyTypeFix",
                "access_key_data": "_json_key",
                "access_secret_type": "AccessSecretTypeFile",
                "access_secret_data": "No Change",
            },
        },
    })))
}
