//! What a policy says.

use serde::{Deserialize, Serialize};

use super::{FilterText, Filters, InvalidFilter, Mapping};
use crate::{Cron, RegistryId};

/// Which way artifacts go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the other registry.
    Push,
    /// From the other registry.
    Pull,
}

/// What starts a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TriggerKind {
    /// Somebody.
    Manual,
    /// The clock.
    Scheduled,
    /// What happens here.
    EventBased,
}

impl TriggerKind {
    /// Harbor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
            Self::EventBased => "event_based",
        }
    }

    /// The trigger with Harbor's name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = [Self::Manual, Self::Scheduled, Self::EventBased].into_iter();
        all.find(|kind| kind.name() == name)
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyContent {
    /// Its name, unique.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Which way artifacts go.
    pub direction: Direction,
    /// The other registry.
    pub registry: RegistryId,
    /// Where they go there, or here.
    pub mapping: Mapping,
    /// What is copied.
    pub filters: Vec<FilterText>,
    /// What starts it.
    pub trigger: TriggerKind,
    /// When, if the clock does.
    pub cron: Option<Cron>,
    /// Whether what is deleted at the source is deleted at the destination, if it was copied there.
    pub deletion: bool,
    /// Whether a tag of the destination that points elsewhere is moved.
    pub overrides: bool,
    /// Whether it may run.
    pub enabled: bool,
    /// Kilobits per second of each task; 0 for no limit.
    pub speed: i64,
    /// Whether large blobs go in chunks, from which a broken copy resumes.
    pub copy_by_chunk: bool,
    /// Whether no run begins while another one goes on.
    pub single_active: bool,
}

/// Why a policy is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// It has no name.
    #[error("empty name")]
    NoName,
    /// A text is too long.
    #[error("{0}: at most {1} bytes")]
    TooLong(&'static str, usize),
    /// The namespace is no part of a name.
    #[error("dest_namespace: lower-case letters and digits with separators, parts separated by /")]
    Namespace,
    /// A filter is not valid.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
    /// Neither or both registries are others.
    #[error(
        "either src_registry or dest_registry should be empty and the other one shouldn't be empty"
    )]
    Registries,
    /// The trigger is unknown.
    #[error("invalid trigger type: {0}")]
    Trigger(String),
    /// What happens at another registry is not known here.
    #[error(
        "event_based: only for what is pushed here, so the destination must be another registry"
    )]
    EventOfOther,
    /// Runs that begin by events may be several.
    #[error("single_active_replication cannot be set for event_based policies")]
    SingleByEvent,
    /// The schedule is not valid.
    #[error("invalid cron string for scheduled trigger: {0}")]
    Cron(String),
}

/// Bytes of a name and of a namespace.
const LONGEST_NAME: usize = 256;
/// Bytes of a description.
const LONGEST_DESCRIPTION: usize = 1_024;

impl PolicyContent {
    /// The policy, if it is valid.
    ///
    /// # Errors
    /// What is not.
    pub fn checked(self) -> Result<Self, InvalidPolicy> {
        if self.name.trim().is_empty() {
            return Err(InvalidPolicy::NoName);
        }
        for (field, text, most) in [
            ("name", &self.name, LONGEST_NAME),
            ("description", &self.description, LONGEST_DESCRIPTION),
            ("dest_namespace", &self.mapping.namespace, LONGEST_NAME),
        ] {
            if text.len() > most {
                return Err(InvalidPolicy::TooLong(field, most));
            }
        }
        let namespace = self.mapping.namespace.trim_matches('/');
        if !namespace.is_empty() {
            let sample = format!("{namespace}/x");
            let is_name = sample.parse::<crate::RepositoryName>().is_ok();
            is_name.then_some(()).ok_or(InvalidPolicy::Namespace)?;
        }
        Filters::compile(&self.filters)?;
        // Only of what is given anew: what is stored stays readable.
        Filters::check_excluded(&self.filters)?;
        self.check_trigger()?;
        Ok(self)
    }

    fn check_trigger(&self) -> Result<(), InvalidPolicy> {
        match (self.trigger, self.direction) {
            (TriggerKind::EventBased, Direction::Pull) => Err(InvalidPolicy::EventOfOther),
            (TriggerKind::EventBased, Direction::Push) if self.single_active => {
                Err(InvalidPolicy::SingleByEvent)
            }
            (TriggerKind::Scheduled, _) if self.cron.is_none() => {
                Err(InvalidPolicy::Cron(String::new()))
            }
            _ => Ok(()),
        }
    }

    /// The schedule of a text, as Harbor takes it: the second is 0, and the minute is not `*`.
    ///
    /// # Errors
    /// [`InvalidPolicy::Cron`].
    pub fn cron(text: &str) -> Result<Cron, InvalidPolicy> {
        let invalid = || InvalidPolicy::Cron(text.to_owned());
        let mut fields = text.split_whitespace();
        let is_rare = fields.next() == Some("0") && fields.next() != Some("*");
        let cron = text.parse().map_err(|_| invalid())?;
        is_rare.then_some(cron).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> PolicyContent {
        PolicyContent {
            name: "out".into(),
            description: String::new(),
            direction: Direction::Push,
            registry: RegistryId(1),
            mapping: Mapping::default(),
            filters: Vec::new(),
            trigger: TriggerKind::Manual,
            cron: None,
            deletion: false,
            overrides: false,
            enabled: true,
            speed: 0,
            copy_by_chunk: false,
            single_active: false,
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        policy().checked().unwrap();
        let name = String::new();
        let unnamed = PolicyContent { name, ..policy() };
        assert_eq!(unnamed.checked(), Err(InvalidPolicy::NoName));
        let by_event = PolicyContent {
            trigger: TriggerKind::EventBased,
            direction: Direction::Pull,
            ..policy()
        };
        assert_eq!(by_event.checked(), Err(InvalidPolicy::EventOfOther));
        let mut elsewhere = policy();
        elsewhere.mapping.namespace = "No Name".into();
        assert_eq!(elsewhere.checked(), Err(InvalidPolicy::Namespace));
    }

    #[test]
    fn a_schedule_is_not_more_often_than_in_harbor() {
        for text in ["0 0 * * * *", "0 */5 * * * *"] {
            PolicyContent::cron(text).unwrap();
        }
        for text in ["zzz", "* 0 * * * *", "0 * * * * *", "5 0 * * * *", ""] {
            assert!(PolicyContent::cron(text).is_err(), "{text}");
        }
    }
}
