//! Links that are mailed: making and using them. Each works once, for a while, and for the address and the
//! password that the account had when it was made.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use db::mailed_link::{self, MailedLink, Purpose};
use db::user::{self, User};
use db::{Db, Tx, principal, session};
use model::{Network, Operation, Origin, Principal, Timestamp, UserId};
use zeroize::Zeroizing;

use crate::password::{Applicant, NewPassword, PasswordError, PasswordHasher};
use crate::user::{UNVERIFIED_KEPT, event};
use crate::{Error, Result};

/// How long a link that sets a new password works.
pub const RESET_WORKS: Duration = Duration::from_secs(30 * 60);

/// Accounts of one address that are mailed links at a time.
const MOST_ACCOUNTS: i64 = 5;
/// Links that set a new password which an account is mailed within [`SPELL`]: more would be a nuisance to its owner.
const MOST_LINKS: i64 = 3;
const SPELL: Duration = Duration::from_secs(15 * 60);

/// What a link holds: 64 hexadecimal digits of random bytes. It does not print, and only its hash is stored.
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

/// A link that is to be mailed.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// The name of the account, unless nobody has shown yet that they read its address: what a stranger chose is not
    /// mailed to others.
    pub account: Option<String>,
    /// The address, as the account has it.
    pub email: String,
    /// What the link holds.
    pub token: LinkToken,
}

/// Makes the link that verifies the address of an account; `None` where that is not needed (any more).
///
/// # Errors
/// When the database fails.
pub async fn to_verify(db: &Db, id: UserId, now: Timestamp) -> Result<Option<NewLink>> {
    db.write(move |tx| {
        Box::pin(async move {
            let user = user::by_id(tx, id).await?;
            match user.filter(|user| user.unverified) {
                Some(user) => make(tx, &user, Purpose::Verify, now).await,
                None => Ok(None),
            }
        })
    })
    .await
}

/// Makes links that set new passwords, one for each account that has an address and a password here. None for an account
/// that was mailed some lately.
///
/// # Errors
/// When the database fails.
pub async fn to_reset(
    db: &Db,
    (email, asked_from): (String, Option<IpAddr>),
    now: Timestamp,
) -> Result<Vec<NewLink>> {
    let origin = Origin {
        principal: Principal::Anonymous,
        address: asked_from,
    };
    db.write(move |tx| {
        Box::pin(async move {
            let mut links = Vec::new();
            for user in user::by_email(tx, &email, MOST_ACCOUNTS).await? {
                let lately = (user.principal_id, Purpose::Reset);
                let made = mailed_link::count_since(tx, lately, now.minus(SPELL)).await?;
                if made >= MOST_LINKS {
                    continue;
                }
                links.extend(make(tx, &user, Purpose::Reset, now).await?);
                let event = event(now, origin.clone(), Operation::Update, &user.name);
                let event = event.with_detail("link for a new password mailed");
                tx.record(&event).await?;
            }
            Ok(links)
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
    let Some(email) = user.email.clone() else {
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
        account: (!user.unverified).then(|| user.name.clone()),
        email,
        token,
    }))
}

/// Takes back links that could not be mailed.
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

/// Verifies the address of an account by the link that was mailed to it.
///
/// # Errors
/// [`Error::LinkVoid`].
pub async fn verify(db: &Db, token: &LinkToken, address: IpAddr, now: Timestamp) -> Result<()> {
    let hash = token.hash();
    db.write(move |tx| {
        Box::pin(async move {
            let user = open(tx, &hash, Purpose::Verify, now).await?;
            user::set_verified(tx, &user, now).await?;
            let event = event(now, by(&user, address), Operation::Update, &user.name);
            Ok(tx
                .record(&event.with_detail("mail address verified"))
                .await?)
        })
    })
    .await
}

/// Sets a new password by a link that was mailed. Whoever opens it reads the address, which is verified by that. All
/// sessions end, tokens of before are void, and so are other links.
///
/// # Errors
/// [`Error::LinkVoid`], [`Error::Password`].
pub async fn reset_password(
    db: &Db,
    hasher: &PasswordHasher,
    (token, password): (&LinkToken, &NewPassword),
    address: IpAddr,
    now: Timestamp,
) -> Result<()> {
    let hash = token.hash();
    // Before a password is hashed for whoever asks, which is much work.
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
            let event = event(now, by(&user, address), Operation::Update, &user.name);
            Ok(tx
                .record(&event.with_detail("password, by a mailed link"))
                .await?)
        })
    })
    .await
}

/// Takes a link, once: whose account it opens, which nobody else changes meanwhile.
async fn open(tx: &mut Tx, hash: &[u8; 32], purpose: Purpose, now: Timestamp) -> Result<User> {
    let link = mailed_link::by_hash(tx, hash, now).await?;
    let link = link.filter(|link| link.purpose == purpose);
    let link = link.ok_or(Error::LinkVoid)?;
    let generation = principal::hold_alone(tx, link.principal).await?;
    let user = user::by_principal(tx, link.principal).await?;
    let is_taken = mailed_link::take(tx, hash).await?;
    let user = user.ok_or(Error::LinkVoid)?;
    let is_same = generation == Some(link.generation) && user.email == Some(link.email);
    match is_taken && is_same {
        true => Ok(user),
        false => Err(Error::LinkVoid),
    }
}

/// The user themselves, who has shown that by a link.
fn by(user: &User, address: IpAddr) -> Origin {
    Origin {
        principal: Principal::User {
            id: user.principal_id,
            user: user.id,
            name: user.name.as_str().into(),
        },
        address: Some(address),
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
