//! On paper: what very many nodes need that all have the image in time, if each costs what it cost here.

/// So many nodes within so many seconds.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) nodes: f64,
    pub(super) seconds: f64,
}

impl Plan {
    /// Cores that are busy all the time, by the CPU seconds of a node.
    pub(super) fn cores(self, cpu_seconds: f64) -> f64 {
        cpu_seconds * self.nodes / self.seconds
    }

    /// The network that is full all the time, in Gbit/s, by the bytes of a node.
    pub(super) fn gbit_per_second(self, bytes: f64) -> f64 {
        bytes * 8.0 * self.nodes / self.seconds / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn a_plan_is_a_rule_of_three() {
        let plan = Plan {
            nodes: 1_000_000.0,
            seconds: 500.0,
        };
        assert_eq!(plan.cores(0.002), 4.0);
        assert_eq!(plan.gbit_per_second(1_000_000.0), 16.0);
    }
}
