//! Parameters in path, query string and headers, with Harbor's messages for malformed ones.

pub(crate) mod content;

use std::marker::PhantomData;

use axum::extract::{FromRequestParts, RawPathParams};
use http::HeaderMap;
use http::request::Parts;
use model::{
    GroupId, MemberId, ProjectId, ProjectName, RepositoryName, RobotId, SessionId, UserId,
};
use percent_encoding::percent_decode_str;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::Error;
use crate::input::{Input, in_header, in_path, in_query, required};

/// The pairs of a query string, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(query: &str) -> Result<Self, Error> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// A parameter; if it is repeated, the last one, as in Harbor.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter().rev();
        let (_, value) = pairs.find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// All pairs, in their order.
    pub(crate) fn into_pairs(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter()
    }

    /// A search text.
    ///
    /// # Errors
    /// If nothing could match it.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        let text = self.get(name);
        text.map_or(Ok(()), |text| check_text(name, text))?;
        Ok(text)
    }

    /// A required text.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Error> {
        self.text(name)?
            .ok_or_else(|| Error::Validation(format!("{name} in query is required")))
    }

    /// A whole number.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            Error::Validation(format!("{name} in query must be of type int64: {text:?}"))
        })
    }

    /// A flag.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(truthy)
    }

    /// All pairs except those named `name`, ordered by name.
    pub(crate) fn without(&self, name: &str) -> Vec<(&str, &str)> {
        let pairs = self.0.iter().map(|(key, value)| (&**key, &**value));
        let mut others: Vec<_> = pairs.filter(|(key, _)| *key != name).collect();
        others.sort_by_key(|(key, _)| *key);
        others
    }
}

impl Input for Params {}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

fn pair(text: &str) -> Result<(String, String), Error> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let (key, value) = (decode(key)?, decode(value)?);
    if key.contains('\0') {
        return Err(nul("a parameter's name"));
    }
    if value.contains('\0') {
        return Err(nul(&key));
    }
    Ok((key, value))
}

/// The error for a text that databases cannot store.
pub(crate) fn nul(field: &str) -> Error {
    Error::BadRequest(format!("{field} must not contain NUL"))
}

/// Maximum length of a search text, in bytes: no name is longer, and SQLite limits patterns of `like`.
const LONGEST_TEXT: usize = 255;

/// Refuses a search text that is longer than any name.
pub(crate) fn check_text(field: &str, text: &str) -> Result<(), Error> {
    if text.len() > LONGEST_TEXT {
        return Err(Error::BadRequest(format!(
            "{field} has more than {LONGEST_TEXT} bytes"
        )));
    }
    Ok(())
}

/// Decodes a part of a query string.
fn decode(text: &str) -> Result<String, Error> {
    let spaced = text.replace('+', " ");
    decode_escapes(&spaced)
        .ok_or_else(|| Error::BadRequest("the query string holds an invalid URL escape".to_owned()))
}

/// Decodes `%41` and the like; `None` if an escape is incomplete or the result is not UTF-8.
pub(crate) fn decode_escapes(text: &str) -> Option<String> {
    let whole = |after: &str| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(whole) {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// Values that Harbor treats as true; everything else is false.
fn truthy(text: &str) -> bool {
    const TRUE: [&str; 10] = [
        "1", "yes", "ok", "true", "y", "on", "selected", "checked", "t", "enabled",
    ];
    TRUE.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// True if a header has a true value.
pub(crate) fn header_flag(headers: &HeaderMap, name: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.is_some_and(truthy)
}

/// A required text in the query string.
pub(crate) struct Required<N> {
    /// The text.
    pub(crate) text: String,
    named: PhantomData<fn() -> N>,
}

/// A parameter of the query string.
pub(crate) trait Named {
    /// Its name.
    const NAME: &'static str;
    /// Its description.
    const DESCRIPTION: &'static str;
}

impl<N: Named> Input for Required<N> {
    fn parameters() -> Vec<Parameter> {
        let parameter = in_query(N::NAME, Type::String, N::DESCRIPTION);
        vec![required(parameter)]
    }
}

impl<N: Named, S: Send + Sync> FromRequestParts<S> for Required<N> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let params = Params::from_request_parts(parts, state).await?;
        let text = params.required(N::NAME)?.to_owned();
        Ok(Self {
            text,
            named: PhantomData,
        })
    }
}

/// A project in a path: all digits are an ID, unless `X-Is-Resource-Name` says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProjectRef {
    /// By its ID.
    Id(ProjectId),
    /// By its name.
    Name(ProjectName),
    /// A text that is not a valid project name.
    Nothing(String),
}

