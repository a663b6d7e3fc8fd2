//! SQLite's only writer: a task that owns the writing connection, runs waiting transactions one after the other,
//! commits them together, and only then sends the answers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

use crate::cache::Caches;
use crate::error::{Error, Result, sqlite_code};
use crate::sql::Tx;
use crate::touch::Touch;

/// A handle to the writer task.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Job {
    Run(Work),
    Stop,
}

/// A transaction to run, or to answer with the reason why none could begin.
type Work = Box<dyn for<'t> FnOnce(Result<&'t mut Tx>) -> BoxFuture<'t, Finished> + Send>;

/// A transaction that ran: whether to commit it, and how to answer it.
struct Finished {
    keep: bool,
    answer: Answer,
}

/// The result of a transaction in a batch.
enum Ran {
    /// It will be committed with the batch.
    Kept(Answer, Vec<Touch>),
    /// It failed, and left no changes.
    Undone(Answer),
    /// It panicked, and left no changes.
    Lost,
    /// The batch's transaction is lost or in doubt: nothing may run in it any more.
    Broken(Option<Answer>, sqlx::Error),
}

type Answer = Box<dyn FnOnce(Result<(), Arc<sqlx::Error>>) + Send>;

/// Maximum queued transactions; further callers wait for a place.
const QUEUE: usize = 1_024;
/// Transactions that share one commit.
const BATCH: usize = 64;
/// How often to check for writes of other processes: a limit on how stale a cache may be.
const WATCH: Duration = Duration::from_millis(100);

impl Writer {
    pub(crate) fn start(connection: SqliteConnection, caches: Arc<Caches>) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let task = Task {
            tx: Tx::sqlite(connection),
            caches,
            waiting,
            version: None,
        };
        Self {
            jobs,
            task: Arc::new(Mutex::new(Some(tokio::spawn(task.run())))),
        }
    }

    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        // The writer's statements belong to the caller's span.
        let span = Span::current();
        let run: Work = Box::new(move |tx| {
            Box::pin(async move {
                let result = match tx {
                    Ok(tx) => work(tx).instrument(span).await,
                    Err(error) => Err(error.into()),
                };
                let keep = result.is_ok();
                let answer: Answer = Box::new(move |committed| {
                    let result = match committed {
                        Err(error) if keep => Err(Error::Commit(error).into()),
                        _ => result,
                    };
                    // The caller may have gone away.
                    let _ = answer.send(result);
                });
                Finished { keep, answer }
            })
        });
        self.jobs
            .send(Job::Run(run))
            .await
            .map_err(|_| Error::WriterGone)?;
        answered.await.map_err(|_| Error::WriterGone)?
    }

    /// Finishes waiting transactions, then ends the task.
    pub(crate) async fn stop(&self) {
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = self.jobs.send(Job::Stop).await;
            let _ = task.await;
        }
    }
}

struct Task {
    tx: Tx,
    caches: Arc<Caches>,
    waiting: mpsc::Receiver<Job>,
    /// `PRAGMA data_version`: it moves when another connection has written.
    version: Option<i64>,
}

impl Task {
    async fn run(mut self) {
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                job = self.waiting.recv() => match job {
                    Some(Job::Run(first)) => {
                        if !self.batch(first).await {
                            return;
                        }
                    }
                    Some(Job::Stop) | None => return,
                },
                _ = watch.tick() => self.look_around().await,
            }
        }
    }

    /// Runs a batch; returns false when a stop was requested.
    async fn batch(&mut self, first: Work) -> bool {
        if let Err(error) = self.begin().await {
            // In case one is still open that could not be rolled back before.
            let _ = self.statement("rollback").await;
            let refused = first(Err(not_begun(error))).await;
            (refused.answer)(Ok(()));
            return true;
        }
        let mut kept = Vec::new();
        let mut answers = Vec::new();
        let mut next = Some(first);
        let mut go_on = true;
        let mut ended = Ok(());
        // Whether the batch has any changes that a failure must not undo.
        let mut empty = true;
        while let Some(work) = next.take() {
            match self.one(work, empty).await {
                Ran::Kept(answer, touched) => {
                    empty = false;
                    answers.push(answer);
                    kept.extend(touched);
                }
                Ran::Undone(answer) => answers.push(answer),
                Ran::Lost => {}
                Ran::Broken(answer, error) => {
                    answers.extend(answer);
                    ended = Err(error);
                    break;
                }
            }
            if answers.len() < BATCH {
                match self.waiting.try_recv() {
                    Ok(Job::Run(work)) => next = Some(work),
                    Ok(Job::Stop) => go_on = false,
                    Err(_) => {}
                }
            }
        }
        if ended.is_ok() {
            ended = self.statement("commit").await;
        }
        if ended.is_err() {
            // SQLite keeps a transaction open when a commit meets an I/O error.
            let _ = self.statement("rollback").await;
        }
        let committed = ended.map_err(Arc::new);
        self.caches.apply(&kept);
        for answer in answers {
            answer(committed.clone());
        }
        go_on
    }

    /// Begins a transaction, and checks in the same statement whether another process has written.
    async fn begin(&mut self) -> Result<()> {
        let row = self.tx.query("begin immediate; pragma data_version");
        let version = row.one().await?.get("pragma", "data_version");
        self.saw(version);
        Ok(())
    }

    /// Runs one transaction; a failure leaves no changes. After others it has a savepoint of its own; as the first it
    /// needs none.
    async fn one(&mut self, work: Work, first: bool) -> Ran {
        if !first && let Err(error) = self.statement("savepoint work").await {
            return Ran::Broken(None, error);
        }
        let finished = AssertUnwindSafe(work(Ok(&mut self.tx)))
            .catch_unwind()
            .await;
        let touched = self.tx.take_touched();
        // Those of a failed one.
        drop(self.tx.take_relists());
        let keep = finished.as_ref().is_ok_and(|finished| finished.keep);
        let ended = match (keep, first) {
            (true, true) => Ok(()),
            (true, false) => self.statement("release work").await,
            (false, true) => self.statement("rollback; begin immediate").await,
            (false, false) => self.statement("rollback to work; release work").await,
        };
        if finished.is_err() {
            tracing::error!("a database transaction panicked and was rolled back");
        }
        let answer = finished.ok().map(|finished| finished.answer);
        match (ended, answer) {
            (Err(error), answer) => Ran::Broken(answer, error),
            (Ok(()), Some(answer)) if keep => Ran::Kept(answer, touched),
            (Ok(()), Some(answer)) => Ran::Undone(answer),
            (Ok(()), None) => Ran::Lost,
        }
    }

    async fn statement(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        match self.tx.query(sql).execute().await {
            Ok(_) => Ok(()),
            Err(Error::Statement(_, error) | Error::Duplicate(error)) => Err(error),
            Err(_) => Err(sqlx::Error::WorkerCrashed),
        }
    }

    async fn look_around(&mut self) {
        let row = self.tx.query("pragma data_version").one().await;
        self.saw(row.and_then(|row| row.get("pragma", "data_version")));
    }

    /// Empties the caches when another process has written.
    fn saw(&mut self, version: Result<i64>) {
        match version {
            Ok(version) => {
                if self
                    .version
                    .replace(version)
                    .is_some_and(|before| before != version)
                {
                    self.caches.apply(&[Touch::Everything]);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look for other processes' writes");
                self.caches.apply(&[Touch::Everything]);
            }
        }
    }
}

