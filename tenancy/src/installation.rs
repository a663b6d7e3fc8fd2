//! The installation as a whole: its initial content, and changes outside the database.

use db::Db;
use db::user;
use model::{Event, Operation, ResourceType, Subject, Timestamp, UserId};
use policy::{CreateProjectPermit, SystemPermit};

use crate::password::{NewPassword, PasswordHasher};
use crate::project::{self, NewProject};
use crate::{Error, Result};

/// The built-in administrator's name.
const ADMIN: &str = "admin";

/// Makes the built-in administrator and the first project. If several processes start, only one does it; returns
/// whether it was this one.
///
/// # Errors
/// [`Error::Password`], and when the database cannot be written.
pub async fn begin(
    db: &Db,
    hasher: &PasswordHasher,
    (permit, create): (&SystemPermit, &CreateProjectPermit),
    (password, library): (&NewPassword, NewProject),
    now: Timestamp,
) -> Result<bool> {
    let admin = user::NewUser {
        name: ADMIN.to_owned(),
        email: None,
        realname: "system admin".to_owned(),
        comment: "admin user".to_owned(),
        password_hash: Some(hasher.hash(password).await?),
        sysadmin: true,
        email_verified: true,
        unverified: false,
    };
    let event = crate::user::event(now, permit.caller().origin(), Operation::Create, ADMIN);
    let create = create.clone();
    db.write(move |tx| {
        Box::pin(async move {
            if !user::create_admin(tx, &admin, now).await? {
                return Ok(false);
            }
            tx.record(&event).await?;
            project::create_in(tx, &create, &library, now).await?;
            Ok(true)
        })
    })
    .await
}

/// Whether the installation has begun.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_begun(db: &Db) -> Result<bool> {
    let mut tx = db.reader().await?;
    Ok(user::by_id(&mut tx, UserId::ADMIN).await?.is_some())
}

/// Records a change outside the database, or in many transactions, such as a new certificate or an import.
///
/// # Errors
/// When the database cannot be written.
pub async fn record(
    db: &Db,
    permit: &SystemPermit,
    operation: Operation,
    (kind, name): (ResourceType, &str),
    detail: String,
    now: Timestamp,
) -> Result<()> {
    let subject = Subject::Installation(kind, name.to_owned());
    let event = Event::new(now, permit.caller().origin(), operation, subject).with_detail(detail);
    db.write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.record(&event).await?) }))
        .await
}
