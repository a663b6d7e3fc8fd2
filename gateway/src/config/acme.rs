//! What to obtain by ACME, from the section `[acme]`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use certs::SubjectName;
use db::acme::Challenge;
use jobs::acme::{Check, Terms};
use zeroize::Zeroizing;

use super::Config;

/// Maximum names of a certificate, as servers have it.
const MOST_NAMES: usize = 100;

/// Keys of the section, and what is wrong with each.
pub(crate) type Wrong = Vec<(&'static str, String)>;

impl Config {
    /// What to obtain by ACME; `None` if nothing is.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn acme_terms(&self) -> Result<Option<Arc<Terms>>, Wrong> {
        terms(self)
    }
}

fn terms(config: &Config) -> Result<Option<Arc<Terms>>, Wrong> {
    let acme = &config.acme;
    if acme.directory.is_empty() {
        let others = [
            ("eab_key_id", acme.eab_key_id.is_empty()),
            ("dns_command", acme.dns_command.is_empty()),
            ("names", acme.names.is_empty()),
        ];
        let idle = others.into_iter().filter(|(_, is_empty)| !is_empty);
        let why = "has no effect: name the server in [acme] directory";
        let wrong: Wrong = idle.map(|(key, _)| (key, why.to_owned())).collect();
        return if wrong.is_empty() {
            Ok(None)
        } else {
            Err(wrong)
        };
    }
    let mut wrong = Wrong::new();
    let mut check = |key, result: Result<(), String>| {
        if let Err(why) = result {
            wrong.push((key, why));
        }
    };
    check("directory", is_url(&acme.directory));
    let (names, challenge) = (names(config), challenge(config));
    check("names", names.as_ref().map(|_| ()).map_err(Clone::clone));
    check(
        "challenge",
        challenge.as_ref().map(|_| ()).map_err(Clone::clone),
    );
    let mail = |mail: &&String| !mail.contains('@') || mail.contains([' ', ':']);
    if let Some(odd) = acme.contact.iter().find(mail) {
        check(
            "contact",
            Err(format!("{odd:?} is no mail address: write ops@example.com")),
        );
    }
    let binding = binding(config);
    check(
        "eab_key_id",
        binding.as_ref().map(|_| ()).map_err(Clone::clone),
    );
    let authorities = match acme.ca_file.as_str() {
        "" => Ok(None),
        path => std::fs::read_to_string(path)
            .map(Some)
            .map_err(|error| format!("cannot read {path}: {error}")),
    };
    check(
        "ca_file",
        authorities.as_ref().map(|_| ()).map_err(Clone::clone),
    );
    let address = own_address(&acme.check_address);
    check(
        "check_address",
        address.as_ref().map(|_| ()).map_err(Clone::clone),
    );
    match (names, challenge, binding, authorities, address) {
        (Ok(names), Ok(challenge), Ok(binding), Ok(authorities), Ok(address))
            if wrong.is_empty() =>
        {
            Ok(Some(Arc::new(Terms {
                directory: acme.directory.clone(),
                contact: acme.contact.clone(),
                names,
                challenge,
                binding,
                authorities,
                profile: Some(acme.profile.clone()).filter(|profile| !profile.is_empty()),
                dns_command: Some(acme.dns_command.clone().into())
                    .filter(|_| !acme.dns_command.is_empty()),
                check: address,
                first_wait: Duration::from_secs(acme.retry_secs),
            })))
        }
        _ => Err(wrong),
    }
}

fn is_url(url: &str) -> Result<(), String> {
    let uri: Option<http::Uri> = url.parse().ok();
    let uri = uri.filter(|uri| uri.host().is_some() && uri.scheme_str() == Some("https"));
    let why = "is no https URL, such as https://acme-v02.api.letsencrypt.org/directory";
    uri.map(|_| ()).ok_or_else(|| format!("{url:?} {why}"))
}

