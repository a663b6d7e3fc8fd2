//! Garbage with real objects, and a server that collects it when told to.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::load::s3;
use crate::scale::seed::{self, FIRST_ID, Size, THEN, in_dialect, padded_key, series, stored};
use crate::stage::Stage;
use testkit::cmd::Cmd;
use testkit::gantry::Server;
use testkit::meter::wait;
use testkit::seaweed::BUCKET;

/// A running server whose collection is paused unless it is told otherwise.
pub(super) struct Collection<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) gantry: Server,
    /// Where the objects are: garbage is old, and the sweeper has been there.
    hour: u64,
    /// The number of the next garbage blob; live ones have smaller numbers.
    next: u64,
}

/// How a collection went.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) blobs: u64,
    /// From the first link that went to the last object.
    pub(super) took: Duration,
    /// The part of it until the last link went.
    pub(super) links: Duration,
    pub(super) cpu_s: f64,
}

impl Run {
    pub(super) fn blobs_per_minute(self) -> f64 {
        self.blobs as f64 * 60.0 / self.took.as_secs_f64()
    }
}

/// Repositories that link garbage, all of the first project.
const REPOSITORIES: u64 = 100;
/// Numbers of garbage begin here.
const FIRST_NUMBER: u64 = 100_000_000;
/// Bytes of each garbage blob.
const BYTES: u64 = 1_024;
const POLL: Duration = Duration::from_millis(10);
/// How long a collection may make no progress.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server has collected since its start: links, and objects.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    pub(super) links: u64,
    pub(super) objects: u64,
}

impl<'a> Collection<'a> {
    /// Fills the stage with what lives, and starts the server with its collection paused.
    pub(super) fn start(stage: &'a Stage<'a>, size: Size) -> Result<Self, String> {
        // The schema, the first account and the sweeper's mark are the server's own work.
        let (mut gantry, _) = stage.serve()?;
        sleep(Duration::from_secs(2));
        stage.command("gc pause")?;
        gantry.stop()?;
        seed::fill(stage, size)?;
        let (gantry, _) = stage.serve()?;
        Ok(Self {
            stage,
            gantry,
            hour: hour_now()? - 3,
            next: FIRST_NUMBER,
        })
    }

    /// Makes garbage: objects first, then their rows.
    pub(super) fn make(&mut self, count: u64) -> Result<(), String> {
        let from = self.next;
        self.next += count;
        match self.stage.seaweed() {
            None => self.write_files(from, count)?,
            Some(seaweed) => {
                let endpoint = seaweed.endpoint();
                let prefix = format!("{}/", self.hour);
                wait(s3::objects(&endpoint, BUCKET, &prefix, from, count, BYTES))?;
            }
        }
        self.stage
            .sql(&in_dialect(self.stage, &rows(self.hour, from, count)))?;
        Cmd::local("sync").run()
    }

    fn write_files(&self, from: u64, count: u64) -> Result<(), String> {
        let folder = self.stage.objects_folder().join(self.hour.to_string());
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let content = [7; BYTES as usize];
        for number in from..from + count {
            fs::write(folder.join(format!("{number:040}")), content)
                .map_err(|error| format!("cannot write garbage: {error}"))?;
        }
        Ok(())
    }

    /// Resumes the collection and waits until that many more blobs are gone, then pauses it.
    pub(super) fn collect(&mut self, blobs: u64) -> Result<Run, String> {
        let server = self.gantry.daemon.processes();
        let (before, cpu) = (self.counts()?, server.cpu_seconds());
        self.steer("resume")?;
        let began = self.wait(|now| now.links > before.links)?;
        let unlinked = self.wait(|now| now.links >= before.links + blobs)?;
        let ended = self.wait(|now| now.objects >= before.objects + blobs)?;
        let cpu_s = server.cpu_seconds() - cpu;
        self.steer("pause")?;
        Ok(Run {
            blobs,
            took: ended - began,
            links: unlinked - began,
            cpu_s,
        })
    }

    /// `pause`, `resume` or `rate N`.
    pub(super) fn steer(&self, how: &str) -> Result<(), String> {
        self.stage.command(&format!("gc {how}")).map(drop)
    }

    pub(super) fn counts(&self) -> Result<Counts, String> {
        Ok(Counts {
            links: self.gantry.metric("gantry_gc_links_removed_total")? as u64,
            objects: self.gantry.metric("gantry_gc_objects_deleted_total")? as u64,
        })
    }

    /// Waits until the counts are such; when that was.
    pub(super) fn wait(&mut self, until: impl Fn(Counts) -> bool) -> Result<Instant, String> {
        let (mut last, mut moved) = (self.counts()?, Instant::now());
        loop {
            let now = self.counts()?;
            if until(now) {
                return Ok(Instant::now());
            }
            if (now.links, now.objects) != (last.links, last.objects) {
                (last, moved) = (now, Instant::now());
            }
            self.gantry.daemon.check_alive()?;
            if moved.elapsed() > PATIENCE {
                return Err(format!(
                    "the collection stands at {} links and {} objects",
                    now.links, now.objects
                ));
            }
            sleep(POLL);
        }
    }

    /// Fails where anything of the garbage is left, or the books are wrong.
    pub(super) fn end(mut self) -> Result<(), String> {
        let rows = self.stage.sql(&format!(
            "select count(*) from (select object_key from blob union all select object_key from object_garbage) keys
             where object_key like '{}/%' and object_key >= '{0}/{:040}';",
            self.hour, FIRST_NUMBER
        ))?;
        if rows != "0" {
            return Err(format!("{rows} rows of garbage are left"));
        }
        let prefix = format!("{}/", self.hour);
        let objects = match self.stage.seaweed() {
            Some(seaweed) => seaweed.objects()?,
            None => testkit::scratch::files_below(&self.stage.objects_folder())?,
        };
        let left = objects
            .keys()
            .filter(|key| key.starts_with(&prefix))
            .count();
        if left > 0 {
            return Err(format!("{left} objects of garbage are left"));
        }
        self.gantry.stop()?;
        self.stage.command("storage usage").map(drop)
    }
}

/// Links are due, and the first project is charged.
fn rows(hour: u64, from: u64, count: u64) -> String {
    let number = format!("({from} + value)");
    let (first, last) = (from, from + count - 1);
    format!(
        "begin;
         insert into blob (digest, object_key, size, owned, created_at)
         select {digest}, '{hour}/' || {key}, {BYTES}, 1, {THEN} from {series};
         insert into repository_blob (repository_id, blob_id, lease_until, review_at)
         select {FIRST_ID} + id % {REPOSITORIES}, id, {THEN}, {THEN} from blob
         where object_key between '{hour}/{first:040}' and '{hour}/{last:040}';
         update project_usage set used = used + {bytes}, room = room - {bytes} where project_id = {FIRST_ID} and shard = 0;
         commit;",
        digest = stored(&number, 'c'),
        key = padded_key(&number),
        series = series(count),
        bytes = count * BYTES,
    )
}

fn hour_now() -> Result<u64, String> {
    let seconds = Cmd::local("date").arg("+%s").text()?;
    let seconds: Result<u64, _> = seconds.trim().parse();
    Ok(seconds.map_err(|error| error.to_string())? / 3_600)
}
