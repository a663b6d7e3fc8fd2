//! `gantry serve`: everything is opened, wired, run, and closed in order.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use auth::identity::Identity;
use auth::password::PasswordHasher;
use certs::{Authority, FileReloader, HotCertificate, ServerCertificate};
use db::Db;
use db::audit::recorder::Recorder;
use jobs::Jobs;
use model::{Clock, SystemClock};
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server, ShutdownWatch};
use pingora::services::background::{BackgroundService, background_service};
use pingora::services::listening::Service;
use registry::{Limits, Registry};
use storage::BlobStore;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::bootstrap;
use crate::config::{self, Backend, Config, Pulls};
use crate::connection::Connections;
use crate::http::Listener;
use crate::http::access_log::AccessLog;
use crate::metrics::Metrics;
use crate::rate::Rate;
use crate::telemetry::Telemetry;
use crate::welcome;

/// How often the end of the server certificate is looked at.
const RENEWAL_CHECK: Duration = Duration::from_secs(12 * 3_600);

/// How the process was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// By itself.
    Fresh,
    /// To take the listeners over from a running process, which ends then (SIGQUIT).
    TakeOver,
}

/// Serves until a signal ends it.
pub(crate) fn serve(config: Config, start: Start) -> anyhow::Result<()> {
    // Pools, jobs, reloading and spans live here, longer than any runtime of Pingora's.
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let telemetry = Telemetry::start(&config, runtime.handle())?;
    let listeners = listeners(&config.server)?;
    bootstrap::data_folder(&config.server.data)?;
    let lock = match start {
        Start::Fresh => Some(lock(&config.server.data)?),
        Start::TakeOver => {
            inherit_lock(&config.server.data)?;
            None
        }
    };
    let opened = runtime.block_on(open(config, start))?;
    let Opened {
        app,
        jobs,
        authority,
        reloader,
    } = opened;
    let tasks = Tasks::start(&runtime, &app, jobs, reloader, telemetry);
    tasks.spawn(
        &runtime,
        renew_in_time(app.clone(), authority, tasks.cancel.clone()),
    );
    let handle = runtime.handle().clone();
    let server = server(&app, start, listeners, tasks.clone(), handle)?;
    server.run(RunArgs::default());
    runtime.block_on(tasks.finish(&app));
    drop(lock);
    Ok(())
}

/// One process per data folder, so that what an earlier one left can be told.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("gantry.lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).with_context(|| {
        format!(
            "another gantry serves from {}: stop it, or take over with `gantry serve --take-over`",
            folder.display()
        )
    })?;
    Ok(file)
}

/// Waits in the background until the process before has ended, and keeps its lock until this one
/// ends.
fn inherit_lock(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join("gantry.lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let wait = move || {
        if let Err(error) = rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive) {
            tracing::error!(%error, "the lock of the data folder cannot be taken");
        }
        // Never given back while the process lives.
        std::mem::forget(file);
    };
    std::thread::Builder::new()
        .name("lock".to_owned())
        .spawn(wait)?;
    Ok(())
}

struct Opened {
    app: Arc<App>,
    jobs: Jobs,
    authority: Authority,
    reloader: Arc<FileReloader>,
}

