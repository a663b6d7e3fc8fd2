//! Asking the provider again, by refresh tokens: whether people may still sign in, and which groups they are in.
//!
//! Providers accept a refresh token once and give a new one for it; a second use revokes all tokens that were given
//! with it. So one process asks at a time: it reserves the account by `held_until`, for longer than the provider may
//! take to answer, and a second process waits for the result, or asks the client to retry. If the provider does not
//! answer, the reservation expires, which is the pause before the next attempt.

use std::time::Duration;

use db::identity::{self, Identity, OIDC};
use db::oidc::{self, Account};
use futures_util::stream::{self, StreamExt as _};
use model::{PrincipalId, Timestamp};
use parking_lot::Mutex;
use tenancy::oidc::{Person, Vouched};
use tokio::task::JoinSet;
use tracing::{Instrument as _, instrument};

use super::Oidc;
use super::claims::{describe, describe_again};
use super::error::{Error, Result};
use super::flow::userinfo;
use super::provider::{Provider, Tokens};
use super::token::IdToken;
use crate::ldap::seconds;

/// How long one process alone asks about somebody at least.
const HELD: Duration = Duration::from_secs(30);
/// Answers that this may take: where the provider's endpoints are, its keys, new tokens and what it says of the user.
const MOST_ANSWERS: u32 = 4;
/// Reason that the audit log gives for an account that the provider no longer confirms.
const NOT_VOUCHED_FOR: &str = "the OIDC provider does not vouch for the account any more";
/// Maximum people to ask about at the same time in a reading.
const AT_A_TIME: usize = 8;
/// How often, and how many times, a second process checks whether the first is done.
const LOOKS: (Duration, u32) = (Duration::from_millis(200), 15);
/// Maximum people to ask about in the background at a time.
const MOST_CHECKS: usize = 64;
/// People per reading.
const PEOPLE: i64 = 50;

/// Checks in the background; they end when this is dropped.
#[derive(Default)]
pub(super) struct Checks(Mutex<JoinSet<()>>);

impl Oidc {
    /// Whether the CLI secret of a user is valid now.
    ///
    /// It is valid without asking for `oidc_secret_secs` after the provider confirmed the user. After that a use
    /// succeeds while the provider is asked in the background, and once `oidc_outage_secs` have passed, a use waits for
    /// the answer.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::Refused`]; when the provider has to be asked and cannot be.
    pub(crate) async fn vouches(&self, known: &Identity, account: &Account) -> Result<()> {
        if !known.active {
            return Err(Error::Ended(
                "sign in to the web page again: the OIDC provider did not vouch for the account any more",
            ));
        }
        let (values, now) = (self.settings.current(), self.clock.now());
        if !values.has_provider() {
            return Err(Error::NotConfigured);
        }
        let age = now.since(account.checked_at);
        let fresh = seconds(values.oidc_secret_secs);
        let outage = seconds(values.oidc_outage_secs).max(fresh);
        if age <= fresh {
            return Ok(());
        }
        if account.refresh_token.is_none() {
            return match age <= outage {
                true => Ok(()),
                false => Err(Error::Ended(
                    "sign in to the web page again: the OIDC provider gave no refresh token, without which it cannot be asked whether the account still may (offline_access in oidc_scope)",
                )),
            };
        }
        if age <= outage {
            self.check_in_background(known.principal);
            return Ok(());
        }
        self.check_or_wait(known.principal, account.checked_at)
            .await
    }

    fn check_in_background(&self, principal: PrincipalId) {
        let mut checks = self.checks.0.lock();
        while checks.try_join_next().is_some() {}
        if checks.len() >= MOST_CHECKS {
            return;
        }
        let oidc = self.clone();
        checks.spawn(async move {
            if let Err(error) = oidc.check(principal).await {
                let cause = error.chain();
                tracing::debug!(
                    cause,
                    "somebody cannot be asked about at the OIDC provider now"
                );
            }
        });
    }

