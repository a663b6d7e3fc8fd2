//! Robots, which sign in with a secret of their own.

use std::sync::Arc;

use async_trait::async_trait;
use db::robot::{self, Robot};
use db::{Db, Reader};
use model::Timestamp;
use tenancy::password::PasswordHasher;
use tenancy::robot::secret;

use super::PasswordSource;
use crate::error::{Error, Result};
use crate::login::{Checked, Login};
use crate::verified::{Proof, Verified};

/// Checks secrets of robots. A random one takes no slow hash; a wrong one goes on to the next source, as unknown names
/// do, so that timing does not reveal which robots exist.
pub(crate) struct Robots {
    db: Db,
    hasher: Arc<PasswordHasher>,
}

impl Robots {
    pub(crate) fn new(db: Db, hasher: Arc<PasswordHasher>) -> Self {
        Self { db, hasher }
    }

    /// Whether it is the secret of a hash; otherwise the login is returned. A chosen secret is hashed like a password.
    async fn compare(&self, login: Login, hash: &str, verified: Verified) -> Result<Checked> {
        match secret::is_random_one(hash, login.password()) {
            Some(true) => return Ok(login.right(verified)),
            Some(false) => return Ok(Checked::Unknown(login)),
            None => {}
        }
        let slot = self.hasher.slot(login.applicant()).await?;
        login.allowed()?;
        let password = login.secret();
        let settle = move |right| match right {
            true => login.right(verified),
            false => login.unknown(),
        };
        Ok(slot.verify(&password, Some(hash), settle).await?)
    }

    /// Compares with the present secret, then with the one before it while that works.
    async fn compare_all(&self, login: Login, robot: &Robot) -> Result<Checked> {
        let present = verified(robot, Proof::Password);
        let login = match self.compare(login, &robot.secret_hash, present).await? {
            Checked::Unknown(login) => login,
            settled => return Ok(settled),
        };
        let mut is_chosen = secret::is_chosen(&robot.secret_hash);
        let previous = robot.previous_secret(login.now());
        let Some((hash, until)) = previous else {
            return Ok(wrong(login, is_chosen));
        };
        is_chosen |= secret::is_chosen(hash);
        let previous = verified(robot, Proof::PreviousSecret(until));
        Ok(match self.compare(login, hash, previous).await? {
            Checked::Unknown(login) => wrong(login, is_chosen),
            settled => settled,
        })
    }
}

#[async_trait]
impl PasswordSource for Robots {
    async fn check(&self, login: Login) -> Result<Checked> {
        let Some(robot) = find(&mut self.db.reader().await?, login.name()).await? else {
            return Ok(Checked::Unknown(login));
        };
        let now = login.now();
        let checked = self.compare_all(login, &robot).await?;
        if matches!(checked, Checked::Right(..)) {
            refuse_ended(&robot, now)?;
        }
        Ok(checked)
    }
}

/// The robot of this name. No name has NUL in it, and PostgreSQL would refuse the query.
async fn find(reader: &mut Reader, name: &str) -> Result<Option<Robot>> {
    if name.contains('\0') {
        return Ok(None);
    }
    Ok(robot::by_full_name(reader, name).await?)
}

fn verified(robot: &Robot, by: Proof) -> Verified {
    Verified {
        principal: robot.principal_id,
        generation: robot.generation,
        by,
    }
}

/// A wrong secret goes on to the next source, unless a slow hash was spent on it.
fn wrong(login: Login, is_chosen: bool) -> Checked {
    match is_chosen {
        true => login.wrong(),
        false => Checked::Unknown(login),
    }
}

/// A caller who has the secret may know why it does not work.
fn refuse_ended(robot: &Robot, now: Timestamp) -> Result<()> {
    if robot.disabled {
        return Err(Error::RobotDisabled);
    }
    if robot.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::RobotExpired);
    }
    Ok(())
}
