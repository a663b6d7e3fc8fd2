//! The texts of the bundle. None reads a secret, and those that may name people leave that out.

use std::collections::BTreeMap;
use std::path::Path;

use db::job::{self, Job};
use db::project::{self, Viewer};
use db::{Db, usage};
use jobs::failures::causes;
use serde_json::Value;
use tenancy::setting::{Fixed, Settings, Shown};
use toml::Table;

use super::super::{address, machine};
use super::Source;
use super::mask::HIDDEN;

/// Settings whose text is one of a few words; all other texts may be names.
const WORDS: [&str; 2] = ["auth_mode", "project_creation_restriction"];

/// Kinds of jobs whose errors concern neither people nor their addresses.
const IMPERSONAL: [&str; 11] = [
    "acme",
    "audit_partition",
    "audit_purge",
    "audit_seal",
    "gc",
    "prune",
    "purge",
    "stat_hour",
    "sweep",
    "untagged",
    "upload_expiry",
];

/// Settings that name a person, or an account elsewhere.
const ACCOUNTS: [&str; 3] = ["access_key_id", "contact", "eab_key_id"];
/// Settings that are URLs.
const URLS: [&str; 6] = [
    "directory",
    "endpoint",
    "external_url",
    "otlp_endpoint",
    "public_endpoint",
    "url",
];

/// Maximum number of jobs that are looked at.
const JOBS: i64 = 2_000;

/// The configuration as `gantry config show` prints it, without accounts and mail addresses, and without what `settings`
/// has. Of URLs, only scheme and host are left: that is what `mask` does to all of them.
pub(super) async fn configuration(source: Source) -> anyhow::Result<String> {
    let mut shown = (*source.config).clone();
    shown.settings = Fixed::default();
    let mut shown = Table::try_from(&shown)?;
    hide_in(&mut shown);
    Ok(toml::to_string(&shown)?)
}

fn hide_in(settings: &mut Table) {
    for (key, value) in settings.iter_mut() {
        hide(key, value);
    }
}

fn hide(key: &str, value: &mut toml::Value) {
    match value {
        toml::Value::Table(settings) => hide_in(settings),
        toml::Value::Array(values) => values.iter_mut().for_each(|value| hide(key, value)),
        toml::Value::String(text) => {
            let is_no_url = URLS.contains(&key) && !text.contains("://");
            if !text.is_empty() && (is_no_url || ACCOUNTS.contains(&key)) {
                *text = HIDDEN.to_owned();
            }
        }
        _ => {}
    }
}

/// The settings that are in the database.
pub(super) async fn settings(source: Source) -> anyhow::Result<String> {
    let opened = source.opened()?;
    let (db, master) = (opened.db.clone(), opened.master.clone());
    let settings = Settings::open(db, master, source.config.fixed_settings()?).await?;
    let lines: Vec<String> = settings.shown().iter().map(of_setting).collect();
    Ok(lines.join("\n"))
}

fn of_setting(shown: &Shown) -> String {
    let name = shown.declaration.name;
    match &shown.value {
        None => format!("{name} is a secret"),
        Some(Value::String(text)) if text.is_empty() => format!("{name} is empty"),
        Some(Value::String(text)) if WORDS.contains(&name) => format!("{name} = {text}"),
        Some(Value::String(_)) => format!("{name} is set"),
        Some(value) => format!("{name} = {value}"),
    }
}

/// The versions of the program, the schema and the database.
pub(super) async fn versions(source: Source) -> anyhow::Result<String> {
    let program = concat!("gantry ", env!("CARGO_PKG_VERSION"));
    let mut lines = vec![
        program.to_owned(),
        format!("knows schema {}", Db::newest_schema()),
    ];
    let Some(opened) = &source.opened else {
        lines.push("the database is not open".to_owned());
        return Ok(lines.join("\n"));
    };
    lines.push(opened.db.server().await?.version);
    for step in Db::migrations(&source.config.database()).await? {
        let state = if step.applied { "applied" } else { "missing" };
        lines.push(format!("schema {} {}: {state}", step.version, step.name));
    }
    Ok(lines.join("\n"))
}

/// How much there is of what.
pub(super) async fn counts(source: Source) -> anyhow::Result<String> {
    let mut reader = source.opened()?.db.for_lists().reader().await?;
    let all = (Viewer::Administrator, Viewer::Administrator);
    let (public, private) = project::counts(&mut reader, all.0, all.1).await?;
    let totals = usage::totals(&mut reader).await?;
    let lines = [
        ("public projects", public.projects),
        ("private projects", private.projects),
        ("repositories of public projects", public.repositories),
        ("repositories of private projects", private.repositories),
        ("blobs", totals.blobs),
        ("bytes of blobs", totals.blob_bytes),
        ("bytes in projects", totals.project_bytes),
        ("objects to be deleted", totals.garbage_objects),
        ("their bytes", totals.garbage_bytes),
    ];
    let lines = lines.map(|(what, count)| format!("{what}: {count}"));
    Ok(lines.join("\n"))
}

