//! Memory under many large pushes and pulls at once.

use testkit::bulk;
use testkit::meter::wait;
use testkit::process::Processes;

use super::Run;
use crate::recorder::{Subject, settle_disk};

/// Blobs that the pulls share: Gantry keeps nothing of a body, so each pull costs it the same, and disks
/// are finite.
const PULLED: usize = 8;

impl Run<'_> {
    /// One round: it takes minutes, and what counts is the peak.
    pub(super) fn memory(&mut self) -> Result<(), String> {
        if !self.options.wants("memory") {
            return Ok(());
        }
        let room = self.stage.room()?;
        let gantry = self.stage.gantry(&room, &[])?;
        let (processes, store) = (gantry.daemon.processes(), self.stage.seaweed());
        let (streams, size) = (self.scale.streams, self.scale.stream_size);
        let target = &gantry.target;
        let (_, digests) = wait(bulk::push(target, &Processes::default(), 2, PULLED, size))?;
        settle_disk();
        let subject = Subject {
            case: "memory",
            server: "gantry",
            round: 0,
            processes: &processes,
            behind: &store,
        };
        let work = || {
            let mixed = bulk::Mixed::prepare(target, streams, size, digests.clone());
            wait(async { mixed.await?.run(processes.clone()).await })
        };
        self.recorder.take(&subject, work)
    }
}
