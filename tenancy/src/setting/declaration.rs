//! What a setting is: its name, kind, readers and effect, and how a value of it is read from JSON and checked.

use model::StorageLimit;
use policy::ProjectCreation;
use serde_json::Value;

use super::declared::{DECLARED, Values};
use crate::secret::Secret;

/// A setting of the installation.
pub struct Declaration {
    /// Its name, which is Harbor's.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Who may read it.
    pub readers: Readers,
    /// Whether a change has an effect.
    pub effect: Effect,
    /// What it means, in a sentence or two.
    pub(super) meaning: &'static str,
    pub(super) get: fn(&Values) -> Value,
    pub(super) put: fn(&mut Values, &Value) -> Result<(), Unfit>,
}

/// What the values of a setting are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// Text.
    Text,
    /// Text that is stored encrypted and never shown.
    Secret,
}

/// Who may read a setting. System administrators read all but secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everyone, by `GET /systeminfo`.
    Everyone,
    /// Whoever is signed in, by `GET /systeminfo`.
    SignedIn,
    /// System administrators.
    Administrators,
    /// Nobody: it is a secret.
    Nobody,
}

/// Whether a change of a setting has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At once.
    Now,
    /// Once the function is there to which it belongs. It is kept until then.
    Later,
    /// Never, and so it is not changed, for this reason.
    Never(&'static str),
}

/// Why a setting is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// No setting has the name.
    #[error("{name}: there is no such setting{}", near.map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// The name.
        name: String,
        /// A name that is like it.
        near: Option<&'static str>,
    },
    /// The value is of another type.
    #[error("{name}: must be {}", kind.described())]
    WrongKind {
        /// The setting.
        name: &'static str,
        /// What it should be.
        kind: Kind,
    },
    /// The value breaks a rule.
    #[error("{name}: {reason}")]
    BadValue {
        /// The setting.
        name: &'static str,
        /// What it must be.
        reason: String,
    },
    /// The setting has one value.
    #[error("{name}: cannot be changed: {reason}")]
    Unchangeable {
        /// The setting.
        name: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The setting is fixed outside of the database.
    #[error(
        "{name}: is fixed by [settings] {name} of the configuration file or by GANTRY_SETTINGS__{}: change it there",
        name.to_uppercase()
    )]
    Fixed {
        /// The setting.
        name: &'static str,
    },
}

/// Why JSON is no value of a setting.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It is of another type.
    Kind,
    /// It breaks a rule: what it must be.
    Rule(String),
}

impl Kind {
    const fn described(self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Number => "a whole number",
            Self::Text | Self::Secret => "text",
        }
    }
}

impl Declaration {
    /// The setting with a name.
    ///
    /// # Errors
    /// [`InvalidSetting::Unknown`].
    pub fn named(name: &str) -> Result<&'static Self, InvalidSetting> {
        let found = DECLARED.iter().find(|declared| declared.name == name);
        found.ok_or_else(|| InvalidSetting::Unknown {
            name: name.to_owned(),
            near: near(name),
        })
    }

    /// What it means, in a sentence or two.
    pub fn meaning(&self) -> &'static str {
        self.meaning.trim()
    }

    /// Its value where nothing was changed.
    pub fn initial(&self) -> Value {
        (self.get)(&Values::default())
    }

    /// Its value, secret or not.
    pub(super) fn of(&self, values: &Values) -> Value {
        (self.get)(values)
    }

    /// Sets it, if the value is one of it.
    pub(super) fn set(&self, values: &mut Values, value: &Value) -> Result<(), InvalidSetting> {
        let name = self.name;
        (self.put)(values, value).map_err(|unfit| match unfit {
            Unfit::Kind => InvalidSetting::WrongKind {
                name,
                kind: self.kind,
            },
            Unfit::Rule(reason) => InvalidSetting::BadValue { name, reason },
        })
    }

    /// Text as JSON of its kind, for where all is text: `true`, `30`, `everyone`.
    ///
    /// # Errors
    /// [`InvalidSetting::WrongKind`].
    pub fn from_text(&self, text: &str) -> Result<Value, InvalidSetting> {
        let wrong = || InvalidSetting::WrongKind {
            name: self.name,
            kind: self.kind,
        };
        match self.kind {
            Kind::Flag => text.parse().map(Value::Bool).map_err(|_| wrong()),
            Kind::Number => {
                let number: Result<i64, _> = text.parse();
                number.map(Value::from).map_err(|_| wrong())
            }
            Kind::Text | Kind::Secret => Ok(text.into()),
        }
    }
}

/// The setting whose name is most like a text.
fn near(name: &str) -> Option<&'static str> {
    const NEAR: f64 = 0.85;
    let likeness = DECLARED.iter().map(|declared| {
        let likeness = strsim::jaro_winkler(name, declared.name);
        (likeness, declared.name)
    });
    let best = likeness.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > NEAR)
        .map(|(_, name)| name)
}

/// A type that a setting holds.
pub(super) trait Held: Sized {
    const KIND: Kind;

    fn from_json(json: &Value) -> Result<Self, Unfit>;

    fn to_json(&self) -> Value;
}

/// Reads a value and applies the setting's own rule, which may tidy it.
pub(super) fn read<T: Held>(json: &Value, rule: fn(T) -> Result<T, String>) -> Result<T, Unfit> {
    rule(T::from_json(json)?).map_err(Unfit::Rule)
}

impl Held for bool {
    const KIND: Kind = Kind::Flag;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        json.as_bool().ok_or(Unfit::Kind)
    }

    fn to_json(&self) -> Value {
        (*self).into()
    }
}

impl Held for i64 {
    const KIND: Kind = Kind::Number;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        json.as_i64().ok_or(Unfit::Kind)
    }

    fn to_json(&self) -> Value {
        (*self).into()
    }
}

/// Most bytes of a text.
const LONGEST: usize = 4_096;

impl Held for String {
    const KIND: Kind = Kind::Text;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        let text = json.as_str().ok_or(Unfit::Kind)?;
        let rule = |reason: String| Err(Unfit::Rule(reason));
        if text.len() > LONGEST {
            return rule(format!("must have at most {LONGEST} bytes"));
        }
        if text.chars().any(char::is_control) {
            return rule("must not contain line breaks or other control characters".to_owned());
        }
        Ok(text.to_owned())
    }

    fn to_json(&self) -> Value {
        self.as_str().into()
    }
}

impl Held for Secret {
    const KIND: Kind = Kind::Secret;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        String::from_json(json).map(Self::new)
    }

    fn to_json(&self) -> Value {
        self.expose().into()
    }
}

impl Held for StorageLimit {
    const KIND: Kind = Kind::Number;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        let reason =
            "must be a number of bytes from 1 to 1125899906842624 (1 PiB), or -1 for no limit";
        let bytes = i64::from_json(json)?;
        Self::try_from(bytes).map_err(|_| Unfit::Rule(reason.to_owned()))
    }

    fn to_json(&self) -> Value {
        self.bytes().into()
    }
}

impl Held for ProjectCreation {
    const KIND: Kind = Kind::Text;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        match json.as_str() {
            None => Err(Unfit::Kind),
            Some("everyone") => Ok(Self::Everyone),
            Some("adminonly") => Ok(Self::Admins),
            Some(_) => Err(Unfit::Rule("must be everyone or adminonly".to_owned())),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Everyone => "everyone",
            Self::Admins => "adminonly",
        }
        .into()
    }
}
