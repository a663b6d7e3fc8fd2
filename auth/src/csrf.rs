//! Tokens that prove that a request comes from a page of this server (double submit): another site's page can make a
//! browser send its cookies, but can read neither them nor an answer.
//!
//! A token belongs to a cookie of random bytes and to the session, and contains a keyed hash of both, so that neither a
//! planted cookie nor a token of another session is accepted. It is masked differently each time, so that the length of
//! compressed answers does not reveal it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use tenancy::secret::{MasterKey, equal};

/// Bytes of a secret, and of its mask.
const LEN: usize = 32;

/// Makes and checks tokens. Replicas with the same master key accept one another's.
pub struct Csrf(hmac::Key);

impl Csrf {
    /// Uses a key derived from the master key.
    pub fn new(master: &MasterKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &*master.derive("csrf")))
    }

    /// A new cookie: 64 hexadecimal digits.
    pub fn cookie() -> String {
        crate::random_hex::<LEN>()
    }

    /// A token for a cookie and the session, if there is one: 88 characters.
    pub fn token(&self, cookie: &str, session: Option<&str>) -> String {
        let mask = crate::random::<LEN>();
        let masked = xor(&mask, &self.secret(cookie, session));
        STANDARD.encode([mask, masked].concat())
    }

    /// Whether it is a token for a cookie and the session.
    pub fn is_valid(&self, token: &str, cookie: &str, session: Option<&str>) -> bool {
        let Ok(token) = STANDARD.decode(token) else {
            return false;
        };
        let Some((mask, masked)) = token.split_first_chunk::<LEN>() else {
            return false;
        };
        let Ok(masked) = masked.try_into() else {
            return false;
        };
        equal(&xor(mask, masked), &self.secret(cookie, session))
    }

    fn secret(&self, cookie: &str, session: Option<&str>) -> [u8; LEN] {
        let mut hash = hmac::Context::with_key(&self.0);
        // The length distinguishes `ab` + `c` from `a` + `bc`.
        hash.update(&cookie.len().to_le_bytes());
        hash.update(cookie.as_bytes());
        hash.update(session.unwrap_or_default().as_bytes());
        let hash = hash.sign();
        hash.as_ref().try_into().expect("HMAC-SHA256 is 32 bytes")
    }
}

fn xor(one: &[u8; LEN], other: &[u8; LEN]) -> [u8; LEN] {
    std::array::from_fn(|at| one[at] ^ other[at])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn csrf() -> Csrf {
        let text = MasterKey::generate_text().unwrap();
        Csrf::new(&MasterKey::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_token_is_for_its_cookie_and_its_session_alone() {
        let (csrf, cookie) = (csrf(), Csrf::cookie());
        let token = csrf.token(&cookie, Some("s"));
        assert!(csrf.is_valid(&token, &cookie, Some("s")));
        assert!(!csrf.is_valid(&token, &cookie, Some("t")));
        assert!(!csrf.is_valid(&token, &cookie, None));
        assert!(!csrf.is_valid(&token, &Csrf::cookie(), Some("s")));
        assert!(!super::tests::csrf().is_valid(&token, &cookie, Some("s")));
    }

    #[test]
    fn no_two_tokens_look_alike() {
        let (csrf, cookie) = (csrf(), Csrf::cookie());
        assert_ne!(csrf.token(&cookie, None), csrf.token(&cookie, None));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(token in ".{0,120}", cookie in ".{0,80}") {
            csrf().is_valid(&token, &cookie, None);
        }
    }
}
