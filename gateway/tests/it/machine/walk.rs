//! Walks: sequences of steps, drawn from a seed, gone through, and made shorter where one fails.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sha2::{Digest as _, Sha256};

use super::backing::Backing;
use super::check;
use super::model::Model;
use super::step::{Project, Step, any_step};
use super::world::{Topology, World};

/// Steps of a walk, after which all is looked at when it is quiet.
pub(crate) const LENGTH: usize = 100;
/// Steps after which everything is looked at.
const EVERYTHING: usize = 50;
/// How long a failing walk is made shorter at most.
const SHORTENING: Duration = Duration::from_secs(600);

/// What went wrong, and after how many steps.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) steps: usize,
    pub(crate) why: String,
}

impl Failure {
    /// Whether both complain of the same kind of thing, as far as words tell.
    fn is_like(&self, other: &Self) -> bool {
        let words = |failure: &Self| {
            let said = failure
                .why
                .rsplit(": ")
                .next()
                .unwrap_or_default()
                .to_owned();
            said.split(|c: char| !c.is_ascii_alphabetic())
                .filter(|word| !word.is_empty())
                .take(4)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        words(self) == words(other)
    }
}

/// The steps of a walk: the same for the same seed and number.
pub(crate) fn steps_of(seed: u64, number: usize) -> Vec<Step> {
    let entropy = Sha256::digest(format!("{seed} {number}"));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &entropy);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let step = any_step();
    let drawn = std::iter::repeat_with(|| {
        let drawn = step.new_tree(&mut runner).expect("a step can be drawn");
        drawn.current()
    });
    let projects = Project::ALL.map(Step::CreateProject);
    projects.into_iter().chain(drawn).take(LENGTH).collect()
}

/// Goes through the steps on a Gantry of its own.
pub(crate) async fn walk(
    backing: &Arc<Backing>,
    topology: Topology,
    steps: &[Step],
) -> Result<(), Failure> {
    let walked = AssertUnwindSafe(go(backing.clone(), topology, steps)).catch_unwind();
    // A panic is a failure like others.
    walked.await.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure {
            steps: steps.len(),
            why: text.unwrap_or("a panic").to_owned(),
        })
    })
}

async fn go(backing: Arc<Backing>, topology: Topology, steps: &[Step]) -> Result<(), Failure> {
    let mut model = Model::default();
    let mut world = World::start(topology, backing, &mut model).await;
    for (number, step) in steps.iter().enumerate() {
        let failed = |why: String| Failure {
            steps: number + 1,
            why: format!("{step:?}: {why}"),
        };
        let touched = model.touched(step);
        for part in model.expand(step) {
            if model.applies(&part) {
                let seen = world.perform(&part, &mut model).await;
                model
                    .follow(&part, &seen)
                    .map_err(|why| failed(format!("{part:?}: {why}")))?;
            }
        }
        for at in touched {
            check::repository(&world, &model, at)
                .await
                .map_err(failed)?;
        }
        check::usage(&world, &model).await.map_err(failed)?;
        if (number + 1) % EVERYTHING == 0 {
            check::everything(&world, &model).await.map_err(failed)?;
        }
    }
    let quiet = check::quiet(&mut world, &mut model).await;
    quiet.map_err(|why| Failure {
        steps: steps.len(),
        why: format!("when all is quiet: {why}"),
    })
}

/// Leaves out steps for as long as the walk still fails: halves first, then smaller parts, then single steps.
pub(crate) async fn shorten(
    backing: &Arc<Backing>,
    topology: Topology,
    mut steps: Vec<Step>,
    mut failure: Failure,
) -> (Vec<Step>, Failure) {
    let end = Instant::now() + SHORTENING;
    steps.truncate(failure.steps);
    let mut part = steps.len().div_ceil(2);
    while part > 0 {
        let mut from = steps.len();
        while from > 0 && Instant::now() < end {
            from = from.saturating_sub(part);
            let mut fewer = steps.clone();
            fewer.drain(from..(from + part).min(steps.len()));
            if let Err(found) = walk(backing, topology, &fewer).await
                && found.is_like(&failure)
            {
                fewer.truncate(found.steps);
                eprintln!("machine: {} steps fail as well: {}", fewer.len(), found.why);
                (steps, failure) = (fewer, found);
                from = from.min(steps.len());
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    (steps, failure)
}
