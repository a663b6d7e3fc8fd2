//! Which of a repository's artifacts rules keep: those that at least one of them keeps.

use std::cmp::Reverse;
use std::time::Duration;

use super::rule::{CompiledRule, RuleSet};
use super::template::{Measure, Template};
use crate::Timestamp;

/// An artifact, as rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// When it or one of its tags was pushed last.
    pub pushed: Timestamp,
    /// When it or one of its tags was pulled last; `None` for one that never was.
    pub pulled: Option<Timestamp>,
    /// The rules that select it.
    pub selected_by: RuleSet,
}

impl Candidate {
    fn at(&self, measure: Measure) -> Option<Timestamp> {
        match measure {
            Measure::Pushed => Some(self.pushed),
            Measure::Pulled => self.pulled,
            Measure::Active => self.pulled.max(Some(self.pushed)),
        }
    }
}

/// For each candidate the place of the first rule that keeps it, from 0; `None` for one that goes. Candidates are in the
/// order in which they came to the repository: of two that are equal, the later one counts as newer. What is gone already
/// changes nothing for the rest, since rules keep the newest.
pub fn kept(
    rules: &[CompiledRule],
    candidates: &[Candidate],
    now: Timestamp,
) -> Vec<Option<usize>> {
    let mut kept = vec![None; candidates.len()];
    for (place, rule) in rules.iter().enumerate() {
        for at in keeps(rule.template, place, candidates, now) {
            kept[at] = kept[at].or(Some(place));
        }
    }
    kept
}

/// Places of the candidates that one rule keeps.
fn keeps(template: Template, rule: usize, candidates: &[Candidate], now: Timestamp) -> Vec<usize> {
    let selected = candidates.iter().enumerate();
    let selected = selected.filter(|(_, candidate)| candidate.selected_by.has(rule));
    match template {
        Template::Always => selected.map(|(at, _)| at).collect(),
        Template::Within(measure, days) => {
            let since = now.minus(Duration::from_secs(days.unsigned_abs() * DAY));
            let is_within = |candidate: &Candidate| candidate.at(measure) >= Some(since);
            let within = selected.filter(|(_, candidate)| is_within(candidate));
            within.map(|(at, _)| at).collect()
        }
        Template::Newest(measure, count) => {
            let mut newest: Vec<usize> = selected.map(|(at, _)| at).collect();
            newest.sort_by_key(|at| {
                let candidate = &candidates[*at];
                Reverse((candidate.at(measure), candidate.pushed, *at))
            });
            newest.truncate(count);
            newest
        }
    }
}

