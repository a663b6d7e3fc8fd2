//! How the process ends: first it is not ready, then the listeners close, then requests end, and metrics close last.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::background::BackgroundService;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::app::App;
use crate::connection::Open;
use crate::hand_over::{self, SUCCESSOR, Socket};
use crate::tasks::Tasks;

/// Signals: SIGTERM drains, SIGQUIT hands over, SIGINT ends at once.
pub(crate) struct Signals {
    app: Arc<App>,
    sockets: Arc<Vec<Socket>>,
    /// Closes the listener for metrics, which a successor also serves.
    close_metrics: watch::Sender<bool>,
    term: tokio::sync::Mutex<Signal>,
    quit: tokio::sync::Mutex<Signal>,
    interrupt: tokio::sync::Mutex<Signal>,
}

impl Signals {
    /// Handles signals from now on. Must be called within a runtime.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub(crate) fn new(
        app: Arc<App>,
        sockets: Vec<Socket>,
        close_metrics: watch::Sender<bool>,
    ) -> std::io::Result<Self> {
        let take = |kind| signal(kind).map(tokio::sync::Mutex::new);
        Ok(Self {
            app,
            sockets: Arc::new(sockets),
            close_metrics,
            term: take(SignalKind::terminate())?,
            quit: take(SignalKind::quit())?,
            interrupt: take(SignalKind::interrupt())?,
        })
    }

    /// Waits for balancers to notice that the process is not ready; a second SIGTERM ends the wait.
    async fn leave_time(&self, term: &mut Signal) {
        let delay = Duration::from_secs(self.app.config.server.drain_delay_secs);
        self.app.draining.store(true, Ordering::Relaxed);
        tracing::info!(
            delay_secs = delay.as_secs(),
            "asked to stop: not ready from now on, and the listeners close after the delay"
        );
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = term.recv() => {}
        }
    }

    /// True once a successor serves.
    async fn hand_over(&self) -> bool {
        let data: PathBuf = self.app.config.server.data.clone();
        let sockets = self.sockets.clone();
        let (done, given) = oneshot::channel();
        // Not a task of the runtime, which would wait for it when the process ends.
        std::thread::spawn(move || done.send(hand_over::give(&data, &sockets, SUCCESSOR)));
        match given.await.map_err(anyhow::Error::from).flatten() {
            Ok(()) => {
                tracing::info!("handed over: the successor serves");
                self.app.draining.store(true, Ordering::Relaxed);
                // Fails only if the listener is already closed.
                let _ = self.close_metrics.send(true);
                true
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "nothing was handed over, and this process serves on"
                );
                false
            }
        }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let mut term = self.term.lock().await;
        let mut quit = self.quit.lock().await;
        let mut interrupt = self.interrupt.lock().await;
        loop {
            tokio::select! {
                _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
                _ = term.recv() => break,
                _ = quit.recv() => {}
            }
            // This waits for a successor that may not come, but other signals do not wait.
            tokio::select! {
                _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
                _ = term.recv() => break,
                handed_over = self.hand_over() => {
                    if handed_over {
                        return ShutdownSignal::GracefulTerminate;
                    }
                }
            }
        }
        tokio::select! {
            () = self.leave_time(&mut term) => ShutdownSignal::GracefulTerminate,
            _ = interrupt.recv() => ShutdownSignal::FastShutdown,
        }
    }
}

/// Ends the process as soon as the last connection is closed after a signal; Pingora alone would wait the whole grace
/// time. The listener for metrics is open until then.
pub(crate) struct Drain {
    pub(crate) app: Arc<App>,
    /// The number of open connections of each listener except that for metrics.
    pub(crate) open: Open,
    /// The listener for metrics closes when the last copy of this is dropped.
    pub(crate) _metrics: watch::Sender<bool>,
    pub(crate) tasks: Tasks,
    pub(crate) runtime: Handle,
}

#[async_trait]
impl BackgroundService for Drain {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        if shutdown.wait_for(|down| *down).await.is_err() {
            return;
        }
        tracing::info!(
            connections = self.open.count(),
            "the listeners are closed: draining"
        );
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while self.open.count() > 0 {
            ticks.tick().await;
        }
        let (tasks, app) = (self.tasks.clone(), self.app.clone());
        let finished = self
            .runtime
            .spawn(async move { tasks.finish(&app).await })
            .await;
        if let Err(error) = finished {
            tracing::error!(%error, "the last entries may not have been written");
        }
        tracing::info!("stopped");
        std::process::exit(0);
    }
}
