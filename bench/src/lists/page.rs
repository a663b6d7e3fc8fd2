//! The part of the document that says what `bench lists` found.

use std::fmt::Write as _;

use testkit::meter::Figures;
use testkit::topology::Topology;

use super::seed::Size;
use super::{Measured, REQUESTS, Rate};
use crate::paper::Part;
use crate::report::number;
use crate::stage::Stage;

/// Milliseconds that the slowest percent of pages may take.
const P99: f64 = 50.0;
/// Lists of projects that a robot is to get from one core.
const PER_CORE: f64 = 2_000.0;

pub(super) fn part(stage: &Stage<'_>, size: Size, measured: &[Measured], rates: &[Rate]) -> Part {
    let on = match stage.topology {
        Topology::Files => "SQLite",
        Topology::Replicas => "PostgreSQL",
    };
    let mut text = format!(
        "{} artifacts in one repository, half of them pulled; {} projects, {} users. Pages of 100 rows by HTTP requests of an\n\
         administrator, {REQUESTS} of each list in a round, one after the other; the median of the rounds.\n\n\
         | list | p50 ms | p99 ms | ≤ {P99} ms |\n|---|---|---|---|\n",
        number(size.artifacts as f64),
        number(size.projects as f64),
        number(size.users as f64),
    );
    for list in measured {
        let (p50, p99) = (
            median(&list.rounds, "p50_ms"),
            median(&list.rounds, "p99_ms"),
        );
        let _ = writeln!(
            text,
            "| {} | {p50:.1} | {p99:.1} | {} |",
            list.title,
            told(p99 <= P99)
        );
    }
    let _ = writeln!(
        text,
        "\n`GET /api/v2.0/projects` with a robot's credentials, by the processor time that the server took.\n\n\
         | by | lists/s of one core | p99 ms | ≥ {} |\n|---|---|---|---|",
        number(PER_CORE)
    );
    for rate in rates {
        let Rate {
            title,
            per_core,
            p99_ms,
        } = rate;
        let _ = writeln!(
            text,
            "| {title} | {} | {p99_ms:.1} | {} |",
            number(*per_core),
            told(*per_core >= PER_CORE)
        );
    }
    eprintln!("{text}");
    Part {
        title: format!("Lists of the REST API on {on}"),
        text,
    }
}

fn told(is_met: bool) -> &'static str {
    if is_met { "yes" } else { "**no**" }
}

fn median(rounds: &[Figures], name: &str) -> f64 {
    let mut values: Vec<f64> = rounds
        .iter()
        .filter_map(|figures| figures.get(name).copied())
        .collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
