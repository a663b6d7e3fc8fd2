//! The database's URL, which may hold a password in two places.

use std::fmt;

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

    /// The whole URL, for connecting.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
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
