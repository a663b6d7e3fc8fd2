//! Deleting repositories with all their content.

use axum::extract::State;
use policy::{Action, Resource};

use crate::caller::By;
use crate::param::RepositoryRef;
use crate::project::permitted;
use crate::{App, Error};

/// `DELETE /projects/{project_name}/repositories/{repository_name}`
pub(crate) async fn delete(
    State(app): App,
    named: RepositoryRef,
    By(caller): By,
) -> Result<(), Error> {
    let (resource, action) = (Resource::Repository, Action::Delete);
    let (permit, _) = permitted(&app.db, &caller, &named.project, resource, action).await?;
    let (name, now) = (named.name()?, app.clock.now());
    let deleted = registry::repository::delete(&app.db, &permit, &name, now);
    if deleted.await? {
        Ok(())
    } else {
        Err(named.missing())
    }
}
