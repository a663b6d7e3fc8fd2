//! Single settings of a project, for callers who may change these but not the project.

use db::{Db, project};
use model::{Operation, Timestamp};
use policy::{ProjectPermit, on, to};

use crate::project::{Changes, apply, event};
use crate::{Error, Result};

/// Gives a project settings that it does not have. It always has the setting whether it is public.
///
/// # Errors
/// [`Error::SettingExists`], [`Error::ProjectGone`].
pub async fn add(
    db: &Db,
    permit: &ProjectPermit<on::Metadata, to::Create>,
    new: Changes,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().clone(), permit.caller().origin());
    // If two add the same one, the second finds it.
    db.write_alone_in(project.id, move |tx| {
        Box::pin(async move {
            let known = project::metadata(tx, project.id).await?;
            let settings = new.settings.iter().map(|setting| setting.name());
            let mut names = settings.chain(new.public.map(|_| "public"));
            let known = names.find(|name| *name == "public" || known.contains_key(*name));
            if let Some(name) = known {
                return Err(Error::SettingExists(name));
            }
            apply(tx, &project, &new, (origin, now)).await
        })
    })
    .await
}

/// Changes settings of a project, and adds missing ones.
///
/// # Errors
/// [`Error::ProjectGone`].
pub async fn set(
    db: &Db,
    permit: &ProjectPermit<on::Metadata, to::Update>,
    changes: Changes,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().clone(), permit.caller().origin());
    db.write_in(project.id, move |tx| {
        Box::pin(async move { apply(tx, &project, &changes, (origin, now)).await })
    })
    .await
}

/// Removes a setting, if the project has it.
///
/// # Errors
/// [`Error::ProjectGone`].
pub async fn remove(
    db: &Db,
    permit: &ProjectPermit<on::Metadata, to::Delete>,
    name: String,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().clone(), permit.caller().origin());
    db.write_in(project.id, move |tx| {
        Box::pin(async move {
            if !project::metadata(tx, project.id).await?.contains_key(&name) {
                return Ok(());
            }
            project::remove_metadata(tx, project.id, &name).await?;
            let named = (project.id, &project.name);
            let event = event(now, origin, Operation::Update, named);
            Ok(tx
                .record(&event.with_detail(format!("without {name}")))
                .await?)
        })
    })
    .await
}
