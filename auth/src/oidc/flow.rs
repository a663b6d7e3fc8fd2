//! Signing in: to the provider, back from it, and choosing a name for a new person.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::oidc;
use db::session::AtProvider;
use model::{Origin, PrincipalId, Timestamp, UserName};
use serde::{Deserialize, Serialize};
use tenancy::directory::Admitted;
use tenancy::oidc::{Person, Profile, Vouched};
use tenancy::secret::{Secret, equal};
use tracing::instrument;

use super::claims::describe;
use super::error::{Error, Result};
use super::provider::{Claims, Provider, Tokens, encoded, words};
use super::token::IdToken;
use super::{Oidc, hash};

/// How long a sign-in may take.
pub const SIGN_IN: Duration = Duration::from_secs(600);
/// How long choosing a name may take.
pub const ONBOARDING: Duration = Duration::from_secs(600);
/// Purposes for sealing sign-ins, waiting people and ID tokens.
const BEGUN: &str = "oidc sign-in";
const WAITING: &str = "oidc onboarding";
const ID_TOKEN: &str = "oidc id token";
/// Bytes of the longest name of a session that is kept as it is.
const LONGEST_SID: usize = 255;
/// Maximum bytes of the path to which a sign-in leads.
const LONGEST_PATH: usize = 1_024;

/// A sign-in that has begun.
pub struct Begun {
    /// Where to send the browser.
    pub location: String,
    /// Which sign-in this is, among several of a browser.
    pub state: String,
    /// What the browser keeps, sealed.
    pub cookie: String,
}

/// The content of the browser's cookie.
#[derive(Serialize, Deserialize)]
struct Kept {
    state: String,
    nonce: String,
    verifier: String,
    /// The path to which the sign-in leads.
    path: String,
    /// The issuer with which it began.
    issuer: String,
    client: String,
    expires_at: i64,
}

/// The parameters of the provider's redirect.
#[derive(Default)]
pub struct Callback<'r> {
    /// The browser's cookie.
    pub cookie: Option<&'r str>,
    /// The state, which must match the cookie.
    pub state: Option<&'r str>,
    /// The code to exchange for tokens.
    pub code: Option<&'r str>,
    /// The issuer (RFC 9207).
    pub issuer: Option<&'r str>,
    /// Why the sign-in failed.
    pub error: Option<&'r str>,
}

/// The person of a sign-in.
pub struct SignedIn {
    /// Their id among principals.
    pub principal: PrincipalId,
    /// The principal's generation.
    pub generation: i64,
    /// The session at the provider.
    pub session: AtProvider,
    /// The sign-in, which the provider may have taken back.
    pub(crate) underway: Underway,
}

/// A sign-in that is under way.
pub(crate) struct Underway {
    /// Issuer and subject.
    pub(crate) subject: String,
    /// What the provider calls the session, after the issuer; empty if it does not say.
    pub(crate) sid: String,
    /// When it began.
    pub(crate) begun_at: Timestamp,
}

/// The result of a sign-in, and the path to which it leads.
pub enum Outcome {
    /// A person with an account.
    SignedIn(SignedIn, String),
    /// Somebody who needs a name.
    Unknown {
        /// The ticket that the browser sends with the chosen name.
        ticket: Secret,
        /// A name that may be free.
        suggestion: String,
        /// Where the sign-in leads.
        path: String,
    },
}

/// Somebody who needs a name.
#[derive(Serialize, Deserialize)]
struct Waiting {
    subject: String,
    realname: String,
    email: Option<String>,
    admin: bool,
    groups: Vec<String>,
    claims: Vec<(String, String)>,
    refresh_token: Option<String>,
    sid: String,
    id_token: String,
    begun_at: i64,
}

/// A person who has signed in at the provider.
pub(super) struct Proved {
    pub(super) vouched: Vouched,
    name: String,
    sid: String,
    id_token: Secret,
    begun_at: Timestamp,
}

