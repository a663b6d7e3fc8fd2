//! Which person of a provider an account belongs to, when an administrator says so: joining an account and a person,
//! parting them, following a provider to another issuer, and roles and accounts that wait for somebody with a claim.
//!
//! A claim is what a provider says, and some let people choose their names. So an account or a role waits for a claim
//! only if somebody with the right to give it said so, only of one issuer, and it is given once. A mail address counts
//! only if the provider verified it.

use db::expected::{self, Expected, ExpectedMember};
use db::identity::{self, Found, Identity, OIDC};
use db::member;
use db::user::User;
use db::{Db, Tx, oidc, principal, user};
use model::{Event, ExpectedMemberId, Operation, Origin, PrincipalId, Subject, Timestamp, UserId};
use policy::{ProjectPermit, Role, SystemPermit, on, to};

use super::{Accounts, Person};
use crate::directory::origin;
use crate::robot::secret::random_password;
use crate::user::event;
use crate::{Error, Result};

/// Maximum roles that wait in a project.
const MOST_EXPECTED: i64 = 1_000;
/// Maximum bytes of a claim's name, and of its value.
const LONGEST: usize = 255;

/// A claim for which a role or an account waits.
///
/// # Errors
/// [`Error::ExpectedInvalid`].
pub fn expected(issuer: &str, claim: &str, value: &str) -> Result<Expected> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
    let fits = |text: &str| (1..=LONGEST).contains(&text.len());
    if issuer.is_empty() {
        return Err(Error::ExpectedInvalid("no OIDC provider is configured"));
    }
    if !fits(claim) || !claim.bytes().all(is_name) || claim == "sub" {
        let why = "claim: must be the name of a claim other than sub, such as email";
        return Err(Error::ExpectedInvalid(why));
    }
    if !fits(value) || value.contains(char::is_control) {
        let why = "value: must have 1 to 255 bytes, without control characters";
        return Err(Error::ExpectedInvalid(why));
    }
    Ok(Expected {
        issuer: issuer.to_owned(),
        claim: claim.to_owned(),
        value: value.to_owned(),
    })
}

/// Lets a role in a project wait for somebody.
///
/// # Errors
/// [`Error::ExpectedExists`], [`Error::TooManyExpected`], [`Error::ProjectGone`].
pub async fn expect_member(
    db: &Db,
    permit: &ProjectPermit<on::Member, to::Create>,
    (expected, role): (Expected, Role),
    now: Timestamp,
) -> Result<ExpectedMemberId> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            if expected::count_members(tx, project).await? >= MOST_EXPECTED {
                return Err(Error::TooManyExpected(MOST_EXPECTED));
            }
            let named = format!("{}={}", expected.claim, expected.value);
            let added = expected::add_member(tx, (project, role), &expected, now).await;
            let id = added.map_err(|error| match error {
                db::Error::Duplicate(_) => Error::ExpectedExists(named.clone()),
                other => other.into(),
            })?;
            let event = member_event((project, named), Operation::Create, (origin, now));
            let detail = format!("expected as {}", role.name());
            tx.record(&event.with_detail(detail)).await?;
            Ok(id)
        })
    })
    .await
}

/// A role in a project waits for somebody no more.
///
/// # Errors
/// [`Error::ExpectedUnknown`], [`Error::ProjectGone`].
pub async fn forget_member(
    db: &Db,
    permit: &ProjectPermit<on::Member, to::Delete>,
    id: ExpectedMemberId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let found = expected::take_member(tx, project, id).await?;
            let found = found.ok_or(Error::ExpectedUnknown(id))?;
            let named = format!("{}={}", found.claim, found.value);
            let event = member_event((project, named), Operation::Delete, (origin, now));
            Ok(tx.record(&event.with_detail("expected no more")).await?)
        })
    })
    .await
}

