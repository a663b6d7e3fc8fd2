//! The routes of the registry API: a path is split here, once, and every part is parsed.

use std::borrow::Cow;

use http::Method;
use model::name::InvalidName;
use model::reference::InvalidReference;
use model::{Digest, Reference, RepositoryName};

/// The route of a request, as metrics and logs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RouteName {
    Base,
    Catalog,
    Manifest,
    Blob,
    UploadStart,
    Upload,
    Tags,
    Referrers,
    Token,
    Jwks,
    Health,
    Metrics,
    Api,
    Ui,
    Redirect,
    Other,
}

impl RouteName {
    pub(crate) const ALL: [Self; 16] = [
        Self::Base,
        Self::Catalog,
        Self::Manifest,
        Self::Blob,
        Self::UploadStart,
        Self::Upload,
        Self::Tags,
        Self::Referrers,
        Self::Token,
        Self::Jwks,
        Self::Health,
        Self::Metrics,
        Self::Api,
        Self::Ui,
        Self::Redirect,
        Self::Other,
    ];

    /// Its template, used as the label of metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "/v2/",
            Self::Catalog => "/v2/_catalog",
            Self::Manifest => "/v2/{name}/manifests/{reference}",
            Self::Blob => "/v2/{name}/blobs/{digest}",
            Self::UploadStart => "/v2/{name}/blobs/uploads/",
            Self::Upload => "/v2/{name}/blobs/uploads/{id}",
            Self::Tags => "/v2/{name}/tags/list",
            Self::Referrers => "/v2/{name}/referrers/{digest}",
            Self::Token => "/service/token",
            Self::Jwks => "/service/jwks",
            Self::Health => "/healthz",
            Self::Metrics => "/metrics",
            Self::Api => "/api",
            Self::Ui => "/ui",
            Self::Redirect => "redirect",
            Self::Other => "other",
        }
    }

    /// The route of a path outside the registry API.
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/service/token" => Self::Token,
            "/service/jwks" | "/.well-known/jwks.json" => Self::Jwks,
            "/healthz" | "/readyz" => Self::Health,
            _ if path.starts_with("/api") || path.starts_with("/c/") => Self::Api,
            _ if path.starts_with(UI) || portal(path).is_some() => Self::Ui,
            _ => Self::Other,
        }
    }

    /// One word for the name of spans.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::UploadStart | Self::Upload => "upload",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Token => "token",
            Self::Jwks => "jwks",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Api => "api",
            Self::Ui => "ui",
            Self::Redirect => "redirect",
            Self::Other => "other",
        }
    }
}

/// The path of the web UI's pages.
pub(crate) const UI: &str = "/ui/";

/// The web UI's path for a path of Harbor's portal.
pub(crate) fn portal(path: &str) -> Option<Cow<'static, str>> {
    Some(match path {
        "/" | "/ui" | "/harbor" => Cow::Borrowed(UI),
        "/account/sign-in" => Cow::Borrowed("/ui/login"),
        "/oidc-onboard" => Cow::Borrowed("/ui/onboard"),
        "/devcenter-api-2.0" => Cow::Borrowed("/ui/api"),
        "/license" => Cow::Borrowed("/ui/license"),
        // Harbor's paths have project IDs; the UI looks up their names.
        _ => Cow::Owned(format!("/ui/harbor/{}", path.strip_prefix("/harbor/")?)),
    })
}

/// A route of the registry API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Base,
    Catalog,
    Manifest(RepositoryName, Reference),
    Blob(RepositoryName, Digest),
    UploadStart(RepositoryName),
    Upload(RepositoryName, String),
    Tags(RepositoryName),
    Referrers(RepositoryName, Digest),
}

/// Why a path below `/v2/` has no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadRoute {
    /// No such path.
    Unknown,
    /// The path is right, the repository's name is not.
    Name(InvalidName),
    /// The name lacks a project in front, in a request other than a push.
    NoProject(String),
    /// The same, in a push.
    PushWithoutProject(String),
    /// Neither tag nor digest.
    Reference(InvalidReference),
    /// No digest.
    Digest(String),
    /// The method is not allowed; these are.
    Method(&'static str),
}