impl Proved {
    fn underway(&self) -> Underway {
        Underway {
            subject: self.vouched.person.subject.clone(),
            sid: self.sid.clone(),
            begun_at: self.begun_at,
        }
    }
}

impl Oidc {
    /// Begins a sign-in that finally leads to a path of this server.
    ///
    /// # Errors
    /// When the provider's configuration cannot be read.
    #[instrument(name = "auth.oidc.begin", level = "debug", skip_all)]
    pub async fn begin(&self, path: &str) -> Result<Begun> {
        let provider = self.provider()?;
        let (config, metadata) = (provider.config(), provider.metadata().await?);
        let [state, nonce, verifier] = [(); 3].map(|()| crate::random_hex::<32>());
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let redirect = config.redirect_uri();
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &*config.client_id),
            ("redirect_uri", &*redirect),
            ("scope", &*config.scope),
            ("state", &*state),
            ("nonce", &*nonce),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
        ];
        // They add parameters but replace none.
        let own: Vec<&str> = query.iter().map(|(name, _)| *name).collect();
        let further = config.parameters.iter();
        let further = further.filter(|(name, _)| !own.contains(&&**name));
        query.extend(further.map(|(name, value)| (&**name, &**value)));
        let endpoint = &metadata.authorization_endpoint;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        let location = format!("{endpoint}{joint}{}", encoded(&query));
        let kept = Kept {
            path: path.to_owned(),
            issuer: metadata.issuer.clone(),
            client: config.client_id.clone(),
            expires_at: self.clock.now().plus(SIGN_IN).0,
            state,
            nonce,
            verifier,
        };
        let json = serde_json::to_vec(&kept).expect("it is text and numbers");
        let sealed = self.master.seal(BEGUN, &json, b"");
        let sealed = sealed.map_err(tenancy::Error::from)?;
        Ok(Begun {
            location,
            state: kept.state,
            cookie: URL_SAFE_NO_PAD.encode(sealed),
        })
    }

    /// Completes a sign-in: exchanges the code and identifies the person.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::Refused`], [`Error::Token`], [`Error::Account`] for a name that is taken; when the
    /// provider cannot be asked.
    #[instrument(name = "auth.oidc.finish", level = "debug", skip_all)]
    pub async fn finish(&self, callback: Callback<'_>, by: Origin) -> Result<Outcome> {
        let provider = self.provider()?;
        let kept = self.opened(&callback)?;
        let now = self.clock.now();
        let metadata = provider.metadata().await?;
        // Begun with another provider, but answered by this one.
        if kept.issuer != metadata.issuer || kept.client != provider.config().client_id {
            return Err(Error::State);
        }
        let names_issuer = metadata.authorization_response_iss_parameter_supported;
        match callback.issuer {
            Some(issuer) if issuer != metadata.issuer => {
                return Err(Error::Token("the answer is of another issuer"));
            }
            None if names_issuer => {
                return Err(Error::Token(
                    "the answer does not say of which issuer it is",
                ));
            }
            _ => {}
        }
        self.spend(hash(&["state", &kept.state]), now.plus(SIGN_IN))
            .await?;
        if let Some(error) = callback.error {
            return Err(Error::Refused(words(error)));
        }
        let code = callback.code.ok_or(Error::State)?;
        let tokens = provider.exchange(code, &kept.verifier).await?;
        let begun_at = Timestamp(kept.expires_at).minus(SIGN_IN);
        let proved = prove(&provider, tokens, (&kept.nonce, begun_at), now).await?;
        self.admit(&provider, proved, kept.path, (by, now)).await
    }

    /// The content of the browser's cookie, if the callback belongs to it.
    fn opened(&self, callback: &Callback<'_>) -> Result<Kept> {
        let sealed = callback
            .cookie
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let opened = sealed.and_then(|sealed| self.master.open(BEGUN, &sealed, b"").ok());
        let kept: Option<Kept> = opened.and_then(|json| serde_json::from_slice(&json).ok());
        let kept = kept.ok_or(Error::State)?;
        let state = callback.state.unwrap_or_default();
        let is_ours = equal(state.as_bytes(), kept.state.as_bytes());
        match is_ours && self.clock.now().0 < kept.expires_at {
            true => Ok(kept),
            false => Err(Error::State),
        }
    }

    /// Records the use of a single-use ticket.
    pub(super) async fn spend(&self, hash: [u8; 32], until: Timestamp) -> Result<()> {
        let spent = self
            .db
            .write(move |tx| Box::pin(async move { oidc::spend(tx, &hash, until).await }));
        match spent.await? {
            true => Ok(()),
            false => Err(Error::State),
        }
    }

    async fn admit(
        &self,
        provider: &Provider,
        proved: Proved,
        path: String,
        (by, now): (Origin, Timestamp),
    ) -> Result<Outcome> {
        if let Some(admitted) = self.accounts.admit(&proved.vouched, now).await? {
            let signed_in =
                self.signed_in(admitted, proved.underway(), proved.id_token.expose())?;
            return Ok(Outcome::SignedIn(signed_in, path));
        }
        if provider.config().auto_onboard {
            let name: UserName = proved.name.parse().map_err(tenancy::Error::NameInvalid)?;
            let new = (&proved.vouched, &name);
            let admitted = self.accounts.onboard(new, None, (by, now)).await?;
            let signed_in =
                self.signed_in(admitted, proved.underway(), proved.id_token.expose())?;
            return Ok(Outcome::SignedIn(signed_in, path));
        }
        self.wait_for_name(proved, path, now).await
    }

    fn signed_in(
        &self,
        admitted: Admitted,
        underway: Underway,
        id_token: &str,
    ) -> Result<SignedIn> {
        let context = admitted.principal.0.to_be_bytes();
        let sealed = self.master.seal(ID_TOKEN, id_token.as_bytes(), &context);
        Ok(SignedIn {
            principal: admitted.principal,
            generation: admitted.generation,
            session: AtProvider {
                sid: underway.sid.clone(),
                id_token: sealed.map_err(tenancy::Error::from)?,
            },
            underway,
        })
    }

    /// The ID token of a session.
    pub(super) fn opened_id_token(&self, principal: PrincipalId, sealed: &[u8]) -> Option<Secret> {
        let context = principal.0.to_be_bytes();
        let opened = self.master.open(ID_TOKEN, sealed, &context).ok()?;
        Some(Secret::new(std::str::from_utf8(&opened).ok()?.to_owned()))
    }

    async fn wait_for_name(&self, proved: Proved, path: String, now: Timestamp) -> Result<Outcome> {
        let Proved {
            vouched,
            name,
            sid,
            id_token,
            begun_at,
        } = proved;
        let Vouched {
            person,
            refresh_token,
            ..
        } = vouched;
        let profile = person.profile.unwrap_or_default();
        let waiting = Waiting {
            subject: person.subject,
            realname: profile.realname,
            email: profile.email,
            admin: person.admin,
            groups: person.groups.unwrap_or_default(),
            claims: person.claims,
            refresh_token: refresh_token.map(|token| token.expose().to_owned()),
            sid,
            id_token: id_token.expose().to_owned(),
            begun_at: begun_at.0,
        };
        let json = serde_json::to_vec(&waiting).expect("it is text");
        let ticket = Secret::new(crate::random_hex::<32>());
        let hash = hash(&["ticket", ticket.expose()]);
        let sealed = self.master.seal(WAITING, &json, &hash);
        let sealed = sealed.map_err(tenancy::Error::from)?;
        let until = now.plus(ONBOARDING);
        self.db
            .write(move |tx| Box::pin(async move { oidc::keep(tx, (&hash, &sealed), until).await }))
            .await?;
        Ok(Outcome::Unknown {
            ticket,
            suggestion: name,
            path,
        })
    }

    /// Gives a person with a ticket an account with this name.
    ///
    /// # Errors
    /// [`Error::State`]; [`Error::Account`] for a name that is taken, after which another may be chosen.
    pub async fn onboard(&self, ticket: &str, name: &UserName, by: Origin) -> Result<SignedIn> {
        let (hash, now) = (hash(&["ticket", ticket]), self.clock.now());
        let found = oidc::kept(&mut self.db.reader().await?, &hash, now).await?;
        let opened = found.and_then(|sealed| self.master.open(WAITING, &sealed, &hash).ok());
        let waiting: Option<Waiting> = opened.and_then(|json| serde_json::from_slice(&json).ok());
        let waiting = waiting.ok_or(Error::State)?;
        let vouched = Vouched {
            person: Person {
                subject: waiting.subject,
                profile: Some(Profile {
                    realname: waiting.realname,
                    email: waiting.email,
                }),
                admin: waiting.admin,
                groups: Some(waiting.groups),
                claims: waiting.claims,
            },
            refresh_token: waiting.refresh_token.map(Secret::new),
            asked_with: None,
        };
        let underway = Underway {
            subject: vouched.person.subject.clone(),
            sid: waiting.sid,
            begun_at: Timestamp(waiting.begun_at),
        };
        let new = (&vouched, name);
        let admitted = self.accounts.onboard(new, Some(hash), (by, now)).await?;
        self.signed_in(admitted, underway, &waiting.id_token)
    }
}

