//! Projects: making, changing and deleting them.

pub mod setting;

use db::project::deleted;
use db::{Db, Tx, applied, principal, project, untagged, user};
use model::{
    Event, Operation, Origin, ProjectId, ProjectName, ProjectSetting, StorageLimit, Subject,
    Timestamp, UserId,
};
use policy::{
    CreateProjectPermit, ProjectDeletion, ProjectFacts, ProjectPermit, SystemPermit, on, to,
};

use crate::{Error, Result};

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// Its name.
    pub name: ProjectName,
    /// Whether everyone may pull from it.
    pub public: bool,
    /// How much it may hold.
    pub limit: StorageLimit,
    /// Its settings.
    pub settings: Vec<ProjectSetting>,
}

impl NewProject {
    /// A project without settings.
    pub const fn named(name: ProjectName, public: bool, limit: StorageLimit) -> Self {
        Self {
            name,
            public,
            limit,
            settings: Vec::new(),
        }
    }
}

/// Makes a project; its owner becomes its first project admin.
///
/// # Errors
/// [`Error::ProjectExists`].
pub async fn create(
    db: &Db,
    permit: &CreateProjectPermit,
    new: NewProject,
    now: Timestamp,
) -> Result<ProjectId> {
    let permit = permit.clone();
    db.write(move |tx| Box::pin(async move { create_in(tx, &permit, &new, now).await }))
        .await
}

/// As [`create`], within a transaction that makes more than the project.
pub(crate) async fn create_in(
    tx: &mut Tx,
    permit: &CreateProjectPermit,
    new: &NewProject,
    now: Timestamp,
) -> Result<ProjectId> {
    let (owner, limit) = (permit.owner(), new.limit.bytes());
    let id = project::create(tx, &new.name, owner, new.public, limit, now)
        .await
        .map_err(|error| match error {
            db::Error::Duplicate(_) => Error::ProjectExists(new.name.clone()),
            db::Error::OwnerGone => Error::UserUnknown(owner),
            other => other.into(),
        })?;
    for setting in &new.settings {
        project::set_metadata(tx, id, setting.name(), setting.value()).await?;
    }
    let origin = permit.caller().origin();
    let event = event(now, origin, Operation::Create, (id, &new.name));
    tx.record(&event.with_detail(format!("public={}", new.public)))
        .await?;
    Ok(id)
}

/// Changes of a project; everything else stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Whether everyone may pull from it.
    pub public: Option<bool>,
    /// Settings.
    pub settings: Vec<ProjectSetting>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.public.is_none() && self.settings.is_empty()
    }

    /// Names and values, for the history.
    fn describe(&self) -> String {
        let public = self.public.map(|public| format!("public={public}"));
        let settings = self.settings.iter();
        let settings = settings.map(|setting| format!("{}={}", setting.name(), setting.value()));
        let all: Vec<String> = public.into_iter().chain(settings).collect();
        all.join(" ")
    }
}

/// Changes a project. Without changes, no event is recorded.
///
/// # Errors
/// [`Error::ProjectGone`].
pub async fn update(
    db: &Db,
    permit: &ProjectPermit<on::Project, to::Update>,
    changes: Changes,
    now: Timestamp,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let (project, origin) = (permit.project().clone(), permit.caller().origin());
    db.write_in(project.id, move |tx| {
        Box::pin(async move { apply(tx, &project, &changes, (origin, now)).await })
    })
    .await
}

/// Makes changes, and records them as one.
async fn apply(
    tx: &mut Tx,
    project: &ProjectFacts,
    changes: &Changes,
    (origin, now): (Origin, Timestamp),
) -> Result<()> {
    if let Some(public) = changes.public {
        project::set_public(tx, project, public, now).await?;
    }
    for setting in &changes.settings {
        project::set_metadata(tx, project.id, setting.name(), setting.value()).await?;
    }
    let named = (project.id, &project.name);
    let event = event(now, origin, Operation::Update, named);
    Ok(tx.record(&event.with_detail(changes.describe())).await?)
}

