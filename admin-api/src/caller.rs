//! Who makes a request, and whether that caller may do what is asked. Credentials are checked by
//! `auth`, rights by `policy`; here their refusals get the words of this API.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use auth::identity;
use axum::extract::FromRequestParts;
use db::Age;
use http::header::AUTHORIZATION;
use http::request::Parts;
use model::AccountId;
use policy::{Caller, Refusal, SystemPermit, permit};

use crate::{AdminState, ClientAddress, Error};

/// The caller of a request. As with Harbor, wrong credentials do not end a request: it goes on as
/// one of nobody in particular.
pub(crate) struct By(pub(crate) Caller);

impl FromRequestParts<Arc<AdminState>> for By {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let ClientAddress(address) = *parts.extensions.get().ok_or(Error::NoAddress)?;
        let caller = match basic(parts) {
            Some(header) => identify(app, header, address).await?,
            None => Caller::anonymous(address),
        };
        if let Some(asked) = parts.extensions.get::<Asked>() {
            asked.set(&caller);
        }
        Ok(Self(caller))
    }
}

/// Where a handler's caller is left for the answer.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<OnceLock<Caller>>);

impl Asked {
    fn set(&self, caller: &Caller) {
        // A second reading of the same request finds the same caller.
        let _ = self.0.set(caller.clone());
    }

    /// The caller, if the handler asked for it.
    pub(crate) fn get(&self) -> Option<Caller> {
        self.0.get().cloned()
    }
}

/// The `Authorization` header, unless it holds what this API does not look at: registry tokens speak
/// for `/v2/` alone.
fn basic(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, _) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then_some(header)
}

async fn identify(app: &AdminState, header: &str, address: IpAddr) -> Result<Caller, Error> {
    match app.identity.caller(Some(header), address, Age::Now).await {
        Ok(caller) => Ok(caller),
        Err(
            identity::Error::Malformed
            | identity::Error::WrongCredentials
            | identity::Error::Token(_)
            | identity::Error::Void,
        ) => Ok(Caller::anonymous(address)),
        Err(identity::Error::Throttled { retry_after }) => Err(Error::Throttled { retry_after }),
        Err(identity::Error::Database(error)) => Err(Error::Database(error)),
        Err(identity::Error::Password(error)) => Err(Error::Password(error)),
        // Nothing is issued here.
        Err(identity::Error::Issue(_)) => Ok(Caller::anonymous(address)),
    }
}

/// May the caller administer the system?
pub(crate) fn permit_system(caller: &Caller) -> Result<SystemPermit, Error> {
    permit::permit_system(caller).map_err(|refusal| {
        say(
            refusal,
            "forbidden: this needs the rights of a system administrator",
        )
    })
}

/// May the caller look at or change this account?
pub(crate) fn permit_account(caller: &Caller, account: AccountId) -> Result<SystemPermit, Error> {
    permit::permit_account(caller, account).map_err(|refusal| {
        say(
            refusal,
            "forbidden: the account of another needs the rights of a system administrator",
        )
    })
}

/// Is the caller signed in? Then as which account?
pub(crate) fn permit_signed_in(caller: &Caller) -> Result<(SystemPermit, AccountId), Error> {
    let permit = permit::permit_signed_in(caller)?;
    let account = caller.account().ok_or(Error::NotSignedIn)?;
    Ok((permit, account))
}

fn say(refusal: Refusal, what: &str) -> Error {
    match refusal {
        Refusal::NotSignedIn => Error::NotSignedIn,
        Refusal::NotPermitted | Refusal::TokenTooNarrow => Error::Forbidden(what.to_owned()),
    }
}
