//! Tasks that run beside the listeners, and their end.

use std::sync::Arc;
use std::time::Duration;

use certs::{FileReloader, Reloaded, findings_in_use};
use db::Db;
use jobs::Jobs;
use jobs::failures::causes;
use jobs::sweep::Leftovers;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::OnceCell;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::telemetry::Telemetry;

/// How long the shutdown may take after the last request. Sending the last spans takes at most three seconds more: ten
/// in all, whatever the database and the store do.
const LAST_WORK: Duration = Duration::from_secs(7);
/// Time limit of a database check while the process ends.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Number of refused checks in a row after which the database counts as gone.
const LAST_LOOKS: u32 = 3;
/// The interval between checks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// The tasks beside the listeners.
#[derive(Clone)]
pub(crate) struct Tasks {
    /// Ends the tasks.
    pub(crate) cancel: CancellationToken,
    running: Arc<parking_lot::Mutex<Vec<JoinHandle<()>>>>,
    telemetry: Telemetry,
    /// Set once everything is written or given up.
    finished: Arc<OnceCell<()>>,
}

impl Tasks {
    pub(crate) fn start(
        runtime: &Runtime,
        app: &Arc<App>,
        (jobs, leftovers): (Jobs, Leftovers),
        reloader: Arc<FileReloader>,
        telemetry: Telemetry,
    ) -> Self {
        let cancel = CancellationToken::new();
        let mut running = vec![
            runtime.spawn(jobs.run(leftovers, cancel.clone())),
            runtime.spawn(reloader.clone().run(cancel.clone())),
            runtime.spawn(reload_on_hangup(app.clone(), reloader, cancel.clone())),
        ];
        if let Some(log) = &app.access_log {
            running.push(runtime.spawn(log.clone().run(cancel.clone())));
        }
        Self {
            cancel,
            running: Arc::new(parking_lot::Mutex::new(running)),
            telemetry,
            finished: Arc::default(),
        }
    }

    pub(crate) fn spawn(&self, runtime: &Runtime, task: impl Future<Output = ()> + Send + 'static) {
        self.running.lock().push(runtime.spawn(task));
    }

    /// Ends all tasks, waits for each, closes the database, and sends the last spans, all within [`LAST_WORK`] and a
    /// little. Whatever is not written by then is given up, at once if the database is gone.
    pub(crate) async fn finish(&self, app: &App) {
        // Reached both when the last connection ends and when the grace time ends.
        self.finished.get_or_init(|| self.end(app)).await;
    }

    async fn end(&self, app: &App) {
        let tasks: Vec<AbortHandle> = self
            .running
            .lock()
            .iter()
            .map(|t| t.abort_handle())
            .collect();
        let last = LastLook::default();
        let written = async {
            self.write_rest(app).await;
            app.db.close().await;
        };
        let given_up = tokio::select! {
            () = written => false,
            () = is_gone(&app.db, &last) => true,
            () = tokio::time::sleep(LAST_WORK) => true,
        };
        if given_up {
            // So that none of them repeats it.
            tasks.iter().for_each(AbortHandle::abort);
            jobs::flush::tell_unwritten(&app.registry, &app.audit, &last.cause()).await;
        }
        let telemetry = self.telemetry.clone();
        // A panic loses no data.
        let _ = tokio::task::spawn_blocking(move || telemetry.finish()).await;
    }

    async fn write_rest(&self, app: &App) {
        app.registry.settle().await;
        self.cancel.cancel();
        app.drain.close();
        app.drain.wait().await;
        let running = std::mem::take(&mut *self.running.lock());
        for task in running {
            // A panic was already logged.
            let _ = task.await;
        }
    }
}

/// The result of the last database check while the process ends.
#[derive(Default)]
struct LastLook(parking_lot::Mutex<Option<String>>);

impl LastLook {
    fn found(&self, wrong: Option<String>) {
        *self.0.lock() = wrong;
    }

    /// Why the last work was not finished.
    fn cause(&self) -> String {
        let wrong = self.0.lock().clone();
        wrong.unwrap_or_else(|| {
            format!(
                "it was not done within {} s: is a table locked, or the disk or the store slow?",
                LAST_WORK.as_secs()
            )
        })
    }
}

/// Waits until a database server is unreachable. One that is slow to answer has [`LAST_WORK`].
async fn is_gone(db: &Db, last: &LastLook) {
    if !db.is_shared() {
        return std::future::pending().await;
    }
    let mut refused = 0;
    while refused < LAST_LOOKS {
        let look = tokio::time::timeout(LAST_ANSWER, db.ping()).await;
        refused = if matches!(look, Ok(Err(_))) {
            refused + 1
        } else {
            0
        };
        last.found(match look {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(causes(&error)),
            Err(_) => Some("the database does not answer".to_owned()),
        });
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// Reloads the certificates on SIGHUP, and warns of what is wrong with them, whether or not they are new.
async fn reload_on_hangup(app: Arc<App>, reloader: Arc<FileReloader>, cancel: CancellationToken) {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        return;
    };
    while let Some(Some(())) = cancel.run_until_cancelled(hangups.recv()).await {
        let reloaded = match reloader.reload_now().await {
            Ok(reloaded) => reloaded,
            Err(error) => {
                tracing::warn!(%error, "the certificate was not reloaded");
                continue;
            }
        };
        tracing::info!(?reloaded, "certificate checked on SIGHUP");
        // For a new one, the watch warns.
        if reloaded == Reloaded::Unchanged {
            let now = app.clock.now().date_time();
            let in_use = findings_in_use(&app.certificates, &app.wanted_names, &app.roots, now);
            for warning in in_use.into_iter().flat_map(|(_, found)| found) {
                tracing::warn!("{warning}");
            }
        }
    }
}