/// Seconds of a day.
const DAY: u64 = 24 * 3_600;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::RetentionRule;
    use crate::retention::compile;

    const NOW: i64 = 100;

    fn days(at: i64) -> Timestamp {
        Timestamp(at * 86_400_000_000)
    }

    fn rules(templates: &[(&str, i64)]) -> Vec<CompiledRule> {
        let rule = |(name, number): &(&str, i64)| {
            let params = match *name {
                "always" => json!({}),
                name => json!({ name: number }),
            };
            let rule = json!({ "template": name, "params": params,
                "scope_selectors": { "repository": [{ "decoration": "repoMatches", "pattern": "**" }] } });
            serde_json::from_value::<RetentionRule>(rule).unwrap()
        };
        compile(&templates.iter().map(rule).collect::<Vec<_>>()).unwrap()
    }

    /// Candidates pushed and pulled on these days, which all rules select.
    fn candidates(times: &[(i64, Option<i64>)]) -> Vec<Candidate> {
        let one = |(pushed, pulled): &(i64, Option<i64>)| Candidate {
            pushed: days(*pushed),
            pulled: pulled.map(days),
            selected_by: (0..15).fold(RuleSet::default(), RuleSet::with),
        };
        times.iter().map(one).collect()
    }

    fn stay(templates: &[(&str, i64)], times: &[(i64, Option<i64>)]) -> Vec<bool> {
        let kept = kept(&rules(templates), &candidates(times), days(NOW));
        kept.iter().map(Option::is_some).collect()
    }

    #[test]
    fn each_template_keeps_what_it_keeps_in_harbor() {
        let times = [
            (10, Some(95)),
            (50, None),
            (60, Some(70)),
            (90, None),
            (90, Some(91)),
        ];
        for (template, number, expected) in [
            ("latestPushedK", 2, [false, false, false, true, true]),
            // Of two that are equal the later one.
            ("latestPushedK", 1, [false, false, false, false, true]),
            ("latestPushedK", 0, [false; 5]),
            ("latestPushedK", 9, [true; 5]),
            ("latestPulledN", 1, [true, false, false, false, false]),
            ("latestPulledN", 3, [true, false, true, false, true]),
            // What was never pulled comes last, and the newest of it first.
            ("latestPulledN", 4, [true, false, true, true, true]),
            ("nDaysSinceLastPush", 10, [false, false, false, true, true]),
            ("nDaysSinceLastPush", 9, [false; 5]),
            ("nDaysSinceLastPush", 20_190_904, [true; 5]),
            ("nDaysSinceLastPull", 9, [true, false, false, false, true]),
            // Never pulled is not within any number of days.
            (
                "nDaysSinceLastPull",
                20_190_904,
                [true, false, true, false, true],
            ),
            ("latestActiveK", 2, [true, false, false, false, true]),
            ("lastXDays", 10, [false, false, false, true, true]),
            ("always", 0, [true; 5]),
        ] {
            let stay = stay(&[(template, number)], &times);
            assert_eq!(stay, expected, "{template} {number}");
        }
    }

    #[test]
    fn what_any_rule_keeps_stays_and_the_first_such_rule_is_named() {
        let times = [(10, Some(95)), (50, None), (90, None)];
        let rules = rules(&[("latestPushedK", 1), ("latestPulledN", 1), ("always", 0)]);
        let mut all = candidates(&times);
        for candidate in &mut all {
            candidate.selected_by = RuleSet::default().with(0).with(1);
        }
        assert_eq!(kept(&rules, &all, days(NOW)), [Some(1), None, Some(0)]);
    }

    #[test]
    fn a_rule_counts_only_what_it_selects() {
        let mut all = candidates(&[(10, None), (20, None), (30, None)]);
        all[2].selected_by = RuleSet::default();
        let kept = kept(&rules(&[("latestPushedK", 1)]), &all, days(NOW));
        assert_eq!(kept, [None, Some(0), None]);
    }

    proptest! {
        #[test]
        fn once_the_rest_is_gone_nothing_more_goes(
            times in proptest::collection::vec((0..NOW, proptest::option::of(0..NOW)), 0..20),
            pushed in 0..5_i64, pulled in 0..5_i64, recent in 0..NOW,
        ) {
            let rules = rules(&[("latestPushedK", pushed), ("latestPulledN", pulled), ("nDaysSinceLastPull", recent)]);
            let all = candidates(&times);
            let first = kept(&rules, &all, days(NOW));
            let left: Vec<Candidate> = all.iter().zip(&first).filter(|(_, kept)| kept.is_some()).map(|(one, _)| *one).collect();
            let second = kept(&rules, &left, days(NOW));
            prop_assert!(second.iter().all(Option::is_some));
            // Also where only some of it is gone.
            let some: Vec<(Candidate, Option<usize>)> = all.iter().copied().zip(first).enumerate()
                .filter(|(at, (_, kept))| kept.is_some() || at % 2 == 0).map(|(_, one)| one).collect();
            let (some, expected): (Vec<Candidate>, Vec<Option<usize>>) = some.into_iter().unzip();
            prop_assert_eq!(kept(&rules, &some, days(NOW)), expected);
        }
    }
}
