//! Memory under many large pushes and pulls at once.

use super::Run;
use crate::recorder::{Subject, settle_disk};

/// Blobs that the pulls share: Gantry keeps nothing of a body, so each pull costs it the same, and disks
/// are finite.
const PULLED: &str = "8";

impl Run<'_> {
    /// One round: it takes minutes, and what counts is the peak.
    pub(super) fn memory(&mut self) -> Result<(), String> {
        if !self.options.wants("memory") {
            return Ok(());
        }
        let room = self.stage.room()?;
        let gantry = self.stage.gantry(&room, &[])?;
        let (processes, store) = (gantry.daemon.processes(), self.stage.seaweed());
        let digests = self.stage.folder().join("digests").display().to_string();
        let (streams, size) = (self.scale.streams, self.scale.stream_size);
        let first = [
            "push", "-streams", "2", "-count", PULLED, "-size", size, "-out", &digests,
        ];
        self.load.run(&gantry.target, None, &first)?;
        settle_disk();
        let args = [
            "mixed", "-pushes", streams, "-pulls", streams, "-size", size, "-digests", &digests,
        ];
        let subject = Subject {
            case: "memory",
            server: "gantry",
            round: 0,
            processes: &processes,
            behind: &store,
        };
        let load = &self.load;
        let work = || load.run(&gantry.target, Some(&processes), &args);
        self.recorder.take(&subject, work)
    }
}
