//! Information about this installation: settings for user interfaces, disk space, the CA certificate.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use policy::{ProjectCreation, SystemPermit, system, to};
use serde::Serialize;
use tenancy::setting::Values;
use utoipa::ToSchema;

use crate::allowed::{Everyone, Granted};
use crate::caller::By;
use crate::error::Rendered;
use crate::{AdminState, App, Error};

/// The response of `GET /systeminfo`.
#[derive(Serialize, ToSchema)]
pub(crate) struct GeneralInfo {
    auth_mode: String,
    banner_message: String,
    /// The display name of the OIDC provider for sign-in; empty if there is none.
    oidc_provider_name: String,
    primary_auth_mode: bool,
    self_registration: bool,
    #[serde(flatten)]
    details: Option<Details>,
}

/// Fields shown only to signed-in callers.
#[derive(Serialize, ToSchema)]
struct Details {
    current_time: String,
    external_url: String,
    harbor_version: String,
    has_ca_root: bool,
    notification_enable: bool,
    project_creation_restriction: &'static str,
    read_only: bool,
    registry_storage_provider_name: &'static str,
    registry_url: String,
}

/// Describes the installation; signed-in callers see more.
#[utoipa::path(
    get, path = "/api/v2.0/systeminfo", operation_id = "getSystemInfo", tag = "systeminfo",
    responses((status = 200, description = "Settings for user interfaces.", body = GeneralInfo))
)]
pub(crate) async fn general(_: Everyone, State(app): App, By(caller): By) -> Json<GeneralInfo> {
    let settings = app.settings.current();
    Json(GeneralInfo {
        auth_mode: settings.auth_mode.clone(),
        banner_message: settings.banner_message.clone(),
        oidc_provider_name: match app.identity.oidc().provider() {
            Ok(provider) => provider.config().name.clone(),
            Err(_) => String::new(),
        },
        primary_auth_mode: settings.primary_auth_mode,
        self_registration: settings.is_open(),
        details: caller.is_signed_in().then(|| details(&app, &settings)),
    })
}

fn details(app: &AdminState, settings: &Values) -> Details {
    let info = &app.info;
    Details {
        current_time: app.clock.now().to_string(),
        external_url: match settings.external_url.as_str() {
            "" => format!("https://{}", info.external_host),
            url => url.to_owned(),
        },
        harbor_version: info.version.clone(),
        has_ca_root: app.certificates.ca_pem().is_some(),
        notification_enable: settings.notification_enable,
        project_creation_restriction: match settings.project_creation_restriction {
            ProjectCreation::Everyone => "everyone",
            ProjectCreation::Admins => "adminonly",
        },
        read_only: settings.read_only,
        registry_storage_provider_name: info.storage_provider,
        registry_url: info.external_host.clone(),
    }
}

/// The response of `GET /systeminfo/volumes`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Volumes {
    storage: [Volume; 1],
}

/// Bytes of a file system.
#[derive(Serialize, ToSchema)]
struct Volume {
    free: u64,
    total: u64,
}

/// Returns the space on the data folder's file system.
#[utoipa::path(
    get, path = "/api/v2.0/systeminfo/volumes", operation_id = "getVolumes", tag = "systeminfo",
    responses((status = 200, description = "Bytes.", body = Volumes))
)]
pub(crate) async fn volumes(
    Granted(_): Granted<SystemPermit<(system::Volumes, to::Read)>>,
    State(app): App,
) -> Rendered<Volumes> {
    let folder = app.info.data_folder.clone();
    let stat = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder))
        .await
        .map_err(Error::Interrupted)?
        .map_err(|error| Error::Volume(error.into()))?;
    let volume = Volume {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
    };
    Ok(Json(Volumes { storage: [volume] }))
}

/// Returns the certificate that clients need to trust; 404 with a certificate of your own.
#[utoipa::path(
    get, path = "/api/v2.0/systeminfo/getcert", operation_id = "getCert", tag = "systeminfo",
    responses((status = 200, description = "PEM.", body = String))
)]
pub(crate) async fn certificate(_: Everyone, State(app): App) -> Result<Response, Error> {
    let pem = app
        .certificates
        .ca_pem()
        .ok_or_else(|| Error::NotFound("there is no private CA certificate".to_owned()))?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, "attachment; filename=ca.crt"),
    ];
    Ok((headers, pem).into_response())
}
