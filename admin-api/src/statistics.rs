//! How many projects and repositories there are.

use axum::Json;
use axum::extract::State;
use db::{project, quota};
use policy::SignedIn;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::project::list::{repository_viewer, viewer};

/// The response of `GET /statistics`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Statistic {
    private_project_count: i64,
    private_repo_count: i64,
    public_project_count: i64,
    public_repo_count: i64,
    total_project_count: i64,
    total_repo_count: i64,
    total_storage_consumption: i64,
}

/// Counts the public projects and those of which the caller is a member; totals are 0 for all but system administrators.
#[utoipa::path(
    get, path = "/api/v2.0/statistics", operation_id = "getStatistic", tag = "statistic",
    responses((status = 200, description = "The counts, and bytes.", body = Statistic))
)]
pub(crate) async fn get(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<Statistic> {
    let is_sysadmin = permit.caller().is_sysadmin();
    let mut reader = app.db.reader().await?;
    let (projects, repositories) = (viewer(permit.caller()), repository_viewer(permit.caller()));
    let (public, private) = project::counts(&mut reader, projects, repositories).await?;
    let total = |count: i64| if is_sysadmin { count } else { 0 };
    let stored = if is_sysadmin {
        quota::used_in_all(&mut reader).await?
    } else {
        0
    };
    Ok(Json(Statistic {
        private_project_count: private.projects,
        private_repo_count: private.repositories,
        public_project_count: public.projects,
        public_repo_count: public.repositories,
        total_project_count: total(private.projects + public.projects),
        total_repo_count: total(private.repositories + public.repositories),
        total_storage_consumption: stored,
    }))
}
