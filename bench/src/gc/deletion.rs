//! What deleting one manifest does to other clients of its repository where very much hangs on it: a subject with
//! many referrers, or a manifest with many tags. Windows in which such are deleted, against windows in which nothing
//! is.

mod seed;

use std::thread;
use std::time::Instant;

use super::Plan;
use super::beside::clients;
use super::garbage::Collection;
use crate::load::deletion;
use crate::result::Spread;
pub(super) use seed::Kind;
use seed::{Doomed, Place};
use testkit::meter::{Figures, wait};

/// Figures of clients, round by round, while nothing is deleted, and while manifests of each kind are.
pub(super) struct Deletion {
    pub(super) undisturbed: Vec<Figures>,
    pub(super) kinds: [Deleted; 2],
}

/// Windows in which manifests of one kind are deleted.
pub(super) struct Deleted {
    pub(super) kind: Kind,
    /// Manifests that are deleted in a window: a new one before it ends.
    pub(super) each: u32,
    pub(super) windows: Vec<Figures>,
    /// Seconds until the answer, of each manifest.
    pub(super) took: Vec<f64>,
}

impl Deletion {
    /// A figure while manifests of a kind are deleted, over the same while nothing is.
    pub(super) fn ratio(&self, deleted: &Deleted, figure: &str) -> Option<Spread> {
        let pairs = deleted.windows.iter().zip(&self.undisturbed);
        let ratio =
            |(with, without): (&Figures, &Figures)| Some(with.get(figure)? / without.get(figure)?);
        Spread::of(pairs.filter_map(ratio).collect())
    }
}

/// Clients push into the repository that is deleted from.
const REPOSITORY: &str = "scale-0000/deletion";
/// Manifests of a window at most.
const MOST: u32 = 10;

pub(super) fn measure(collection: &Collection<'_>, plan: &Plan) -> Result<Deletion, String> {
    // Pushes what is pulled, and makes the repository.
    clients(collection, REPOSITORY, 1)?;
    let place = Place::find(collection.stage, REPOSITORY)?;
    let mut run = Run {
        collection,
        plan,
        place,
    };
    let mut deletion = Deletion {
        undisturbed: Vec::new(),
        kinds: [run.first(Kind::Subject)?, run.first(Kind::Tagged)?],
    };
    for round in 0..plan.rounds {
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                deletion.undisturbed.push(run.undisturbed()?);
            } else {
                for deleted in &mut deletion.kinds {
                    run.with_deletions(deleted)?;
                }
            }
        }
    }
    Ok(deletion)
}

struct Run<'a> {
    collection: &'a Collection<'a>,
    plan: &'a Plan,
    place: Place<'a>,
}

impl Run<'_> {
    fn undisturbed(&self) -> Result<Figures, String> {
        self.place.settle()?;
        clients(self.collection, REPOSITORY, self.plan.window)
    }

    /// Deletes one that is not counted, and says how many fill a window.
    fn first(&mut self, kind: Kind) -> Result<Deleted, String> {
        let mut trial = Deleted {
            kind,
            each: 1,
            windows: Vec::new(),
            took: Vec::new(),
        };
        self.with_deletions(&mut trial)?;
        let took: f64 = trial.took.iter().sum();
        let each = (f64::from(self.plan.window) / took).ceil() as u32;
        Ok(Deleted {
            kind,
            each: each.clamp(1, MOST),
            windows: Vec::new(),
            took: Vec::new(),
        })
    }

    /// A window that begins with the first deletion; the last one may end after it.
    fn with_deletions(&mut self, deleted: &mut Deleted) -> Result<(), String> {
        let made = (0..deleted.each).map(|_| self.place.make(deleted.kind, self.plan.deleted));
        let doomed = made.collect::<Result<Vec<Doomed>, String>>()?;
        self.place.expect(&doomed)?;
        self.place.settle()?;
        let collection = self.collection;
        let stage = collection.stage;
        let (seen, took) = thread::scope(|scope| {
            let target = &collection.gantry.target;
            let gone: Vec<deletion::Doomed> = doomed.iter().map(Doomed::gone).collect();
            let place = &self.place;
            let deleting = scope.spawn(move || {
                let began = Instant::now();
                wait(deletion::delete(target, REPOSITORY, &gone))?;
                // What hangs on them is removed after the answers.
                place.wait_until_gone()?;
                let all = began.elapsed().as_secs_f64();
                Ok::<_, String>(vec![all / gone.len() as f64; gone.len()])
            });
            let seen = clients(collection, REPOSITORY, self.plan.window);
            (seen, deleting.join())
        });
        let took = took.map_err(|_| "the deleting thread panicked")??;
        deleted.windows.push(seen?);
        let (topology, kind) = (stage.topology, deleted.kind.name());
        eprintln!("  {topology}: {kind}: gone {took:.2?} s after DELETE");
        deleted.took.extend(took);
        Ok(())
    }
}
