//! Secrets of robots. A random one has 190 bits and cannot be found from its hash, even a fast one, so SHA-256 is
//! enough, and a program that signs in for each request costs microseconds. A chosen one is hashed like a password.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::password::{NewPassword, PasswordError, PasswordHasher};
use crate::secret::equal;

/// Characters of a random secret.
const LENGTH: usize = 32;
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Prefix of the stored hash of a random secret; that of a chosen one begins with `$argon2id`.
const RANDOM: &str = "sha256:";

/// The secret of a robot, which is shown once. It does not print.
#[derive(Clone, Debug)]
pub enum RobotSecret {
    /// A random one.
    Random(NewPassword),
    /// A chosen one.
    Chosen(NewPassword),
}

impl RobotSecret {
    /// A new random one, which follows the rules for passwords.
    ///
    /// # Errors
    /// [`PasswordError::Random`].
    pub fn random() -> Result<Self, PasswordError> {
        random_password().map(Self::Random)
    }

    /// The text, for its owner.
    pub fn expose(&self) -> &str {
        match self {
            Self::Random(secret) | Self::Chosen(secret) => secret.expose(),
        }
    }

    /// The hash to store.
    pub(super) async fn hash(&self, hasher: &PasswordHasher) -> Result<String, PasswordError> {
        match self {
            Self::Random(secret) => Ok(hash_random(secret.expose())),
            Self::Chosen(secret) => hasher.hash(secret).await,
        }
    }
}

/// A random text that follows the rules for passwords.
///
/// # Errors
/// [`PasswordError::Random`].
pub(crate) fn random_password() -> Result<NewPassword, PasswordError> {
    loop {
        // About one in a few hundred lacks a digit.
        if let Ok(secret) = NewPassword::try_from(random_text()?) {
            return Ok(secret);
        }
    }
}

fn random_text() -> Result<String, PasswordError> {
    let mut text = String::with_capacity(LENGTH);
    let mut bytes = Zeroizing::new([0; LENGTH]);
    while text.len() < LENGTH {
        rand::fill(&mut *bytes).map_err(|_| PasswordError::Random)?;
        // Each letter as likely as any other: 248 is four times 62.
        let even = bytes.iter().filter(|byte| **byte < 248);
        let letters = even.map(|byte| char::from(LETTERS[usize::from(byte % 62)]));
        text.extend(letters.take(LENGTH - text.len()));
    }
    Ok(text)
}

fn hash_random(secret: &str) -> String {
    let hash = digest(&SHA256, secret.as_bytes());
    format!("{RANDOM}{}", hex::encode(hash))
}

/// Whether a stored hash is of a chosen secret, which takes a slow hash to check.
pub fn is_chosen(stored: &str) -> bool {
    !stored.starts_with(RANDOM)
}

/// Whether a secret is the stored one, if that is a random one; `None` for a chosen one, which takes a slow hash.
pub fn is_random_one(stored: &str, secret: &str) -> Option<bool> {
    (!is_chosen(stored)).then(|| equal(stored.as_bytes(), hash_random(secret).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_random_secret_is_known_by_its_hash_alone() {
        let (one, other) = (
            RobotSecret::random().unwrap(),
            RobotSecret::random().unwrap(),
        );
        assert_eq!(one.expose().len(), LENGTH);
        assert_ne!(one.expose(), other.expose());
        let stored = one.hash(&PasswordHasher::new()).await.unwrap();
        assert!(!stored.contains(one.expose()));
        assert_eq!(is_random_one(&stored, one.expose()), Some(true));
        assert_eq!(is_random_one(&stored, other.expose()), Some(false));
        assert_eq!(is_random_one(&stored, &stored), Some(false));
    }

    #[tokio::test]
    async fn a_chosen_secret_is_hashed_like_a_password() {
        let chosen = NewPassword::try_from("Secret00Secret".to_owned()).unwrap();
        let hasher = PasswordHasher::new();
        let stored = RobotSecret::Chosen(chosen).hash(&hasher).await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert_eq!(is_random_one(&stored, "Secret00Secret"), None);
    }
}
