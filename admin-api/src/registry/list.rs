//! Reading registries.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use db::list::Test;
use db::registry as registries;
use policy::{SystemPermit, system, to};

use super::{RegistryRef, View, find};
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::listing::Listing;
use crate::{App, Error};

/// Lists other registries.
#[utoipa::path(
    get, path = "/api/v2.0/registries", operation_id = "listRegistries", tag = "registry",
    params(("name" = Option<String>, Query, description = "Part of the name.")),
    responses((status = 200, description = "A page of registries.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    _: Granted<SystemPermit<(system::Registry, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    let name = listing.params.text("name")?.map(str::to_owned);
    let selection = listing.select(&registries::FIELDS)?;
    let selection = selection.or(registries::NAME, name.map(Test::Contains));
    let mut reader = app.db.reader().await?;
    let (found, total) = registries::list(&mut reader, &selection).await?;
    let views: Vec<View> = found.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}

/// Returns a registry.
#[utoipa::path(
    get, path = "/api/v2.0/registries/{id}", operation_id = "getRegistry", tag = "registry",
    responses((status = 200, description = "The registry.", body = View))
)]
pub(crate) async fn get(
    RegistryRef(id): RegistryRef,
    _: Granted<SystemPermit<(system::Registry, to::Read)>>,
    State(app): App,
) -> Rendered<View> {
    if id.0 == 0 {
        return Ok(Json(View::own(&app)));
    }
    Ok(Json(find(&app, id).await?.into()))
}
