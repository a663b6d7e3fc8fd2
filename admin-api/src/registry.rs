//! Other registries, to which artifacts are copied and from which they come. Registry 0 is this one.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod ping;

use axum::extract::FromRequestParts;
use db::registry::{self as registries, Registry};
use http::request::Parts;
use model::RegistryId;
use model::replication::RegistryKind;
use remote::{Credentials, Patience, Target};
use serde::{Deserialize, Serialize};
use tenancy::registry::NewSecret;
use tenancy::secret::Secret;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::input::{Input, in_path};
use crate::json::BodyOf;
use crate::param::int_param;
use crate::{AdminState, Error};

/// What stands for a secret.
const HIDDEN: &str = "*****";
/// A time that never was.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00.000Z";
/// Letters of a name, and bytes of other texts.
const LONGEST_NAME: usize = 64;
const LONGEST_TEXT: usize = 1_024;
const LONGEST_CA: usize = 64 << 10;

/// A registry as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Registry)]
pub(crate) struct View {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_certificate: Option<String>,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<RegistryCredential>,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    id: i64,
    insecure: bool,
    name: String,
    /// Why it could not be used when it was last looked at, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    status: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    update_time: String,
    url: String,
}

/// Who signs in at a registry.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub(crate) struct RegistryCredential {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_secret: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

impl From<Registry> for View {
    fn from(registry: Registry) -> Self {
        let status = match registry.problem {
            None => "healthy",
            Some(_) => "unhealthy",
        };
        let credential = (!registry.access_key.is_empty()).then(|| RegistryCredential {
            access_key: Some(registry.access_key),
            access_secret: registry.secret.map(|_| HIDDEN.to_owned()),
            kind: Some("basic".to_owned()),
        });
        Self {
            ca_certificate: registry.ca,
            creation_time: registry.created_at.to_string(),
            credential,
            description: registry.description,
            id: registry.id.0,
            insecure: registry.insecure,
            name: registry.name,
            problem: registry.problem,
            status,
            kind: registry.kind.name(),
            update_time: registry.updated_at.to_string(),
            url: registry.url,
        }
    }
}

impl View {
    /// This registry.
    pub(crate) fn own(app: &AdminState) -> Self {
        Self {
            ca_certificate: None,
            creation_time: NEVER.to_owned(),
            credential: None,
            description: String::new(),
            id: 0,
            insecure: false,
            name: "Local".to_owned(),
            problem: None,
            status: "healthy",
            kind: RegistryKind::Harbor.name(),
            update_time: NEVER.to_owned(),
            url: format!("https://{}", app.info.external_host),
        }
    }
}

/// The registry of an id.
pub(crate) async fn find(app: &AdminState, id: RegistryId) -> Result<Registry, Error> {
    let found = registries::get(&mut app.db.reader().await?, id).await?;
    Ok(found.ok_or(tenancy::Error::RegistryUnknown(id))?)
}

/// What a registry is, as it is set.
struct Wanted {
    content: registries::Content,
    secret: NewSecret,
}

impl Wanted {
    /// The same, once it answered as it is set.
    async fn answering(self, app: &AdminState, before: Option<&Registry>) -> Result<Self, Error> {
        let stored = match (&self.secret, before) {
            (NewSecret::Kept, Some(before)) => {
                tenancy::registry::secret_of(before, &app.master).map_err(Error::from)?
            }
            _ => None,
        };
        let secret = match &self.secret {
            NewSecret::Kept => stored,
            NewSecret::Removed => None,
            NewSecret::Set(secret) => Some(secret.clone()),
        };
        let content = &self.content;
        let credentials = (!content.access_key.is_empty()).then(|| Credentials {
            access_key: content.access_key.clone(),
            secret: secret.unwrap_or_default(),
        });
        let target = Target {
            kind: content.kind,
            url: content.url.clone(),
            credentials,
            insecure: content.insecure,
            ca: content.ca.clone(),
        };
        answers(app, &target).await?;
        Ok(self)
    }
}

/// Tries a registry out.
async fn answers(app: &AdminState, target: &Target) -> Result<(), Error> {
    let unhealthy = |error: remote::Error| {
        let error = match error {
            remote::Error::Stored(error) => return error.into(),
            remote::Error::Database(error) => return error.into(),
            other => other,
        };
        Error::BadRequest(format!("the registry is unhealthy: {error}"))
    };
    let guard = app.identity.directory().guard();
    let remote = target.connect(guard, Patience::TRYING);
    let remote = remote.map_err(unhealthy)?;
    jobs::replication::check(&remote).await.map_err(unhealthy)
}

/// The kind of a text.
fn kind(text: Option<&str>) -> Result<RegistryKind, Error> {
    let text = text.unwrap_or_default();
    RegistryKind::from_name(text).ok_or_else(|| {
        let all: Vec<&str> = RegistryKind::ALL.iter().map(|kind| kind.name()).collect();
        let all = all.join(", ");
        Error::BadRequest(format!("type: {text:?} is not supported; use one of {all}"))
    })
}

/// The URL of a text, without a slash at its end.
fn url(text: Option<&str>) -> Result<String, Error> {
    let text = text.unwrap_or_default().trim();
    let has_scheme = ["https://", "http://"]
        .iter()
        .any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    if !has_scheme {
        return Err(Error::BadRequest(
            "url: must be https://HOST[:PORT], or http:// without encryption".to_owned(),
        ));
    }
    short("url", text, LONGEST_TEXT)?;
    Ok(text.trim_end_matches('/').to_owned())
}

fn short(field: &str, text: &str, most: usize) -> Result<(), Error> {
    match text.len() <= most {
        true => Ok(()),
        false => Err(Error::BadRequest(format!("{field}: at most {most} bytes"))),
    }
}

fn name(text: Option<&str>) -> Result<String, Error> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Err(Error::BadRequest("name: must not be empty".to_owned()));
    }
    short("name", text, LONGEST_NAME)?;
    Ok(text.to_owned())
}

/// Authorities in PEM; none for an empty text.
fn authorities(text: Option<String>) -> Result<Option<String>, Error> {
    let text = text.filter(|text| !text.trim().is_empty());
    if let Some(text) = &text {
        short("ca_certificate", text, LONGEST_CA)?;
    }
    Ok(text)
}

/// A secret of a body.
fn secret(text: String) -> Result<Secret, Error> {
    short("access_secret", &text, LONGEST_CA)?;
    Ok(Secret::new(text))
}

/// The registry in a path.
pub(crate) struct RegistryRef(pub(crate) RegistryId);

impl Input for RegistryRef {
    fn parameters() -> Vec<Parameter> {
        let description = "The registry's ID; 0 is this one.";
        vec![in_path("id", Type::Integer, description)]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RegistryRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "id")
            .await
            .map(|id| Self(RegistryId(id)))
    }
}

/// The body of a request that adds a registry.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct RegistryRequest {
    name: Option<String>,
    description: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    url: Option<String>,
    credential: Option<RegistryCredential>,
    insecure: Option<bool>,
    ca_certificate: Option<String>,
}

impl BodyOf for RegistryRequest {
    const NAME: &'static str = "registry";
}
