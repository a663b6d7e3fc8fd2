//! Users from an OIDC provider. `auth` handles sign-in; this module stores the result. A person is identified by issuer
//! and subject; by a name or a mail address only where an administrator said so ([`link`]).

pub mod link;

use std::sync::Arc;

use db::identity::{self, Found, Identity, OIDC};
use db::oidc::{self, Account};
use db::user::{self, NewUser};
use db::{Db, Tx, group, principal, session};
use model::{GroupName, GroupSource, Operation, Origin, PrincipalId, Timestamp, UserName};
use policy::UserPermit;

use crate::directory::{
    Admitted, end, fitting_email, fitting_realname, is_race, is_taken, origin, record_changes,
};
use crate::group::NewGroup;
use crate::password::NewPassword;
use crate::robot::secret::random_password;
use crate::secret::{MasterKey, Secret};
use crate::user::event;
use crate::{Error, Result};

/// The comment of users that an OIDC provider made. The text is Harbor's.
const COMMENT: &str = "Onboarded via OIDC provider";
/// Maximum groups of one person.
pub const MOST_GROUPS: usize = 2_000;
/// The purpose for sealing refresh tokens.
const REFRESH: &str = "oidc refresh token";
/// The purpose for sealing CLI secrets.
const CLI: &str = "oidc cli secret";

/// A person, as a provider describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Issuer and subject, with a space between them.
    pub subject: String,
    /// What they are called and their mail address; `None` where the provider did not say, and it stays as it is.
    pub profile: Option<Profile>,
    /// Whether a group makes them a system administrator.
    pub admin: bool,
    /// The names of their groups; `None` where the provider did not say, and they stay as they are, and with them what they
    /// make of the person.
    pub groups: Option<Vec<String>>,
    /// Claims by which somebody may be expected, with their values.
    pub claims: Vec<(String, String)>,
}

impl Person {
    /// The issuer that vouches for them.
    pub fn issuer(&self) -> &str {
        let issuer = self.subject.split_once(' ');
        issuer.map_or(&*self.subject, |(issuer, _)| issuer)
    }
}

/// What describes a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The person's name.
    pub realname: String,
    /// Their mail address. Others may have the same.
    pub email: Option<String>,
}

/// A provider's confirmation: a person, and the token for asking again.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// The person.
    pub person: Person,
    /// The refresh token, if there is a new one.
    pub refresh_token: Option<Secret>,
    /// The sealed refresh token that it was asked with: if another was put in its place meanwhile, the answer is about the
    /// past. `None` for somebody who has just signed in.
    pub asked_with: Option<Vec<u8>>,
}

/// Stores users from an OIDC provider.
#[derive(Clone)]
pub struct Accounts {
    db: Db,
    master: Arc<MasterKey>,
}

impl Accounts {
    /// Stores them in `db`, and seals with `master`.
    pub fn new(db: Db, master: Arc<MasterKey>) -> Self {
        Self { db, master }
    }

