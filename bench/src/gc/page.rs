//! The part of the document that says what `bench gc` found.

use std::fmt::Write as _;

use super::beside::Beside;
use super::cost::Cost;
use super::deletion::Deletion;
use super::garbage::Run;
use super::speed::Speed;
use super::{FEW, Plan, Topology};
use crate::paper::Part;
use crate::report::{Bound, Goal, number, show, targets};
use crate::result::Spread;
use testkit::meter::Figures;

/// The part about collections.
pub(super) fn collection(
    topology: Topology,
    plan: &Plan,
    speed: &Speed,
    beside: &[Beside],
    cost: &Cost,
) -> Part {
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
        collecting(&mut text, plan, beside);
    }
    collections(&mut text, speed, cost);
    Part {
        title: format!("Garbage collection on {}", stores(topology)),
        text,
    }
}

/// The part about deletions.
pub(super) fn deletion(topology: Topology, plan: &Plan, deletion: &Deletion) -> Part {
    let goals = deletion.kinds.each_ref().map(|deleted| {
        Goal::new(
            format!(
                "deleting a {}: p99 of pushes, × undisturbed",
                deleted.kind.name()
            ),
            Bound::AtMost(1.3),
            deletion.ratio(deleted, "push_p99_ms"),
            "×",
        )
    });
    let mut text = String::new();
    targets(&mut text, &goals);
    deletions(&mut text, plan, deletion);
    Part {
        title: format!("Deleting what much hangs on, with {}", stores(topology)),
        text,
    }
}

fn stores(topology: Topology) -> &'static str {
    match topology {
        Topology::Files => "files and SQLite",
        Topology::Replicas => "SeaweedFS and PostgreSQL",
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

fn collecting(text: &mut String, plan: &Plan, beside: &Beside) {
    let _ = writeln!(
        text,
        "\nAt most {} blobs a minute, clients in windows of {} s:\n",
        number(beside.rate as f64),
        plan.window
    );
    let windows = [
        ("paused", &*beside.paused),
        ("at that rate", &*beside.collecting),
    ];
    clients(text, "collection", &windows);
    let _ = writeln!(
        text,
        "\nIn these windows {} links and {} objects went a minute.",
        shown(beside.links.iter().copied()),
        shown(beside.objects.iter().copied())
    );
}

/// A table of what clients saw in windows of several kinds.
fn clients(text: &mut String, what: &str, windows: &[(&str, &[Figures])]) {
    let _ = writeln!(
        text,
        "| {what} | push p50 ms | push p99 ms | pull p50 ms | pull p99 ms | server CPU s |\n|---|---|---|---|---|---|"
    );
    for (name, windows) in windows {
        let cells = [
            "push_p50_ms",
            "push_p99_ms",
            "pull_p50_ms",
            "pull_p99_ms",
            "cpu_s",
        ];
        let cells = cells.map(|figure| {
            let value = |it: &Figures| it.get(figure).copied().unwrap_or(f64::NAN);
            shown(windows.iter().map(value))
        });
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
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

fn deletions(text: &mut String, plan: &Plan, deletion: &Deletion) {
    let _ = writeln!(
        text,
        "\n{} referrers or tags each; clients of the same repository in windows of {} s:\n",
        number(plan.deleted as f64),
        plan.window
    );
    let deleted = deletion.kinds.each_ref();
    let [subject, tagged] = deleted.map(|deleted| (deleted.kind.name(), &*deleted.windows));
    let windows = [("nothing", &*deletion.undisturbed), subject, tagged];
    clients(text, "deleted meanwhile", &windows);
    text.push('\n');
    for deleted in &deletion.kinds {
        let _ = writeln!(
            text,
            "All of a {} was gone {} s after DELETE, {} in a window.",
            deleted.kind.name(),
            shown(deleted.took.iter().copied()),
            deleted.each
        );
    }
    text.push_str("Each answered 202 and was not found from then on, and in the end nothing of it was left.\n");
}

fn shown(values: impl Iterator<Item = f64>) -> String {
    Spread::of(values.collect()).map_or("–".to_owned(), show)
}
