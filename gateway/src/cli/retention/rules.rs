//! Rules as arguments: a few alike, or any in a file.

use std::path::PathBuf;

use clap::Args;
use model::retention::compile;
use model::{Cron, RetentionRule, RetentionTerms};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use tenancy::retention::NewPolicy;

#[derive(Args)]
pub(in crate::cli) struct Rules {
    /// What to keep, any number of times: latestPushedK=10, latestPulledN=5, nDaysSinceLastPush=30,
    /// nDaysSinceLastPull=30, or always.
    #[arg(
        long = "keep",
        value_name = "TEMPLATE=NUMBER",
        required_unless_present = "file"
    )]
    keep: Vec<String>,
    /// Which repositories these rules are about, named without the project: `*` for anything but a slash, `**` for whole
    /// parts, `{a,b}`.
    #[arg(long, value_name = "PATTERN", default_value = "**")]
    repositories: String,
    /// Which tags they select.
    #[arg(long, value_name = "PATTERN", default_value = "**")]
    tags: String,
    /// Do not let them select artifacts without a tag.
    #[arg(long)]
    tagged_only: bool,
    /// When the policy runs: six fields, of which the first is 0, in UTC. Without it, only somebody starts it.
    #[arg(long, value_name = "CRON")]
    schedule: Option<String>,
    /// Seconds after its last push in which no artifact goes. Default: what the policy has, or 86400.
    #[arg(long, value_name = "SECONDS")]
    grace_secs: Option<u32>,
    /// Read rules and schedule from a file, as `show --json` prints them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keep", "schedule", "grace_secs"])]
    file: Option<PathBuf>,
}

/// A policy in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<RetentionRule>,
    #[serde(default)]
    cron: String,
    #[serde(default, deserialize_with = "given")]
    grace_secs: Option<Option<u32>>,
}

/// A field that is there, be it null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Rules {
    /// The policy, if it is valid.
    pub(super) fn policy(self) -> anyhow::Result<NewPolicy> {
        let (rules, cron, grace_secs) = match &self.file {
            Some(path) => {
                let file: File = serde_json::from_str(&std::fs::read_to_string(path)?)?;
                (file.rules, file.cron, file.grace_secs)
            }
            None => {
                let rules = self.rules()?;
                (
                    rules,
                    self.schedule.unwrap_or_default(),
                    self.grace_secs.map(Some),
                )
            }
        };
        compile(&rules)?;
        let cron = schedule(&cron)?;
        let terms = RetentionTerms {
            rules,
            grace_secs: grace_secs.flatten(),
        };
        Ok(NewPolicy {
            terms,
            keeps_grace: grace_secs.is_none(),
            cron,
        })
    }

    fn rules(&self) -> anyhow::Result<Vec<RetentionRule>> {
        let patterns = (&*self.repositories, &*self.tags);
        let rule = |keep: &String| rule(keep, patterns, !self.tagged_only);
        self.keep.iter().map(rule).collect()
    }
}

/// The schedule of a text; none of an empty one.
pub(in crate::cli) fn schedule(text: &str) -> anyhow::Result<Option<Cron>> {
    let seconds = text.split_whitespace().next();
    if seconds.is_some_and(|seconds| seconds != "0") {
        anyhow::bail!("schedule: the first field, seconds, must be 0");
    }
    let text = Some(text).filter(|text| !text.is_empty());
    Ok(text.map(str::parse).transpose()?)
}

/// The rule of a template and its number, such as `latestPushedK=10`.
pub(in crate::cli) fn rule(
    keep: &str,
    (repositories, tags): (&str, &str),
    untagged: bool,
) -> anyhow::Result<RetentionRule> {
    let (template, number) = match keep.split_once('=') {
        Some((template, number)) => (template, Some(number)),
        None => (keep, None),
    };
    let params = match number {
        Some(number) => json!({ template: number.parse::<i64>()? }),
        None => json!({}),
    };
    let extras = json!({ "untagged": untagged }).to_string();
    let rule = json!({
        "action": "retain",
        "template": template,
        "params": params,
        "tag_selectors": [{ "kind": "doublestar", "decoration": "matches", "pattern": tags, "extras": extras }],
        "scope_selectors": { "repository": [
            { "kind": "doublestar", "decoration": "repoMatches", "pattern": repositories },
        ] },
    });
    Ok(serde_json::from_value(rule)?)
}
