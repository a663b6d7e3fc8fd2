//! Times pages, counts and writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use db::audit::count::{self, Count};
use db::audit::{self, Filter};
use db::{Db, Tx};
use model::{Client, Event, Operation, Origin, Principal, Subject, Timestamp};

use super::seed::{By, Log, NAMES};
use crate::stage::Stage;

/// Entries of a page.
pub(super) const PAGE: i64 = 100;
/// Pages at each place.
pub(super) const PAGES: i64 = 300;
/// Batches of events that are written with all indexes, and as many with one; and events in each.
pub(super) const BATCHES: usize = 100;
pub(super) const BATCH: usize = 500;
/// Events that are written in a transaction each.
const SINGLE: usize = 500;

/// Where in the log a page lies.
#[derive(Clone, Copy)]
pub(super) enum Place {
    First,
    Middle,
    Last,
}

impl Place {
    pub(super) const ALL: [Self; 3] = [Self::First, Self::Middle, Self::Last];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Middle => "middle",
            Self::Last => "last",
        }
    }
}

/// Sorted times of the pages at a place.
pub(super) struct Pages {
    pub(super) by: By,
    pub(super) place: Place,
    pub(super) times: Vec<Duration>,
}

/// Sorted times of counts, and the count furthest from the truth, as a share of it.
pub(super) struct Counts {
    pub(super) by: By,
    pub(super) times: Vec<Duration>,
    pub(super) is_exact: bool,
    pub(super) wrong_by: f64,
}

/// What writing costs with some indexes.
pub(super) struct Writes {
    pub(super) indexes: usize,
    /// Sorted times of batches, their commits included.
    pub(super) batches: Vec<Duration>,
    /// Sorted times of the statement alone that writes one event, as in a push.
    pub(super) single: Vec<Duration>,
}

pub(super) struct All {
    pub(super) pages: Vec<Pages>,
    pub(super) counts: Vec<Counts>,
    pub(super) writes: Vec<Writes>,
}

pub(super) async fn all(db: &Db, log: &Log, stage: &Stage<'_>) -> Result<All, String> {
    let mut pages = Vec::new();
    for by in By::ALL {
        for place in Place::ALL {
            pages.push(pages_at(db, log, by, place).await?);
        }
    }
    let mut counts = Vec::new();
    for by in By::ALL {
        counts.push(counts_by(db, log, by).await?);
    }
    let six = writes(db, NAMES.len(), log.events).await?;
    let others = NAMES.iter().filter(|name| **name != "at");
    let drop: Vec<String> = others
        .map(|name| format!("drop index audit_{name};"))
        .collect();
    stage.sql(&drop.concat())?;
    let one = writes(db, 1, 2 * log.events).await?;
    Ok(All {
        pages,
        counts,
        writes: vec![six, one],
    })
}

/// The second and third quarter of the log: a year.
fn within(log: &Log, filter: Filter) -> Filter {
    Filter {
        from: Some(log.at(log.events / 4)),
        to: Some(log.at(log.events / 4 * 3)),
        ..filter
    }
}

/// Pages of different values at a place.
async fn pages_at(db: &Db, log: &Log, by: By, place: Place) -> Result<Pages, String> {
    let mut times = Vec::new();
    for number in 0..PAGES {
        let quarter = log.events / 4;
        let before = match place {
            Place::First => None,
            Place::Middle => Some(log.id(quarter * 2 + number * 13)),
            // Half a page is left of what is rare, and at least something of all else.
            Place::Last => Some(log.id(quarter + by.one_of() * PAGE / 2 + number)),
        };
        let filter = Filter {
            before,
            ..within(log, by.filter(number * 7_919)?)
        };
        let mut reader = db.reader().await.map_err(|error| error.to_string())?;
        let begun = Instant::now();
        let page = audit::list(&mut reader, &filter, PAGE).await;
        times.push(begun.elapsed());
        let page = page.map_err(|error| error.to_string())?;
        if page.is_empty() {
            return Err(format!(
                "the {} page by {} is empty",
                place.title(),
                by.title()
            ));
        }
    }
    times.sort();
    Ok(Pages { by, place, times })
}

async fn counts_by(db: &Db, log: &Log, by: By) -> Result<Counts, String> {
    let (mut times, mut wrong_by, mut is_exact) = (Vec::new(), 0.0_f64, true);
    let share = match by {
        By::Frequent => 15.0 / 20.0,
        _ => 1.0 / by.one_of() as f64,
    };
    let truth = (log.events / 2) as f64 * share;
    for number in 0..PAGES / 3 {
        let filter = within(log, by.filter(number * 7_919)?);
        let mut reader = db.reader().await.map_err(|error| error.to_string())?;
        let begun = Instant::now();
        let counted = count::count(&mut reader, &filter).await;
        times.push(begun.elapsed());
        let counted = match counted.map_err(|error| error.to_string())? {
            Count::Exact(entries) => entries,
            Count::About(entries) => {
                is_exact = false;
                entries
            }
        };
        wrong_by = wrong_by.max((counted as f64 / truth - 1.0).abs());
    }
    times.sort();
    Ok(Counts {
        by,
        times,
        is_exact,
        wrong_by,
    })
}

/// Events of a push, from a number on.
fn events(log_end: i64, first: usize, count: usize) -> Result<Vec<Event>, String> {
    let event = |number: usize| {
        let origin = Origin {
            principal: Principal::Claimed(format!("user-{}", number % 1_009).into()),
            client: Client::at(Some([192, 0, 2, 1].into())),
        };
        let name = format!("audit-{}/r{}", number % 499, number % 20);
        let subject = Subject::Artifact {
            project: model::ProjectId(1_000 + (number % 499) as i64),
            repository: name.parse().map_err(|_| format!("{name} is no name"))?,
            tag: format!("v{}", number % 997).parse().ok(),
            digest: model::Digest::of(model::Algorithm::Sha256, name.as_bytes()),
        };
        let at = Timestamp(1_763_500_000_000_000 + log_end + number as i64);
        Ok(Event::new(at, origin, Operation::Create, subject))
    };
    (first..first + count).map(event).collect()
}

async fn writes(db: &Db, indexes: usize, log_end: i64) -> Result<Writes, String> {
    let failed = |error: db::Error| error.to_string();
    let mut batches = Vec::new();
    for batch in 0..BATCHES {
        let events: Arc<[Event]> = events(log_end, batch * BATCH, BATCH)?.into();
        let id = format!("bench-{indexes}-{batch}");
        let begun = Instant::now();
        let now = Timestamp(1_763_500_000_000_000);
        db.write(move |tx| Box::pin(async move { tx.record_batch(&id, &events, now).await }))
            .await
            .map_err(failed)?;
        batches.push(begun.elapsed());
    }
    let mut single = Vec::new();
    for event in events(log_end, BATCHES * BATCH, SINGLE)? {
        let took = db.write(move |tx| Box::pin(async move { timed(tx, &event).await }));
        single.push(took.await.map_err(failed)?);
    }
    batches.sort();
    single.sort();
    Ok(Writes {
        indexes,
        batches,
        single,
    })
}

async fn timed(tx: &mut Tx, event: &Event) -> Result<Duration, db::Error> {
    let begun = Instant::now();
    tx.record(event).await?;
    Ok(begun.elapsed())
}
