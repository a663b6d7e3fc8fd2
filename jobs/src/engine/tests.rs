use std::sync::atomic::{AtomicU32, Ordering};

use db::fence;
use db::job::{self, LEASE, NewJob, Priority, Shown, State};
use db::job_log::{self, Level};
use db::{Db, Location, installation};
use model::{Clock as _, JobId, ManualClock, Timestamp};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::Error;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

/// A database, and a clock that stands.
struct World {
    _folder: TempDir,
    db: Db,
    clock: Arc<ManualClock>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("gantry.db"));
        Self {
            db: Db::open(&location).await.unwrap(),
            clock: Arc::new(ManualClock::at(NOW)),
            _folder: folder,
        }
    }

    fn queue(&self, process: &str) -> Queue {
        Queue::of_server(self.db.clone(), self.clock.clone(), process)
    }

    fn engine(&self, process: &str) -> (Engine, Arc<Stats>) {
        let stats = Arc::<Stats>::default();
        (Engine::new(self.queue(process), stats.clone()), stats)
    }

    async fn add(&self, kind: &str, payload: &str) -> JobId {
        let new = NewJob {
            kind: kind.to_owned(),
            payload_version: 1,
            payload: payload.to_owned(),
            dedup_key: None,
            lane: None,
            priority: Priority::Normal,
            due_at: NOW,
        };
        let added = self
            .db
            .write(move |tx| Box::pin(async move { job::add(tx, &new, NOW).await }));
        added.await.unwrap().unwrap()
    }

    async fn job(&self, id: JobId) -> job::Job {
        let mut tx = self.db.reader().await.unwrap();
        job::get(&mut tx, id).await.unwrap().unwrap()
    }

    async fn standing(&self, kind: &str) -> job::Job {
        let mut tx = self.db.reader().await.unwrap();
        let found = job::list(&mut tx, Some(kind), Shown::Open, 1)
            .await
            .unwrap();
        found.into_iter().next().unwrap()
    }

    async fn lines(&self, id: JobId) -> Vec<(Level, String)> {
        let mut tx = self.db.reader().await.unwrap();
        let lines = job_log::list(&mut tx, id, 100).await.unwrap();
        lines
            .into_iter()
            .map(|line| (line.level, line.text))
            .collect()
    }

    /// Waits until a job is so far.
    async fn becomes(&self, id: JobId, state: State, attempts: i64) -> job::Job {
        until(async || {
            let job = self.job(id).await;
            (job.state == state && job.attempts == attempts).then_some(job)
        })
        .await
    }
}

async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to that within ten seconds");
}

fn start(engine: Engine) -> (CancellationToken, JoinHandle<()>) {
    let cancel = CancellationToken::new();
    (cancel.clone(), tokio::spawn(engine.run(cancel)))
}

async fn stop((cancel, ended): (CancellationToken, JoinHandle<()>)) {
    cancel.cancel();
    ended.await.unwrap();
}

const RETRY: Retry = Retry {
    runs: 3,
    first: Duration::from_secs(10),
    longest: Duration::from_secs(60),
};

/// Says what it is given.
struct Echo;

impl Job for Echo {
    const KIND: &'static str = "echo";
    const RETRY: Retry = RETRY;
    type Payload = String;

    async fn run(&self, payload: String, context: &mut Context) -> Outcome {
        context.log(Level::Info, &*payload);
        Outcome::Done(Some(payload))
    }
}

/// Fails always: by an error, and every other time by a panic.
struct Failing(AtomicU32);

impl Job for Failing {
    const KIND: &'static str = "failing";
    const RETRY: Retry = RETRY;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        let runs = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(runs.is_multiple_of(2), "this panic is meant");
        Outcome::Failed(Error::LeaseLost)
    }
}

/// Begins, and never ends.
struct Stuck(Arc<Notify>);