impl ProjectRef {
    fn parse(text: &str, is_name: bool) -> Self {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && !is_name {
            return text
                .parse()
                .map_or_else(|_| Self::Nothing(text.to_owned()), Self::Id);
        }
        match text.parse() {
            Ok(name) => Self::Name(name),
            Err(_) => Self::Nothing(text.to_owned()),
        }
    }
}

impl std::fmt::Display for ProjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
            Self::Nothing(text) => text.fmt(f),
        }
    }
}

/// Name of the path parameter for a project.
const PROJECT: &str = "project_name_or_id";

impl Input for ProjectRef {
    fn parameters() -> Vec<Parameter> {
        let is_name = "True if digits are a name, not an ID.";
        vec![
            in_path(PROJECT, Type::String, "The project's ID or name."),
            in_header("X-Is-Resource-Name", Type::Boolean, is_name),
        ]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ProjectRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let text = path_param(parts, state, PROJECT).await?;
        // Clients encode names once or twice; no name holds a `%`.
        let text = decode_escapes(&text).unwrap_or(text);
        let is_name = header_flag(&parts.headers, "x-is-resource-name");
        Ok(Self::parse(&text, is_name))
    }
}

/// A project in a path that accepts names only.
pub(crate) struct ProjectByName(pub(crate) ProjectRef);

impl Input for ProjectByName {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("project_name", Type::String, "The project's name.")]
    }
}

impl From<ProjectByName> for ProjectRef {
    fn from(ProjectByName(named): ProjectByName) -> Self {
        named
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ProjectByName {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let text = path_param(parts, state, "project_name").await?;
        let text = decode_escapes(&text).unwrap_or(text);
        Ok(Self(ProjectRef::parse(&text, true)))
    }
}

/// The repository in a path: its project, and its name without the project.
pub(crate) struct RepositoryRef {
    project: ProjectRef,
    rest: String,
}

impl RepositoryRef {
    /// The whole name.
    ///
    /// # Errors
    /// [`Error::NotFound`] if no repository can have it.
    pub(crate) fn name(&self) -> Result<RepositoryName, Error> {
        self.to_string().parse().map_err(|_| self.missing())
    }

    /// The error for a repository that does not exist.
    pub(crate) fn missing(&self) -> Error {
        Error::NotFound(format!("repository {self} not found"))
    }
}

impl std::fmt::Display for RepositoryRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.project, self.rest)
    }
}

/// The project's name is a parameter of the extractor that finds the project.
impl Input for RepositoryRef {
    fn parameters() -> Vec<Parameter> {
        let name = "The repository's name without its project, with slashes encoded once or twice.";
        vec![in_path("repository_name", Type::String, name)]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RepositoryRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let ProjectByName(project) = ProjectByName::from_request_parts(parts, state).await?;
        let rest = path_param(parts, state, "repository_name").await?;
        // Clients encode slashes once or twice.
        let rest = decode_escapes(&rest).unwrap_or(rest);
        Ok(Self { project, rest })
    }
}

/// The user in a path.
pub(crate) struct UserRef(pub(crate) UserId);

impl Input for UserRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("user_id", Type::Integer, "The user's ID.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for UserRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "user_id")
            .await
            .map(|id| Self(UserId(id)))
    }
}

/// The deleted project in a path.
pub(crate) struct DeletedProjectRef(pub(crate) ProjectId);

impl Input for DeletedProjectRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path(
            "project_id",
            Type::Integer,
            "The deleted project's ID.",
        )]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DeletedProjectRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "project_id")
            .await
            .map(|id| Self(ProjectId(id)))
    }
}

/// The robot in a path.
pub(crate) struct RobotRef(pub(crate) RobotId);

impl Input for RobotRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("robot_id", Type::Integer, "The robot's ID.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RobotRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "robot_id")
            .await
            .map(|id| Self(RobotId(id)))
    }
}

