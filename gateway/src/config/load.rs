//! Reading settings: defaults, then the file, then the environment, then the command line. Every key
//! must be known; one that is not is answered with the one that may have been meant.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Config;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {0}: correct --config or GANTRY_CONFIG")]
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

impl ConfigError {
    /// An environment variable whose value cannot be read.
    fn not_utf8(variable: &str) -> Self {
        Self::Value(format!("{variable}: the value is not UTF-8"))
    }
}

/// Prefix of environment variables that are settings.
const PREFIX: &str = "GANTRY_";
/// Variables with the prefix that are no settings.
const OTHERS: [&str; 3] = ["GANTRY_CONFIG", "GANTRY_ADMIN_PASSWORD", "GANTRY_PASSWORD"];

/// Reads the settings. Without a file the defaults hold.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let known = Table::try_from(Config::default())
        .map_err(|error| ConfigError::Value(error.to_string()))?;
    let mut merged = known.clone();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read(path.to_owned(), error))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::Syntax(path.to_owned(), error.to_string())
        })?;
        let origin = path.display().to_string();
        merge(&mut merged, table, &known, &origin)?;
        parse(&merged, &origin)?;
    }
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let value = value.to_str().ok_or_else(|| ConfigError::not_utf8(name))?;
        if OTHERS.contains(&name) || is_service_link(name, value) {
            continue;
        }
        let path = name[PREFIX.len()..].to_lowercase();
        let keys: Vec<&str> = path.split("__").collect();
        if keys.len() < 2 {
            return Err(unknown_variable(name, &known));
        }
        set(&mut merged, &known, &keys, value, name)?;
        parse(&merged, name)?;
    }
    parse(&merged, "the settings")
}

/// The settings in a table, whose last change came from `origin`.
fn parse(table: &Table, origin: &str) -> Result<Config, ConfigError> {
    let parsed = Value::Table(table.clone()).try_into();
    parsed.map_err(|error: toml::de::Error| {
        let text = error.to_string();
        let text = text.trim();
        ConfigError::Value(match text.rsplit_once("\nin `") {
            Some((message, path)) => {
                let path = bracketed(path.trim_end_matches('`'));
                format!("{origin}: {path}: {message}")
            }
            None => format!("{origin}: {text}"),
        })
    })
}

/// `a.b.c` as it stands in a file: `[a.b] c`.
fn bracketed(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((section, key)) => format!("[{section}] {key}"),
        None => format!("[{path}]"),
    }
}

/// Whether Kubernetes set the variable, as it does for each service, such as one by the name of `gantry`.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    let is_port = |text: &str| {
        let words: Vec<&str> = text.split('_').collect();
        let (number, rest) = (words[0].parse::<u16>(), &words[1..]);
        number.is_ok()
            && matches!(
                rest,
                ["TCP" | "UDP" | "SCTP"] | ["TCP" | "UDP" | "SCTP", "PORT" | "PROTO" | "ADDR"]
            )
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_url)
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, rest)| is_port(rest))
}

/// A variable without the two underscores that come between section and key.
fn unknown_variable(name: &str, known: &Table) -> ConfigError {
    let flat = |text: &str| text.trim_start_matches(PREFIX).replace("__", "_");
    let candidates = variables(known, PREFIX).into_iter();
    let near = candidates
        .chain(OTHERS.map(str::to_owned))
        .map(|variable| {
            (
                strsim::jaro_winkler(&flat(name), &flat(&variable)),
                variable,
            )
        })
        .filter(|(similarity, _)| *similarity > 0.9)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match near {
        Some((_, variable)) => format!("did you mean {variable}?"),
        None => "settings are GANTRY_SECTION__KEY, with two underscores".to_owned(),
    };
    ConfigError::Value(format!("{name}: there is no such setting; {hint}"))
}

