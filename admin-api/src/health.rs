//! Health by component, under Harbor's names for them. All but the database are this process, so
//! that they are healthy whenever they answer. Whether to send traffic here says `/readyz`.

use axum::Json;
use axum::extract::State;
use db::{Db, setting};
use serde::Serialize;

use crate::App;

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

/// Harbor's components; the second is looked at.
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
    let database = database_error(&app.db).await;
    let component = |name| {
        let error = database.filter(|_| name == "database");
        Component {
            error,
            name,
            status: word(error),
        }
    };
    Json(Health {
        components: NAMES.into_iter().map(component).collect(),
        status: word(database),
    })
}

const fn word(error: Option<&str>) -> &'static str {
    match error {
        None => "healthy",
        Some(_) => "unhealthy",
    }
}

/// What is wrong with the database, without the details, which anyone could read here.
async fn database_error(db: &Db) -> Option<&'static str> {
    let read = async {
        let mut tx = db.reader().await?;
        setting::get(&mut tx, "health").await
    };
    match read.await {
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the database cannot be read"
            );
            Some("cannot read the database")
        }
    }
}
