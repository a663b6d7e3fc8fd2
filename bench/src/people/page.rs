//! The part of the document that says what `bench people` found.

use std::fmt::Write as _;

use testkit::topology::Topology;

use super::Row;
use crate::paper::Part;

pub(super) fn part(topology: Topology, rows: &[Row]) -> Part {
    let on = match topology {
        Topology::Files => "SQLite",
        Topology::Replicas => "PostgreSQL",
    };
    let mut text = String::from(
        "Pulls are a token's request and the manifest, by an open loop: each begins when it is due, whatever became of those before. The\n\
         directory is OpenLDAP on the same machine.\n\n| measured | value | at most |\n|---|---|---|\n",
    );
    for Row {
        title,
        value,
        unit,
        limit,
    } in rows
    {
        let told = match limit {
            None => String::new(),
            Some(limit) if value <= limit => format!("{limit}: yes"),
            Some(limit) => format!("{limit}: **no**"),
        };
        let _ = writeln!(text, "| {title} | {value:.2} {unit} | {told} |");
    }
    eprintln!("{text}");
    Part {
        title: format!("People who sign in, on {on}"),
        text,
    }
}
