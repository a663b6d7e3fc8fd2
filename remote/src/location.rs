//! URLs: where a registry is, and where its answers lead.

use http::Uri;

/// Where a registry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// `https://host:port`.
    origin: String,
    /// `host:port`.
    authority: String,
    /// What its paths begin with; empty, or `/prefix`.
    prefix: String,
}

/// Bytes of a URL.
const LONGEST: usize = 2_048;

impl Base {
    /// The place of a URL without a user, query or fragment.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let scheme = uri
            .scheme_str()
            .filter(|it| ["http", "https"].contains(it))?;
        let authority = uri.authority()?.as_str();
        let is_plain = !authority.contains('@') && uri.query().is_none() && url.len() <= LONGEST;
        is_plain.then(|| Self {
            origin: format!("{scheme}://{authority}"),
            authority: authority.to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The URL of a path of the registry.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.prefix)
    }

    /// Whether it is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// Whether a URL leads to the same host and port, and not to less encryption.
    pub(crate) fn is_own(&self, url: &str) -> bool {
        let rest = url.strip_prefix(&self.origin);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    }

    /// Where a `Location` leads that was answered for a URL. What names the registry itself keeps its scheme: behind a
    /// proxy, registries believe to be spoken to without encryption.
    pub(crate) fn resolve(&self, from: &str, location: &str) -> Option<String> {
        if location.len() > LONGEST * 4 {
            return None;
        }
        if let Some((scheme, rest)) = location.split_once("://") {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            if authority.eq_ignore_ascii_case(&self.authority) {
                return Some(format!("{}{path}", self.origin));
            }
            let is_known = ["http", "https"].contains(&scheme) && !authority.contains('@');
            return is_known.then(|| location.to_owned());
        }
        let origin_end = from.find("://")? + 3;
        let path_at = from[origin_end..].find('/').map(|at| at + origin_end);
        let origin = &from[..path_at.unwrap_or(from.len())];
        if location.starts_with("//") {
            return None;
        }
        if location.starts_with('/') {
            return Some(format!("{origin}{location}"));
        }
        let path = from.split(['?', '#']).next()?;
        let folder = path.rfind('/').filter(|at| *at >= origin_end)?;
        Some(format!("{}/{location}", &path[..folder]))
    }
}

/// A URL with one more parameter.
pub(crate) fn with_query(url: &str, parameter: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{parameter}")
}

/// The host and port of a URL, for messages.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_leads_where_it_says() {
        let base = Base::parse("https://r.test:8443/").unwrap();
        let from = "https://r.test:8443/v2/a/blobs/uploads/";
        let to = |location| base.resolve(from, location);
        let own = |path: &str| Some(format!("https://r.test:8443{path}"));
        assert_eq!(to("/v2/x?s=1"), own("/v2/x?s=1"));
        assert_eq!(to("http://r.test:8443/v2/x"), own("/v2/x"));
        assert_eq!(to("abc"), own("/v2/a/blobs/uploads/abc"));
        assert_eq!(
            to("https://s3.test/x").as_deref(),
            Some("https://s3.test/x")
        );
        for wrong in ["//other/x", "ftp://x/", "https://a:b@c/"] {
            assert_eq!(to(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_its_own_host_is_its_own() {
        let base = Base::parse("https://r.test").unwrap();
        assert!(base.is_own("https://r.test/v2/") && base.is_own("https://r.test"));
        for other in [
            "http://r.test/",
            "https://r.test.evil/",
            "https://r.test:1/",
        ] {
            assert!(!base.is_own(other), "{other}");
        }
        for wrong in [
            "r.test",
            "ftp://r.test",
            "https://a@r.test",
            "https://r.test?x",
        ] {
            assert_eq!(Base::parse(wrong), None, "{wrong}");
        }
    }
}