impl Job for Stuck {
    const KIND: &'static str = "stuck";
    const RETRY: Retry = RETRY;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// Counts, as long as somebody wants that.
struct Counting {
    db: Db,
    wanted: Arc<AtomicU32>,
    begun: Arc<Notify>,
    /// How many of its runs end.
    ends: u32,
    runs: AtomicU32,
}

impl Counting {
    fn new(world: &World, ends: u32) -> (Self, Arc<AtomicU32>, Arc<Notify>) {
        let (wanted, begun) = (Arc::new(AtomicU32::new(1)), Arc::<Notify>::default());
        let counting = Self {
            db: world.db.clone(),
            wanted: wanted.clone(),
            begun: begun.clone(),
            ends,
            runs: AtomicU32::new(0),
        };
        (counting, wanted, begun)
    }
}

impl Job for Counting {
    const KIND: &'static str = "counting";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        let counted = self.db.write(|tx| Box::pin(count(tx)));
        if let Err(error) = counted.await {
            return Outcome::Failed(error.into());
        }
        self.wanted.store(0, Ordering::Relaxed);
        self.begun.notify_one();
        if self.runs.fetch_add(1, Ordering::Relaxed) >= self.ends {
            std::future::pending::<()>().await;
        }
        Outcome::Done(None)
    }
}

impl Standing for Counting {
    const EVERY: Duration = Duration::from_secs(5);

    async fn is_wanted(&self) -> crate::Result<bool> {
        Ok(self.wanted.load(Ordering::Relaxed) > 0)
    }
}

async fn count(tx: &mut db::Tx) -> db::Result<()> {
    let before = installation::get(tx, "count").await?;
    let count = before.map_or(0, |bytes| bytes[0]);
    installation::put(tx, "count", &[count + 1]).await
}

async fn counted(db: &Db) -> u8 {
    let mut tx = db.reader().await.unwrap();
    let count = installation::get(&mut tx, "count").await.unwrap();
    count.map_or(0, |bytes| bytes[0])
}