    /// Updates the account of a person who has signed in; `None` if there is no account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn admit(&self, vouched: &Vouched, now: Timestamp) -> Result<Option<Admitted>> {
        let once = || {
            let (accounts, vouched) = (self.clone(), vouched.clone());
            self.db.write(move |tx| {
                Box::pin(async move { accounts.admit_in(tx, &vouched, now).await })
            })
        };
        let admitted = match once().await {
            Err(error) if is_race(&error) => once().await,
            done => done,
        }?;
        if let Some(admitted) = &admitted {
            self.grant_expected(admitted.principal, &vouched.person, now)
                .await;
        }
        Ok(admitted)
    }

    async fn admit_in(
        &self,
        tx: &mut Tx,
        vouched: &Vouched,
        now: Timestamp,
    ) -> Result<Option<Admitted>> {
        let known = match identity::by_subject(tx, OIDC, &vouched.person.subject).await? {
            Some(known) => Some(known),
            None => self.join_expected(tx, &vouched.person, now).await?,
        };
        let Some(known) = known else {
            return Ok(None);
        };
        self.update(tx, &known, vouched, now).await?;
        Ok(Some(Admitted {
            principal: known.principal,
            generation: known.generation,
        }))
    }

    /// Makes an account for a person who has signed in, with a free name and a random CLI secret. If they have a
    /// ticket, it is used up.
    ///
    /// # Errors
    /// [`Error::NameTaken`], [`Error::SignInExpired`].
    pub async fn onboard(
        &self,
        (vouched, name): (&Vouched, &UserName),
        ticket: Option<[u8; 32]>,
        (by, now): (Origin, Timestamp),
    ) -> Result<Admitted> {
        let once = || {
            let (accounts, vouched, name) = (self.clone(), vouched.clone(), name.clone());
            let by = by.clone();
            self.db.write(move |tx| {
                Box::pin(async move {
                    if let Some(ticket) = ticket
                        && !oidc::take(tx, &ticket).await?
                    {
                        return Err(Error::SignInExpired);
                    }
                    if ticket.is_some()
                        && let Some(admitted) = Self::admit_late(tx, &vouched).await?
                    {
                        return Ok(admitted);
                    }
                    accounts.onboard_in(tx, (&vouched, &name), (by, now)).await
                })
            })
        };
        let admitted = match once().await {
            Err(error) if is_race(&error) => once().await,
            done => done,
        }?;
        self.grant_expected(admitted.principal, &vouched.person, now)
            .await;
        Ok(admitted)
    }

    /// Takes over somebody who proved a while ago who they are, and has got an account since, by another browser. Whatever
    /// the provider said of them since counts more.
    async fn admit_late(tx: &mut Tx, vouched: &Vouched) -> Result<Option<Admitted>> {
        let known = identity::by_subject(tx, OIDC, &vouched.person.subject).await?;
        match known {
            None => Ok(None),
            Some(known) if !known.active => Err(Error::SignInExpired),
            Some(known) => Ok(Some(Admitted {
                principal: known.principal,
                generation: known.generation,
            })),
        }
    }

    async fn onboard_in(
        &self,
        tx: &mut Tx,
        (vouched, name): (&Vouched, &UserName),
        (by, now): (Origin, Timestamp),
    ) -> Result<Admitted> {
        // The person may use two browsers at once.
        if let Some(admitted) = self.admit_in(tx, vouched, now).await? {
            return Ok(admitted);
        }
        let person = &vouched.person;
        let profile = person.profile.clone().unwrap_or_default();
        if is_taken(tx, name.as_str()).await? {
            return Err(Error::NameTaken(name.to_string()));
        }
        let row = NewUser {
            name: name.to_string(),
            email: fitting_email(profile.email.as_deref()).map(str::to_owned),
            realname: fitting_realname(&profile.realname),
            comment: COMMENT.to_owned(),
            password_hash: None,
            sysadmin: false,
            unverified: false,
            email_verified: false,
        };
        let (_, principal) = user::create(tx, &row, now).await?;
        let found = Found {
            dn: "",
            admin: person.admin,
        };
        identity::create(tx, principal, (OIDC, &person.subject), found, now).await?;
        let refresh = self.sealed_refresh(principal, vouched.refresh_token.as_ref())?;
        let secret = self.sealed_cli(principal, random_password()?.expose())?;
        oidc::create(tx, principal, (refresh.as_deref(), &secret), now).await?;
        let made = event(now, by, Operation::Create, &row.name);
        tx.record(&made.with_detail(format!("known as {}", person.subject)))
            .await?;
        join(
            tx,
            principal,
            person.groups.as_deref().unwrap_or_default(),
            now,
        )
        .await?;
        Ok(Admitted {
            principal,
            generation: 1,
        })
    }

    /// Updates a user whom the provider has just confirmed.
    async fn update(
        &self,
        tx: &mut Tx,
        identity: &Identity,
        vouched: &Vouched,
        now: Timestamp,
    ) -> Result<()> {
        let (person, principal) = (&vouched.person, identity.principal);
        if principal::hold_alone(tx, principal).await?.is_none() {
            // Deleted meanwhile.
            return Ok(());
        }
        if let Some(asked_with) = &vouched.asked_with
            && !oidc::has_token(tx, principal, asked_with).await?
        {
            return Ok(());
        }
        if let Some(profile) = &person.profile {
            let profile = (
                fitting_email(profile.email.as_deref()),
                &*fitting_realname(&profile.realname),
            );
            user::set_person(tx, principal, profile, now).await?;
        }
        let admin = match &person.groups {
            Some(_) => person.admin,
            None => identity.admin,
        };
        identity::set_found(tx, identity, Found { dn: "", admin }, now).await?;
        let refresh = self.sealed_refresh(principal, vouched.refresh_token.as_ref())?;
        oidc::set_checked(tx, principal, refresh.as_deref(), now).await?;
        record_changes(tx, identity, (admin, "the OIDC provider"), now).await?;
        match &person.groups {
            Some(groups) => join(tx, principal, groups, now).await,
            None => Ok(()),
        }
    }

    /// Keeps a new refresh token in the place of the one that the provider was asked with; it takes the old one no more. As
    /// it is sealed then; `None` if another was put in its place meanwhile, by a new sign-in, which counts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_token(
        &self,
        account: &Account,
        token: &Secret,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>> {
        let principal = account.principal;
        let Some(old) = account.refresh_token.clone() else {
            return Ok(None);
        };
        let new = self.sealed(REFRESH, token.expose(), principal)?;
        let kept = new.clone();
        let replaced = self.db.write(move |tx| {
            Box::pin(async move { oidc::replace_token(tx, principal, (&old, &new), now).await })
        });
        Ok(replaced.await?.then_some(kept))
    }

    /// The provider vouches for a user now, and says nothing else of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vouched(&self, principal: PrincipalId, now: Timestamp) -> Result<()> {
        let checked = self.db.write(move |tx| {
            Box::pin(async move { oidc::set_checked(tx, principal, None, now).await })
        });
        Ok(checked.await?)
    }

    /// Locks out a user whom the provider no longer confirms: sessions end, tokens are void, and the CLI secret does
    /// not work until they sign in again. Nothing of this if they did meanwhile: then the answer, to the refresh token of
    /// the account as it was read, is about the past.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end(&self, account: &Account, why: &'static str, now: Timestamp) -> Result<()> {
        let principal = account.principal;
        let asked_with = account.refresh_token.clone();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let held = principal::hold_alone(tx, principal).await?;
                    let known = identity::of_principal(tx, OIDC, principal).await?;
                    if let Some(known) = known.filter(|_| held.is_some())
                        && oidc::forget_token(tx, principal, asked_with.as_deref(), now).await?
                    {
                        end(tx, &known, why, now).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// The refresh token of a user, if there is one that can be opened.
    pub fn refresh_token(&self, account: &Account) -> Option<Secret> {
        let sealed = account.refresh_token.as_deref()?;
        self.opened(REFRESH, sealed, account.principal)
    }

    /// The CLI secret of a user, if it can be opened: after the loss of the master key a new one has to be set.
    pub fn cli_secret(&self, account: &Account) -> Option<Secret> {
        self.opened(CLI, &account.cli_secret, account.principal)
    }

    /// Gives a user this CLI secret, or a random one.
    ///
    /// # Errors
    /// [`Error::NoCliSecret`], [`Error::UserUnknown`].
    pub async fn set_cli_secret(
        &self,
        permit: &UserPermit,
        secret: Option<NewPassword>,
        now: Timestamp,
    ) -> Result<()> {
        let secret = match secret {
            Some(secret) => secret,
            None => random_password()?,
        };
        let (id, by, accounts) = (permit.user(), permit.caller().origin(), self.clone());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let user = user::by_id(tx, id).await?;
                    let user = user.ok_or(Error::UserUnknown(id))?;
                    let sealed = accounts.sealed_cli(user.principal_id, secret.expose())?;
                    if !oidc::set_cli_secret(tx, user.principal_id, &sealed, now).await? {
                        return Err(Error::NoCliSecret(user.name));
                    }
                    // Tokens obtained with the old secret end with it; sessions did not use it.
                    principal::void_tokens(tx, user.principal_id).await?;
                    session::carry_on(tx, user.principal_id).await?;
                    let event = event(now, by, Operation::Update, &user.name);
                    Ok(tx.record(&event.with_detail("CLI secret")).await?)
                })
            })
            .await
    }

    fn sealed_refresh(
        &self,
        principal: PrincipalId,
        token: Option<&Secret>,
    ) -> Result<Option<Vec<u8>>> {
        let token = token.map(|token| self.sealed(REFRESH, token.expose(), principal));
        token.transpose()
    }

    fn sealed_cli(&self, principal: PrincipalId, secret: &str) -> Result<Vec<u8>> {
        self.sealed(CLI, secret, principal)
    }

    fn sealed(&self, purpose: &str, text: &str, principal: PrincipalId) -> Result<Vec<u8>> {
        let context = principal.0.to_be_bytes();
        Ok(self.master.seal(purpose, text.as_bytes(), &context)?)
    }

    fn opened(&self, purpose: &str, sealed: &[u8], principal: PrincipalId) -> Option<Secret> {
        let opened = self
            .master
            .open(purpose, sealed, &principal.0.to_be_bytes());
        let text = opened.ok()?;
        Some(Secret::new(std::str::from_utf8(&text).ok()?.to_owned()))
    }
}

