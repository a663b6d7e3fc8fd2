//! Reading labels.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use db::label;
use db::list::{Selection, Test};
use policy::{SignedIn, on, to};

use super::{LabelRef, View, find, scope};
use crate::allowed::{Everyone, Granted, permitted};
use crate::caller::By;
use crate::error::Rendered;
use crate::listing::Listing;
use crate::param::ProjectRef;
use crate::{App, Error};

/// Lists the labels of the installation, which everyone sees, or those of a project, for callers who may list them.
#[utoipa::path(
    get, path = "/api/v2.0/labels", operation_id = "ListLabels", tag = "label",
    params(
        ("scope" = Option<String>, Query, description = "`g` for the installation, `p` for a project."),
        ("project_id" = Option<i64>, Query, description = "The project's ID."),
        ("name" = Option<String>, Query, description = "Part of the name."),
    ),
    responses((status = 200, description = "A page of labels.", body = Vec<View>))
)]
pub(crate) async fn list(
    _: Everyone,
    By(caller): By,
    mut listing: Listing,
    State(app): App,
) -> Result<Response, Error> {
    let params = &listing.params;
    let project = params.int("project_id")?;
    let project = scope(params.get("scope").unwrap_or_default(), project)?;
    let name = params.text("name")?.map(str::to_owned);
    if let Some(id) = project {
        permitted::<on::Label, to::List>(&app.db, &caller, &ProjectRef::Id(id)).await?;
    }
    let selection: Selection = listing.select(&label::FIELDS)?;
    let selection = selection.or(label::NAME, name.map(Test::Contains));
    let mut reader = app.db.reader().await?;
    let (labels, total) = label::list(&mut reader, project, &selection).await?;
    let views: Vec<View> = labels.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}

/// Returns a label: of the installation for system administrators, of a project for callers who may read it.
#[utoipa::path(
    get, path = "/api/v2.0/labels/{label_id}", operation_id = "GetLabelByID", tag = "label",
    responses((status = 200, description = "The label.", body = View))
)]
pub(crate) async fn get(
    LabelRef(id): LabelRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<View> {
    let (_, label) = find::<to::Read>(&app, permit.caller(), id).await?;
    Ok(Json(label.into()))
}
