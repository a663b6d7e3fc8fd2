//! What is accepted, and how each kind of forgery is refused; jsonwebtoken serves as the second opinion.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use model::PrincipalId;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::*;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn keys() -> TokenKeys {
    TokenKeys::new(Arc::new(TokenKey::generate().unwrap()), Vec::new())
}

fn claims() -> Claims {
    let holder = Holder {
        name: "alice".to_owned(),
        principal: Some(PrincipalId(7)),
        generation: 3,
    };
    let mut claims = Claims::new(holder, "0123456789abcdef".to_owned(), NOW, 1800);
    claims
        .grant([repository("library/app", &["pull", "push"])])
        .unwrap();
    claims
}

fn repository(name: &str, actions: &[&str]) -> Access {
    Access {
        kind: "repository".to_owned(),
        name: name.to_owned(),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
    }
}

/// A token with any header and claims, signed by the real key.
fn signed(keys: &TokenKeys, header: &Value, claims: &Value) -> String {
    let message = [header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let pem = keys.newest().to_pem().unwrap();
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256).unwrap();
    format!("{message}.{signature}")
}

fn header(keys: &TokenKeys, alg: &str) -> Value {
    json!({"alg": alg, "kid": keys.newest().id(), "typ": "JWT"})
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = serde_json::to_value(claims()).unwrap();
    claims[name] = value.into();
    claims
}

#[test]
fn a_token_says_on_arrival_what_it_said_when_issued() {
    let keys = keys();
    let token = keys.issue(&claims()).unwrap();
    assert_eq!(keys.verify(&token, NOW).unwrap(), claims());
}

#[test]
fn what_grants_nothing_is_left_out() {
    let mut claims = claims();
    let held = repository("library/other", &["pull"]);
    claims
        .grant([repository("library/none", &[]), held.clone()])
        .unwrap();
    assert_eq!(claims.access[1..], [held]);
    assert_eq!(
        claims.scope(),
        "repository:library/app:pull,push repository:library/other:pull"
    );
}

proptest! {
    /// Whatever is granted to whomever, what is issued is accepted, and only what does not fit is missing.
    #[test]
    fn a_token_that_is_issued_is_never_too_long(
        name in "\\PC{0,255}",
        lengths in prop::collection::vec(1_usize..245, 0..200),
    ) {
        let keys = keys();
        let holder = Holder { name, principal: Some(PrincipalId(i64::MAX)), generation: i64::MAX };
        let mut claims = Claims::new(holder, "0123456789abcdef".to_owned(), NOW, 1800);
        let asked = lengths.iter().map(|length| {
            repository(&format!("library/{}", "a".repeat(*length)), &["pull", "push", "delete"])
        });
        claims.grant(asked).unwrap();
        let token = keys.issue(&claims).unwrap();
        prop_assert!(token.len() <= LONGEST_ISSUED, "{}", token.len());
        prop_assert_eq!(keys.verify(&token, NOW).unwrap(), claims.clone());
        if claims.access.len() < lengths.len() {
            prop_assert!(token.len() > LONGEST_ISSUED - 1_024, "{}", token.len());
        }
    }
}

#[test]
fn the_claims_have_the_names_that_clients_expect() {
    let value = serde_json::to_value(claims()).unwrap();
    let now = NOW.unix_timestamp();
    let expected = json!({
        "iss": "harbor-token-issuer", "sub": "alice", "aud": "harbor-registry",
        "exp": now + 1800, "nbf": now, "iat": now, "jti": "0123456789abcdef",
        "access": [{"type": "repository", "name": "library/app", "actions": ["pull", "push"]}],
        "principal": 7, "gen": 3,
    });
    assert_eq!(value, expected);
}

