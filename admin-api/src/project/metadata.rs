//! Settings of projects, which Harbor stores as strings by name.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use db::project;
use policy::{Action, Resource};
use serde::Deserialize;

use crate::caller::By;
use crate::error::Rendered;
use crate::param::{MetadataName, ProjectRef};
use crate::project::{permitted, with_public};
use crate::{App, Error};

/// Settings in a request. Those of proxy caches are dropped, as in Harbor.
#[derive(Default, Deserialize)]
#[serde(default)]
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

/// Valid settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// True if everyone may pull.
    pub(crate) public: Option<bool>,
    /// The others.
    pub(crate) others: Vec<(&'static str, String)>,
}

impl Settings {
    /// The names and values, for the audit log.
    pub(crate) fn describe(&self) -> String {
        let public = self.public.map(|public| format!("public={public}"));
        let others = self
            .others
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        public
            .into_iter()
            .chain(others)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl Metadata {
    /// Checks all values. `retention_id` is set elsewhere, so here it must be `current`.
    pub(crate) fn check(self, current: Option<&str>) -> Result<Settings, Error> {
        let retention = self.retention_id.filter(|id| !id.is_empty());
        if retention.is_some() && retention.as_deref() != current {
            return Err(Error::BadRequest(
                "metadata.retention_id can only be set by making a retention policy".to_owned(),
            ));
        }
        let flags = [
            ("auto_sbom_generation", self.auto_sbom_generation),
            ("auto_scan", self.auto_scan),
            ("enable_content_trust", self.enable_content_trust),
            (
                "enable_content_trust_cosign",
                self.enable_content_trust_cosign,
            ),
            ("prevent_vul", self.prevent_vul),
            ("reuse_sys_cve_allowlist", self.reuse_sys_cve_allowlist),
        ];
        let mut others = Vec::new();
        for (name, value) in flags {
            if let Some(value) = value {
                others.push((name, flag(name, &value)?.to_string()));
            }
        }
        if let Some(severity) = self.severity {
            others.push(("severity", check_severity(severity)?));
        }
        let public = self.public.map(|value| flag("public", &value));
        Ok(Settings {
            public: public.transpose()?,
            others,
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

fn check_severity(value: String) -> Result<String, Error> {
    match value.as_str() {
        "none" | "low" | "medium" | "high" | "critical" => Ok(value),
        "negligible" => Ok("none".to_owned()),
        _ => Err(Error::BadRequest(format!(
            "metadata.severity should be one of 'none', 'low', 'medium', 'high' and 'critical', but got: '{value}'"
        ))),
    }
}

/// `GET /projects/{project_name_or_id}/metadatas`
pub(crate) async fn list(
    State(app): App,
    named: ProjectRef,
    By(caller): By,
) -> Rendered<BTreeMap<String, String>> {
    let (permit, project) =
        permitted(&app.db, &caller, &named, Resource::Metadata, Action::List).await?;
    let id = permit.project().id;
    let settings = project::metadata(&mut app.db.reader().await?, id).await?;
    Ok(Json(with_public(project.public, settings)))
}

/// `GET /projects/{project_name_or_id}/metadatas/{meta_name}`: `{}` if there is none.
pub(crate) async fn get(
    State(app): App,
    named: ProjectRef,
    MetadataName(name): MetadataName,
    By(caller): By,
) -> Rendered<BTreeMap<String, String>> {
    let (permit, project) =
        permitted(&app.db, &caller, &named, Resource::Metadata, Action::Read).await?;
    let id = permit.project().id;
    let settings = project::metadata(&mut app.db.reader().await?, id).await?;
    let mut settings = with_public(project.public, settings);
    settings.retain(|known, _| *known == name);
    Ok(Json(settings))
}
