//! What people can do about their own account before they can sign in: see whether they may register, verify the
//! address, and set a new password by a mailed link.

pub(crate) mod options;
pub(crate) mod password;
pub(crate) mod verify;

use std::convert::Infallible;
use std::net::IpAddr;

use auth::allowance::Allowance;
use axum::extract::FromRequestParts;
use db::Age;
use http::header::ACCEPT_LANGUAGE;
use http::request::Parts;
use model::{MailLanguage, Network, Timestamp};

use crate::caller::unidentified;
use crate::input::Input;
use crate::{AdminState, Error};

/// Uses an allowance once.
///
/// # Errors
/// [`Error::Throttled`].
pub(crate) fn allow(allowance: &Allowance, address: IpAddr, now: Timestamp) -> Result<(), Error> {
    let taken = allowance.take(Network::of(address), now);
    taken.map_err(|retry_after| Error::Throttled { retry_after })
}

/// Checks the password of an account that is already identified otherwise. A wrong one counts as a failed login, so
/// that this cannot be used for guessing.
///
/// # Errors
/// [`Error::Forbidden`]; when there were too many failures, or it cannot be checked.
pub(crate) async fn check_current(
    app: &AdminState,
    address: IpAddr,
    credentials: (&str, &str),
) -> Result<(), Error> {
    let checked = app
        .identity
        .by_password(credentials, address.into(), Age::Now);
    match checked.await {
        Ok(_) => Ok(()),
        Err(auth::Error::WrongCredentials) => {
            Err(Error::Forbidden("Current password is incorrect".to_owned()))
        }
        Err(other) => Err(unidentified(other)),
    }
}

/// The language of mails to the caller.
pub(crate) struct Language(pub(crate) MailLanguage);

impl Input for Language {}

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = parts.headers.get(ACCEPT_LANGUAGE);
        let header = header.and_then(|header| header.to_str().ok());
        Ok(Self(MailLanguage::preferred(header.unwrap_or_default())))
    }
}
