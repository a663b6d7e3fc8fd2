//! The part of the document that says what `bench herd` found.

use std::fmt::Write as _;

use super::estimate::Plan;
use super::node::TRIES;
use super::place::ROBOTS;
use super::wave::ADDRESSES;
use super::{CASE, Source};
use crate::paper::Part;
use crate::report::{number, show};
use crate::result::Results;

/// How many times as many nodes are reckoned with on paper, and the minutes that they have.
const TIMES: f64 = 100.0;
const MINUTES: [f64; 2] = [10.0, 60.0];

/// What is told of each source, and the figure that says it.
const ROWS: [(&str, &str); 14] = [
    ("nodes that have the image", "nodes"),
    ("nodes that gave up", "failed"),
    ("the first has it after, s", "first_s"),
    ("half of them, s", "half_s"),
    ("99 % of them, s", "p99_s"),
    ("the last, s", "last_s"),
    ("answers 503 or 429, asked again", "busy"),
    ("cut connections and other errors, asked again", "broken"),
    ("CPU s of both replicas", "replicas_cpu_s"),
    ("CPU s of PostgreSQL", "postgres_cpu_s"),
    ("CPU s of SeaweedFS", "seaweed_cpu_s"),
    ("peak memory of a replica, MiB", "peak_mib"),
    ("bytes that came through replicas", "replicas_bytes"),
    ("bytes that came from the bucket", "bucket_bytes"),
];

/// The figures of CPU time that the calculation is made of, besides those of bytes.
const CPU: [&str; 3] = ["replicas_cpu_s", "postgres_cpu_s", "seaweed_cpu_s"];

/// What is told of each plan.
const NEEDS: [&str; 6] = [
    "served within, min",
    "cores of replicas",
    "of PostgreSQL",
    "of SeaweedFS",
    "Gbit/s out of replicas",
    "out of the bucket to nodes",
];

pub(super) fn part(nodes: usize, files: u64, results: &Results) -> Part {
    let measured: Vec<Source> = Source::ALL
        .into_iter()
        .filter(|source| results.spread(CASE, source.name(), "nodes").is_some())
        .collect();
    let mut text = conditions(nodes, files);
    figures(&mut text, &measured, results);
    estimates(&mut text, &measured, nodes, results);
    eprintln!("{text}");
    Part {
        title: "Herd of nodes that pull one image, on PostgreSQL".to_owned(),
        text,
    }
}

fn conditions(nodes: usize, files: u64) -> String {
    format!(
        "{} nodes pull one image with a layer of 1 MiB from two replicas, half of them from each, with no balancer before\n\
         them. They begin within one second, evenly, whatever became of those before. Each has a connection of its own, over\n\
         TLS with a whole handshake, from one of {ADDRESSES} addresses, and asks for a token with Basic, as one of {ROBOTS}\n\
         robots that both replicas know already, for the manifest by its tag, the config and the layer. Every digest is\n\
         checked. Times count from the first begin. A node that is answered 503 or 429 waits as long as `Retry-After` says;\n\
         after a cut connection or another error it waits a second, and each time twice as long, up to 16. After {TRIES} such\n\
         answers it gives up. Nodes whose layer comes from the bucket close their connection to the replica first, and fetch\n\
         it by plain HTTP.\n\n\
         Settings: `[limits] handshake_secs` is 60, for all nodes run on the same cores as the servers; with redirects,\n\
         `[storage.redirect] networks` is 127.0.0.0/8. All others are the defaults, `connections` and `body_memory_mib`\n\
         among them. Each process may have {} files open. Times are those of this machine with the nodes on it; CPU time\n\
         is the servers' alone.\n",
        number(nodes as f64),
        number(files as f64),
    )
}

fn figures(text: &mut String, measured: &[Source], results: &Results) {
    heads(text, "measured", measured.iter().map(|it| title(*it)));
    for (row, figure) in ROWS {
        let cells: Vec<String> = measured
            .iter()
            .map(|source| {
                let spread = results.spread(CASE, source.name(), figure);
                spread.map_or("–".to_owned(), show)
            })
            .collect();
        let _ = writeln!(text, "| {row} | {} |", cells.join(" | "));
    }
}

fn estimates(text: &mut String, measured: &[Source], nodes: usize, results: &Results) {
    let many = nodes as f64 * TIMES;
    let _ = writeln!(
        text,
        "\nOn paper, for {} nodes: what one of them cost above, times their number, over the time in which all have to be\n\
         served. Cores and networks are busy all that time, so plan for more. Bytes are those of bodies. Layers that go out\n\
         of the replicas come out of the bucket to them first.",
        number(many),
    );
    heads(text, "layers come", NEEDS.into_iter());
    for source in measured {
        for minutes in MINUTES {
            let plan = Plan {
                nodes: many,
                seconds: minutes * 60.0,
            };
            let cells = needs(plan, *source, results).join(" | ");
            let _ = writeln!(text, "| {} | {minutes} | {cells} |", title(*source));
        }
    }
}

/// What a plan needs, as [`NEEDS`] names it after the time.
fn needs(plan: Plan, source: Source, results: &Results) -> Vec<String> {
    let each = |figure: &str| per_node(results, source, figure);
    let cores = CPU.map(|figure| plan.cores(each(figure)));
    let networks = Source::ALL.map(|from| plan.gbit_per_second(each(from.bytes())));
    cores.into_iter().chain(networks).map(number).collect()
}

/// The median of a figure over its rounds, for each node that got the image.
fn per_node(results: &Results, source: Source, figure: &str) -> f64 {
    let median = |figure: &str| {
        let spread = results.spread(CASE, source.name(), figure);
        spread.map_or(f64::NAN, |spread| spread.median)
    };
    median(figure) / median("nodes")
}

fn title(source: Source) -> &'static str {
    match source {
        Source::Replicas => "through the replicas",
        Source::Bucket => "from the bucket",
    }
}

/// The head of a table.
fn heads(text: &mut String, first: &str, others: impl Iterator<Item = &'static str>) {
    let others: Vec<&str> = others.collect();
    let _ = writeln!(
        text,
        "\n| {first} | {} |\n|---{}|",
        others.join(" | "),
        "|---".repeat(others.len())
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_has_no_column_and_the_rest_is_multiplied() {
        let mut results = Results::default();
        let found = [
            ("nodes", 10_000.0),
            ("replicas_cpu_s", 30.0),
            ("postgres_cpu_s", 3.0),
            ("seaweed_cpu_s", 12.0),
            ("replicas_bytes", 1.5e8),
            ("bucket_bytes", 1.5e10),
        ];
        let found = testkit::meter::figures(found);
        results.add(CASE, Source::Bucket.name(), found);
        let text = part(10_000, 20_000, &results).text;
        assert!(text.contains("| measured | from the bucket |\n|---|---|\n"));
        assert!(text.contains("| nodes that have the image | 10,000 (10,000–10,000) |"));
        assert!(text.contains("| the last, s | – |"));
        let row = "| from the bucket | 10 | 5.00 | 0.500 | 2.00 | 0.200 | 20.0 |";
        assert!(text.contains(row), "{text}");
        assert!(!text.contains("| through the replicas |"));
    }
}
