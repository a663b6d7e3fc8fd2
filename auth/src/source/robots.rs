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

    /// A chosen secret is hashed like a password.
    async fn check_chosen(&self, login: Login, robot: &Robot) -> Result<Checked> {
        let slot = self.hasher.slot(login.applicant()).await?;
        login.allowed()?;
        let verified = verified(robot);
        let password = login.secret();
        let settle = move |right| match right {
            true => login.right(verified),
            false => login.wrong(),
        };
        Ok(slot
            .verify(&password, Some(&robot.secret_hash), settle)
            .await?)
    }
}

#[async_trait]
impl PasswordSource for Robots {
    async fn check(&self, login: Login) -> Result<Checked> {
        let Some(robot) = find(&mut self.db.reader().await?, login.name()).await? else {
            return Ok(Checked::Unknown(login));
        };
        let now = login.now();
        let checked = match secret::is_random_one(&robot.secret_hash, login.password()) {
            Some(true) => login.right(verified(&robot)),
            Some(false) => return Ok(Checked::Unknown(login)),
            None => self.check_chosen(login, &robot).await?,
        };
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

fn verified(robot: &Robot) -> Verified {
    Verified {
        principal: robot.principal_id,
        generation: robot.generation,
        by: Proof::Password,
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
