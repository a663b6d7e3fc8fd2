//! Rules that let workloads (CI jobs and pods) sign in with tokens of their own issuers.

use std::collections::BTreeMap;

use auth::workload::{Explanation, RuleText, Verdict};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use db::workload_rule::{self, Rule};
use http::header::LOCATION;
use http::request::Parts;
use http::{StatusCode, Uri};
use model::WorkloadRuleId;
use policy::{on, to};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenancy::workload_rule as service;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::Allowed;
use crate::caller::unidentified;
use crate::error::Rendered;
use crate::input::{Input, in_path};
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::param::int_param;
use crate::{App, Error};

/// A rule to be made or to replace another.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct WorkloadRuleRequest {
    /// What `aud` must be or contain: usually the registry's address.
    audience: String,
    /// Authorities for the issuer's certificate, in PEM; by default those of the system.
    ca: Option<String>,
    /// Further claims, or JSON pointers into them, and what they must be. In patterns `*` stands for anything but `/` and
    /// `:`, and `**` for anything.
    claims: BTreeMap<String, String>,
    /// What `iss` must be, an https URL.
    issuer: String,
    /// The issuer's public keys as a JWK set; by default they are read from the issuer.
    jwks: Option<Value>,
    /// Maximum lifetime of registry tokens in seconds, 60 to 86400; 3600 by default. None outlives the token that it
    /// was issued for.
    lifetime: Option<i64>,
    /// Unique within the project.
    name: String,
    /// `maintainer`, `developer`, `guest` or `limitedGuest`.
    role: String,
    /// What `sub` must be: a text, or a pattern that begins with the owner of the workload.
    subject: String,
}

impl BodyOf for WorkloadRuleRequest {
    const NAME: &'static str = "rule";
}

impl WorkloadRuleRequest {
    fn text(self) -> RuleText {
        RuleText {
            name: self.name,
            issuer: self.issuer,
            audience: self.audience,
            subject: self.subject,
            claims: self.claims,
            role: self.role,
            lifetime: self.lifetime,
            jwks: self.jwks.map(|jwks| jwks.to_string()),
            ca: self.ca.filter(|ca| !ca.trim().is_empty()),
        }
    }
}

/// A rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadRule {
    audience: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    claims: BTreeMap<String, String>,
    creation_time: String,
    id: i64,
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<Value>,
    lifetime: i64,
    name: String,
    role: &'static str,
    subject: String,
    update_time: String,
}

impl WorkloadRule {
    /// Reads a stored rule.
    ///
    /// # Errors
    /// For a row that no version of this program writes.
    fn read(rule: Rule) -> Result<Self, Error> {
        let conditions = rule.conditions()?;
        let claims = conditions.claims.into_iter();
        let jwks = rule.jwks.as_deref().map(serde_json::from_str).transpose();
        let jwks = jwks.map_err(|_| db::Error::Corrupt {
            table: "workload_rule",
            column: "jwks",
        })?;
        Ok(Self {
            audience: conditions.audience,
            ca: rule.ca,
            claims: claims
                .map(|(name, pattern)| (name, pattern.into()))
                .collect(),
            creation_time: rule.created_at.to_string(),
            id: rule.id.0,
            issuer: conditions.issuer.to_string(),
            jwks,
            lifetime: rule.lifetime,
            name: rule.name,
            role: rule.role.name(),
            subject: conditions.subject.into(),
            update_time: rule.updated_at.to_string(),
        })
    }
}

/// A token to test.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct WorkloadTokenRequest {
    /// The token. It is neither stored nor logged.
    token: String,
}

impl BodyOf for WorkloadTokenRequest {
    const NAME: &'static str = "token";
}

/// The result of testing a token.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadTokenExplanation {
    /// Whether a rule admits it.
    admitted: bool,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    issuer: String,
    /// Why it is refused whatever the rules say.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// The result for each rule.
    rules: Vec<WorkloadRuleVerdict>,
    subject: String,
}

/// The result of a rule for a token.
#[derive(Serialize, ToSchema)]
struct WorkloadRuleVerdict {
    id: i64,
    matches: bool,
    name: String,
    /// Why it does not admit the token.
    problems: Vec<String>,
    role: &'static str,
}

impl From<Verdict> for WorkloadRuleVerdict {
    fn from(verdict: Verdict) -> Self {
        Self {
            id: verdict.id.0,
            matches: verdict.problems.is_empty(),
            name: verdict.name,
            problems: verdict.problems,
            role: verdict.role.name(),
        }
    }
}

