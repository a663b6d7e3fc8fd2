//! The document of a benchmark: what was claimed, what was measured, under which conditions.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::case::Case;
use super::result::{Results, Spread};
use super::{Bench, Options};
use testkit::workspace;

/// A promise about a figure.
pub(super) struct Goal {
    what: String,
    bound: Bound,
    measured: Option<Spread>,
    unit: &'static str,
}

pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// In every round.
    Exactly(f64),
}

impl Goal {
    pub(super) fn new(
        what: impl Into<String>,
        bound: Bound,
        measured: Option<Spread>,
        unit: &'static str,
    ) -> Self {
        Self {
            what: what.into(),
            bound,
            measured,
            unit,
        }
    }

    fn met(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(match self.bound {
            Bound::AtLeast(bound) => measured.median >= bound,
            Bound::AtMost(bound) => measured.median <= bound,
            Bound::Exactly(bound) => measured.least == bound && measured.most == bound,
        })
    }
}

/// The whole document.
pub(super) fn document(bench: &Bench, results: &Results, options: &Options) -> String {
    let mut text = String::from(bench.preface);
    conditions(&mut text, options);
    text.push_str("## Targets\n\n");
    targets(&mut text, &(bench.goals)(results));
    for case in bench.cases {
        table(&mut text, case, results);
    }
    text
}

fn conditions(text: &mut String, options: &Options) {
    let nginx = or_unknown(first_line("nginx", &["-v"])).replace("nginx version: ", "");
    let _ = writeln!(
        text,
        "{}, {nginx}, distribution 3.1.1.\n",
        run_of_today(options.rounds())
    );
}

/// When, from what and on what machine a run is.
pub(super) fn run_of_today(rounds: u32) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches(['\t', ' ', ':']).to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let day = or_unknown(first_line("date", &["-u", "+%Y-%m-%d"]));
    let kernel = or_unknown(first_line("uname", &["-r"]));
    let commit = or_unknown(first_line("git", &["rev-parse", "--short", "HEAD"]));
    let autogroups = fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    let autogroups = match autogroups.as_deref().map(str::trim) {
        Ok("1") => ", autogroups on",
        Ok("0") => ", autogroups off",
        _ => "",
    };
    format!(
        "Run of {day}: {rounds} rounds, commit {commit}, {cores} cores of {}, Linux {kernel}{autogroups}",
        or_unknown(model)
    )
}

fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(workspace::root().ok()?)
        .output()
        .ok()?;
    let all = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&all);
    Some(text.lines().next()?.trim().to_owned())
}

fn or_unknown(value: Option<String>) -> String {
    value.unwrap_or_else(|| "unknown".to_owned())
}

/// The table of what was promised and whether it holds.
pub(super) fn targets(text: &mut String, goals: &[Goal]) {
    let _ = writeln!(
        text,
        "| what | target | measured | met |\n|---|---|---|---|"
    );
    for goal in goals {
        let target = match goal.bound {
            Bound::AtLeast(bound) => format!("≥ {bound}"),
            Bound::AtMost(bound) => format!("≤ {bound}"),
            Bound::Exactly(bound) => format!("= {bound}"),
        };
        let measured = goal.measured.map_or("not measured".to_owned(), |spread| {
            format!("{}{}", show(spread), goal.unit)
        });
        let met = match goal.met() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        let _ = writeln!(
            text,
            "| {} | {target}{} | {measured} | {met} |",
            goal.what, goal.unit
        );
    }
}

fn table(text: &mut String, case: &Case, results: &Results) {
    let servers = results.servers(case.name);
    if servers.is_empty() {
        return;
    }
    let heads: Vec<&str> = case.columns.iter().map(|(head, _)| *head).collect();
    let _ = writeln!(
        text,
        "\n## {}\n\n| server | {} |\n|---{}|",
        case.title,
        heads.join(" | "),
        "|---".repeat(heads.len())
    );
    for server in servers {
        let cell = |(_, figure): &(&str, &str)| match results.spread(case.name, server, figure) {
            Some(spread) if *figure == "foreign" => format!("{:.0} %", spread.median * 100.0),
            Some(spread) => show(spread),
            None => "–".to_owned(),
        };
        let cells: Vec<String> = case.columns.iter().map(cell).collect();
        let _ = writeln!(text, "| {server} | {} |", cells.join(" | "));
    }
    if let Some(top) = results.profile(case.name) {
        let _ = writeln!(
            text,
            "\nWhere Gantry's time goes (perf, in a run of its own): {}.",
            top.join(", ")
        );
    }
}

/// A median with the smallest and the largest.
pub(super) fn show(spread: Spread) -> String {
    format!(
        "{} ({}–{})",
        number(spread.median),
        number(spread.least),
        number(spread.most)
    )
}

/// Three significant digits, and thousands set apart.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if size >= 1000.0 {
        let mut whole = format!("{value:.0}");
        let mut at = whole.len();
        while at > 3 && whole.as_bytes()[at - 4].is_ascii_digit() {
            at -= 3;
            whole.insert(at, ',');
        }
        return whole;
    }
    let bounds = [100.0, 10.0, 1.0, 0.1];
    let digits = bounds.iter().position(|bound| size >= *bound).unwrap_or(4);
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (1_000_000.0, "1,000,000"),
            (65_432.1, "65,432"),
            (999.4, "999"),
            (12.34, "12.3"),
            (1.234, "1.23"),
            (0.0123, "0.0123"),
            (0.559, "0.559"),
            (0.0, "0"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_missed_target_is_said_to_be_missed() {
        let spread = Spread {
            median: 5.0,
            least: 4.0,
            most: 6.0,
        };
        let goals = [
            Goal::new("x", Bound::AtMost(4.0), Some(spread), " ms"),
            Goal::new("y", Bound::Exactly(5.0), Some(spread), ""),
        ];
        let mut text = String::new();
        targets(&mut text, &goals);
        assert!(text.contains("| x | ≤ 4 ms | 5.00 (4.00–6.00) ms | **no** |"));
        assert!(text.contains("| y | = 5 | 5.00 (4.00–6.00) | **no** |"));
    }
}