/// The path of a request target: percent-decoded once, with repeated slashes merged, as Harbor's nginx does. Names and
/// digests allow neither `%` nor an empty part, so double encoding hides nothing.
pub(crate) fn normal(path: &str) -> Cow<'_, str> {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    if !decoded.contains("//") {
        return decoded;
    }
    let mut merged = String::with_capacity(decoded.len());
    for letter in decoded.chars() {
        if letter != '/' || !merged.ends_with('/') {
            merged.push(letter);
        }
    }
    merged.into()
}

/// Splits a path that begins with `/v2`. The name of the route is known even if a part is wrong.
pub(crate) fn parse(method: &Method, path: &str) -> (RouteName, Result<Route, BadRoute>) {
    let Some(rest) = path.strip_prefix("/v2") else {
        return (RouteName::Other, Err(BadRoute::Unknown));
    };
    if rest.is_empty() || rest == "/" {
        return (
            RouteName::Base,
            allowed(method, "GET, HEAD").map(|()| Route::Base),
        );
    }
    let Some(rest) = rest.strip_prefix('/') else {
        return (RouteName::Other, Err(BadRoute::Unknown));
    };
    if rest == "_catalog" {
        return (
            RouteName::Catalog,
            allowed(method, "GET, HEAD").map(|()| Route::Catalog),
        );
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        let route = allowed(method, "GET, HEAD")
            .and_then(|()| name_of(name))
            .map(Route::Tags);
        return (RouteName::Tags, route);
    }
    let below = |marker: &str| {
        rest.rsplit_once(marker)
            .filter(|(_, last)| !last.contains('/'))
            .filter(|(name, _)| !name.is_empty())
    };
    if let Some((name, reference)) = below("/manifests/") {
        let route = allowed(method, "GET, HEAD, PUT, DELETE").and_then(|()| {
            let name = match *method {
                Method::PUT => pushed_name_of(name)?,
                _ => name_of(name)?,
            };
            let reference = reference.parse().map_err(BadRoute::Reference)?;
            Ok(Route::Manifest(name, reference))
        });
        return (RouteName::Manifest, route);
    }
    if let Some((name, id)) = below("/blobs/uploads/") {
        if id.is_empty() {
            let route = allowed(method, "POST")
                .and_then(|()| pushed_name_of(name))
                .map(Route::UploadStart);
            return (RouteName::UploadStart, route);
        }
        let route = allowed(method, "GET, HEAD, PATCH, PUT, DELETE")
            .and_then(|()| Ok(Route::Upload(name_of(name)?, id.to_owned())));
        return (RouteName::Upload, route);
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        let route = allowed(method, "POST")
            .and_then(|()| pushed_name_of(name))
            .map(Route::UploadStart);
        return (RouteName::UploadStart, route);
    }
    if let Some((name, digest)) = below("/blobs/") {
        let route = allowed(method, "GET, HEAD, DELETE")
            .and_then(|()| Ok(Route::Blob(name_of(name)?, digest_of(digest)?)));
        return (RouteName::Blob, route);
    }
    if let Some((name, digest)) = below("/referrers/") {
        let route = allowed(method, "GET, HEAD")
            .and_then(|()| Ok(Route::Referrers(name_of(name)?, digest_of(digest)?)));
        return (RouteName::Referrers, route);
    }
    (RouteName::Other, Err(BadRoute::Unknown))
}

/// The name of a request's span, needed before any spans within it.
pub(crate) fn span_name(method: &Method, path: &str) -> String {
    let verb = method.as_str().to_ascii_lowercase();
    format!("http.{}.{verb}", route_name(method, path).noun())
}

/// The route of a request, from its path and method alone.
pub(crate) fn route_name(method: &Method, path: &str) -> RouteName {
    let path = normal(path);
    if path.starts_with("/v2") {
        parse(method, &path).0
    } else {
        RouteName::of(&path)
    }
}

fn allowed(method: &Method, methods: &'static str) -> Result<(), BadRoute> {
    if methods
        .split(", ")
        .any(|allowed| allowed == method.as_str())
    {
        Ok(())
    } else {
        Err(BadRoute::Method(methods))
    }
}

