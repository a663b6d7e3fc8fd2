//! Sessions of browsers: a cookie instead of a password at each request. They are in the database, so that every
//! replica knows them, and end when they are idle for too long.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use db::session::{self, AtProvider, NewSession, Session};
use db::{Age, Db, binding};
use model::{Client, Clock, Event, Operation, Origin, PrincipalId, SessionId, Subject, Timestamp};
use policy::{Caller, Presented};
use tenancy::setting::Settings;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::login;
use crate::sender::Sender;

/// A session is renewed at most once in this time, so that few requests write.
const RENEWAL: Duration = Duration::from_secs(60);

/// Maximum length of a stored user agent, in characters.
const LONGEST_AGENT: usize = 255;

/// The key of a browser's session: 64 hexadecimal digits of random bytes. It is never printed, and only its hash is
/// stored.
#[derive(Clone)]
pub struct SessionKey(Zeroizing<String>);

/// The text is not a [`SessionKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session key has 64 hexadecimal digits")]
pub struct InvalidSessionKey;

impl SessionKey {
    /// A new key.
    pub fn random() -> Self {
        Self(Zeroizing::new(crate::random_hex::<32>()))
    }

    /// The text, for the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of it, which is stored.
    pub fn hash(&self) -> [u8; 32] {
        let hash = digest(&SHA256, self.0.as_bytes());
        hash.as_ref().try_into().expect("SHA-256 is 32 bytes")
    }
}

impl FromStr for SessionKey {
    type Err = InvalidSessionKey;

    fn from_str(text: &str) -> Result<Self, InvalidSessionKey> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let valid = text.len() == 64 && text.bytes().all(digit);
        let key = valid.then(|| Self(Zeroizing::new(text.to_owned())));
        key.ok_or(InvalidSessionKey)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(***)")
    }
}

/// Whether a request extends its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It does.
    Slide,
    /// It does not: a page that polls must not keep its session alive.
    Leave,
}

/// Begins, finds and ends sessions.
pub(crate) struct Sessions {
    db: Db,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
}

impl Sessions {
    /// Sessions that end after the idle time in the settings.
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>, settings: Arc<Settings>) -> Self {
        Self {
            db,
            clock,
            settings,
        }
    }

    /// How long a session lasts without a request.
    fn idle(&self) -> Duration {
        self.settings.current().session_idle()
    }

    /// Begins a session, always under a new key, and ends the one that the browser had.
    pub(crate) async fn begin(
        &self,
        (principal, generation, origin): (PrincipalId, i64, Origin),
        (had, oidc): (Option<&SessionKey>, Option<AtProvider>),
        sender: Sender<'_>,
    ) -> Result<SessionKey> {
        let (key, now) = (SessionKey::random(), self.clock.now());
        let new = NewSession {
            hash: key.hash(),
            principal,
            generation,
            address: sender.address.to_string(),
            agent: sender.agent.chars().take(LONGEST_AGENT).collect(),
            expires_at: now.plus(self.idle()),
            oidc,
        };
        let had = had.map(SessionKey::hash);
        let event = login::event(now, origin);
        let begun = self.db.write(move |tx| {
            Box::pin(async move {
                if let Some(had) = had {
                    session::end_by_hash(tx, &had).await?;
                }
                session::begin(tx, &new, now).await?;
                tx.record(&event).await
            })
        });
        begun.await?;
        Ok(key)
    }

    /// Whether a session is still valid by the present settings, which may be stricter than when it was renewed.
    fn lasts(&self, session: &Session, now: Timestamp) -> bool {
        let longest = self.settings.current().session_longest();
        session.renewed_at.plus(self.idle()) > now
            && longest.is_none_or(|longest| session.created_at.plus(longest) > now)
    }

    /// The caller of a session; `None` if it has ended.
    pub(crate) async fn caller(
        &self,
        key: &SessionKey,
        address: IpAddr,
        renewal: Renewal,
    ) -> Result<Option<Caller>> {
        let now = self.clock.now();
        let found = session::by_hash(&mut self.db.reader().await?, &key.hash(), now).await?;
        let Some(session) = found else {
            return Ok(None);
        };
        if !self.lasts(&session, now) {
            // So that it does not become valid again when the settings change.
            if let Err(error) = self.end_by_key(key).await {
                tracing::warn!(%error, "a session that is over cannot be ended");
            }
            return Ok(None);
        }
        let generation = Some(session.generation);
        let bound = binding::authority(&self.db, session.principal, generation, Age::Now).await?;
        let Some(authority) = bound else {
            return Ok(None);
        };
        let id = session.id;
        if renewal == Renewal::Slide
            && let Err(error) = self.renew(session, now).await
        {
            // A read-only database is still usable.
            tracing::warn!(%error, "a session cannot be renewed");
        }
        Ok(Some(Caller {
            authority,
            presented: Presented::Session(id),
            grants: None,
            address: Some(address),
            client: Client::at(Some(address)),
        }))
    }

    async fn renew(&self, session: Session, now: Timestamp) -> Result<()> {
        if now < session.renewed_at.plus(RENEWAL.min(self.idle() / 10)) {
            return Ok(());
        }
        let expires_at = now.plus(self.idle());
        let renewed = self.db.write(move |tx| {
            Box::pin(async move { session::renew(tx, &session, now, expires_at).await })
        });
        Ok(renewed.await?)
    }

    /// Ends the session of a key, if there is one.
    pub(crate) async fn end_by_key(&self, key: &SessionKey) -> Result<()> {
        let hash = key.hash();
        let ended = self
            .db
            .write(move |tx| Box::pin(async move { session::end_by_hash(tx, &hash).await }));
        Ok(ended.await?)
    }

    /// Ends a session of a principal. Returns whether it existed.
    pub(crate) async fn end(
        &self,
        (principal, origin): (PrincipalId, Origin),
        id: SessionId,
    ) -> Result<bool> {
        let user = Subject::User(origin.principal.name().to_owned());
        let event = Event::new(self.clock.now(), origin, Operation::Logout, user);
        let ended = self.db.write(move |tx| {
            Box::pin(async move {
                let ended = session::end(tx, principal, id).await?;
                if ended {
                    tx.record(&event).await?;
                }
                Ok::<_, db::Error>(ended)
            })
        });
        Ok(ended.await?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_valid_key_prints_back_unchanged(text in "[0-9a-f]{64}") {
            let key: SessionKey = text.parse().unwrap();
            prop_assert_eq!(key.expose(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = text.parse::<SessionKey>();
        }
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", SessionKey::random()), "SessionKey(***)");
    }
}
