//! Why a directory gave no usable answer.

use std::sync::Arc;

/// Why a directory gave no answer. Messages may be shown to people who sign in; sources, which name addresses and
/// entries, are for administrators.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No directory is configured.
    #[error("no directory is configured: set ldap_url and ldap_base_dn")]
    NotConfigured,
    /// The settings cannot be used.
    #[error("the directory's settings cannot be used: {0}")]
    Settings(String),
    /// None of its addresses could be connected to.
    #[error("the directory cannot be reached")]
    Unreachable(#[source] Cause),
    /// TLS was not agreed on.
    #[error("no encrypted connection to the directory can be made")]
    Tls(#[source] Cause),
    /// The directory requires TLS, or a signed connection, for passwords.
    #[error(
        "the directory wants an encrypted connection: set ldap_starttls, or ldap_url to ldaps://"
    )]
    StrongAuth(#[source] Cause),
    /// It refuses the entry for searches.
    #[error("the directory refuses ldap_search_dn or its password")]
    SearchRefused(#[source] Cause),
    /// An answer was cut off at a limit: it is incomplete.
    #[error("the directory cut its answer at a limit ({0}): what it said before stays in force")]
    Cut(&'static str),
    /// The entry where a search begins does not exist.
    #[error(
        "an entry where searches begin is not in the directory: check ldap_base_dn and ldap_group_base_dn"
    )]
    NoBase(#[source] Cause),
    /// Several entries have the same name.
    #[error("several entries of the directory have the name: make ldap_filter narrower")]
    Ambiguous,
    /// It took too long.
    #[error("the directory did not answer in time")]
    Timeout,
    /// Too many requests wait for it.
    #[error("too many requests wait for the directory: try again")]
    Busy,
    /// It does not support a rule or an attribute in the filter.
    #[error("the directory does not know what ldap_group_lookup or a filter asks for")]
    RuleUnknown(#[source] Cause),
    /// It answered with an error.
    #[error("the directory could not do it")]
    Refused(#[source] Cause),
    /// It sent something that is not LDAP.
    #[error("the directory's answer is not understood")]
    Protocol(#[source] Cause),
}

/// The cause of an error.
pub(crate) type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Result of asking a directory.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// True if another connection may do better.
    pub(super) const fn is_of_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Tls(_) | Self::Timeout | Self::Protocol(_)
        )
    }

    /// The error with all its causes, on one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
