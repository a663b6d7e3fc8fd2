//! Labels of the installation, which system administrators change, and of projects; and putting them on artifacts.

use std::pin::Pin;

use db::label::{self, Label};
use db::{Db, Tx, repository};
use model::{
    Event, LabelId, NewLabel, Operation, Origin, ProjectId, Reference, RepositoryName,
    ResourceType, Subject, Timestamp,
};
use policy::to::To;
use policy::{ProjectPermit, SystemPermit, on, to};

use crate::{Error, Result};

/// Maximum labels of an artifact.
pub const MOST: i64 = 1_000;

/// Permission for an action on labels of one scope.
#[derive(Clone, Debug)]
pub enum LabelPermit<A> {
    /// Those of the installation.
    Installation(SystemPermit),
    /// Those of a project.
    Project(ProjectPermit<on::Label, A>),
}

impl<A: To> LabelPermit<A> {
    fn scope(&self) -> Option<ProjectId> {
        match self {
            Self::Installation(_) => None,
            Self::Project(permit) => Some(permit.project().id),
        }
    }

    fn origin(&self) -> Origin {
        match self {
            Self::Installation(permit) => permit.caller().origin(),
            Self::Project(permit) => permit.caller().origin(),
        }
    }
}

/// Makes a label.
///
/// # Errors
/// [`Error::LabelExists`], [`Error::ProjectGone`].
pub async fn create(
    db: &Db,
    permit: &LabelPermit<to::Create>,
    new: NewLabel,
    now: Timestamp,
) -> Result<LabelId> {
    let (scope, origin) = (permit.scope(), permit.origin());
    write(db, scope, move |tx| {
        Box::pin(async move {
            let made = label::create(tx, scope, &new, now).await;
            let id = made.map_err(|error| taken(error, &new))?;
            let event = event(now, origin, Operation::Create, (scope, new.name.as_str()));
            tx.record(&event).await?;
            Ok(id)
        })
    })
    .await
}

/// Changes a label.
///
/// # Errors
/// [`Error::LabelUnknown`], [`Error::LabelExists`], [`Error::ProjectGone`].
pub async fn change(
    db: &Db,
    permit: &LabelPermit<to::Update>,
    id: LabelId,
    new: NewLabel,
    now: Timestamp,
) -> Result<()> {
    let (scope, origin) = (permit.scope(), permit.origin());
    write(db, scope, move |tx| {
        Box::pin(async move {
            let before = hold(tx, scope, id).await?;
            let changed = label::update(tx, id, &new, now).await;
            changed.map_err(|error| taken(error, &new))?;
            let event = event(now, origin, Operation::Update, (scope, &before.name));
            let renamed = before.name != new.name.as_str();
            let detail = renamed.then(|| format!("renamed to {}", new.name));
            Ok(tx
                .record(&event.with_detail(detail.unwrap_or_default()))
                .await?)
        })
    })
    .await
}

