//! Tests that `deploy/gantry.toml`, `docs/configuration.md` and the code agree.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::{Table, Value};

use super::{Config, load};

/// Every key as `[section] key`, with its default.
type Keys = BTreeMap<String, Value>;

fn flatten(table: &Table, section: &str, keys: &mut Keys) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                let separator = if section.is_empty() { "" } else { "." };
                flatten(inner, &format!("{section}{separator}{key}"), keys);
            }
            value => {
                keys.insert(format!("[{section}] {key}"), value.clone());
            }
        }
    }
}

fn keys(table: &Table) -> Keys {
    let mut keys = Keys::new();
    flatten(table, "", &mut keys);
    keys
}

fn of_the_code() -> Keys {
    keys(&Table::try_from(Config::default()).unwrap())
}

fn repository() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

fn sample() -> PathBuf {
    repository().join("deploy/gantry.toml")
}

/// The sample with every key uncommented: keys begin right after the `#`, remarks after a space.
fn uncommented() -> String {
    let text = std::fs::read_to_string(sample()).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_has_every_key_with_its_default() {
    assert_eq!(keys(&uncommented().parse().unwrap()), of_the_code());
}

#[test]
fn the_sample_loads_and_changes_nothing() {
    let shown = |config: &Config| toml::to_string(config).unwrap();
    let defaults = shown(&Config::default());
    let as_it_is = load(Some(&sample()), std::iter::empty()).unwrap();
    assert_eq!(shown(&as_it_is), defaults);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), uncommented()).unwrap();
    let in_force = load(Some(file.path()), std::iter::empty()).unwrap();
    assert_eq!(shown(&in_force), defaults);
}

/// A default as the documentation writes it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        value => format!("`{value}`"),
    }
}

/// The variable of a key.
fn variable(key: &str) -> String {
    let path = key
        .trim_start_matches('[')
        .replace("] ", ".")
        .to_uppercase();
    format!("GANTRY_{}", path.replace('.', "__"))
}

#[test]
fn the_documentation_has_every_key_with_its_variable_and_default_and_none_else() {
    let text = std::fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let mut documented: Vec<(String, String, String)> = text
        .lines()
        .filter(|line| line.starts_with("| `["))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            assert!(
                cells.len() >= 6 && !cells[4].is_empty(),
                "no meaning: {line}"
            );
            let bare = |cell: &str| cell.trim_matches('`').to_owned();
            (bare(cells[1]), bare(cells[2]), cells[3].to_owned())
        })
        .collect();
    documented.sort();
    let known: Vec<(String, String, String)> = of_the_code()
        .into_iter()
        .map(|(key, value)| (key.clone(), variable(&key), written(&value)))
        .collect();
    assert_eq!(documented, known);
}
