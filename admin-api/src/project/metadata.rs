//! Settings of projects, which Harbor stores as strings by name.

pub(crate) mod change;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use db::project;
use model::{ProjectSetting, Severity};
use policy::{on, to};
use serde::Deserialize;
use tenancy::project::Changes;
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::error::Rendered;
use crate::param::MetadataName;
use crate::project::with_public;
use crate::{App, Error};

/// Settings in a request. Those of proxy caches are dropped, as in Harbor.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct Metadata {
    pub(crate) public: Option<String>,
    enable_content_trust: Option<String>,
    enable_content_trust_cosign: Option<String>,
    prevent_vul: Option<String>,
    severity: Option<String>,
    auto_scan: Option<String>,
    auto_sbom_generation: Option<String>,
    reuse_sys_cve_allowlist: Option<String>,
    retention_id: Option<String>,
}

/// A setting that is on or off, and its value in a request.
type Flag = (fn(bool) -> ProjectSetting, Option<String>);

impl Metadata {
    /// Checks all values. `retention_id` is set elsewhere, so here it has to be `current`.
    pub(crate) fn check(self, current: Option<&str>) -> Result<Changes, Error> {
        use ProjectSetting as Setting;
        let retention = self.retention_id.filter(|id| !id.is_empty());
        if retention.is_some() && retention.as_deref() != current {
            return Err(Error::BadRequest(
                "metadata.retention_id can only be set by making a retention policy".to_owned(),
            ));
        }
        let flags: [Flag; 6] = [
            (Setting::AutoSbomGeneration, self.auto_sbom_generation),
            (Setting::AutoScan, self.auto_scan),
            (Setting::ContentTrust, self.enable_content_trust),
            (
                Setting::ContentTrustCosign,
                self.enable_content_trust_cosign,
            ),
            (Setting::PreventVulnerable, self.prevent_vul),
            (Setting::ReuseSystemAllowlist, self.reuse_sys_cve_allowlist),
        ];
        let mut settings = Vec::new();
        for (setting, value) in flags {
            if let Some(value) = value {
                settings.push(setting(flag(setting(false).name(), &value)?));
            }
        }
        if let Some(severity) = self.severity {
            settings.push(Setting::Severity(check_severity(&severity)?));
        }
        let public = self.public.map(|value| flag("public", &value));
        Ok(Changes {
            public: public.transpose()?,
            settings,
        })
    }
}

fn flag(name: &str, value: &str) -> Result<bool, Error> {
    value.parse().map_err(|_| {
        Error::BadRequest(format!(
            "metadata.{name} should only be 'true' or 'false', but got: '{value}'"
        ))
    })
}

fn check_severity(value: &str) -> Result<Severity, Error> {
    Severity::from_name(value).ok_or_else(|| {
        Error::BadRequest(format!(
            "metadata.severity should be one of 'none', 'low', 'medium', 'high' and 'critical', but got: '{value}'"
        ))
    })
}

/// Returns a project's settings.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/metadatas", operation_id = "listProjectMetadatas", tag = "project",
    responses((status = 200, description = "Values by name.", body = BTreeMap<String, String>))
)]
pub(crate) async fn list(
    Allowed { project, .. }: Allowed<on::Metadata, to::List>,
    State(app): App,
) -> Rendered<BTreeMap<String, String>> {
    let settings = project::metadata(&mut app.db.reader().await?, project.id).await?;
    Ok(Json(with_public(project.public, settings)))
}

/// Returns one setting of a project; `{}` if there is none.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/metadatas/{meta_name}", operation_id = "getProjectMetadata", tag = "project",
    responses((status = 200, description = "The value by its name.", body = BTreeMap<String, String>))
)]
pub(crate) async fn get(
    MetadataName(name): MetadataName,
    Allowed { project, .. }: Allowed<on::Metadata, to::Read>,
    State(app): App,
) -> Rendered<BTreeMap<String, String>> {
    let settings = project::metadata(&mut app.db.reader().await?, project.id).await?;
    let mut settings = with_public(project.public, settings);
    settings.retain(|known, _| *known == name);
    Ok(Json(settings))
}
