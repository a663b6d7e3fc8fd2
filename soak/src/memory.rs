//! Many large pushes and pulls at once: memory stays low and flat.

use std::process::Command;
use std::thread::{self, sleep};
use std::time::Duration;

use testkit::bulk;
use testkit::gantry::Server;
use testkit::meter::wait;
use testkit::process::Processes;
use testkit::scratch::Scratch;

use super::Soak;

/// MiB that a server may take at most.
const PEAK: f64 = 200.0;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let (streams, mib) = if soak.options.short {
        (8, 16)
    } else {
        (64, 256)
    };
    for round in 0..soak.rounds(1, 1) {
        let folder = Scratch::below(soak.folder.path(), "memory")?;
        one(soak, &folder, streams, mib).map_err(|e| format!("round {round}: {e}"))?;
    }
    Ok(())
}

fn one(soak: &Soak, folder: &Scratch, streams: usize, mib: u64) -> Result<(), String> {
    let mut gantry = Server::start(&soak.binary, &folder.join("data"))?;
    let (nobody, size) = (Processes::default(), mib << 20);
    let (_, digests) = wait(bulk::push(&gantry.target, &nobody, 4, streams, size))?;
    // What is not written yet could not be dropped.
    let _ = Command::new("sync").status();
    gantry.daemon.processes().reset_peak();
    // The clients hash what they will push first.
    let mixed = wait(bulk::Mixed::prepare(&gantry.target, streams, size, digests))?;
    let cold = drop_caches();
    let server = gantry.daemon.processes();
    let clients = thread::spawn({
        let server = server.clone();
        move || wait(mixed.run(server))
    });
    let mut samples = Vec::new();
    while !clients.is_finished() {
        samples.push((server.resident_mib(), server.anonymous_mib()));
        gantry.daemon.check_alive()?;
        sleep(Duration::from_millis(100));
    }
    let peak = server.peak_mib();
    let figures = clients
        .join()
        .map_err(|_| "the clients panicked".to_owned())??;
    sleep(Duration::from_secs(if soak.options.short { 1 } else { 10 }));
    let after = server.resident_mib();
    gantry.stop()?;

    let quarters: Vec<f64> = (0..4).map(|quarter| median(&samples, quarter)).collect();
    let anonymous = samples
        .iter()
        .map(|(_, anonymous)| *anonymous)
        .fold(0.0, f64::max);
    eprintln!(
        "  {streams} pushes and {streams} pulls of {mib} MiB, files {}: {:.1} s, {:.0} MB/s, server CPU {:.1} s",
        if cold {
            "cold"
        } else {
            "warm (no permission to drop caches)"
        },
        figures.get("seconds").unwrap_or(&0.0),
        figures.get("mb_per_s").unwrap_or(&0.0),
        figures.get("cpu_s").unwrap_or(&0.0)
    );
    eprintln!(
        "  resident: peak {peak:.0} MiB (anonymous {anonymous:.0}), medians by quarter {:.0} {:.0} {:.0} {:.0}, 10 s later {after:.0}; {} samples",
        quarters[0],
        quarters[1],
        quarters[2],
        quarters[3],
        samples.len()
    );
    if soak.options.short {
        return Ok(());
    }
    if peak > PEAK {
        return Err(format!("peak memory {peak:.0} MiB is more than {PEAK} MiB"));
    }
    // A disk that lets writes wait for a while lowers one quarter: pushes hold less memory meanwhile.
    let first = quarters[0].max(quarters[1]);
    if quarters[3] > first * 1.15 + 8.0 {
        return Err(format!(
            "memory grows: median {first:.0} MiB in a quarter of the first half, {:.0} MiB in the last",
            quarters[3]
        ));
    }
    Ok(())
}

fn drop_caches() -> bool {
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// The median of one quarter of the samples.
fn median(samples: &[(f64, f64)], quarter: usize) -> f64 {
    let step = samples.len().div_ceil(4).max(1);
    let mut part: Vec<f64> = samples
        .iter()
        .skip(quarter * step)
        .take(step)
        .map(|(resident, _)| *resident)
        .collect();
    part.sort_by(f64::total_cmp);
    part.get(part.len() / 2).copied().unwrap_or(0.0)
}
