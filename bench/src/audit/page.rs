//! The part of the document that says what `bench audit` found.

use std::fmt::Write as _;
use std::time::Duration;

use testkit::meter::quantile;
use testkit::topology::Topology;

use super::measure::{All, BATCH, BATCHES, PAGE, PAGES};
use super::seed::Log;
use crate::paper::Part;
use crate::report::number;
use crate::stage::Stage;

/// Milliseconds that the slowest percent of pages may take.
const P99: f64 = 50.0;

pub(super) fn part(stage: &Stage<'_>, log: &Log, all: &All) -> Part {
    let on = match stage.topology {
        Topology::Files => "SQLite",
        Topology::Replicas => "PostgreSQL",
    };
    let mut text = format!(
        "{} events, evenly over two years. {PAGES} pages of {PAGE} entries at each place, each of another user, project,\n\
         repository or tag, within the same year, one after the other, by the database's own functions without a server.\n\n",
        number(log.events as f64),
    );
    pages(&mut text, all);
    counts(&mut text, all);
    writes(&mut text, all);
    eprintln!("{text}");
    Part {
        title: format!("Audit log on {on}"),
        text,
    }
}

fn pages(text: &mut String, all: &All) {
    let _ = writeln!(
        text,
        "| pages by | place | p50 ms | p99 ms | ≤ {P99} ms |\n|---|---|---|---|---|"
    );
    for pages in &all.pages {
        let p99 = quantile(&pages.times, 0.99);
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {p99:.2} | {} |",
            pages.by.title(),
            pages.place.title(),
            quantile(&pages.times, 0.5),
            if p99 <= P99 { "yes" } else { "**no**" },
        );
    }
}

fn counts(text: &mut String, all: &All) {
    let _ = writeln!(
        text,
        "\n| counts by | is | at most wrong by | p50 ms | p99 ms |\n|---|---|---|---|---|"
    );
    for counts in &all.counts {
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} % | {:.2} | {:.2} |",
            counts.by.title(),
            if counts.is_exact {
                "exact"
            } else {
                "an estimate"
            },
            counts.wrong_by * 100.0,
            quantile(&counts.times, 0.5),
            quantile(&counts.times, 0.99),
        );
    }
}

fn writes(text: &mut String, all: &All) {
    let _ = writeln!(
        text,
        "\n{BATCHES} batches of {BATCH} events, and 500 events in a transaction each, at the end of that log.\n\n\
         | indexes beside the key | events/s in batches | p50 ms of a batch | µs of one event's statement, p50 | p99 |\n|---|---|---|---|---|"
    );
    for writes in &all.writes {
        let total: Duration = writes.batches.iter().sum();
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {:.0} | {:.0} |",
            writes.indexes,
            number((BATCHES * BATCH) as f64 / total.as_secs_f64()),
            quantile(&writes.batches, 0.5),
            quantile(&writes.single, 0.5) * 1000.0,
            quantile(&writes.single, 0.99) * 1000.0,
        );
    }
}
