//! `cargo xtask bench audit`: pages and counts of an audit log of 10,000,000 events, and what its indexes cost those who
//! write it. The database's own functions are called, without a server: no request asks for the log yet.

mod measure;
mod page;
mod seed;

use db::Db;
use testkit::topology::Topology;
use tokio::runtime::Runtime;

use super::Options;
use super::paper::{self, Part};
use super::stage::{Setup, Stage};
use seed::Log;

/// Runs it on each topology and writes the document.
///
/// # Errors
/// A program is missing, the database fails, or a page is not what it must be. A missed target is no error.
pub(super) fn run(options: Options) -> Result<(), String> {
    options.check(&[])?;
    let setup = Setup::new(options)?;
    let mut parts = Vec::new();
    for topology in Topology::these_or_all(&setup.options.on) {
        let stage = Stage::new(&setup, topology, "audit")?;
        parts.push(one(&stage).map_err(|error| format!("on {topology}: {error}"))?);
    }
    paper::publish(&setup.options, &parts)
}

fn one(stage: &Stage<'_>) -> Result<Part, String> {
    let events = if stage.setup.options.short {
        100_000
    } else {
        10_000_000
    };
    // The schema and the first account are the server's own work.
    let (mut gantry, _) = stage.serve()?;
    gantry.stop()?;
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let db = runtime
        .block_on(Db::open(&stage.location()))
        .map_err(|error| error.to_string())?;
    let log = runtime.block_on(Log::prepare(&db, events))?;
    eprintln!("  {}: {events} events", stage.topology);
    log.fill(stage)?;
    let measured = runtime.block_on(measure::all(&db, &log, stage));
    runtime.block_on(db.close());
    Ok(page::part(stage, &log, &measured?))
}
