//! Large blobs: pushed, pulled, and how long the answer takes after the last byte.

use testkit::bulk;
use testkit::meter::wait;
use testkit::target::Target;

use super::Run;
use crate::load::{large, s3};
use crate::recorder::{Subject, rotated, settle_disk};
use crate::request::{Request, Seed};
use testkit::process::Processes;

const GANTRY: &str = "gantry";
const REGISTRY: &str = "distribution";
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
        let push = |target: &Target, processes: &Processes| match case {
            "commit" => wait(large::commit(target, processes, size)),
            _ => wait(bulk::push(target, processes, 1, 1, size)).map(|(figures, _)| figures),
        };
        let (gantry, registry);
        let (processes, behind, target) = match server {
            GANTRY => {
                gantry = self.stage.gantry(&room, &[])?;
                (gantry.daemon.processes(), &store, Some(&gantry.target))
            }
            REGISTRY => {
                registry = self.stage.registry(&room)?;
                (registry.daemon.processes(), &store, Some(&registry.target))
            }
            _ => (store.clone(), &nobody, None),
        };
        settle_disk();
        let subject = Subject {
            case,
            server,
            round,
            processes: &processes,
            behind,
        };
        let endpoint = self.stage.endpoint();
        let work = || match target {
            Some(target) => push(target, &processes),
            None => wait(s3::push(&endpoint, &room.bucket, &processes, size)),
        };
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

    fn pull_by(&mut self, case: &'static str, connections: usize) -> Result<(), String> {
        let rooms = [self.stage.room()?, self.stage.room()?];
        let gantry = self.stage.gantry(&rooms[0], &[])?;
        let registry = self.stage.registry(&rooms[1])?;
        let plan = [
            (GANTRY, gantry.daemon.processes(), &gantry.target),
            (REGISTRY, registry.daemon.processes(), &registry.target),
        ];
        let size = Seed::Blob(self.scale.pull);
        let seed = |target| Request::seed(target, case, size, None);
        let requests = [seed(&gantry.target)?, seed(&registry.target)?];
        let (store, seconds) = (self.stage.seaweed(), self.scale.seconds);
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
                let path = &requests[index].path;
                let work = || {
                    wait(large::download(
                        target,
                        processes,
                        path,
                        connections,
                        seconds,
                    ))
                };
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
