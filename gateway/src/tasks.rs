//! Tasks that run beside the listeners, and their end.

use std::sync::Arc;
use std::time::Duration;

use certs::FileReloader;
use db::Db;
use jobs::Jobs;
use jobs::sweep::Leftovers;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::telemetry::Telemetry;

/// How long a look at the database has for an answer while the process ends.
const LAST_ANSWER: Duration = Duration::from_secs(3);
/// Looks that fail in a row before the database counts as gone.
const LAST_LOOKS: u32 = 3;
/// What is between two of them.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// What runs beside the listeners.
#[derive(Clone)]
pub(crate) struct Tasks {
    /// Ends the tasks.
    pub(crate) cancel: CancellationToken,
    running: Arc<parking_lot::Mutex<Vec<JoinHandle<()>>>>,
    telemetry: Telemetry,
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
            runtime.spawn(reload_on_hangup(reloader, cancel.clone())),
        ];
        if let Some(log) = &app.access_log {
            running.push(runtime.spawn(log.clone().run(cancel.clone())));
        }
        Self {
            cancel,
            running: Arc::new(parking_lot::Mutex::new(running)),
            telemetry,
        }
    }

    pub(crate) fn spawn(&self, runtime: &Runtime, task: impl Future<Output = ()> + Send + 'static) {
        self.running.lock().push(runtime.spawn(task));
    }

    /// Ends all tasks, waits for each, closes the database, and sends the last spans. A database that is gone is not
    /// waited for.
    pub(crate) async fn finish(&self, app: &App) {
        tokio::select! {
            () = self.write_rest(app) => app.db.close().await,
            () = is_gone(&app.db) => {
                tracing::error!("the database does not answer: buffered records are not written");
            }
        }
        let telemetry = self.telemetry.clone();
        // One that panics takes no data with it.
        let _ = tokio::task::spawn_blocking(move || telemetry.finish()).await;
    }

    async fn write_rest(&self, app: &App) {
        app.registry.settle().await;
        self.cancel.cancel();
        app.drain.close();
        app.drain.wait().await;
        let running = std::mem::take(&mut *self.running.lock());
        for task in running {
            // A task that panicked was logged where it did.
            let _ = task.await;
        }
    }
}

/// Waits until a database on a server does not answer. Each attempt to write to it would take seconds then.
async fn is_gone(db: &Db) {
    if !db.is_shared() {
        return std::future::pending().await;
    }
    let mut failed = 0;
    while failed < LAST_LOOKS {
        failed = match tokio::time::timeout(LAST_ANSWER, db.ping()).await {
            Ok(Ok(())) => 0,
            _ => failed + 1,
        };
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// Reloads the certificate on SIGHUP.
async fn reload_on_hangup(reloader: Arc<FileReloader>, cancel: CancellationToken) {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        return;
    };
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = hangups.recv() => match reloader.reload_now().await {
                Ok(reloaded) => tracing::info!(?reloaded, "certificate checked on SIGHUP"),
                Err(error) => tracing::warn!(%error, "the certificate was not reloaded"),
            },
        }
    }
}