    /// Who waits for another check, which may have begun a moment before, waits for what changes, not for a time.
    async fn check_or_wait(&self, principal: PrincipalId, known_at: Timestamp) -> Result<()> {
        if self.check(principal).await? {
            return Ok(());
        }
        let (pause, looks) = LOOKS;
        for _ in 0..looks {
            tokio::time::sleep(pause).await;
            let mut reader = self.db.reader().await?;
            let known = identity::of_principal(&mut reader, OIDC, principal).await?;
            if !known.is_some_and(|known| known.active) {
                return Err(Error::Ended(
                    "the OIDC provider does not vouch for the account any more",
                ));
            }
            let account = oidc::account(&mut reader, principal).await?;
            if account.is_some_and(|account| account.checked_at > known_at) {
                return Ok(());
            }
        }
        Err(Error::Busy)
    }

    /// Asks the provider about a user, and keeps what it says, whoever waits for it: a refresh token that was used works no
    /// more, and the new one must not be lost with a request that was given up. False if another process asks already.
    ///
    /// # Errors
    /// [`Error::Refused`] if it no longer confirms them, which locks them out; why it cannot be asked.
    #[instrument(name = "auth.oidc.check", level = "debug", skip_all)]
    pub(crate) async fn check(&self, principal: PrincipalId) -> Result<bool> {
        let oidc = self.clone();
        let checking = async move { oidc.check_held(principal).await };
        let checked = tokio::spawn(checking.in_current_span()).await;
        checked.unwrap_or_else(|failure| match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(_) => Err(Error::Busy),
        })
    }

    async fn check_held(&self, principal: PrincipalId) -> Result<bool> {
        let (now, timeout) = (self.clock.now(), self.settings.current().oidc_timeout);
        let hold = (now, now.plus(HELD.max(seconds(timeout) * MOST_ANSWERS)));
        let held = self
            .db
            .write(move |tx| Box::pin(async move { oidc::hold(tx, principal, hold).await }));
        if !held.await? {
            return Ok(false);
        }
        // Read after the reservation: the previous holder may have stored another token.
        let mut reader = self.db.reader().await?;
        let known = identity::of_principal(&mut reader, OIDC, principal).await?;
        let account = oidc::account(&mut reader, principal).await?;
        drop(reader);
        let Some((known, account)) = known.zip(account) else {
            return Ok(false);
        };
        let asked = self.ask(&known, &account, now).await;
        if let Err(error @ Error::Refused(_)) = asked {
            self.accounts.end(&account, NOT_VOUCHED_FOR, now).await?;
            return Err(error);
        }
        asked.map(|()| true)
    }

    /// Asks the provider with the refresh token of an account, and keeps what it says.
    async fn ask(&self, known: &Identity, account: &Account, now: Timestamp) -> Result<()> {
        let provider = self.provider()?;
        let issuer = &provider.metadata().await?.issuer;
        // A refresh token is only sent to the provider that issued it.
        if !known.subject.starts_with(&format!("{issuer} ")) {
            let why = "the account is of another provider than the one that is set now";
            return Err(Error::Refused(why.to_owned()));
        }
        let Some(token) = self.accounts.refresh_token(account) else {
            return Err(Error::Ended(
                "there is no refresh token that can be opened: sign in to the web page again",
            ));
        };
        let tokens = provider.refresh(&token).await?;
        let refresh_token = tokens.refresh_token.clone().unwrap_or(token);
        // At once: the old token no longer works, whatever is wrong with the rest.
        let kept = self.accounts.replace_token(account, &refresh_token, now);
        let Some(asked_with) = kept.await? else {
            return Ok(());
        };
        let person = match who(&provider, known, tokens, now).await {
            Err(error @ Error::Refused(_)) => {
                let account = Account {
                    refresh_token: Some(asked_with),
                    ..account.clone()
                };
                self.accounts.end(&account, NOT_VOUCHED_FOR, now).await?;
                return Err(error);
            }
            person => person?,
        };
        match person {
            None => self.accounts.vouched(known.principal, now).await?,
            Some(person) => {
                let vouched = Vouched {
                    person,
                    refresh_token: None,
                    asked_with: Some(asked_with),
                };
                self.accounts.admit(&vouched, now).await?;
            }
        }
        Ok(())
    }

    /// True if somebody with a session is due by the settings.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_reading_due(&self) -> Result<bool> {
        Ok(!self.due(1).await?.is_empty())
    }

    /// Asks about everybody with a session who is due, several at a time, until the provider does not answer; how many were
    /// asked about, and how many could not be. Without a provider they are out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(&self) -> Result<(usize, usize)> {
        let (mut asked, mut failed) = (0, 0);
        loop {
            let due = self.due(PEOPLE).await?;
            if due.is_empty() || failed > 0 {
                return Ok((asked, failed));
            }
            let checks = due.into_iter().map(|principal| self.read_one(principal));
            let mut checks = stream::iter(checks).buffer_unordered(AT_A_TIME);
            while let Some(checked) = checks.next().await {
                asked += 1;
                failed += usize::from(!checked?);
            }
        }
    }

    /// Asks about one user; false if that was not possible.
    async fn read_one(&self, principal: PrincipalId) -> Result<bool> {
        let checked = match self.is_configured() {
            true => self.check(principal).await.map(|_| ()),
            false => self.end_without_provider(principal).await,
        };
        match checked {
            Ok(()) | Err(Error::Refused(_)) => Ok(true),
            Err(error @ Error::Database(_)) => Err(error),
            Err(error) => {
                let cause = error.chain();
                tracing::debug!(
                    cause,
                    "somebody cannot be asked about at the OIDC provider now"
                );
                Ok(false)
            }
        }
    }

    /// Ends the sessions of an account whose provider is no longer configured.
    async fn end_without_provider(&self, principal: PrincipalId) -> Result<()> {
        let mut reader = self.db.reader().await?;
        let account = oidc::account(&mut reader, principal).await?;
        drop(reader);
        if let Some(account) = account {
            let why = "no OIDC provider is set any more that vouches for the account";
            self.accounts.end(&account, why, self.clock.now()).await?;
        }
        Ok(())
    }

    async fn due(&self, limit: i64) -> Result<Vec<PrincipalId>> {
        let now = self.clock.now();
        let values = self.settings.current();
        let every = match values.has_provider() {
            true => values.oidc_reading_secs,
            // Administrators change settings one by one: a provider may only be missing for a moment.
            false => values.oidc_reading_secs.max(values.oidc_outage_secs),
        };
        let every = seconds(every);
        let mut reader = self.db.reader().await?;
        // Without a provider no subject begins so: everybody is due.
        let issuer = match values.has_provider() {
            true => values.oidc_endpoint.trim_end_matches('/'),
            false => "-",
        };
        Ok(oidc::due(&mut reader, (now.minus(every), now), issuer, limit).await?)
    }
}

