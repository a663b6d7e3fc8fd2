//! Reading settings: defaults, then the file, then the environment, then the command line. Unknown keys are refused,
//! with a suggestion of the key that may have been meant.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tenancy::setting::DECLARED;
use toml::{Table, Value};

use super::Config;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {0}: correct --config or GANTRY_CONFIG")]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is not TOML: where, and why. What stands there may be a secret, and is not in it.
    #[error("{0} is not valid TOML: {1}")]
    Syntax(PathBuf, String),
    /// Unknown keys: a line each, with the nearest known one.
    #[error("{}", .0.join("\n"))]
    Unknown(Vec<String>),
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
/// Variables with the prefix that are not settings.
const OTHERS: [&str; 7] = [
    "GANTRY_CONFIG",
    "GANTRY_ADMIN_PASSWORD",
    "GANTRY_PASSWORD",
    "GANTRY_REGISTRY_SECRET",
    "GANTRY_ROBOT_SECRET",
    "GANTRY_WEBHOOK_AUTH_HEADER",
    "GANTRY_WEBHOOK_SECRET",
];

/// Reads the settings. Without a file the defaults apply.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let mut merged = Table::try_from(Config::default())
        .map_err(|error| ConfigError::Value(error.to_string()))?;
    let known = with_settings(merged.clone());
    let mut wrong = Wrong::default();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read(path.to_owned(), error))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::Syntax(path.to_owned(), syntax(&text, &error))
        })?;
        let origin = path.display().to_string();
        merge(&mut merged, table, &known, (&origin, &mut wrong));
        wrong.look(&merged, &origin);
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
            wrong.unknown.push(unknown_variable(name, &known));
            continue;
        }
        match set(&mut merged, &known, &keys, value, name) {
            Ok(()) => wrong.look(&merged, name),
            Err(NotSet::Unknown(line)) => wrong.unknown.push(line),
            Err(NotSet::Value(error)) => wrong.value(error),
        }
    }
    wrong.none()?;
    with_database_password(parse(&merged, "the settings")?)
}

/// Where a text is not TOML, and why. The error itself would print the line.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    let Some(at) = error.span() else {
        return message.to_owned();
    };
    let before = text.bytes().take(at.start);
    let line = 1 + before.filter(|byte| *byte == b'\n').count();
    format!("line {line}: {message}")
}

/// The settings with the password of `[database] password_file` in the URL.
fn with_database_password(mut config: Config) -> Result<Config, ConfigError> {
    let database = &mut config.database;
    if database.password_file.is_empty() {
        return Ok(config);
    }
    let key = "[database] password_file";
    let text = std::fs::read_to_string(&database.password_file).map_err(|error| {
        ConfigError::Value(format!("{key}: {}: {error}", database.password_file))
    })?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        let file = &database.password_file;
        return Err(ConfigError::Value(format!("{key}: {file} is empty")));
    }
    let url = database.url.with_password(password);
    database.url = url.map_err(|why| ConfigError::Value(format!("{key}: {why}")))?;
    Ok(config)
}

/// All keys with their defaults, also those of the settings, of which none is fixed by default.
fn with_settings(mut defaults: Table) -> Table {
    let settings = DECLARED.iter().filter_map(|setting| {
        let initial = Value::try_from(setting.initial()).ok()?;
        Some((setting.name.to_owned(), initial))
    });
    defaults.insert("settings".to_owned(), Value::Table(settings.collect()));
    defaults
}

/// What is wrong with the settings.
#[derive(Default)]
struct Wrong {
    /// Keys that do not exist, a line each.
    unknown: Vec<String>,
    /// The first value that cannot be read.
    first: Option<ConfigError>,
}

impl Wrong {
    fn value(&mut self, error: ConfigError) {
        self.first.get_or_insert(error);
    }

    /// Reads the values; `origin` is the source of the last change.
    fn look(&mut self, merged: &Table, origin: &str) {
        if self.first.is_none() {
            self.first = parse(merged, origin).err();
        }
    }

    fn none(self) -> Result<(), ConfigError> {
        if !self.unknown.is_empty() {
            return Err(ConfigError::Unknown(self.unknown));
        }
        self.first.map_or(Ok(()), Err)
    }
}

