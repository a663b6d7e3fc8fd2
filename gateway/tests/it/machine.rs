//! Random sequences of everything that clients, administrators, jobs and crashes do, against a plain model in memory.
//!
//! A walk is a sequence of 100 steps (`step`) through a Gantry of its own (`world`). The model (`model`) is told what
//! was seen of each step and says whether that could be; then what the step touched is compared with it (`check`). At
//! the end of a walk, when nothing waits any more, what is stored has to be what is reachable. A walk that fails is
//! made shorter and printed as a test for `found`.
//!
//! `cargo xtask soak machine` goes on from any seed and step; `GANTRY_MACHINE_SEED`, `GANTRY_MACHINE_FROM` and
//! `GANTRY_MACHINE_STEPS` are how it says so.

mod backing;
mod check;
mod content;
mod found;
mod model;
mod step;
mod store;
mod walk;
mod world;

use std::sync::Arc;

use backing::Backing;
use walk::{LENGTH, shorten, steps_of, walk};
use world::Topology;

#[tokio::test]
async fn random_steps_on_files() {
    random_steps(Topology::Files).await;
}

#[tokio::test]
async fn random_steps_on_replicas() {
    random_steps(Topology::Replicas).await;
}

/// Steps on each topology in a run of all tests, 2,000 together. `cargo xtask soak machine` goes through as many as one
/// likes.
const STEPS: usize = 1_000;

async fn random_steps(topology: Topology) {
    let number = |name: &str, default: usize| {
        let text = std::env::var(name).ok();
        text.map_or(default, |text| {
            text.parse()
                .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
        })
    };
    let seed = number("GANTRY_MACHINE_SEED", 1) as u64;
    let from = number("GANTRY_MACHINE_FROM", 0);
    let to = from + number("GANTRY_MACHINE_STEPS", STEPS);
    let backing = Arc::new(Backing::new());
    backing.start_for(topology).await;
    for number in from / LENGTH..to.div_ceil(LENGTH) {
        let steps = steps_of(seed, number);
        if let Err(failure) = walk(&backing, topology, &steps).await {
            eprintln!("machine on {topology:?}: seed {seed}, walk {number}: {failure:?}");
            let (steps, failure) = shorten(&backing, topology, steps, failure).await;
            panic!(
                "machine on {topology:?}: seed {seed}, --from {}: {}\n{steps:#?}",
                number * LENGTH,
                failure.why
            );
        }
        eprintln!(
            "machine on {topology:?}: seed {seed}, {} steps done",
            (number + 1) * LENGTH
        );
    }
}
