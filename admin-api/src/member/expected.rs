//! Roles that wait for people of the OIDC provider who were never here.

use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::expected::{self, ExpectedMember};
use http::header::LOCATION;
use http::request::Parts;
use http::{StatusCode, Uri};
use model::ExpectedMemberId;
use policy::{on, to};
use serde::{Deserialize, Serialize};
use tenancy::oidc::link;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::Allowed;
use crate::input::{Input, in_path};
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::member::check_role;
use crate::param::int_param;
use crate::{App, Error};

/// A role that waits.
#[derive(Serialize, ToSchema)]
#[schema(as = ExpectedMember)]
pub(crate) struct View {
    claim: String,
    creation_time: String,
    #[schema(value_type = i64)]
    id: ExpectedMemberId,
    issuer: String,
    role_id: i64,
    role_name: &'static str,
    value: String,
}

impl From<ExpectedMember> for View {
    fn from(expected: ExpectedMember) -> Self {
        Self {
            claim: expected.claim,
            creation_time: expected.created_at.to_string(),
            id: expected.id,
            issuer: expected.issuer,
            role_id: expected.role.id(),
            role_name: expected.role.name(),
            value: expected.value,
        }
    }
}

/// The body of `POST …/expected-members`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct ExpectMember {
    /// The claim by which the person is known; by default the one that is the name of accounts. A mail address counts
    /// only if the provider says that it is verified.
    claim: Option<String>,
    role_id: Option<i64>,
    /// Its value: the expected name, or the mail address.
    value: Option<String>,
}

impl BodyOf for ExpectMember {
    const NAME: &'static str = "expected_member";
}

/// The expected member in a path.
pub(crate) struct ExpectedRef(ExpectedMemberId);

impl Input for ExpectedRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path(
            "expected_id",
            Type::Integer,
            "The expected member's ID.",
        )]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ExpectedRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "expected_id")
            .await
            .map(|id| Self(ExpectedMemberId(id)))
    }
}

/// Lists the roles that wait in a project for people of the OIDC provider.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name_or_id}/expected-members", operation_id = "listExpectedMembers", tag = "member",
    responses((status = 200, description = "A page of them.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Allowed { project, .. }: Allowed<on::Member, to::List>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = listing.select(&expected::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let (found, total) = expected::members(&mut reader, project.id, &selection).await?;
    let views: Vec<View> = found.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}

/// Lets a role wait for somebody of the OIDC provider who was never here: whoever first signs in with the claim gets it.
#[utoipa::path(
    post, path = "/api/ext/v1/projects/{project_name_or_id}/expected-members", operation_id = "expectMember", tag = "member",
    request_body = ExpectMember,
    responses((status = 201, description = "It waits; `Location` leads there."))
)]
pub(crate) async fn create(
    Allowed { permit, .. }: Allowed<on::Member, to::Create>,
    State(app): App,
    uri: Uri,
    body: Unread<ExpectMember>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let provider = app.identity.oidc().provider()?;
    let issuer = provider.issuer().await?;
    let usual = provider.config().name_claim();
    let claim = body.claim.filter(|claim| !claim.is_empty());
    let claim = claim.as_deref().unwrap_or(usual);
    let expected = link::expected(&issuer, claim, &body.value.unwrap_or_default())?;
    let role = check_role(body.role_id)?;
    let id = link::expect_member(&app.db, &permit, (expected, role), app.clock.now()).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Lets a role wait no more.
#[utoipa::path(
    delete, path = "/api/ext/v1/projects/{project_name_or_id}/expected-members/{expected_id}", operation_id = "forgetExpectedMember", tag = "member",
    responses((status = 200, description = "It waits no more."))
)]
pub(crate) async fn delete(
    ExpectedRef(id): ExpectedRef,
    Allowed { permit, .. }: Allowed<on::Member, to::Delete>,
    State(app): App,
) -> Result<(), Error> {
    Ok(link::forget_member(&app.db, &permit, id, app.clock.now()).await?)
}
