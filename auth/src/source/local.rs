//! Local users, with a password in this database.

use std::sync::Arc;

use async_trait::async_trait;
use db::user::User;
use db::{Db, user};
use tenancy::password::PasswordHasher;

use super::PasswordSource;
use crate::error::{Error, Result};
use crate::login::{Checked, Login};
use crate::verified::{Proof, Verified};

/// Checks passwords against the hashes in the database, off the async threads. An unknown name takes as long as any
/// other.
pub(crate) struct Local {
    db: Db,
    hasher: Arc<PasswordHasher>,
}

impl Local {
    pub(crate) fn new(db: Db, hasher: Arc<PasswordHasher>) -> Self {
        Self { db, hasher }
    }

    /// The user of this name. No name has NUL in it, and PostgreSQL would refuse the query.
    async fn user(&self, name: &str) -> Result<Option<User>> {
        if name.contains('\0') {
            return Ok(None);
        }
        Ok(user::by_name(&mut self.db.reader().await?, name).await?)
    }
}

#[async_trait]
impl PasswordSource for Local {
    async fn check(&self, login: Login) -> Result<Checked> {
        let slot = self.hasher.slot(login.applicant()).await?;
        login.allowed()?;
        let user = self.user(login.name()).await?;
        let known = user.as_ref().filter(|user| user.password_hash.is_some());
        let known = known.map(|user| Verified {
            principal: user.principal_id,
            generation: user.generation,
            by: Proof::Password,
        });
        let unverified = user.as_ref().is_some_and(|user| user.unverified);
        let stored = user.and_then(|user| user.password_hash);
        let password = login.secret();
        let settle = move |right| match known {
            Some(verified) if right => {
                let checked = login.right(verified);
                // Only a caller who knows the password is told.
                (!unverified).then_some(checked).ok_or(Error::Unverified)
            }
            Some(_) => Ok(login.wrong()),
            None => Ok(login.unknown()),
        };
        slot.verify(&password, stored.as_deref(), settle).await?
    }
}
