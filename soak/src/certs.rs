//! The certificate is replaced on disk under load: new handshakes get the new one, nobody is dropped.

mod hold;

use std::time::Duration;

use testkit::gantry::Server;
use testkit::meter::wait;

use super::Soak;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let mut gantry = Server::start(&soak.binary, &soak.folder.join("certs"))?;
    let length = Duration::from_secs(if soak.options.short { 4 } else { 8 });
    for round in 0..soak.rounds(3, 1) {
        let (binary, data) = (soak.binary.clone(), gantry.data.clone());
        let renew = move || binary.run(&["cert", "renew"], &data).map(drop);
        let server = gantry.daemon.processes();
        let figures = wait(hold::hold(&gantry.target, &server, length, renew));
        let figures = figures.map_err(|e| format!("round {round}: {e}"))?;
        let of = |key: &str| figures.get(key).copied();
        let delay = of("new_after_end_ms").ok_or("no handshake showed another certificate")?;
        eprintln!(
            "  {} requests, {} failed; new certificate {delay:.0} ms after the command; {} handshakes with the old one, {} with the new one, {} with the old one after that",
            of("operations").unwrap_or(0.0),
            of("errors").unwrap_or(0.0),
            of("handshakes_old").unwrap_or(0.0),
            of("handshakes_new").unwrap_or(0.0),
            of("handshakes_old_after_new").unwrap_or(0.0)
        );
        if of("handshakes_old_after_new") != Some(0.0) {
            return Err("the old certificate came back".to_owned());
        }
        if delay > 2000.0 && !soak.options.short {
            return Err(format!("new certificate only after {delay:.0} ms"));
        }
    }
    gantry.stop().map(|_| ())
}
