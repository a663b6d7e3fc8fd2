//! ID tokens of the provider as credentials of the REST API, for programs of people that have no browser.
//!
//! A token proves who somebody is until it ends, so nothing is stored of it. It speaks for an account that the provider
//! has locked out only if it was issued since; if it is newer than what is known of the person, their groups and rights
//! become those that it names. With auto-onboarding, somebody unknown gets an account. Tokens that were issued before the
//! provider signed the person out are void, and so are tokens that are none for signing in: access tokens, logout tokens.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::identity::{self, Identity, OIDC};
use jsonwebtoken::decode_header;
use model::{Origin, PrincipalId, Timestamp, UserName};
use tenancy::oidc::{Person, Vouched};
use tracing::instrument;

use super::Oidc;
use super::claims::describe;
use super::error::{Error, Result};
use super::flow::{Underway, sid};
use super::provider::Provider;
use super::token::IdToken;

/// How much newer than the last reading a token must be to count as a reading itself.
const NEWER: Duration = Duration::from_secs(60);
/// How long after it was issued a token is taken, whenever it ends. For so long it is remembered whom the provider signed
/// out.
pub(super) const LONGEST_AGE: Duration = Duration::from_secs(86_400);

/// The account of a token.
pub(crate) struct Bearer {
    /// Its id among principals.
    pub(crate) principal: PrincipalId,
    /// The principal's generation.
    pub(crate) generation: i64,
}

impl Oidc {
    /// Whether a token says that it is the provider's, which is not asked for that: registry tokens and those of others are
    /// none of its business.
    ///
    /// # Errors
    /// [`Error::NotConfigured`], [`Error::Settings`].
    pub(crate) fn is_of_provider(&self, token: &str) -> Result<bool> {
        let provider = self.provider()?;
        Ok(is_issued_by(token, &provider.config().endpoint))
    }

    /// The account of an ID token.
    ///
    /// # Errors
    /// [`Error::Token`], [`Error::Ended`]; [`Error::Account`] if it gets none; when the provider cannot be asked.
    #[instrument(name = "auth.oidc.bearer", level = "debug", skip_all)]
    pub(crate) async fn by_id_token(&self, text: &str, by: Origin) -> Result<Bearer> {
        let (provider, now) = (self.provider()?, self.clock.now());
        refuse_other_kinds(text)?;
        let token = provider.id_token(text, None, now).await?;
        if token.claims.contains_key("events") {
            return Err(Error::Token("it is no ID token"));
        }
        let issued = issued_at(&token)?;
        refuse_old(issued, now)?;
        let underway = Underway {
            subject: format!("{} {}", token.issuer, token.subject),
            sid: sid(&token),
            begun_at: issued,
        };
        if self.is_signed_out(&underway).await? {
            return Err(Error::Ended("the OIDC provider has signed the person out"));
        }
        let mut reader = self.db.reader().await?;
        let known = identity::by_subject(&mut reader, OIDC, &underway.subject).await?;
        drop(reader);
        match known {
            Some(known) => self.known(&provider, &token, (known, issued), now).await,
            None => self.unknown(&provider, &token, (by, now)).await,
        }
    }

    async fn known(
        &self,
        provider: &Provider,
        token: &IdToken,
        (known, issued): (Identity, Timestamp),
        now: Timestamp,
    ) -> Result<Bearer> {
        let is_newer = issued > known.read_at.plus(NEWER);
        if !known.active && !is_newer {
            return Err(Error::Ended(
                "the OIDC provider did not vouch for the account any more: get a new ID token",
            ));
        }
        if is_newer {
            let vouched = vouched(person(provider, token)?.0);
            self.accounts.admit(&vouched, now).await?;
        }
        let mut reader = self.db.reader().await?;
        let known = identity::by_subject(&mut reader, OIDC, &known.subject).await?;
        let known = known.ok_or(Error::Ended("the account was deleted"))?;
        Ok(Bearer {
            principal: known.principal,
            generation: known.generation,
        })
    }

