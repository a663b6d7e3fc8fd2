//! Signing out: at the provider too when somebody signs out here, and here when the provider requests it.

use std::time::Duration;

use db::identity::{self, OIDC};
use db::session;
use model::{Event, Operation, Origin, PrincipalId, Subject};
use policy::Caller;
use tracing::instrument;

use super::error::{Error, Result};
use super::provider::encoded;
use super::{Oidc, hash};

/// How long a used logout token is remembered: longer than one is valid.
const REMEMBERED: Duration = Duration::from_secs(900);

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

    /// Where to send a browser that signs out: to the provider, to sign out there too, if the settings say so and the
    /// session began with it; otherwise to the sign-in page. Call this before ending the session, which the hash names.
    ///
    /// # Errors
    /// When the database cannot be read. If the provider cannot be asked, that is not an error: people can always sign
    /// out.
    #[instrument(name = "auth.oidc.end_session", level = "debug", skip_all)]
    pub async fn after_sign_out(&self, caller: &Caller, hash: &[u8; 32]) -> Result<String> {
        let here = || SIGNED_OUT.to_owned();
        let Ok(provider) = self.provider() else {
            return Ok(here());
        };
        let mut reader = self.db.reader().await?;
        let sealed = session::id_token(&mut reader, hash, self.clock.now()).await?;
        drop(reader);
        let opened = caller
            .id()
            .zip(sealed)
            .and_then(|(principal, sealed)| self.opened_id_token(principal, &sealed));
        let config = provider.config();
        let Some(id_token) = opened.filter(|_| config.logout) else {
            return Ok(here());
        };
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
            return Ok(here());
        };
        let back = format!("{}{SIGNED_OUT}", config.external_url);
        let query = encoded(&[
            ("id_token_hint", &id_token),
            ("client_id", &config.client_id),
            ("post_logout_redirect_uri", &back),
        ]);
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{joint}{query}"))
    }

    /// Ends the sessions that a logout token of the provider names, once; returns how many people had one.
    ///
    /// # Errors
    /// [`Error::Token`]; when the provider's keys or the database cannot be read.
    #[instrument(name = "auth.oidc.back_channel", level = "debug", skip_all)]
    pub async fn end_by_provider(&self, token: &str, by: Origin) -> Result<usize> {
        let (provider, now) = (self.provider()?, self.clock.now());
        let logout = provider.logout_token(token, now).await?;
        let used = self.spend(
            hash(&["logout", &logout.issuer, &logout.id]),
            now.plus(REMEMBERED),
        );
        used.await.map_err(|error| match error {
            Error::State => Error::Token("it was used already"),
            other => other,
        })?;
        let subject = logout.subject.map(|it| format!("{} {it}", logout.issuer));
        let sid = logout.sid.map(|it| format!("{} {it}", logout.issuer));
        let ended = self.db.write(move |tx| {
            Box::pin(async move {
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
                    let user = Subject::User(known.name);
                    let event = Event::new(now, by.clone(), Operation::Logout, user);
                    tx.record(&event.with_detail("by the OIDC provider"))
                        .await?;
                }
                Ok::<_, db::Error>(ended.len())
            })
        });
        Ok(ended.await?)
    }
}
