//! Health by component, under Harbor's names. The gateway checks database and store every few seconds; all other
//! components are this process, and are healthy whenever it answers. `/readyz` says whether to send traffic here.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::Everyone;

/// Which dependencies of the registry fail, without details, which anyone could read here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComponentErrors {
    /// The database.
    pub database: Option<&'static str>,
    /// Reading the blob store.
    pub store: Option<&'static str>,
    /// Writing to the blob store.
    pub store_writing: Option<&'static str>,
    /// The difference between this process's clock and the database's.
    pub clock: Option<&'static str>,
}

/// The answer of `GET /health`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    components: Vec<Component>,
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Component {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    name: &'static str,
    status: &'static str,
}

/// Harbor's components.
const NAMES: [&str; 7] = [
    "core",
    "database",
    "jobservice",
    "portal",
    "redis",
    "registry",
    "registryctl",
];

/// Says which components are healthy; always 200.
#[utoipa::path(
    get, path = "/api/v2.0/health", operation_id = "getHealth", tag = "health",
    responses((status = 200, description = "All components.", body = Health))
)]
pub(crate) async fn health(_: Everyone, State(app): App) -> Json<Health> {
    let errors = *app.component_errors.borrow();
    let store = errors.store.or(errors.store_writing);
    let component = |name| {
        let error = match name {
            "core" => errors.clock,
            "database" => errors.database,
            "registry" => store,
            _ => None,
        };
        Component {
            error,
            name,
            status: word(error),
        }
    };
    let any = errors.database.or(store).or(errors.clock);
    Json(Health {
        components: NAMES.into_iter().map(component).collect(),
        status: word(any),
    })
}

const fn word(error: Option<&str>) -> &'static str {
    match error {
        None => "healthy",
        Some(_) => "unhealthy",
    }
}
