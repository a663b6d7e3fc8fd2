//! Changing a project's settings. Name, quota and owner do not change.

use axum::extract::State;
use db::project;
use policy::{on, to};

use crate::allowed::Allowed;
use crate::json::Unread;
use crate::project::create::ProjectRequest;
use crate::{App, Error};

/// Changes a project's settings; absent ones stay unchanged.
#[utoipa::path(
    put, path = "/api/v2.0/projects/{project_name_or_id}", operation_id = "updateProject", tag = "project",
    request_body = ProjectRequest,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    Allowed {
        permit, project, ..
    }: Allowed<on::Project, to::Update>,
    State(app): App,
    body: Unread<ProjectRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    body.check_schema()?;
    check_allowlist(&body, permit.project().id.0)?;
    let stored = project::metadata(&mut app.db.reader().await?, project.id).await?;
    let retention = stored.get("retention_id").map(String::as_str);
    let changes = body.metadata.unwrap_or_default().check(retention)?;
    Ok(tenancy::project::update(&app.db, &permit, changes, app.clock.now()).await?)
}

fn check_allowlist(body: &ProjectRequest, project: i64) -> Result<(), Error> {
    let given = body.cve_allowlist.as_ref().and_then(|list| list.project_id);
    if given.is_some_and(|id| id != 0 && id != project) {
        return Err(Error::BadRequest(
            "cve_allowlist.project_id is not the id of the project".to_owned(),
        ));
    }
    Ok(())
}
