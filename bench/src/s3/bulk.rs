//! Large blobs: pushed, pulled, and how long the answer takes after the last byte.

use super::Run;
use crate::recorder::{Subject, rotated, settle_disk};
use crate::request::Request;
use testkit::process::Processes;

const GANTRY: &str = "gantry";
const REGISTRY: &str = "docker-registry";
const ALONE: &str = "SeaweedFS alone";

/// Rounds of the 5 GiB push: each takes about a minute, and its figure is a time, not a ratio.
const COMMIT_ROUNDS: u32 = 3;

impl Run<'_> {
    /// Fresh servers and buckets in every round: nothing of an earlier push is left.
    pub(super) fn push(&mut self) -> Result<(), String> {
        if !self.options.wants("push") {
            return Ok(());
        }
        for round in 0..self.options.rounds() {
            for index in rotated(3, round) {
                self.push_one("push", round, [GANTRY, REGISTRY, ALONE][index])?;
            }
        }
        Ok(())
    }

    /// One large push; of the case `commit`, one whose end is timed.
    fn push_one(
        &mut self,
        case: &'static str,
        round: u32,
        server: &'static str,
    ) -> Result<(), String> {
        let room = self.stage.room()?;
        let (store, nobody) = (self.stage.seaweed(), Processes::default());
        let size = match case {
            "commit" => self.scale.commit,
            _ => self.scale.push,
        };
        let args = [case, "-size", size];
        let direct = ["s3-push", "-size", size, "-bucket", &room.bucket];
        let (gantry, registry);
        let (processes, behind, target, args) = match server {
            GANTRY => {
                gantry = self.stage.gantry(&room, &[])?;
                let processes = gantry.daemon.processes();
                (processes, &store, gantry.target.clone(), &args[..])
            }
            REGISTRY => {
                registry = self.stage.registry(&room)?;
                let processes = registry.daemon.processes();
                let target = registry.target.clone();
                (processes, &store, target, &args[..])
            }
            _ => {
                let target = self.stage.direct();
                (store.clone(), &nobody, target, &direct[..])
            }
        };
        settle_disk();
        let subject = Subject {
            case,
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
        for (case, connections) in [("pull", 1), ("pull-4", 4)] {
            if self.options.wants(case) {
                self.pull_by(case, connections)?;
            }
        }
        Ok(())
    }

    fn pull_by(&mut self, case: &'static str, connections: u32) -> Result<(), String> {
        let rooms = [self.stage.room()?, self.stage.room()?];
        let gantry = self.stage.gantry(&rooms[0], &[])?;
        let registry = self.stage.registry(&rooms[1])?;
        let plan = [
            (GANTRY, gantry.daemon.processes(), &gantry.target),
            (REGISTRY, registry.daemon.processes(), &registry.target),
        ];
        let size = ["-size", self.scale.pull];
        let seed = |target| Request::seed(&self.load, target, case, &size, None);
        let requests = [seed(&gantry.target)?, seed(&registry.target)?];
        let (connections, seconds) = (connections.to_string(), self.scale.seconds.to_string());
        let repository = format!("bench/{case}");
        let (store, load) = (self.stage.seaweed(), &self.load);
        for round in 0..self.options.rounds() {
            for index in rotated(plan.len(), round) {
                let (server, processes, target) = &plan[index];
                let subject = Subject {
                    case,
                    server,
                    round,
                    processes,
                    behind: &store,
                };
                let args = [
                    "download",
                    "-repository",
                    &repository,
                    "-digest",
                    requests[index].digest(),
                    "-connections",
                    &connections,
                    "-seconds",
                    &seconds,
                ];
                let work = || load.run(target, Some(processes), &args);
                self.recorder.take(&subject, work)?;
            }
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), String> {
        if !self.options.wants("commit") {
            return Ok(());
        }
        for round in 0..self.options.rounds().min(COMMIT_ROUNDS) {
            for index in rotated(2, round) {
                self.push_one("commit", round, [GANTRY, ALONE][index])?;
            }
        }
        Ok(())
    }
}