#[test]
fn another_implementation_accepts_our_tokens_by_our_jwks() {
    let keys = keys();
    let token = keys.issue(&claims()).unwrap();
    let set: JwkSet = serde_json::from_value(keys.jwks()).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let jwk = set.find(&header.kid.unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false;
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    assert_eq!(
        jsonwebtoken::decode::<Claims>(&token, &key, &validation)
            .unwrap()
            .claims,
        claims()
    );
}

#[test]
fn we_accept_a_token_that_another_implementation_signed_with_our_key() {
    let keys = keys();
    let claims_value = serde_json::to_value(claims()).unwrap();
    let token = signed(&keys, &header(&keys, "ES256"), &claims_value);
    assert_eq!(keys.verify(&token, NOW).unwrap(), claims());
}

#[test]
fn a_key_keeps_its_id_when_stored() {
    let key = TokenKey::generate().unwrap();
    let pem = key.to_pem().unwrap();
    assert!(
        pem.lines().all(|line| line.len() <= 64) && pem.ends_with("-----END PRIVATE KEY-----\n")
    );
    assert_eq!(TokenKey::from_pem(&pem).unwrap().id(), key.id());
    for wrong in ["", "key", &pem[..80], &pem.replace("PRIVATE", "PUBLIC")] {
        assert_eq!(
            TokenKey::from_pem(wrong).unwrap_err(),
            TokenKeyError::Unreadable
        );
    }
}

#[test]
fn the_id_is_the_thumbprint_that_another_implementation_computes() {
    let keys = keys();
    let set: JwkSet = serde_json::from_value(keys.jwks()).unwrap();
    let thumbprint = set.keys[0].thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
    assert_eq!(thumbprint.unwrap(), keys.newest().id());
}

#[test]
fn the_newest_key_signs_and_older_ones_still_verify() {
    let (old, new) = (keys(), Arc::new(TokenKey::generate().unwrap()));
    let token = old.issue(&claims()).unwrap();
    let both = TokenKeys::new(Arc::clone(&new), vec![Arc::clone(old.newest())]);
    assert!(both.verify(&token, NOW).is_ok());
    assert_eq!(
        old.verify(&both.issue(&claims()).unwrap(), NOW),
        Err(TokenError::UnknownKey)
    );
    assert_eq!(
        TokenKeys::new(new, Vec::new()).verify(&token, NOW),
        Err(TokenError::UnknownKey)
    );
    assert_eq!(both.jwks()["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn a_token_holds_from_its_beginning_to_its_end_with_a_minute_of_leeway() {
    let (keys, end) = (keys(), Duration::seconds(1800 + LEEWAY_SECS));
    let token = keys.issue(&claims()).unwrap();
    let at = |offset: Duration| keys.verify(&token, NOW + offset).map(|_| ());
    assert_eq!(at(end - Duration::SECOND), Ok(()));
    assert_eq!(at(end), Err(TokenError::Expired));
    assert_eq!(at(Duration::seconds(-LEEWAY_SECS)), Ok(()));
    assert_eq!(
        at(Duration::seconds(-LEEWAY_SECS - 1)),
        Err(TokenError::NotYetValid)
    );
}

#[test]
fn an_unsigned_token_is_refused_however_none_is_spelt() {
    let keys = keys();
    for alg in ["none", "None", "nOnE"] {
        let token = signed(&keys, &header(&keys, alg), &with("principal", 1));
        let (message, _) = token.rsplit_once('.').unwrap();
        assert_eq!(
            keys.verify(&format!("{message}."), NOW),
            Err(TokenError::Unsigned)
        );
        assert_eq!(keys.verify(&token, NOW), Err(TokenError::Unsigned));
    }
}

#[test]
fn our_public_key_is_no_shared_secret() {
    let keys = keys();
    let point = keys.jwks()["keys"][0]["x"].as_str().unwrap().to_owned();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(keys.newest().id().to_owned());
    let secret = EncodingKey::from_secret(point.as_bytes());
    let token = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
    assert_eq!(keys.verify(&token, NOW), Err(TokenError::WrongAlgorithm));
}

#[test]
fn a_signature_by_another_key_or_over_another_text_is_refused() {
    let (keys, other) = (keys(), keys());
    let forged = signed(&other, &header(&keys, "ES256"), &with("principal", 1));
    assert_eq!(keys.verify(&forged, NOW), Err(TokenError::BadSignature));

    let token = keys.issue(&claims()).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let altered = URL_SAFE_NO_PAD.encode(with("principal", 1).to_string());
    let altered = format!("{}.{altered}.{}", parts[0], parts[2]);
    assert_eq!(keys.verify(&altered, NOW), Err(TokenError::BadSignature));
    let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
    let zeros = format!("{}.{}.{zeros}", parts[0], parts[1]);
    assert_eq!(keys.verify(&zeros, NOW), Err(TokenError::BadSignature));
}

#[test]
fn a_token_of_another_issuer_or_for_another_service_is_refused() {
    let keys = keys();
    let verify = |claims: &Value| keys.verify(&signed(&keys, &header(&keys, "ES256"), claims), NOW);
    assert_eq!(verify(&with("iss", "other")), Err(TokenError::WrongIssuer));
    assert_eq!(
        verify(&with("aud", "other")),
        Err(TokenError::WrongAudience)
    );
    assert_eq!(
        verify(&with("aud", json!([AUDIENCE]))),
        Err(TokenError::Malformed)
    );
}

#[test]
fn extreme_times_are_refused_and_do_not_overflow() {
    let keys = keys();
    let verify = |claims: &Value| keys.verify(&signed(&keys, &header(&keys, "ES256"), claims), NOW);
    assert_eq!(verify(&with("exp", i64::MIN)), Err(TokenError::Expired));
    assert_eq!(verify(&with("nbf", i64::MAX)), Err(TokenError::NotYetValid));
    assert!(verify(&with("exp", i64::MAX)).is_ok());
    assert_eq!(verify(&with("exp", 1e300)), Err(TokenError::Malformed));
}

#[test]
fn an_oversized_token_is_refused_before_it_is_looked_at() {
    let keys = keys();
    assert_eq!(
        keys.verify(&"a".repeat(LONGEST_TOKEN), NOW),
        Err(TokenError::Malformed)
    );
    assert_eq!(
        keys.verify(&"a".repeat(LONGEST_TOKEN + 1), NOW),
        Err(TokenError::Oversized)
    );
    let verified = VerifiedTokens::new();
    let result = verified.verify(&keys, &"a".repeat(LONGEST_TOKEN + 1), NOW);
    assert_eq!(result.unwrap_err(), TokenError::Oversized);
}

#[test]
fn what_is_no_jwt_is_malformed() {
    let keys = keys();
    let token = keys.issue(&claims()).unwrap();
    let claims = serde_json::to_value(claims()).unwrap();
    let critical = json!({"alg": "ES256", "kid": keys.newest().id(), "crit": ["b64"]});
    for wrong in [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "eyJ9.e30.e30",
        &token[1..],
        &format!("{token}="),
        &format!(" {token}"),
        &format!("{token}.e30"),
        &signed(&keys, &critical, &claims),
        &signed(&keys, &json!({"kid": keys.newest().id()}), &claims),
    ] {
        assert_eq!(
            keys.verify(wrong, NOW),
            Err(TokenError::Malformed),
            "{wrong}"
        );
    }
    let nameless = signed(&keys, &json!({"alg": "ES256"}), &claims);
    assert_eq!(keys.verify(&nameless, NOW), Err(TokenError::UnknownKey));
}

#[test]
fn a_remembered_token_needs_no_key_but_still_its_time() {
    let (keys, other, verified) = (keys(), keys(), VerifiedTokens::new());
    let token = keys.issue(&claims()).unwrap();
    let first = verified.verify(&keys, &token, NOW).unwrap();
    let again = verified.verify(&other, &token, NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let late = NOW + Duration::hours(1);
    assert_eq!(
        verified.verify(&keys, &token, late).unwrap_err(),
        TokenError::Expired
    );
    verified.clear();
    assert_eq!(
        verified.verify(&other, &token, NOW).unwrap_err(),
        TokenError::UnknownKey
    );
}

#[test]
fn a_refused_token_is_not_remembered() {
    let (keys, other, verified) = (keys(), keys(), VerifiedTokens::new());
    let token = keys.issue(&claims()).unwrap();
    assert!(verified.verify(&other, &token, NOW).is_err());
    assert!(verified.verify(&keys, &token, NOW).is_ok());
}

#[test]
fn no_two_signatures_are_alike() {
    let keys = keys();
    let tokens: HashSet<_> = (0..200).map(|_| keys.issue(&claims()).unwrap()).collect();
    assert_eq!(tokens.len(), 200);
}

proptest! {
    #[test]
    fn no_text_makes_verifying_panic(text: String, parts in "[A-Za-z0-9_.-]{0,200}") {
        let keys = keys();
        prop_assert!(keys.verify(&text, NOW).is_err());
        prop_assert!(keys.verify(&parts, NOW).is_err());
    }

    #[test]
    fn a_token_with_one_letter_changed_is_refused(position: prop::sample::Index, letter in "[A-Za-z0-9_-]") {
        let keys = keys();
        let token = keys.issue(&claims()).unwrap();
        let position = position.index(token.len());
        let mut altered = token.clone();
        altered.replace_range(position..=position, &letter);
        prop_assume!(altered != token);
        prop_assert!(keys.verify(&altered, NOW).is_err());
    }
}
