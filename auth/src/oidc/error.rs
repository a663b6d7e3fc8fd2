//! Why a sign-in by the provider fails.

/// Why a sign-in by the provider fails. Messages name no addresses and no secrets; sources do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No provider is configured.
    #[error(
        "no OIDC provider is configured: a system administrator sets oidc_endpoint, oidc_client_id and external_url"
    )]
    NotConfigured,
    /// A setting cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The provider cannot be reached, or does not answer in time.
    #[error("the OIDC provider cannot be reached")]
    Unreachable(#[source] outgoing::Error),
    /// The provider did not answer a moment ago, and is not asked again yet.
    #[error("the OIDC provider did not answer as it should a moment ago: try again")]
    Down,
    /// The provider answers, but not as it must.
    #[error("the OIDC provider does not answer as it should: {0}")]
    Protocol(String),
    /// The provider refuses Gantry itself.
    #[error("the OIDC provider refuses Gantry: {0}")]
    Client(String),
    /// The provider refuses a code or a refresh token.
    #[error("the OIDC provider refuses the sign-in: {0}")]
    Refused(String),
    /// A token is invalid.
    #[error("the OIDC provider's token is refused: {0}")]
    Token(&'static str),
    /// The callback does not belong to a current sign-in of this browser.
    #[error(
        "the sign-in does not belong to this browser, was used already, or took longer than 10 minutes: begin it again"
    )]
    State,
    /// The provider no longer confirms the account, or cannot be asked.
    #[error("{0}")]
    Ended(&'static str),
    /// Another process is asking the provider about the account.
    #[error("the OIDC provider is being asked about the account: try again")]
    Busy,
    /// The account could not be changed.
    #[error(transparent)]
    Account(#[from] tenancy::Error),
    /// The database cannot be read or written.
    #[error("the database did not serve the sign-in")]
    Database(#[from] db::Error),
}

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The error with all its causes, on one line, for administrators.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// True if the provider gave no answer about the account, so that a later attempt may succeed.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::NotConfigured
            | Self::Settings(_)
            | Self::Unreachable(_)
            | Self::Protocol(_)
            | Self::Client(_)
            | Self::Token(_)
            | Self::Busy
            | Self::Down
            | Self::Account(_)
            | Self::Database(_) => true,
            Self::Refused(_) | Self::State | Self::Ended(_) => false,
        }
    }
}
