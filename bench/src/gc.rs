//! `cargo xtask bench gc`: how fast garbage goes, what that does to clients, what it costs beside much that lives, and
//! what deleting a manifest does to clients where much hangs on it.

mod beside;
mod cost;
mod deletion;
mod garbage;
mod page;
mod speed;

use super::Options;
use super::paper::{self, Part};
use super::scale::seed::Size;
use super::stage::{Setup, Stage};
use garbage::Collection;
use testkit::topology::Topology;

/// Runs it on each topology and writes the document.
///
/// # Errors
/// A program is missing, a server fails, a client's request fails, or garbage stays. A missed target is no error.
pub(super) fn run(options: Options) -> Result<(), String> {
    options.check(&["collection", "deletion"])?;
    let setup = Setup::new(options)?;
    let mut parts = Vec::new();
    for topology in Topology::these_or_all(&setup.options.on) {
        let plan = Plan::of(topology, &setup.options);
        for (name, measure) in MEASURES {
            if setup.options.wants(name) {
                let part = measure(&setup, topology, &plan);
                parts.push(part.map_err(|error| format!("on {topology}: {error}"))?);
            }
        }
    }
    paper::publish(&setup.options, &parts)
}

type Measure = fn(&Setup, Topology, &Plan) -> Result<Part, String>;

const MEASURES: [(&str, Measure); 2] = [("collection", collection), ("deletion", deletion)];

fn collection(setup: &Setup, topology: Topology, plan: &Plan) -> Result<Part, String> {
    let few = Stage::new(setup, topology, "few")?;
    let many = Stage::new(setup, topology, "many")?;
    let mut few = Collection::start(&few, FEW)?;
    let speed = speed::measure(&mut few, plan)?;
    let measured = speed.spread().ok_or("no round of the speed was run")?;
    let beside = [
        beside::measure(&mut few, plan, plan.speed / 2)?,
        beside::measure(&mut few, plan, (measured.median / 2.0) as u64)?,
    ];
    let mut many = Collection::start(&many, plan.many)?;
    let cost = cost::measure(&mut few, &mut many, plan)?;
    few.end()?;
    many.end()?;
    Ok(page::collection(topology, plan, &speed, &beside, &cost))
}

/// Nothing is collected meanwhile: what the deleted manifests named is kept for a while.
fn deletion(setup: &Setup, topology: Topology, plan: &Plan) -> Result<Part, String> {
    let stage = Stage::new(setup, topology, "deletion")?;
    let paused = Collection::start(&stage, FEW)?;
    let measured = deletion::measure(&paused, plan)?;
    paused.end()?;
    Ok(page::deletion(topology, plan, &measured))
}

/// What lives where there is little.
const FEW: Size = Size {
    repositories: 1_000,
    crowd: 10,
};

/// How much of everything.
struct Plan {
    /// Blobs a minute that are wanted.
    speed: u64,
    rounds: usize,
    /// Garbage of a round of the speed.
    garbage: u64,
    /// Garbage of a round of the comparison.
    compared: u64,
    /// What lives where there is much.
    many: Size,
    /// Referrers of a subject, and tags of another manifest, that are deleted.
    deleted: u64,
    /// Seconds in which clients are watched.
    window: u32,
}

impl Plan {
    fn of(topology: Topology, options: &Options) -> Self {
        let speed = match topology {
            Topology::Files => 60_000,
            Topology::Replicas => 10_000,
        };
        if options.short {
            return Self {
                speed,
                rounds: options.rounds() as usize,
                garbage: 1_000,
                compared: 500,
                many: Size {
                    repositories: 3_000,
                    crowd: 10,
                },
                deleted: 500,
                window: 3,
            };
        }
        Self {
            speed,
            rounds: options.rounds() as usize,
            garbage: match topology {
                Topology::Files => 100_000,
                Topology::Replicas => 20_000,
            },
            compared: 10_000,
            many: Size::MILLION,
            deleted: 50_000,
            window: 10,
        }
    }
}
