//! The server's certificates, where obtaining one by ACME stands, and the CA that clients need to trust. Where files come
//! from and when they are renewed is in the gateway.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use certs::{
    FileReloader, HotCertificates, Presented, Reloaded, Roots, SubjectName, Tls, findings_in_use,
};
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use jobs::acme::Terms;
use model::{Operation, ResourceType, Timestamp};
use policy::SystemPermit;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::allowed::{Everyone, Granted};
use crate::error::Rendered;
use crate::{App, Error};

/// The certificates that are presented, and where they come from.
pub struct Certificates {
    /// Those in use.
    pub hot: Arc<HotCertificates>,
    /// The loader of the files.
    pub reloader: Arc<FileReloader>,
    /// TLS, which knows by what clients are checked.
    pub tls: Arc<Tls>,
    /// Names that clients are known to use.
    pub wanted_names: Vec<SubjectName>,
    /// Authorities that clients have.
    pub roots: Roots,
    /// The private CA's certificates, which clients need to trust, if there is a private CA.
    pub ca: watch::Receiver<Option<String>>,
    /// What is obtained by ACME, if anything is.
    pub acme: Option<Arc<Terms>>,
}

impl Certificates {
    /// The certificates in use, with what is wrong with each, or will be soon.
    pub(crate) fn in_use(&self, now: OffsetDateTime) -> Vec<(Presented, Vec<String>)> {
        findings_in_use(&self.hot, &self.wanted_names, &self.roots, now)
    }

    /// The private CA's certificates in PEM.
    pub(crate) fn ca_pem(&self) -> Option<String> {
        self.ca.borrow().clone()
    }
}

/// A certificate in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Certificate)]
pub(crate) struct View {
    /// Whole days until it ends; less than 0 once it has.
    days_left: i64,
    /// False if other certificates are presented for all of its names.
    in_use: bool,
    issuer: String,
    /// Its file, or its name in the database.
    label: String,
    names: Vec<String>,
    not_after: String,
    not_before: String,
    serial: String,
    /// `ca` if Gantry's own CA issues it, `files` if the operator provides it, `import` if it was imported, `acme` if it
    /// was obtained by ACME.
    source: &'static str,
    /// What is wrong with it, or will be soon.
    warnings: Vec<String>,
}

impl View {
    fn new(
        presented: &Presented,
        (in_use, warnings): (bool, Vec<String>),
        now: OffsetDateTime,
    ) -> Self {
        let certificate = &presented.certificate;
        Self {
            days_left: (certificate.not_after() - now).whole_days(),
            in_use,
            issuer: certificate.issuer().to_owned(),
            label: presented.label.clone(),
            names: certificate.names().to_vec(),
            not_after: time(certificate.not_after()),
            not_before: time(certificate.not_before()),
            serial: certificate.serial().to_owned(),
            source: presented.source.name(),
            warnings,
        }
    }
}

fn views(certificates: &Certificates, now: OffsetDateTime) -> Vec<View> {
    let mut in_use = certificates.in_use(now);
    let all = certificates.hot.all();
    let views = all.iter().map(|presented| {
        let is_same =
            |(used, _): &(Presented, _)| Arc::ptr_eq(&used.certificate, &presented.certificate);
        let warnings = in_use
            .iter()
            .position(is_same)
            .map(|at| in_use.swap_remove(at).1);
        let is_used = warnings.is_some();
        View::new(presented, (is_used, warnings.unwrap_or_default()), now)
    });
    views.collect()
}

/// A time in the API's format.
pub(crate) fn time(at: OffsetDateTime) -> String {
    Timestamp(at.unix_timestamp().saturating_mul(1_000_000)).to_string()
}

/// Lists the certificates of the server, with their ends and what is wrong with them; the main one first, which clients
/// get that name no host.
#[utoipa::path(
    get, path = "/api/ext/v1/certificates", operation_id = "listCertificates", tag = "certificates",
    responses((status = 200, description = "The certificates.", body = Vec<View>))
)]
pub(crate) async fn list(_: Granted<SystemPermit>, State(app): App) -> Json<Vec<View>> {
    Json(views(&app.certificates, app.clock.now().date_time()))
}

