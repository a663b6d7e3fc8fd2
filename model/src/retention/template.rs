//! By what a rule keeps artifacts. The names are Harbor's.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::InvalidRules;

/// The time that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The last push of the artifact or one of its tags.
    Pushed,
    /// The last pull of the artifact or one of its tags.
    Pulled,
    /// Whichever of both is later.
    Active,
}

/// By what a rule keeps artifacts of those that it selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// The newest so many.
    Newest(Measure, usize),
    /// Those of the last so many days.
    Within(Measure, i64),
    /// All.
    Always,
}

/// The name of [`Template::Always`].
pub const ALWAYS: &str = "always";
/// Names of templates that keep the newest, and by what. The last one is of older versions of Harbor.
pub const NEWEST: [(&str, Measure); 3] = [
    ("latestPushedK", Measure::Pushed),
    ("latestPulledN", Measure::Pulled),
    ("latestActiveK", Measure::Active),
];
/// Names of templates that keep those of the last days, and by what. The last one is of older versions of Harbor.
pub const WITHIN: [(&str, Measure); 3] = [
    ("nDaysSinceLastPush", Measure::Pushed),
    ("nDaysSinceLastPull", Measure::Pulled),
    ("lastXDays", Measure::Pushed),
];

/// The largest number of artifacts.
const MOST: i64 = 32_766;
/// The largest number of days.
const LONGEST: i64 = 20_190_904;

impl Template {
    /// The template of a rule, which is named `at` in errors.
    pub(super) fn new(
        at: &str,
        name: &str,
        params: &BTreeMap<String, Value>,
    ) -> Result<Self, InvalidRules> {
        let known = |list: [(&str, Measure); 3]| {
            let mut list = list.into_iter();
            list.find(|(known, _)| *known == name)
                .map(|(_, measure)| measure)
        };
        let foreign = params.keys().find(|key| *key != name);
        let is_always = name == ALWAYS;
        let template = match (known(NEWEST), known(WITHIN)) {
            (Some(measure), _) => {
                let count = number((at, name), params, MOST)?;
                Self::Newest(measure, usize::try_from(count).unwrap_or_default())
            }
            (_, Some(measure)) => Self::Within(measure, number((at, name), params, LONGEST)?),
            _ if is_always => Self::Always,
            _ => {
                return Err(InvalidRules::field(
                    format!("{at}.template"),
                    "one of latestPushedK, latestPulledN, nDaysSinceLastPush, nDaysSinceLastPull and always",
                ));
            }
        };
        match foreign {
            Some(key) if !is_always => Err(InvalidRules::field(
                format!("{at}.params.{key}"),
                format!("left out: {name} has the parameter {name} alone"),
            )),
            _ => Ok(template),
        }
    }
}

fn number(
    (at, name): (&str, &str),
    params: &BTreeMap<String, Value>,
    most: i64,
) -> Result<i64, InvalidRules> {
    let given = params.get(name).and_then(Value::as_i64);
    let in_range = given.filter(|number| (0..=most).contains(number));
    in_range.ok_or_else(|| {
        InvalidRules::field(
            format!("{at}.params.{name}"),
            format!("a whole number from 0 to {most}"),
        )
    })
}

/// `latestPushedK 3`.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |list: [(&'static str, Measure); 3], measure: Measure| {
            let mut list = list.into_iter();
            list.find(|(_, known)| *known == measure)
                .map_or("", |(name, _)| name)
        };
        match self {
            Self::Newest(measure, count) => write!(f, "{} {count}", name(NEWEST, *measure)),
            Self::Within(measure, days) => write!(f, "{} {days}", name(WITHIN, *measure)),
            Self::Always => f.write_str(ALWAYS),
        }
    }
}
