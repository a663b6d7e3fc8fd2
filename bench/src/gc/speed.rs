//! How fast garbage goes when nothing holds the collection back.

use super::Plan;
use super::garbage::{Collection, Run};
use crate::result::Spread;

pub(super) struct Speed(pub(super) Vec<Run>);

impl Speed {
    pub(super) fn spread(&self) -> Option<Spread> {
        Spread::of(self.0.iter().map(|run| run.blobs_per_minute()).collect())
    }
}

pub(super) fn measure(collection: &mut Collection<'_>, plan: &Plan) -> Result<Speed, String> {
    let mut runs = Vec::new();
    for _ in 0..plan.rounds {
        collection.make(plan.garbage)?;
        let run = collection.collect(plan.garbage)?;
        eprintln!(
            "  {}: {} blobs a minute; {:.1} s, {:.1} s of them for links, {:.1} s of CPU",
            collection.stage.topology,
            run.blobs_per_minute() as u64,
            run.took.as_secs_f64(),
            run.links.as_secs_f64(),
            run.cpu_s
        );
        runs.push(run);
    }
    Ok(Speed(runs))
}
