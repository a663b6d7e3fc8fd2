//! Testing a provider.

use auth::oidc::{Config, Provider};
use axum::extract::State;
use outgoing::Trust;
use policy::SystemPermit;
use serde::Deserialize;
use serde_json::Value;
use tenancy::setting::Declaration;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::{AdminState, App, Error};

/// The body of `POST /system/oidc/ping`; absent fields have the stored values.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct OidcEndpoint {
    url: Option<String>,
    verify_cert: Option<bool>,
}

impl BodyOf for OidcEndpoint {
    const NAME: &'static str = "endpoint";
}

/// Asks a provider for its configuration. Neither the client's id nor its secret is sent.
#[utoipa::path(
    post, path = "/api/v2.0/system/oidc/ping", operation_id = "pingOIDC", tag = "oidc",
    request_body = OidcEndpoint,
    responses(
        (status = 200, description = "It answers as an OIDC provider."),
        (status = 400, description = "It does not; the message says why."),
    )
)]
pub(crate) async fn ping(
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
    body: Unread<OidcEndpoint>,
) -> Result<(), Error> {
    let (_, body) = body.read(&app, permit).await?;
    let provider = given(&app, body)?;
    // For administrators, who may see the causes.
    let answered = provider.ping().await;
    answered.map_err(|error| Error::BadRequest(error.chain()))
}

/// The provider in a body.
fn given(app: &AdminState, body: OidcEndpoint) -> Result<Provider, Error> {
    let stored = app.settings.current();
    let mut values = (*stored).clone();
    for (name, value) in [
        ("oidc_endpoint", body.url.map(Value::from)),
        ("oidc_verify_cert", body.verify_cert.map(Value::from)),
    ] {
        if let Some(value) = value {
            Declaration::named(name)?.put_into(&mut values, &value)?;
        }
    }
    if values.oidc_endpoint.is_empty() {
        return Err(Error::BadRequest(
            "url is missing, and oidc_endpoint is not set".to_owned(),
        ));
    }
    // This address does not come from the configuration file or environment.
    let is_fixed = Declaration::named("oidc_endpoint").is_ok_and(|it| app.settings.is_fixed(it));
    let trust = match is_fixed && values.oidc_endpoint == stored.oidc_endpoint {
        true => Trust::Trusted,
        false => Trust::Guarded,
    };
    let config = Config::from_values(&values, trust)?;
    Ok(Provider::new(config, app.identity.directory().guard())?)
}
