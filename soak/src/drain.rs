//! SIGTERM under load: what the server began to read it answers whole; what comes later is refused.

use std::time::Duration;

use super::Soak;
use testkit::gantry::Server;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let data = soak.folder.join("drain");
    let slow = if soak.options.short { "2" } else { "6" };
    for round in 0..soak.rounds(3, 1) {
        let mut gantry = Server::start(&soak.binary, &data)?;
        let pid = gantry.daemon.pid().to_string();
        let args = [
            "drain",
            "-pid",
            &pid,
            "-connections",
            "50",
            "-slow-seconds",
            slow,
        ];
        let figures = soak
            .load
            .run(&gantry.target, None, &args)
            .map_err(|e| format!("round {round}: {e}"))?;
        let status = gantry.daemon.wait(Duration::from_secs(30))?;
        let text: Vec<String> = figures
            .iter()
            .filter(|(key, _)| *key != "foreign")
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        eprintln!("  {}; {status}", text.join(", "));
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
