//! Time from start to ready, and memory of servers that nobody asks anything.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Run, Trio};
use crate::recorder::rotated;
use testkit::daemon::Daemon;
use testkit::gantry::Server;
use testkit::meter::Figures;
use testkit::peer::{Kept, Peer};

impl Run<'_> {
    pub(super) fn start(&mut self) -> Result<(), String> {
        if !self.options.wants("start") {
            return Ok(());
        }
        // The first start makes the keys; what is timed is a later one.
        Server::start(&self.binary, &self.folder.join("gantry-start"))?.stop()?;
        for round in 0..self.options.rounds() {
            for index in rotated(3, round) {
                let (name, server, ready) = self.start_one(index)?;
                sleep(self.scale.settle);
                let ready = ready.as_secs_f64() * 1000.0;
                let idle = server.processes().resident_mib();
                eprintln!("start {name}: ready {ready:.0} ms, idle {idle:.1} MiB");
                let figures = [("ready_ms", ready), ("idle_mib", idle)];
                let figures = figures.map(|(key, value)| (key.to_owned(), value));
                self.recorder.results.add("start", name, figures.into());
            }
        }
        Ok(())
    }

    fn start_one(&self, index: usize) -> Result<(&'static str, Daemon, Duration), String> {
        let (folder, began) = (self.folder.path(), Instant::now());
        match index {
            0 => {
                let data = self.folder.join("gantry-start");
                let mut gantry = Server::spawn(&self.binary, &data, &[])?;
                let ready = gantry.wait_ready()?;
                Ok(("gantry", gantry.daemon, ready))
            }
            1 => {
                let root = self.folder.join("static");
                let peer = Peer::nginx(&self.certificate, folder, &root)?;
                Ok(("nginx", peer.daemon, began.elapsed()))
            }
            _ => {
                let data = self.folder.join("registry-start");
                let peer = Peer::distribution(&self.certificate, folder, Kept::Files(&data))?;
                Ok(("distribution", peer.daemon, began.elapsed()))
            }
        }
    }

    /// Memory of the server that stood through the other cases, some seconds later.
    pub(super) fn after_load(&mut self, trio: &Trio) {
        if !self.options.wants("start") {
            return;
        }
        sleep(self.scale.settle);
        let resident = trio.gantry.daemon.processes().resident_mib();
        let figures = Figures::from([("after_load_mib".to_owned(), resident)]);
        self.recorder.results.add("start", "gantry", figures);
    }
}
