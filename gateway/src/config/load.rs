//! Reading settings: defaults, then the file, then the environment, then the command line. Every key
//! must be known; one that is not is answered with the one that may have been meant.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Config;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is no TOML.
    #[error("{0} is not valid TOML: {1}")]
    Syntax(PathBuf, String),
    /// A key that does not exist.
    #[error("{origin}: unknown key {key}{}", .suggestion.as_ref().map(|s| format!("; did you mean {s}?")).unwrap_or_default())]
    UnknownKey {
        /// Where it stands.
        origin: String,
        /// The key.
        key: String,
        /// The nearest key that exists.
        suggestion: Option<String>,
    },
    /// A value of the wrong kind.
    #[error("{0}")]
    Value(String),
}

/// Prefix of environment variables that are settings.
const PREFIX: &str = "GANTRY_";

/// Reads the settings. Without a file the defaults hold.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let known = Table::try_from(Config::default())
        .map_err(|error| ConfigError::Value(error.to_string()))?;
    let mut merged = known.clone();
    let mut origin = "the settings".to_owned();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read(path.to_owned(), error))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::Syntax(path.to_owned(), error.to_string())
        })?;
        origin = path.display().to_string();
        merge(&mut merged, table, &known, &origin)?;
    }
    for (name, value) in environment {
        // Names without a double underscore, such as GANTRY_ADMIN_PASSWORD, are not settings.
        if let Some(path) = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__")) {
            let path = path.to_lowercase();
            let keys: Vec<&str> = path.split("__").collect();
            set(&mut merged, &known, &keys, &value, &name)?;
        }
    }
    Config::deserialize_from(merged)
        .map_err(|error| ConfigError::Value(format!("{origin}: {error}")))
}

impl Config {
    fn deserialize_from(table: Table) -> Result<Self, String> {
        Value::Table(table)
            .try_into()
            .map_err(|error: toml::de::Error| error.to_string().trim().replace('\n', " "))
    }
}

fn merge(into: &mut Table, from: Table, known: &Table, origin: &str) -> Result<(), ConfigError> {
    for (section, values) in from {
        let Some(Value::Table(keys)) = known.get(&section) else {
            return Err(unknown(
                origin,
                &section,
                section.clone(),
                known.keys().cloned(),
            ));
        };
        let (Value::Table(values), Some(Value::Table(into))) = (values, into.get_mut(&section))
        else {
            return Err(no_section(origin, &section));
        };
        merge_section(into, values, keys, (origin, &section))?;
    }
    Ok(())
}

fn no_section(origin: &str, section: &str) -> ConfigError {
    ConfigError::Value(format!("{origin}: [{section}] must be a section"))
}

/// The keys of a section, and of those within it.
fn merge_section(
    into: &mut Table,
    from: Table,
    known: &Table,
    (origin, section): (&str, &str),
) -> Result<(), ConfigError> {
    for (key, value) in from {
        let Some(default) = known.get(&key) else {
            return Err(unknown_key(origin, section, &key, known));
        };
        let value = match (default, value) {
            (Value::Table(known), Value::Table(values)) => {
                if let Some(Value::Table(into)) = into.get_mut(&key) {
                    merge_section(into, values, known, (origin, &format!("{section}.{key}")))?;
                }
                continue;
            }
            (Value::Table(_), _) => return Err(no_section(origin, &format!("{section}.{key}"))),
            // A whole number is written without a point.
            (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
            (_, value) => value,
        };
        into.insert(key, value);
    }
    Ok(())
}

/// Sets one key from text, read as the kind that the key's default has.
fn set(
    into: &mut Table,
    known: &Table,
    path: &[&str],
    text: &str,
    origin: &str,
) -> Result<(), ConfigError> {
    let (Some(key), sections) = (path.last(), &path[..path.len().saturating_sub(1)]) else {
        return Ok(());
    };
    let (mut into, mut known) = (into, known);
    for section in sections {
        known = match known.get(*section) {
            Some(Value::Table(known)) => known,
            _ => {
                return Err(unknown(
                    origin,
                    section,
                    (*section).to_owned(),
                    known.keys().cloned(),
                ));
            }
        };
        into = match into.get_mut(*section) {
            Some(Value::Table(into)) => into,
            _ => return Err(no_section(origin, section)),
        };
    }
    let Some(default) = known.get(*key) else {
        return Err(unknown_key(origin, &sections.join("."), key, known));
    };
    let wrong = |kind: &str| ConfigError::Value(format!("{origin}: {text:?} is not {kind}"));
    let value = match default {
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| wrong("a number"))?),
        Value::Float(_) => Value::Float(text.parse().map_err(|_| wrong("a number"))?),
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        Value::Array(_) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        Value::Table(_) => return Err(wrong("a section")),
        _ => Value::String(text.to_owned()),
    };
    into.insert((*key).to_owned(), value);
    Ok(())
}

fn unknown_key(origin: &str, section: &str, key: &str, keys: &Table) -> ConfigError {
    unknown(
        origin,
        key,
        format!("{section}.{key}"),
        keys.keys().map(|key| key.to_owned()),
    )
}

fn unknown(
    origin: &str,
    written: &str,
    shown: String,
    known: impl Iterator<Item = String>,
) -> ConfigError {
    let near = known
        .map(|candidate| (strsim::jaro_winkler(written, &candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    ConfigError::UnknownKey {
        origin: origin.to_owned(),
        key: shown,
        suggestion: near.map(|(_, candidate)| candidate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(Some(file.path()), environment)
    }

    #[test]
    fn a_misspelt_key_is_refused_with_a_suggestion() {
        let error = from("[server]\nlisten_adress = 1", &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("unknown key server.listen_adress; did you mean listen"),
            "{error}"
        );
        let error = from("", &[("GANTRY_SEVER__LISTEN", "x")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean server?"), "{error}");
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let config = from(
            "[server]\nlisten = \"127.0.0.1:1\"\nnames = [\"a\"]",
            &[
                ("GANTRY_SERVER__LISTEN", "127.0.0.1:2"),
                ("GANTRY_SERVER__NAMES", "b,10.9.0.2"),
            ],
        )
        .unwrap();
        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.server.names, ["b", "10.9.0.2"]);
    }

    #[test]
    fn a_wrong_value_names_its_key() {
        let error = from("", &[("GANTRY_LIMITS__IDLE_SECS", "soon")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("GANTRY_LIMITS__IDLE_SECS"), "{error}");
    }

    #[test]
    fn a_password_in_the_database_url_is_not_shown() {
        let config = from("[database]\nurl = \"postgres://u:hunter2@h/d\"", &[]).unwrap();
        assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
    }
}
