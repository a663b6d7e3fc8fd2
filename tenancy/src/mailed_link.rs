//! Mailed links: making and using them. Each works once, for a limited time, and only while the account has the address
//! and password that it had when the link was made.
//!
//! An account has the address that it shows, and the one to which links for a new password go: the last verified one,
//! or one that an administrator set. So a stolen session alone is not enough to take over an account by a new address,
//! and nobody is mailed text from strangers: a name is mailed only to an address that was verified for it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use db::mailed_link::{self, MailedLink, Purpose};
use db::user::{self, User};
use db::{Db, Tx, principal, session};
use model::{Client, Network, Operation, Origin, Principal, Timestamp, UserId};
use zeroize::Zeroizing;

use crate::account_mail;
use crate::password::{Applicant, NewPassword, PasswordError, PasswordHasher};
use crate::user::{UNVERIFIED_KEPT, event};
use crate::{Error, Result};

/// How long a link that sets a new password works.
pub const RESET_WORKS: Duration = Duration::from_secs(30 * 60);

/// Maximum accounts of one address that are mailed links at a time.
const MOST_ACCOUNTS: i64 = 5;
/// The token in a link: 64 hexadecimal digits of random bytes. It does not print, and only its hash is stored.
#[derive(Clone)]
pub struct LinkToken(Zeroizing<String>);

/// The text is not a [`LinkToken`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token: a link's token has 64 hexadecimal digits: open the link as it was mailed")]
pub struct InvalidLinkToken;

impl LinkToken {
    fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| PasswordError::Random)?;
        Ok(Self(Zeroizing::new(hex::encode(bytes))))
    }

    /// The text, for the link.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of it, which is stored.
    pub fn hash(&self) -> [u8; 32] {
        let hash = digest(&SHA256, self.0.as_bytes());
        hash.as_ref().try_into().expect("SHA-256 is 32 bytes")
    }
}

impl FromStr for LinkToken {
    type Err = InvalidLinkToken;

    fn from_str(text: &str) -> Result<Self, InvalidLinkToken> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let valid = text.len() == 64 && text.bytes().all(digit);
        let token = valid.then(|| Self(Zeroizing::new(text.to_owned())));
        token.ok_or(InvalidLinkToken)
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkToken(***)")
    }
}

/// A link to be mailed.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// The account's name.
    name: String,
    /// Whether the address was verified for the account.
    is_verified: bool,
    /// Whether the account can sign in only once it is verified.
    pub is_new: bool,
    /// The address, as the account has it.
    pub email: String,
    /// The token in the link.
    pub token: LinkToken,
}

impl NewLink {
    /// The name of the account, if its address was verified: a name that a stranger chose is not mailed to others.
    pub fn account(&self) -> Option<&str> {
        self.is_verified.then_some(&*self.name)
    }
}

/// Makes the link that verifies the address of an account; `None` if that is not needed (any more).
///
/// # Errors
/// When the database fails.
pub async fn to_verify(db: &Db, id: UserId, now: Timestamp) -> Result<Option<NewLink>> {
    db.write(move |tx| {
        Box::pin(async move {
            let user = user::by_id(tx, id).await?;
            match user.filter(|user| !user.is_email_verified()) {
                Some(user) => make(tx, &user, Purpose::Verify, now).await,
                None => Ok(None),
            }
        })
    })
    .await
}

/// Makes links that set new passwords, one for each account with a local password to which links are mailed at the
/// address. None for an account that was mailed the maximum number lately.
///
/// # Errors
/// When the database fails.
pub async fn to_reset(db: &Db, email: String, now: Timestamp) -> Result<Vec<NewLink>> {
    db.write(move |tx| {
        Box::pin(async move {
            let mut links = Vec::new();
            for user in user::to_mail(tx, &email, MOST_ACCOUNTS).await? {
                let lately = (user.principal_id, Purpose::Reset);
                if !account_mail::is_flooded(tx, lately, now).await? {
                    links.extend(make(tx, &user, Purpose::Reset, now).await?);
                }
            }
            Ok(links)
        })
    })
    .await
}

/// Writes into the history that links for new passwords were mailed.
///
/// # Errors
/// When the database fails.
pub async fn record_mailed(
    db: &Db,
    links: &[NewLink],
    asked_from: Client,
    now: Timestamp,
) -> Result<()> {
    let origin = Origin {
        principal: Principal::Anonymous,
        client: asked_from,
    };
    let names: Vec<String> = links.iter().map(|link| link.name.clone()).collect();
    db.write(move |tx| {
        Box::pin(async move {
            for name in &names {
                let event = event(now, origin.clone(), Operation::Update, name);
                tx.record(&event.with_detail("link for a new password mailed"))
                    .await?;
            }
            Ok(())
        })
    })
    .await
}

