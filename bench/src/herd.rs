//! `cargo xtask bench herd`: 10,000 nodes that pull one image of 1 MiB at once from two replicas, whose layer comes through
//! the replicas or, by a redirect, from the bucket; and what a hundred times as many would need.

mod cost;
mod estimate;
mod node;
mod page;
mod place;
mod wave;

use testkit::descriptors::raise_limit;
use testkit::meter::{Figures, listed};

use super::Options;
use super::paper;
use super::recorder::rotated;
use super::result::Results;
use super::s3::stage::Stage;
use place::Place;

/// How its samples are called.
const CASE: &str = "herd";
/// What nodes pull.
const REPOSITORY: &str = "herd/app";
const TAG: &str = "latest";
/// Bytes of the image's layer: no less, or it would not be redirected.
const LAYER: u64 = 1 << 20;

/// Where layers come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// Through the replicas.
    Replicas,
    /// From the bucket, to which replicas redirect.
    Bucket,
}

impl Source {
    const ALL: [Self; 2] = [Self::Replicas, Self::Bucket];

    const fn name(self) -> &'static str {
        match self {
            Self::Replicas => "replicas",
            Self::Bucket => "bucket",
        }
    }

    /// The right answers there: with 307 a replica redirects.
    const fn answers(self) -> &'static [u16] {
        match self {
            Self::Replicas => &[200, 307],
            Self::Bucket => &[200],
        }
    }

    /// The figure of the bytes that came from there.
    const fn bytes(self) -> &'static str {
        match self {
            Self::Replicas => "replicas_bytes",
            Self::Bucket => "bucket_bytes",
        }
    }
}

/// Sends the herd in each round, once from each source, and writes the document.
///
/// # Errors
/// A program is missing, a server fails, an answer is not what it must be, or the system allows too few open files. In the
/// short form also where a node gave up.
pub(super) fn run(options: Options) -> Result<(), String> {
    options.check(&Source::ALL.map(Source::name))?;
    let nodes: usize = if options.short { 200 } else { 10_000 };
    // A connection for each node, and some files for everything else. Servers inherit the limit.
    let files = raise_limit(nodes as u64 + 2_000)?;
    let stage = Stage::start(&options)?;
    let place = Place::prepare(&stage)?;
    let mut results = Results::default();
    for round in 0..options.rounds() {
        for index in rotated(Source::ALL.len(), round) {
            let source = Source::ALL[index];
            if options.wants(source.name()) {
                let figures = place.measure(source, nodes)?;
                eprintln!(
                    "  layers from {}: {}",
                    source.name(),
                    listed(&figures, true)
                );
                all_served(&options, &figures)?;
                results.add(CASE, source.name(), figures);
            }
        }
    }
    paper::publish(&options, &[page::part(nodes, files, &results)])
}

/// Few nodes never have to give up; that some of many did is a figure.
fn all_served(options: &Options, figures: &Figures) -> Result<(), String> {
    match figures.get("failed") {
        Some(failed) if options.short && *failed > 0.0 => Err(format!("{failed} nodes gave up")),
        _ => Ok(()),
    }
}
