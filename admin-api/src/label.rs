//! Labels of the installation (`scope` `g`) and of projects (`p`). The body, or the label itself, decides which
//! permission is needed, so handlers check it themselves.

pub(crate) mod attach;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod list;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use db::label::{self, Label};
use http::request::Parts;
use model::{LabelId, NewLabel, ProjectId};
use policy::to::To;
use policy::{Caller, on, permit};
use serde::{Deserialize, Serialize};
use tenancy::label::LabelPermit;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::permitted;
use crate::input::{Input, in_path};
use crate::json::BodyOf;
use crate::param::{ProjectRef, int_param};
use crate::{AdminState, Error};

/// A label as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Label)]
pub(crate) struct View {
    #[serde(skip_serializing_if = "String::is_empty")]
    color: String,
    creation_time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[schema(value_type = i64)]
    id: LabelId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    project_id: Option<ProjectId>,
    scope: &'static str,
    update_time: String,
}

impl From<Label> for View {
    fn from(label: Label) -> Self {
        Self {
            color: label.color,
            creation_time: label.created_at.to_string(),
            description: label.description,
            id: label.id,
            name: label.name,
            project_id: label.project,
            scope: label.project.map_or("g", |_| "p"),
            update_time: label.updated_at.to_string(),
        }
    }
}

/// The body of requests that make, change or attach a label.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct LabelRequest {
    id: Option<i64>,
    name: Option<String>,
    description: Option<String>,
    color: Option<String>,
    scope: Option<String>,
    project_id: Option<i64>,
}

impl BodyOf for LabelRequest {
    const NAME: &'static str = "label";
}

impl LabelRequest {
    fn content(&mut self) -> Result<NewLabel, Error> {
        let (name, color) = (self.name.take(), self.color.take());
        let description = self.description.take().unwrap_or_default();
        let name = name.unwrap_or_default();
        Ok(NewLabel::new(
            &name,
            description,
            color.unwrap_or_default(),
        )?)
    }
}

/// The project whose labels are meant; `None` for those of the installation.
fn scope(text: &str, project: Option<i64>) -> Result<Option<ProjectId>, Error> {
    match (text, project) {
        ("g", _) => Ok(None),
        ("p", Some(id)) if id > 0 => Ok(Some(ProjectId(id))),
        ("p", _) => Err(Error::BadRequest(
            "must with project ID when to query project labels".to_owned(),
        )),
        _ => Err(Error::BadRequest(format!("invalid scope: {text}"))),
    }
}

/// Permission for an action on the labels of a scope. The refusal is the same whether the project exists or not.
async fn permit_in<A: To>(
    app: &AdminState,
    caller: &Caller,
    scope: Option<ProjectId>,
) -> Result<LabelPermit<A>, Error> {
    match scope {
        None => Ok(LabelPermit::Installation(permit::permit_system(caller)?)),
        Some(id) => {
            let named = ProjectRef::Id(id);
            let (permit, _) = permitted::<on::Label, A>(&app.db, caller, &named).await?;
            Ok(LabelPermit::Project(permit))
        }
    }
}

/// A label for which the caller has the permission. A hidden label is refused like an absent one.
async fn find<A: To>(
    app: &AdminState,
    caller: &Caller,
    id: LabelId,
) -> Result<(LabelPermit<A>, Label), Error> {
    let found = label::get(&mut app.db.reader().await?, id).await?;
    let missing = || Error::NotFound(format!("label {id} not found"));
    let Some(found) = found else {
        return match caller.is_sysadmin() {
            true => Err(missing()),
            false => Err(Error::Forbidden("forbidden".to_owned())),
        };
    };
    match permit_in(app, caller, found.project).await {
        Ok(permit) => Ok((permit, found)),
        // Its project was deleted.
        Err(Error::NotFound(_)) => Err(missing()),
        Err(other) => Err(other),
    }
}

/// The label in a path.
pub(crate) struct LabelRef(pub(crate) LabelId);

impl Input for LabelRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("label_id", Type::Integer, "The label's ID.")]
    }
}

impl FromRequestParts<Arc<AdminState>> for LabelRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        int_param(parts, app, "label_id")
            .await
            .map(|id| Self(LabelId(id)))
    }
}
