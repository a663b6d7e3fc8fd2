//! Policies of retention, their executions, and the tasks of these. Which policy it is, or the body, decides whose
//! permission is needed: so handlers take it themselves.

pub(crate) mod execution;
pub(crate) mod metadata;
pub(crate) mod policy;
mod rule;
pub(crate) mod task;

use std::sync::Arc;

use ::policy::to::To;
use ::policy::{Caller, ProjectPermit, on};
use axum::extract::FromRequestParts;
use db::execution::{Execution, Vendor};
use db::retention::{self, Policy};
use http::request::Parts;
use model::{ExecutionId, RetentionId, TaskId, Timestamp};
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::permitted;
use crate::input::{Input, in_path};
use crate::param::{ProjectRef, int_param};
use crate::{AdminState, Error};

/// A policy that the caller may do something to, and the permission. One that is hidden is refused like one that is not
/// there.
async fn find<A: To>(
    app: &AdminState,
    caller: &Caller,
    id: RetentionId,
) -> Result<(ProjectPermit<on::TagRetention, A>, Policy), Error> {
    let found = retention::get(&mut app.db.reader().await?, id).await?;
    let Some(found) = found else {
        return match caller.is_sysadmin() {
            true => Err(tenancy::Error::RetentionUnknown(id).into()),
            false => Err(Error::Forbidden("forbidden".to_owned())),
        };
    };
    let named = ProjectRef::Id(found.project);
    let (permit, _) = permitted(&app.db, caller, &named).await?;
    Ok((permit, found))
}

/// An execution of a policy.
async fn find_execution(
    app: &AdminState,
    policy: &Policy,
    id: ExecutionId,
) -> Result<Execution, Error> {
    let found = db::execution::get(&mut app.db.reader().await?, id).await?;
    let is_of = |one: &Execution| (one.vendor, one.vendor_id) == (Vendor::Retention, policy.id.0);
    let found = found.filter(is_of);
    found.ok_or_else(|| tenancy::Error::ExecutionUnknown(id).into())
}

/// A time, or what Harbor writes where there is none.
fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
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

        impl FromRequestParts<Arc<AdminState>> for $name {
            type Rejection = Error;

            async fn from_request_parts(
                parts: &mut Parts,
                app: &Arc<AdminState>,
            ) -> Result<Self, Error> {
                let id = int_param(parts, app, $parameter).await?;
                Ok(Self($id(id)))
            }
        }
    )*};
}

refs! {
    /// The policy in a path.
    RetentionRef(RetentionId) = "id", "The policy's ID.";
    /// The execution in a path.
    ExecutionRef(ExecutionId) = "eid", "The execution's ID.";
    /// The task in a path.
    TaskRef(TaskId) = "tid", "The task's ID.";
}