/// Puts a user into groups, which are made if missing, and removes it from all others of the provider.
async fn join(
    tx: &mut Tx,
    principal: PrincipalId,
    groups: &[String],
    now: Timestamp,
) -> Result<()> {
    let mut ids = Vec::with_capacity(groups.len());
    for name in groups.iter().take(MOST_GROUPS) {
        let Ok(name) = name.parse::<GroupName>() else {
            continue;
        };
        ids.extend(ensure(tx, name, now).await?);
    }
    ids.sort_unstable();
    ids.dedup();
    group::set_of_member(tx, principal, GroupSource::Oidc, &ids).await?;
    Ok(())
}

/// The provider's group with a name, made if there is none; `None` if a group from another source has the name, since
/// the provider must not give its roles.
async fn ensure(tx: &mut Tx, name: GroupName, now: Timestamp) -> Result<Option<PrincipalId>> {
    if let Some(group) = group::by_name(tx, name.as_str()).await? {
        if group.source == GroupSource::Oidc {
            return Ok(Some(group.principal_id));
        }
        tracing::warn!(
            group.name = %name,
            "a group of the OIDC provider is not taken over: one of another source has the name"
        );
        return Ok(None);
    }
    let new = NewGroup {
        name,
        source: GroupSource::Oidc,
        entry: None,
    };
    let (_, principal) = crate::group::insert(tx, &new, (origin(), now)).await?;
    Ok(Some(principal))
}
