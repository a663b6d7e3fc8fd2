//! Changing single settings of a project.

use std::collections::BTreeMap;

use axum::extract::State;
use policy::{on, to};
use serde::Deserialize;
use serde_json::json;
use tenancy::project::{Changes, setting};
use utoipa::ToSchema;

use super::Metadata;
use crate::allowed::Allowed;
use crate::json::{BodyOf, Unread};
use crate::param::MetadataName;
use crate::{App, Error};

/// Values by name.
#[derive(Default, Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Pairs(BTreeMap<String, String>);

impl BodyOf for Pairs {
    const NAME: &'static str = "metadata";
}

/// The settings that a project can have.
const NAMES: [&str; 9] = [
    "public",
    "enable_content_trust",
    "enable_content_trust_cosign",
    "prevent_vul",
    "severity",
    "auto_scan",
    "auto_sbom_generation",
    "reuse_sys_cve_allowlist",
    "retention_id",
];

/// A setting by its name.
fn changes(name: &str, value: &str) -> Result<Changes, Error> {
    if !NAMES.contains(&name) {
        let names = NAMES.join(", ");
        let message = format!("metadata.{name}: there is no such setting, but {names}");
        return Err(Error::BadRequest(message));
    }
    let metadata: Metadata = serde_json::from_value(json!({ name: value }))
        .map_err(|error| Error::BadRequest(format!("metadata.{name}: {error}")))?;
    metadata.check(None)
}

/// Gives a project one setting that it does not have.
#[utoipa::path(
    post, path = "/api/v2.0/projects/{project_name_or_id}/metadatas", operation_id = "addProjectMetadata", tag = "project",
    request_body = Pairs,
    responses((status = 200, description = "Added."))
)]
pub(crate) async fn add(
    Allowed { permit, .. }: Allowed<on::Metadata, to::Create>,
    State(app): App,
    body: Unread<Pairs>,
) -> Result<(), Error> {
    let (permit, Pairs(pairs)) = body.read(&app, permit).await?;
    let mut pairs = pairs.iter();
    let (Some((name, value)), None) = (pairs.next(), pairs.next()) else {
        let message = "only allow one key/value pair";
        return Err(Error::BadRequest(message.to_owned()));
    };
    let new = changes(name, value)?;
    Ok(setting::add(&app.db, &permit, new, app.clock.now()).await?)
}

/// Sets one setting of a project; the body has its value under its name.
#[utoipa::path(
    put, path = "/api/v2.0/projects/{project_name_or_id}/metadatas/{meta_name}", operation_id = "updateProjectMetadata", tag = "project",
    request_body = Pairs,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn set(
    MetadataName(name): MetadataName,
    Allowed { permit, .. }: Allowed<on::Metadata, to::Update>,
    State(app): App,
    body: Unread<Pairs>,
) -> Result<(), Error> {
    let (permit, Pairs(pairs)) = body.read(&app, permit).await?;
    let value = pairs.get(&name).ok_or_else(|| {
        Error::BadRequest(format!("metadata.{name}: the body must have its value"))
    })?;
    let changes = changes(&name, value)?;
    Ok(setting::set(&app.db, &permit, changes, app.clock.now()).await?)
}

/// Removes one setting of a project; 200 also if it does not have it.
#[utoipa::path(
    delete, path = "/api/v2.0/projects/{project_name_or_id}/metadatas/{meta_name}", operation_id = "deleteProjectMetadata", tag = "project",
    responses((status = 200, description = "Removed."))
)]
pub(crate) async fn remove(
    MetadataName(name): MetadataName,
    Allowed { permit, .. }: Allowed<on::Metadata, to::Delete>,
    State(app): App,
) -> Result<(), Error> {
    if name == "public" {
        let message = "metadata.public: a project is public or not: set it to false";
        return Err(Error::BadRequest(message.to_owned()));
    }
    if name == "retention_id" {
        let message = "metadata.retention_id: goes with the policy: delete that";
        return Err(Error::BadRequest(message.to_owned()));
    }
    Ok(setting::remove(&app.db, &permit, name, app.clock.now()).await?)
}
