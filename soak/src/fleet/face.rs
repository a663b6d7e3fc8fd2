//! The certificate that one replica shows, at a balancer that knows only that one: replicas believe whom they see only
//! behind one.

use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::balancer::Balancer;
use testkit::gantry::Gantry;
use testkit::meter::wait;
use testkit::port::loopback;
use testkit::registry::Registry;

/// How long after the command a replica may show the old certificate.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the kernel keeps of what comes.
const RECEIVE: u32 = 64 << 10;

pub(super) struct Face {
    _door: Balancer,
    registry: Registry,
    /// The certificates that were replaced.
    old: Vec<Vec<u8>>,
}

impl Face {
    /// That of the replica with this listener.
    pub(super) fn of(gantry: &Gantry, listener: &str) -> Result<Self, String> {
        let address = loopback()?;
        Ok(Self {
            _door: Balancer::start(None, &address, &[listener])?,
            registry: Registry::new(&gantry.target.at(&address))?,
            old: Vec::new(),
        })
    }

    /// What a new handshake shows.
    fn shown(&self) -> Result<Vec<u8>, String> {
        let line = wait(self.registry.dial("http/1.1", RECEIVE));
        let line = line.map_err(|error| format!("handshake: {error}"))?;
        Ok(line.certificate())
    }

    /// Has the certificate replaced by `renew`; how long after that a new one is shown.
    pub(super) fn renew(
        &mut self,
        renew: impl FnOnce() -> Result<(), String>,
    ) -> Result<Duration, String> {
        let shown = self.shown()?;
        if self.old.contains(&shown) {
            return Err("an old certificate came back".to_owned());
        }
        self.old.push(shown);
        renew()?;
        let began = Instant::now();
        while self.old.contains(&self.shown()?) {
            if began.elapsed() > PATIENCE {
                return Err(format!("no new certificate within {PATIENCE:?}"));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(began.elapsed())
    }
}
