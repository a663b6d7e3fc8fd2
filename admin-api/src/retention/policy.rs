//! Making, reading, changing and deleting policies.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use db::retention::Policy;
use db::schedule;
use http::header::LOCATION;
use http::{StatusCode, Uri};
use model::retention::{JOB, compile};
use model::{Cron, ProjectId, RetentionRule, RetentionTerms};
use policy::{SignedIn, on, to};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use tenancy::retention::NewPolicy;
use utoipa::ToSchema;

use super::rule::RuleView;
use super::{RetentionRef, find};
use crate::allowed::{Granted, permitted};
use crate::error::Rendered;
use crate::execution::parse_cron;
use crate::json::{BodyOf, Unread};
use crate::param::ProjectRef;
use crate::{AdminState, App, Error};

/// A policy in the API.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = RetentionPolicy)]
pub(crate) struct View {
    algorithm: Option<String>,
    /// Seconds after its last push in which no artifact goes; a change that leaves it out keeps it. Default: 86400.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    grace_secs: Option<Option<i64>>,
    id: Option<i64>,
    rules: Option<Vec<RuleView>>,
    scope: Option<Scope>,
    trigger: Option<Trigger>,
}

/// A field that is there, be it null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What a policy is about.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = RetentionPolicyScope)]
struct Scope {
    level: Option<String>,
    #[serde(rename = "ref")]
    project: Option<i64>,
}

/// When a policy runs.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = RetentionRuleTrigger)]
struct Trigger {
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    references: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
}

impl BodyOf for View {
    const NAME: &'static str = "policy";
}

fn wrong(field: &str, expected: &str) -> Error {
    Error::BadRequest(format!("{field}: must be {expected}"))
}

impl View {
    /// The project that it is about.
    fn project(&self) -> Result<ProjectId, Error> {
        let scope = self.scope.as_ref();
        let scope = scope.ok_or_else(|| wrong("scope", "given: a level and a ref"))?;
        if scope.level.as_deref() != Some("project") {
            return Err(wrong("scope.level", "project"));
        }
        let id = scope.project.filter(|id| *id > 0).map(ProjectId);
        id.ok_or_else(|| wrong("scope.ref", "the ID of a project"))
    }

    /// What it says, if that is valid.
    fn policy(self) -> Result<NewPolicy, Error> {
        let algorithm = self.algorithm.as_deref().unwrap_or_default();
        if !["", "or"].contains(&algorithm) {
            return Err(wrong("algorithm", "or"));
        }
        let cron = self.trigger.map_or(Ok(None), Trigger::cron)?;
        let rules = self.rules.unwrap_or_default().into_iter();
        let rules: Vec<RetentionRule> = rules.map(RetentionRule::from).collect();
        compile(&rules)?;
        let keeps_grace = self.grace_secs.is_none();
        let grace_secs = self.grace_secs.flatten().map(u32::try_from).transpose();
        let expected = "a whole number of seconds from 0, or left out";
        let grace_secs = grace_secs.map_err(|_| wrong("grace_secs", expected))?;
        let terms = RetentionTerms { rules, grace_secs };
        Ok(NewPolicy {
            terms,
            keeps_grace,
            cron,
        })
    }
}

impl Trigger {
    fn cron(self) -> Result<Option<Cron>, Error> {
        if !["", "Schedule"].contains(&self.kind.as_deref().unwrap_or_default()) {
            return Err(wrong("trigger.kind", "Schedule"));
        }
        let settings = self.settings.unwrap_or_default();
        match settings.get("cron") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => parse_cron("tag retention", text).map(Some),
            Some(_) => Err(wrong("trigger.settings.cron", "six fields, or empty")),
        }
    }
}

/// A policy as it is shown, with its next time.
async fn view(app: &AdminState, policy: Policy) -> Result<View, Error> {
    let terms: Result<RetentionTerms, _> = policy.rules.parse();
    let terms = terms.map_err(|_| db::Error::Corrupt {
        table: "retention_policy",
        column: "rules",
    })?;
    let mut settings = Map::from_iter([("cron".to_owned(), json!(policy.cron))]);
    let mut reader = app.db.reader().await?;
    if let Some(schedule) = schedule::get(&mut reader, JOB, &policy.id.to_string()).await? {
        let next = json!(schedule.next_at.to_string());
        settings.insert("next_scheduled_time".to_owned(), next);
    }
    Ok(View {
        algorithm: Some("or".to_owned()),
        grace_secs: terms.grace_secs.map(|secs| Some(i64::from(secs))),
        id: Some(policy.id.0),
        rules: Some(terms.rules.into_iter().map(RuleView::from).collect()),
        scope: Some(Scope {
            level: Some("project".to_owned()),
            project: Some(policy.project.0),
        }),
        trigger: Some(Trigger {
            kind: Some("Schedule".to_owned()),
            references: None,
            settings: Some(settings),
        }),
    })
}

/// Makes the policy of a project that has none.
#[utoipa::path(
    post, path = "/api/v2.0/retentions", operation_id = "createRetention", tag = "retention",
    request_body = View,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
    uri: Uri,
    body: Unread<View>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let named = ProjectRef::Id(body.project()?);
    let (permit, _) =
        permitted::<on::TagRetention, to::Create>(&app.db, permit.caller(), &named).await?;
    let now = app.clock.now();
    let id = tenancy::retention::create(&app.db, &permit, body.policy()?, now).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Returns a policy, with the next time of its schedule.
#[utoipa::path(
    get, path = "/api/v2.0/retentions/{id}", operation_id = "getRetention", tag = "retention",
    responses((status = 200, description = "The policy.", body = View))
)]
pub(crate) async fn get(
    RetentionRef(id): RetentionRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<View> {
    let (_, policy) = find::<to::Read>(&app, permit.caller(), id).await?;
    Ok(Json(view(&app, policy).await?))
}

/// Replaces what a policy says. What runs of it goes by the new rules from then on.
#[utoipa::path(
    put, path = "/api/v2.0/retentions/{id}", operation_id = "updateRetention", tag = "retention",
    request_body = View,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    RetentionRef(id): RetentionRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
    body: Unread<View>,
) -> Result<(), Error> {
    find::<to::Update>(&app, permit.caller(), id).await?;
    let (permit, body) = body.read(&app, permit).await?;
    let (permit, policy) = find(&app, permit.caller(), id).await?;
    if body.id.is_some_and(|given| given != 0 && given != id.0) {
        return Err(wrong("id", &format!("that of the path, {id}")));
    }
    if body.project()? != policy.project {
        let expected = format!("{}, the project of the policy", policy.project);
        return Err(wrong("scope.ref", &expected));
    }
    let (new, now) = (body.policy()?, app.clock.now());
    Ok(tenancy::retention::change(&app.db, &permit, id, new, now).await?)
}

/// Deletes a policy with its schedule and history. What runs of it is stopped.
#[utoipa::path(
    delete, path = "/api/v2.0/retentions/{id}", operation_id = "deleteRetention", tag = "retention",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    RetentionRef(id): RetentionRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<(), Error> {
    let (permit, _) = find(&app, permit.caller(), id).await?;
    Ok(tenancy::retention::delete(&app.db, &permit, id, app.clock.now()).await?)
}