fn names(config: &Config) -> Result<Vec<SubjectName>, String> {
    let given = &config.acme.names;
    let own = [host(&config.external_host())];
    let given = if given.is_empty() { &own[..] } else { given };
    let mut names: Vec<SubjectName> = Vec::new();
    for text in given {
        let name: SubjectName = text
            .parse()
            .map_err(|error: certs::Error| error.to_string())?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > MOST_NAMES {
        return Err(format!(
            "{} names are too many: {MOST_NAMES} at most",
            names.len()
        ));
    }
    let is_wild =
        |name: &&SubjectName| matches!(name, SubjectName::Dns(name) if name.starts_with("*."));
    match names.iter().find(is_wild) {
        Some(name) if config.acme.challenge != "dns-01" => Err(format!(
            "{name} can only be proved with challenge = \"dns-01\""
        )),
        _ => Ok(names),
    }
}

/// `HOST:PORT` without the port.
fn host(authority: &str) -> String {
    let parsed = authority.parse::<http::uri::Authority>();
    parsed.map_or_else(
        |_| authority.to_owned(),
        |authority| authority.host().to_owned(),
    )
}

fn challenge(config: &Config) -> Result<Challenge, String> {
    let acme = &config.acme;
    match acme.challenge.as_str() {
        "http-01" if config.server.redirect_listen.is_empty() => Err(
            "http-01 needs a listener for plain HTTP at port 80 of the names: set [server] redirect_listen".to_owned(),
        ),
        "http-01" => Ok(Challenge::Http),
        "tls-alpn-01" => Ok(Challenge::TlsAlpn),
        "dns-01" if acme.dns_command.is_empty() => {
            Err("dns-01 needs a program that sets records: set [acme] dns_command".to_owned())
        }
        "dns-01" => Ok(Challenge::Dns),
        other => Err(format!("{other:?} is none of http-01, tls-alpn-01 and dns-01")),
    }
}

type Binding = Option<(String, Zeroizing<Vec<u8>>)>;

fn binding(config: &Config) -> Result<Binding, String> {
    let acme = &config.acme;
    match (acme.eab_key_id.as_str(), acme.eab_hmac_key_file.as_str()) {
        ("", "") => Ok(None),
        (_, "") => Err("needs its key: set [acme] eab_hmac_key_file".to_owned()),
        ("", _) => Err("is missing: eab_hmac_key_file has its key".to_owned()),
        (id, path) => {
            let text = std::fs::read_to_string(path);
            let text =
                Zeroizing::new(text.map_err(|error| format!("cannot read {path}: {error}"))?);
            let lenient = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let key = GeneralPurpose::new(&URL_SAFE, lenient).decode(text.trim());
            let key = key.map_err(|_| format!("{path} is not base64url"))?;
            Ok(Some((id.to_owned(), Zeroizing::new(key))))
        }
    }
}

fn own_address(text: &str) -> Result<Check, String> {
    match text {
        "" => Ok(Check::Name),
        "off" => Ok(Check::Off),
        address => {
            let port = address
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse::<u16>().ok());
            let why = "is neither HOST:PORT nor `off`";
            port.map(|_| Check::Address(address.to_owned()))
                .ok_or_else(|| format!("{address:?} {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        config.server.external_url = "https://registry.example:8443".to_owned();
        config.server.redirect_listen = "0.0.0.0:80".to_owned();
        config.acme.directory = "https://acme.example/directory".to_owned();
        config
    }

    #[test]
    fn the_least_that_is_needed_is_a_directory() {
        let terms = terms(&config()).unwrap().unwrap();
        assert_eq!(terms.names, ["registry.example".parse().unwrap()]);
        assert!(terms.challenge == Challenge::Http && terms.check == Check::Name);
        assert!(super::terms(&Config::default()).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (key, change) in [
            (
                "directory",
                (|c| c.acme.directory = "http://acme.example".into()) as fn(&mut Config),
            ),
            ("names", |c| c.acme.names = vec!["https://x".into()]),
            ("names", |c| c.acme.names = vec!["*.example.com".into()]),
            ("challenge", |c| c.server.redirect_listen.clear()),
            ("challenge", |c| c.acme.challenge = "dns-01".into()),
            ("challenge", |c| c.acme.challenge = "http".into()),
            ("contact", |c| {
                c.acme.contact = vec!["mailto:x@example.com".into()]
            }),
            ("eab_key_id", |c| c.acme.eab_key_id = "x".into()),
            ("eab_key_id", |c| c.acme.eab_hmac_key_file = "/no".into()),
            ("ca_file", |c| c.acme.ca_file = "/no/such".into()),
            ("check_address", |c| {
                c.acme.check_address = "10.0.0.1".into()
            }),
            ("names", |c| {
                c.acme.directory.clear();
                c.acme.names = vec!["a.example".into()];
            }),
        ] {
            let mut config = config();
            change(&mut config);
            let wrong = terms(&config).err().unwrap();
            assert_eq!(wrong.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key]);
        }
    }
}
