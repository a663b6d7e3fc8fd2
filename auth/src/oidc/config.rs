//! A provider's settings in the form in which they are used.

use std::time::Duration;

use outgoing::Trust;
use tenancy::secret::Secret;
use tenancy::setting::{Declaration, Settings, Values};

use super::error::{Error, Result};
use crate::ldap::seconds;

/// The default scopes: the last one gives a refresh token.
const SCOPES: &str = "openid,profile,email,offline_access";
/// The issuer that asks for refresh tokens in another way.
const GOOGLE: &str = "https://accounts.google.com";

/// A provider's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Its display name.
    pub name: String,
    /// Its issuer, without a trailing slash.
    pub(super) endpoint: String,
    /// Who named the endpoint.
    pub(super) trust: Trust,
    pub(super) verify: bool,
    pub(super) authorities: Option<String>,
    pub(super) timeout: Duration,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    /// Separated by spaces.
    pub(super) scope: String,
    pub(super) user_claim: String,
    pub(super) groups_claim: String,
    pub(super) group_filter: String,
    pub(super) admin_group: String,
    /// Whether accounts are made without asking for a name.
    pub auto_onboard: bool,
    /// Whether signing out here signs out there.
    pub logout: bool,
    pub(super) parameters: Vec<(String, String)>,
    /// This server's address, `https://HOST[:PORT]`.
    pub external_url: String,
}

impl Config {
    /// The configured provider.
    ///
    /// # Errors
    /// [`Error::NotConfigured`], [`Error::Settings`].
    pub fn of(settings: &Settings) -> Result<Self> {
        let values = settings.current();
        if !values.has_provider() {
            return Err(Error::NotConfigured);
        }
        let declared = Declaration::named("oidc_endpoint");
        let trust = match declared.is_ok_and(|declared| settings.is_fixed(declared)) {
            true => Trust::Trusted,
            false => Trust::Guarded,
        };
        Self::from_values(&values, trust)
    }

    /// The claim that is the name of accounts.
    pub fn name_claim(&self) -> &str {
        &self.user_claim
    }

    /// The provider with these values, regardless of the stored ones.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn from_values(values: &Values, trust: Trust) -> Result<Self> {
        let or = |text: &str, other: &str| match text {
            "" => other.to_owned(),
            _ => text.to_owned(),
        };
        let parameters = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(
            &values.oidc_extra_redirect_parms,
        );
        let parameters = parameters
            .map_err(|_| Error::Settings("oidc_extra_redirect_parms is no JSON object".into()))?;
        let parameters = parameters
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
        let (scope, parameters) = of_endpoint(
            &values.oidc_endpoint,
            scope(&or(&values.oidc_scope, SCOPES)),
            parameters.collect(),
        );
        Ok(Self {
            name: or(&values.oidc_name, "OIDC"),
            endpoint: values.oidc_endpoint.trim_end_matches('/').to_owned(),
            trust,
            verify: values.oidc_verify_cert,
            authorities: values.oidc_ca_certificate.pem().map(str::to_owned),
            timeout: seconds(values.oidc_timeout),
            client_id: values.oidc_client_id.clone(),
            client_secret: values.oidc_client_secret.clone(),
            scope,
            user_claim: or(&values.oidc_user_claim, "name"),
            groups_claim: values.oidc_groups_claim.clone(),
            group_filter: values.oidc_group_filter.clone(),
            admin_group: values.oidc_admin_group.clone(),
            auto_onboard: values.oidc_auto_onboard,
            logout: values.oidc_logout,
            parameters,
            external_url: values.external_url.clone(),
        })
    }

    /// Where the provider sends browsers back.
    pub(super) fn redirect_uri(&self) -> String {
        format!("{}/c/oidc/callback", self.external_url)
    }
}

/// Scopes and parameters as a provider takes them. Google refuses `offline_access`, and gives a refresh token to whoever asks
/// for it in its own way; as in Harbor.
fn of_endpoint(
    endpoint: &str,
    scope: String,
    mut parameters: Vec<(String, String)>,
) -> (String, Vec<(String, String)>) {
    if endpoint.trim_end_matches('/') != GOOGLE {
        return (scope, parameters);
    }
    for (name, value) in [("access_type", "offline"), ("prompt", "consent")] {
        if !parameters.iter().any(|(given, _)| given == name) {
            parameters.push((name.to_owned(), value.to_owned()));
        }
    }
    let scopes = scope.split(' ').filter(|name| *name != "offline_access");
    (scopes.collect::<Vec<_>>().join(" "), parameters)
}

/// Scopes in the provider's format, including `openid`.
fn scope(text: &str) -> String {
    let named = text.split([',', ' ']).filter(|name| !name.is_empty());
    let mut scopes = vec!["openid"];
    for name in named {
        if !scopes.contains(&name) {
            scopes.push(name);
        }
    }
    scopes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openid_is_always_asked_for_and_nothing_twice() {
        assert_eq!(scope("profile, email,profile"), "openid profile email");
        assert_eq!(scope(SCOPES), "openid profile email offline_access");
    }

    #[test]
    fn google_is_asked_for_refresh_tokens_in_its_own_way() {
        let given = vec![("prompt".to_owned(), "select_account".to_owned())];
        let (scopes, parameters) = of_endpoint(GOOGLE, scope(SCOPES), given.clone());
        assert_eq!(scopes, "openid profile email");
        let offline = ("access_type".to_owned(), "offline".to_owned());
        assert_eq!(parameters, [given[0].clone(), offline]);
        let other = of_endpoint("https://id.example", scope(SCOPES), given.clone());
        assert_eq!(other, (scope(SCOPES), given));
    }
}