/// The person whose tokens were exchanged for a code.
async fn prove(
    provider: &Provider,
    tokens: Tokens,
    (nonce, begun_at): (&str, Timestamp),
    now: Timestamp,
) -> Result<Proved> {
    let text = tokens
        .id_token
        .ok_or(Error::Token("there is no ID token"))?;
    let token = provider.id_token(text.expose(), Some(nonce), now).await?;
    let userinfo = userinfo(provider, tokens.access_token.as_ref()).await?;
    let described = describe(provider.config(), &token, userinfo.as_ref())?;
    Ok(Proved {
        vouched: Vouched {
            person: described.person,
            refresh_token: tokens.refresh_token,
            asked_with: None,
        },
        name: described.name,
        sid: sid(&token),
        id_token: text,
        begun_at,
    })
}

/// The answer of the userinfo endpoint, if there is one and a token for it.
pub(super) async fn userinfo(
    provider: &Provider,
    access_token: Option<&Secret>,
) -> Result<Option<Claims>> {
    match access_token {
        Some(token) => provider.userinfo(token).await,
        None => Ok(None),
    }
}

/// The issuer and the provider's session id: two providers may use the same id.
pub(super) fn sid(token: &IdToken) -> String {
    let sid = token.claims.get("sid").and_then(|sid| sid.as_str());
    let sid = sid.filter(|sid| !sid.is_empty());
    sid.map_or_else(String::new, |sid| name_of_session(&token.issuer, sid))
}

/// What an issuer calls a session, after the issuer; a name that is too long to keep stands as its hash.
pub(super) fn name_of_session(issuer: &str, sid: &str) -> String {
    match sid.len() <= LONGEST_SID {
        true => format!("{issuer} {sid}"),
        false => format!("{issuer} {}", hex::encode(hash(&["sid", sid]))),
    }
}

/// True for a path of this server, and not for anything that a browser would take for another server's address.
pub fn is_local_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= LONGEST_PATH
        && text
            .bytes()
            .all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_nowhere_else() {
        for good in ["/", "/ui/projects?q=a%20b#x", "/harbor/projects/1"] {
            assert!(is_local_path(good), "{good}");
        }
        for bad in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "/\t/evil.example",
            "/a\r\nLocation: x",
            "javascript:alert(1)",
            "ui",
            "/ä",
        ] {
            assert!(!is_local_path(bad), "{bad:?}");
        }
    }
}
