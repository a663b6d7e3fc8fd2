//! People whom an OIDC provider knows, by their CLI secrets.

use async_trait::async_trait;
use db::Db;
use db::identity::{self, Identity, OIDC};
use db::oidc::{self, Account};

use super::PasswordSource;
use crate::error::{Error, Result};
use crate::login::{Checked, Login};
use crate::oidc::Oidc;
use crate::verified::{Proof, Verified};

/// Compares CLI secrets, and sees to it that the provider still vouches for their owners.
///
/// A wrong one is passed on as of a name that is not known here: the next source hashes it as any other, so that time does
/// not tell whom a provider knows.
pub(crate) struct CliSecrets {
    db: Db,
    oidc: Oidc,
}

impl CliSecrets {
    pub(crate) fn new(db: Db, oidc: Oidc) -> Self {
        Self { db, oidc }
    }

    /// Who has a name, and what is kept of them.
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
            // Whoever has the secret guesses nothing.
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
