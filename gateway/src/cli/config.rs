//! `gantry config`: the configuration file, and the settings of `/api/v2.0/configurations`.

use std::io;
use std::process::ExitCode;

use clap::Subcommand;
use model::{Clock as _, SystemClock};
use serde::Serialize;
use serde_json::Value;
use tenancy::setting::{Changes, Declaration, Effect, Kind, Settings, Shown};

use super::local::{self, Local};
use super::out::{self, line};
use super::password::first_line;
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check the configuration file, the environment and the files that they name, as `serve` does at its start, and
    /// print all errors.
    Check,
    /// Print the configuration in effect, without secrets.
    Show,
    /// List the settings that are in the database, as `GET /api/v2.0/configurations` does.
    List {
        /// Print each setting as a line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the value of a setting; nothing if it is a secret.
    Get {
        /// The setting's name, such as token_expiration.
        name: String,
        /// Print the setting as a line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change settings: all of them, or none if one is refused. Every replica uses them within a second.
    Set {
        /// Names and values, such as token_expiration=60. A value of - is read from the next line of standard input;
        /// secrets can only be given this way.
        #[arg(required = true, value_name = "NAME=VALUE")]
        changes: Vec<String>,
        /// Print each changed setting as a line of JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(super) fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check => {
                for warning in config.check(SystemClock.now())? {
                    line(&format!("warning: {warning}"));
                }
                line("the configuration is valid");
                Ok(ExitCode::SUCCESS)
            }
            Self::Show => {
                out::block(&toml::to_string(&config)?);
                Ok(ExitCode::SUCCESS)
            }
            Self::List { json } => local::run(config, async |local| {
                let settings = local.settings().await?;
                print(&settings, |_| true, json)
            }),
            Self::Get { name, json } => {
                local::run(config, async |local| get(local, &name, json).await)
            }
            Self::Set { changes, json } => {
                local::run(config, async |local| set(local, &changes, json).await)
            }
        }
    }
}

async fn get(local: &Local, name: &str, json: bool) -> anyhow::Result<ExitCode> {
    let (settings, asked) = (local.settings().await?, Declaration::named(name)?);
    if json {
        return print(
            &settings,
            |shown| shown.declaration.name == asked.name,
            true,
        );
    }
    let mut all = settings.shown().into_iter();
    let shown = all.find(|shown| shown.declaration.name == asked.name);
    line(&value(shown.and_then(|shown| shown.value)));
    Ok(ExitCode::SUCCESS)
}

async fn set(local: &Local, changes: &[String], json: bool) -> anyhow::Result<ExitCode> {
    let settings = local.settings().await?;
    let changes: anyhow::Result<Changes> = changes.iter().map(|change| parse(change)).collect();
    let changes = changes?;
    let names: Vec<&str> = changes.iter().map(|(setting, _)| setting.name).collect();
    let permit = local::system()?;
    settings.change(&permit, changes, local.now()).await?;
    print(
        &settings,
        |shown| names.contains(&shown.declaration.name),
        json,
    )
}

/// `NAME=VALUE`.
fn parse(change: &str) -> anyhow::Result<(&'static Declaration, Value)> {
    let (name, text) = change
        .split_once('=')
        .ok_or_else(|| anyhow::anyhow!("{change:?} is not NAME=VALUE"))?;
    let setting = Declaration::named(name)?;
    if text == "-" {
        let given = first_line(io::stdin().lock())?;
        return Ok((setting, setting.from_text(&given)?));
    }
    anyhow::ensure!(
        setting.kind != Kind::Secret,
        "{name}: others see the arguments of a command: write {name}=- and give the secret on standard input"
    );
    Ok((setting, setting.from_text(text)?))
}

/// A setting as `--json` prints it.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    value: Option<Value>,
    editable: bool,
    effect: &'static str,
}

fn print(
    settings: &Settings,
    is_wanted: impl Fn(&Shown) -> bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut shown = settings.shown();
    shown.retain(is_wanted);
    if json {
        let lines: Vec<Line> = shown.into_iter().map(as_json).collect();
        out::json_lines(&lines)?;
        return Ok(ExitCode::SUCCESS);
    }
    for shown in shown {
        let mark = mark(settings, &shown);
        let name = shown.declaration.name;
        line(&format!("{name} = {}{mark}", value(shown.value)));
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(shown: Shown) -> Line {
    Line {
        name: shown.declaration.name,
        value: shown.value,
        editable: shown.editable,
        effect: match shown.declaration.effect {
            Effect::Now => "now",
            Effect::Never(_) => "never",
        },
    }
}

/// Notes beside the value.
fn mark(settings: &Settings, shown: &Shown) -> &'static str {
    if settings.is_fixed(shown.declaration) {
        return "  (fixed by the configuration file or the environment)";
    }
    match shown.declaration.effect {
        Effect::Now => "",
        Effect::Never(_) => "  (cannot be changed)",
    }
}

fn value(value: Option<Value>) -> String {
    match value {
        None => "***".to_owned(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}
