//! Time from start to ready with many manifests stored: after SIGTERM, after kill -9, with cold files.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::Soak;
use testkit::gantry::Server;

/// Milliseconds a start may take.
const BOUND: u128 = 300;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let data = soak.folder.join("ready");
    let (count, settle) = if soak.options.short {
        ("2000", 1)
    } else {
        ("100000", 5)
    };
    let mut gantry = Server::start(&soak.binary, &data)?;
    let figures = soak.load.run(
        &gantry.target,
        Some(&gantry.daemon.processes()),
        &["fill", "-count", count],
    )?;
    eprintln!(
        "  {count} manifests in {:.0} s, {:.2} ms of server CPU each",
        figures.get("seconds").unwrap_or(&0.0),
        figures.get("cpu_s").unwrap_or(&0.0) / count.parse::<f64>().unwrap_or(1.0) * 1000.0
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
                soak.load.run(
                    &gantry.target,
                    None,
                    &["fill", "-count", "200", "-repositories", "5"],
                )?;
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
