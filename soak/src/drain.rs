//! SIGTERM under load: what the server began to read it answers whole; what comes later is refused.

mod client;

use std::time::Duration;

use testkit::gantry::Server;
use testkit::meter::{listed, wait};

use super::Soak;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let data = soak.folder.join("drain");
    let slow = Duration::from_secs(if soak.options.short { 2 } else { 6 });
    for round in 0..soak.rounds(3, 1) {
        let mut gantry = Server::start(&soak.binary, &data)?;
        let figures = wait(client::run(&gantry.target, &gantry.daemon, slow));
        let figures = figures.map_err(|e| format!("round {round}: {e}"))?;
        let status = gantry.daemon.wait(Duration::from_secs(30))?;
        eprintln!("  {}; {status}", listed(&figures, true));
        if !status.success() {
            return Err(format!(
                "round {round}: {status}\n{}",
                gantry.daemon.log_tail()
            ));
        }
        let gantry = Server::start(&soak.binary, &data)?;
        soak.binary.run(&["storage", "check"], &gantry.data)?;
    }
    Ok(())
}
