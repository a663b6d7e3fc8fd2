//! Registry tokens: text from outside never verifies, and whatever our own key signed verifies only with our
//! issuer, audience and times. The second half gets behind the signature, where the claims are parsed.
#![no_main]

use std::sync::{Arc, LazyLock};

use gantry_auth::token::{AUDIENCE, ISSUER, LEEWAY_SECS, TokenError, TokenKey, TokenKeys};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

/// A key made for this run: findings are repeated by what they say of header and claims.
static KEY: LazyLock<TokenKey> = LazyLock::new(|| TokenKey::generate().expect("the system makes a key"));

static KEYS: LazyLock<TokenKeys> = LazyLock::new(|| {
    let pem = KEY.to_pem().expect("the key prints");
    let key = TokenKey::from_pem(&pem).expect("the key is one");
    TokenKeys::new(Arc::new(key), Vec::new())
});

static SIGNER: LazyLock<EncodingKey> = LazyLock::new(|| {
    let pem = KEY.to_pem().expect("the key prints");
    EncodingKey::from_ec_pem(pem.as_bytes()).expect("the key is one")
});

const NOW: i64 = 1_772_366_400;

fuzz_target!(|input: (&str, &[u8], &[u8])| {
    let now = OffsetDateTime::from_unix_timestamp(NOW).expect("a time within range");
    let (text, header, claims) = input;
    assert!(KEYS.verify(text, now).is_err());

    // most headers that the fuzzer makes up name no key of ours; these two ways in between do
    let ours = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, KEYS.newest().id());
    for header in [header, ours.as_bytes()] {
        let message = format!("{}.{}", base64_url(header), base64_url(claims));
        let signature = crypto::sign(message.as_bytes(), &SIGNER, Algorithm::ES256);
        let token = format!("{message}.{}", signature.expect("the key signs"));
        match KEYS.verify(&token, now) {
            Ok(claims) => {
                assert_eq!((&*claims.iss, &*claims.aud), (ISSUER, AUDIENCE));
                assert!(claims.exp.saturating_add(LEEWAY_SECS) > NOW);
                assert!(claims.nbf <= NOW + LEEWAY_SECS);
            }
            Err(error) => assert_ne!(error, TokenError::BadSignature),
        }
    }
});

fn base64_url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = group
            .iter()
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let number = number << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            let letter = number >> (18 - 6 * place) & 63;
            text.push(char::from(LETTERS[letter as usize]));
        }
    }
    text
}
