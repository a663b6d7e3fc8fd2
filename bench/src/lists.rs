//! `cargo xtask bench lists`: pages of the REST API's lists where there are many rows, and how many lists of projects a robot
//! gets from one core.

mod case;
mod page;
mod robot;
mod seed;

use testkit::gantry::Server;
use testkit::meter::{Figures, wait};
use testkit::registry::Auth;
use testkit::topology::Topology;

use super::Options;
use super::load::page::{Asked, pages};
use super::paper::{self, Part};
use super::stage::{Setup, Stage};
use case::Case;
use robot::Rate;
use seed::Size;

/// Requests of one list in a round, one after the other: what is measured is a page, not a queue.
const REQUESTS: usize = 200;
/// The same in the short form.
const FEW_REQUESTS: usize = 10;

/// What was measured of one list, by rounds.
struct Measured {
    title: &'static str,
    rounds: Vec<Figures>,
}

/// Runs it on each topology and writes the document.
///
/// # Errors
/// A program is missing, a server fails, or an answer is not what it must be. A missed target is no error.
pub(super) fn run(options: Options) -> Result<(), String> {
    options.check(&[])?;
    let setup = Setup::new(options)?;
    let mut parts = Vec::new();
    for topology in Topology::these_or_all(&setup.options.on) {
        let stage = Stage::new(&setup, topology, "lists")?;
        parts.push(one(&stage).map_err(|error| format!("on {topology}: {error}"))?);
    }
    paper::publish(&setup.options, &parts)
}

fn one(stage: &Stage<'_>) -> Result<Part, String> {
    let size = if stage.setup.options.short {
        Size::SHORT
    } else {
        Size::LONG
    };
    // The schema and the first account are the server's own work.
    let (mut gantry, _) = stage.serve()?;
    gantry.stop()?;
    seed::fill(stage, size)?;
    let (mut gantry, _) = stage.serve()?;
    let measured = lists(stage, &gantry, &case::all(size))?;
    let rates = robot::rates(stage, &gantry)?;
    gantry.stop()?;
    Ok(page::part(stage, size, &measured, &rates))
}

/// All lists in turn, round by round; one round to warm up is not counted.
fn lists(stage: &Stage<'_>, gantry: &Server, cases: &[Case]) -> Result<Vec<Measured>, String> {
    let mut measured: Vec<Measured> = cases
        .iter()
        .map(|case| Measured {
            title: case.title,
            rounds: Vec::new(),
        })
        .collect();
    for round in 0..=stage.setup.options.rounds() {
        for (case, into) in cases.iter().zip(&mut measured) {
            let figures =
                ask(stage, gantry, case).map_err(|error| format!("{}: {error}", case.title))?;
            if round > 0 {
                into.rounds.push(figures);
            }
        }
    }
    Ok(measured)
}

fn ask(stage: &Stage<'_>, gantry: &Server, case: &Case) -> Result<Figures, String> {
    let asked = Asked {
        auth: Auth::Basic,
        repository: "",
        status: 200,
        count: match stage.setup.options.short {
            true => FEW_REQUESTS,
            false => REQUESTS,
        },
        connections: 1,
    };
    let server = gantry.daemon.processes();
    wait(pages(&gantry.target, &server, &asked, &case.pages))
}
