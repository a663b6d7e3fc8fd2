//! Rules of single settings: each returns the value, normalized if necessary, or what it must be.

use model::notification::{Headers, is_http_url};
use model::{Dn, EVENT_TYPES, is_email};
use serde_json::{Map, Value};

use crate::secret::Secret;

/// Anything.
pub(super) fn any<T>(value: T) -> Result<T, String> {
    Ok(value)
}

/// A number from `LEAST` to `MOST`.
pub(super) fn between<const LEAST: i64, const MOST: i64>(number: i64) -> Result<i64, String> {
    let valid = (LEAST..=MOST).contains(&number);
    valid
        .then_some(number)
        .ok_or_else(|| format!("must be from {LEAST} to {MOST}"))
}

/// The prefix of robots' names.
pub(super) fn robot_prefix(prefix: String) -> Result<String, String> {
    let prefix = prefix.trim();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"$._-+@#%=~".contains(&byte);
    if (1..=64).contains(&prefix.len()) && prefix.bytes().all(is_name) {
        return Ok(prefix.to_owned());
    }
    Err("must have 1 to 64 letters, digits or of $ . _ - + @ # % = ~".to_owned())
}

/// The preferred source of users.
pub(super) fn auth_mode(mode: String) -> Result<String, String> {
    match mode.as_str() {
        "db_auth" | "ldap_auth" | "oidc_auth" => Ok(mode),
        "http_auth" | "uaa_auth" => Err(format!(
            "Gantry has no {mode}: let people sign in by OIDC (oidc_auth) or LDAP (ldap_auth)"
        )),
        _ => Err("must be db_auth, ldap_auth or oidc_auth".to_owned()),
    }
}

/// A directory's address; empty for none.
pub(super) fn ldap_url(url: String) -> Result<String, String> {
    let host = match url.split_once("://") {
        None => url.as_str(),
        Some(("ldap" | "ldaps", host)) if !host.is_empty() => host,
        Some(_) => "/",
    };
    // Some clients would ignore a query or a path, others would not. A port must be a number.
    let port = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'));
    let is_port = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    if host.contains(['/', '?', '#', '@', ' ']) || !is_port {
        return Err("must be ldap://HOST[:PORT] or ldaps://HOST[:PORT]".to_owned());
    }
    Ok(url)
}

/// This server's own address, for links; empty for none. A trailing slash is removed.
pub(super) fn external_url(url: String) -> Result<String, String> {
    if url.is_empty() {
        return Ok(url);
    }
    let url = url.strip_suffix('/').unwrap_or(&url);
    let host = url.strip_prefix("https://").unwrap_or_default();
    let valid = is_authority(host);
    valid
        .then(|| url.to_owned())
        .ok_or_else(|| "must be https://HOST or https://HOST:PORT".to_owned())
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, rest)) => (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some("1")),
            ),
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("1")),
        },
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = match text.starts_with('[') {
        true => host.parse::<std::net::Ipv6Addr>().is_ok(),
        false => is_host_name(host),
    };
    is_host && port.is_some_and(is_port)
}

fn is_host_name(host: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=253).contains(&host.len()) && host.bytes().all(is_part)
}

/// A host name or address; empty for none.
pub(super) fn host(host: String) -> Result<String, String> {
    let valid = host.is_empty() || host.parse::<std::net::IpAddr>().is_ok() || is_host_name(&host);
    valid
        .then_some(host)
        .ok_or_else(|| "must be a host name or an address, without a port".to_owned())
}

/// The sender of mails; empty for none.
pub(super) fn mailbox(text: String) -> Result<String, String> {
    let address = match text.split_once('<') {
        None => Some(text.as_str()),
        Some((name, rest)) if !name.contains(['"', '>', '@', ',', ';', ':', '\\']) => {
            rest.strip_suffix('>')
        }
        Some(_) => None,
    };
    let valid = text.is_empty() || address.is_some_and(is_email);
    valid.then_some(text).ok_or_else(|| {
        "must be gantry@registry.example or Gantry <gantry@registry.example>".to_owned()
    })
}

/// Addresses of a directory, separated by spaces; empty for none.
pub(super) fn ldap_urls(urls: String) -> Result<String, String> {
    for url in urls.split_whitespace() {
        ldap_url(url.to_owned()).map_err(|why| format!("each {why}"))?;
    }
    Ok(urls)
}

/// An entry of a directory; empty for none.
pub(super) fn dn(text: String) -> Result<String, String> {
    match text.is_empty() || text.parse::<Dn>().is_ok() {
        true => Ok(text),
        false => Err("must be empty or a distinguished name: ou=people,dc=example".to_owned()),
    }
}

/// A filter, RFC 4515; empty for none. The parentheses around it may be left out, as in Harbor.
pub(super) fn ldap_filter(text: String) -> Result<String, String> {
    let mut depth = 0_u32;
    let is_closed = text.bytes().all(|byte| match byte {
        b'(' => {
            depth += 1;
            true
        }
        b')' => depth.checked_sub(1).map(|less| depth = less).is_some(),
        _ => true,
    });
    let valid = text.is_empty() || (is_closed && depth == 0 && text.contains('='));
    let wrong = "must be empty or a filter: (&(objectClass=person)(!(ou=guests)))";
    valid.then_some(text).ok_or_else(|| wrong.to_owned())
}

