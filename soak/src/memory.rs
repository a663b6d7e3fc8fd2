//! Many large pushes and pulls at once: memory stays low and flat.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::Soak;
use testkit::gantry::Server;
use testkit::load::{figures_of, outcome};
use testkit::scratch::Scratch;

/// MiB that a server may take at most.
const PEAK: f64 = 200.0;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let (streams, size) = if soak.options.short {
        ("8", "16M")
    } else {
        ("64", "256M")
    };
    for round in 0..soak.rounds(1, 1) {
        let folder = Scratch::below(soak.folder.path(), "memory")?;
        one(soak, &folder, streams, size).map_err(|e| format!("round {round}: {e}"))?;
    }
    Ok(())
}

fn one(soak: &Soak, folder: &Scratch, streams: &str, size: &str) -> Result<(), String> {
    let mut gantry = Server::start(&soak.binary, &folder.join("data"))?;
    let digests = folder.join("digests").display().to_string();
    soak.load.run(
        &gantry.target,
        None,
        &[
            "push", "-streams", "4", "-count", streams, "-size", size, "-out", &digests,
        ],
    )?;
    // What is not written yet could not be dropped.
    let _ = Command::new("sync").status();
    gantry.daemon.processes().reset_peak();
    let args = [
        "mixed", "-pushes", streams, "-pulls", streams, "-size", size, "-digests", &digests,
    ];
    let mut command = soak
        .load
        .command(&gantry.target, Some(&gantry.daemon.processes()), &args);
    let mut clients = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    // The clients hash what they will push first, and then say so.
    let mut errors = BufReader::new(clients.stderr.take().ok_or("no standard error")?);
    let mut line = String::new();
    while !line.starts_with("begin") {
        line.clear();
        if errors.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
            break;
        }
        if !line.starts_with("begin") {
            eprint!("{line}");
        }
    }
    let cold = drop_caches();
    let mut samples = Vec::new();
    while clients.try_wait().map_err(|e| e.to_string())?.is_none() {
        samples.push((
            gantry.daemon.processes().resident_mib(),
            gantry.daemon.processes().anonymous_mib(),
        ));
        gantry.daemon.check_alive()?;
        sleep(Duration::from_millis(100));
    }
    let peak = gantry.daemon.processes().peak_mib();
    let mut rest = String::new();
    let _ = std::io::Read::read_to_string(&mut errors, &mut rest);
    let output = clients.wait_with_output().map_err(|e| e.to_string())?;
    let figures = figures_of(&outcome(&command, output).map_err(|e| e + &rest)?);
    sleep(Duration::from_secs(if soak.options.short { 1 } else { 10 }));
    let after = gantry.daemon.processes().resident_mib();
    gantry.stop()?;

    let quarters: Vec<f64> = (0..4).map(|quarter| median(&samples, quarter)).collect();
    let anonymous = samples
        .iter()
        .map(|(_, anonymous)| *anonymous)
        .fold(0.0, f64::max);
    eprintln!(
        "  {streams} pushes and {streams} pulls of {size}, files {}: {:.1} s, {:.0} MB/s, server CPU {:.1} s",
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
