//! What a herd costs: CPU time of the replicas and of what stands behind them, and the replicas' memory.

use testkit::gantry::Server;
use testkit::meter::{Figures, put};
use testkit::process::Processes;

use crate::s3::stage::Stage;

/// Who takes CPU time: the figure, the processes, and their seconds before.
type Party = (&'static str, Processes, f64);

/// A measurement that runs.
pub(super) struct Cost {
    parties: [Party; 3],
    replicas: Vec<Processes>,
}

impl Cost {
    pub(super) fn start(stage: &Stage, servers: &[Server]) -> Self {
        let all = Processes::of(servers.iter().map(|server| server.daemon.pid()));
        all.reset_peak();
        let party = |name, processes: Processes| {
            let before = processes.cpu_seconds();
            (name, processes, before)
        };
        Self {
            parties: [
                party("replicas_cpu_s", all),
                party("postgres_cpu_s", stage.postgres()),
                party("seaweed_cpu_s", stage.seaweed()),
            ],
            replicas: servers
                .iter()
                .map(|server| server.daemon.processes())
                .collect(),
        }
    }

    /// Adds what was taken since.
    pub(super) fn end(self, figures: &mut Figures) {
        for (name, processes, before) in &self.parties {
            put(figures, name, processes.cpu_seconds() - before);
        }
        let peaks = self.replicas.iter().map(Processes::peak_mib);
        put(figures, "peak_mib", peaks.fold(0.0, f64::max));
    }
}
