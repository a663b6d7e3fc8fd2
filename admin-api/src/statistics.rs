//! How many projects and repositories there are.

use axum::Json;
use axum::extract::State;
use db::project::{self, Viewer};
use db::quota;
use policy::SignedIn;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::heavy::Counts;
use crate::project::list::{own, repository_viewer, viewer};

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

/// Counts the public projects and those of which the caller is a member; totals are 0 for all except system
/// administrators. Numbers other than the caller's own are computed at most once in five seconds.
#[utoipa::path(
    get, path = "/api/v2.0/statistics", operation_id = "getStatistic", tag = "statistic",
    responses((status = 200, description = "The counts, and bytes.", body = Statistic))
)]
pub(crate) async fn get(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<Statistic> {
    let all = app.heavy.counts.get(app.clock.now(), async {
        let mut reader = app.db.reader().await?;
        let (public, private) =
            project::counts(&mut reader, Viewer::Administrator, Viewer::Administrator).await?;
        let stored = quota::used_in_all(&mut reader).await?;
        Ok(Counts {
            public,
            private,
            stored,
        })
    });
    let (_, all) = all.await?;
    let private = match (
        own(viewer(permit.caller())),
        own(repository_viewer(permit.caller())),
    ) {
        (Viewer::Administrator, Viewer::Administrator) => all.private,
        (projects, repositories) => {
            let mut reader = app.db.reader().await?;
            project::counts(&mut reader, projects, repositories)
                .await?
                .1
        }
    };
    let is_sysadmin = permit.caller().is_sysadmin();
    let total = |count: i64| if is_sysadmin { count } else { 0 };
    let public = all.public;
    Ok(Json(Statistic {
        private_project_count: private.projects,
        private_repo_count: private.repositories,
        public_project_count: public.projects,
        public_repo_count: public.repositories,
        total_project_count: total(private.projects + public.projects),
        total_repo_count: total(private.repositories + public.repositories),
        total_storage_consumption: total(all.stored),
    }))
}
