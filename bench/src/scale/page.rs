//! The part of the document that says what `bench scale` found.

use std::fmt::Write as _;

use super::measure::{All, CONNECTIONS, REQUESTS};
use super::seed::Size;
use crate::paper::Part;
use crate::report::{Bound, Goal, number, show, targets};
use crate::result::Spread;
use crate::stage::Stage;
use testkit::meter::Figures;
use testkit::topology::Topology;

/// Milliseconds that the slowest percent of requests may take, and a start.
const P99: f64 = 20.0;
const READY: f64 = 500.0;

/// What was seen of the process itself: milliseconds to ready, and MiB at rest, of each start.
pub(super) struct Process {
    pub(super) starts: Vec<f64>,
    pub(super) idle: Vec<f64>,
}

pub(super) fn part(stage: &Stage<'_>, size: Size, all: &All, process: &Process) -> Part {
    let on = match stage.topology {
        Topology::Files => "SQLite",
        Topology::Replicas => "PostgreSQL",
    };
    let mut text = format!(
        "{} tags with a manifest each ({} of them in one repository), {} repositories in {} projects, {} blobs. {REQUESTS} requests\n\
         on {CONNECTIONS} connections at each place, in each of {} rounds.\n\n",
        number(size.tags() as f64),
        number(size.crowd as f64),
        number(size.repositories as f64),
        number(size.projects() as f64),
        number(size.tags() as f64),
        stage.setup.options.rounds(),
    );
    table(&mut text, all);
    let ready = Goal::new(
        "from the start of the process to ready",
        Bound::AtMost(READY),
        Spread::of(process.starts.clone()),
        " ms",
    );
    targets(&mut text, &[ready]);
    let idle = Spread::of(process.idle.clone()).map_or("not read".to_owned(), show);
    let _ = writeln!(
        text,
        "\nMemory of the process (resident): {idle} MiB at rest after a start, {} MiB after all of the above, {} MiB at most.",
        number(all.after),
        number(all.peak)
    );
    Part {
        title: format!("Many rows on {on}"),
        text,
    }
}

fn table(text: &mut String, all: &All) {
    let _ = writeln!(
        text,
        "### Pages and manifests\n\n| what | place | p50 ms | p99 ms | ≤ {P99} ms | CPU ms each | cold p50 ms | cold p99 ms |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for measured in &all.cases {
        let warm = |of: fn(&Figures) -> f64| Spread::of(measured.warm.iter().map(of).collect());
        let p99 = warm(|figures| value(figures, "p99_ms"));
        let met = match p99 {
            Some(spread) if spread.median <= P99 => "yes",
            Some(_) => "**no**",
            None => "–",
        };
        let shown = |spread: Option<Spread>| spread.map_or("–".to_owned(), show);
        let cold = |name: &str| {
            measured
                .cold
                .as_ref()
                .map_or("–".to_owned(), |figures| number(value(figures, name)))
        };
        let cpu = warm(|figures| value(figures, "cpu_s") * 1000.0 / value(figures, "operations"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {met} | {} | {} | {} |",
            measured.title,
            measured.place,
            shown(warm(|figures| value(figures, "p50_ms"))),
            shown(p99),
            cpu.map_or("–".to_owned(), |spread| number(spread.median)),
            cold("p50_ms"),
            cold("p99_ms"),
        );
    }
    text.push_str("\n### Start and memory\n\n");
}

fn value(figures: &Figures, name: &str) -> f64 {
    figures.get(name).copied().unwrap_or(f64::NAN)
}
