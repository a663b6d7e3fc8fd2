//! `docs/benchmarks.md`: what was claimed, what was measured, under which conditions.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::Options;
use super::case::{CASES, Case, Kind};
use super::result::{Results, Spread};

/// A promise about a figure.
pub(super) struct Goal {
    pub(super) what: String,
    pub(super) bound: Bound,
    pub(super) measured: Option<Spread>,
    pub(super) unit: &'static str,
}

#[derive(Clone, Copy)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn met(&self) -> Option<bool> {
        let median = self.measured?.median;
        Some(match self.bound {
            Bound::AtLeast(bound) => median >= bound,
            Bound::AtMost(bound) => median <= bound,
        })
    }
}

fn goals(results: &Results) -> Vec<Goal> {
    let against = |case, peer, figure| results.ratio((case, "gantry"), (case, peer), figure);
    let own = |case, figure| results.spread(case, "gantry", figure);
    let goal = |what: &str, bound, measured, unit| Goal {
        what: what.to_owned(),
        bound,
        measured,
        unit,
    };
    use Bound::{AtLeast, AtMost};
    vec![
        goal(
            "manifest GET: rate, × nginx",
            AtLeast(0.8),
            against("manifest", "nginx", "rate"),
            "×",
        ),
        goal(
            "manifest GET: CPU per request, × nginx",
            AtMost(1.3),
            against("manifest", "nginx", "cpu_per_1000"),
            "×",
        ),
        goal(
            "manifest GET: rate, × docker-registry",
            AtLeast(20.0),
            against("manifest", "docker-registry", "rate"),
            "×",
        ),
        goal(
            "100 MiB blob GET: CPU per GB, × nginx",
            AtMost(0.6),
            against("blob-100m", "nginx", "cpu_per_gb"),
            "×",
        ),
        goal(
            "100 MiB blob GET: throughput, × nginx",
            AtLeast(1.05),
            against("blob-100m", "nginx", "mb_per_s"),
            "×",
        ),
        goal(
            "1 GiB push on disk: CPU per GB, × docker-registry",
            AtMost(0.45),
            against("push-disk", "docker-registry", "cpu_per_gb"),
            "×",
        ),
        goal(
            "1 GiB push on disk: throughput, × docker-registry",
            AtLeast(1.4),
            against("push-disk", "docker-registry", "mb_per_s"),
            "×",
        ),
        goal(
            "1 GiB push on tmpfs: throughput, × docker-registry",
            AtLeast(2.5),
            against("push-tmpfs", "docker-registry", "mb_per_s"),
            "×",
        ),
        goal(
            "small image (POST, PUT): server CPU each",
            AtMost(4.0),
            own("small", "cpu_per_1000"),
            " ms",
        ),
        goal(
            "tokens, cached credentials",
            AtLeast(10_000.0),
            own("token", "rate"),
            "/s",
        ),
        goal(
            "docker login, cold password: p50",
            AtMost(150.0),
            own("login", "p50_ms"),
            " ms",
        ),
        goal(
            "2 KiB blob GET: CPU, × manifest GET",
            AtMost(1.2),
            results.ratio(
                ("blob-2k", "gantry"),
                ("manifest", "gantry"),
                "cpu_per_1000",
            ),
            "×",
        ),
        goal(
            "idle memory",
            AtMost(40.0),
            own("start", "idle_mib"),
            " MiB",
        ),
    ]
}

/// The whole document.
pub(super) fn document(results: &Results, options: &Options) -> String {
    let mut text = String::from(PREFACE);
    conditions(&mut text, options);
    text.push_str("## Targets\n\n");
    targets(&mut text, &goals(results));
    for case in CASES {
        table(&mut text, case, results);
    }
    text
}

const PREFACE: &str = "# Benchmarks

Written by `cargo xtask bench`; do not edit. Gantry, nginx and Debian's docker-registry run on one machine, on loopback, over
TLS, in alternating order: in each round every server is measured once, and who is first changes. Figures are medians over
the rounds, with the smallest and largest in brackets. Ratios are taken round by round before the median, so that what
disturbs a round disturbs both sides. **CPU ratios decide**: rates depend on how much of the machine the client takes.

- **Same for all**: TLS 1.3 with TLS_AES_128_GCM_SHA256 (forced at the client), a P-256 certificate, HTTP/1.1 with keep-alive, the
  same sizes. Nobody reuses a name that was cached for somebody else.
- **Gantry**: the release binary as `gantry serve` starts it; files and SQLite, fsync on, audit, counters and access log on, a
  private project, requests with a Bearer token (`token` and `login`: Basic).
