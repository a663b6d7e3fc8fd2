//! The caller of a request and its permissions. `auth` checks credentials and `policy` permissions; this module turns
//! their refusals into this API's errors.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use auth::identity;
use axum::extract::FromRequestParts;
use db::Age;
use http::header::AUTHORIZATION;
use http::request::Parts;
use model::AccountId;
use policy::{
    AccountPermit, Caller, CreateProjectPermit, ProjectCreation, Refusal, SignedIn, SystemPermit,
    permit,
};

use crate::{AdminState, ClientAddress, Error};

/// The caller of a request. As in Harbor, wrong credentials do not end a request: it continues as anonymous.
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

/// Passes a handler's caller on to the response.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<OnceLock<Caller>>);

impl Asked {
    fn set(&self, caller: &Caller) {
        // A second extraction from the same request finds the same caller.
        let _ = self.0.set(caller.clone());
    }

    /// The caller, if the handler extracted it.
    pub(crate) fn get(&self) -> Option<Caller> {
        self.0.get().cloned()
    }
}

/// The `Authorization` header, unless it holds a registry token, which is valid for `/v2/` only.
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
        Err(other) => Err(unidentified(other)),
    }
}

/// The error if the caller could not be identified.
pub(crate) fn unidentified(error: identity::Error) -> Error {
    match error {
        identity::Error::Throttled { retry_after } => Error::Throttled { retry_after },
        identity::Error::Database(error) => error.into(),
        identity::Error::Password(error) => Error::Password(error),
        identity::Error::Malformed
        | identity::Error::WrongCredentials
        | identity::Error::Token(_)
        | identity::Error::Void
        // Nothing is issued here.
        | identity::Error::Issue(_) => Error::NotSignedIn,
    }
}

/// Checks that the caller may administer the system.
pub(crate) fn permit_system(caller: &Caller) -> Result<SystemPermit, Error> {
    permit::permit_system(caller).map_err(|refusal| {
        refused(
            refusal,
            "forbidden: this needs the rights of a system administrator",
        )
    })
}

/// Checks that the caller may read or change this account.
pub(crate) fn permit_account(caller: &Caller, account: AccountId) -> Result<AccountPermit, Error> {
    permit::permit_account(caller, account).map_err(|refusal| {
        refused(
            refusal,
            "forbidden: the account of another needs the rights of a system administrator",
        )
    })
}

/// Checks that the caller is signed in.
pub(crate) fn permit_signed_in(caller: &Caller) -> Result<SignedIn, Error> {
    Ok(permit::permit_signed_in(caller)?)
}

/// Checks that the caller may create projects, according to the setting.
pub(crate) fn permit_create_project(
    caller: &Caller,
    creation: ProjectCreation,
) -> Result<CreateProjectPermit, Error> {
    permit::permit_create_project(caller, creation).map_err(|refusal| {
        refused(
            refusal,
            "forbidden: only system administrators create projects here ([projects] creation)",
        )
    })
}

fn refused(refusal: Refusal, message: &str) -> Error {
    match refusal {
        Refusal::NotSignedIn => Error::NotSignedIn,
        Refusal::NotPermitted | Refusal::TokenTooNarrow => Error::Forbidden(message.to_owned()),
    }
}
