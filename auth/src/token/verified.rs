//! A cache of tokens with a verified signature: most requests present one of them.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use policy::{Action, Grant, Grants};
use time::OffsetDateTime;

use super::{Access, Claims, LONGEST_TOKEN, TokenError, TokenKeys};

/// Approximate size of the cache in bytes: about 20,000 tokens of the usual size.
const LARGEST: u64 = 16 << 20;

/// Weight of an entry besides its token's length.
const OVERHEAD: usize = 256;

/// A bounded cache of verified tokens, by the SHA-256 of their text.
pub struct VerifiedTokens(Cache<[u8; 32], Arc<VerifiedToken>>);

/// A token with a verified signature.
#[derive(Debug)]
pub struct VerifiedToken {
    claims: Claims,
    grants: Arc<Grants>,
}

impl VerifiedToken {
    /// Its claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What it allows.
    pub fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }
}

impl VerifiedTokens {
    /// An empty cache.
    pub fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(LARGEST)
            .weigher(|_, token: &Arc<VerifiedToken>| weight(&token.claims));
        Self(cache.build())
    }

    /// Checks a token like [`TokenKeys::verify`], but the signature only the first time.
    ///
    /// # Errors
    ///
    /// Why the token is refused; a cached one too, once it has expired.
    pub fn verify(
        &self,
        keys: &TokenKeys,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Arc<VerifiedToken>, TokenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Oversized);
        }
        let key = name(token);
        if let Some(token) = self.0.get(&key) {
            return match token.claims.check_time(now) {
                Ok(()) => Ok(token),
                Err(error) => {
                    self.0.invalidate(&key);
                    Err(error)
                }
            };
        }
        let claims = keys.verify(token, now)?;
        let grants = grants(&claims.access);
        let token = Arc::new(VerifiedToken { claims, grants });
        self.0.insert(key, Arc::clone(&token));
        Ok(token)
    }

    /// Clears the cache, as when a key is withdrawn.
    pub fn clear(&self) {
        self.0.invalidate_all();
    }
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedTokens")
            .field(&self.0.entry_count())
            .finish()
    }
}

/// What a token's `access` claim allows, read into policy's terms.
fn grants(access: &[Access]) -> Arc<Grants> {
    let repository = |access: &Access| {
        let repository = access
            .name
            .parse()
            .ok()
            .filter(|_| access.kind == "repository")?;
        let has = |action: Action| access.actions.iter().any(|name| name == action.name());
        Some(Grant {
            repository,
            pull: has(Action::Pull),
            push: has(Action::Push),
            delete: has(Action::Delete),
        })
    };
    let catalog = |access: &Access| {
        access.kind == "registry" && access.name == "catalog" && access.actions == ["*"]
    };
    Arc::new(Grants {
        repositories: access.iter().filter_map(repository).collect(),
        catalog: access.iter().any(catalog),
    })
}

fn name(token: &str) -> [u8; 32] {
    digest(&SHA256, token.as_bytes())
        .as_ref()
        .try_into()
        .expect("SHA-256 is 32 bytes")
}

fn weight(claims: &Claims) -> u32 {
    let lists = claims.access.iter().map(|access| {
        let actions = access
            .actions
            .iter()
            .map(|action| action.len() + size_of::<String>());
        size_of_val(access) + access.kind.len() + access.name.len() + actions.sum::<usize>()
    });
    let bytes = OVERHEAD + claims.sub.len() + claims.jti.len() + lists.sum::<usize>();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