/// Why no transaction could begin: SQLITE_BUSY and its extended codes mean that another process holds the lock.
fn not_begun(error: Error) -> Error {
    const BUSY: i32 = 5;
    match error {
        Error::Statement(_, error) if sqlite_code(&error) == Some(BUSY) => Error::Busy(error),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions as _, Executor as _};
    use tokio::sync::oneshot;

    use crate::{Db, Error, Location, Result, Tx};

    async fn opened() -> (tempfile::TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("gantry.db"));
        let db = Db::open(&location).await.unwrap();
        (folder, db)
    }

    async fn put(tx: &mut Tx, name: &'static str) -> Result<()> {
        crate::installation::put(tx, name, b"x").await
    }

    async fn is_there(db: &Db, name: &'static str) -> bool {
        let mut tx = db.reader().await.unwrap();
        crate::installation::get(&mut tx, name)
            .await
            .unwrap()
            .is_some()
    }

    #[tokio::test]
    async fn whoever_cannot_begin_is_told_that_another_process_writes() {
        let (folder, db) = opened().await;
        let file = folder.path().join("gantry.db");
        let options = SqliteConnectOptions::new().filename(file);
        let mut other = options.connect().await.unwrap();
        other.execute("begin immediate").await.unwrap();
        let met = db.write(|tx| Box::pin(put(tx, "beside"))).await;
        assert!(matches!(met, Err(Error::Busy(_))), "{met:?}");
        other.execute("rollback").await.unwrap();
        db.write(|tx| Box::pin(put(tx, "after"))).await.unwrap();
    }

    /// Does what SQLite does by itself when a disk is full: ends the transaction that others share.
    async fn roll_back_by_force(tx: &mut Tx) -> Result<()> {
        tx.query("rollback").execute().await?;
        Err(Error::WriterGone)
    }

    type Work = for<'t> fn(&'t mut Tx) -> BoxFuture<'t, Result<()>>;

    /// Runs `works` as one batch: none begins before all wait.
    async fn as_one_batch(db: &Db, works: [Work; 3]) -> Vec<Result<()>> {
        let (open, gate) = oneshot::channel::<()>();
        let first =
            db.write(move |_| Box::pin(async move { gate.await.map_err(|_| Error::WriterGone) }));
        let all = futures_util::future::join_all(works.map(|work| db.write(work)));
        let opened = async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            open.send(()).unwrap();
        };
        let (_, all, ()) = tokio::join!(first, all, opened);
        all
    }

    #[tokio::test]
    async fn a_batch_ends_with_its_transaction() {
        let (_folder, db) = opened().await;
        let answers = as_one_batch(
            &db,
            [
                |tx| Box::pin(put(tx, "before")),
                |tx| Box::pin(roll_back_by_force(tx)),
                |tx| Box::pin(put(tx, "after")),
            ],
        )
        .await;
        assert!(matches!(answers[0], Err(Error::Commit(_))), "{answers:?}");
        assert!(matches!(answers[1], Err(Error::WriterGone)), "{answers:?}");
        assert!(answers[2].is_ok(), "{answers:?}");
        assert!(!is_there(&db, "before").await, "answered as failed");
        assert!(is_there(&db, "after").await, "ran in a batch of its own");
    }
}