/// The name of a repository. A name without a project is answered as a missing repository, not as malformed: clients
/// that check before they push (HEAD) do not show the answer to a malformed name.
fn name_of(text: &str) -> Result<RepositoryName, BadRoute> {
    text.parse().map_err(|error| match error {
        InvalidName::NoProject => BadRoute::NoProject(text.to_owned()),
        other => BadRoute::Name(other),
    })
}

/// The name of a repository to push to. A name without a project gets a special answer: docker retries an invalid name
/// for most of a minute, but gives up at once if denied.
fn pushed_name_of(text: &str) -> Result<RepositoryName, BadRoute> {
    name_of(text).map_err(|bad| match bad {
        BadRoute::NoProject(name) => BadRoute::PushWithoutProject(name),
        other => other,
    })
}

fn digest_of(text: &str) -> Result<Digest, BadRoute> {
    text.parse()
        .map_err(|error: model::digest::InvalidDigest| BadRoute::Digest(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Result<Route, BadRoute> {
        parse(&Method::GET, path).1
    }

    #[test]
    fn names_may_hold_the_words_of_the_api() {
        let name: RepositoryName = "p/manifests/blobs".parse().unwrap();
        let route = get("/v2/p/manifests/blobs/manifests/v1");
        assert_eq!(route, Ok(Route::Manifest(name, "v1".parse().unwrap())));
    }

    #[test]
    fn uploads_are_found_with_and_without_a_slash() {
        for path in ["/v2/p/a/blobs/uploads", "/v2/p/a/blobs/uploads/"] {
            let route = parse(&Method::POST, path).1;
            assert_eq!(
                route,
                Ok(Route::UploadStart("p/a".parse().unwrap())),
                "{path}"
            );
        }
    }

    #[test]
    fn several_slashes_are_one_wherever_they_stand() {
        for path in [
            "/v2/p/a/tags/list",
            "//v2/p/a/tags/list",
            "/v2//p/a/tags/list",
            "/v2/p//a///tags/list",
            "/v2/p/%2Fa/tags/list",
            "/v2%2F/p/a/tags/list",
        ] {
            assert_eq!(normal(path), "/v2/p/a/tags/list", "{path}");
        }
        assert!(matches!(normal("/v2/p/a/tags/list"), Cow::Borrowed(_)));
        assert_eq!(normal("/v2/p/%252Fa"), "/v2/p/%2Fa");
    }

    #[test]
    fn a_name_without_a_project_is_told_apart_from_one_that_is_wrong() {
        let push = |method, path| parse(&method, path).1;
        let no_project = Err(BadRoute::PushWithoutProject("app".to_owned()));
        assert_eq!(push(Method::POST, "/v2/app/blobs/uploads/"), no_project);
        assert_eq!(push(Method::POST, "/v2/app/blobs/uploads"), no_project);
        assert_eq!(push(Method::PUT, "/v2/app/manifests/v1"), no_project);
        for path in ["manifests/v1", "tags/list"] {
            let path = format!("/v2/app/{path}");
            assert_eq!(get(&path), Err(BadRoute::NoProject("app".to_owned())));
        }
        assert_eq!(
            get("/v2/APP/manifests/v1"),
            Err(BadRoute::Name(InvalidName::Characters))
        );
        assert_eq!(
            push(Method::POST, "/v2/p/APP/blobs/uploads/"),
            Err(BadRoute::Name(InvalidName::Characters))
        );
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        assert!(matches!(get("/v2/P/a/tags/list"), Err(BadRoute::Name(_))));
        assert!(matches!(
            get("/v2/p/a/manifests/.x"),
            Err(BadRoute::Reference(InvalidReference::Tag(_)))
        ));
        assert!(matches!(
            get("/v2/p/a/manifests/sha256:1"),
            Err(BadRoute::Reference(InvalidReference::Digest(_)))
        ));
        assert!(matches!(
            get("/v2/p/a/blobs/sha256:1"),
            Err(BadRoute::Digest(_))
        ));
        assert_eq!(get("/v2/p/a"), Err(BadRoute::Unknown));
        assert_eq!(get("/v2x"), Err(BadRoute::Unknown));
        assert!(matches!(
            parse(&Method::POST, "/v2/p/a/tags/list").1,
            Err(BadRoute::Method(_))
        ));
    }
}