/// How many jobs of each kind are in which state, and those that failed.
pub(super) async fn jobs(source: Source) -> anyhow::Result<String> {
    let mut reader = source.opened()?.db.reader().await?;
    let jobs = job::list(&mut reader, None, job::Shown::All, JOBS).await?;
    let mut counts = BTreeMap::<(&str, String), u64>::new();
    for job in &jobs {
        let of = (job.kind.as_str(), job.state.to_string());
        *counts.entry(of).or_default() += 1;
    }
    let counts = counts
        .iter()
        .map(|((kind, state), count)| format!("{kind} {state}: {count}"));
    let failed = jobs.iter().filter_map(of_failure);
    Ok(counts.chain(failed).collect::<Vec<_>>().join("\n"))
}

/// A job whose last run failed.
fn of_failure(job: &Job) -> Option<String> {
    let error = job.last_error.as_deref()?;
    let Job {
        id,
        kind,
        state,
        attempts,
        due_at,
        ..
    } = job;
    let error = match IMPERSONAL.contains(&&**kind) {
        true => error.to_owned(),
        false => format!("`gantry job show {id}` says why"),
    };
    Some(format!(
        "job {id} {kind} {state}, failed {attempts} times, due {due_at}: {error}"
    ))
}

/// The machine.
pub(super) async fn system(source: Source) -> anyhow::Result<String> {
    let system = rustix::system::uname();
    let kernel = [system.sysname(), system.release(), system.machine()];
    let kernel = kernel.map(|part| part.to_string_lossy().into_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut lines = vec![kernel.join(" "), format!("{cores} cores")];
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let wanted = ["MemTotal:", "MemAvailable:", "SwapTotal:", "SwapFree:"];
    let memory = memory.lines().filter(|line| {
        let name = line.split_whitespace().next().unwrap_or_default();
        wanted.contains(&name)
    });
    lines.extend(memory.map(str::to_owned));
    for limit in ["memory.max", "cpu.max"] {
        let found = std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(limit));
        lines.extend(found.map(|found| format!("{limit}: {}", found.trim())).ok());
    }
    for folder in machine::folders(&source.config) {
        let room = machine::Room::of(&folder);
        let room = room.map_or_else(|error| causes(error.as_ref()), |room| room.text());
        lines.push(format!("{}: {room}", folder.display()));
    }
    Ok(lines.join("\n"))
}

/// The metrics of a server on this machine.
pub(super) async fn metrics(source: Source) -> anyhow::Result<String> {
    address::metrics(source.config).await
}

#[cfg(test)]
mod tests {
    use super::super::mask::masked;
    use super::*;

    /// Sets every text.
    fn fill(settings: &mut Table, with: &str) {
        for (_, value) in settings.iter_mut() {
            match value {
                toml::Value::Table(settings) => fill(settings, with),
                toml::Value::String(text) => *text = with.to_owned(),
                toml::Value::Array(values) => values.push(with.into()),
                _ => {}
            }
        }
    }

    #[test]
    fn of_a_url_in_any_setting_only_scheme_and_host_are_left() {
        let mut settings = Table::try_from(crate::config::Config::default()).unwrap();
        fill(
            &mut settings,
            "https://ann:s3cr3t@a.example:4318/v1/s3cr3t?key=s3cr3t",
        );
        hide_in(&mut settings);
        let shown = masked(&toml::to_string(&settings).unwrap());
        assert!(
            !shown.contains("s3cr3t") && !shown.contains("ann:"),
            "{shown}"
        );
        assert!(
            shown.contains("otlp_endpoint = \"https://***@a.example:4318/***\""),
            "{shown}"
        );
        for account in ACCOUNTS {
            assert!(
                shown.contains(&format!("{account} = \"***\""))
                    || shown.contains(&format!("{account} = [\"***\"]")),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_should_be_a_url_and_is_none_is_not_shown() {
        let mut settings = Table::try_from(crate::config::Config::default()).unwrap();
        fill(&mut settings, "s3cr3t");
        hide_in(&mut settings);
        let shown = toml::to_string(&settings).unwrap();
        for url in URLS {
            assert!(shown.contains(&format!("{url} = \"***\"")), "{shown}");
        }
    }
}