/// The group in a path.
pub(crate) struct GroupRef(pub(crate) GroupId);

impl Input for GroupRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("group_id", Type::Integer, "The group's ID.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for GroupRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "group_id")
            .await
            .map(|id| Self(GroupId(id)))
    }
}

/// The session in a path.
pub(crate) struct SessionRef(pub(crate) SessionId);

impl Input for SessionRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("session_id", Type::Integer, "The session's ID.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SessionRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "session_id")
            .await
            .map(|id| Self(SessionId(id)))
    }
}

/// The membership in a path.
pub(crate) struct MemberRef(pub(crate) MemberId);

impl Input for MemberRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("mid", Type::Integer, "The membership's ID.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MemberRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "mid")
            .await
            .map(|id| Self(MemberId(id)))
    }
}

/// The project setting in a path.
pub(crate) struct MetadataName(pub(crate) String);

impl Input for MetadataName {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("meta_name", Type::String, "The setting's name.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MetadataName {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        path_param(parts, state, "meta_name").await.map(Self)
    }
}

/// A number in the path.
///
/// # Errors
/// For anything else.
pub(crate) async fn int_param<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<i64, Error> {
    let text = path_param(parts, state, name).await?;
    text.parse()
        .map_err(|_| Error::Validation(format!("{name} in path must be of type int64: {text:?}")))
}

/// A text in the path, with what clients encode twice decoded.
///
/// # Errors
/// For an invalid escape.
pub(crate) async fn text_param<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<String, Error> {
    let text = path_param(parts, state, name).await?;
    Ok(decode_escapes(&text).unwrap_or(text))
}

/// A text in the path.
///
/// # Errors
/// When it is not text.
pub(crate) async fn path_param<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<String, Error> {
    let unreadable = || Error::BadRequest("the path holds an invalid URL escape".to_owned());
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| unreadable())?;
    let found = params.iter().find(|(key, _)| *key == name);
    found
        .map(|(_, value)| value.to_owned())
        .ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_several_parameters_the_last_one_counts() {
        let params = Params::parse("a=1&b=x+y%21&a=2&&c").unwrap();
        assert_eq!(params.get("a"), Some("2"));
        assert_eq!(params.get("b"), Some("x y!"));
        assert_eq!(params.get("c"), None);
        assert!(params.required("c").is_err());
        assert_eq!(params.int("a").unwrap(), Some(2));
        assert!(params.int("b").is_err());
    }

    #[test]
    fn escapes_that_are_cut_short_or_not_utf8_are_refused() {
        for query in ["a=%", "a=%4", "a=%zz", "%g1=a", "a=%ff"] {
            assert!(Params::parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn nul_is_refused_and_so_is_a_text_that_is_longer_than_names() {
        let refused = |query: &str| Params::parse(query).unwrap_err().to_string();
        assert_eq!(refused("a=b%00c"), "a must not contain NUL");
        assert_eq!(refused("a%00=b"), "a parameter's name must not contain NUL");
        let long = |bytes: usize| Params::parse(&format!("a={}", "x".repeat(bytes))).unwrap();
        assert_eq!(long(255).text("a").unwrap().map(str::len), Some(255));
        assert_eq!(long(255).text("b").unwrap(), None);
        for error in [
            long(256).text("a").unwrap_err(),
            long(256).required("a").unwrap_err(),
        ] {
            assert_eq!(error.to_string(), "a has more than 255 bytes");
        }
    }

    #[test]
    fn digits_are_an_id_unless_said_otherwise() {
        assert_eq!(
            ProjectRef::parse("12", false),
            ProjectRef::Id(ProjectId(12))
        );
        let name = ProjectRef::Name("12".parse().unwrap());
        assert_eq!(ProjectRef::parse("12", true), name);
        let far = "99999999999999999999";
        assert_eq!(
            ProjectRef::parse(far, false),
            ProjectRef::Nothing(far.into())
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,80}") {
            let _ = Params::parse(&text);
            let _ = ProjectRef::parse(&text, false);
        }

        #[test]
        fn a_project_prints_back_unchanged(text in "[a-z][a-z0-9]{0,9}") {
            prop_assert_eq!(ProjectRef::parse(&text, false).to_string(), text);
        }
    }
}
