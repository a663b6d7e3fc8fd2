//! kill -9 at random moments while clients push and delete: what was acknowledged stays, whole; nothing
//! half-pushed is visible; no row lacks its bytes; what nobody will ask for vanishes.

use std::path::Path;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use testkit::cmd::succeed;
use testkit::gantry::Server;
use testkit::meter::{Figures, listed, wait};

use super::Soak;
use crate::journal::{Journal, State};
use crate::verify::verify;

mod client;

/// How long after a restart bytes without a row may stay.
const SWEEP: Duration = Duration::from_secs(120);

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let rounds = soak.rounds(300, 5);
    let data = soak.folder.join("crash");
    let mut known = Known::new(&soak.folder.join("crash.journal"))?;
    let mut totals = Totals::default();
    setup(soak, &data)?;
    for round in 0..rounds {
        let mut gantry = Server::start(&soak.binary, &data)?;
        let killed = work(soak, &mut gantry, &mut known, false, |_, gantry| {
            gantry.daemon.kill();
            Ok(())
        });
        totals.add(
            "operations",
            killed.map_err(|e| format!("round {round}: {e}"))?,
        );
        totals.add("left_by_the_kill", leftovers(&data, "killed")?.len() as f64);
        if round % 8 == 7 {
            // A start may be cut off too.
            let mut again = Server::spawn(&soak.binary, &data, &[])?;
            sleep(Duration::from_millis(soak.dice.between(1, 80)));
            again.daemon.kill();
        }
        let began = Instant::now();
        let mut gantry = Server::start(&soak.binary, &data)?;
        totals.longest(began.elapsed());
        check(soak, &gantry, &mut known, &mut totals).map_err(|e| format!("round {round}: {e}"))?;
        totals.add("leftovers", leftovers(&data, "running")?.len() as f64);
        if round % 10 == 9 || round + 1 == rounds {
            eprintln!("  {} rounds: {totals}", round + 1);
        }
        gantry.stop()?;
    }
    let gantry = Server::start(&soak.binary, &data)?;
    let took = wait_swept(&data)?;
    eprintln!("  leftovers gone {took:.1?} after the last start");
    soak.binary
        .run(&["storage", "check"], &gantry.data)
        .map(|_| ())
}

/// Makes the project that the clients push to.
pub(super) fn setup(soak: &Soak, data: &Path) -> Result<(), String> {
    let mut gantry = Server::start(&soak.binary, data)?;
    gantry.target.create_project("crash")?;
    gantry.stop().map(|_| ())
}

/// What is known of a data folder.
pub(super) struct Known {
    state: State,
    journal: Journal,
}

impl Known {
    pub(super) fn new(journal: &Path) -> Result<Self, String> {
        Ok(Self {
            state: State::new(),
            journal: Journal::open(journal)?,
        })
    }
}

/// Lets the clients loose, and after a random moment does `end` to the server; how many operations they did.
pub(super) fn work(
    soak: &mut Soak,
    gantry: &mut Server,
    known: &mut Known,
    tolerant: bool,
    end: impl FnOnce(&mut Soak, &mut Server) -> Result<(), String>,
) -> Result<f64, String> {
    let target = gantry.target.clone();
    let Known { state, journal } = known;
    let operations = thread::scope(|scope| {
        let clients = scope.spawn(|| wait(client::work(&target, state, journal, tolerant)));
        sleep(Duration::from_millis(soak.dice.between(300, 1500)));
        let ended = gantry.daemon.check_alive().and_then(|()| end(soak, gantry));
        gantry.daemon.kill();
        let clients = clients
            .join()
            .map_err(|_| "the clients panicked".to_owned());
        ended.and(clients?)
    })?;
    Ok(operations as f64)
}

/// Holds a restarted server to the journal, and its rows to the bytes.
pub(super) fn check(
    soak: &Soak,
    gantry: &Server,
    known: &mut Known,
    totals: &mut Totals,
) -> Result<(), String> {
    let figures = wait(verify(&gantry.target, &mut known.state))?;
    for key in [
        "manifests",
        "tags",
        "blobs",
        "gone",
        "manifests_in_flight",
        "blobs_in_flight",
    ] {
        totals.add(key, figures.get(key).copied().unwrap_or(0.0));
    }
    soak.binary.run(&["storage", "check"], &gantry.data)?;
    soak.binary.run(&["audit", "verify"], &gantry.data)?;
    Ok(())
}

/// Names files that no blob, upload session or deletion to come knows; empty where there are none. It asks the
/// database itself, not the server under test; of a killed one a copy, because opening it would repair it.
fn leftovers(data: &Path, server: &str) -> Result<Vec<String>, String> {
    const LIST: &str = "import pathlib, shutil, sqlite3, sys, tempfile
data = pathlib.Path(sys.argv[1])
rows = set()
files = [file for file in (data / 'blobs').rglob('*') if file.name != 'gantry-store.json']
with tempfile.TemporaryDirectory() as folder:
    base = f'file:{data}/gantry.db?mode=ro'
    if sys.argv[2] == 'killed':
        for name in data.glob('gantry.db*'):
            shutil.copy(name, folder)
        base = f'file:{folder}/gantry.db'
    base = sqlite3.connect(base, uri=True, timeout=20)
    for table in 'blob', 'upload', 'object_garbage':
        rows |= {key for (key,) in base.execute(f'select object_key from {table}')}
for file in files:
    parts = file.relative_to(data / 'blobs').parts
    if file.is_file() and not any('/'.join(parts[i:]) in rows for i in range(len(parts))):
        print('/'.join(parts))";
    let text = succeed(
        Command::new("python3")
            .args(["-c", LIST])
            .arg(data)
            .arg(server),
    )?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Waits until nothing is left over.
fn wait_swept(data: &Path) -> Result<Duration, String> {
    let began = Instant::now();
    loop {
        let left = leftovers(data, "running")?;
        let Some(first) = left.first() else {
            return Ok(began.elapsed());
        };
        if began.elapsed() > SWEEP {
            return Err(format!(
                "{} files without a row {SWEEP:?} after the restart, {first} among them",
                left.len()
            ));
        }
        sleep(Duration::from_millis(200));
    }
}

/// Sums over the rounds.
#[derive(Default)]
pub(super) struct Totals {
    figures: Figures,
    start: Duration,
}

impl Totals {
    pub(super) fn add(&mut self, key: &str, value: f64) {
        *self.figures.entry(key.to_owned()).or_default() += value;
    }

    fn longest(&mut self, start: Duration) {
        self.start = self.start.max(start);
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}; longest start {:.0?}",
            listed(&self.figures, true),
            self.start
        )
    }
}