    async fn unknown(
        &self,
        provider: &Provider,
        token: &IdToken,
        (by, now): (Origin, Timestamp),
    ) -> Result<Bearer> {
        let (person, name) = person(provider, token)?;
        let vouched = vouched(person);
        let admitted = match self.accounts.admit(&vouched, now).await? {
            Some(admitted) => admitted,
            None if provider.config().auto_onboard => {
                let name: UserName = name.parse().map_err(tenancy::Error::NameInvalid)?;
                let new = (&vouched, &name);
                self.accounts.onboard(new, None, (by, now)).await?
            }
            None => {
                return Err(Error::Ended(
                    "there is no account yet: sign in to the web page once",
                ));
            }
        };
        Ok(Bearer {
            principal: admitted.principal,
            generation: admitted.generation,
        })
    }
}

/// A token says of itself what kind it is (RFC 8725, section 3.11): an access token or a logout token is none here.
fn refuse_other_kinds(text: &str) -> Result<()> {
    let header = decode_header(text);
    let header = header.map_err(|_| Error::Token("it is not signed as tokens are"))?;
    match header.typ.as_deref() {
        None | Some("JWT" | "jwt") => Ok(()),
        Some(_) => Err(Error::Token("it is no ID token")),
    }
}

fn refuse_old(issued: Timestamp, now: Timestamp) -> Result<()> {
    match issued.plus(LONGEST_AGE) <= now {
        true => Err(Error::Token("it was issued more than 24 hours ago")),
        false => Ok(()),
    }
}

/// Whether a token claims an issuer, which is the provider's endpoint.
fn is_issued_by(text: &str, endpoint: &str) -> bool {
    let issuer = claimed_issuer(text);
    issuer.is_some_and(|issuer| issuer.trim_end_matches('/') == endpoint)
}

/// The issuer that a token claims to have.
fn claimed_issuer(text: &str) -> Option<String> {
    let claims = text.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    Some(claims.get("iss")?.as_str()?.to_owned())
}

fn issued_at(token: &IdToken) -> Result<Timestamp> {
    let issued = token.claims.get("iat").and_then(serde_json::Value::as_f64);
    let issued = issued.filter(|it| it.is_finite() && it.abs() < 1e12);
    let issued = issued.ok_or(Error::Token("it does not say when it was issued"))?;
    Ok(Timestamp((issued * 1e6) as i64))
}

/// The person of a token, and the name that it suggests. What it does not say stays as it is known.
fn person(provider: &Provider, token: &IdToken) -> Result<(Person, String)> {
    let described = describe(provider.config(), token, None)?;
    let mut person = described.person;
    person.profile = person
        .profile
        .filter(|it| !it.realname.is_empty() && it.email.is_some());
    if !token.claims.contains_key(&provider.config().groups_claim) {
        person.groups = None;
    }
    Ok((person, described.name))
}

fn vouched(person: Person) -> Vouched {
    Vouched {
        person,
        refresh_token: None,
        asked_with: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_id_tokens_sign_in() {
        let token = |header: &str| format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header));
        for good in [r#"{"alg":"RS256"}"#, r#"{"alg":"RS256","typ":"JWT"}"#] {
            refuse_other_kinds(&token(good)).unwrap();
        }
        for bad in [
            r#"{"alg":"RS256","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","typ":"logout+jwt"}"#,
            "x",
        ] {
            refuse_other_kinds(&token(bad)).unwrap_err();
        }
        refuse_other_kinds("no token").unwrap_err();
    }

    #[test]
    fn a_token_of_somebody_else_is_known_without_the_provider() {
        let token = |claims: &str| format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(claims));
        let is_ours = |token: &str| is_issued_by(token, "https://id.example");
        assert!(is_ours(&token(r#"{"iss":"https://id.example"}"#)));
        assert!(is_ours(&token(r#"{"iss":"https://id.example/"}"#)));
        for other in [
            &*token(r#"{"iss":"https://id.example.evil"}"#),
            &*token(r#"{"iss":"harbor-token-issuer"}"#),
            &*token("{}"),
            "x",
            "a.b.c",
            "",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn a_token_is_taken_for_a_day_however_long_it_lives() {
        let issued = Timestamp(1_700_000_000_000_000);
        let day = Duration::from_secs(86_400);
        refuse_old(issued, issued).unwrap();
        refuse_old(issued, issued.plus(day).minus(NEWER)).unwrap();
        refuse_old(issued, issued.plus(day)).unwrap_err();
        refuse_old(Timestamp(-1_000_000_000_000_000_000), issued).unwrap_err();
    }
}