/// The name of an attribute.
pub(super) fn ldap_attribute(name: String) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let valid = !name.is_empty() && name.bytes().all(is_name);
    let wrong = "must not be empty, and be the name of an attribute: uid, cn, sAMAccountName";
    valid.then_some(name).ok_or_else(|| wrong.to_owned())
}

/// The name of an attribute; empty for none.
pub(super) fn ldap_attribute_or_none(name: String) -> Result<String, String> {
    match name.is_empty() {
        true => Ok(name),
        false => ldap_attribute(name),
    }
}

/// How to find somebody's groups.
pub(super) fn group_lookup(lookup: String) -> Result<String, String> {
    match ["attribute", "search", "nested"].contains(&lookup.as_str()) {
        true => Ok(lookup),
        false => Err("must be attribute, search or nested".to_owned()),
    }
}

/// A provider's address; empty for none. It must be encrypted, unless it is on this machine.
pub(super) fn provider_url(url: String) -> Result<String, String> {
    let is_local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let authority = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    let (rest, is_safe) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => {
            let authority = authority(rest);
            let host = match authority.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => host,
                _ => &authority,
            };
            (rest, is_local(host))
        }
        (None, None) => ("", false),
    };
    let valid = is_authority(&authority(rest)) && !rest.contains([' ', '@', '#', '?', '\\']);
    match url.is_empty() || (is_safe && valid) {
        true => Ok(url),
        false => Err(
            "must be https://HOST[:PORT][/PATH]; http:// is for a provider on this machine: http://localhost:8080"
                .to_owned(),
        ),
    }
}

/// The scopes to request, separated by commas or spaces; empty for the usual ones.
pub(super) fn scopes(text: String) -> Result<String, String> {
    // RFC 6749, section 3.3.
    let is_part = |byte: u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~' | b' ');
    match text.bytes().all(is_part) {
        true => Ok(text),
        false => Err("must be scopes, separated by commas: openid,profile,email".to_owned()),
    }
}

/// A regular expression; empty for none.
pub(super) fn expression(text: String) -> Result<String, String> {
    match regex::RegexBuilder::new(&text).size_limit(1 << 20).build() {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("must be a regular expression: {error}")),
    }
}

/// A syslog server's address; empty for none.
pub(super) fn host_and_port(address: String) -> Result<String, String> {
    let valid = address.is_empty()
        || address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(['/', ' ', '@'])
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
    valid
        .then_some(address)
        .ok_or_else(|| "must be HOST:PORT, or empty for none".to_owned())
}

/// A web address; empty for none.
pub(super) fn http_url(url: String) -> Result<String, String> {
    match url.is_empty() || is_http_url(&url) {
        true => Ok(url),
        false => Err("must be https://HOST[:PORT][/PATH] or http://HOST[:PORT][/PATH]".to_owned()),
    }
}

/// The value of a header field.
pub(super) fn header_value(value: Secret) -> Result<Secret, String> {
    let is_fit = value
        .expose()
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte));
    is_fit
        .then_some(value)
        .ok_or_else(|| "must have printable ASCII only".to_owned())
}

/// Header fields of registry notifications, as JSON; empty for none.
pub(super) fn notification_headers(text: Secret) -> Result<Secret, String> {
    Headers::parse(text.expose()).map(|_| text)
}

/// Parameters to add to a redirect: a JSON object of texts, as text.
pub(super) fn parameters(text: String) -> Result<String, String> {
    let wrong = || r#"must be a JSON object of texts, as text: {"prompt":"login"}"#.to_owned();
    let parsed: Map<String, Value> = serde_json::from_str(&text).map_err(|_| wrong())?;
    let valid = parsed.values().all(Value::is_string);
    valid.then_some(text).ok_or_else(wrong)
}

/// A banner: a JSON object, as text; empty for none.
pub(super) fn banner(text: String) -> Result<String, String> {
    if text.is_empty() {
        return Ok(text);
    }
    let wrong = || {
        r#"must be empty or a JSON object, as text: {"message":"…","type":"info","closable":true,"fromDate":"12/31/2026","toDate":"01/31/2027"}; type is success, info, warning or danger"#
            .to_owned()
    };
    let parsed: Map<String, Value> = serde_json::from_str(&text).map_err(|_| wrong())?;
    let valid = parsed.get("message").is_some_and(Value::is_string)
        && parsed.iter().all(|(key, value)| match key.as_str() {
            "message" | "fromDate" | "toDate" => value.is_string(),
            "closable" => value.is_boolean(),
            "type" => {
                let kind = value.as_str();
                kind.is_some_and(|kind| ["success", "info", "warning", "danger"].contains(&kind))
            }
            _ => true,
        });
    valid.then_some(text).ok_or_else(wrong)
}

