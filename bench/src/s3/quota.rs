//! Quotas: that exactly what fits is taken, and what it costs when all push into one project.

use super::Run;
use crate::recorder::{Subject, rotated, settle_disk};

const CLIENTS: &str = "200";
const SIZE: &str = "64K";

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
            let way = ["put", "patch", "post"][round as usize % 3];
            let args = [
                "quota", "-clients", CLIENTS, "-fit", "120", "-size", SIZE, "-way", way,
            ];
            let subject = Subject {
                case: "quota",
                server: "gantry",
                round,
                processes: &processes,
                behind: &store,
            };
            let load = &self.load;
            let work = || load.run(&gantry.target, Some(&processes), &args);
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
            ("gantry, 1 project", "1"),
            ("gantry, 200 projects", CLIENTS),
        ];
        // Projects are made and connections to the database opened before anything is measured.
        for (_, projects) in plan {
            self.load
                .run(&gantry.target, None, &spread(projects, "1"))?;
        }
        let load = &self.load;
        for round in 0..self.options.rounds() {
            for index in rotated(plan.len(), round) {
                let (server, projects) = plan[index];
                let args = spread(projects, self.scale.waves);
                let subject = Subject {
                    case: "quota-cpu",
                    server,
                    round,
                    processes: &processes,
                    behind: &postgres,
                };
                settle_disk();
                let work = || load.run(&gantry.target, Some(&processes), &args);
                self.recorder.take(&subject, work)?;
            }
        }
        Ok(())
    }
}

fn spread<'a>(projects: &'a str, waves: &'a str) -> [&'a str; 9] {
    [
        "spread",
        "-projects",
        projects,
        "-clients",
        CLIENTS,
        "-waves",
        waves,
        "-size",
        SIZE,
    ]
}