/// Why a key is not set.
enum NotSet {
    /// It does not exist: the line that says so.
    Unknown(String),
    Value(ConfigError),
}

/// The settings in a table; `origin` is the source of the last change.
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

/// `a.b.c` as written in a file: `[a.b] c`.
fn bracketed(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((section, key)) => format!("[{section}] {key}"),
        None => format!("[{path}]"),
    }
}

/// Whether Kubernetes set the variable, as it does for each service, such as one named `gantry`.
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

/// A variable without the two underscores between section and key.
fn unknown_variable(name: &str, known: &Table) -> String {
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
    format!("{name}: there is no such setting; {hint}")
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

fn merge(into: &mut Table, from: Table, known: &Table, (origin, wrong): (&str, &mut Wrong)) {
    for (section, values) in from {
        let Some(Value::Table(keys)) = known.get(&section) else {
            wrong.unknown.push(unknown(origin, &[], &section, known));
            continue;
        };
        let (Value::Table(values), Some(Value::Table(into))) = (values, into.get_mut(&section))
        else {
            wrong.value(no_section(origin, &section));
            continue;
        };
        let mut at = At {
            origin,
            all: known,
            path: vec![section],
        };
        merge_section(into, values, keys, (&mut at, wrong));
    }
}

/// A section of a file.
struct At<'a> {
    origin: &'a str,
    all: &'a Table,
    path: Vec<String>,
}

fn no_section(origin: &str, section: &str) -> ConfigError {
    ConfigError::Value(format!("{origin}: [{section}] must be a section"))
}