/// The variables of all keys below a table.
fn variables(table: &Table, prefix: &str) -> Vec<String> {
    let all = table.iter().flat_map(|(key, value)| {
        let name = format!("{prefix}{}", key.to_uppercase());
        match value {
            Value::Table(section) => variables(section, &format!("{name}__")),
            _ => vec![name],
        }
    });
    all.collect()
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
            .map(|(k, v)| (OsString::from(k), OsString::from(v)));
        load(Some(file.path()), environment)
    }

    fn refused(text: &str, environment: &[(&str, &str)]) -> String {
        from(text, environment).unwrap_err().to_string()
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
        for url in [
            "postgres://u:hunter2@h/d",
            "postgres://h/d?password=hunter2",
        ] {
            let config = from("", &[("GANTRY_DATABASE__URL", url)]).unwrap();
            assert_eq!(config.database.url.expose(), url);
            assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
            assert!(!format!("{config:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key_its_place_and_the_form() {
        for (text, variable, value, parts) in [
            (
                "",
                "GANTRY_SERVER__LISTEN",
                "8443",
                [
                    "GANTRY_SERVER__LISTEN",
                    "[server] listen",
                    "\"8443\"",
                    "0.0.0.0:8443",
                ],
            ),
            (
                "",
                "GANTRY_SERVER__TRUSTED_PROXIES",
                "10.0.0.5",
                [
                    "GANTRY_SERVER__TRUSTED_PROXIES",
                    "[server] trusted_proxies",
                    "\"10.0.0.5\"",
                    "write 10.0.0.5/32",
                ],
            ),
            (
                "",
                "GANTRY_STORAGE__BACKEND",
                "swift",
                [
                    "GANTRY_STORAGE__BACKEND",
                    "[storage] backend",
                    "swift",
                    "`s3`",
                ],
            ),
            (
                "[server]\ngrace_secs = -1",
                "GANTRY_LOG__LEVEL",
                "info",
                ["/", "[server] grace_secs", "-1", "u64"],
            ),
            (
                "[limits]\nidle_secs = \"soon\"",
                "GANTRY_LOG__LEVEL",
                "info",
                ["/", "[limits] idle_secs", "soon", "u64"],
            ),
        ] {
            let error = refused(text, &[(variable, value)]);
            for part in parts {
                assert!(error.contains(part), "no {part} in: {error}");
            }
        }
    }

    #[test]
    fn a_variable_that_is_no_setting_is_refused() {
        for (name, hint) in [
            ("GANTRY_SERVER_LISTEN", "GANTRY_SERVER__LISTEN?"),
            ("GANTRY_STORAGE_S3_BUCKET", "GANTRY_STORAGE__S3__BUCKET?"),
            ("GANTRY_STORAGE__S3_BUCKET", "s3"),
            ("GANTRY_ADMIN_PASWORD", "GANTRY_ADMIN_PASSWORD?"),
            ("GANTRY_LISTEN", "two underscores"),
            ("GANTRY_SERVER_PORT", "two underscores"),
        ] {
            let error = refused("", &[(name, "x")]);
            assert!(error.contains(name) && error.contains(hint), "{error}");
        }
    }

    #[test]
    fn what_kubernetes_says_of_its_services_is_no_setting() {
        for name in [
            "GANTRY_SERVICE_HOST",
            "GANTRY_SERVICE_PORT",
            "GANTRY_SERVICE_PORT_HTTPS",
            "GANTRY_PORT",
            "GANTRY_PORT_443_TCP",
            "GANTRY_PORT_443_TCP_ADDR",
            "GANTRY_METRICS_PORT_9464_TCP_PROTO",
            "GANTRY_METRICS_SERVICE_HOST",
        ] {
            from("", &[(name, "tcp://10.0.0.1:443")]).unwrap();
        }
    }

    #[test]
    fn only_a_setting_has_to_be_utf8() {
        use std::os::unix::ffi::OsStringExt as _;
        let latin1 = || OsString::from_vec(vec![b'M', 0xfc]);
        load(None, [("CITY".into(), latin1())].into_iter()).unwrap();
        load(None, [(latin1(), "x".into())].into_iter()).unwrap();
        let own = [("GANTRY_SERVER__NAMES".into(), latin1())];
        let error = load(None, own.into_iter());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("GANTRY_SERVER__NAMES") && error.contains("UTF-8"),
            "{error}"
        );
    }
}
