//! Changing a project's settings. Name, quota and owner do not change.

use axum::extract::State;
use db::project;
use policy::{Action, Resource};

use crate::caller::By;
use crate::json::Unread;
use crate::param::ProjectRef;
use crate::project::create::ProjectRequest;
use crate::project::permitted;
use crate::{App, Error};

/// `PUT /projects/{project_name_or_id}`: absent settings stay unchanged.
pub(crate) async fn update(
    State(app): App,
    named: ProjectRef,
    By(caller): By,
    body: Unread<ProjectRequest>,
) -> Result<(), Error> {
    let (permit, project) =
        permitted(&app.db, &caller, &named, Resource::Project, Action::Update).await?;
    let body = body.read(&permit).await?;
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
