//! ID tokens (OpenID Connect Core 1.0, section 3.1.3.7) and logout tokens (Back-Channel Logout 1.0, section 2.6):
//! checking them, and reading whose they are.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use model::Timestamp;
use serde_json::Value;
use tenancy::secret::equal;

use super::error::{Error, Result};
use super::provider::{Claims, Metadata, Provider};

/// Tolerated clock difference.
const LEEWAY: Duration = Duration::from_secs(60);
/// Maximum age of a logout token.
const LOGOUT_AGE: Duration = Duration::from_secs(300);
/// Maximum bytes of a token.
const LONGEST: usize = 64 << 10;
/// Maximum bytes of a subject: the specification allows 255.
const LONGEST_SUBJECT: usize = 255;
/// The event of a logout token.
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Algorithms whose signing keys only the provider has: none with a shared secret, and not `none`.
const ASYMMETRIC: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Claims of a valid ID token.
pub(super) struct IdToken {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) claims: Claims,
}

/// Whose sessions end.
pub(super) struct Logout {
    pub(super) issuer: String,
    pub(super) subject: Option<String>,
    pub(super) sid: Option<String>,
    /// The token's id, which distinguishes it from others.
    pub(super) id: String,
}

impl Provider {
    /// Reads an ID token. With `nonce`, it must be the one that was sent.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub(super) async fn id_token(
        &self,
        token: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<IdToken> {
        let metadata = self.metadata().await?;
        let claims = self.signed(token, &metadata).await?;
        let client = &self.config().client_id;
        check_parties(&claims, &metadata.issuer, client)?;
        check_times(&claims, now)?;
        if let Some(nonce) = nonce {
            let said = text(&claims, "nonce").unwrap_or_default();
            if !equal(said.as_bytes(), nonce.as_bytes()) {
                return Err(Error::Token("its nonce is of another sign-in"));
            }
        }
        Ok(IdToken {
            issuer: metadata.issuer.clone(),
            subject: subject(&claims)?.ok_or(Error::Token("it has no subject"))?,
            claims,
        })
    }

    /// Reads a logout token.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub(super) async fn logout_token(&self, token: &str, now: Timestamp) -> Result<Logout> {
        let metadata = self.metadata().await?;
        let claims = self.signed(token, &metadata).await?;
        check_parties(&claims, &metadata.issuer, &self.config().client_id)?;
        let issued =
            time(&claims, "iat").ok_or(Error::Token("it does not say when it was issued"))?;
        if issued.plus(LOGOUT_AGE) < now || issued > now.plus(LEEWAY) {
            return Err(Error::Token("it was not issued just now"));
        }
        if claims.contains_key("exp") {
            check_times(&claims, now)?;
        }
        let is_logout = claims
            .get("events")
            .and_then(|events| events.get(LOGOUT))
            .is_some_and(Value::is_object);
        // A token with a nonce could be an ID token.
        if !is_logout || claims.contains_key("nonce") {
            return Err(Error::Token("it is no logout token"));
        }
        let (subject, sid) = (subject(&claims)?, text(&claims, "sid").map(str::to_owned));
        if subject.is_none() && sid.is_none() {
            return Err(Error::Token("it says nobody to sign out"));
        }
        let id = text(&claims, "jti").ok_or(Error::Token("it has no jti"))?;
        Ok(Logout {
            issuer: metadata.issuer.clone(),
            subject,
            sid,
            id: id.to_owned(),
        })
    }

    /// The claims of a token signed by a key of the provider's set.
    async fn signed(&self, token: &str, metadata: &Metadata) -> Result<Claims> {
        if token.len() > LONGEST {
            return Err(Error::Token("it is too long"));
        }
        let header = decode_header(token);
        let header = header.map_err(|_| Error::Token("it is not signed as tokens are"))?;
        // RFC 7515, section 4.1.11: none is understood here.
        if header.crit.is_some() {
            return Err(Error::Token(
                "its header demands what is not understood (crit)",
            ));
        }
        let algorithm = header.alg;
        let names = &metadata.id_token_signing_alg_values_supported;
        let is_named = names.is_empty() || names.iter().any(|it| *it == format!("{algorithm:?}"));
        if !ASYMMETRIC.contains(&algorithm) || !is_named {
            return Err(Error::Token("its algorithm is none that is taken"));
        }
        let verified = |keys: &[Jwk]| verified(token, keys, (header.kid.as_deref(), algorithm));
        match verified(&self.keys(false).await?) {
            Ok(claims) => Ok(claims),
            // Keys are rotated, and a new one may have the name of the old one.
            Err(_) => verified(&self.keys(true).await?),
        }
    }
}

/// The claims of a token that one of these keys signed.
fn verified(
    token: &str,
    keys: &[Jwk],
    (kid, algorithm): (Option<&str>, Algorithm),
) -> Result<Claims> {
    let key = find(keys, kid, algorithm);
    let key = key.ok_or(Error::Token("its key is not among the provider's"))?;
    let key = DecodingKey::from_jwk(&key);
    let key = key.map_err(|_| Error::Token("its key cannot be used"))?;
    let decoded = decode::<Claims>(token, &key, &validation(algorithm));
    let decoded = decoded.map_err(|_| Error::Token("its signature is wrong"))?;
    Ok(decoded.claims)
}

/// Uses only the crate's signature check: the others need our clock, or are stricter here.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

