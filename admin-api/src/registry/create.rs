//! Adding registries.

use axum::extract::State;
use axum::response::IntoResponse;
use db::registry as registries;
use http::header::LOCATION;
use http::{StatusCode, Uri};
use policy::{SystemPermit, system, to};
use tenancy::registry::NewSecret;

use super::{LONGEST_TEXT, RegistryRequest, Wanted, authorities, kind, name, secret, short, url};
use crate::allowed::Granted;
use crate::json::Unread;
use crate::{App, Error};

/// Adds a registry, once it has answered and taken the credentials.
#[utoipa::path(
    post, path = "/api/v2.0/registries", operation_id = "createRegistry", tag = "registry",
    request_body = RegistryRequest,
    responses(
        (status = 201, description = "Added; `Location` leads there."),
        (status = 400, description = "It does not answer, or not as it is set; the message says why, and what to do."),
    )
)]
pub(crate) async fn create(
    Granted(permit): Granted<SystemPermit<(system::Registry, to::Create)>>,
    State(app): App,
    uri: Uri,
    body: Unread<RegistryRequest>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let wanted = wanted(body)?;
    let taken = registries::by_name(&mut app.db.reader().await?, &wanted.content.name).await?;
    if taken.is_some() {
        return Err(tenancy::Error::RegistryExists(wanted.content.name).into());
    }
    let Wanted { content, secret } = wanted.answering(&app, None).await?;
    let (at, now) = ((&app.db, &app.master), app.clock.now());
    let id = tenancy::registry::create(at, &permit, (content, secret), now).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

fn wanted(body: RegistryRequest) -> Result<Wanted, Error> {
    let credential = body.credential.unwrap_or_default();
    let access_key = credential.access_key.unwrap_or_default();
    short("access_key", &access_key, LONGEST_TEXT)?;
    let description = body.description.unwrap_or_default();
    short("description", &description, LONGEST_TEXT)?;
    let given = credential.access_secret.filter(|text| !text.is_empty());
    let secret = match given.filter(|_| !access_key.is_empty()) {
        Some(text) => NewSecret::Set(secret(text)?),
        None => NewSecret::Removed,
    };
    let content = registries::Content {
        name: name(body.name.as_deref())?,
        description,
        kind: kind(body.kind.as_deref())?,
        url: url(body.url.as_deref())?,
        access_key,
        insecure: body.insecure.unwrap_or_default(),
        ca: authorities(body.ca_certificate)?,
    };
    Ok(Wanted { content, secret })
}
