//! Trying a registry out.

use axum::extract::State;
use model::RegistryId;
use policy::{SystemPermit, system, to};
use remote::{Credentials, Target};
use serde::Deserialize;
use tenancy::secret::Secret;
use utoipa::ToSchema;

use super::{HIDDEN, answers, authorities, find, kind, url};
use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::{AdminState, App, Error};

/// What is tried out: a stored registry, with other credentials if some are given, or one that is not stored.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct RegistryPing {
    id: Option<i64>,
    #[serde(rename = "type")]
    kind: Option<String>,
    url: Option<String>,
    /// `basic`; it has no effect.
    credential_type: Option<String>,
    access_key: Option<String>,
    access_secret: Option<String>,
    insecure: Option<bool>,
    ca_certificate: Option<String>,
}

impl BodyOf for RegistryPing {
    const NAME: &'static str = "registry";
}

/// Tries a registry out: whether it answers, is of its kind, and takes the credentials.
#[utoipa::path(
    post, path = "/api/v2.0/registries/ping", operation_id = "pingRegistry", tag = "registry",
    request_body = RegistryPing,
    responses(
        (status = 200, description = "It can be used."),
        (status = 400, description = "It cannot; the message says why, and what to do."),
    )
)]
pub(crate) async fn ping(
    Granted(permit): Granted<SystemPermit<(system::Registry, to::Read)>>,
    State(app): App,
    body: Unread<RegistryPing>,
) -> Result<(), Error> {
    let (_, body) = body.read(&app, permit).await?;
    let target = target(&app, body).await?;
    answers(&app, &target).await
}

async fn target(app: &AdminState, body: RegistryPing) -> Result<Target, Error> {
    let _ = body.credential_type;
    let given = body.access_secret.filter(|text| text != HIDDEN);
    let Some(id) = body.id.filter(|id| *id != 0) else {
        let key = body.access_key.unwrap_or_default();
        return Ok(Target {
            kind: kind(body.kind.as_deref())?,
            url: url(body.url.as_deref())?,
            credentials: (!key.is_empty()).then(|| Credentials {
                access_key: key,
                secret: Secret::new(given.unwrap_or_default()),
            }),
            insecure: body.insecure.unwrap_or_default(),
            ca: authorities(body.ca_certificate)?,
        });
    };
    // Where it is, and whether it is believed, is as it is stored: its secret goes nowhere else.
    let stored = find(app, RegistryId(id)).await?;
    let secret = tenancy::registry::secret_of(&stored, &app.master)?;
    let key = body.access_key.unwrap_or_else(|| stored.access_key.clone());
    let secret = given.map(Secret::new).or(secret).unwrap_or_default();
    Ok(Target {
        kind: stored.kind,
        url: stored.url,
        credentials: (!key.is_empty()).then_some(Credentials {
            access_key: key,
            secret,
        }),
        insecure: stored.insecure,
        ca: stored.ca,
    })
}
