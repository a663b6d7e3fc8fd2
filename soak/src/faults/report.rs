//! `docs/faults.md`: a row for each fault.

use std::fmt;
use std::fs;
use std::process::Command;
use std::time::Duration;

use testkit::cmd::succeed;
use testkit::workspace;

/// What came of a fault.
pub(super) struct Row {
    pub(super) place: &'static str,
    pub(super) asked: &'static str,
    pub(super) done: &'static str,
    /// What the client saw.
    pub(super) seen: String,
    /// How long the fault lasted: until the client had its answer, or more.
    pub(super) answered: Duration,
    /// How long after its end all worked again.
    pub(super) recovered: Option<Duration>,
    /// How many acknowledged things were then pulled and hashed, if all were right.
    pub(super) intact: Option<usize>,
    /// The promise that was broken.
    pub(super) broken: Option<String>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, asked, done) = (self.place, self.asked, self.done);
        write!(f, "{place}; {asked}; {done}: ")?;
        match &self.broken {
            Some(broken) => write!(f, "FAILED after {:.1?}: {broken}", self.answered),
            None => write!(
                f,
                "{} after {:.1?}; recovered {}; {} intact",
                self.seen,
                self.answered,
                self.recovery(),
                self.intact.unwrap_or(0)
            ),
        }
    }
}

impl Row {
    fn recovery(&self) -> String {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        self.recovered.map_or("no".to_owned(), seconds)
    }

    fn line(&self) -> String {
        let intact = self
            .intact
            .map_or("**no**".to_owned(), |n| format!("yes ({n})"));
        let seen = match &self.broken {
            None => self.seen.clone(),
            Some(broken) => format!("**{}**", broken.replace(['\n', '|'], " ")),
        };
        format!(
            "| {} | {} | {} | {seen} | {:.1} s | {} | {intact} |\n",
            self.place,
            self.asked,
            self.done,
            self.answered.as_secs_f64(),
            self.recovery()
        )
    }
}

const HEAD: &str = "\
# Faults

Written by `cargo xtask soak faults`; do not edit. Each row is one fault done to a running server, which is never restarted:
what a client asked; what was done meanwhile; what the client saw; how long the fault lasted (until the client had its
answer, or more); how long after its end a push, a push of a manifest and a pull had all succeeded (together they take half a second
anyway); and whether everything acknowledged until then, pulled again and hashed, was right (in brackets, how many
blobs and manifests).

- **Store and database** fail by a TCP proxy of our own between them and one `gantry serve` (SeaweedFS, PostgreSQL).
- **Disk** is a small file system in memory with files and SQLite; system calls fail by strace, attached meanwhile.
- A row fails the command where a success was wrong or short, an error was not a clean one (a JSON body of OCI errors, and
  Retry-After from 500 on), a connection neither answered nor cut, something acknowledged missing or wrong, or a server not recovered
  within 60 s; and where the fault was not felt or led to anything but what the table in `soak/src/faults/table.rs` says.
- What was not acknowledged is there whole or not at all; a blob that was refused is then pushed again, which has to succeed at once.
- A file in which a bit flipped is sent as it is, for a pull is not hashed anew: the client's digest tells, and
  `gantry storage check --rehash` names the blob.

";

const COLUMNS: &str = "\
| where | asked | done | the client saw | lasted | recovered after | intact |
|---|---|---|---|---|---|---|
";

/// Writes the document.
pub(super) fn write(rows: &[Row], version: &str) -> Result<(), String> {
    let day = succeed(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let lines: String = rows.iter().map(Row::line).collect();
    let count = rows.len();
    let text = format!(
        "{HEAD}Run of {}: {count} faults, {version}.\n\n{COLUMNS}{lines}",
        day.trim()
    );
    let path = workspace::root()?.join("docs/faults.md");
    fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
