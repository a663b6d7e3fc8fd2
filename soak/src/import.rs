//! What docker pushed to a docker-registry is taken over in place: all of it is served, no byte of it is copied,
//! and whatever is deleted here, the old registry goes on, until its objects are adopted.

mod census;
mod holdings;
mod objects;
mod old;
mod takeover;

use super::Soak;
use old::{Images, Old};
use takeover::Takeover;
use testkit::gantry::Gantry;
use testkit::topology::Topology;

/// Seconds that a blob is kept which nothing refers to: shorter than the import, which must not lose any by it,
/// and longer than what lies between a blob and its manifest there.
const GRACE: &str = "5";
/// Seconds that the bytes of a blob are kept after it was given up.
const HOLD: &str = "1";

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let (images, tags) = if soak.options.short {
        (10, 300)
    } else {
        (200, 10_000)
    };
    let folder = soak.folder.join("import-images");
    let images = Images::make(&folder, images)?;
    for topology in soak.topologies.clone() {
        one(soak, topology, &images, tags).map_err(|error| format!("on {topology}: {error}"))?;
    }
    Ok(())
}

fn one(soak: &Soak, topology: Topology, images: &Images, tags: usize) -> Result<(), String> {
    let folder = soak.folder.join(&format!("import-{topology}"));
    let settings = [
        ("GANTRY_GC__GRACE_SECS", GRACE),
        ("GANTRY_GC__HOLD_SECS", HOLD),
    ];
    let binary = &soak.binary;
    let gantry = Gantry::on_loopback(binary, &folder.join("data"), topology, &settings)?;
    let old = Old::new(&folder, &gantry)?;
    old.fill(images, tags)?;
    let mut takeover = Takeover {
        soak,
        before: old.census(images.names())?,
        stored: gantry.objects()?,
        gantry,
        old,
        folder,
    };
    takeover.import(images.names().len(), tags)?;
    takeover.delete_and_keep(images)?;
    takeover.adopt_and_delete(images)?;
    eprintln!("  {topology}: {}", takeover.gantry.finish()?);
    Ok(())
}