/// Deletes a label; no artifact has it from then on. Its rows are purged later.
///
/// # Errors
/// [`Error::LabelUnknown`], [`Error::ProjectGone`].
pub async fn delete(
    db: &Db,
    permit: &LabelPermit<to::Delete>,
    id: LabelId,
    now: Timestamp,
) -> Result<()> {
    let (scope, origin) = (permit.scope(), permit.origin());
    write(db, scope, move |tx| {
        Box::pin(async move {
            let label = hold(tx, scope, id).await?;
            label::delete(tx, id, now).await?;
            let event = event(now, origin, Operation::Delete, (scope, &label.name));
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

/// Puts a label on an artifact: one of its project or of the installation.
///
/// # Errors
/// [`Error::ArtifactUnknown`], [`Error::LabelUnknown`], [`Error::LabelAttached`], [`Error::TooManyLabels`],
/// [`Error::ProjectGone`].
pub async fn attach(
    db: &Db,
    permit: &ProjectPermit<on::ArtifactLabel, to::Create>,
    artifact: (RepositoryName, Reference),
    id: LabelId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let manifest = hold_artifact(tx, project, &artifact).await?;
            let label = hold_usable(tx, project, id).await?;
            if label::count_of(tx, manifest.id, MOST).await? >= MOST {
                return Err(Error::TooManyLabels(MOST));
            }
            if !label::attach(tx, manifest.id, id).await? {
                return Err(Error::LabelAttached(label.name));
            }
            let subject = marked(project, artifact, manifest.digest);
            let event = Event::new(now, origin, Operation::Update, subject);
            let detail = format!("label {} added", label.name);
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}

/// Takes a label off an artifact.
///
/// # Errors
/// [`Error::ArtifactUnknown`], [`Error::LabelUnknown`], [`Error::LabelNotAttached`], [`Error::ProjectGone`].
pub async fn detach(
    db: &Db,
    permit: &ProjectPermit<on::ArtifactLabel, to::Delete>,
    artifact: (RepositoryName, Reference),
    id: LabelId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let manifest = hold_artifact(tx, project, &artifact).await?;
            let label = hold_usable(tx, project, id).await?;
            if !label::detach(tx, manifest.id, id).await? {
                return Err(Error::LabelNotAttached {
                    label: id,
                    artifact: manifest.id,
                });
            }
            let subject = marked(project, artifact, manifest.digest);
            let event = Event::new(now, origin, Operation::Update, subject);
            let detail = format!("label {} removed", label.name);
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}

type Work<'t, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 't>>;

/// A transaction on labels of a scope.
async fn write<T: Send + 'static>(
    db: &Db,
    scope: Option<ProjectId>,
    work: impl for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Send + 'static,
) -> Result<T> {
    match scope {
        Some(project) => db.write_in(project, work).await,
        None => db.write(work).await,
    }
}

/// A label of a scope to be changed, locked: if two delete it, the second finds none.
async fn hold(tx: &mut Tx, scope: Option<ProjectId>, id: LabelId) -> Result<Label> {
    let label = label::hold(tx, id).await?;
    let label = label.filter(|label| label.project == scope);
    label.ok_or(Error::LabelUnknown(id))
}

/// A label that artifacts of a project may have.
async fn hold_usable(tx: &mut Tx, project: ProjectId, id: LabelId) -> Result<Label> {
    let label = label::hold(tx, id).await?;
    let usable = |label: &Label| label.project.is_none_or(|of| of == project);
    label.filter(usable).ok_or(Error::LabelUnknown(id))
}

async fn hold_artifact(
    tx: &mut Tx,
    project: ProjectId,
    (name, reference): &(RepositoryName, Reference),
) -> Result<label::Artifact> {
    let unknown = || {
        let at = match reference {
            Reference::Tag(tag) => format!("{name}:{tag}"),
            Reference::Digest(digest) => format!("{name}@{digest}"),
        };
        Error::ArtifactUnknown(at)
    };
    let repository = repository::published_in(tx, project, name).await?;
    let repository = repository.ok_or_else(unknown)?;
    let held = label::hold_artifact(tx, (project, repository), reference).await?;
    held.ok_or_else(unknown)
}

fn marked(
    project: ProjectId,
    (repository, reference): (RepositoryName, Reference),
    digest: model::Digest,
) -> Subject {
    let tag = match reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => None,
    };
    Subject::Artifact {
        project,
        repository,
        tag,
        digest,
    }
}

fn taken(error: db::Error, new: &NewLabel) -> Error {
    match error {
        db::Error::Duplicate(_) => Error::LabelExists(new.name.to_string()),
        other => other.into(),
    }
}

fn event(
    now: Timestamp,
    origin: Origin,
    operation: Operation,
    (scope, name): (Option<ProjectId>, &str),
) -> Event {
    let (kind, name) = (ResourceType::Label, name.to_owned());
    let subject = match scope {
        Some(project) => Subject::Owned {
            project,
            kind,
            name,
        },
        None => Subject::Installation(kind, name),
    };
    Event::new(now, origin, operation, subject)
}