async fn open(config: Config, start: Start) -> anyhow::Result<Opened> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let master = bootstrap::master_key(&config)?;
    let db = Db::open(&config.database()).await?;
    let now = clock.now();
    let authority = bootstrap::authority(&db, &master, now).await?;
    let files = bootstrap::server_certificate(&config, &authority, now)?;
    let certificate = HotCertificate::new(ServerCertificate::load(&files.certificate, &files.key)?);
    let keys = bootstrap::token_keys(&db, &master).await?;
    let audit = Arc::new(Recorder::default());
    let identity = Arc::new(Identity::new(
        db.clone(),
        clock.clone(),
        audit.clone(),
        keys,
        config.auth.token_secs,
    ));
    let password = bootstrap::administrator(&db, &config, &PasswordHasher::new(), now).await?;
    welcome::print(&config, password.as_ref());
    let store = bootstrap::store(&config).await?;
    let registry = Arc::new(registry(&config, &db, &clock, &master, store));
    let progress = Arc::new(jobs::gc::Progress::default());
    let app = Arc::new(App {
        admin: admin(&config, &db, &identity, &clock, authority.certificate_pem()),
        access_log: config
            .log
            .access
            .then(|| Arc::new(AccessLog::new(config.log.format))),
        rate: Rate::new(config.limits.requests_per_second),
        metrics: Metrics::new()?,
        collected: progress.clone(),
        drain: TaskTracker::new(),
        draining: false.into(),
        db: db.clone(),
        registry: registry.clone(),
        identity: identity.clone(),
        audit: audit.clone(),
        clock: clock.clone(),
        certificate: certificate.clone(),
        config,
    });
    let gc = gc_settings(&app.config);
    let alone = start == Start::Fresh && app.config.database.url.is_empty();
    let jobs = Jobs {
        db,
        registry,
        identity,
        heard: Arc::default(),
        audit,
        master,
        clock,
        gc,
        progress,
        horizon: Arc::default(),
        alone,
    };
    Ok(Opened {
        app,
        jobs,
        authority,
        reloader: FileReloader::new(files, certificate),
    })
}

/// How garbage is collected.
pub(crate) fn gc_settings(config: &Config) -> jobs::gc::Settings {
    jobs::gc::Settings {
        hold: Duration::from_secs(config.gc.hold_secs),
        blobs_per_minute: config.gc.blobs_per_minute,
    }
}

/// The registry on an open database and store.
pub(crate) fn registry(
    config: &Config,
    db: &Db,
    clock: &Arc<dyn Clock>,
    master: &Arc<auth::secret::MasterKey>,
    store: Arc<dyn BlobStore>,
) -> Registry {
    let limits = Limits {
        upload_expiry: Duration::from_secs(config.uploads.expiry_secs),
        grace: Duration::from_secs(config.gc.grace_secs),
        body_memory: config.limits.body_memory_mib << 20,
        each_pull: config.audit.pulls == Pulls::Each,
    };
    Registry::new(db.clone(), store, clock.clone(), master.clone(), limits)
}

fn admin(
    config: &Config,
    db: &Db,
    identity: &Arc<Identity>,
    clock: &Arc<dyn Clock>,
    ca: &str,
) -> axum::Router {
    let port = config.server.listen.port();
    let host = config
        .server
        .names
        .first()
        .map_or("localhost", String::as_str);
    let info = admin_api::SystemInfo {
        external_host: if port == 443 {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        },
        version: format!("v2.16.0-gantry.{}", env!("CARGO_PKG_VERSION")),
        storage_provider: match config.storage.backend {
            Backend::Files => "filesystem",
            Backend::S3 => "s3",
        },
        ca_pem: config.tls.certificate.is_empty().then(|| ca.to_owned()),
        data_folder: config.server.data.clone(),
    };
    admin_api::router(Arc::new(admin_api::AdminState {
        db: db.clone(),
        identity: identity.clone(),
        clock: clock.clone(),
        info,
    }))
}

/// What runs beside the listeners.
#[derive(Clone)]
struct Tasks {
    cancel: CancellationToken,
    running: Arc<parking_lot::Mutex<Vec<JoinHandle<()>>>>,
    telemetry: Telemetry,
}

