//! Repositories: describing one, and deleting one with everything in it.
//!
//! Deleting is a short transaction: with an exclusive lock on the project, it gives the repository a tombstone and writes the audit
//! entry. From its commit on, nothing of the repository can be found, and its name is free. A push holds a shared lock
//! on the project: it either ends before, and its content is deleted too, or begins after, and creates a new
//! repository.
//!
//! [`crate::Registry::purge`] removes the content afterwards. Only that changes the content of a deleted repository,
//! apart from garbage collection, which removes links when they are due.

use db::Db;
use db::repository;
use model::{Event, Operation, RepositoryName, Subject, Timestamp};
use policy::{ProjectPermit, on, to};

use crate::Result;
use crate::immutability::Seen;

/// How often new tags may arrive while the existing ones are checked.
const ATTEMPTS: usize = 10;

/// Sets the description of a repository. Returns false if there is none.
///
/// # Errors
/// When the project is gone or the database fails.
pub async fn describe(
    db: &Db,
    permit: &ProjectPermit<on::Repository, to::Update>,
    name: &RepositoryName,
    description: String,
    now: Timestamp,
) -> db::Result<bool> {
    let (project, name) = (permit.project().id, name.clone());
    let subject = Subject::Repository {
        project: Some(project),
        name: name.clone(),
    };
    let event = Event::new(now, permit.caller().origin(), Operation::Update, subject);
    let described = db.write_in(project, move |tx| {
        Box::pin(async move {
            let described = repository::describe(tx, project, &name, &description, now).await?;
            if described {
                tx.record(&event).await?;
            }
            Ok(described)
        })
    });
    described.await
}

/// Deletes a repository. Returns false if there was none.
///
/// # Errors
/// [`crate::Error::Immutable`] if one of its tags is immutable; when the project is gone or the database fails.
pub async fn delete(
    db: &Db,
    permit: &ProjectPermit<on::Repository, to::Delete>,
    name: &RepositoryName,
    now: Timestamp,
) -> Result<bool> {
    let mut seen = None;
    for _ in 0..ATTEMPTS {
        let wanted = match delete_seen(db, permit, (name, seen.clone()), now).await? {
            Attempt::Done(deleted) => return Ok(deleted),
            Attempt::Unseen(wanted) => wanted,
        };
        wanted.look(db, name, seen.as_ref()).await?;
        seen = Some(wanted);
    }
    Err(db::Error::Contended("the repository").into())
}

/// The result of an attempt to delete a repository.
enum Attempt {
    /// It is deleted, or there was none.
    Done(bool),
    /// It has tags that have to be checked first.
    Unseen(Seen),
}

/// Deletes a repository unless it has unchecked tags.
async fn delete_seen(
    db: &Db,
    permit: &ProjectPermit<on::Repository, to::Delete>,
    (name, seen): (&RepositoryName, Option<Seen>),
    now: Timestamp,
) -> Result<Attempt> {
    let (project, name) = (permit.project().id, name.clone());
    let subject = Subject::Repository {
        project: Some(project),
        name: name.clone(),
    };
    let event = Event::new(now, permit.caller().origin(), Operation::Delete, subject);
    let attempt = db.write_alone_in(project, move |tx| {
        Box::pin(async move {
            let wanted = Seen::wanted(tx, (project, &name)).await?;
            if let Some(wanted) = wanted.filter(|wanted| seen.as_ref() != Some(wanted)) {
                return Ok(Attempt::Unseen(wanted));
            }
            let deleted = repository::delete(tx, project, &name, now).await?;
            if deleted {
                tx.record(&event).await?;
            }
            Ok(Attempt::Done(deleted))
        })
    });
    attempt.await
}