/// The provider's claims about a user with new tokens; `None` if it only confirmed them, without an ID token and a
/// userinfo endpoint.
async fn who(
    provider: &Provider,
    known: &Identity,
    tokens: Tokens,
    now: Timestamp,
) -> Result<Option<Person>> {
    let token = match &tokens.id_token {
        Some(text) => Some(provider.id_token(text.expose(), None, now).await?),
        None => None,
    };
    let userinfo = userinfo(provider, tokens.access_token.as_ref()).await?;
    let Some(token) = token else {
        let again = |userinfo| describe_again(provider.config(), &of_before(known)?, &userinfo);
        return userinfo.map(again).transpose();
    };
    if format!("{} {}", token.issuer, token.subject) != known.subject {
        let why = "its tokens are of somebody else now";
        return Err(Error::Refused(why.to_owned()));
    }
    let described = describe(provider.config(), &token, userinfo.as_ref())?;
    Ok(Some(described.person))
}

/// The subject of a refresh without an ID token: the owner of the refresh token.
fn of_before(known: &Identity) -> Result<IdToken> {
    let corrupt = Error::Token("whom it is of is not known");
    let (issuer, subject) = known.subject.split_once(' ').ok_or(corrupt)?;
    Ok(IdToken {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        claims: serde_json::Map::new(),
    })
}
