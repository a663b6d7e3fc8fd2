//! Clients at one address that take all there is and never move on: downloads that nobody reads, over HTTP/1.1 and
//! HTTP/2, and uploads of a byte per second. A client at another address has to be served beside them as if they were
//! not there, the memory stays bounded, and all of them are gone after the stated time.

mod crowd;

use super::Soak;
use testkit::backing::Backing;
use testkit::gantry::Server;
use testkit::meter::wait;
use testkit::postgres::Durability;
use testkit::topology::Topology;

/// MiB that a server may take at most.
const PEAK: f64 = 200.0;
/// How much longer the other client may take than alone.
const SLOWER: f64 = 2.0;
/// Seconds until the first byte of its download.
const FIRST_BYTE: f64 = 2.0;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    // Each takes three minutes: the short form has one of them, unless another is named.
    let all = soak.topologies.len() > 1;
    let topologies = soak.topologies.iter().copied();
    for topology in
        topologies.filter(|one| !(soak.options.short && all && *one == Topology::Replicas))
    {
        on(soak, topology).map_err(|error| format!("on {topology}: {error}"))?;
    }
    Ok(())
}

fn on(soak: &Soak, topology: Topology) -> Result<(), String> {
    match topology {
        Topology::Files => one(soak, topology, &[]),
        // One of them: the memory is that of a process.
        Topology::Replicas => {
            let backing = Backing::start(&soak.binary, Durability::Fast)?;
            one(soak, topology, &backing.settings())
        }
    }
}

fn one(soak: &Soak, topology: Topology, settings: &[(String, String)]) -> Result<(), String> {
    let data = soak.folder.join(&format!("unread-{topology}/data"));
    let mut gantry = Server::spawn(&soak.binary, &data, settings)?;
    gantry.wait_ready()?;
    let figures = wait(crowd::run(&gantry.target))?;
    let figure = |name: &str| {
        let found = figures.get(name).copied();
        found.ok_or_else(|| format!("the client did not say {name}"))
    };
    let (alone, beside) = (figure("alone_s")?, figure("beside_s")?);
    let (first_byte, stayed) = (figure("first_byte_s")?, figure("stayed")?);
    let peak = gantry.daemon.processes().peak_mib();
    gantry.stop()?;
    eprintln!(
        "  {topology}: beside 1,000 slow ones another client takes {beside:.2} s, alone {alone:.2} s, first byte after \
         {first_byte:.2} s; {stayed:.0} slow ones stayed; peak {peak:.0} MiB"
    );
    if beside > SLOWER * alone {
        return Err(format!(
            "the other client took more than {SLOWER} times as long"
        ));
    }
    if first_byte > FIRST_BYTE {
        return Err(format!(
            "its first byte came after more than {FIRST_BYTE} s"
        ));
    }
    if stayed > 0.0 {
        return Err("slow ones were not cut in time".to_owned());
    }
    if peak > PEAK {
        return Err(format!("that is more than {PEAK} MiB"));
    }
    Ok(())
}
