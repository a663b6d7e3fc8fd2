//! Settings that the configuration file or the environment fixes.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::declared::{Declaration, Values};
use super::kind::{Effect, Kind};
use crate::InvalidSetting;

/// Fixed settings, by name, without those that can never be changed.
#[derive(Clone, Default)]
pub struct Fixed(BTreeMap<&'static str, Value>);

impl Fixed {
    /// Fixes settings.
    ///
    /// # Errors
    /// When one is unknown or cannot be changed, or a value breaks its rule.
    pub fn new(given: BTreeMap<String, Value>) -> Result<Self, InvalidSetting> {
        let (mut fixed, mut values) = (BTreeMap::new(), Values::default());
        for (name, value) in given {
            let declaration = Declaration::named(&name)?;
            declaration.set(&mut values, &value)?;
            if let Effect::Never(reason) = declaration.effect {
                let name = declaration.name;
                return Err(InvalidSetting::Unchangeable { name, reason });
            }
            fixed.insert(declaration.name, value);
        }
        Ok(Self(fixed))
    }

    /// Fixes one more, unless it is fixed already.
    ///
    /// # Errors
    /// As [`Fixed::new`]; and if it is fixed to another value, which the error names.
    pub fn and(mut self, name: &str, value: Value) -> Result<Self, InvalidSetting> {
        let declaration = Declaration::named(name)?;
        let mut values = Values::default();
        declaration.set(&mut values, &value)?;
        let value = declaration.of(&values);
        if let Some(found) = self.0.get(declaration.name) {
            declaration.set(&mut values, found)?;
            if declaration.of(&values) != value {
                let (name, reason) = (
                    declaration.name,
                    format!("is fixed twice: {value} and {found}"),
                );
                return Err(InvalidSetting::BadValue { name, reason });
            }
        }
        self.0.insert(declaration.name, value);
        Ok(self)
    }

    /// Whether a setting is fixed.
    pub(super) fn has(&self, declaration: &Declaration) -> bool {
        self.0.contains_key(declaration.name)
    }

    pub(super) fn set(&self, values: &mut Values) {
        for (name, value) in &self.0 {
            let set = Declaration::named(name).and_then(|found| found.set(values, value));
            set.expect("it was checked when it was fixed");
        }
    }
}

/// Secrets do not print.
impl std::fmt::Debug for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'de> Deserialize<'de> for Fixed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Writes `***` for secrets, so that a configuration can be shown.
impl Serialize for Fixed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| {
            let declared = Declaration::named(name);
            let secret = declared.is_ok_and(|declared| declared.kind == Kind::Secret);
            (
                name,
                if secret {
                    Value::from("***")
                } else {
                    value.clone()
                },
            )
        }))
    }
}
