//! Whether anybody waits for a lock in PostgreSQL: a session that looks ten times a second.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use testkit::postgres::PROGRAMS;
use testkit::scratch::write;

/// The session.
pub(super) struct LockWatch {
    psql: Child,
    output: PathBuf,
}

/// What it has seen.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) looks: u32,
    /// Waits, summed over all looks.
    pub(super) waits: u32,
    /// What for, and in which statements.
    pub(super) reasons: BTreeSet<String>,
}

impl LockWatch {
    /// Begins to look at all databases of the server that `url` leads to.
    pub(super) fn start(url: &str, folder: &Path) -> Result<Self, String> {
        let (script, output) = (folder.join("locks.sql"), folder.join("locks.out"));
        write(&script, SCRIPT)?;
        let failed = |error: std::io::Error| format!("cannot watch locks: {error}");
        let psql = Command::new(Path::new(PROGRAMS).join("psql"))
            .args(["-X", "-At", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(script)
            .arg(url)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(File::create(&output).map_err(failed)?)
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        Ok(Self { psql, output })
    }

    /// Ends it; an error where it hardly looked.
    pub(super) fn finish(mut self, least: u32) -> Result<Seen, String> {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
        let text = fs::read_to_string(&self.output).map_err(|error| error.to_string())?;
        let seen = seen_in(&text);
        if seen.looks < least {
            return Err(format!("locks were looked at {} times only", seen.looks));
        }
        Ok(seen)
    }
}

impl Drop for LockWatch {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

/// Sessions that wait for a lock, and locks that are asked for and not granted: the same seen twice.
const SCRIPT: &str = "select 'waits', greatest(
    (select count(*) from pg_stat_activity where wait_event_type = 'Lock'),
    (select count(*) from pg_locks where not granted)),
    (select string_agg(wait_event || ': ' || left(regexp_replace(query, '\\s+', ' ', 'g'), 120), ' | ')
     from pg_stat_activity where wait_event_type = 'Lock') \\watch 0.1
";

fn seen_in(text: &str) -> Seen {
    let mut seen = Seen::default();
    for line in text.lines() {
        let mut fields = line.split('|');
        let (Some("waits"), Some(Ok(waits))) = (fields.next(), fields.next().map(str::parse))
        else {
            continue;
        };
        let waits: u32 = waits;
        seen.looks += 1;
        seen.waits += waits;
        let reasons = fields.map(|reason| reason.trim().to_owned());
        seen.reasons
            .extend(reasons.filter(|reason| !reason.is_empty()));
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use super::{LockWatch, seen_in};
    use testkit::cmd::Cmd;
    use testkit::postgres::{Durability, PROGRAMS, Postgres};
    use testkit::scratch::Scratch;

    #[test]
    fn looks_are_counted_and_waits_summed() {
        let seen = seen_in("waits|0|\nwaits|2|tuple: a | tuple: b\n\nwaits|1|tuple: a\n");
        assert_eq!((seen.looks, seen.waits), (3, 3));
        assert!(seen.reasons.iter().eq(["tuple: a", "tuple: b"]));
    }

    #[test]
    fn a_session_that_waits_for_another_is_seen() {
        let postgres = Postgres::start(Durability::Fast).unwrap();
        let scratch = Scratch::new("locks").unwrap();
        let psql = |script: &str| {
            Cmd::local(format!("{PROGRAMS}/psql"))
                .words("-X -At -c")
                .arg(script)
                .arg(postgres.url())
                .folder("/")
        };
        psql("create table held (n int)").run().unwrap();
        let watch = LockWatch::start(&postgres.url(), scratch.path()).unwrap();
        let holds = "begin; lock table held; select pg_sleep(3); commit";
        let is_held = "select count(*) from pg_locks where relation = 'held'::regclass and granted";
        std::thread::scope(|scope| {
            let first = scope.spawn(|| psql(holds).text().unwrap());
            while psql(is_held).text().unwrap().trim() == "0" {
                sleep(Duration::from_millis(20));
            }
            psql("select * from held").text().unwrap();
            first.join().unwrap();
        });
        let seen = watch.finish(5).unwrap();
        assert!(seen.waits > 0, "{seen:?}");
        let expected = "relation: select * from held";
        assert!(seen.reasons.contains(expected), "{seen:?}");
    }
}
