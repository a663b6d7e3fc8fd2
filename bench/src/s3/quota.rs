//! Quotas: that exactly what fits is taken, and what it costs when all push into one project.

use testkit::meter::wait;
use testkit::registry::Way;

use super::Run;
use crate::load::quota;
use crate::recorder::{Subject, rotated, settle_disk};

impl Run<'_> {
    /// The client fails where one push more or less succeeds, or where the books say anything but what
    /// is there.
    pub(super) fn quota(&mut self) -> Result<(), String> {
        if !self.options.wants("quota") {
            return Ok(());
        }
        let room = self.stage.room()?;
        let gantry = self.stage.gantry(&room, &[])?;
        let (processes, store) = (gantry.daemon.processes(), self.stage.seaweed());
        for round in 0..self.options.rounds() {
            let way = [Way::Put, Way::Patch, Way::Post][round as usize % 3];
            let subject = Subject {
                case: "quota",
                server: "gantry",
                round,
                processes: &processes,
                behind: &store,
            };
            let work = || wait(quota::rush(&gantry.target, &processes, way));
            self.recorder.take(&subject, work)?;
        }
        Ok(())
    }

    pub(super) fn quota_cpu(&mut self) -> Result<(), String> {
        if !self.options.wants("quota-cpu") {
            return Ok(());
        }
        let room = self.stage.room()?;
        let gantry = self.stage.gantry(&room, &[])?;
        let (processes, postgres) = (gantry.daemon.processes(), self.stage.postgres());
        let plan = [
            ("gantry, 1 project", 1),
            ("gantry, 200 projects", quota::CLIENTS),
        ];
        // Projects are made and connections to the database opened before anything is measured.
        for (_, projects) in plan {
            wait(quota::spread(&gantry.target, &processes, projects, 1))?;
        }
        let waves = self.scale.waves;
        for round in 0..self.options.rounds() {
            for index in rotated(plan.len(), round) {
                let (server, projects) = plan[index];
                let subject = Subject {
                    case: "quota-cpu",
                    server,
                    round,
                    processes: &processes,
                    behind: &postgres,
                };
                settle_disk();
                let work = || wait(quota::spread(&gantry.target, &processes, projects, waves));
                self.recorder.take(&subject, work)?;
            }
        }
        Ok(())
    }
}
