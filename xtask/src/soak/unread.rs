//! More downloads than there is memory for, of clients that do not read: the memory stays bounded, and who
//! is too many waits half a minute and is told so.

use std::time::Duration;

use super::{REPLICA_NEEDS, Soak};
use crate::backing::Backing;
use crate::bench::gantry::Gantry;
use crate::install::ensure;
use crate::postgres::Durability;
use crate::tools::SEAWEEDFS;
use crate::topology::Topology;

/// Clients; more than `body_memory_mib` lets in by default.
const CLIENTS: &str = "500";
/// Downloads that it lets in: 96 MiB of 256 KiB each.
const PLACES: f64 = 384.0;
/// MiB that a server may take at most.
const PEAK: f64 = 200.0;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    for topology in soak.topologies.clone() {
        on(soak, topology).map_err(|error| format!("on {topology}: {error}"))?;
    }
    Ok(())
}

fn on(soak: &Soak, topology: Topology) -> Result<(), String> {
    match topology {
        Topology::Files => one(soak, topology, &[]),
        // One of them: the memory is that of a process.
        Topology::Replicas => {
            ensure(&REPLICA_NEEDS, soak.mode)?;
            SEAWEEDFS.ensure(soak.mode)?;
            let backing = Backing::start(soak.binary.path(), Durability::Fast)?;
            one(soak, topology, &backing.settings())
        }
    }
}

fn one(soak: &Soak, topology: Topology, settings: &[(String, String)]) -> Result<(), String> {
    let data = soak.folder.join(&format!("unread-{topology}/data"));
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut gantry = Gantry::spawn(&soak.binary, &data, &settings)?;
    gantry.wait_ready(Duration::from_secs(60))?;
    let figures = soak
        .load
        .run(&gantry.target, None, &["unread", "-connections", CLIENTS])?;
    let figure = |name: &str| figures.get(name).copied().unwrap_or(0.0);
    let (accepted, refused) = (figure("accepted"), figure("refused"));
    let peak = gantry.server.processes().peak_mib();
    gantry.server.stop(Duration::from_secs(30))?;
    eprintln!(
        "  {topology}: {accepted:.0} downloads that nobody reads, {refused:.0} refused with 503; peak {peak:.0} MiB"
    );
    if accepted < PLACES {
        return Err(format!("{PLACES:.0} were to be let in"));
    }
    if refused == 0.0 {
        return Err("nobody was refused".to_owned());
    }
    if peak > PEAK {
        return Err(format!("that is more than {PEAK} MiB"));
    }
    Ok(())
}
