//! A set of public keys (RFC 7517), and whether a token is signed by one of them.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::Value;

use super::super::subject_token::SubjectToken;

/// Keys of a set that an issuer has.
const MOST_KEYS: usize = 100;
/// Keys of a set that is given with a rule: each is tried for a token that names none.
pub(in super::super) const MOST_GIVEN: usize = 10;

/// Public keys.
#[derive(Debug)]
pub(in super::super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// The keys of a JWK set that can verify signatures; others are left out.
    ///
    /// # Errors
    /// If there are none, or the set has secret keys.
    pub(in super::super) fn parse(json: &[u8]) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(json).map_err(|_| "it is no JWK set".to_owned())?;
        let is_secret = |key: &Value| key.get("d").is_some() || key.get("k").is_some();
        if document.keys.iter().any(is_secret) {
            return Err("it has secret keys: give the public ones alone".to_owned());
        }
        let keys: Vec<Key> = document
            .keys
            .into_iter()
            .filter_map(key)
            .take(MOST_KEYS)
            .collect();
        match keys.is_empty() {
            true => Err("it has no key that can check signatures".to_owned()),
            false => Ok(Self(keys)),
        }
    }

    /// The keys of a JWK set that is given with a rule.
    ///
    /// # Errors
    /// As [`KeySet::parse`]; if there are too many.
    pub(in super::super) fn given(json: &[u8]) -> Result<Self, String> {
        let set = Self::parse(json)?;
        match set.0.len() <= MOST_GIVEN {
            true => Ok(set),
            false => Err(format!("it has more than {MOST_GIVEN} keys")),
        }
    }

    /// Whether a token that names this key can be checked; one that names none is checked with all of them.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        self.0.iter().any(|key| key.has_id(id))
    }

    /// Checks only a token's signature.
    ///
    /// # Errors
    /// Why it is refused, for administrators.
    pub(in super::super) fn verify(&self, token: &SubjectToken) -> Result<(), String> {
        let algorithm = token.algorithm()?;
        let id = token.key_id();
        if !self.has(id) {
            return Err("it names a key that the issuer does not have (kid)".to_owned());
        }
        // Times, audience and issuer are checked elsewhere, against the clock of all replicas and the rules.
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let fitting = self
            .0
            .iter()
            .filter(|key| key.has_id(id) && key.algorithms.contains(&algorithm));
        let mut checked = fitting.map(|key| decode::<Value>(token.text(), &key.key, &validation));
        match checked.any(|result| result.is_ok()) {
            true => Ok(()),
            false => Err("its signature is not of the issuer's key".to_owned()),
        }
    }
}

impl Key {
    /// A key without an id is tried for every token.
    fn has_id(&self, id: Option<&str>) -> bool {
        match (id, &self.id) {
            (Some(wanted), Some(id)) => wanted == id,
            (None, _) | (_, None) => true,
        }
    }
}

/// A key that can verify signatures; `None` for any other.
fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if matches!(&jwk.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
        return None;
    }
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        _ => return None,
    };
    if let Some(only) = jwk.common.key_algorithm {
        algorithms
            .retain(|algorithm| Algorithm::try_from(only).is_ok_and(|only| only == *algorithm));
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    (!algorithms.is_empty()).then_some(Key {
        id: jwk.common.key_id,
        algorithms,
        key,
    })
}
