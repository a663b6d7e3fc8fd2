//! Large blobs: pushed, pulled, and how long the answer takes after the last byte.

use super::Run;
use crate::bench::load::Figures;
use crate::bench::process::Processes;
use crate::bench::recorder::{Subject, rotated, settle_disk};
use crate::bench::request::Request;

/// Rounds of the 5 GiB push: each takes about a minute, and its figure is a time, not a ratio.
const COMMIT_ROUNDS: u32 = 3;

impl Run<'_> {
    /// Fresh servers and buckets in every round: nothing of an earlier push is left.
    pub(super) fn push(&mut self) -> Result<(), String> {
        if !self.options.wants("push") {
            return Ok(());
        }
        for round in 0..self.options.rounds {
            for index in rotated(3, round) {
                self.push_one(round, index)?;
            }
        }
        Ok(())
    }

    fn push_one(&mut self, round: u32, index: usize) -> Result<(), String> {
        let room = self.stage.room()?;
        let (store, nobody) = (self.stage.seaweed(), Processes::default());
        let args = ["push", "-size", self.scale.push];
        let direct = ["s3-push", "-size", self.scale.push, "-bucket", &room.bucket];
        let (gantry, registry);
        let (server, processes, behind, target, args) = match index {
            0 => {
                gantry = self.stage.gantry(&room, &[])?;
                let processes = gantry.server.processes();
                (
                    "gantry",
                    processes,
                    &store,
                    gantry.target.clone(),
                    &args[..],
                )
            }
            1 => {
                registry = self.stage.registry(&room)?;
                let processes = registry.server.processes();
                let target = registry.target.clone();
                ("docker-registry", processes, &store, target, &args[..])
            }
            _ => {
                let target = self.stage.direct();
                (
                    "SeaweedFS alone",
                    store.clone(),
                    &nobody,
                    target,
                    &direct[..],
                )
            }
        };
        settle_disk();
        let subject = Subject {
            case: "push",
            server,
            round,
            processes: &processes,
            behind,
        };
        let load = &self.load;
        let work = || load.run(&target, Some(&processes), args);
        self.recorder.take(&subject, work)
    }

    pub(super) fn pull(&mut self) -> Result<(), String> {
        if !self.options.wants("pull") {
            return Ok(());
        }
        let rooms = [self.stage.room()?, self.stage.room()?];
        let gantry = self.stage.gantry(&rooms[0], &[])?;
        let registry = self.stage.registry(&rooms[1])?;
        let size = ["-size", self.scale.pull];
        let seed = |target| Request::seed(&self.load, target, "pull", &size, None);
        let plan = [
            (
                "gantry",
                gantry.server.processes(),
                &gantry.target,
                seed(&gantry.target)?,
            ),
            (
                "docker-registry",
                registry.server.processes(),
                &registry.target,
                seed(&registry.target)?,
            ),
        ];
        let (store, seconds, load) = (self.stage.seaweed(), self.scale.seconds, &self.load);
        for round in 0..self.options.rounds {
            for index in rotated(plan.len(), round) {
                let (server, processes, target, request) = &plan[index];
                let subject = Subject {
                    case: "pull",
                    server,
                    round,
                    processes,
                    behind: &store,
                };
                let work = || load.wrk(processes, target, request, 4, seconds);
                self.recorder.take(&subject, work)?;
            }
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), String> {
        if !self.options.wants("commit") {
            return Ok(());
        }
        for round in 0..self.options.rounds.min(COMMIT_ROUNDS) {
            let room = self.stage.room()?;
            let gantry = self.stage.gantry(&room, &[])?;
            let (processes, store) = (gantry.server.processes(), self.stage.seaweed());
            settle_disk();
            let subject = Subject {
                case: "commit",
                server: "gantry",
                round,
                processes: &processes,
                behind: &store,
            };
            let (load, size) = (&self.load, self.scale.commit);
            let work = || -> Result<Figures, String> {
                let args = ["commit", "-size", size];
                let figures = load.run(&gantry.target, Some(&processes), &args)?;
                let took = figures.get("commit_ms").ok_or("no time was taken")?;
                eprintln!("commit {round}: {took:.0} ms");
                Ok(figures)
            };
            self.recorder.take(&subject, work)?;
        }
        Ok(())
    }
}
