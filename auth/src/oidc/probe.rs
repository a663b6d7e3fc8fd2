//! Testing a provider step by step: what works, what does not, and what to do about it.

use super::config::Config;
use super::error::{Error, Result};
use super::provider::Provider;

/// A step of the test.
#[derive(Debug)]
pub struct Step {
    /// What was tested.
    pub what: &'static str,
    /// The result.
    pub finding: Finding,
}

/// The result of a step.
#[derive(Debug)]
pub enum Finding {
    /// It worked, with further information.
    Good(String),
    /// It failed, for this reason.
    Bad(Error),
    /// It works, but something should be improved.
    Poor(&'static str),
}

impl Step {
    /// What to do, if it failed.
    pub fn advice(&self) -> Option<&'static str> {
        let Finding::Bad(error) = &self.finding else {
            return None;
        };
        Some(match error {
            Error::NotConfigured => "set oidc_endpoint, oidc_client_id and external_url",
            Error::Settings(_) => "correct the setting",
            Error::Unreachable(outgoing::Error::Forbidden(_)) => {
                "name the network of the provider in [outgoing] allow, if it is right that it is there"
            }
            Error::Unreachable(outgoing::Error::Handshake(_)) => {
                "give the certificate of the provider's CA as oidc_ca_certificate, and a name in oidc_endpoint that stands in its certificate"
            }
            Error::Unreachable(outgoing::Error::Timeout) => {
                "raise oidc_timeout, or find out why the provider is slow"
            }
            Error::Unreachable(_) => "check host and port of oidc_endpoint, and the firewall",
            Error::Client(_) => {
                "correct oidc_client_id and oidc_client_secret, and let the client use the authorization code flow"
            }
            Error::Protocol(_) | Error::Token(_) => {
                "set oidc_endpoint to the issuer, below which the provider has /.well-known/openid-configuration"
            }
            Error::Refused(_) | Error::State | Error::Ended(_) | Error::Busy | Error::Down => {
                "look into the provider's log"
            }
            Error::Account(_) | Error::Database(_) => "look into the server's log",
        })
    }
}

/// Tests a provider's configuration, its keys, and the client's id and secret.
pub async fn probe(provider: &Provider) -> Vec<Step> {
    let mut steps = Vec::new();
    let metadata = provider.read_metadata().await;
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) => {
            steps.push(bad("read the provider's configuration", error));
            return steps;
        }
    };
    let issuer = format!("issuer {}", metadata.issuer);
    steps.push(good("read the provider's configuration", issuer));
    steps.push(match provider.read_keys().await {
        Ok(keys) if keys.is_empty() => {
            let none = Error::Protocol("there is no key for signatures among its keys".to_owned());
            bad("read the provider's keys", none)
        }
        Ok(keys) => good(
            "read the provider's keys",
            format!("{} for signatures", keys.len()),
        ),
        Err(error) => bad("read the provider's keys", error),
    });
    steps.push(match client(provider).await {
        Ok(()) => good(
            "show the client's id and secret",
            "the provider takes them".to_owned(),
        ),
        Err(error) => bad("show the client's id and secret", error),
    });
    let config = provider.config();
    steps.push(match config.scope.split(' ').any(|it| it == "offline_access") {
        true => good("ask for what is needed", config.scope.clone()),
        false => poor(
            "ask for what is needed",
            "without offline_access in oidc_scope many providers give no refresh token: nobody can then be asked about again, and CLI secrets work for oidc_outage_secs after a sign-in alone",
        ),
    });
    let known = &metadata.scopes_supported;
    let is_known = |scope: &str| known.is_empty() || known.iter().any(|it| it == scope);
    if !config.scope.split(' ').all(is_known) {
        steps.push(poor(
            "ask for what is needed",
            "the provider does not say that it knows all scopes of oidc_scope",
        ));
    }
    let methods = &metadata.code_challenge_methods_supported;
    if !methods.is_empty() && !methods.iter().any(|it| it == "S256") {
        steps.push(poor(
            "protect codes by PKCE",
            "the provider does not say that it knows S256",
        ));
    }
    if metadata.end_session_endpoint.is_none() && config.logout {
        steps.push(poor(
            "sign out at the provider",
            "oidc_logout is on, and the provider has no end_session_endpoint",
        ));
    }
    steps.push(match metadata.backchannel_logout_supported {
        true => good(
            "be told of sign-outs",
            format!(
                "register {} as backchannel_logout_uri",
                back_channel(config)
            ),
        ),
        false => poor(
            "be told of sign-outs",
            "the provider does not say that it tells of them by back-channel logout",
        ),
    });
    steps
}

/// The address for back-channel logout.
fn back_channel(config: &Config) -> String {
    format!("{}/api/ext/v1/oidc/backchannel_logout", config.external_url)
}

/// Whether the provider accepts the client's id and secret: given an invalid code, it then refuses only the code.
async fn client(provider: &Provider) -> Result<()> {
    match provider.exchange("none", &crate::random_hex::<32>()).await {
        Ok(_) | Err(Error::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn good(what: &'static str, note: String) -> Step {
    let finding = Finding::Good(note);
    Step { what, finding }
}

fn bad(what: &'static str, error: Error) -> Step {
    let finding = Finding::Bad(error);
    Step { what, finding }
}

fn poor(what: &'static str, note: &'static str) -> Step {
    let finding = Finding::Poor(note);
    Step { what, finding }
}