async fn make(
    tx: &mut Tx,
    user: &User,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<NewLink>> {
    let Some(email) = address(user, purpose).map(str::to_owned) else {
        return Ok(None);
    };
    let works = match purpose {
        Purpose::Verify => UNVERIFIED_KEPT,
        Purpose::Reset => RESET_WORKS,
    };
    let token = LinkToken::random()?;
    let link = MailedLink {
        principal: user.principal_id,
        purpose,
        email: email.clone(),
        generation: user.generation,
        expires_at: now.plus(works),
    };
    mailed_link::put(tx, (&token.hash(), &link), now).await?;
    Ok(Some(NewLink {
        name: user.name.clone(),
        is_verified: user.verified_email.as_ref() == Some(&email),
        is_new: user.unverified,
        email,
        token,
    }))
}

/// The address of an account to which links for a purpose are mailed.
fn address(user: &User, purpose: Purpose) -> Option<&str> {
    let email = match purpose {
        Purpose::Reset if !user.unverified => &user.verified_email,
        // Only the recipient of a link mailed there can sign in to it.
        Purpose::Verify | Purpose::Reset => &user.email,
    };
    email.as_deref()
}

/// Revokes links that could not be mailed.
///
/// # Errors
/// When the database fails.
pub async fn take_back(db: &Db, links: &[NewLink]) -> Result<()> {
    let hashes: Vec<[u8; 32]> = links.iter().map(|link| link.token.hash()).collect();
    db.write(move |tx| {
        Box::pin(async move {
            for hash in &hashes {
                mailed_link::take(tx, hash).await?;
            }
            Ok::<_, Error>(())
        })
    })
    .await
}

/// The proof for verifying an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The link that was mailed there: enough for an account that has never been used.
    Link,
    /// The link, and the password of the account.
    LinkAndPassword,
}

/// The name of the account whose address a link verifies, if its password is needed too; `None` if the link is enough.
///
/// # Errors
/// [`Error::LinkVoid`].
pub async fn needs_password(db: &Db, token: &LinkToken, now: Timestamp) -> Result<Option<String>> {
    let mut reader = db.reader().await?;
    let link = mailed_link::by_hash(&mut reader, &token.hash(), now).await?;
    let link = link.filter(|link| link.purpose == Purpose::Verify);
    let link = link.ok_or(Error::LinkVoid)?;
    let user = user::by_principal(&mut reader, link.principal).await?;
    let user = user.ok_or(Error::LinkVoid)?;
    Ok((!user.unverified).then_some(user.name))
}

/// Verifies the address of an account by the link that was mailed to it. Earlier links for a new password, which went
/// to another address, are void.
///
/// # Errors
/// [`Error::LinkVoid`], [`Error::LinkNeedsPassword`].
pub async fn verify(
    db: &Db,
    (token, shown): (&LinkToken, Shown),
    client: Client,
    now: Timestamp,
) -> Result<()> {
    let hash = token.hash();
    db.write(move |tx| {
        Box::pin(async move {
            let user = open(tx, &hash, Purpose::Verify, now).await?;
            if !user.unverified && shown == Shown::Link {
                return Err(Error::LinkNeedsPassword);
            }
            user::set_verified(tx, &user, now).await?;
            let event = event(now, by(&user, client), Operation::Update, &user.name);
            Ok(tx
                .record(&event.with_detail("mail address verified"))
                .await?)
        })
    })
    .await
}

/// Sets a new password by a mailed link. Opening the link also verifies the address. All sessions end, and existing
/// tokens and other links are void.
///
/// # Errors
/// [`Error::LinkVoid`], [`Error::Password`].
pub async fn reset_password(
    db: &Db,
    hasher: &PasswordHasher,
    (token, password): (&LinkToken, &NewPassword),
    (address, client): (IpAddr, Client),
    now: Timestamp,
) -> Result<()> {
    let hash = token.hash();
    // Before the expensive hashing of a password for an unknown caller.
    let found = mailed_link::by_hash(&mut db.reader().await?, &hash, now).await?;
    if found.is_none_or(|link| link.purpose != Purpose::Reset) {
        return Err(Error::LinkVoid);
    }
    let applicant = Applicant::Stranger(Network::of(address));
    let password_hash = hasher.hash_for(applicant, password).await?;
    db.write(move |tx| {
        Box::pin(async move {
            let user = open(tx, &hash, Purpose::Reset, now).await?;
            user::set_password(tx, &user, &password_hash, now).await?;
            if user.unverified {
                user::set_verified(tx, &user, now).await?;
            }
            session::end_others(tx, user.principal_id, None).await?;
            mailed_link::remove_all(tx, user.principal_id).await?;
            let event = event(now, by(&user, client), Operation::Update, &user.name);
            Ok(tx
                .record(&event.with_detail("password, by a mailed link"))
                .await?)
        })
    })
    .await
}

/// Uses a link, once; returns its account, locked against other changes.
async fn open(tx: &mut Tx, hash: &[u8; 32], purpose: Purpose, now: Timestamp) -> Result<User> {
    let link = mailed_link::by_hash(tx, hash, now).await?;
    let link = link.filter(|link| link.purpose == purpose);
    let link = link.ok_or(Error::LinkVoid)?;
    let generation = principal::hold_alone(tx, link.principal).await?;
    let user = user::by_principal(tx, link.principal).await?;
    let is_taken = mailed_link::take(tx, hash).await?;
    let user = user.ok_or(Error::LinkVoid)?;
    let is_same =
        generation == Some(link.generation) && address(&user, purpose) == Some(&*link.email);
    match is_taken && is_same {
        true => Ok(user),
        false => Err(Error::LinkVoid),
    }
}

/// The user, identified by a link.
fn by(user: &User, client: Client) -> Origin {
    Origin {
        principal: Principal::User {
            id: user.principal_id,
            user: user.id,
            name: user.name.as_str().into(),
        },
        client,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_valid_token_prints_back_unchanged(text in "[0-9a-f]{64}") {
            let token: LinkToken = text.parse().unwrap();
            prop_assert_eq!(token.expose(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = text.parse::<LinkToken>();
        }
    }

    #[test]
    fn a_token_does_not_print() {
        let token = LinkToken::random().unwrap();
        assert_eq!(format!("{token:?}"), "LinkToken(***)");
    }
}
