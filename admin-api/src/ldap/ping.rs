//! Testing a directory.

use std::sync::Arc;

use auth::ldap::{Config, Server};
use axum::Json;
use axum::extract::State;
use outgoing::Trust;
use policy::SystemPermit;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenancy::InvalidSetting;
use tenancy::secret::Secret;
use tenancy::setting::{Declaration, Values};
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::{AdminState, App, Error};

/// The body of `POST /ldap/ping`; absent fields have the stored values.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct LdapConf {
    ldap_url: Option<String>,
    ldap_search_dn: Option<String>,
    /// If absent, the stored one is used, but only if `ldap_url` and `ldap_search_dn` are the stored ones too.
    ldap_search_password: Option<String>,
    ldap_base_dn: Option<String>,
    ldap_filter: Option<String>,
    ldap_uid: Option<String>,
    ldap_scope: Option<i64>,
    ldap_connection_timeout: Option<i64>,
    ldap_verify_cert: Option<bool>,
}

impl BodyOf for LdapConf {
    const NAME: &'static str = "ldapconf";
}

/// The result.
#[derive(Serialize, ToSchema)]
pub(crate) struct LdapPingResult {
    success: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

/// Tests the directory in the settings, or in the body.
#[utoipa::path(
    post, path = "/api/v2.0/ldap/ping", operation_id = "pingLdap", tag = "ldap",
    request_body = LdapConf,
    responses(
        (status = 200, description = "Whether it works, and if not, why.", body = LdapPingResult),
        (status = 412, description = "No directory is configured."),
    )
)]
pub(crate) async fn ping(
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
    body: Unread<LdapConf>,
) -> Rendered<LdapPingResult> {
    let (_, body) = body.read_if_any(&app, permit).await?;
    let server = match body {
        None => app.identity.directory().server().await?,
        Some(body) => given(&app, body).await?,
    };
    let message = match server.ping().await {
        Ok(()) => String::new(),
        Err(error) => error.chain(),
    };
    Ok(Json(LdapPingResult {
        success: message.is_empty(),
        message,
    }))
}

/// The directory in a body.
async fn given(app: &AdminState, body: LdapConf) -> Result<Arc<Server>, Error> {
    let stored = app.settings.current();
    let is_other = |given: &Option<String>, stored: &str| {
        given.as_deref().is_some_and(|given| given != stored)
    };
    let is_url_other = is_other(&body.ldap_url, &stored.ldap_url);
    let mut values = (*stored).clone();
    if is_url_other || is_other(&body.ldap_search_dn, &stored.ldap_search_dn) {
        // The stored secrets are sent only to the server for which they are stored.
        values.ldap_search_password = Secret::default();
    }
    if is_url_other {
        values.ldap_fallback_urls.clear();
    }
    fill(&mut values, body)?;
    if !values.has_directory() {
        return Err(auth::ldap::Error::NotConfigured.into());
    }
    // This address does not come from the configuration file or environment.
    let trust = match is_url_other {
        true => Trust::Guarded,
        false => Config::trust(&app.settings, &values),
    };
    let config = Config::from_values(&values, trust)?;
    let server = Server::build(config, app.identity.directory().guard()).await?;
    Ok(Arc::new(server))
}

/// Puts the values of a body into settings, by their rules.
fn fill(values: &mut Values, body: LdapConf) -> Result<(), InvalidSetting> {
    let texts = [
        ("ldap_url", body.ldap_url),
        ("ldap_search_dn", body.ldap_search_dn),
        ("ldap_search_password", body.ldap_search_password),
        ("ldap_base_dn", body.ldap_base_dn),
        ("ldap_filter", body.ldap_filter),
        ("ldap_uid", body.ldap_uid),
    ];
    let texts = texts.map(|(name, text)| (name, text.map(Value::from)));
    let others = [
        ("ldap_scope", body.ldap_scope.map(Value::from)),
        (
            "ldap_timeout",
            body.ldap_connection_timeout.map(Value::from),
        ),
        ("ldap_verify_cert", body.ldap_verify_cert.map(Value::from)),
    ];
    for (name, value) in texts.into_iter().chain(others) {
        if let Some(value) = value {
            Declaration::named(name)?.put_into(values, &value)?;
        }
    }
    Ok(())
}