impl From<Explanation> for WorkloadTokenExplanation {
    fn from(explanation: Explanation) -> Self {
        Self {
            admitted: explanation.admits(),
            expires_at: explanation.expires_at.map(|at| at.to_string()),
            issuer: explanation.issuer,
            problem: explanation.problem,
            rules: explanation.rules.into_iter().map(Into::into).collect(),
            subject: explanation.subject,
        }
    }
}

/// The rule in a path.
pub(crate) struct RuleRef(WorkloadRuleId);

impl Input for RuleRef {
    fn parameters() -> Vec<Parameter> {
        let id = in_path("workload_rule_id", Type::Integer, "The rule's ID.");
        vec![id]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RuleRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let id = int_param(parts, state, "workload_rule_id").await?;
        Ok(Self(WorkloadRuleId(id)))
    }
}

/// Lists a project's workload rules.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name_or_id}/workload-rules", operation_id = "listWorkloadRules", tag = "workload",
    responses((status = 200, description = "A page of rules.", body = Vec<WorkloadRule>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::WorkloadRule, to::List>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = listing.select(&workload_rule::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let (rules, total) = workload_rule::list(&mut reader, permit.project().id, &selection).await?;
    let rules = rules.into_iter().map(WorkloadRule::read);
    let rules: Vec<WorkloadRule> = rules.collect::<Result<_, _>>()?;
    Ok(listing.answer(&rules, total))
}

/// Returns a workload rule.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name_or_id}/workload-rules/{workload_rule_id}", operation_id = "getWorkloadRule", tag = "workload",
    responses((status = 200, description = "The rule.", body = WorkloadRule))
)]
pub(crate) async fn get(
    RuleRef(id): RuleRef,
    Allowed { permit, .. }: Allowed<on::WorkloadRule, to::Read>,
    State(app): App,
) -> Rendered<WorkloadRule> {
    let mut reader = app.db.reader().await?;
    let rule = workload_rule::get(&mut reader, permit.project().id, id).await?;
    let rule = rule.ok_or(tenancy::Error::WorkloadRuleUnknown(id))?;
    Ok(Json(WorkloadRule::read(rule)?))
}

/// Makes a workload rule, which takes effect at once.
#[utoipa::path(
    post, path = "/api/ext/v1/projects/{project_name_or_id}/workload-rules", operation_id = "createWorkloadRule", tag = "workload",
    request_body = WorkloadRuleRequest,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Allowed { permit, .. }: Allowed<on::WorkloadRule, to::Create>,
    State(app): App,
    uri: Uri,
    body: Unread<WorkloadRuleRequest>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let content = body.text().content()?;
    let id = service::create(&app.db, &permit, content, app.clock.now()).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Replaces a workload rule. Registry tokens that it gave before are void.
#[utoipa::path(
    put, path = "/api/ext/v1/projects/{project_name_or_id}/workload-rules/{workload_rule_id}", operation_id = "updateWorkloadRule", tag = "workload",
    request_body = WorkloadRuleRequest,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    RuleRef(id): RuleRef,
    Allowed { permit, .. }: Allowed<on::WorkloadRule, to::Update>,
    State(app): App,
    body: Unread<WorkloadRuleRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let content = body.text().content()?;
    Ok(service::change(&app.db, &permit, id, content, app.clock.now()).await?)
}

/// Deletes a workload rule. Registry tokens that it gave are void.
#[utoipa::path(
    delete, path = "/api/ext/v1/projects/{project_name_or_id}/workload-rules/{workload_rule_id}", operation_id = "deleteWorkloadRule", tag = "workload",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    RuleRef(id): RuleRef,
    Allowed { permit, .. }: Allowed<on::WorkloadRule, to::Delete>,
    State(app): App,
) -> Result<(), Error> {
    Ok(service::delete(&app.db, &permit, id, app.clock.now()).await?)
}

/// Says which rules of the project admit a token, and why the others do not. Nothing is issued.
#[utoipa::path(
    post, path = "/api/ext/v1/projects/{project_name_or_id}/workload-rules/test", operation_id = "testWorkloadToken", tag = "workload",
    request_body = WorkloadTokenRequest,
    responses((status = 200, description = "What the rules say.", body = WorkloadTokenExplanation))
)]
pub(crate) async fn test(
    Allowed { permit, .. }: Allowed<on::WorkloadRule, to::Operate>,
    State(app): App,
    body: Unread<WorkloadTokenRequest>,
) -> Rendered<WorkloadTokenExplanation> {
    let (permit, body) = body.read(&app, permit).await?;
    let workloads = app.identity.workloads();
    let explained = workloads.explain(&permit, &body.token).await;
    Ok(Json(explained.map_err(unidentified)?.into()))
}
