//! Power loss: the data folder lies on a disk that is cut off without a flush of its log. Unlike kill -9,
//! this finds a missing fsync.

use std::thread::sleep;
use std::time::Duration;

use super::Soak;
use super::crash::{Known, Totals, check, setup, work};
use super::disk::Disk;
use testkit::gantry::Server;
use testkit::scratch::Scratch;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let rounds = soak.rounds(50, 3);
    let folder = Scratch::below(soak.folder.path(), "power")?;
    let mut known = Known::new(&folder.join("journal"))?;
    let disk = Disk::make(folder.path(), 6 << 30)?;
    let data = disk.path().join("data");
    // Not on the disk.
    let binary = soak.binary.logging_to(&folder.join("gantry.log"));
    let mut totals = Totals::default();
    setup(soak, &data)?;
    for round in 0..rounds {
        let say = |error| format!("round {round}: {error}");
        let mut gantry = Server::start(&binary, &data).map_err(say)?;
        let worked = work(soak, &mut gantry, &mut known, true, |soak, gantry| {
            // The kernel may call a sync done that is under way while the disk is cut. Without power nobody would
            // be told, so that none is under way.
            gantry.daemon.freeze()?;
            disk.cut()?;
            gantry.daemon.signal("CONT");
            // For a while the server lives on without a disk: whatever it acknowledges now it must not.
            sleep(Duration::from_millis(soak.dice.between(0, 200)));
            Ok(())
        });
        totals.add("operations", worked.map_err(say)?);
        drop(gantry);
        disk.restart().map_err(say)?;
        let mut gantry = Server::start(&binary, &data).map_err(say)?;
        check(soak, &gantry, &mut known, &mut totals).map_err(say)?;
        if round % 10 == 9 || round + 1 == rounds {
            eprintln!("  {} rounds: {totals}", round + 1);
        }
        gantry.stop()?;
    }
    Ok(())
}