fn member_event(
    (project, name): (model::ProjectId, String),
    operation: Operation,
    (origin, now): (Origin, Timestamp),
) -> Event {
    Event::new(now, origin, operation, Subject::Member { project, name })
}

/// Joins an account and a person of the provider: the account signs in there from now on, and its password is removed.
///
/// # Errors
/// [`Error::UserUndeletable`] for the built-in administrator; [`Error::AlreadyLinked`], [`Error::PersonTaken`].
pub async fn join(
    accounts: &Accounts,
    permit: &SystemPermit,
    (id, issuer, subject): (UserId, &str, &str),
    now: Timestamp,
) -> Result<()> {
    check_person(issuer, subject)?;
    let (origin, whole) = (permit.caller().origin(), format!("{issuer} {subject}"));
    let accounts = accounts.clone();
    let db = accounts.db.clone();
    db.write(move |tx| {
        Box::pin(async move {
            let user = hold(tx, id).await?;
            if user.is_external {
                return Err(Error::AlreadyLinked(user.name));
            }
            accounts.link(tx, &user, &whole, now).await?;
            let event = event(now, origin, Operation::Update, &user.name);
            Ok(tx
                .record(&event.with_detail(format!("joined with {whole}")))
                .await?)
        })
    })
    .await
}

fn check_person(issuer: &str, subject: &str) -> Result<()> {
    if issuer.is_empty() {
        return Err(Error::ExpectedInvalid("no OIDC provider is configured"));
    }
    let fits = (1..=LONGEST).contains(&subject.len()) && !subject.contains(char::is_control);
    match fits {
        true => Ok(()),
        false => Err(Error::ExpectedInvalid(
            "subject: must have 1 to 255 bytes, without control characters",
        )),
    }
}

/// Parts an account from its person at the provider: its CLI secret, tokens and sessions end at once. It keeps its name
/// and roles, and can be joined with another person.
///
/// # Errors
/// [`Error::UserUnknown`], [`Error::NotLinked`].
pub async fn unlink(db: &Db, permit: &SystemPermit, id: UserId, now: Timestamp) -> Result<()> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let user = hold(tx, id).await?;
            let known = identity::of_principal(tx, OIDC, user.principal_id).await?;
            let known = known.ok_or_else(|| Error::NotLinked(user.name.clone()))?;
            identity::remove(tx, user.principal_id).await?;
            db::group::set_of_member(tx, user.principal_id, model::GroupSource::Oidc, &[]).await?;
            let event = event(now, origin, Operation::Update, &user.name);
            let detail = format!("parted from {}", known.subject);
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}

async fn hold(tx: &mut Tx, id: UserId) -> Result<User> {
    if id == UserId::ADMIN {
        return Err(Error::UserUndeletable(id));
    }
    let found = user::by_id(tx, id).await?.ok_or(Error::UserUnknown(id))?;
    let held = principal::hold_alone(tx, found.principal_id).await?;
    held.ok_or(Error::UserUnknown(id))?;
    Ok(found)
}

/// By what accounts are found again when a provider has another issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The subject, which stays the same.
    Subject,
    /// A claim that is the mail address, which the provider must have verified.
    Email,
    /// The claim that is the name of accounts.
    Name,
}

/// An account that follows its provider to another issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relinked {
    /// The account's name.
    pub name: String,
    /// Whom it belonged to.
    pub from: String,
    /// Whom it belongs to: a subject, or a claim and its value.
    pub to: String,
}

/// The issuers of a [`relink`], and how accounts are found again.
#[derive(Clone, Debug)]
pub struct Relink {
    /// The issuer that vouched for them.
    pub from: String,
    /// The issuer that does from now on.
    pub to: String,
    /// How.
    pub by: By,
    /// The claim that is the name of accounts.
    pub name_claim: String,
    /// Whether to change nothing.
    pub dry_run: bool,
}

