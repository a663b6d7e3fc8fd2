//! The part of the document that says what `bench gc` found.

use std::fmt::Write as _;

use super::Plan;
use super::beside::Beside;
use super::cost::Cost;
use super::garbage::Run;
use super::speed::Speed;
use super::{FEW, Topology};
use crate::bench::load::Figures;
use crate::bench::paper::Part;
use crate::bench::report::{Bound, Goal, number, show, targets};
use crate::bench::result::Spread;

pub(super) fn part(
    topology: Topology,
    plan: &Plan,
    speed: &Speed,
    beside: &[Beside],
    cost: &Cost,
) -> Part {
    let on = match topology {
        Topology::Files => "files and SQLite",
        Topology::Replicas => "SeaweedFS and PostgreSQL",
    };
    let mut goals = vec![Goal::new(
        format!(
            "{} garbage blobs: blobs a minute",
            number(plan.garbage as f64)
        ),
        Bound::AtLeast(plan.speed as f64),
        speed.spread(),
        "",
    )];
    goals.extend(beside.iter().flat_map(beside_goals));
    goals.push(Goal::new(
        format!(
            "{} garbage blobs beside {} live ones: time, × beside {}",
            number(plan.compared as f64),
            number(plan.many.tags() as f64),
            number(FEW.tags() as f64)
        ),
        Bound::AtMost(1.5),
        cost.ratio(),
        "×",
    ));
    let mut text = String::new();
    targets(&mut text, &goals);
    for beside in beside {
        clients(&mut text, plan, beside);
    }
    collections(&mut text, speed, cost);
    Part {
        title: format!("Garbage collection on {on}"),
        text,
    }
}

fn beside_goals(beside: &Beside) -> [Goal; 2] {
    let rate = number(beside.rate as f64);
    let goal = |what: &str, figure: &str| {
        Goal::new(
            format!("at most {rate} blobs a minute: p99 of {what}, × paused"),
            Bound::AtMost(1.3),
            beside.ratio(figure),
            "×",
        )
    };
    [
        goal("pushes", "push_p99_ms"),
        goal("manifest pulls", "pull_p99_ms"),
    ]
}

fn clients(text: &mut String, plan: &Plan, beside: &Beside) {
    let _ = writeln!(
        text,
        "\nAt most {} blobs a minute, clients in windows of {} s:\n\n| collection | push p50 ms | push p99 ms | pull p50 ms | pull p99 ms | server CPU s |\n|---|---|---|---|---|---|",
        number(beside.rate as f64),
        plan.window
    );
    for (name, windows) in [
        ("paused", &beside.paused),
        ("at that rate", &beside.collecting),
    ] {
        let cells = [
            "push_p50_ms",
            "push_p99_ms",
            "pull_p50_ms",
            "pull_p99_ms",
            "cpu_s",
        ];
        let cells = cells.map(|figure| {
            shown(
                windows
                    .iter()
                    .map(|it: &Figures| it.get(figure).copied().unwrap_or(f64::NAN)),
            )
        });
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    let _ = writeln!(
        text,
        "\nIn these windows {} links and {} objects went a minute.",
        shown(beside.links.iter().copied()),
        shown(beside.objects.iter().copied())
    );
}

fn collections(text: &mut String, speed: &Speed, cost: &Cost) {
    let _ = writeln!(
        text,
        "\nCollections without a bound:\n\n| garbage | s | of them for links | CPU ms for 1,000 |\n|---|---|---|---|"
    );
    let rows = [
        ("of the speed", &speed.0),
        ("beside little that lives", &cost.few),
        ("beside much", &cost.many),
    ];
    for (name, runs) in rows {
        let of = |figure: fn(&Run) -> f64| shown(runs.iter().map(figure));
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} |",
            of(|run| run.took.as_secs_f64()),
            of(|run| run.links.as_secs_f64()),
            of(|run| run.cpu_s * 1e6 / run.blobs as f64)
        );
    }
}

fn shown(values: impl Iterator<Item = f64>) -> String {
    Spread::of(values.collect()).map_or("–".to_owned(), show)
}