/// Deletes a project without artifacts: its name becomes free. [`restore`] brings it back.
///
/// # Errors
/// [`Error::ProjectDeletionRestricted`], [`Error::ProjectHoldsArtifacts`], [`Error::ProjectGone`].
pub async fn delete(
    db: &Db,
    permit: &ProjectPermit<on::Project, to::Delete>,
    deletion: ProjectDeletion,
    now: Timestamp,
) -> Result<()> {
    check_deletion(permit, deletion)?;
    let (project, origin) = (permit.project().clone(), permit.caller().origin());
    db.write_alone_in(project.id, move |tx| {
        Box::pin(async move {
            if !project::delete(tx, &project, now).await? {
                return Err(Error::ProjectHoldsArtifacts(project.name));
            }
            let named = (project.id, &project.name);
            Ok(tx
                .record(&event(now, origin, Operation::Delete, named))
                .await?)
        })
    })
    .await
}

/// Whether the setting lets the holder of a permit delete projects.
///
/// # Errors
/// [`Error::ProjectDeletionRestricted`].
pub fn check_deletion(
    permit: &ProjectPermit<on::Project, to::Delete>,
    deletion: ProjectDeletion,
) -> Result<()> {
    match deletion {
        ProjectDeletion::Admins if !permit.caller().is_sysadmin() => {
            Err(Error::ProjectDeletionRestricted)
        }
        ProjectDeletion::Admins | ProjectDeletion::Everyone => Ok(()),
    }
}

/// Restores a project that was deleted after a time, with its settings, labels, rules for immutable tags and members.
/// Its robots, retention policy, webhooks and workload rules are gone. What is restored counts as made by hand:
/// `gantry apply` does not remove it again. Returns its name.
///
/// # Errors
/// [`Error::ProjectNotRestorable`]; [`Error::ProjectExists`] if another project has the name now.
pub async fn restore(
    db: &Db,
    permit: &SystemPermit,
    (id, deleted_after): (ProjectId, Timestamp),
    now: Timestamp,
) -> Result<ProjectName> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let found = deleted::hold(tx, id, deleted_after).await?;
            let found = found.ok_or(Error::ProjectNotRestorable(id))?;
            let restored = deleted::restore(tx, &found, now).await;
            restored.map_err(|error| match error {
                db::Error::Duplicate(_) => Error::ProjectExists(found.name.clone()),
                other => other.into(),
            })?;
            applied::forget_project(tx, id).await?;
            let event = event(now, origin, Operation::Create, (id, &found.name));
            tx.record(&event.with_detail("restored")).await?;
            Ok(found.name)
        })
    })
    .await
}

/// Sets how many seconds untagged manifests are kept; `None` keeps them for ever.
///
/// # Errors
/// [`Error::ProjectGone`].
pub async fn set_untagged(
    db: &Db,
    permit: &ProjectPermit<on::Project, to::Update>,
    delete_after: Option<i64>,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().clone(), permit.caller().origin());
    let detail = match delete_after {
        Some(secs) => format!("untagged manifests are deleted after {secs} s"),
        None => "untagged manifests are kept".to_owned(),
    };
    db.write_in(project.id, move |tx| {
        Box::pin(async move {
            untagged::set_policy(tx, project.id, delete_after).await?;
            let named = (project.id, &project.name);
            let event = event(now, origin, Operation::Update, named);
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}

/// Names another owner.
///
/// # Errors
/// [`Error::UserUnknown`], [`Error::ProjectGone`].
pub async fn set_owner(
    db: &Db,
    permit: &SystemPermit,
    project: ProjectFacts,
    owner: UserId,
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write_in(project.id, move |tx| {
        Box::pin(async move {
            let user = user::by_id(tx, owner).await?;
            let user = user.ok_or(Error::UserUnknown(owner))?;
            // The new owner cannot be deleted meanwhile.
            let held = principal::hold(tx, user.principal_id).await?;
            held.ok_or(Error::UserUnknown(owner))?;
            project::set_owner(tx, project.id, owner, now).await?;
            let named = (project.id, &project.name);
            let event = event(now, origin, Operation::Update, named);
            Ok(tx
                .record(&event.with_detail(format!("owner={}", user.name)))
                .await?)
        })
    })
    .await
}

/// An event about a project.
pub(crate) fn event(
    now: Timestamp,
    origin: Origin,
    operation: Operation,
    (id, name): (ProjectId, &ProjectName),
) -> Event {
    let name = name.clone();
    Event::new(now, origin, operation, Subject::Project { id, name })
}