/// Lets all accounts of an issuer belong to the same people at another issuer. By a claim, each account waits for the
/// first sign-in of its person. Refresh tokens are forgotten: they are for the provider that gave them.
///
/// # Errors
/// [`Error::PersonTaken`] if two accounts would belong to one person; then none is changed.
pub async fn relink(
    db: &Db,
    permit: &SystemPermit,
    relink: Relink,
    now: Timestamp,
) -> Result<Vec<Relinked>> {
    check_person(&relink.to, "any")?;
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let mut done = Vec::new();
            let mut seen = std::collections::HashSet::new();
            for known in identity::of_issuer(tx, OIDC, &relink.from).await? {
                let change = plan(tx, &relink, &known).await?;
                if !seen.insert(change.to.clone()) {
                    return Err(Error::PersonTaken(change.to));
                }
                if identity::by_subject(tx, OIDC, &change.to).await?.is_some() {
                    return Err(Error::PersonTaken(change.to));
                }
                if !relink.dry_run {
                    apply(tx, (&relink, &known), (&origin, now)).await?;
                }
                done.push(change);
            }
            Ok(done)
        })
    })
    .await
}

async fn plan(tx: &mut Tx, relink: &Relink, known: &Identity) -> Result<Relinked> {
    let to = match expectation(tx, relink, known).await? {
        Some(expected) => format!("{} {}={}", expected.issuer, expected.claim, expected.value),
        None => format!("{} {}", relink.to, subject_of(known)),
    };
    Ok(Relinked {
        name: known.name.clone(),
        from: known.subject.clone(),
        to,
    })
}

fn subject_of(known: &Identity) -> &str {
    known
        .subject
        .split_once(' ')
        .map_or("", |(_, subject)| subject)
}

/// What an account waits for, unless it is found again by its subject.
async fn expectation(tx: &mut Tx, relink: &Relink, known: &Identity) -> Result<Option<Expected>> {
    match relink.by {
        By::Subject => Ok(None),
        By::Name => expected(&relink.to, &relink.name_claim, &known.name).map(Some),
        By::Email => {
            let user = user::by_principal(tx, known.principal).await?;
            let email = user.and_then(|user| user.email);
            let email = email.ok_or_else(|| Error::NoEmail(known.name.clone()))?;
            expected(&relink.to, "email", &email).map(Some)
        }
    }
}

async fn apply(
    tx: &mut Tx,
    (relink, known): (&Relink, &Identity),
    (origin, now): (&Origin, Timestamp),
) -> Result<()> {
    let change = plan(tx, relink, known).await?;
    let taken = |error| match error {
        db::Error::Duplicate(_) => Error::PersonTaken(change.to.clone()),
        other => Error::from(other),
    };
    match expectation(tx, relink, known).await? {
        None => {
            let moved = identity::set_subject(tx, known.principal, &change.to).await;
            moved.map_err(taken)?;
        }
        Some(expected) => {
            identity::remove(tx, known.principal).await?;
            let set = expected::set_identity(tx, known.principal, &expected, now).await;
            set.map_err(taken)?;
        }
    }
    let event = event(now, origin.clone(), Operation::Update, &known.name);
    let detail = format!("joined with {} instead of {}", change.to, change.from);
    Ok(tx.record(&event.with_detail(detail)).await?)
}

impl Accounts {
    /// Ties an account to a person, with a new random CLI secret.
    async fn link(&self, tx: &mut Tx, user: &User, subject: &str, now: Timestamp) -> Result<()> {
        let principal = user.principal_id;
        let found = Found {
            dn: "",
            admin: false,
        };
        let made = identity::create(tx, principal, (OIDC, subject), found, now).await;
        made.map_err(|error| match error {
            db::Error::Duplicate(_) => Error::PersonTaken(subject.to_owned()),
            other => other.into(),
        })?;
        let secret = self.sealed_cli(principal, random_password()?.expose())?;
        oidc::create(tx, principal, (None, &secret), now).await?;
        expected::remove_identity(tx, principal).await?;
        user::remove_password(tx, user.id, now).await?;
        principal::void_tokens(tx, principal).await?;
        Ok(db::session::end_others(tx, principal, None).await?)
    }

