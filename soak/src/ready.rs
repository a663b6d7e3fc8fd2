//! Time from start to ready with many manifests stored: after SIGTERM, after kill -9, with cold files.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::content::{Blob, new_seed};
use testkit::gantry::Server;
use testkit::meter::{Figures, Meter, each, wait};
use testkit::process::Processes;
use testkit::registry::{Image, Registry, Way};
use testkit::target::Target;

use super::Soak;

/// Milliseconds a start may take.
const BOUND: u128 = 300;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let data = soak.folder.join("ready");
    let (count, settle) = if soak.options.short {
        (2_000, 1)
    } else {
        (100_000, 5)
    };
    let mut gantry = Server::start(&soak.binary, &data)?;
    let processes = gantry.daemon.processes();
    let figures = wait(fill(&gantry.target, &processes, count, 100))?;
    eprintln!(
        "  {count} manifests in {:.0} s, {:.2} ms of server CPU each",
        figures.get("seconds").unwrap_or(&0.0),
        figures.get("cpu_s").unwrap_or(&0.0) / count as f64 * 1000.0
    );
    let mut slow = Vec::new();
    for (after, cold) in [
        ("SIGTERM", false),
        ("kill -9", false),
        ("SIGTERM", true),
        ("kill -9", true),
    ] {
        let mut times = Vec::new();
        let mut idle = 0.0;
        for _ in 0..soak.rounds(7, 1) {
            if after == "SIGTERM" {
                gantry.stop()?;
            } else {
                // Something is in the log of the database when it dies.
                wait(fill(&gantry.target, &Processes::default(), 200, 5))?;
                gantry.daemon.kill();
            }
            if cold {
                let _ = Command::new("sync").status();
                std::fs::write("/proc/sys/vm/drop_caches", "3")
                    .map_err(|e| format!("cannot drop caches: {e}"))?;
            }
            gantry = Server::spawn(&soak.binary, &data, &[])?;
            times.push(gantry.wait_ready()?.as_millis());
            sleep(Duration::from_secs(settle));
            idle = gantry.daemon.processes().resident_mib();
        }
        times.sort_unstable();
        let median = times[times.len() / 2];
        eprintln!(
            "  ready after {after}, files {}: median {median} ms of {times:?}, then idle at {idle:.0} MiB",
            if cold { "cold" } else { "warm" }
        );
        if median > BOUND && !cold {
            slow.push(format!("{median} ms after {after}"));
        }
    }
    if slow.is_empty() || soak.options.short {
        Ok(())
    } else {
        Err(format!("more than {BOUND} ms: {}", slow.join(", ")))
    }
}

/// Pushes many manifests quickly, spread over repositories.
async fn fill(
    target: &Target,
    server: &Processes,
    count: usize,
    repositories: usize,
) -> Result<Figures, String> {
    let registry = Registry::new(target)?;
    registry.make_project_of("fill").await?;
    let (config, layer) = (Blob::config(1024), Blob::random(4096));
    for number in 0..repositories {
        for blob in [&config, &layer] {
            let repository = format!("fill/r{number}");
            registry.push_blob(&repository, blob, Way::Put).await?;
        }
    }
    let (meter, run) = (Meter::start(server), new_seed());
    each(32, count, async |number| {
        let (began, note) = (Instant::now(), format!("{number} {run}"));
        let manifest = Image::numbered(&config, &layer, note).manifest;
        let repository = format!("fill/r{}", number % repositories);
        let tag = format!("t{number:06}");
        let pushed = registry.push_manifest(&repository, &tag, &manifest).await;
        meter.note(began, manifest.size(), pushed);
        Ok::<(), String>(())
    })
    .await?;
    meter.report()
}