impl Tasks {
    fn start(
        runtime: &Runtime,
        app: &Arc<App>,
        jobs: Jobs,
        reloader: Arc<FileReloader>,
        telemetry: Telemetry,
    ) -> Self {
        let cancel = CancellationToken::new();
        let mut running = vec![
            runtime.spawn(jobs.run(cancel.clone())),
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

    fn spawn(&self, runtime: &Runtime, task: impl Future<Output = ()> + Send + 'static) {
        self.running.lock().push(runtime.spawn(task));
    }

    /// Ends all tasks, waits for each, closes the database, and sends the last spans.
    async fn finish(&self, app: &App) {
        app.registry.settle().await;
        self.cancel.cancel();
        app.drain.close();
        app.drain.wait().await;
        let running = std::mem::take(&mut *self.running.lock());
        for task in running {
            // A task that panicked was logged where it did.
            let _ = task.await;
        }
        app.db.close().await;
        let telemetry = self.telemetry.clone();
        // One that panics takes no data with it.
        let _ = tokio::task::spawn_blocking(move || telemetry.finish()).await;
    }
}

/// Issues a new server certificate before the present one of our own ends; the reloader takes it up.
async fn renew_in_time(app: Arc<App>, authority: Authority, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(RENEWAL_CHECK);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = bootstrap::server_certificate(&app.config, &authority, app.clock.now())
        {
            tracing::error!(%error, "the server certificate cannot be renewed");
        }
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
                Ok(reloaded) => tracing::info!(?reloaded, "certificate looked at on SIGHUP"),
                Err(error) => tracing::warn!(%error, "the certificate was not reloaded"),
            },
        }
    }
}

fn server(
    app: &Arc<App>,
    start: Start,
    listeners: Vec<(SocketAddr, Listener)>,
    tasks: Tasks,
    runtime: tokio::runtime::Handle,
) -> anyhow::Result<Server> {
    let settings = &app.config.server;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let data = std::path::absolute(&settings.data).context("cannot find the data folder")?;
    let conf = ServerConf {
        threads: if settings.threads == 0 {
            cores
        } else {
            settings.threads
        },
        grace_period_seconds: Some(settings.grace_secs),
        graceful_shutdown_timeout_seconds: Some(1),
        upgrade_sock: data.join("hand-over.sock").to_string_lossy().into_owned(),
        pid_file: data.join("gantry.pid").to_string_lossy().into_owned(),
        ..ServerConf::default()
    };
    let options = Opt {
        upgrade: start == Start::TakeOver,
        ..Opt::default()
    };
    let mut server = Server::new_with_opt_and_conf(options, conf);
    server.bootstrap();
    let tls = TlsAcceptor::from(certs::server_config(app.certificate.clone())?);
    let connections = Connections::new(app.clone(), tls, listeners.clone());
    let open = connections.open();
    let mut service = Service::new("gateway".to_owned(), connections);
    service.add_tcp(&settings.listen.to_string());
    for (address, _) in listeners {
        service.add_tcp(&address.to_string());
    }
    server.add_service(service);
    let drain = Drain {
        app: app.clone(),
        open,
        tasks,
        runtime,
    };
    server.add_service(background_service("drain", drain));
    Ok(server)
}

/// The listeners beside the registry's own, each with an address of its own.
fn listeners(settings: &config::Server) -> anyhow::Result<Vec<(SocketAddr, Listener)>> {
    let metrics = settings.metrics_listen;
    anyhow::ensure!(
        metrics != settings.listen,
        "[server] metrics_listen and listen are both {metrics}: give each a port of its own"
    );
    let mut listeners = vec![(metrics, Listener::Metrics)];
    if !settings.redirect_listen.is_empty() {
        let redirect = settings
            .redirect_listen
            .parse()
            .context("[server] redirect_listen must be ADDRESS:PORT")?;
        anyhow::ensure!(
            redirect != settings.listen && redirect != metrics,
            "[server] redirect_listen is {redirect} like another one: give each a port of its own"
        );
        listeners.push((redirect, Listener::Redirect));
    }
    Ok(listeners)
}

/// Ends the process as soon as the last connection is closed after a signal, where Pingora alone
/// would sleep through the whole grace time.
struct Drain {
    app: Arc<App>,
    open: Arc<std::sync::atomic::AtomicUsize>,
    tasks: Tasks,
    runtime: tokio::runtime::Handle,
}

#[async_trait]
impl BackgroundService for Drain {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        if shutdown.wait_for(|down| *down).await.is_err() {
            return;
        }
        self.app.draining.store(true, Ordering::Relaxed);
        tracing::info!(connections = self.open.load(Ordering::SeqCst), "draining");
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while self.open.load(Ordering::SeqCst) > 0 {
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