    /// Gives a person the account that waits for them, if one does.
    pub(super) async fn join_expected(
        &self,
        tx: &mut Tx,
        person: &Person,
        now: Timestamp,
    ) -> Result<Option<Identity>> {
        let waiting = expected::identities_for(tx, person.issuer(), &person.claims).await?;
        let principal = match waiting.as_slice() {
            [] => return Ok(None),
            [only] => *only,
            _ => return Err(Error::PersonTaken(person.subject.clone())),
        };
        if principal::hold_alone(tx, principal).await?.is_none() {
            return Ok(None);
        }
        let Some(user) = user::by_principal(tx, principal).await? else {
            return Ok(None);
        };
        self.link(tx, &user, &person.subject, now).await?;
        let event = event(now, origin(), Operation::Update, &user.name);
        tx.record(&event.with_detail(format!("joined with {}", person.subject)))
            .await?;
        Ok(identity::by_subject(tx, OIDC, &person.subject).await?)
    }

    /// Gives a person the roles that wait for them, each in a transaction of its own, which locks the project first. The
    /// person is signed in all the same if that fails: what is left waits for the next time.
    pub(super) async fn grant_expected(
        &self,
        principal: PrincipalId,
        person: &Person,
        now: Timestamp,
    ) {
        let waiting = match self.waiting_for(person).await {
            Ok(waiting) => waiting,
            Err(error) => return warn_of_waiting(principal, &error.into()),
        };
        for role in waiting {
            let project = role.project;
            let granted = self.db.write_in(project, move |tx| {
                Box::pin(async move { grant(tx, &role, principal, now).await })
            });
            match granted.await {
                Ok(()) | Err(Error::ProjectGone) => {}
                Err(error) => warn_of_waiting(principal, &error),
            }
        }
    }

    async fn waiting_for(&self, person: &Person) -> db::Result<Vec<ExpectedMember>> {
        if person.claims.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = self.db.reader().await?;
        expected::members_for(&mut reader, person.issuer(), &person.claims).await
    }
}

fn warn_of_waiting(principal: PrincipalId, error: &Error) {
    tracing::warn!(
        %error,
        principal.id = principal.0,
        "a role that waits for a person of the OIDC provider is given when they sign in again"
    );
}

async fn grant(
    tx: &mut Tx,
    waiting: &ExpectedMember,
    principal: PrincipalId,
    now: Timestamp,
) -> Result<()> {
    let project = waiting.project;
    if expected::take_member(tx, project, waiting.id)
        .await?
        .is_none()
    {
        return Ok(());
    }
    let Some((name, kind)) = principal::hold(tx, principal).await? else {
        return Ok(());
    };
    if member::of_principal(tx, project, principal)
        .await?
        .is_some()
    {
        return Ok(());
    }
    member::add(tx, project, (principal, kind), waiting.role, now).await?;
    let event = member_event((project, name), Operation::Create, (origin(), now));
    let detail = format!(
        "role {}, expected by {}={}",
        waiting.role.name(),
        waiting.claim,
        waiting.value
    );
    Ok(tx.record(&event.with_detail(detail)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_named_and_is_not_the_subject() {
        let of = |claim: &str, value: &str| expected("https://id", claim, value);
        assert!(of("email", "ann@example.test").is_ok());
        assert!(of("https://id/claims/name", "ann").is_ok());
        for (claim, value) in [
            ("", "x"),
            ("sub", "x"),
            ("a b", "x"),
            ("email", ""),
            ("email", "a\nb"),
        ] {
            assert!(of(claim, value).is_err(), "{claim} {value}");
        }
        assert!(of("email", &"x".repeat(256)).is_err());
        assert!(expected("", "email", "x").is_err());
    }
}
