//! What was measured: samples by case, server and round, their medians, and ratios between servers.

use testkit::meter::Figures;

/// One measurement.
pub(crate) struct Sample {
    pub(crate) case: &'static str,
    pub(crate) server: &'static str,
    pub(crate) figures: Figures,
}

/// All samples of a run, in the order they were taken.
#[derive(Default)]
pub(crate) struct Results {
    samples: Vec<Sample>,
    profiles: Vec<(&'static str, Vec<String>)>,
}

/// Median, smallest and largest of several rounds.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

impl Results {
    pub(crate) fn add(&mut self, case: &'static str, server: &'static str, figures: Figures) {
        self.samples.push(Sample {
            case,
            server,
            figures,
        });
    }

    /// Notes where Gantry's time went in a case.
    pub(crate) fn add_profile(&mut self, case: &'static str, top: Vec<String>) {
        self.profiles.push((case, top));
    }

    /// The costliest functions of Gantry in a case, where they were recorded.
    pub(crate) fn profile(&self, case: &str) -> Option<&[String]> {
        let found = self.profiles.iter().find(|(name, _)| *name == case);
        found.map(|(_, top)| top.as_slice())
    }

    /// One figure of every round.
    pub(crate) fn values(&self, case: &str, server: &str, figure: &str) -> Vec<f64> {
        let of_case = self
            .samples
            .iter()
            .filter(|s| s.case == case && s.server == server);
        of_case
            .filter_map(|sample| sample.figures.get(figure).copied())
            .collect()
    }

    pub(crate) fn spread(&self, case: &str, server: &str, figure: &str) -> Option<Spread> {
        Spread::of(self.values(case, server, figure))
    }

    /// The ratio of a figure to another one, round by round: what disturbs a round disturbs both sides of it.
    pub(crate) fn ratio(
        &self,
        over: (&str, &str),
        under: (&str, &str),
        figure: &str,
    ) -> Option<Spread> {
        let over = self.values(over.0, over.1, figure);
        let under = self.values(under.0, under.1, figure);
        Spread::of(over.iter().zip(&under).map(|(a, b)| a / b).collect())
    }

    /// The servers a case ran on: Gantry first, and else in the order of their first sample.
    pub(crate) fn servers(&self, case: &str) -> Vec<&'static str> {
        let mut servers = Vec::new();
        for sample in self.samples.iter().filter(|sample| sample.case == case) {
            if !servers.contains(&sample.server) {
                servers.push(sample.server);
            }
        }
        servers.sort_by_key(|server| match *server {
            gantry if gantry.starts_with("gantry") => 0,
            "nginx" => 1,
            "distribution" => 2,
            _ => 3,
        });
        servers
    }

    /// Every sample, one JSON object per line.
    pub(crate) fn json(&self) -> String {
        let line = |sample: &Sample| {
            let mut line = serde_json::json!({ "case": sample.case, "server": sample.server });
            for (key, value) in &sample.figures {
                line[key] = (*value).into();
            }
            format!("{line}\n")
        };
        self.samples.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (2.5, 1.0, 4.0));
        assert!(Spread::of(vec![]).is_none());
    }

    #[test]
    fn ratios_pair_the_rounds() {
        let mut results = Results::default();
        for (server, rate) in [
            ("gantry", 10.0),
            ("nginx", 5.0),
            ("gantry", 30.0),
            ("nginx", 10.0),
        ] {
            results.add("case", server, Figures::from([("rate".to_owned(), rate)]));
        }
        let ratio = results
            .ratio(("case", "gantry"), ("case", "nginx"), "rate")
            .unwrap();
        assert_eq!((ratio.median, ratio.least, ratio.most), (2.5, 2.0, 3.0));
    }
}
