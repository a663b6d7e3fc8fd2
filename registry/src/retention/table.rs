//! The log of a task as a table: for each artifact what becomes of it, and by which rule or why.

use db::retention::candidate::Artifact;
use model::retention::CompiledRule;

use super::{Held, Verdict};

/// Tags that a line names.
const TAGS: usize = 10;

/// The line above all others.
pub fn head() -> String {
    row([
        "Digest",
        "Tag",
        "Kind",
        "PushedTime",
        "PulledTime",
        "Retention",
        "Reason",
    ])
}

/// What becomes of an artifact.
#[derive(Clone, Copy, Debug)]
pub enum Fate<'a> {
    /// The rules decide: it is kept, or goes.
    Decided(&'a Verdict),
    /// Something else keeps it.
    Held(&'a Held),
    /// It came since the repository was looked at.
    New,
}

/// The line of an artifact.
pub fn line(artifact: &Artifact, fate: Fate<'_>, rules: &[CompiledRule]) -> String {
    let (word, reason) = match fate {
        Fate::Decided(verdict) => decided(verdict, rules),
        Fate::Held(Held::Immutable(tag)) => ("IMMUTABLE", format!("{tag} is immutable")),
        Fate::Held(Held::Index(parent)) => ("ERR", format!("index {parent} lists it")),
        Fate::Held(Held::Changed) => (
            "RETAIN",
            "it was pushed, pulled or tagged meanwhile".to_owned(),
        ),
        Fate::New => ("RETAIN", "it was pushed meanwhile".to_owned()),
    };
    row([
        &artifact.digest.to_string(),
        &tags(artifact),
        &artifact.kind,
        &artifact.pushed.to_string(),
        &artifact.pulled.map(|at| at.to_string()).unwrap_or_default(),
        word,
        &reason,
    ])
}

fn decided(verdict: &Verdict, rules: &[CompiledRule]) -> (&'static str, String) {
    if verdict.is_arriving {
        let reason = "it has no tag, and was pushed just now ([gc] grace_secs)";
        return ("RETAIN", reason.to_owned());
    }
    if let Some(rule) = verdict.kept_by.and_then(|place| rules.get(place)) {
        return ("RETAIN", format!("kept by {rule}"));
    }
    if verdict.is_recent {
        let reason = "no rule keeps it, but it was pushed within grace_secs of the policy";
        return ("RETAIN", reason.to_owned());
    }
    let selecting = rules.iter().enumerate();
    let selecting = selecting.filter(|(place, _)| verdict.selected_by.has(*place));
    let selecting: Vec<String> = selecting.map(|(_, rule)| rule.to_string()).collect();
    let reason = match selecting.is_empty() {
        true => "no rule selects it".to_owned(),
        false => format!("selected, but not kept, by {}", selecting.join(", ")),
    };
    ("DEL", reason)
}

fn tags(artifact: &Artifact) -> String {
    let named = artifact.tags.iter().take(TAGS);
    let named: Vec<&str> = named.map(model::Tag::as_str).collect();
    let named = named.join(",");
    match artifact.tags.len().saturating_sub(TAGS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn row(cells: [&str; 7]) -> String {
    format!("| {} |", cells.join(" | "))
}