#[tokio::test]
async fn a_job_is_run_and_says_what_came_of_it() {
    let world = World::new().await;
    let (engine, stats) = world.engine("a");
    let engine = start(engine.with(Echo));
    let id = world.add("echo", "\"said\"").await;
    let done = world.becomes(id, State::Done, 0).await;
    assert_eq!(done.result.as_deref(), Some("said"));
    assert_eq!(world.lines(id).await, [(Level::Info, "said".to_owned())]);
    let unreadable = world.add("echo", "{}").await;
    let failed = world.becomes(unreadable, State::Failed, 1).await;
    assert!(
        failed
            .last_error
            .unwrap()
            .contains("payload cannot be read")
    );
    stop(engine).await;
    let [(kind, of)] = &stats.all()[..] else {
        panic!("there is one kind");
    };
    let counts = [&of.runs, &of.failures].map(|count| count.load(Ordering::Relaxed));
    assert_eq!((*kind, counts), ("echo", [2, 1]));
    assert_eq!(of.running.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_job_that_always_fails_backs_off_and_fails_for_good_at_last() {
    let world = World::new().await;
    let (engine, stats) = world.engine("a");
    let engine = start(engine.with(Failing(AtomicU32::new(0))));
    let id = world.add("failing", "null").await;
    let mut waits = Vec::new();
    for attempts in 1..3 {
        let waiting = world.becomes(id, State::Queued, attempts).await;
        assert!(waiting.last_error.is_some());
        let wait = waiting.due_at.since(world.clock.now());
        waits.push(wait);
        world.clock.advance(wait);
    }
    let seconds = waits.map_secs();
    assert!((7..=13).contains(&seconds[0]), "{seconds:?}");
    assert!((15..=25).contains(&seconds[1]), "{seconds:?}");
    world.becomes(id, State::Failed, 3).await;
    assert_eq!(world.lines(id).await.len(), 3);
    stop(engine).await;
    let failures = &stats.all()[0].1.failures;
    assert_eq!(failures.load(Ordering::Relaxed), 3);
}

trait Seconds {
    fn map_secs(&self) -> Vec<u64>;
}

impl Seconds for Vec<Duration> {
    fn map_secs(&self) -> Vec<u64> {
        self.iter().map(Duration::as_secs).collect()
    }
}

#[tokio::test]
async fn a_job_that_runs_when_the_process_stops_is_released() {
    let world = World::new().await;
    let begun = Arc::<Notify>::default();
    let (engine, _) = world.engine("a");
    let engine = start(engine.with(Stuck(begun.clone())));
    let id = world.add("stuck", "null").await;
    begun.notified().await;
    assert_eq!(world.job(id).await.state, State::Running);
    stop(engine).await;
    let released = world.job(id).await;
    assert_eq!((released.state, released.attempts), (State::Queued, 0));
    assert_eq!(released.due_at, NOW);
}

#[tokio::test]
async fn a_job_that_is_cancelled_is_dropped() {
    let world = World::new().await;
    let begun = Arc::<Notify>::default();
    let (engine, _) = world.engine("a");
    let engine = start(engine.with(Stuck(begun.clone())));
    let id = world.add("stuck", "null").await;
    begun.notified().await;
    let cancelled = world.db.write(move |tx| Box::pin(job::cancel(tx, id, NOW)));
    assert_eq!(cancelled.await.unwrap(), job::Cancelled::Asked);
    world.becomes(id, State::Cancelled, 0).await;
    stop(engine).await;
}

#[tokio::test]
async fn a_standing_job_is_taken_only_when_there_is_something_to_do() {
    let world = World::new().await;
    let (engine, _) = world.engine("a");
    let (counting, wanted, begun) = Counting::new(&world, u32::MAX);
    wanted.store(0, Ordering::Relaxed);
    let idle = start(engine.with_standing(counting));
    let look = async || {
        let mut tx = world.db.reader().await.unwrap();
        let found = job::list(&mut tx, None, Shown::All, 9).await.unwrap();
        (!found.is_empty()).then_some(())
    };
    until(look).await;
    stop(idle).await;
    assert_eq!(world.standing("counting").await.started_at, None);

    let (engine, _) = world.engine("b");
    let (counting, _, again) = Counting::new(&world, u32::MAX);
    let busy = start(engine.with_standing(counting));
    again.notified().await;
    let id = world.standing("counting").await.id;
    let done = world.becomes(id, State::Queued, 0).await;
    assert_eq!(done.due_at, NOW.plus(Counting::EVERY));
    stop(busy).await;
    assert_eq!(counted(&world.db).await, 1);
    drop(begun);
}

#[tokio::test]
async fn a_job_of_a_process_that_died_is_taken_over_and_its_late_writes_fail() {
    let world = World::new().await;
    let (engine, _) = world.engine("a");
    let (counting, _, begun) = Counting::new(&world, 0);
    let (_, dead) = start(engine.with_standing(counting));
    begun.notified().await;
    // As by kill -9: nothing is given back.
    dead.abort();
    let _ = dead.await;
    let id = world.standing("counting").await.id;
    let old = fence::Fence { job: id, number: 1 };

    let (engine, _) = world.engine("b");
    let (counting, _, taken_over) = Counting::new(&world, u32::MAX);
    let other = start(engine.with_standing(counting));
    tokio::time::sleep(POLL + POLL / 2).await;
    assert_eq!(world.job(id).await.holder.as_deref(), Some("server a"));
    world.clock.advance(LEASE + Duration::from_secs(1));
    taken_over.notified().await;
    let late = fence::within(old, world.db.write(|tx| Box::pin(count(tx)))).await;
    assert!(matches!(late, Err(db::Error::Fenced)), "{late:?}");
    world.becomes(id, State::Queued, 0).await;
    stop(other).await;
    assert_eq!(counted(&world.db).await, 2, "once by each holder");
    let lines = world.lines(id).await;
    let told = "server a did not renew its lease: the job is queued again";
    assert_eq!(lines, [(Level::Warn, told.to_owned())]);
}

#[tokio::test]
async fn a_job_whose_process_dies_each_time_is_given_up() {
    let world = World::new().await;
    let id = world.add("stuck", "null").await;
    for _ in 0..RETRY.runs {
        let begun = Arc::<Notify>::default();
        let (engine, _) = world.engine("dies");
        let (_, dead) = start(engine.with(Stuck(begun.clone())));
        begun.notified().await;
        dead.abort();
        let _ = dead.await;
        world.clock.advance(LEASE + Duration::from_secs(1));
    }
    let (engine, _) = world.engine("last");
    let last = start(engine.with(Stuck(Arc::default())));
    let given_up = world.becomes(id, State::Failed, RETRY.runs + 1).await;
    assert!(given_up.last_error.unwrap().contains("each of 3 runs"));
    stop(last).await;
}

#[tokio::test]
async fn a_command_gets_a_standing_job_from_the_server_that_runs_it() {
    let world = World::new().await;
    let (engine, _) = world.engine("a");
    let (counting, _, begun) = Counting::new(&world, 0);
    let server = start(engine.with_standing(counting));
    begun.notified().await;
    let queue = Queue::of_command(world.db.clone(), world.clock.clone());
    let waiting = Held::take(&queue, "counting", Duration::ZERO, Manner::Waiting).await;
    assert!(waiting.unwrap().is_none(), "it is held");
    let patience = Duration::from_secs(8);
    let asking = Held::take(&queue, "counting", patience, Manner::Asking).await;
    let held = asking.unwrap().unwrap();
    let work = async { Ok(world.db.write(|tx| Box::pin(count(tx))).await?) };
    held.run(work).await.unwrap();
    assert_eq!(counted(&world.db).await, 2);
    let released = world.standing("counting").await;
    assert_eq!((released.state, released.attempts), (State::Queued, 0));
    stop(server).await;
}

#[tokio::test]
async fn the_work_of_a_command_is_cancelled() {
    let world = World::new().await;
    let queue = Queue::of_command(world.db.clone(), world.clock.clone());
    let taken = Held::take(&queue, "counting", Duration::ZERO, Manner::Waiting).await;
    let held = taken.unwrap().unwrap();
    let id = held.claimed.fence.job;
    let asked = world.db.write(move |tx| Box::pin(job::cancel(tx, id, NOW)));
    assert_eq!(asked.await.unwrap(), job::Cancelled::Asked);
    let ended = held.run(std::future::pending::<Result<()>>()).await;
    assert!(
        matches!(ended, Err(Error::Cancelled(job)) if job == id),
        "{ended:?}"
    );
    assert_eq!(world.standing("counting").await.state, State::Queued);
}

#[tokio::test]
async fn a_schedule_adds_jobs() {
    let world = World::new().await;
    let (engine, _) = world.engine("a");
    let schedule = NewSchedule {
        kind: "echo".to_owned(),
        subject: String::new(),
        payload_version: 1,
        payload: "\"hourly\"".to_owned(),
        cron: "0 0 * * * *".parse().unwrap(),
    };
    let engine = start(engine.with(Echo).scheduled(schedule));
    let all = async |count: usize| {
        until(async || {
            let mut tx = world.db.reader().await.unwrap();
            let jobs = job::list(&mut tx, Some("echo"), Shown::All, 9)
                .await
                .unwrap();
            let done = jobs.iter().filter(|job| job.state == State::Done).count();
            (done == count).then_some(())
        })
        .await;
    };
    tokio::time::sleep(POLL).await;
    all(0).await;
    // Several times that nobody was there for are made up for once.
    world.clock.advance(Duration::from_secs(5 * 3_600));
    all(1).await;
    world.clock.advance(Duration::from_secs(3_600));
    all(2).await;
    stop(engine).await;
}
