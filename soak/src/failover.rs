//! Two replicas, of which one dies, or what they stand on does: an upload goes on where it was, what was
//! acknowledged is there, and what one of them was told holds for the other.

mod across;
mod duel;
mod resume;
mod upload;

use std::path::Path;

use super::Soak;
use testkit::backing::Part;
use testkit::balancer::Balancer;
use testkit::gantry::Gantry;
use testkit::meter::{Figures, listed, wait};
use testkit::port::loopback;
use testkit::target::Target;
use upload::{Fault, Upload};

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    for round in 0..soak.rounds(1, 1) {
        let data = soak.folder.join(&format!("failover-{round}/data"));
        one(soak, &data).map_err(|error| format!("round {round}: {error}"))?;
    }
    Ok(())
}

/// Does everything, whatever fails before.
fn one(soak: &Soak, data: &Path) -> Result<(), String> {
    let mut stage = Stage::start(soak, data)?;
    let mut wrong = Vec::new();
    let mut note = |done: Result<(), String>| wrong.extend(done.err());
    note(stage.across());
    note(stage.duel());
    note(stage.upload(Fault::Replica));
    // So far nothing has failed around the replicas, so they have no reason to complain.
    note(stage.gantry.check_logs());
    note(stage.upload(Fault::Part(Part::Database)));
    note(stage.upload(Fault::Part(Part::Storage)));
    for words in ["storage check", "audit verify"] {
        note(stage.gantry.command(&soak.binary, words).map(drop));
    }
    let Stage { gantry, doors, .. } = stage;
    drop(doors);
    match gantry.finish_after_failures() {
        Ok(end) => eprintln!("  storage check and audit verify at the end; {end}"),
        Err(error) => wrong.push(error),
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n"))
}

/// Two replicas, the balancer before both, and a way to each of them alone: a balancer that knows but one, for replicas
/// believe whom they see only behind one.
struct Stage<'a> {
    soak: &'a Soak,
    doors: Vec<(Balancer, String)>,
    gantry: Gantry,
}

impl<'a> Stage<'a> {
    fn start(soak: &'a Soak, data: &Path) -> Result<Self, String> {
        let gantry = Gantry::to_crash(&soak.binary, data)?;
        let door = |listener: &str| -> Result<(Balancer, String), String> {
            let address = loopback()?;
            Ok((Balancer::start(None, &address, &[listener])?, address))
        };
        let doors = gantry.listeners().into_iter().map(door);
        let doors = doors.collect::<Result<_, String>>()?;
        gantry.target.create_project("failover")?;
        Ok(Self {
            soak,
            doors,
            gantry,
        })
    }

    /// The registry through each door.
    fn both(&self) -> [Target; 2] {
        [0, 1].map(|door| self.gantry.target.at(&self.doors[door].1))
    }

    fn across(&self) -> Result<(), String> {
        let short = self.soak.options.short;
        let (rounds, members) = if short { (10, 3) } else { (200, 20) };
        let seen = wait(across::run(&self.both(), rounds, members))?;
        let seen = listed(&seen, true);
        eprintln!("  deleted through one, asked of the other: {seen}");
        Ok(())
    }

    fn duel(&self) -> Result<(), String> {
        let rounds = if self.soak.options.short { 8 } else { 80 };
        let seen = wait(duel::run(&self.both(), rounds))?;
        if !seen.contains_key("taken_over") {
            return Err(
                "no writer took an upload over from the other, so nothing was shown".to_owned(),
            );
        }
        eprintln!("  two writers on one session: {}", listed(&seen, true));
        Ok(())
    }

    fn upload(&mut self, fault: Fault) -> Result<(), String> {
        let target = self.gantry.target.clone();
        let upload = Upload::new(self.soak, target, fault);
        let seen = upload
            .run(&mut self.gantry)
            .map_err(|error| format!("{fault}: {error}"))?;
        eprintln!(
            "  {fault} under an upload of {:.0} MiB: {}",
            mib("bytes", &seen),
            row(&seen)
        );
        Ok(())
    }
}

/// What the client of an upload saw.
fn row(seen: &Figures) -> String {
    let of = |key: &str| seen.get(key).copied().unwrap_or(0.0);
    let answers = |prefix: &str| -> f64 {
        let server = |(key, _): &(&String, &f64)| key.starts_with(prefix);
        seen.iter()
            .filter(server)
            .fold(0.0, |sum, (_, count)| sum + count)
    };
    format!(
        "away for {:.1} s; {:.0} cut, {:.0} answers of 5xx; cut at {:.0} MiB, went on {:.0} times, the last time at {:.0} MiB, \
         {:.1} s later; whole after {:.1} s; beside it {:.0} blobs and {:.0} manifests acknowledged and pulled, {:.0} refused",
        of("fault_s"),
        of("cuts"),
        answers("answers_5"),
        mib("cut_at", seen),
        of("resumed"),
        mib("resumed_at", seen),
        of("resumed_after_s"),
        of("seconds"),
        of("beside_blobs_pulled"),
        of("beside_manifests_pulled"),
        answers("beside_answers_5") + of("beside_cuts"),
    )
}

fn mib(key: &str, seen: &Figures) -> f64 {
    seen.get(key).copied().unwrap_or(0.0) / 1024.0 / 1024.0
}
