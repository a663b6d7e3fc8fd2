//! Rules for immutable tags in projects.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use db::immutable_rule::{self, Rule};
use http::header::LOCATION;
use http::request::Parts;
use http::{StatusCode, Uri};
use model::{ImmutableRule, ImmutableRuleId, Selector};
use policy::{on, to};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::Allowed;
use crate::input::{Input, in_path};
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::param::int_param;
use crate::{App, Error};

/// A rule in the API.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = ImmutableRule)]
pub(crate) struct View {
    #[serde(skip_serializing_if = "String::is_empty")]
    action: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    scope_selectors: BTreeMap<String, Vec<SelectorView>>,
    tag_selectors: Option<Vec<SelectorView>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    template: String,
}

/// A pattern, and whether it selects what it matches or everything else.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = ImmutableSelector)]
pub(crate) struct SelectorView {
    #[serde(skip_serializing_if = "String::is_empty")]
    decoration: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    extras: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pattern: String,
}

impl BodyOf for View {
    const NAME: &'static str = "ImmutableRule";
}

impl From<SelectorView> for Selector {
    fn from(view: SelectorView) -> Self {
        Self {
            decoration: view.decoration,
            extras: view.extras,
            kind: view.kind,
            pattern: view.pattern,
        }
    }
}

impl From<Selector> for SelectorView {
    fn from(selector: Selector) -> Self {
        Self {
            decoration: selector.decoration,
            extras: selector.extras,
            kind: selector.kind,
            pattern: selector.pattern,
        }
    }
}

/// A list in the other form.
pub(crate) fn all<A, B: From<A>>(list: Vec<A>) -> Vec<B> {
    list.into_iter().map(B::from).collect()
}

impl View {
    /// The rule of a body, if it is valid.
    fn rule(self) -> Result<ImmutableRule, Error> {
        let scopes = self.scope_selectors.into_iter();
        let rule = ImmutableRule {
            action: self.action,
            scope_selectors: scopes.map(|(key, list)| (key, all(list))).collect(),
            tag_selectors: self.tag_selectors.map(all),
            template: self.template,
        };
        rule.compile()?;
        Ok(rule)
    }

    /// Reads a stored rule.
    ///
    /// # Errors
    /// For a row that no version of this program writes.
    fn read(stored: &Rule) -> Result<Self, Error> {
        let rule: Result<ImmutableRule, _> = serde_json::from_str(&stored.selectors);
        let rule = rule.map_err(|_| db::Error::Corrupt {
            table: "immutable_rule",
            column: "selectors",
        })?;
        let scopes = rule.scope_selectors.into_iter();
        Ok(Self {
            action: rule.action,
            disabled: !stored.enabled,
            id: Some(stored.id.0),
            scope_selectors: scopes.map(|(key, list)| (key, all(list))).collect(),
            tag_selectors: rule.tag_selectors.map(all),
            template: rule.template,
        })
    }
}

/// The rule in a path.
pub(crate) struct RuleRef(ImmutableRuleId);

impl Input for RuleRef {
    fn parameters() -> Vec<Parameter> {
        let id = in_path("immutable_rule_id", Type::Integer, "The rule's ID.");
        vec![id]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RuleRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "immutable_rule_id")
            .await
            .map(|id| Self(ImmutableRuleId(id)))
    }
}

/// Lists a project's rules.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/immutabletagrules", operation_id = "ListImmuRules", tag = "immutable",
    responses((status = 200, description = "A page of rules.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::ImmutableTag, to::List>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = listing.select(&immutable_rule::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let (rules, total) = immutable_rule::list(&mut reader, permit.project().id, &selection).await?;
    listing
        .room
        .texts(rules.iter().map(|rule| rule.selectors.len()).sum())?;
    let views: Vec<View> = rules.iter().map(View::read).collect::<Result<_, _>>()?;
    Ok(listing.answer(&views, total))
}

/// Makes a rule, which takes effect at once, whatever `disabled` says.
#[utoipa::path(
    post, path = "/api/v2.0/projects/{project_name_or_id}/immutabletagrules", operation_id = "CreateImmuRule", tag = "immutable",
    request_body = View,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Allowed { permit, .. }: Allowed<on::ImmutableTag, to::Create>,
    State(app): App,
    uri: Uri,
    body: Unread<View>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let (rule, now) = (body.rule()?, app.clock.now());
    let id = tenancy::immutable_rule::create(&app.db, &permit, rule, now).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Switches a rule on or off if `disabled` differs from its state; otherwise replaces its content.
#[utoipa::path(
    put, path = "/api/v2.0/projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}", operation_id = "UpdateImmuRule", tag = "immutable",
    request_body = View,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    RuleRef(id): RuleRef,
    Allowed { permit, .. }: Allowed<on::ImmutableTag, to::Update>,
    State(app): App,
    body: Unread<View>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    if body.id.is_some_and(|given| given != 0 && given != id.0) {
        return Err(Error::BadRequest(format!(
            "id: must be that of the path, {id}"
        )));
    }
    let (enabled, now) = (!body.disabled, app.clock.now());
    let change = (enabled, body.rule()?);
    Ok(tenancy::immutable_rule::change(&app.db, &permit, id, change, now).await?)
}

/// Deletes a rule.
#[utoipa::path(
    delete, path = "/api/v2.0/projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}", operation_id = "DeleteImmuRule", tag = "immutable",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    RuleRef(id): RuleRef,
    Allowed { permit, .. }: Allowed<on::ImmutableTag, to::Delete>,
    State(app): App,
) -> Result<(), Error> {
    let now = app.clock.now();
    Ok(tenancy::immutable_rule::delete(&app.db, &permit, id, now).await?)
}