/// The key with an id for an algorithm; without an id, the only key for it.
fn find(keys: &[Jwk], kid: Option<&str>, algorithm: Algorithm) -> Option<Jwk> {
    let fits = |key: &&Jwk| {
        let named = key.common.key_algorithm.map(|it| it.to_string());
        let is_for = named.is_none_or(|named| named == format!("{algorithm:?}"));
        is_for && DecodingKey::from_jwk(key).is_ok_and(|key| key.family() == algorithm.family())
    };
    let mut fitting = keys.iter().filter(|key| match kid {
        Some(kid) => key.common.key_id.as_deref() == Some(kid),
        None => true,
    });
    let mut fitting = fitting.by_ref().filter(fits);
    let found = fitting.next()?;
    match kid.is_some() || fitting.next().is_none() {
        true => Some(found.clone()),
        false => None,
    }
}

/// Checks issuer and audience.
fn check_parties(claims: &Claims, issuer: &str, client: &str) -> Result<()> {
    if text(claims, "iss") != Some(issuer) {
        return Err(Error::Token("it is of another issuer"));
    }
    let several = match claims.get("aud") {
        Some(Value::String(one)) if one == client => false,
        Some(Value::Array(many)) if many.iter().any(|one| one == client) => many.len() > 1,
        _ => return Err(Error::Token("it is for another client")),
    };
    match text(claims, "azp") {
        Some(party) if party == client => Ok(()),
        None if !several && !claims.contains_key("azp") => Ok(()),
        _ => Err(Error::Token("it is for another client as well")),
    }
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<()> {
    let ends = time(claims, "exp").ok_or(Error::Token("it does not say when it ends"))?;
    if ends.plus(LEEWAY) <= now {
        return Err(Error::Token("it has expired"));
    }
    let begins = [time(claims, "nbf"), time(claims, "iat")];
    if begins.into_iter().flatten().any(|at| at > now.plus(LEEWAY)) {
        return Err(Error::Token("it is of the future: are the clocks right?"));
    }
    Ok(())
}

fn subject(claims: &Claims) -> Result<Option<String>> {
    let Some(subject) = claims.get("sub") else {
        return Ok(None);
    };
    let text = subject.as_str().filter(|text| {
        !text.is_empty() && text.len() <= LONGEST_SUBJECT && !text.contains(char::is_control)
    });
    let text = text.ok_or(Error::Token("its subject is none"))?;
    Ok(Some(text.to_owned()))
}

fn text<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str()
}

fn time(claims: &Claims, name: &str) -> Option<Timestamp> {
    let value = claims.get(name)?;
    // Some providers write fractions.
    let seconds = value
        .as_f64()
        .filter(|it| it.is_finite() && it.abs() < 1e12)?;
    Some(Timestamp((seconds * 1e6) as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_token_is_of_this_issuer_and_for_this_client_alone() {
        let check = |value| check_parties(&claims(value), "https://id", "gantry");
        check(json!({ "iss": "https://id", "aud": "gantry" })).unwrap();
        check(json!({ "iss": "https://id", "aud": ["gantry"] })).unwrap();
        check(json!({ "iss": "https://id", "aud": ["gantry", "x"], "azp": "gantry" })).unwrap();
        for bad in [
            json!({ "iss": "https://id/", "aud": "gantry" }),
            json!({ "aud": "gantry" }),
            json!({ "iss": "https://id" }),
            json!({ "iss": "https://id", "aud": "other" }),
            json!({ "iss": "https://id", "aud": ["gantry", "x"] }),
            json!({ "iss": "https://id", "aud": "gantry", "azp": "x" }),
            json!({ "iss": "https://id", "aud": "gantry", "azp": 1 }),
        ] {
            check(bad).unwrap_err();
        }
    }

    #[test]
    fn a_token_ends_and_is_not_of_the_future() {
        let at = |seconds: i64| 1_700_000_000 + seconds;
        let check = |value| check_times(&claims(value), NOW);
        check(json!({ "exp": at(0), "iat": at(30) })).unwrap();
        for bad in [
            json!({}),
            json!({ "exp": at(-61) }),
            json!({ "exp": at(600), "iat": at(90) }),
            json!({ "exp": at(600), "nbf": at(90) }),
            json!({ "exp": "never" }),
        ] {
            check(bad).unwrap_err();
        }
    }

    #[test]
    fn without_a_name_only_an_only_key_is_taken() {
        let rsa = |kid: &str| {
            let key = json!({ "kty": "RSA", "n": "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTlXHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw", "e": "AQAB", "kid": kid });
            serde_json::from_value::<Jwk>(key).unwrap()
        };
        let (one, two) = (rsa("1"), rsa("2"));
        let both = [one.clone(), two];
        let named = |keys: &[Jwk], kid, algorithm| {
            find(keys, kid, algorithm).and_then(|key| key.common.key_id)
        };
        assert_eq!(
            named(&both, Some("2"), Algorithm::RS256).as_deref(),
            Some("2")
        );
        assert_eq!(named(&both, None, Algorithm::RS256), None);
        assert_eq!(
            named(std::slice::from_ref(&one), None, Algorithm::RS256).as_deref(),
            Some("1")
        );
        assert_eq!(named(&[one], Some("1"), Algorithm::ES256), None);
    }

    proptest! {
        #[test]
        fn no_claims_make_the_checks_panic(name in "(aud|azp|iss|exp|iat|sub)", number: f64, text in ".{0,20}") {
            for value in [json!(number), json!(text), json!([text]), Value::Null] {
                let mut all = Claims::new();
                all.insert(name.clone(), value);
                let _ = check_parties(&all, "https://id", "gantry");
                let _ = check_times(&all, NOW);
                let _ = subject(&all);
            }
        }
    }
}
