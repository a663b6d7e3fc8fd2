//! What a client sees while the store, the database, the disk, or the client itself fails, and that
//! nothing acknowledged is lost by it. The faults are listed in `table`; `docs/faults.md` is written here.

mod client;
mod folder;
mod half;
mod inject;
mod report;
mod seen;
mod shared;
mod stage;
mod table;

use std::time::Duration;

use super::Soak;
use report::Row;
use stage::Stage;
use table::Fault;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let mut rows = Vec::new();
    let mut shared = shared::start(soak)?;
    all(
        soak,
        "store (SeaweedFS)",
        table::STORE,
        &mut shared,
        &mut rows,
    );
    all(
        soak,
        "database (PostgreSQL)",
        table::DATABASE,
        &mut shared,
        &mut rows,
    );
    end(&shared)?;
    drop(shared);
    let mut folder = folder::start(soak)?;
    all(
        soak,
        "disk, system calls",
        table::FOLDER,
        &mut folder,
        &mut rows,
    );
    all(soak, "client", table::CLIENT, &mut folder, &mut rows);
    end(&folder)?;
    drop(folder);
    let failed = rows.iter().filter(|row| row.broken.is_some()).count();
    eprintln!("  {} faults, {failed} of them broke a promise", rows.len());
    if !soak.options.short && soak.options.fault.is_empty() {
        report::write(&rows, &soak.binary.version())?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} of {} faults broke a promise", rows.len())),
    }
}

/// Does all faults of a table, one after the other.
fn all<A>(
    soak: &Soak,
    place: &'static str,
    faults: &[Fault<Stage<A>>],
    stage: &mut Stage<A>,
    rows: &mut Vec<Row>,
) {
    for fault in faults.iter().filter(|fault| soak.wants(place, fault)) {
        let row = one(place, fault, stage);
        eprintln!("  {row}");
        rows.push(row);
    }
}

impl Soak {
    fn wants<S>(&self, place: &str, fault: &Fault<S>) -> bool {
        let line = format!("{place}; {}; {}", fault.asked, fault.done);
        line.contains(&self.options.fault) && (fault.short || !self.options.short)
    }
}

/// Does a fault, and then looks at what is left: the server, its answers, what it acknowledged.
fn one<A>(place: &'static str, fault: &Fault<Stage<A>>, stage: &mut Stage<A>) -> Row {
    let mut row = Row {
        place,
        asked: fault.asked,
        done: fault.done,
        seen: String::new(),
        answered: Duration::ZERO,
        recovered: None,
        intact: None,
        broken: None,
    };
    row.broken = fill(&mut row, fault, stage).err();
    row
}

fn fill<A>(row: &mut Row, fault: &Fault<Stage<A>>, stage: &mut Stage<A>) -> Result<(), String> {
    let began = std::time::Instant::now();
    let seen = (fault.run)(stage);
    row.answered = began.elapsed();
    stage.gantry.check_alive()?;
    // Whatever came of it, the next fault needs a server that works.
    row.recovered = Some(stage.recover()?);
    row.intact = Some(stage.verify()?);
    stage.gantry.check_alive()?;
    let seen = seen?;
    row.seen = seen.to_string();
    fault.want.check(&seen)
}

/// What holds at the end of a stage, of all blobs to the byte.
fn end<A>(stage: &Stage<A>) -> Result<(), String> {
    stage.cli(&["storage", "check", "--rehash"])?;
    stage.cli(&["audit", "verify"]).map(|_| ())
}
