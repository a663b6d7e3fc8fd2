//! Keys that sign tokens: a single key, and the set in which the newest signs and all verify.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    ParsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{AUDIENCE, Claims, ISSUER, LONGEST_TOKEN, TokenError};

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// Bytes of one coordinate of a P-256 point.
const COORDINATE: usize = 32;

/// Why a key could not be created, read or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenKeyError {
    /// The text is no P-256 private key in PKCS#8 PEM form.
    #[error("the token key is not a P-256 private key in PKCS#8 PEM form")]
    Unreadable,
    /// The claims cannot be written as JSON; those of this crate always can.
    #[error("the token's claims cannot be written")]
    Claims,
    /// Making a key or a signature failed.
    #[error("the system's cryptography failed")]
    Crypto,
}

/// A P-256 key that signs tokens.
pub struct TokenKey {
    pair: EcdsaKeyPair,
    public: ParsedPublicKey,
    id: String,
    /// The encoded header of every token that this key signs, dot included.
    header: String,
}

impl TokenKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::Crypto`].
    pub fn generate() -> Result<Self, TokenKeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self::assemble(pair.map_err(|_| TokenKeyError::Crypto)?)
    }

    /// Reads a key written by [`TokenKey::to_pem`], or another P-256 key in PKCS#8 form.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::Unreadable`].
    pub fn from_pem(pem: &str) -> Result<Self, TokenKeyError> {
        let der = decode_pem(pem).ok_or(TokenKeyError::Unreadable)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
        Self::assemble(pair.map_err(|_| TokenKeyError::Unreadable)?)
    }

    fn assemble(pair: EcdsaKeyPair) -> Result<Self, TokenKeyError> {
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        let public = public.map_err(|_| TokenKeyError::Unreadable)?;
        let id = thumbprint(&pair)?;
        let header = format!(r#"{{"alg":"ES256","kid":"{id}","typ":"JWT"}}"#);
        let header = URL_SAFE_NO_PAD.encode(header) + ".";
        Ok(Self {
            pair,
            public,
            id,
            header,
        })
    }

    /// The private key in PKCS#8 PEM form; to be stored sealed.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::Crypto`].
    pub fn to_pem(&self) -> Result<Zeroizing<String>, TokenKeyError> {
        let der = self.pair.to_pkcs8v1().map_err(|_| TokenKeyError::Crypto)?;
        let body = Zeroizing::new(STANDARD.encode(der.as_ref()));
        // reserved whole, so that growing leaves no copies of the key behind
        let mut pem = Zeroizing::new(String::with_capacity(body.len() * 2 + 128));
        pem.push_str(PEM_BEGIN);
        for (position, letter) in body.chars().enumerate() {
            if position % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem.push('\n');
        pem.push_str(PEM_END);
        pem.push('\n');
        Ok(pem)
    }

    /// The key's id in tokens and in the JWKS: its RFC 7638 thumbprint.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key as a JWK.
    pub fn jwk(&self) -> Value {
        // an id exists, so the coordinates do
        let (x, y) = coordinates(&self.pair).unwrap_or_default();
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.id, "use": "sig", "alg": "ES256"})
    }

    fn sign(&self, claims: &Claims) -> Result<String, TokenKeyError> {
        let claims = serde_json::to_vec(claims).map_err(|_| TokenKeyError::Claims)?;
        let mut token = String::with_capacity(self.header.len() + claims.len() * 4 / 3 + 96);
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes());
        let signature = signature.map_err(|_| TokenKeyError::Crypto)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The keys in use: the newest signs, all verify.
#[derive(Debug, Clone)]
pub struct TokenKeys {
    newest: Arc<TokenKey>,
    older: Vec<Arc<TokenKey>>,
}

impl TokenKeys {
    /// Signs with `newest`, and also accepts tokens signed by `older` keys, newest first.
    pub fn new(newest: Arc<TokenKey>, older: Vec<Arc<TokenKey>>) -> Self {
        Self { newest, older }
    }

    /// The key that signs.
    pub fn newest(&self) -> &Arc<TokenKey> {
        &self.newest
    }

    /// The public keys as a JSON Web Key Set, the newest first.
    pub fn jwks(&self) -> Value {
        let keys: Vec<_> = self.all().map(|key| key.jwk()).collect();
        json!({ "keys": keys })
    }

    /// Signs `claims` with the newest key.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::Claims`] or [`TokenKeyError::Crypto`].
    pub fn issue(&self, claims: &Claims) -> Result<String, TokenKeyError> {
        self.newest.sign(claims)
    }

    /// Checks a token from outside, at the time `now`: form, key, signature, issuer, audience and times.
    ///
    /// # Errors
    ///
    /// The first check that fails. Nothing in a token is trusted before its signature is checked.
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Claims, TokenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Oversized);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        if claims.contains('.') {
            return Err(TokenError::Malformed);
        }
        let key = self.key_for(header)?;
        let signature = decode(signature)?;
        let verified = key.public.verify_sig(message.as_bytes(), &signature);
        verified.map_err(|_| TokenError::BadSignature)?;

        let claims: Claims =
            serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)?;
        if claims.iss != ISSUER {
            return Err(TokenError::WrongIssuer);
        }
        if claims.aud != AUDIENCE {
            return Err(TokenError::WrongAudience);
        }
        claims.check_time(now)?;
        Ok(claims)
    }

    fn key_for(&self, header: &str) -> Result<&TokenKey, TokenError> {
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        match &*header.alg {
            "ES256" => {}
            // some libraries once accepted `None` and `nOnE` as well
            alg if alg.eq_ignore_ascii_case("none") => return Err(TokenError::Unsigned),
            _ => return Err(TokenError::WrongAlgorithm),
        }
        // RFC 7515, 4.1.11: a critical header that is not understood makes the token invalid
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let id = header.kid.ok_or(TokenError::UnknownKey)?;
        let found = self.all().find(|key| key.id == id);
        found.map(|key| &**key).ok_or(TokenError::UnknownKey)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<TokenKey>> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

fn decode(text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| TokenError::Malformed)
}

/// The key's coordinates in base64, from `0x04 ‖ x ‖ y`.
fn coordinates(pair: &EcdsaKeyPair) -> Option<(String, String)> {
    let point = pair.public_key().as_ref().strip_prefix(&[4])?;
    let (x, y) = point.split_at_checked(COORDINATE)?;
    Some((URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y)))
}

/// SHA-256 over the required members in the order of their names ([RFC 7638]).
///
/// [RFC 7638]: https://www.rfc-editor.org/rfc/rfc7638#section-3
fn thumbprint(pair: &EcdsaKeyPair) -> Result<String, TokenKeyError> {
    let (x, y) = coordinates(pair).ok_or(TokenKeyError::Unreadable)?;
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Ok(URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes())))
}

fn decode_pem(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = pem.split_once(PEM_BEGIN)?;
    let (body, _) = rest.split_once(PEM_END)?;
    let body: Zeroizing<String> = Zeroizing::new(
        body.chars()
            .filter(|letter| !letter.is_ascii_whitespace())
            .collect(),
    );
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}
