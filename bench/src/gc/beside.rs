//! What a throttled collection does to clients: windows in which it runs against windows in which it is paused.

use std::thread::sleep;
use std::time::Duration;

use super::Plan;
use super::garbage::Collection;
use crate::load::small;
use crate::result::Spread;
use testkit::meter::{Figures, wait};

/// Figures of clients, round by round.
pub(super) struct Beside {
    /// Blobs a minute that the collection was told.
    pub(super) rate: u64,
    pub(super) paused: Vec<Figures>,
    pub(super) collecting: Vec<Figures>,
    /// Links and objects that went in each window with the collection, by the minute.
    pub(super) links: Vec<f64>,
    pub(super) objects: Vec<f64>,
}

impl Beside {
    /// A figure while it collects, over the same while it is paused.
    pub(super) fn ratio(&self, figure: &str) -> Option<Spread> {
        let pairs = self.collecting.iter().zip(&self.paused);
        Spread::of(
            pairs
                .filter_map(|(with, without)| Some(with.get(figure)? / without.get(figure)?))
                .collect(),
        )
    }
}

/// How long processes take to follow, with some margin.
const FOLLOW: Duration = Duration::from_millis(1_500);

pub(super) fn measure(
    collection: &mut Collection<'_>,
    plan: &Plan,
    rate: u64,
) -> Result<Beside, String> {
    collection.steer(&format!("rate {rate}"))?;
    let mut beside = Beside {
        rate,
        paused: Vec::new(),
        collecting: Vec::new(),
        links: Vec::new(),
        objects: Vec::new(),
    };
    // Pushes what is pulled, and is not counted.
    watch(collection, 1)?;
    for round in 0..plan.rounds {
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                beside.paused.push(watch(collection, plan.window)?);
            } else {
                with_collection(collection, plan, &mut beside)?;
            }
        }
    }
    collection.steer("rate 0")?;
    Ok(beside)
}

/// As much garbage as takes a little longer than the window: links and objects go together, at the rate.
fn with_collection(
    collection: &mut Collection<'_>,
    plan: &Plan,
    beside: &mut Beside,
) -> Result<(), String> {
    let window = f64::from(plan.window);
    let blobs = (beside.rate as f64 / 60.0 * (window + FOLLOW.as_secs_f64())) as u64;
    collection.make(blobs)?;
    let before = collection.counts()?;
    collection.steer("resume")?;
    collection.wait(|now| now.links > before.links)?;
    let begin = collection.counts()?;
    beside.collecting.push(watch(collection, plan.window)?);
    let end = collection.counts()?;
    let by_minute = |count: u64| count as f64 * 60.0 / window;
    beside.links.push(by_minute(end.links - begin.links));
    beside.objects.push(by_minute(end.objects - begin.objects));
    collection.wait(|now| now.objects >= before.objects + blobs)?;
    collection.steer("pause")?;
    sleep(FOLLOW);
    Ok(())
}

fn watch(collection: &Collection<'_>, seconds: u32) -> Result<Figures, String> {
    clients(collection, REPOSITORY, seconds)
}

/// Where they push and pull, apart from what is collected.
const REPOSITORY: &str = "paced/r";

/// Clients that push and pull at a fixed rate in a repository, for so many seconds.
pub(super) fn clients(
    collection: &Collection<'_>,
    repository: &str,
    seconds: u32,
) -> Result<Figures, String> {
    let gantry = &collection.gantry;
    let server = gantry.daemon.processes();
    let seen = wait(small::paced(&gantry.target, &server, repository, seconds))?;
    let p99 = |what: &str| seen.get(&format!("{what}_p99_ms")).copied();
    eprintln!(
        "  {}: clients: p99 of pushes {:.1} ms, of pulls {:.2} ms",
        collection.stage.topology,
        p99("push").unwrap_or(f64::NAN),
        p99("pull").unwrap_or(f64::NAN)
    );
    Ok(seen)
}
