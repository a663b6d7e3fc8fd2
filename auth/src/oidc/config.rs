//! A provider's settings in the form in which they are used.

use std::time::Duration;

use outgoing::Trust;
use tenancy::secret::Secret;
use tenancy::setting::{Declaration, Settings, Values};

use super::error::{Error, Result};
use crate::ldap::seconds;

/// The default scopes: the last one gives a refresh token.
const SCOPES: &str = "openid,profile,email,offline_access";

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
        Ok(Self {
            name: or(&values.oidc_name, "OIDC"),
            endpoint: values.oidc_endpoint.trim_end_matches('/').to_owned(),
            trust,
            verify: values.oidc_verify_cert,
            authorities: values.oidc_ca_certificate.pem().map(str::to_owned),
            timeout: seconds(values.oidc_timeout),
            client_id: values.oidc_client_id.clone(),
            client_secret: values.oidc_client_secret.clone(),
            scope: scope(&or(&values.oidc_scope, SCOPES)),
            user_claim: or(&values.oidc_user_claim, "name"),
            groups_claim: values.oidc_groups_claim.clone(),
            group_filter: values.oidc_group_filter.clone(),
            admin_group: values.oidc_admin_group.clone(),
            auto_onboard: values.oidc_auto_onboard,
            logout: values.oidc_logout,
            parameters: parameters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
                .collect(),
            external_url: values.external_url.clone(),
        })
    }

    /// Where the provider sends browsers back.
    pub(super) fn redirect_uri(&self) -> String {
        format!("{}/c/oidc/callback", self.external_url)
    }
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
}
