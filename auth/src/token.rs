//! Registry tokens: ES256 JWTs that name an account and what was granted to it for a while.
//! Which actions go in is decided before; what is left of them at use is `policy`'s affair.
//!
//! Signing and checking use aws-lc-rs itself: jsonwebtoken parses the key again for each signature, checks
//! times against the system clock, and knows more algorithms than may ever be accepted here.

mod key;
mod verified;

pub use key::{TokenKey, TokenKeyError, TokenKeys};
pub use verified::{VerifiedToken, VerifiedTokens};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Who issues tokens, as Harbor names it and scripts expect.
pub const ISSUER: &str = "harbor-token-issuer";

/// Whom tokens are for; also the `service` of a challenge.
pub const AUDIENCE: &str = "harbor-registry";

/// Seconds by which the clocks of replicas may differ.
pub const LEEWAY_SECS: i64 = 60;

/// Bytes of the longest token that is looked at.
pub const LONGEST_TOKEN: usize = 16 << 10;

/// Bytes of the longest token that is issued: less than balancers take as a request's header (haproxy: 15 KiB).
pub const LONGEST_ISSUED: usize = 12 << 10;

/// Bytes of a token besides its claims: header, signature and dots, with some to spare.
const AROUND_CLAIMS: usize = 256;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it: [`ISSUER`].
    pub iss: String,
    /// The account's name; empty for an anonymous caller.
    pub sub: String,
    /// Whom it is for: [`AUDIENCE`].
    pub aud: String,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// From when it is valid, in seconds since 1970.
    pub nbf: i64,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// Its own random name.
    pub jti: String,
    /// What was asked for and granted.
    pub access: Vec<Access>,
    /// The account's id; 0 for an anonymous caller.
    pub uid: i64,
    /// The account's generation at the time; with another one now, the token is void.
    #[serde(rename = "gen")]
    pub generation: i64,
}

/// What a token grants on one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The type of resource: `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The resource's name.
    pub name: String,
    /// The actions granted: `pull`, `push`, `delete`, `*`.
    pub actions: Vec<String>,
}

/// Whom a token is issued to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The account's name; empty for an anonymous caller.
    pub name: String,
    /// The account's id; 0 for an anonymous caller.
    pub account: i64,
    /// The account's present generation.
    pub generation: i64,
}

impl Holder {
    /// A caller who did not say who they are.
    pub fn anonymous() -> Self {
        Self {
            name: String::new(),
            account: 0,
            generation: 0,
        }
    }
}

impl Claims {
    /// Claims of a token that lasts from `now` for `lifetime_secs` and grants nothing yet; `id` is its random name.
    pub fn new(holder: Holder, id: String, now: OffsetDateTime, lifetime_secs: u32) -> Self {
        let now = now.unix_timestamp();
        Self {
            iss: ISSUER.to_owned(),
            sub: holder.name,
            aud: AUDIENCE.to_owned(),
            exp: now.saturating_add(lifetime_secs.into()),
            nbf: now,
            iat: now,
            jti: id,
            access: Vec::new(),
            uid: holder.account,
            generation: holder.generation,
        }
    }

    /// Adds what is granted, in order, as long as the token stays within [`LONGEST_ISSUED`]; what does not fit is left
    /// out, and so is what grants nothing.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::Claims`] where a claim cannot be written.
    pub fn grant(&mut self, access: impl IntoIterator<Item = Access>) -> Result<(), TokenKeyError> {
        let most = (LONGEST_ISSUED - AROUND_CLAIMS) / 4 * 3;
        let mut size = json_size(self)?;
        for access in access {
            let grown = size + json_size(&access)? + ",".len();
            if !access.actions.is_empty() && grown <= most {
                size = grown;
                self.access.push(access);
            }
        }
        Ok(())
    }

    /// What is granted as the text of a `scope` parameter, with spaces between scopes.
    pub fn scope(&self) -> String {
        let scopes = self.access.iter().map(Access::scope);
        scopes.collect::<Vec<_>>().join(" ")
    }

    /// Whether the token holds at `now`, give or take [`LEEWAY_SECS`].
    ///
    /// # Errors
    ///
    /// [`TokenError::Expired`] or [`TokenError::NotYetValid`].
    pub fn check_time(&self, now: OffsetDateTime) -> Result<(), TokenError> {
        let now = now.unix_timestamp();
        if now >= self.exp.saturating_add(LEEWAY_SECS) {
            return Err(TokenError::Expired);
        }
        if now.saturating_add(LEEWAY_SECS) < self.nbf {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

impl Access {
    fn scope(&self) -> String {
        format!("{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

/// Bytes of a value in JSON.
fn json_size(value: &impl Serialize) -> Result<usize, TokenKeyError> {
    let json = serde_json::to_vec(value).map_err(|_| TokenKeyError::Claims)?;
    Ok(json.len())
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// It is longer than 16 KiB.
    #[error("the token is longer than {LONGEST_TOKEN} bytes")]
    Oversized,
    /// It is no JWT, or one with claims that are not ours.
    #[error("the token is malformed")]
    Malformed,
    /// It says that it is not signed (`alg` is `none`).
    #[error("the token is not signed")]
    Unsigned,
    /// It names an algorithm other than ES256.
    #[error("the token is signed with another algorithm than ES256")]
    WrongAlgorithm,
    /// It names no key, or one that is not or no longer in use.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature is not that of the key it names.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// Someone else issued it.
    #[error("the token comes from another issuer")]
    WrongIssuer,
    /// It is for another service.
    #[error("the token is for another service")]
    WrongAudience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time is yet to come.
    #[error("the token is not yet valid")]
    NotYetValid,
}

#[cfg(test)]
mod tests;
