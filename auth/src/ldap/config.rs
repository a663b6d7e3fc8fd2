//! A directory's settings in the form in which they are used.

use std::time::Duration;

use ldap3::Scope;
use model::Dn;
use outgoing::Trust;
use tenancy::secret::Secret;
use tenancy::setting::{Declaration, Settings, Values};

use super::error::{Error, Result};

/// A directory's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Its addresses, in the order in which they are tried.
    pub(super) urls: Vec<Url>,
    /// Who named the addresses.
    pub(super) trust: Trust,
    pub(super) starttls: bool,
    pub(super) verify: bool,
    pub(super) authorities: Option<String>,
    /// A certificate and its key.
    pub(super) identity: Option<(String, Secret)>,
    pub(super) timeout: Duration,
    /// The entry for searches; empty for anonymous.
    pub(super) search_dn: String,
    pub(super) search_password: Secret,
    pub(super) base_dn: String,
    pub(super) scope: Scope,
    pub(super) filter: String,
    pub(super) uid: String,
    pub(super) membership: String,
    pub(super) groups: Groups,
    pub(super) admin: Option<Dn>,
}

/// How groups are found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Groups {
    pub(super) base_dn: String,
    pub(super) scope: Scope,
    /// Empty if groups are not used.
    pub(super) filter: String,
    pub(super) name: String,
    pub(super) lookup: Lookup,
}

/// How to find somebody's groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// By an attribute of the person.
    Attribute,
    /// By the groups' lists of members.
    Search,
    /// By Active Directory's rule, including groups in groups.
    Nested,
}

/// An address of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// Name or address, in brackets if it has colons.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether TLS begins with the first byte.
    pub(super) tls: bool,
}

impl Config {
    /// The configured directory; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn of(settings: &Settings, values: &Values) -> Result<Option<Self>> {
        if !values.has_directory() {
            return Ok(None);
        }
        Self::from_values(values, Self::trust(settings, values)).map(Some)
    }

    /// The trust in the addresses: they are trusted if all of them are fixed, so that no request added one.
    pub fn trust(settings: &Settings, values: &Values) -> Trust {
        let is_fixed = |name| Declaration::named(name).is_ok_and(|it| settings.is_fixed(it));
        let is_all_fixed = is_fixed("ldap_url")
            && (values.ldap_fallback_urls.is_empty() || is_fixed("ldap_fallback_urls"));
        match is_all_fixed {
            true => Trust::Trusted,
            false => Trust::Guarded,
        }
    }

    /// The directory with these values, regardless of the stored ones.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn from_values(values: &Values, trust: Trust) -> Result<Self> {
        let further = values.ldap_fallback_urls.split_whitespace();
        let urls = std::iter::once(values.ldap_url.as_str()).chain(further);
        let certificate = values.ldap_client_certificate.pem();
        let admin = Some(&values.ldap_group_admin_dn).filter(|dn| !dn.is_empty());
        let admin = admin.map(|dn| dn.parse()).transpose();
        let or = |text: &str, other: &str| match text {
            "" => other.to_owned(),
            _ => text.to_owned(),
        };
        Ok(Self {
            urls: urls.map(Url::parse).collect::<Result<_>>()?,
            trust,
            starttls: values.ldap_starttls,
            verify: values.ldap_verify_cert,
            authorities: values.ldap_ca_certificate.pem().map(str::to_owned),
            identity: certificate.map(|pem| (pem.to_owned(), values.ldap_client_key.clone())),
            timeout: seconds(values.ldap_timeout),
            search_dn: values.ldap_search_dn.clone(),
            search_password: values.ldap_search_password.clone(),
            base_dn: values.ldap_base_dn.clone(),
            scope: scope(values.ldap_scope),
            filter: values.ldap_filter.clone(),
            uid: values.ldap_uid.clone(),
            membership: values.ldap_group_membership_attribute.clone(),
            groups: Groups {
                base_dn: or(&values.ldap_group_base_dn, &values.ldap_base_dn),
                scope: scope(values.ldap_group_search_scope),
                filter: values.ldap_group_search_filter.clone(),
                name: or(&values.ldap_group_attribute_name, "cn"),
                lookup: match values.ldap_group_lookup.as_str() {
                    "search" => Lookup::Search,
                    "nested" => Lookup::Nested,
                    _ => Lookup::Attribute,
                },
            },
            admin: admin.map_err(|why| Error::Settings(format!("ldap_group_admin_dn {why}")))?,
        })
    }

    /// True if passwords are sent in the clear.
    pub(super) fn is_plain(&self, url: &Url) -> bool {
        !url.tls && !self.starttls
    }
}

/// A number of seconds from the settings.
pub(crate) fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or_default())
}

fn scope(number: i64) -> Scope {
    match number {
        0 => Scope::Base,
        1 => Scope::OneLevel,
        _ => Scope::Subtree,
    }
}

impl Url {
    fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::Settings(format!("{text} is no ldap://HOST[:PORT]"));
        let (scheme, rest) = text.split_once("://").unwrap_or(("ldap", text));
        let rest = rest.trim_end_matches('/');
        let port = rest
            .rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'));
        let (host, port) = match port {
            None => (rest, None),
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| wrong())?)),
        };
        if host.is_empty() || !["ldap", "ldaps"].contains(&scheme) {
            return Err(wrong());
        }
        // As in Harbor, the port of LDAP over TLS implies TLS.
        let tls = scheme == "ldaps" || port == Some(636);
        Ok(Self {
            host: host.to_owned(),
            port: port.unwrap_or(if tls { 636 } else { 389 }),
            tls,
        })
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "ldaps" } else { "ldap" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_port_and_the_tls_that_it_means() {
        for (text, printed) in [
            ("ldap://a", "ldap://a:389"),
            ("ldaps://a", "ldaps://a:636"),
            ("a:636", "ldaps://a:636"),
            ("ldap://a:636", "ldaps://a:636"),
            ("a", "ldap://a:389"),
            ("ldap://[fd00::1]:3389", "ldap://[fd00::1]:3389"),
            ("ldaps://[fd00::1]", "ldaps://[fd00::1]:636"),
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), printed);
        }
        for bad in ["", "http://a", "ldap://", "ldap://a:x"] {
            Url::parse(bad).unwrap_err();
        }
    }
}
