//! The certificate is replaced on disk under load: new handshakes get the new one, nobody is dropped.

use super::Soak;
use testkit::gantry::Server;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let mut gantry = Server::start(&soak.binary, &soak.folder.join("certs"))?;
    let program = soak.binary.path().display().to_string();
    let data = gantry.data.display().to_string();
    let seconds = if soak.options.short { "4" } else { "8" };
    for round in 0..soak.rounds(3, 1) {
        let args = [
            "hold",
            "-connections",
            "50",
            "-seconds",
            seconds,
            "-exec-after",
            "1.5",
            "--",
            &program,
            "cert",
            "renew",
            "--data",
            &data,
        ];
        let figures = soak
            .load
            .run(&gantry.target, Some(&gantry.daemon.processes()), &args)
            .map_err(|e| format!("round {round}: {e}"))?;
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
