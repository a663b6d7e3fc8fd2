//! Users of an OIDC provider, by their CLI secrets.

use async_trait::async_trait;
use db::Db;
use db::identity::{self, Identity, OIDC};
use db::oidc::{self, Account};

use super::PasswordSource;
use crate::error::{Error, Result};
use crate::login::{Checked, Login};
use crate::oidc::Oidc;
use crate::verified::{Proof, Verified};

/// Compares CLI secrets, and makes sure that the provider still confirms their owners.
///
/// A wrong one is treated as an unknown name: the next source hashes it like any other, so that timing does not reveal
/// a provider's users.
pub(crate) struct CliSecrets {
    db: Db,
    oidc: Oidc,
}

impl CliSecrets {
    pub(crate) fn new(db: Db, oidc: Oidc) -> Self {
        Self { db, oidc }
    }

    /// The identity and account with a name.
    async fn find(&self, name: &str) -> Result<Option<(Identity, Account)>> {
        if name.contains('\0') {
            return Ok(None);
        }
        let mut reader = self.db.reader().await?;
        let Some(known) = identity::of_name(&mut reader, OIDC, name).await? else {
            return Ok(None);
        };
        let account = oidc::account(&mut reader, known.principal).await?;
        Ok(account.map(|account| (known, account)))
    }
}

#[async_trait]
impl PasswordSource for CliSecrets {
    async fn check(&self, login: Login) -> Result<Checked> {
        if !self.oidc.is_configured() {
            return Ok(Checked::Unknown(login));
        }
        let Some((known, account)) = self.find(login.name()).await? else {
            return Ok(Checked::Unknown(login));
        };
        login.allowed()?;
        let secret = self.oidc.accounts().cli_secret(&account);
        let is_right = secret.is_some_and(|secret| secret.matches(login.password()));
        if !is_right {
            return Ok(Checked::Unknown(login));
        }
        if let Err(error) = self.oidc.vouches(&known, &account).await {
            // The secret was right, so this is not a guess.
            login.excuse();
            return Err(Error::Provider(error));
        }
        let verified = Verified {
            principal: known.principal,
            generation: known.generation,
            by: Proof::CliSecret,
        };
        Ok(login.right(verified))
    }
}
