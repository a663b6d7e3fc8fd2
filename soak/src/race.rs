//! Garbage collection against clients: pushes, mounts and deletes of the same few blobs in many
//! repositories, with so short a grace that what a client has just found there may be about to go.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

mod client;

use super::Soak;
use crate::journal::State;
use crate::verify::verify;
use testkit::gantry::Gantry;
use testkit::meter::{Figures, listed, wait};
use testkit::topology::Topology;

/// Seconds that the server keeps what nothing refers to.
const GRACE: u64 = 5;
/// How long after the last request and the grace the last of it may stay.
const MARGIN: Duration = Duration::from_secs(60);

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    for topology in soak.topologies.clone() {
        one(soak, topology).map_err(|error| format!("on {topology}: {error}"))?;
    }
    Ok(())
}

fn one(soak: &Soak, topology: Topology) -> Result<(), String> {
    let data = soak.folder.join(&format!("race-{topology}/data"));
    let grace = GRACE.to_string();
    let settings = [("GANTRY_GC__GRACE_SECS", grace.as_str())];
    let gantry = Gantry::on_loopback(&soak.binary, &data, topology, &settings)?;
    let race = Race { soak, gantry };
    let (figures, mut state, collected) = race.work()?;
    eprintln!(
        "  {topology}: {}; objects collected {collected}",
        listed(&figures, false)
    );
    if collected == 0 {
        return Err("nothing was collected while the clients ran, so nothing was shown".to_owned());
    }
    let took = race.wait_settled(&figures)?;
    // Nor may anything go that is still referred to.
    sleep(Duration::from_secs(GRACE * 2));
    race.compare(&figures)?;
    let whole = wait(verify(&race.gantry.target, &mut state))?;
    race.command("storage check")?;
    race.command("audit verify")?;
    eprintln!(
        "  {topology}: {} bytes stored, all of them named by a manifest, {took:.1?} after the end; pulled again: {}",
        figures.get("reachable_bytes").unwrap_or(&0.0),
        listed(&whole, false)
    );
    let end = race.gantry.finish()?;
    eprintln!("  {topology}: {end}");
    Ok(())
}

struct Race<'a> {
    soak: &'a Soak,
    gantry: Gantry,
}

impl Race<'_> {
    /// Runs the clients; what they report, and how many stored objects went meanwhile.
    fn work(&self) -> Result<(Figures, State, usize), String> {
        let length = Duration::from_secs(match self.soak.options.minutes {
            Some(minutes) => u64::from(minutes) * 60,
            None if self.soak.options.short => 20,
            None => 20 * 60,
        });
        let target = self.gantry.target.clone();
        let grace = Duration::from_secs(GRACE);
        let clients = thread::spawn(move || wait(client::run(&target, length, grace)));
        let mut watch = Watch::default();
        while !clients.is_finished() {
            // A list may be broken off by what it lists going; the next one tells.
            if let Ok(now) = self.gantry.objects() {
                watch.look(now);
            }
            sleep(Duration::from_millis(500));
        }
        let (figures, state) = clients
            .join()
            .map_err(|_| "the clients panicked".to_owned())??;
        Ok((figures, state, watch.collected))
    }

    /// Waits until the store and the books hold what is referred to and no more.
    fn wait_settled(&self, figures: &Figures) -> Result<Duration, String> {
        let began = Instant::now();
        loop {
            let Err(difference) = self.compare(figures) else {
                return Ok(began.elapsed());
            };
            if began.elapsed() > MARGIN + Duration::from_secs(GRACE) {
                return Err(format!(
                    "{:.0?} after the end, {difference}",
                    began.elapsed()
                ));
            }
            sleep(Duration::from_millis(500));
        }
    }

    /// Compares, to the byte, what is stored and what projects are charged with what the clients' live
    /// manifests come to.
    fn compare(&self, figures: &Figures) -> Result<(), String> {
        let expected = |key: &str| figures.get(key).copied().unwrap_or(-1.0);
        let stored: u64 = self.gantry.objects()?.values().sum();
        same("bytes stored", stored, expected("reachable_bytes"))?;
        let usage = usage_in(&self.command("storage usage")?)?;
        for (key, bytes) in figures {
            if let Some(project) = key.strip_prefix("usage_") {
                let used = usage.get(project).copied().unwrap_or(0);
                same(&format!("usage of {project}"), used, *bytes)?;
            }
        }
        Ok(())
    }

    fn command(&self, words: &str) -> Result<String, String> {
        self.gantry.command(&self.soak.binary, words)
    }
}

/// Counts objects that go after they were there for a while. One that is seen but once may be an upload
/// whose content another upload brought first.
#[derive(Default)]
struct Watch {
    last: BTreeMap<String, u64>,
    lasting: BTreeSet<String>,
    collected: usize,
}

impl Watch {
    fn look(&mut self, now: BTreeMap<String, u64>) {
        let before = self.lasting.len();
        self.lasting.retain(|key| now.contains_key(key));
        self.collected += before - self.lasting.len();
        let twice = now.keys().filter(|key| self.last.contains_key(*key));
        self.lasting.extend(twice.cloned());
        self.last = now;
    }
}

/// Reads lines of `PROJECT BYTES`.
fn usage_in(text: &str) -> Result<BTreeMap<String, u64>, String> {
    let pair = |line: &str| {
        let (project, bytes) = line.rsplit_once(' ')?;
        Some((project.trim().to_owned(), bytes.parse().ok()?))
    };
    text.lines()
        .map(|line| pair(line).ok_or(format!("`gantry storage usage` printed {line}")))
        .collect()
}

fn same(what: &str, found: u64, expected: f64) -> Result<(), String> {
    // Whole numbers below 2^53, which a figure holds exactly.
    if found as f64 == expected {
        return Ok(());
    }
    Err(format!(
        "{what}: {found}, but live manifests come to {expected}"
    ))
}

#[cfg(test)]
mod tests {
    use super::{Watch, same, usage_in};

    #[test]
    fn what_was_seen_twice_and_is_gone_was_collected() {
        let mut watch = Watch::default();
        for keys in ["ab", "abc", "ac", "c", ""] {
            watch.look(keys.chars().map(|key| (key.to_string(), 1)).collect());
        }
        // a, b and c; one that is seen only once does not count.
        watch.look([("d".to_owned(), 1)].into());
        watch.look([].into());
        assert_eq!(watch.collected, 3);
    }

    #[test]
    fn usage_is_read_by_project() {
        let usage = usage_in("race-a 120\nlibrary 0\n").unwrap();
        assert_eq!(usage["race-a"], 120);
        assert_eq!(usage["library"], 0);
        assert!(usage_in("race-a much").is_err());
    }

    #[test]
    fn a_byte_makes_the_difference() {
        assert!(same("bytes", 120, 120.0).is_ok());
        assert!(same("bytes", 121, 120.0).is_err());
    }
}
