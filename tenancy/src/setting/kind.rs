//! Types of settings, who reads them and what a change does; how a value is read from JSON and checked.

use model::StorageLimit;
use model::notification::Endpoint;
use policy::{ProjectCreation, ProjectDeletion};
use serde_json::Value;

use crate::secret::Secret;

/// The type of a setting's values.
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
    /// Signed-in callers, by `GET /systeminfo`.
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
    /// Never: it cannot be changed, for this reason.
    Never(&'static str),
}

/// Why JSON is not a value of a setting.
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

/// A type of a setting's value.
pub(super) trait Held: Sized {
    const KIND: Kind;

    fn from_json(json: &Value) -> Result<Self, Unfit>;

    fn to_json(&self) -> Value;
}

/// Reads a value and applies the setting's rule, which may normalize it.
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

/// Maximum bytes of a text.
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

impl Held for Secret {
    const KIND: Kind = Kind::Secret;

    /// A key in PEM may have several lines.
    fn from_json(json: &Value) -> Result<Self, Unfit> {
        let text = bounded(json, LONGEST)?;
        let is_key = text.starts_with("-----BEGIN ");
        if text.chars().any(|it| it.is_control() && !is_key) {
            let reason = "must not contain line breaks or other control characters";
            return Err(Unfit::Rule(reason.to_owned()));
        }
        // A mask that forms and commands show instead of a secret, sent back.
        let is_mask = !text.is_empty() && text.chars().all(|letter| "*•".contains(letter));
        if is_mask {
            let reason = "must be the secret itself, not what is shown in its place";
            return Err(Unfit::Rule(reason.to_owned()));
        }
        Ok(Self::new(text))
    }

    fn to_json(&self) -> Value {
        self.expose().into()
    }
}

/// Certificates as PEM, which has line breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates(String);

impl Certificates {
    /// The PEM, if there are any.
    pub fn pem(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }
}

impl Held for Certificates {
    const KIND: Kind = Kind::Text;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        /// Maximum bytes: a few certificates.
        const LONGEST: usize = 65_536;
        let text = json.as_str().ok_or(Unfit::Kind)?.trim();
        let framed = |begin: &str, end: &str| text.starts_with(begin) && text.ends_with(end);
        let is_pem = framed("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
        let is_fit = text.is_empty() || (is_pem && text.is_ascii() && text.len() <= LONGEST);
        if !is_fit {
            let reason = "must be certificates as PEM, -----BEGIN CERTIFICATE----- and so on, of at most 64 KiB";
            return Err(Unfit::Rule(reason.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    fn to_json(&self) -> Value {
        self.0.as_str().into()
    }
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// After connecting, before anything else is sent.
    #[default]
    StartTls,
    /// From the first byte.
    Wrapped,
    /// Not at all.
    None,
}

impl Held for MailTls {
    const KIND: Kind = Kind::Text;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        match json.as_str() {
            None => Err(Unfit::Kind),
            Some("starttls") => Ok(Self::StartTls),
            Some("tls") => Ok(Self::Wrapped),
            Some("none") => Ok(Self::None),
            Some(_) => Err(Unfit::Rule("must be starttls, tls or none".to_owned())),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::StartTls => "starttls",
            Self::Wrapped => "tls",
            Self::None => "none",
        }
        .into()
    }
}

/// Endpoints of registry notifications as JSON, which may have line breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints(String);

impl Endpoints {
    /// The endpoints.
    pub fn list(&self) -> Vec<Endpoint> {
        // It was checked when it was read.
        Endpoint::list(&self.0).unwrap_or_default()
    }
}

impl Held for Endpoints {
    const KIND: Kind = Kind::Text;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        /// Maximum bytes.
        const LONGEST: usize = 16_384;
        let text = bounded(json, LONGEST)?;
        Endpoint::list(&text).map_err(Unfit::Rule)?;
        Ok(Self(text.trim().to_owned()))
    }

    fn to_json(&self) -> Value {
        self.0.as_str().into()
    }
}

/// How a syslog server is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyslogProtocol {
    /// TCP, RFC 6587.
    #[default]
    Tcp,
    /// TLS, RFC 5425.
    Tls,
    /// UDP, RFC 5426.
    Udp,
}

impl SyslogProtocol {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
        }
    }
}

impl Held for SyslogProtocol {
    const KIND: Kind = Kind::Text;

    fn from_json(json: &Value) -> Result<Self, Unfit> {
        let text = json.as_str().ok_or(Unfit::Kind)?;
        let all = [Self::Tcp, Self::Tls, Self::Udp];
        let found = all.into_iter().find(|protocol| protocol.name() == text);
        found.ok_or_else(|| Unfit::Rule("must be tcp, tls or udp".to_owned()))
    }

    fn to_json(&self) -> Value {
        self.name().into()
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

impl Held for ProjectDeletion {
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
