//! The database's URL, which may hold a password in two places.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize, Serializer};
use tenancy::secret::Secret;

/// `postgres://…`, or empty for SQLite. It prints as scheme, host and database only.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct DatabaseUrl(Secret);

impl DatabaseUrl {
    /// Whether the database is SQLite.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.expose().is_empty()
    }

    /// The same with a password for its user, which is any text.
    ///
    /// # Errors
    /// If it names no user, or has a password already.
    pub(super) fn with_password(&self, password: &str) -> Result<Self, &'static str> {
        let parts = self.0.expose().split_once("://");
        let named = parts.and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?)));
        let Some((scheme, (user, place))) = named.filter(|(_, (user, _))| is_user(user)) else {
            return Err("[database] url names no user: write postgres://USER@HOST/NAME");
        };
        if user.contains(':') {
            return Err("[database] url has a password already: remove one of them");
        }
        let password = utf8_percent_encode(password, NON_ALPHANUMERIC);
        Ok(format!("{scheme}://{user}:{password}@{place}").into())
    }

    /// The whole URL, for connecting.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Whether this comes before the host of a URL, and is not a part of its path or query.
fn is_user(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '?'])
}

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(Secret::new(url))
    }
}

/// Without user, password and query. Text that is not a URL is not shown at all.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.expose();
        let Some((scheme, rest)) = text.split_once("://") else {
            return f.write_str(if text.is_empty() { "" } else { "***" });
        };
        let host_ends = rest.find(['/', '?']).unwrap_or(rest.len());
        // With an unescaped @, / or ? in a password, its end is unknown.
        if rest.matches('@').count() > 1 || rest[host_ends..].contains('@') {
            return write!(f, "{scheme}://***");
        }
        let (place, query) = match rest.split_once('?') {
            Some((place, _)) => (place, "?***"),
            None => (rest, ""),
        };
        match place.split_once('@') {
            Some((_, host)) => write!(f, "{scheme}://***@{host}{query}"),
            None => write!(f, "{scheme}://{place}{query}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_any_characters_is_the_users() {
        let url = DatabaseUrl::from("postgres://u@h:5432/d?sslmode=require".to_owned());
        let whole = url.with_password("a%b?c;d@e:f/g h").unwrap();
        assert_eq!(whole.to_string(), "postgres://***@h:5432/d?***");
        assert_eq!(
            whole.expose(),
            "postgres://u:a%25b%3Fc%3Bd%40e%3Af%2Fg%20h@h:5432/d?sslmode=require"
        );
    }

    #[test]
    fn a_password_needs_a_user_without_one() {
        for (url, why) in [
            ("", "no user"),
            ("postgres://h/d", "no user"),
            ("postgres://h/d?application_name=a@b", "no user"),
            ("postgres://@h/d", "no user"),
            ("postgres://u:p@h/d", "a password already"),
        ] {
            let error = DatabaseUrl::from(url.to_owned()).with_password("p");
            assert!(error.unwrap_err().contains(why), "{url}");
        }
    }

    #[test]
    fn neither_user_nor_password_nor_query_print() {
        for (url, shown) in [
            ("", ""),
            ("postgres://u:hunter2@h/d", "postgres://***@h/d"),
            (
                "postgres://h/d?user=u&password=hunter2",
                "postgres://h/d?***",
            ),
            (
                "postgres://u:hunter2@h:5432/d?sslmode=require",
                "postgres://***@h:5432/d?***",
            ),
            ("postgres://u:hun@ter2@h/d", "postgres://***"),
            ("postgres://u:hun/ter2@h/d", "postgres://***"),
            ("postgres://u:hun?ter2@h/d", "postgres://***"),
            ("postgres://u:a@hunter2/b@h/d", "postgres://***"),
            ("hunter2", "***"),
        ] {
            let url = DatabaseUrl::from(url.to_owned());
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }
}