- **nginx**: Debian's package, static files, as many workers as cores, access log on (buffered, 64 KiB), no limit of requests
  per connection. It checks no token, and hashes and records nothing.
- **docker-registry**: Debian's package, at its best: no accounts, no access log, blob descriptors cached in memory. It
  syncs the files that it writes.
- **Clients**: wrk for GETs and tokens (2 threads), our own in Go (`xtask/load`) for pushes, images and logins. Random content; digests are
  computed before the clock starts, connections and tokens are there already. `sync` runs before each measurement that writes.
- **CPU** is user and system time of the server's processes (`/proc/PID/stat`); **peak** is `VmHWM`, reset before each measurement;
  **others** is the share of all cores that neither the server nor the client used, that is, how busy the machine was with other work.
- GB are 10⁹ bytes, MiB are 2²⁰.

";

fn conditions(text: &mut String, options: &Options) {
    let nginx = or_unknown(first_line("nginx", &["-v"])).replace("nginx version: ", "");
    let registry = or_unknown(first_line("docker-registry", &["--version"])).replace(
        "docker-registry github.com/docker/distribution",
        "docker-registry",
    );
    let _ = writeln!(
        text,
        "{}, {nginx}, {registry}.\n",
        run_of_today(options.rounds as usize)
    );
}

/// When, from what and on what machine a run is.
pub(super) fn run_of_today(rounds: usize) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches(['\t', ' ', ':']).to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let day = or_unknown(first_line("date", &["-u", "+%Y-%m-%d"]));
    let kernel = or_unknown(first_line("uname", &["-r"]));
    let commit = or_unknown(first_line("git", &["rev-parse", "--short", "HEAD"]));
    format!(
        "Run of {day}: {rounds} rounds, commit {commit}, {cores} cores of {}, Linux {kernel}",
        or_unknown(model)
    )
}

fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
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
    let columns: &[(&str, &str)] = match case.kind {
        Kind::Requests => &[
            ("requests/s", "rate"),
            ("CPU s per 1,000", "cpu_per_1000"),
            ("p50 ms", "p50_ms"),
            ("p99 ms", "p99_ms"),
        ],
        Kind::Bulk => &[
            ("MB/s", "mb_per_s"),
            ("CPU s per GB", "cpu_per_gb"),
            ("p50 ms", "p50_ms"),
            ("p99 ms", "p99_ms"),
        ],
        Kind::Images => &[
            ("images/s", "rate"),
            ("CPU ms each", "cpu_per_1000"),
            ("p50 ms", "p50_ms"),
            ("p99 ms", "p99_ms"),
        ],
        Kind::Start => &[
            ("ready ms", "ready_ms"),
            ("idle MiB", "idle_mib"),
            ("MiB after the load above", "after_load_mib"),
        ],
    };
    let extra: &[(&str, &str)] = match case.name {
        "login" => &[
            ("p99 ms of a probe meanwhile", "probe_p99_ms"),
            ("peak MiB", "peak_mib"),
            ("others", "foreign"),
        ],
        "start" => &[],
        _ => &[("peak MiB", "peak_mib"), ("others", "foreign")],
    };
    let columns: Vec<&(&str, &str)> = columns.iter().chain(extra).collect();
    let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let _ = writeln!(
        text,
        "\n## {}\n\n| server | {} |\n|---{}|",
        case.title,
        heads.join(" | "),
        "|---".repeat(heads.len())
    );
    for server in servers {
        let cell = |(_, figure): &&(&str, &str)| match results.spread(case.name, server, figure) {
            Some(spread) if *figure == "foreign" => format!("{:.0} %", spread.median * 100.0),
            Some(spread) => show(spread),
            None => "–".to_owned(),
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
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
    if size >= 1000.0 {
        let mut whole = format!("{value:.0}");
        let mut at = whole.len();
        while at > 3 && whole.as_bytes()[at - 4].is_ascii_digit() {
            at -= 3;
            whole.insert(at, ',');
        }
        return whole;
    }
    let digits = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else if size >= 0.1 {
        3
    } else {
        4
    };
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
        let goal = Goal {
            what: "x".to_owned(),
            bound: Bound::AtMost(4.0),
            measured: Some(spread),
            unit: " ms",
        };
        let mut text = String::new();
        targets(&mut text, &[goal]);
        assert!(text.contains("| x | ≤ 4 ms | 5.00 (4.00–6.00) ms | **no** |"));
    }
}
