//! Webhooks of a project: its policies in Harbor's form, what they sent, and what Harbor does not have: sending again and
//! trying out.

pub(crate) mod delivery;
pub(crate) mod execution;
pub(crate) mod legacy;
pub(crate) mod policy;
pub(crate) mod state;

use ::policy::to::To;
use ::policy::{ProjectPermit, on};
use axum::extract::FromRequestParts;
use db::webhook::policy::{self as policies, Policy};
use http::request::Parts;
use model::{ExecutionId, TaskId, WebhookPolicyId};
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::input::{Input, in_path};
use crate::param::int_param;
use crate::{AdminState, Error};

/// A policy of a project.
async fn find<A: To>(
    app: &AdminState,
    permit: &ProjectPermit<on::Webhook, A>,
    id: WebhookPolicyId,
) -> Result<Policy, Error> {
    let mut reader = app.db.reader().await?;
    let found = policies::get(&mut reader, permit.project().id, id).await?;
    Ok(found.ok_or(tenancy::Error::WebhookUnknown(id))?)
}

macro_rules! refs {
    ($($(#[$doc:meta])* $name:ident($id:ident) = $parameter:literal, $what:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name($id);

        impl Input for $name {
            fn parameters() -> Vec<Parameter> {
                vec![in_path($parameter, Type::Integer, $what)]
            }
        }

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
                let id = int_param(parts, state, $parameter).await?;
                Ok(Self($id(id)))
            }
        }
    )*};
}

refs! {
    /// The policy in a path.
    PolicyRef(WebhookPolicyId) = "webhook_policy_id", "The policy's ID.";
    /// The execution in a path.
    ExecutionRef(ExecutionId) = "execution_id", "The execution's ID.";
    /// The task in a path.
    TaskRef(TaskId) = "task_id", "The task's ID.";
    /// The delivery in a path.
    DeliveryRef(ExecutionId) = "delivery_id", "The delivery's ID: that of its execution.";
}
