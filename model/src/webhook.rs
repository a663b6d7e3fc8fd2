//! Webhooks: which events of a project are sent where, and in which form. Sending is a job's affair.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::WebhookTargetId;

macro_rules! names {
    ($(#[$doc:meta])* $kind:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $kind {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Harbor's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The one with Harbor's name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

names! {
    /// The types of events that a policy may ask for.
    WebhookEvent {
        /// An artifact was deleted, or a repository with all of its artifacts.
        DeleteArtifact = "DELETE_ARTIFACT",
        /// An artifact was pulled.
        PullArtifact = "PULL_ARTIFACT",
        /// An artifact was pushed or copied, or a tag was set.
        PushArtifact = "PUSH_ARTIFACT",
        /// A push was refused, as the project would have exceeded its quota.
        QuotaExceed = "QUOTA_EXCEED",
        /// A push left the project nearly full.
        QuotaWarning = "QUOTA_WARNING",
        /// A repository was copied by replication, or was not.
        Replication = "REPLICATION",
        /// A scan ended. It never happens yet.
        ScanningCompleted = "SCANNING_COMPLETED",
        /// A scan failed. It never happens yet.
        ScanningFailed = "SCANNING_FAILED",
        /// A scan was stopped. It never happens yet.
        ScanningStopped = "SCANNING_STOPPED",
        /// Retention deleted artifacts of a repository.
        TagRetention = "TAG_RETENTION",
    }
}

impl WebhookEvent {
    /// The type in CloudEvents, as in Harbor.
    pub const fn cloud_name(self) -> &'static str {
        match self {
            Self::PushArtifact => "harbor.artifact.pushed",
            Self::PullArtifact => "harbor.artifact.pulled",
            Self::DeleteArtifact => "harbor.artifact.deleted",
            Self::QuotaExceed => "harbor.quota.exceeded",
            Self::QuotaWarning => "harbor.quota.warned",
            Self::ScanningCompleted => "harbor.scan.completed",
            Self::ScanningFailed => "harbor.scan.failed",
            Self::ScanningStopped => "harbor.scan.stopped",
            Self::Replication => "harbor.replication.status.changed",
            Self::TagRetention => "harbor.tag_retention.finished",
        }
    }
}

names! {
    /// What takes the events.
    WebhookKind {
        /// Any server that speaks HTTP.
        Http = "http",
        /// Slack, or what takes messages in its form.
        Slack = "slack",
    }
}

names! {
    /// The form of what is sent over HTTP.
    WebhookFormat {
        /// Harbor's own.
        Default = "Default",
        /// CloudEvents 1.0, structured.
        CloudEvents = "CloudEvents",
    }
}

/// Where events are sent: a URL, as it was given. One without a scheme is `http://`, as in Harbor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebhookAddress(String);

/// The text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be https://HOST[:PORT]/PATH or http://, of at most 2048 printable ASCII characters, without a name and \
     a password in it: give these as auth_header"
)]
pub struct InvalidAddress;

impl WebhookAddress {
    const LONGEST: usize = 2_048;

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scheme and host, for where others read: paths of some receivers are secrets.
    pub fn place(&self) -> String {
        let url = self.url();
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        format!("{scheme}://{authority}")
    }

    /// The whole URL.
    pub fn url(&self) -> String {
        match self.0.contains("://") {
            true => self.0.clone(),
            false => format!("http://{}", self.0),
        }
    }
}

impl FromStr for WebhookAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some(("http" | "https", rest)) => rest,
            Some(_) => return Err(InvalidAddress),
            None => text,
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let is_whole = !authority.is_empty() && !authority.starts_with(':');
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        let has_other = text.contains(['\\', '#', '"', '<', '>', '^', '`', '{', '|', '}']);
        let valid = is_whole && is_plain && !has_other && !authority.contains('@');
        (valid && text.len() <= Self::LONGEST)
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidAddress)
    }
}

impl fmt::Display for WebhookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is sent, as executions have it: Harbor's attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookRequest {
    /// The type of event.
    pub event_type: String,
    /// The body.
    pub payload: String,
}

/// What there is to say about a delivery, as its task has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// The type of event.
    pub event_type: String,
    /// Where it is sent.
    pub target: WebhookTargetId,
    /// What that is.
    pub kind: String,
    /// The form of the body.
    pub format: String,
    /// The address to which it was sent, or is sent.
    pub address: String,
    /// The status of the last answer.
    #[serde(default)]
    pub status: Option<u16>,
    /// How long the last attempt took.
    #[serde(default)]
    pub duration_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_read_back() {
        for event in WebhookEvent::ALL {
            assert_eq!(WebhookEvent::from_name(event.name()), Some(*event));
            assert!(event.cloud_name().starts_with("harbor."));
        }
        assert_eq!(WebhookEvent::from_name("zzz"), None);
        assert_eq!(
            WebhookFormat::from_name("CloudEvents"),
            Some(WebhookFormat::CloudEvents)
        );
    }

    #[test]
    fn an_address_has_a_host_and_no_secrets() {
        let url = |text: &str| text.parse::<WebhookAddress>().map(|it| it.url());
        for given in [
            "https://ci.example/hook?a=b",
            "http://[::1]:8080",
            "http://a",
        ] {
            assert_eq!(url(given), Ok(given.to_owned()));
        }
        assert_eq!(url(" zzz "), Ok("http://zzz".to_owned()));
        let place = |text: &str| text.parse::<WebhookAddress>().map(|it| it.place());
        for given in [
            "https://chat.example:8443/services/secret",
            "https://chat.example:8443?secret",
        ] {
            assert_eq!(place(given), Ok("https://chat.example:8443".to_owned()));
        }
        assert_eq!(place("zzz/secret"), Ok("http://zzz".to_owned()));
        for wrong in [
            "",
            "http://",
            "https:///x",
            "ftp://a",
            "https://ann:secret@a/",
            "https://a/b c",
            "https://a/#b",
            "https://ä/",
            ":80/x",
        ] {
            assert_eq!(url(wrong), Err(InvalidAddress), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_an_address_panic(text in ".*") {
            let _ = text.parse::<WebhookAddress>();
        }

        #[test]
        fn an_address_prints_back_unchanged(text in "https?://[a-z]{1,9}(:[0-9]{1,4})?(/[a-z]{0,9}){0,3}") {
            prop_assert_eq!(text.parse::<WebhookAddress>().unwrap().to_string(), text);
        }
    }
}
