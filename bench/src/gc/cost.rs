//! Whether the same garbage costs the same beside much that lives.

use super::Plan;
use super::garbage::{Collection, Run};
use crate::result::Spread;

pub(super) struct Cost {
    pub(super) few: Vec<Run>,
    pub(super) many: Vec<Run>,
}

impl Cost {
    /// The time beside much, over that beside little, round by round.
    pub(super) fn ratio(&self) -> Option<Spread> {
        let pairs = self.many.iter().zip(&self.few);
        let ratio = |(many, few): (&Run, &Run)| many.took.as_secs_f64() / few.took.as_secs_f64();
        Spread::of(pairs.map(ratio).collect())
    }
}

pub(super) fn measure<'a>(
    few: &mut Collection<'a>,
    many: &mut Collection<'a>,
    plan: &Plan,
) -> Result<Cost, String> {
    let mut cost = Cost {
        few: Vec::new(),
        many: Vec::new(),
    };
    for round in 0..plan.rounds {
        for turn in 0..2 {
            let (collection, runs) = if (round + turn) % 2 == 0 {
                (&mut *few, &mut cost.few)
            } else {
                (&mut *many, &mut cost.many)
            };
            collection.make(plan.compared)?;
            runs.push(collection.collect(plan.compared)?);
        }
    }
    Ok(cost)
}
