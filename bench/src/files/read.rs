//! GETs of one manifest or blob, by wrk.

use std::path::Path;

use super::{Run, Trio};
use crate::recorder::rotated;
use crate::request::{Request, Seed};
use crate::wrk::wrk;

impl Run<'_> {
    pub(super) fn read(
        &mut self,
        case: &'static str,
        trio: &Trio,
        seed: Seed,
        connections: u32,
        root: &Path,
    ) -> Result<(), String> {
        if !self.options.wants(case) {
            return Ok(());
        }
        let (gantry, nginx, registry) = (&trio.gantry, &trio.nginx, &trio.registry);
        let file = root.join(case);
        let of_gantry = Request::seed(&gantry.target, case, seed, None)?;
        let of_registry = Request::seed(&registry.target, case, seed, Some(&file))?;
        let of_nginx = Request {
            path: format!("/{case}"),
            headers: Vec::new(),
        };
        let plan = [
            ("gantry", &gantry.daemon, &gantry.target, of_gantry),
            ("nginx", &nginx.daemon, &nginx.target, of_nginx),
            (
                "distribution",
                &registry.daemon,
                &registry.target,
                of_registry,
            ),
        ];
        for (_, server, target, request) in &plan {
            let processes = server.processes();
            wrk(&processes, target, request, connections, 1)?;
        }
        let seconds = self.scale.seconds;
        for round in 0..self.options.rounds() {
            for index in rotated(plan.len(), round) {
                let (name, server, target, request) = &plan[index];
                self.measure(case, name, server, round, |processes| {
                    wrk(processes, target, request, connections, seconds)
                })?;
            }
        }
        Ok(())
    }
}
