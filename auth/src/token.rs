//! Registry tokens: ES256 JWTs that name a principal and what is granted to it for a limited time. The caller decides
//! which actions a token contains; `policy` decides which of them still hold at use.
//!
//! Signing and checking use aws-lc-rs directly: jsonwebtoken parses the key again for each signature, checks times
//! against the system clock, and supports more algorithms than may ever be accepted here.

mod key;
mod verified;

pub use key::{TokenKey, TokenKeyError, TokenKeys};
pub use verified::{VerifiedToken, VerifiedTokens};

use model::PrincipalId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The issuer of tokens, with Harbor's name, which scripts expect.
pub const ISSUER: &str = "harbor-token-issuer";

/// The audience of tokens; also the `service` of a challenge.
pub const AUDIENCE: &str = "harbor-registry";

/// Tolerated clock difference between replicas, in seconds.
pub const LEEWAY_SECS: i64 = 60;

/// Maximum length of a token to check, in bytes.
pub const LONGEST_TOKEN: usize = 16 << 10;

/// Maximum length of an issued token, in bytes: less than balancers accept as a request's header (haproxy: 15 KiB).
pub const LONGEST_ISSUED: usize = 12 << 10;

/// Bytes of a token besides its claims: header, signature and dots, with a margin.
const AROUND_CLAIMS: usize = 256;

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer: [`ISSUER`].
    pub iss: String,
    /// The principal's name; empty for an anonymous caller.
    pub sub: String,
    /// The audience: [`AUDIENCE`].
    pub aud: String,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
    /// From when it is valid, in seconds since 1970.
    pub nbf: i64,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// Its random ID.
    pub jti: String,
    /// What was granted.
    pub access: Vec<Access>,
    /// The principal's id; absent for an anonymous caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    /// The principal's generation at issue; once that has changed, the token is void.
    #[serde(rename = "gen")]
    pub generation: i64,
    /// What admitted the principal, if it is a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadClaim>,
}

/// The admission of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadClaim {
    /// The ids of its rules among principals, with the generations that they had.
    pub rules: Vec<(PrincipalId, i64)>,
    /// When its own token expires, in seconds since 1970.
    pub exp: i64,
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

/// The principal to which a token is issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The principal's name; empty for an anonymous caller.
    pub name: String,
    /// The principal's id; `None` for an anonymous caller.
    pub principal: Option<PrincipalId>,
    /// The principal's current generation.
    pub generation: i64,
}

impl Holder {
    /// An anonymous caller.
    pub fn anonymous() -> Self {
        Self {
            name: String::new(),
            principal: None,
            generation: 0,
        }
    }
}

impl Claims {
    /// Claims of a token that is valid from `now` for `lifetime_secs` and grants nothing yet; `id` is its random ID.
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
            principal: holder.principal,
            generation: holder.generation,
            workload: None,
        }
    }

    /// Adds grants in order, while the token stays within [`LONGEST_ISSUED`]; grants that do not fit, and empty ones,
    /// are left out.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::Claims`] if a claim cannot be written.
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

    /// The grants as the text of a `scope` parameter, separated by spaces.
    pub fn scope(&self) -> String {
        let scopes = self.access.iter().map(Access::scope);
        scopes.collect::<Vec<_>>().join(" ")
    }

    /// Checks that the token is valid at `now`, with [`LEEWAY_SECS`] of leeway.
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
    /// It is not a JWT with our claims.
    #[error("the token is malformed")]
    Malformed,
    /// It is declared as unsigned (`alg` is `none`).
    #[error("the token is not signed")]
    Unsigned,
    /// It names an algorithm other than ES256.
    #[error("the token is signed with another algorithm than ES256")]
    WrongAlgorithm,
    /// It names no key, or one that is not in use (any more).
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature is not that of the key it names.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// It has another issuer.
    #[error("the token comes from another issuer")]
    WrongIssuer,
    /// It is for another service.
    #[error("the token is for another service")]
    WrongAudience,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not yet valid")]
    NotYetValid,
}

#[cfg(test)]
mod tests;