/// The keys of a section, and of those within it.
fn merge_section(
    into: &mut Table,
    from: Table,
    known: &Table,
    (at, wrong): (&mut At<'_>, &mut Wrong),
) {
    for (key, value) in from {
        let Some(default) = known.get(&key) else {
            let path: Vec<&str> = at.path.iter().map(String::as_str).collect();
            wrong.unknown.push(unknown(at.origin, &path, &key, at.all));
            continue;
        };
        let value = match (default, value) {
            (Value::Table(known), Value::Table(values)) => {
                if let Some(Value::Table(into)) = into.get_mut(&key) {
                    at.path.push(key);
                    merge_section(into, values, known, (at, wrong));
                    at.path.pop();
                }
                continue;
            }
            (Value::Table(_), _) => {
                let section = format!("{}.{key}", at.path.join("."));
                wrong.value(no_section(at.origin, &section));
                continue;
            }
            // A whole number is written without a point.
            (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
            (_, value) => value,
        };
        into.insert(key, value);
    }
}

/// Sets one key from text, read as the kind that the key's default has.
fn set(
    into: &mut Table,
    all: &Table,
    path: &[&str],
    text: &str,
    origin: &str,
) -> Result<(), NotSet> {
    let Some((key, sections)) = path.split_last() else {
        return Ok(());
    };
    let (mut into, mut known) = (into, all);
    for (depth, section) in sections.iter().enumerate() {
        known = match known.get(*section) {
            Some(Value::Table(known)) => known,
            _ => {
                let line = unknown(origin, &sections[..depth], section, all);
                return Err(NotSet::Unknown(line));
            }
        };
        into = match into.get_mut(*section) {
            Some(Value::Table(into)) => into,
            _ => return Err(NotSet::Value(no_section(origin, section))),
        };
    }
    let Some(default) = known.get(*key) else {
        return Err(NotSet::Unknown(unknown(origin, sections, key, all)));
    };
    let wrong = |kind: &str| {
        NotSet::Value(ConfigError::Value(format!(
            "{origin}: {text:?} is not {kind}"
        )))
    };
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

/// How similar a key must be to be suggested.
const NEAR: f64 = 0.6;
/// How much more similar a key of another section must be than one of the same section.
const ELSEWHERE: f64 = 0.15;

/// The message about an unknown key or section.
fn unknown(origin: &str, sections: &[&str], key: &str, all: &Table) -> String {
    let shown = [sections, &[key]].concat().join(".");
    let own = sections.iter().try_fold(all, |table, section| {
        table.get(*section).and_then(Value::as_table)
    });
    let own = own.into_iter().flat_map(Table::keys);
    let own = own.map(|name| (likeness(key, name), name.clone()));
    let elsewhere = keys(all, "").into_iter().map(|path| {
        let (_, name) = path.rsplit_once('.').unwrap_or_default();
        (likeness(key, name) - ELSEWHERE, path)
    });
    let near = own
        .chain(elsewhere)
        .filter(|(likeness, _)| *likeness > NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, near)) => format!("{origin}: unknown key {shown}; did you mean {near}?"),
        None => format!("{origin}: unknown key {shown}"),
    }
}

/// From 0 to 1: similar at the beginning, or as a whole.
fn likeness(written: &str, known: &str) -> f64 {
    strsim::jaro_winkler(written, known).max(strsim::normalized_damerau_levenshtein(written, known))
}

/// All keys below a table, with their sections.
fn keys(table: &Table, sections: &str) -> Vec<String> {
    let all = table.iter().flat_map(|(key, value)| match value {
        Value::Table(section) => keys(section, &format!("{sections}{key}.")),
        _ => vec![format!("{sections}{key}")],
    });
    all.collect()
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
    fn every_unknown_key_is_named_with_the_nearest_that_exists() {
        let text = "
            [server]
            listn = 1
            idle_secs = 4
            [storge]
            path = 1
            [storage.s3]
            bucke = 1
            [limits]
            max_connections = \"many\"
            [gc]
            zzz = 1";
        let Err(ConfigError::Unknown(lines)) = from(
            text,
            &[("GANTRY_GC__GRACE", "1"), ("GANTRY_LOG__LEVEL", "loud")],
        ) else {
            panic!("they are refused");
        };
        for (key, near) in [
            ("server.listn", "; did you mean listen?"),
            ("server.idle_secs", "; did you mean limits.idle_secs?"),
            ("storge", "; did you mean storage?"),
            ("storage.s3.bucke", "; did you mean bucket?"),
            ("limits.max_connections", "; did you mean connections?"),
            ("gc.grace", "; did you mean grace_secs?"),
            ("gc.zzz", ""),
        ] {
            let said = format!("unknown key {key}{near}");
            let found = lines.iter().filter(|line| line.ends_with(&said));
            assert_eq!(found.count(), 1, "{said}: {lines:#?}");
        }
        assert_eq!(lines.len(), 7, "{lines:#?}");
    }

    #[test]
    fn a_syntax_error_names_the_line_and_not_what_stands_there() {
        for (text, line) in [
            (
                "[storage.s3]\nsecret_access_key = \"hunter2\npath_style = true\n",
                "line 2: ",
            ),
            ("[database]\nurl = postgres://u:hunter2@h/d\n", "line 2: "),
            ("\n\n[database]\nurl = \"x\" hunter2\n", "line 4: "),
            ("hunter2", "line 1: "),
        ] {
            let error = refused(text, &[]);
            let has_line = error.contains(&format!("is not valid TOML: {line}"));
            assert!(has_line && !error.contains("hunter2"), "{error}");
        }
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
    fn the_password_of_the_database_may_be_in_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "p@ss%word\n").unwrap();
        let url = ("GANTRY_DATABASE__URL", "postgres://u@h/d");
        let path = file.display().to_string();
        let named = ("GANTRY_DATABASE__PASSWORD_FILE", &*path);
        let config = from("", &[url, named]).unwrap();
        assert_eq!(
            config.database.url.expose(),
            "postgres://u:p%40ss%25word@h/d"
        );
        assert!(!format!("{config:?}").contains("p%40ss"));

        let refused = from("", &[named]).unwrap_err().to_string();
        assert!(refused.contains("names no user"), "{refused}");
        std::fs::write(&file, "\n").unwrap();
        let refused = from("", &[url, named]).unwrap_err().to_string();
        assert!(refused.contains("is empty"), "{refused}");
        std::fs::remove_file(&file).unwrap();
        let refused = from("", &[url, named]).unwrap_err().to_string();
        assert!(refused.contains(&path), "{refused}");
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
    fn secrets_of_commands_are_no_settings() {
        for name in OTHERS {
            let environment = [(OsString::from(name), OsString::from("x"))];
            assert!(load(None, environment.into_iter()).is_ok(), "{name}");
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