/// Types of audit events, separated by commas; empty for none.
pub(super) fn event_types(text: String) -> Result<String, String> {
    let named = text.split(',').map(str::trim);
    let mut named = named.filter(|name| !name.is_empty());
    match named.find(|name| !EVENT_TYPES.contains(name)) {
        None => Ok(text),
        Some(unknown) => Err(format!(
            "{unknown} is no type of events; there are {}",
            EVENT_TYPES.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that a rule takes, and those that it does not.
    fn check(rule: fn(String) -> Result<String, String>, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(rule((*text).to_owned()).as_deref(), Ok(*text), "{text}");
        }
        for text in bad {
            rule((*text).to_owned()).unwrap_err();
        }
    }

    #[test]
    fn addresses_are_of_their_form_or_empty() {
        let good = [
            "",
            "ldap://ldap.example",
            "ldaps://[fd00::1]:636",
            "ldap.example:389",
        ];
        let bad = [
            "http://ldap.example",
            "ldap://",
            "ldap://u:p@h",
            "ldap://h/dc=x",
            "a b",
            "ldap://h:0",
            "ldap://h:ldap",
        ];
        check(ldap_url, &good, &bad);
        let good = ["", "ldap://a ldaps://b:636", "c:389"];
        check(ldap_urls, &good, &["ldap://a http://b", "ldap://a/x"]);
        let good = [
            "",
            "https://id.example:8443/realms/x",
            "http://localhost",
            "http://[::1]:9/x",
        ];
        check(
            provider_url,
            &good,
            &[
                "id.example",
                "ftp://x",
                "https://",
                "https://u@h",
                "http://id.example",
                "http://localhost.example",
                "http://127.0.0.1.example:80",
                "https://h?x",
                "https://h:0",
            ],
        );
        check(
            scopes,
            &["", "openid,profile", "openid groups"],
            &["\"", "a\\b"],
        );
        check(expression, &["", "^dev-.*$"], &["(", "[a"]);
        let good = ["", "syslog.example:514", "[::1]:514"];
        check(
            host_and_port,
            &good,
            &["syslog.example", ":514", "h:0", "h:70000", "tcp://h:1"],
        );
    }

    #[test]
    fn what_mails_need_is_of_its_form_or_empty() {
        let good = [
            "",
            "https://registry.example",
            "https://r:8443",
            "https://[fd00::1]:8443",
        ];
        let bad = [
            "http://registry.example",
            "https://",
            "https://a/b",
            "https://u@h",
            "https://h?x",
            "https://h:0",
            "https://[x]",
            "https://a b",
        ];
        check(external_url, &good, &bad);
        assert_eq!(
            external_url("https://r/".to_owned()).as_deref(),
            Ok("https://r")
        );
        check(
            host,
            &["", "mail.example", "10.0.0.1", "fd00::1"],
            &["h:25", "smtp://h", "a b"],
        );
        let good = ["", "g@r.example", "Gantry <g@r.example>"];
        check(
            mailbox,
            &good,
            &["g", "Gantry <g>", "<g@r.example", "a@b.c <g@r.example>"],
        );
    }

    #[test]
    fn what_goes_into_a_search_is_well_formed() {
        check(dn, &["", "ou=People, dc=example"], &["people", "ou=x,"]);
        let good = ["", "objectClass=person", "(&(a=b)(!(c=d)))"];
        check(ldap_filter, &good, &["(a=b", "a=b)", "(a=b))(", "person"]);
        check(
            ldap_attribute,
            &["uid", "sAMAccountName", "2.5.4.3"],
            &["", "a=b", "a)(b"],
        );
        check(ldap_attribute_or_none, &["", "cn"], &["*"]);
        check(
            group_lookup,
            &["attribute", "search", "nested"],
            &["", "all"],
        );
        check(
            auth_mode,
            &["db_auth", "ldap_auth", "oidc_auth"],
            &["", "http_auth", "ldap"],
        );
    }

    #[test]
    fn json_in_text_is_read() {
        check(
            parameters,
            &["{}", r#"{"prompt":"login"}"#],
            &["", "[]", r#"{"a":1}"#],
        );
        let good = ["", r#"{"message":"hi","type":"info","closable":true}"#];
        let bad = [
            "hi",
            "{}",
            r#"{"message":"hi","type":"loud"}"#,
            r#"{"message":1}"#,
        ];
        check(banner, &good, &bad);
    }

    #[test]
    fn an_unknown_type_of_events_is_named() {
        check(event_types, &["", "pull_artifact, login_user"], &["pull"]);
        let error = event_types("pull_artifact,push_artifact".to_owned());
        assert!(error.unwrap_err().starts_with("push_artifact "));
    }

    #[test]
    fn a_robots_prefix_is_trimmed() {
        assert_eq!(robot_prefix(" bot+ ".to_owned()).as_deref(), Ok("bot+"));
        check(
            robot_prefix,
            &["robot$"],
            &["", "  ", "a b", "ro:bot", "robot/"],
        );
    }
}
