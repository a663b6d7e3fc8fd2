//! Attributes of new robots: name, lifetime and description.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{ProjectName, Timestamp};

/// The name of a robot, without the prefix of all robots and without its project: as strict as a project's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RobotName(ProjectName);

/// The text is not a robot's name. The message is Harbor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("robot name is not in lower case or contains illegal characters")]
pub struct InvalidRobotName;

impl RobotName {
    /// The name among the robots of a project, or of the system: `team+ci`, `ci`.
    pub fn within(&self, project: Option<&ProjectName>) -> String {
        match project {
            Some(project) => format!("{project}+{self}"),
            None => self.to_string(),
        }
    }
}

impl FromStr for RobotName {
    type Err = InvalidRobotName;

    fn from_str(text: &str) -> Result<Self, InvalidRobotName> {
        let name = text.parse().map_err(|_| InvalidRobotName)?;
        Ok(Self(name))
    }
}

impl fmt::Display for RobotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How long a robot is valid, counted from when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is deleted or disabled.
    Forever,
    /// For this many days, at most a century.
    Days(i64),
}

/// The number is not a valid lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("duration: must be -1 for ever, or from 1 to {LONGEST_DAYS} days")]
pub struct InvalidLifetime;

/// Maximum lifetime in days.
const LONGEST_DAYS: i64 = 36_500;
/// Seconds of a day.
const DAY: u64 = 86_400;

impl Lifetime {
    /// Days, or -1.
    pub const fn days(self) -> i64 {
        match self {
            Self::Forever => -1,
            Self::Days(days) => days,
        }
    }

    /// When a robot made at `made` expires; `None` if it does not.
    pub fn end(self, made: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Forever => None,
            Self::Days(days) => Some(made.plus(Duration::from_secs(days.unsigned_abs() * DAY))),
        }
    }
}

impl TryFrom<i64> for Lifetime {
    type Error = InvalidLifetime;

    fn try_from(days: i64) -> Result<Self, InvalidLifetime> {
        match days {
            -1 => Ok(Self::Forever),
            1..=LONGEST_DAYS => Ok(Self::Days(days)),
            _ => Err(InvalidLifetime),
        }
    }
}

/// How long a robot's replaced secret works beside the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecretGrace(u8);

/// The number is not a valid grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("grace_days: must be from 0 to {LONGEST_GRACE}")]
pub struct InvalidSecretGrace;

/// Maximum grace in days.
const LONGEST_GRACE: u8 = 30;

impl SecretGrace {
    /// The days.
    pub const fn days(self) -> u8 {
        self.0
    }

    /// Until when a secret that is replaced now works; `None` if it ends at once.
    pub fn end(self, now: Timestamp) -> Option<Timestamp> {
        (self.0 > 0).then(|| now.plus(Duration::from_secs(u64::from(self.0) * DAY)))
    }
}

impl TryFrom<i64> for SecretGrace {
    type Error = InvalidSecretGrace;

    fn try_from(days: i64) -> Result<Self, InvalidSecretGrace> {
        let days = u8::try_from(days).map_err(|_| InvalidSecretGrace)?;
        match days {
            0..=LONGEST_GRACE => Ok(Self(days)),
            _ => Err(InvalidSecretGrace),
        }
    }
}

/// A robot's description: at most 1,024 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RobotDescription(String);

/// The description is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("description: must have at most {LONGEST_DESCRIPTION} characters")]
pub struct InvalidRobotDescription;

const LONGEST_DESCRIPTION: usize = 1_024;

impl RobotDescription {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RobotDescription {
    type Error = InvalidRobotDescription;

    fn try_from(text: String) -> Result<Self, InvalidRobotDescription> {
        if text.chars().nth(LONGEST_DESCRIPTION).is_some() {
            return Err(InvalidRobotDescription);
        }
        Ok(Self(text))
    }
}

/// Who created a robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobotMaker {
    /// A person; the command line counts as the built-in administrator.
    User(crate::UserId),
    /// Another robot.
    Robot(crate::RobotId),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_robot_of_a_project_is_named_after_it() {
        let (name, project): (RobotName, ProjectName) =
            ("ci".parse().unwrap(), "team".parse().unwrap());
        assert_eq!(name.within(Some(&project)), "team+ci");
        assert_eq!(name.within(None), "ci");
        for bad in ["", "CI", "a b", "a+b", "-a", "a..b", "robot$ci"] {
            assert!(bad.parse::<RobotName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_lifetime_is_counted_from_when_the_robot_was_made() {
        let made = Timestamp(1_000_000);
        assert_eq!(Lifetime::try_from(-1).unwrap().end(made), None);
        let day = Lifetime::try_from(1).unwrap();
        assert_eq!(day.end(made), Some(Timestamp(86_401_000_000)));
        for bad in [0, -2, 36_501, i64::MAX, i64::MIN] {
            assert!(Lifetime::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_grace_has_up_to_30_days() {
        let end = |days| SecretGrace::try_from(days).map(|grace| grace.end(Timestamp(0)));
        assert_eq!(end(0), Ok(None));
        assert_eq!(end(30), Ok(Some(Timestamp(30 * 86_400_000_000))));
        for bad in [-1, 31, 256, i64::MAX] {
            assert_eq!(end(bad), Err(InvalidSecretGrace), "{bad}");
        }
    }

    #[test]
    fn a_description_is_bounded() {
        assert!(RobotDescription::try_from("ä".repeat(1_024)).is_ok());
        assert!(RobotDescription::try_from("ä".repeat(1_025)).is_err());
    }

    proptest! {
        #[test]
        fn a_name_prints_back_unchanged(text in "[a-z0-9]{1,20}([._-][a-z0-9]{1,20}){0,3}") {
            prop_assert_eq!(text.parse::<RobotName>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,80}") {
            let _ = text.parse::<RobotName>();
        }
    }
}
