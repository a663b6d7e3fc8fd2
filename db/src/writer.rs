//! SQLite's one writer: a task that owns the writing connection, runs the transactions that wait
//! one after the other, commits them together, and only then lets the answers go out.

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

use crate::cache::{Caches, Touch};
use crate::sql::Tx;
use crate::{Error, Result};

/// The way to the writer task.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Job {
    Run(Work),
    Stop,
}

type Work = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Finished> + Send>;

/// A transaction that ran: whether it wants to be committed, and how to answer it.
struct Finished {
    keep: bool,
    answer: Answer,
}

/// What became of a transaction of a batch.
enum Ran {
    /// It will be committed with the batch.
    Kept(Answer, Vec<Touch>),
    /// It failed, and left nothing.
    Undone(Answer),
    /// It was answered already, or never will be.
    Lost,
}

type Answer = Box<dyn FnOnce(Result<(), Arc<sqlx::Error>>) + Send>;

/// Transactions that may wait; more callers wait for a place.
const QUEUE: usize = 1_024;
/// Transactions that share one commit.
const BATCH: usize = 64;
/// How often another process's writes are looked for: a bound on how stale a cache may be.
const WATCH: Duration = Duration::from_millis(100);

impl Writer {
    pub(crate) fn start(connection: SqliteConnection, caches: Arc<Caches>) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let task = Task {
            tx: Tx::sqlite_writer(connection),
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
        // The writer's statements belong to whoever waits for them.
        let span = Span::current();
        let run: Work = Box::new(move |tx| {
            Box::pin(async move {
                let result = work(tx).instrument(span).await;
                let keep = result.is_ok();
                let answer: Answer = Box::new(move |committed| {
                    let result = match committed {
                        Err(error) if keep => Err(Error::Commit(error).into()),
                        _ => result,
                    };
                    // Whoever asked may have gone away.
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

    /// Lets what waits finish, then ends the task.
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

    /// Runs a batch; `false` when a stop was asked for.
    async fn batch(&mut self, first: Work) -> bool {
        if let Err(error) = self.begin().await {
            // Dropping the work drops its answer channel: the caller sees `WriterGone`.
            tracing::warn!(%error, "cannot begin a database transaction");
            return true;
        }
        let mut kept = Vec::new();
        let mut answers = Vec::new();
        let mut next = Some(first);
        let mut go_on = true;
        // Whether the transaction holds anything that a failure must leave alone.
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
            }
            if answers.len() < BATCH {
                match self.waiting.try_recv() {
                    Ok(Job::Run(work)) => next = Some(work),
                    Ok(Job::Stop) => go_on = false,
                    Err(_) => {}
                }
            }
        }
        let committed = match self.statement("commit").await {
            Ok(()) => Ok(()),
            Err(error) => {
                // SQLite keeps a transaction open when a commit meets an I/O error.
                let _ = self.statement("rollback").await;
                Err(Arc::new(error))
            }
        };
        self.caches.apply(&kept);
        for answer in answers {
            answer(committed.clone());
        }
        go_on
    }

    /// Begins a transaction, and looks in the same statement whether another process has written.
    async fn begin(&mut self) -> Result<()> {
        let row = self.tx.query("begin immediate; pragma data_version");
        let version = row.one().await?.int("pragma", "data_version");
        self.saw(version);
        Ok(())
    }

    /// Runs one transaction; what it leaves undone is as if it had never been. Beside others it has a
    /// savepoint of its own; as the first it needs none.
    async fn one(&mut self, work: Work, first: bool) -> Ran {
        if !first && let Err(error) = self.statement("savepoint work").await {
            tracing::warn!(%error, "cannot begin a database transaction");
            return Ran::Lost;
        }
        let finished = AssertUnwindSafe(work(&mut self.tx)).catch_unwind().await;
        let touched = self.tx.take_touched();
        let keep = finished.as_ref().is_ok_and(|finished| finished.keep);
        let ended = match (keep, first) {
            (true, true) => Ok(()),
            (true, false) => self.statement("release work").await,
            (false, true) => self.statement("rollback; begin immediate").await,
            (false, false) => self.statement("rollback to work; release work").await,
        };
        let Ok(finished) = finished else {
            tracing::error!("a database transaction panicked and was rolled back");
            return Ran::Lost;
        };
        match ended {
            Err(error) => {
                (finished.answer)(Err(Arc::new(error)));
                Ran::Lost
            }
            Ok(()) if keep => Ran::Kept(finished.answer, touched),
            Ok(()) => Ran::Undone(finished.answer),
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
        self.saw(row.and_then(|row| row.int("pragma", "data_version")));
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
