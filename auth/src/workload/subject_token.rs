//! A token of a workload: a JWT (RFC 7519) as sent. Its claims are read and its times checked here; its signature is
//! checked in [`super::keys`].

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use model::Timestamp;
use model::workload::CLIENT_CERTIFICATE;
use serde_json::{Map, Value};

/// Maximum bytes of a token.
const LONGEST: usize = 16 << 10;
/// Maximum bytes of a subject and an issuer.
const LONGEST_NAME: usize = 512;
/// Seconds by which an issuer's clock may be ahead.
const SKEW_SECS: f64 = 60.0;
/// Maximum total validity of a token, in seconds.
const LONGEST_LIFE_SECS: f64 = 86_400.0;
/// Accepted algorithms: only asymmetric ones.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// A token whose signature is not checked yet.
pub(super) struct SubjectToken {
    text: String,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl SubjectToken {
    /// Reads a text in the form of a JWT with an issuer and a subject; `None` for any other text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut parts = text.split('.');
        let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let token = Self {
            header: object(header)?,
            claims: object(claims)?,
            text: text.to_owned(),
        };
        let is_name = |text: &str| (1..=LONGEST_NAME).contains(&text.len()) && !text.contains('\0');
        // Rules for client certificates are not for tokens, whoever signs them.
        let is_token = token.issuer() != CLIENT_CERTIFICATE;
        (is_token && is_name(token.issuer()) && is_name(token.subject())).then_some(token)
    }

    /// The token as sent.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Its claims.
    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    fn claim(&self, name: &str) -> &str {
        self.claims
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The issuer that it claims to have.
    pub(super) fn issuer(&self) -> &str {
        self.claim("iss")
    }

    /// The subject that it claims to have.
    pub(super) fn subject(&self) -> &str {
        self.claim("sub")
    }

    /// Subject and issuer, as written in the history.
    pub(super) fn claimed(&self) -> String {
        let plain = |letter: &char| !letter.is_control();
        let subject: String = self.subject().chars().filter(plain).collect();
        let issuer: String = self.issuer().chars().filter(plain).collect();
        format!("{subject} ({issuer})")
    }

    /// The key that it names.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    /// The algorithm that it is signed by.
    ///
    /// # Errors
    /// Why it is refused: none, a symmetric one, or an unknown one; extensions that must be understood.
    pub(super) fn algorithm(&self) -> Result<Algorithm, String> {
        if self.header.contains_key("crit") {
            return Err("its header has extensions (crit)".to_owned());
        }
        let named = self
            .header
            .get("alg")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let known = ALGORITHMS.iter().find(|(name, _)| *name == named);
        known.map(|(_, algorithm)| *algorithm).ok_or_else(|| {
            let named: String = named.chars().take(20).collect();
            format!("its algorithm {named:?} is none of those that are accepted")
        })
    }

    /// When it expires, if it is valid at `now`. Expiry has no leeway; `iat` and `nbf` may be a minute ahead.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn check(&self, now: Timestamp) -> Result<Timestamp, String> {
        self.algorithm()?;
        let time = |name: &str| self.claims.get(name).and_then(Value::as_f64);
        let (Some(expires), Some(issued)) = (time("exp"), time("iat")) else {
            return Err(
                "it does not say when it was issued and when it ends (iat, exp)".to_owned(),
            );
        };
        let seconds = now.seconds() as f64;
        if expires <= seconds {
            return Err(format!("it ended {} s ago (exp)", seconds - expires));
        }
        if issued > seconds + SKEW_SECS {
            return Err(format!(
                "it is issued {} s ahead of this clock (iat)",
                issued - seconds
            ));
        }
        if self.claims.contains_key("nbf") {
            let from = time("nbf").ok_or("its nbf is no time")?;
            if from > seconds + SKEW_SECS {
                return Err(format!("it is valid only in {} s (nbf)", from - seconds));
            }
        }
        if expires - issued > LONGEST_LIFE_SECS {
            return Err("it is valid for more than 24 hours: have shorter ones issued".to_owned());
        }
        // At most a day and a minute ahead.
        Ok(Timestamp(expires as i64 * 1_000_000))
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    match serde_json::from_slice(&json).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn text(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.AAAA", part(header), part(claims))
    }

    fn token(changes: Value) -> SubjectToken {
        let mut claims =
            json!({ "iss": "https://ci.test", "sub": "job:1", "iat": NOW, "exp": NOW + 300 });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        SubjectToken::parse(&text(&json!({ "alg": "ES256", "kid": "a" }), &claims)).unwrap()
    }

    fn check(changes: Value) -> Result<Timestamp, String> {
        token(changes).check(Timestamp(NOW * 1_000_000))
    }

    #[test]
    fn times_are_checked_with_a_minute_for_clocks_that_are_ahead() {
        assert_eq!(check(json!({})), Ok(Timestamp((NOW + 300) * 1_000_000)));
        check(json!({ "iat": NOW + 60, "nbf": NOW + 60 })).unwrap();
        check(json!({ "iat": NOW as f64 - 0.5, "exp": NOW + 86_399 })).unwrap();
        for wrong in [
            json!({ "exp": NOW }),
            json!({ "exp": NOW - 1 }),
            json!({ "exp": null }),
            json!({ "exp": "soon" }),
            json!({ "iat": null }),
            json!({ "iat": NOW + 61 }),
            json!({ "nbf": NOW + 61 }),
            json!({ "nbf": "now" }),
            json!({ "exp": NOW + 86_401 }),
            json!({ "exp": 1e300 }),
        ] {
            check(wrong.clone()).expect_err(&wrong.to_string());
        }
    }

    #[test]
    fn only_asymmetric_algorithms_are_accepted() {
        let claims = json!({ "iss": "https://ci.test", "sub": "job:1" });
        let algorithm = |header: Value| {
            SubjectToken::parse(&text(&header, &claims))
                .unwrap()
                .algorithm()
        };
        assert_eq!(algorithm(json!({ "alg": "RS256" })), Ok(Algorithm::RS256));
        for wrong in ["none", "None", "", "HS256", "HS512", "rs256", "ES256K"] {
            algorithm(json!({ "alg": wrong })).expect_err(wrong);
        }
        algorithm(json!({})).unwrap_err();
        algorithm(json!({ "alg": ["RS256"] })).unwrap_err();
        algorithm(json!({ "alg": "RS256", "crit": ["b64"] })).unwrap_err();
    }

    #[test]
    fn what_has_no_issuer_and_subject_is_no_token() {
        let header = json!({ "alg": "RS256" });
        for claims in [
            json!({ "iss": "https://ci.test" }),
            json!({ "sub": "a" }),
            json!({ "iss": "", "sub": "a" }),
            json!({ "iss": 1, "sub": "a" }),
            json!({ "iss": "a\0", "sub": "a" }),
            json!({ "iss": "https://ci.test", "sub": "a".repeat(513) }),
            json!([]),
        ] {
            assert!(
                SubjectToken::parse(&text(&header, &claims)).is_none(),
                "{claims}"
            );
        }
        let whole = text(&header, &json!({ "iss": "a", "sub": "b\n" }));
        assert_eq!(SubjectToken::parse(&whole).unwrap().claimed(), "b (a)");
        assert!(SubjectToken::parse(&format!("{whole}.x")).is_none());
        assert!(SubjectToken::parse(&"a".repeat(LONGEST + 1)).is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}", parts in "[A-Za-z0-9_.-]{0,120}") {
            SubjectToken::parse(&text);
            SubjectToken::parse(&parts);
        }
    }
}
