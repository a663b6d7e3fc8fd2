//! Pushes: many small images to servers that stand, and one large blob to fresh ones.

use std::path::Path;

use super::{Run, Trio};
use crate::bench::folder::Folder;
use crate::bench::gantry::Gantry;
use crate::bench::peer::{Kept, Peer};
use crate::bench::recorder::{rotated, settle_disk};

impl Run<'_> {
    pub(super) fn small(
        &mut self,
        case: &'static str,
        trio: &Trio,
        form: &[&str],
    ) -> Result<(), String> {
        if !self.options.wants(case) {
            return Ok(());
        }
        let (gantry, registry) = (&trio.gantry, &trio.registry);
        let plan = [
            ("gantry", &gantry.server, &gantry.target, self.scale.images),
            (
                "docker-registry",
                &registry.server,
                &registry.target,
                self.scale.peer_images,
            ),
        ];
        for round in 0..self.options.rounds {
            for index in rotated(plan.len(), round) {
                let (name, server, target, count) = plan[index];
                let count = count.to_string();
                let mut args = vec!["small-images", "-clients", "8", "-count", &count];
                args.extend(form);
                settle_disk();
                self.measure(case, name, server, round, |load, processes| {
                    load.run(target, Some(processes), &args)
                })?;
            }
        }
        Ok(())
    }

    /// Fresh servers in every round: nothing of an earlier push is left on the disk or in memory.
    pub(super) fn push(&mut self, case: &'static str, parent: &Path) -> Result<(), String> {
        if !self.options.wants(case) {
            return Ok(());
        }
        let args = ["push", "-size", self.scale.push];
        for round in 0..self.options.rounds {
            for index in rotated(2, round) {
                let data = Folder::below(parent, "push")?;
                settle_disk();
                if index == 0 {
                    let gantry = Gantry::start(&self.binary, data.path())?;
                    self.measure(case, "gantry", &gantry.server, round, |load, processes| {
                        load.run(&gantry.target, Some(processes), &args)
                    })?;
                } else {
                    let (folder, kept) = (self.folder.path(), Kept::Files(data.path()));
                    let peer = Peer::docker_registry(&self.certificate, folder, kept)?;
                    let server = &peer.server;
                    self.measure(case, "docker-registry", server, round, |load, processes| {
                        load.run(&peer.target, Some(processes), &args)
                    })?;
                }
            }
        }
        Ok(())
    }
}