/// The result of loading the files.
#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateReload {
    certificates: Vec<View>,
    /// False if the files have the certificates that are already presented.
    replaced: bool,
}

/// Loads the certificates' files now, in the process that answers; each process checks its files twice a second anyway.
/// 412 with the reason if a pair does not load: its certificate in use then stays.
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
    let now = app.clock.now();
    let replaced = reloaded == Reloaded::Replaced;
    if replaced {
        let main = app.certificates.hot.main();
        let subject = (ResourceType::Certificate, main.serial());
        let detail = "reloaded".to_owned();
        tenancy::installation::record(&app.db, &permit, Operation::Update, subject, detail, now)
            .await?;
    }
    Ok(Json(CertificateReload {
        certificates: views(&app.certificates, now.date_time()),
        replaced,
    }))
}

/// Where obtaining a certificate by ACME stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct AcmeStatus {
    /// False if `[acme]` names no server: then all other fields are empty.
    configured: bool,
    challenge: String,
    directory: String,
    /// When the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_at: Option<String>,
    /// Failed attempts since the last that succeeded.
    failures: i64,
    /// What happened at the last attempt, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    names: Vec<String>,
    /// When the next attempt is made, or the server is asked when to renew.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
    /// Why the last attempt failed: `unreachable`, `rate_limited`, `account`, `own_address`, `validation`, `rejected`,
    /// `command`, `clock` or `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When the certificate is renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    renew_at: Option<String>,
    /// `due`, `ordering`, `valid` or `failed`; empty if nothing is obtained by ACME.
    state: &'static str,
}

/// Says where obtaining a certificate by ACME stands.
#[utoipa::path(
    get, path = "/api/ext/v1/certificates/acme", operation_id = "getAcme", tag = "certificates",
    responses((status = 200, description = "Where it stands.", body = AcmeStatus))
)]
pub(crate) async fn acme(_: Granted<SystemPermit>, State(app): App) -> Rendered<AcmeStatus> {
    let order = db::acme::order(&mut app.db.reader().await?).await?;
    let terms = app.certificates.acme.as_deref();
    let order = order.filter(|_| terms.is_some());
    let state = match (&order, terms) {
        (Some(order), _) => order.state.name(),
        (None, Some(_)) => db::acme::State::Due.name(),
        (None, None) => "",
    };
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let names = terms.map(|terms| terms.names.iter().map(ToString::to_string).collect());
    Ok(Json(AcmeStatus {
        configured: terms.is_some(),
        challenge: terms
            .map(|terms| terms.challenge.name().to_owned())
            .unwrap_or_default(),
        directory: terms
            .map(|terms| terms.directory.clone())
            .unwrap_or_default(),
        names: names.unwrap_or_default(),
        state,
        failures: order.as_ref().map_or(0, |order| order.failures),
        failed_at: text(order.as_ref().and_then(|order| order.failed_at)),
        next_at: text(order.as_ref().map(|order| order.next_at)),
        renew_at: text(order.as_ref().and_then(|order| order.renew_at)),
        reason: order.as_ref().and_then(|order| order.reason.clone()),
        message: order.and_then(|order| order.message),
    }))
}

/// Orders a certificate by ACME now, whatever the present one is worth and whatever wait is left. Servers limit how many
/// they issue. 412 if nothing is obtained by ACME.
#[utoipa::path(
    post, path = "/api/ext/v1/certificates/acme/order", operation_id = "orderCertificate", tag = "certificates",
    responses((status = 202, description = "It is being ordered."))
)]
pub(crate) async fn order(
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
) -> Result<StatusCode, Error> {
    if app.certificates.acme.is_none() {
        return Err(tenancy::Error::NoAcme.into());
    }
    let keep = tenancy::certificate::Account::Keep;
    tenancy::certificate::order_now(&app.db, &permit, keep, app.clock.now()).await?;
    Ok(StatusCode::ACCEPTED)
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
    let pem = app.certificates.ca_pem();
    let pem = pem.ok_or_else(|| Error::NotFound("the server has no CA of its own".to_owned()))?;
    let headers = [
        (CONTENT_TYPE, "application/x-pem-file"),
        (CONTENT_DISPOSITION, "attachment; filename=ca.crt"),
    ];
    Ok((headers, pem).into_response())
}
