//! What settings hold, who reads them and what a change does; how a value is read from JSON and checked.

use model::StorageLimit;
use policy::ProjectCreation;
use serde_json::Value;

use crate::secret::Secret;

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

/// Why JSON is no value of a setting.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It is of another type.
    Kind,
    /// It breaks a rule: what it must be.
    Rule(String),
}

impl Kind {
    pub(super) const fn described(self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Number => "a whole number",
            Self::Text | Self::Secret => "text",
        }
    }
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
        let text = bounded(json, LONGEST)?;
        if text.chars().any(char::is_control) {
            let reason = "must not contain line breaks or other control characters";
            return Err(Unfit::Rule(reason.to_owned()));
        }
        Ok(text)
    }

    fn to_json(&self) -> Value {
        self.as_str().into()
    }
}

/// A text that is not too long.
fn bounded(json: &Value, longest: usize) -> Result<String, Unfit> {
    let text = json.as_str().ok_or(Unfit::Kind)?;
    if text.len() > longest {
        let reason = format!("must have at most {longest} bytes");
        return Err(Unfit::Rule(reason));
    }
    Ok(text.to_owned())
}

/// Certificates in PEM, which is text of several lines; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pem(String);

/// Most bytes of certificates in PEM.
const LONGEST_PEM: usize = 65_536;

impl Pem {
    /// The text; `None` if it is empty.
    pub fn text(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.trim().is_empty())
    }
}

impl Held for Pem {
    const KIND: Kind = Kind::Text;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        bounded(json, LONGEST_PEM).map(Self)
    }

    fn to_json(&self) -> Value {
        self.0.as_str().into()
    }
}

impl Held for Secret {
    const KIND: Kind = Kind::Secret;

    /// Of several lines, where it is a key in PEM.
    fn from_json(json: &Value) -> Result<Self, Unfit> {
        let text = bounded(json, LONGEST)?;
        let is_key = text.starts_with("-----BEGIN ");
        if text.chars().any(|it| it.is_control() && !is_key) {
            let reason = "must not contain line breaks or other control characters";
            return Err(Unfit::Rule(reason.to_owned()));
        }
        Ok(Self::new(text))
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
