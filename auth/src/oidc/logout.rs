//! Signing out: at the provider too when somebody signs out here, and here when the provider requests it.

use std::time::Duration;

use db::identity::{self, OIDC};
use db::{oidc, session};
use model::{Event, Operation, Origin, PrincipalId, Subject, Timestamp};
use policy::Caller;
use tenancy::secret::Secret;
use tracing::instrument;

use super::bearer::LONGEST_AGE;
use super::error::{Error, Result};
use super::flow::{ONBOARDING, SIGN_IN, Underway, name_of_session};
use super::provider::encoded;
use super::{Oidc, hash};

/// How long a used logout token is remembered: longer than one is valid.
const REMEMBERED: Duration = Duration::from_secs(900);

/// How long it is remembered that somebody was signed out: as long as an ID token of before is taken, and longer than a
/// sign-in takes that was under way.
const SIGNED_OUT_FOR: Duration = LONGEST_AGE;
const _: () = assert!(SIGNED_OUT_FOR.as_secs() > SIGN_IN.as_secs() + ONBOARDING.as_secs());

/// Where browsers go after signing out. The path is Harbor's.
const SIGNED_OUT: &str = "/account/sign-in";

impl Oidc {
    /// Whether the session of a hash began with the provider.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_session_of_provider(&self, hash: &[u8; 32]) -> Result<bool> {
        let mut reader = self.db.reader().await?;
        let token = session::id_token(&mut reader, hash, self.clock.now()).await?;
        Ok(token.is_some())
    }

    /// The ID token of the caller's session, which the hash names, if signing out leads to the provider: if the settings say
    /// so and the session began with it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn id_token(&self, caller: &Caller, hash: &[u8; 32]) -> Result<Option<Secret>> {
        let leads_there = self.provider().is_ok_and(|it| it.config().logout);
        if !leads_there {
            return Ok(None);
        }
        let mut reader = self.db.reader().await?;
        let sealed = session::id_token(&mut reader, hash, self.clock.now()).await?;
        let owned = caller.id().zip(sealed);
        Ok(owned.and_then(|(principal, sealed)| self.opened_id_token(principal, &sealed)))
    }

    /// Where a browser goes that has signed out: to the provider, to sign out there too, with the ID token of the session.
    /// To the page for signing in where the provider cannot be asked: people can always sign out.
    #[instrument(name = "auth.oidc.end_session", level = "debug", skip_all)]
    pub async fn after_sign_out(&self, id_token: &Secret) -> String {
        let here = || SIGNED_OUT.to_owned();
        let Ok(provider) = self.provider() else {
            return here();
        };
        let config = provider.config();
        let endpoint = match provider.metadata().await {
            Ok(metadata) => metadata.end_session_endpoint.clone(),
            Err(error) => {
                let cause = error.chain();
                tracing::warn!(cause, "somebody is not signed out at the OIDC provider");
                None
            }
        };
        // The browser is sent there, so it must be a page's address.
        let is_page = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        let Some(endpoint) = endpoint.filter(is_page) else {
            return here();
        };
        let back = format!("{}{SIGNED_OUT}", config.external_url);
        let query = encoded(&[
            ("id_token_hint", id_token.expose()),
            ("client_id", &config.client_id),
            ("post_logout_redirect_uri", &back),
        ]);
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        format!("{endpoint}{joint}{query}")
    }

    /// Ends the sessions that a logout token of the provider names, once; returns how many people had one.
    ///
    /// # Errors
    /// [`Error::Token`]; when the provider's keys or the database cannot be read.
    #[instrument(name = "auth.oidc.back_channel", level = "debug", skip_all)]
    pub async fn end_by_provider(&self, token: &str, by: Origin) -> Result<usize> {
        let (provider, now) = (self.provider()?, self.clock.now());
        let logout = provider.logout_token(token, now).await?;
        let used = hash(&["logout", &logout.issuer, &logout.id]);
        let subject = logout.subject.map(|it| format!("{} {it}", logout.issuer));
        let sid = logout.sid.map(|it| name_of_session(&logout.issuer, &it));
        let mut reader = self.db.reader().await?;
        if oidc::marked(&mut reader, &used).await?.is_some() {
            return Err(Error::Token("it was used already"));
        }
        drop(reader);
        // In a transaction before the other, so that a session either begins before that, and ends, or finds this.
        self.mark_signed_out(subject.as_deref(), sid.as_deref(), now)
            .await?;
        let ended = self.db.write(move |tx| {
            Box::pin(async move {
                if !oidc::spend(tx, &used, now.plus(REMEMBERED)).await? {
                    return Ok(None);
                }
                let known = match &subject {
                    Some(subject) => identity::by_subject(tx, OIDC, subject).await?,
                    None => None,
                };
                let mut ended: Vec<PrincipalId> = match (&known, &sid) {
                    // A person without an account here.
                    (None, _) if subject.is_some() => Vec::new(),
                    (known, Some(sid)) => {
                        let principal = known.as_ref().map(|it| it.principal);
                        session::end_at_provider(tx, sid, principal).await?
                    }
                    (Some(known), None) => {
                        match session::end_all_at_provider(tx, known.principal).await? {
                            0 => Vec::new(),
                            _ => vec![known.principal],
                        }
                    }
                    (None, None) => Vec::new(),
                };
                ended.sort_unstable();
                ended.dedup();
                for principal in &ended {
                    let known = identity::of_principal(tx, OIDC, *principal).await?;
                    let Some(known) = known else { continue };
                    if sid.is_some() {
                        // The logout token need not have said whose session it is.
                        let mark = mark_of_one(&known.subject);
                        oidc::mark(tx, &mark, now.plus(SIGNED_OUT_FOR)).await?;
                    }
                    let user = Subject::User(known.name);
                    let event = Event::new(now, by.clone(), Operation::Logout, user);
                    tx.record(&event.with_detail("by the OIDC provider"))
                        .await?;
                }
                Ok::<_, db::Error>(Some(ended.len()))
            })
        });
        ended.await?.ok_or(Error::Token("it was used already"))
    }

    /// Notes whom the provider signs out, for sign-ins that are under way and for ID tokens of before.
    async fn mark_signed_out(
        &self,
        subject: Option<&str>,
        sid: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        // A session's name says more than a person's, who may have others.
        let marks = match (sid, subject) {
            (Some(sid), subject) => [Some(mark_of(sid)), subject.map(mark_of_one)],
            (None, subject) => [subject.map(mark_of), None],
        };
        let until = now.plus(SIGNED_OUT_FOR);
        let marked = self.db.write(move |tx| {
            Box::pin(async move {
                for mark in marks.iter().flatten() {
                    oidc::mark(tx, mark, until).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        Ok(marked.await?)
    }

    /// True if the provider signed somebody out after they had begun to sign in, or after their ID token was issued. To be
    /// asked when their session has begun.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn is_signed_out(&self, sign_in: &Underway) -> db::Result<bool> {
        let mut reader = self.db.reader().await?;
        // What does not say of which session it is may be of any that was ended.
        let session = match sign_in.sid.is_empty() {
            true => mark_of_one(&sign_in.subject),
            false => mark_of(&sign_in.sid),
        };
        for mark in [session, mark_of(&sign_in.subject)] {
            let until = oidc::marked(&mut reader, &mark).await?;
            if until.is_some_and(|until| sign_in.begun_at.plus(SIGNED_OUT_FOR) <= until) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What stands for somebody, or for a session at the provider, who was signed out.
fn mark_of(name: &str) -> [u8; 32] {
    hash(&["signed out", name])
}

/// What stands for somebody of whose sessions one was ended.
fn mark_of_one(subject: &str) -> [u8; 32] {
    hash(&["one signed out", subject])
}
