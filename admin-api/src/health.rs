//! Health by component, under Harbor's names for them. Database and store are looked at by the gateway, every few
//! seconds; all else is this process, so that it is healthy whenever it answers. Whether to send traffic here says
//! `/readyz`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::App;

/// What is wrong with what the registry stands on, without the details, which anyone could read here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComponentErrors {
    /// The database.
    pub database: Option<&'static str>,
    /// The blob store, when it is read.
    pub store: Option<&'static str>,
    /// The blob store, when it is written to.
    pub store_writing: Option<&'static str>,
    /// The clock of this process beside the database's.
    pub clock: Option<&'static str>,
}

/// The answer of `GET /health`.
#[derive(Serialize)]
pub(crate) struct Health {
    components: Vec<Component>,
    status: &'static str,
}

#[derive(Serialize)]
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

/// `GET /health`: always 200.
pub(crate) async fn health(State(app): App) -> Json<Health> {
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
