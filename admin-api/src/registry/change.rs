//! Changing and removing registries.

use axum::extract::State;
use db::registry::{self as registries, Registry};
use policy::{SystemPermit, system, to};
use serde::Deserialize;
use tenancy::registry::NewSecret;
use utoipa::ToSchema;

use super::{
    HIDDEN, LONGEST_TEXT, RegistryRef, Wanted, authorities, find, name, secret, short, url,
};
use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::{App, Error};

/// What is changed of a registry; what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct RegistryUpdate {
    name: Option<String>,
    description: Option<String>,
    url: Option<String>,
    /// `basic`; it has no effect.
    credential_type: Option<String>,
    access_key: Option<String>,
    access_secret: Option<String>,
    insecure: Option<bool>,
    ca_certificate: Option<String>,
}

impl BodyOf for RegistryUpdate {
    const NAME: &'static str = "registry";
}

/// Changes a registry, once it has answered as it is then. With another URL, the stored secret is not sent there: give it
/// again.
#[utoipa::path(
    put, path = "/api/v2.0/registries/{id}", operation_id = "updateRegistry", tag = "registry",
    request_body = RegistryUpdate,
    responses(
        (status = 200, description = "Changed."),
        (status = 400, description = "It does not answer, or not as it is set; the message says why, and what to do."),
    )
)]
pub(crate) async fn update(
    RegistryRef(id): RegistryRef,
    Granted(permit): Granted<SystemPermit<(system::Registry, to::Update)>>,
    State(app): App,
    body: Unread<RegistryUpdate>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let before = find(&app, id).await?;
    let wanted = wanted(&before, body)?;
    let Wanted { content, secret } = wanted.answering(&app, Some(&before)).await?;
    let (at, now) = ((&app.db, &app.master), app.clock.now());
    Ok(tenancy::registry::change(at, &permit, id, (content, secret), now).await?)
}

fn wanted(before: &Registry, body: RegistryUpdate) -> Result<Wanted, Error> {
    let _ = body.credential_type;
    let url = match body.url.as_deref() {
        Some(text) => url(Some(text))?,
        None => before.url.clone(),
    };
    let access_key = body.access_key.unwrap_or_else(|| before.access_key.clone());
    short("access_key", &access_key, LONGEST_TEXT)?;
    let given = body.access_secret.filter(|text| text != HIDDEN);
    let secret = match given {
        _ if access_key.is_empty() => NewSecret::Removed,
        Some(text) if text.is_empty() => NewSecret::Removed,
        Some(text) => NewSecret::Set(secret(text)?),
        None if url != before.url => NewSecret::Removed,
        None => NewSecret::Kept,
    };
    let description = body
        .description
        .unwrap_or_else(|| before.description.clone());
    short("description", &description, LONGEST_TEXT)?;
    let content = registries::Content {
        name: match body.name.as_deref() {
            Some(text) => name(Some(text))?,
            None => before.name.clone(),
        },
        description,
        kind: before.kind,
        url,
        access_key,
        insecure: body.insecure.unwrap_or(before.insecure),
        ca: match body.ca_certificate {
            Some(text) => authorities(Some(text))?,
            None => before.ca.clone(),
        },
    };
    Ok(Wanted { content, secret })
}

/// Removes a registry that no policy names.
#[utoipa::path(
    delete, path = "/api/v2.0/registries/{id}", operation_id = "deleteRegistry", tag = "registry",
    responses(
        (status = 200, description = "Removed."),
        (status = 412, description = "Policies name it."),
    )
)]
pub(crate) async fn delete(
    RegistryRef(id): RegistryRef,
    Granted(permit): Granted<SystemPermit<(system::Registry, to::Delete)>>,
    State(app): App,
) -> Result<(), Error> {
    Ok(tenancy::registry::delete(&app.db, &permit, id, app.clock.now()).await?)
}
