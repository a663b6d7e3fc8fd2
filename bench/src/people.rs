//! `cargo xtask bench people`: what people who sign in cost those who pull, with local accounts and with a directory.

mod crowd;
mod directory;
mod page;
mod pull;
mod sign_in;

use testkit::topology::Topology;

use super::Options;
use super::paper::{self, Part};
use super::stage::{Setup, Stage};

/// What can be chosen by `--only`.
const CASES: [&str; 3] = ["sign-ins", "directory", "crowd"];

/// What is written of a case: what was measured, its value, and what it is to be.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    /// The most that it may be.
    pub(super) limit: Option<f64>,
}

/// A row without a limit.
pub(super) const fn row(title: &'static str, value: f64, unit: &'static str) -> Row {
    Row {
        title,
        value,
        unit,
        limit: None,
    }
}

impl Row {
    /// The same with the most that it may be.
    pub(super) const fn up_to(self, limit: f64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }
}

/// Runs the cases on each topology and writes the document.
///
/// # Errors
/// A program is missing, a server fails, or an answer is not what it must be. A missed target is no error.
pub(super) fn run(options: Options) -> Result<(), String> {
    options.check(&CASES)?;
    let setup = Setup::new(options)?;
    let mut parts = Vec::new();
    for topology in Topology::these_or_all(&setup.options.on) {
        let part = one(&setup, topology);
        parts.push(part.map_err(|error| format!("on {topology}: {error}"))?);
    }
    paper::publish(&setup.options, &parts)
}

fn one(setup: &Setup, topology: Topology) -> Result<Part, String> {
    let mut rows = Vec::new();
    if setup.options.wants("sign-ins") {
        rows.extend(sign_in::measure(&Stage::new(setup, topology, "sign-ins")?)?);
    }
    if setup.options.wants("directory") {
        rows.extend(directory::measure(&Stage::new(
            setup,
            topology,
            "directory",
        )?)?);
    }
    if setup.options.wants("crowd") {
        rows.extend(crowd::measure(&Stage::new(setup, topology, "crowd")?)?);
    }
    Ok(page::part(topology, &rows))
}

/// The middle one of some values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
