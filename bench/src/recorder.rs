//! Taking measurements: what stands around each of them, the same for all, and what follows from it.

use std::process::Command;

use super::Options;
use super::profile::Profile;
use super::result::Results;
use testkit::meter::Figures;
use testkit::process::{Machine, Processes};

/// Takes measurements and keeps them.
pub(crate) struct Recorder<'a> {
    options: &'a Options,
    pub(crate) results: Results,
}

/// What is measured.
pub(crate) struct Subject<'a> {
    pub(crate) case: &'static str,
    pub(crate) server: &'static str,
    pub(crate) round: u32,
    pub(crate) processes: &'a Processes,
    /// What the server stands on: its CPU time is a figure of its own.
    pub(crate) behind: &'a Processes,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(options: &'a Options) -> Self {
        Self {
            options,
            results: Results::default(),
        }
    }

    /// Takes one measurement.
    pub(crate) fn take(
        &mut self,
        subject: &Subject<'_>,
        work: impl Fn() -> Result<Figures, String>,
    ) -> Result<(), String> {
        let Subject {
            case,
            server,
            round,
            processes,
            behind,
        } = *subject;
        if self.options.profile && server.starts_with("gantry") && round == 0 {
            // A measurement of its own: recording costs time too.
            let profile = Profile::begin(processes, case)?;
            work()?;
            let top = profile.end()?;
            self.results.add_profile(case, top);
        }
        processes.reset_peak();
        let (machine, before) = (Machine::now(), behind.cpu_seconds());
        let mut figures = work()?;
        let behind = behind.cpu_seconds() - before;
        let cpu = figures.get("cpu_s").copied().unwrap_or(0.0);
        figures.insert("behind_cpu_s".to_owned(), behind);
        figures.insert("foreign".to_owned(), machine.foreign_share(cpu + behind));
        figures.insert("peak_mib".to_owned(), processes.peak_mib());
        derive(&mut figures);
        say(case, server, round, &figures);
        self.results.add(case, server, figures);
        Ok(())
    }
}

fn say(case: &str, server: &str, round: u32, figures: &Figures) {
    let of = |key: &str| figures.get(key).copied().unwrap_or(f64::NAN);
    eprintln!(
        "{case} {round} {server}: {:.0}/s, {:.0} MB/s, {:.4} s per 1,000, {:.3} s per GB, p50 {:.2} ms, p99 {:.2} ms, peak {:.0} MiB, others {:.0} %",
        of("rate"),
        of("mb_per_s"),
        of("cpu_per_1000"),
        of("cpu_per_gb"),
        of("p50_ms"),
        of("p99_ms"),
        of("peak_mib"),
        of("foreign") * 100.0
    );
    if let Some(took) = figures.get("commit_ms") {
        eprintln!("{case} {round} {server}: {took:.0} ms to commit");
    }
}

/// CPU per operation and per byte.
fn derive(figures: &mut Figures) {
    let of = |key: &str| figures.get(key).copied();
    let (Some(cpu), Some(operations)) = (of("cpu_s"), of("operations")) else {
        return;
    };
    let bytes = of("bytes").unwrap_or(0.0);
    let rate = of("mb_per_s").or_else(|| Some(bytes / 1e6 / of("seconds")?));
    let behind = of("behind_cpu_s").unwrap_or(0.0);
    let mut set = |key: &str, value: f64| figures.insert(key.to_owned(), value);
    set("cpu_per_1000", cpu / operations * 1000.0);
    set("behind_per_1000", behind / operations * 1000.0);
    set("all_per_1000", (cpu + behind) / operations * 1000.0);
    if bytes > 0.0 {
        set("cpu_per_gb", cpu / (bytes / 1e9));
        set("behind_per_gb", behind / (bytes / 1e9));
    }
    if let Some(rate) = rate {
        set("mb_per_s", rate);
    }
}

/// The order of a round: everyone is first, second and third in turn.
pub(crate) fn rotated(count: usize, round: u32) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (index + round as usize) % count)
}

/// What an earlier round left unwritten is not this one's burden.
pub(crate) fn settle_disk() {
    let _ = Command::new("sync").status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_first_in_turn() {
        assert_eq!(rotated(3, 0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(rotated(3, 4).collect::<Vec<_>>(), [1, 2, 0]);
    }

    #[test]
    fn cpu_is_divided_by_what_was_done() {
        let figure = |(key, value): (&str, f64)| (key.to_owned(), value);
        let given = [
            ("cpu_s", 2.0),
            ("behind_cpu_s", 1.0),
            ("operations", 4.0),
            ("bytes", 5e8),
            ("seconds", 5.0),
        ];
        let mut figures = given.map(figure).into_iter().collect();
        derive(&mut figures);
        let found = ["cpu_per_1000", "all_per_1000", "cpu_per_gb", "mb_per_s"];
        assert_eq!(found.map(|key| figures[key]), [500.0, 750.0, 4.0, 100.0]);
    }
}
