//! The server's certificate, and the CA that clients need to trust. Where files come from and when they are renewed is in
//! the gateway.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use certs::{FileReloader, HotCertificate, Reloaded, ServerCertificate, expiry_warning};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use model::{Operation, ResourceType, Timestamp};
use policy::SystemPermit;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::allowed::{Everyone, Granted};
use crate::error::Rendered;
use crate::{App, Error};

/// The certificate that is presented, and its files.
pub struct Certificates {
    /// The one in use.
    pub hot: Arc<HotCertificate>,
    /// The loader of the files.
    pub reloader: Arc<FileReloader>,
}

impl Certificates {
    /// The certificate that is presented now.
    pub(crate) fn current(&self) -> Arc<ServerCertificate> {
        self.hot.current()
    }
}

/// A certificate in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Certificate)]
pub(crate) struct View {
    /// Whole days until it ends; less than 0 once it has.
    days_left: i64,
    issuer: String,
    names: Vec<String>,
    not_after: String,
    not_before: String,
    serial: String,
    /// `ca` if Gantry's own CA issues it, `files` if the operator provides it.
    source: &'static str,
    /// What is wrong with it, or will be soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl View {
    fn new(certificate: &ServerCertificate, is_own: bool, now: OffsetDateTime) -> Self {
        Self {
            days_left: (certificate.not_after() - now).whole_days(),
            issuer: certificate.issuer().to_owned(),
            names: certificate.names().to_vec(),
            not_after: time(certificate.not_after()),
            not_before: time(certificate.not_before()),
            serial: certificate.serial().to_owned(),
            source: if is_own { "ca" } else { "files" },
            warning: expiry_warning(certificate, now),
        }
    }
}

/// A time in the API's format.
pub(crate) fn time(at: OffsetDateTime) -> String {
    Timestamp(at.unix_timestamp().saturating_mul(1_000_000)).to_string()
}

/// Lists the certificates that the server presents, with their ends.
#[utoipa::path(
    get, path = "/api/ext/v1/certificates", operation_id = "listCertificates", tag = "certificates",
    responses((status = 200, description = "The certificates.", body = Vec<View>))
)]
pub(crate) async fn list(_: Granted<SystemPermit>, State(app): App) -> Json<Vec<View>> {
    let (certificate, now) = (app.certificates.current(), app.clock.now().date_time());
    let is_own = app.info.ca_pem.is_some();
    Json(vec![View::new(&certificate, is_own, now)])
}

/// The result of loading the files.
#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateReload {
    certificate: View,
    /// False if the files have the certificate that is already presented.
    replaced: bool,
}

/// Loads the certificate's files now, in the process that answers; each process checks its files twice a second anyway.
/// 412 with the reason if they do not load: the certificate in use then stays.
#[utoipa::path(
    post, path = "/api/ext/v1/certificates/reload", operation_id = "reloadCertificates", tag = "certificates",
    responses((status = 200, description = "What is presented now.", body = CertificateReload))
)]
pub(crate) async fn reload(
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
) -> Rendered<CertificateReload> {
    let reloaded = app.certificates.reloader.reload_now().await;
    let reloaded = reloaded.map_err(|error| Error::Precondition(error.to_string()))?;
    let (certificate, now) = (app.certificates.current(), app.clock.now());
    let replaced = reloaded == Reloaded::Replaced;
    if replaced {
        let subject = (ResourceType::Certificate, certificate.serial());
        let detail = "reloaded".to_owned();
        tenancy::installation::record(&app.db, &permit, Operation::Update, subject, detail, now)
            .await?;
    }
    let is_own = app.info.ca_pem.is_some();
    Ok(Json(CertificateReload {
        certificate: View::new(&certificate, is_own, now.date_time()),
        replaced,
    }))
}

/// Returns the CA that clients need to trust, as PEM; 404 with a certificate of your own.
#[utoipa::path(
    get, path = "/api/ext/v1/certificates/ca", operation_id = "getCertificateAuthority", tag = "certificates",
    responses(
        (status = 200, description = "The CA's certificate.", body = String, content_type = "application/x-pem-file"),
        (status = 404, description = "The server does not use a CA of its own."),
    )
)]
pub(crate) async fn authority(_: Everyone, State(app): App) -> Result<Response, Error> {
    let pem = app.info.ca_pem.clone();
    let pem = pem.ok_or_else(|| Error::NotFound("the server has no CA of its own".to_owned()))?;
    let headers = [
        (CONTENT_TYPE, "application/x-pem-file"),
        (CONTENT_DISPOSITION, "attachment; filename=ca.crt"),
    ];
    Ok((headers, pem).into_response())
}
