//! The cookies of browsers: reading them, and writing them with flags that keep them from scripts and other sites.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Holds the session's key.
pub(crate) const SESSION: &str = "sid";

/// Holds the value to which CSRF tokens belong.
pub(crate) const CSRF: &str = "_gorilla_csrf";

/// Holds a sign-in by the OIDC provider that has begun, sealed; its name ends with the beginning of the sign-in's `state`, so
/// that several go on beside one another. No neighbouring site can plant it: of this prefix, browsers take cookies of this
/// very host alone.
const SIGN_IN: &str = "__Host-gantry_oidc_";
/// Characters of a `state` that a cookie's name has.
const STATE_PART: usize = 16;

/// Holds the ticket of a person who has signed in and needs a name.
pub(crate) const ONBOARDING: &str = "__Host-gantry_onboard";

/// Seconds that a browser keeps [`CSRF`].
const CSRF_SECS: u32 = 43_200;

/// The name of the cookie of the sign-in with this `state`.
pub(crate) fn sign_in(state: &str) -> String {
    let part = state.chars().filter(char::is_ascii_hexdigit);
    let part: String = part.take(STATE_PART).collect();
    format!("{SIGN_IN}{part}")
}

/// Whether a cookie of this name was sent.
pub(crate) fn is_sent(headers: &HeaderMap, name: &str) -> bool {
    all(headers, name).next().is_some()
}

/// The cookie of this name; `None` if there are several, since a neighbouring site may have planted one.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = all(headers, name);
    values.next().filter(|_| values.next().is_none())
}

fn all<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(COOKIE).into_iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Sets [`SESSION`] until the browser ends.
pub(crate) fn begin_session(key: &str) -> Option<HeaderValue> {
    let cookie = format!("{SESSION}={key}; Path=/; HttpOnly; Secure; SameSite=Lax");
    let mut cookie = HeaderValue::try_from(cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

/// Removes [`SESSION`].
pub(crate) fn end_session() -> Option<HeaderValue> {
    let cookie = format!("{SESSION}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax");
    HeaderValue::try_from(cookie).ok()
}

/// Sets the cookie of the sign-in with this `state`.
pub(crate) fn begin_sign_in(state: &str, sealed: &str) -> Option<HeaderValue> {
    short(&sign_in(state), sealed, auth::oidc::SIGN_IN.as_secs())
}

/// Sets [`ONBOARDING`].
pub(crate) fn begin_onboarding(ticket: &str) -> Option<HeaderValue> {
    short(ONBOARDING, ticket, auth::oidc::ONBOARDING.as_secs())
}

/// Removes one of them.
pub(crate) fn end(name: &str) -> Option<HeaderValue> {
    short(name, "", 0)
}

fn short(name: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
    let cookie =
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
    let mut cookie = HeaderValue::try_from(cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

/// Sets [`CSRF`].
pub(crate) fn csrf(value: &str) -> Option<HeaderValue> {
    let cookie =
        format!("{CSRF}={value}; Path=/; Max-Age={CSRF_SECS}; HttpOnly; Secure; SameSite=Strict");
    HeaderValue::try_from(cookie).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_is_there_twice_is_not_used() {
        let headers = |lines: &[&'static str]| {
            let lines = lines
                .iter()
                .map(|line| (COOKIE, HeaderValue::from_static(line)));
            lines.collect::<HeaderMap>()
        };
        let one = headers(&["a=1; sid=x;b=2"]);
        assert_eq!(only(&one, SESSION), Some("x"));
        for two in [headers(&["sid=x; sid=y"]), headers(&["sid=x", "sid=y"])] {
            assert_eq!(only(&two, SESSION), None);
            assert!(is_sent(&two, SESSION));
        }
        let none = headers(&["sidecar=1; xsid=2; sid"]);
        assert!(!is_sent(&none, SESSION));
    }
}
