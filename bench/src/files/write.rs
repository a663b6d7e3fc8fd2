//! Pushes: many small images to servers that stand, and one large blob to fresh ones.

use std::path::Path;

use testkit::bulk;
use testkit::meter::wait;
use testkit::registry::Way;

use super::{Run, Trio};
use crate::load::small;
use crate::recorder::{rotated, settle_disk};
use testkit::gantry::Server;
use testkit::peer::{Kept, Peer};
use testkit::scratch::Scratch;

impl Run<'_> {
    pub(super) fn small(
        &mut self,
        case: &'static str,
        trio: &Trio,
        way: Way,
        head: bool,
    ) -> Result<(), String> {
        if !self.options.wants(case) {
            return Ok(());
        }
        let (gantry, registry) = (&trio.gantry, &trio.registry);
        let plan = [
            ("gantry", &gantry.daemon, &gantry.target, self.scale.images),
            (
                "distribution",
                &registry.daemon,
                &registry.target,
                self.scale.peer_images,
            ),
        ];
        for round in 0..self.options.rounds() {
            for index in rotated(plan.len(), round) {
                let (name, server, target, count) = plan[index];
                settle_disk();
                self.measure(case, name, server, round, |processes| {
                    wait(small::push(target, processes, count, way, head))
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
        let size = self.scale.push;
        for round in 0..self.options.rounds() {
            for index in rotated(2, round) {
                let data = Scratch::below(parent, "push")?;
                settle_disk();
                if index == 0 {
                    let gantry = Server::start(&self.binary, &data.join("data"))?;
                    self.measure(case, "gantry", &gantry.daemon, round, |processes| {
                        let pushed = wait(bulk::push(&gantry.target, processes, 1, 1, size));
                        pushed.map(|(figures, _)| figures)
                    })?;
                } else {
                    let (folder, kept) = (self.folder.path(), Kept::Files(data.path()));
                    let peer = Peer::distribution(&self.certificate, folder, kept)?;
                    let server = &peer.daemon;
                    self.measure(case, "distribution", server, round, |processes| {
                        let pushed = wait(bulk::push(&peer.target, processes, 1, 1, size));
                        pushed.map(|(figures, _)| figures)
                    })?;
                }
            }
        }
        Ok(())
    }
}
