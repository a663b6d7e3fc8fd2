//! Whether the replicas' memory stays flat.

use std::time::Duration;

/// How much higher the peak of a later third may be than that of the first: a share of it, and MiB besides.
const SHARE: f64 = 0.25;
const SLACK: f64 = 16.0;

/// Resident memory of each replica, in MiB, with the time since the beginning. A replica has several processes, one
/// after the other.
#[derive(Default)]
pub(super) struct Memory([Vec<(Duration, f64)>; 2]);

impl Memory {
    pub(super) fn note(&mut self, replica: usize, at: Duration, mib: f64) {
        self.0[replica].push((at, mib));
    }

    /// The peaks by thirds of a run of this length in words, and whether they are flat.
    pub(super) fn sum(&self, length: Duration) -> (String, bool) {
        let peaks = self.0.each_ref().map(|samples| peaks(samples, length));
        let words = peaks.map(|[a, b, c]| format!("{a:.0} {b:.0} {c:.0} MiB"));
        (words.join(" and "), peaks.into_iter().all(is_flat))
    }
}

/// The highest of each third.
fn peaks(samples: &[(Duration, f64)], length: Duration) -> [f64; 3] {
    let mut peaks = [0.0_f64; 3];
    for (at, mib) in samples {
        let third = at.as_millis() * 3 / length.as_millis().max(1);
        let peak = &mut peaks[third.min(2) as usize];
        *peak = peak.max(*mib);
    }
    peaks
}

fn is_flat([first, second, third]: [f64; 3]) -> bool {
    second.max(third) <= first * (1.0 + SHARE) + SLACK
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Memory, is_flat, peaks};

    #[test]
    fn each_third_has_its_own_peak() {
        let samples = [(0, 50.0), (9, 70.0), (10, 60.0), (19, 65.0), (20, 40.0)];
        let samples = samples.map(|(at, mib)| (Duration::from_secs(at), mib));
        let late = (Duration::from_secs(31), 80.0);
        let samples = [&samples[..], &[late]].concat();
        assert_eq!(peaks(&samples, Duration::from_secs(30)), [70.0, 65.0, 80.0]);
    }

    #[test]
    fn a_quarter_and_16_mib_more_is_flat_and_no_more() {
        assert!(is_flat([100.0, 100.0, 141.0]));
        assert!(is_flat([100.0, 20.0, 30.0]));
        assert!(!is_flat([100.0, 142.0, 100.0]));
        assert!(!is_flat([100.0, 100.0, 142.0]));
    }

    #[test]
    fn one_replica_that_grows_is_enough() {
        let mut memory = Memory::default();
        for at in 0..30 {
            memory.note(0, Duration::from_secs(at), 60.0);
            memory.note(1, Duration::from_secs(at), 60.0 + at as f64 * 3.0);
        }
        let (words, flat) = memory.sum(Duration::from_secs(30));
        assert_eq!(words, "60 60 60 MiB and 87 117 147 MiB");
        assert!(!flat);
    }
}
