//! `gantry serve`: checks, binds, opens, connects, runs and closes everything in order.
//!
//! The order matters: settings, owners, lock, addresses, database, store and certificate come before the first account
//! is created, and its password is printed only once all listeners are served. Any failure before ends the process with
//! one line, so that no process runs without a listener.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use admin_api::{Certificates, ComponentErrors};
use anyhow::Context as _;
use auth::csrf::Csrf;
use auth::identity::Identity;
use certs::{ClientTrust, FileReloader, HotCertificates, Roots, Tls, TrustReloader};
use db::Db;
use db::audit::recorder::Recorder;
use db::clock::DatabaseClock;
use db::robot::usage::RobotUses;
use jobs::Jobs;
use jobs::audit_forward::Forwarding;
use jobs::engine::Stats;
use jobs::sweep::Leftovers;
use jobs::webhook::Webhooks;
use model::{Clock, SystemClock};
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use registry::{Limits, Registry};
use storage::BlobStore;
use storage::budget::{Budget, Terms};
use tenancy::password::{NewPassword, PasswordHasher};
use tenancy::setting::Settings;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access_log::AccessLog;
use crate::app::App;
use crate::bootstrap::{self, Authorities};
use crate::certificate::{self, watch::Watch};
use crate::config::{Backend, Config, Pulls};
use crate::connection::{Connections, Open};
use crate::data_lock;
use crate::descriptors;
use crate::folder;
use crate::hand_over::{Predecessor, Socket, Successor};
use crate::health;
use crate::http::peer::Listener;
use crate::listen::{self, Listening};
use crate::metrics::Metrics;
use crate::rate::Rate;
use crate::shutdown::{Drain, Signals};
use crate::stores;
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;
use crate::welcome;

/// HTTP/2 requests running at a time, some 10 KiB each; at most two thirds of one source.
const STREAMS: usize = 4_096;

/// Unread bodies drained at a time.
const DRAINS: Terms = Terms {
    total: 24,
    most: 8,
    queue: 0,
};
/// Closed connections whose last bytes are discarded, at a time.
const CLOSING: Terms = Terms {
    total: 96,
    most: 64,
    queue: 0,
};
/// TLS handshakes at a time. Others wait, with little memory each.
const HANDSHAKES: Terms = Terms {
    total: 512,
    most: 128,
    queue: 2_048,
};

/// How the process was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// By itself.
    Fresh,
    /// Takes the listeners over from a running process, which then ends (SIGQUIT).
    TakeOver,
}

/// Serves until ended by a signal.
pub(crate) fn serve(config: Config, start: Start) -> anyhow::Result<()> {
    let warnings = config.check(SystemClock.now())?;
    // Pools, jobs, reloading and spans run here, and outlive Pingora's runtimes.
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let telemetry = Telemetry::start(&config, runtime.handle())?;
    // Logged here, since the log is set up by now.
    descriptors::raise_limit();
    folder::make(&config.server.data)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    log_start(&config, start);
    let (lock, bound) = match start {
        Start::Fresh => (
            Some(data_lock::take(&config.server.data)?),
            listen::bind(&config)?,
        ),
        Start::TakeOver => {
            data_lock::wait(&config.server.data)?;
            (None, listen::bind_new(&config)?)
        }
    };
    let opened = runtime.block_on(open(config, start))?;
    let (sockets, predecessor) = runtime.block_on(sockets(&opened.app, start, bound))?;
    let password = runtime.block_on(opened.administrator())?;
    let Opened {
        app,
        jobs,
        leftovers,
        errors,
        certificates,
        reloader,
        unused_password: _,
    } = opened;
    let tasks = Tasks::start(&runtime, &app, (jobs, leftovers), reloader, telemetry);
    tasks.spawn(
        &runtime,
        certificates.run(app.clone(), tasks.cancel.clone()),
    );
    tasks.spawn(
        &runtime,
        health::watch::run(app.clone(), errors, tasks.cancel.clone()),
    );
    let started = Arc::new(Semaphore::new(0));
    let (server, signals) = server(&app, sockets, &started, &tasks, &runtime)?;
    let listeners = listen::addresses(&app.config).len();
    runtime.spawn(announce(
        app.clone(),
        started,
        listeners,
        password,
        predecessor,
    ));
    server.run(RunArgs {
        shutdown_signal: Box::new(signals),
    });
    runtime.block_on(tasks.finish(&app));
    tracing::info!("stopped");
    // Threads stuck in a system call are not waited for.
    runtime.shutdown_background();
    drop(lock);
    Ok(())
}

/// What an operator wants to know first about a process.
fn log_start(config: &Config, start: Start) {
    let store = match config.storage.backend {
        Backend::Files => config.blobs().display().to_string(),
        Backend::S3 => format!("bucket {}", config.storage.s3.bucket),
    };
    let database = if config.database.is_sqlite() {
        "SQLite".to_owned()
    } else {
        config.database.url.to_string()
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        process.id = std::process::id(),
        take_over = start == Start::TakeOver,
        data = %config.server.data.display(),
        database,
        store,
        moving_from = ?config.moving_from(),
        names = config.server.names.join(", "),
        external_url = config.server.external_url,
        grace_secs = config.gc.grace_secs,
        hold_secs = config.gc.hold_secs,
        "gantry starts"
    );
}

/// The sockets of all listeners; at a take-over they come from the previous process.
async fn sockets(
    app: &App,
    start: Start,
    bound: Vec<Socket>,
) -> anyhow::Result<(Vec<Socket>, Option<Predecessor>)> {
    if start == Start::Fresh {
        return Ok((bound, None));
    }
    let successor = Successor::listen(&app.config.server.data)?;
    tracing::info!("ready to take over: send SIGQUIT to the old process");
    let (handed_over, predecessor) = successor.receive().await?;
    tracing::info!(listeners = handed_over.len(), "took the listeners over");
    let sockets = listen::complete(&app.config, bound, handed_over)?;
    Ok((sockets, Some(predecessor)))
}

/// Announces that this process serves, once it does.
async fn announce(
    app: Arc<App>,
    started: Arc<Semaphore>,
    listeners: usize,
    password: Option<NewPassword>,
    predecessor: Option<Predecessor>,
) {
    let listeners = u32::try_from(listeners).unwrap_or(u32::MAX);
    // It is never closed.
    if started.acquire_many(listeners).await.is_err() {
        return;
    }
    for (_, address, key) in listen::addresses(&app.config) {
        tracing::info!(address = %address, key, "listening");
    }
    if let Some(predecessor) = predecessor
        && let Err(error) = predecessor.serving()
    {
        tracing::warn!(%error, "the old process was gone when this one began to serve");
    }
    welcome::print(&app.config, password.as_ref());
}

struct Opened {
    app: Arc<App>,
    jobs: Jobs,
    /// Objects from before this process served.
    leftovers: Leftovers,
    /// Receives what is wrong with database, store and clock.
    errors: watch::Sender<ComponentErrors>,
    certificates: CertificateTasks,
    reloader: Arc<FileReloader>,
    /// Whether another password of `admin` is set than the one that is stored.
    unused_password: Arc<AtomicBool>,
}

impl Opened {
    /// Creates the first administrator if there is none. Returns the password if it has to be printed.
    async fn administrator(&self) -> anyhow::Result<Option<NewPassword>> {
        let App {
            db,
            config,
            settings,
            clock,
            ..
        } = &*self.app;
        let (hasher, now) = (PasswordHasher::new(), clock.now());
        let hashes = (&hasher, &*self.unused_password);
        bootstrap::administrator(db, (config, settings), hashes, now).await
    }
}

async fn open(config: Config, start: Start) -> anyhow::Result<Opened> {
    let (errors, component_errors) = watch::channel(ComponentErrors::default());
    let shared_clock = Arc::new(DatabaseClock::new(Arc::new(SystemClock)));
    let clock: Arc<dyn Clock> = shared_clock.clone();
    let db = Db::open(&config.database()).await?;
    shared_clock.compare(&db).await?;
    // Before anything is created in the database: it may be the wrong one.
    let (stores, _) = stores::attach(&config, &db, &*clock).await?;
    let master = bootstrap::master_key(&config, &db).await?;
    let settings = Settings::open(db.clone(), master.clone(), config.fixed_settings()?).await?;
    settings.begin_followers().await?;
    let now = clock.now();
    if let Err(error) = db::audit::partition::make_ahead(&db, now).await {
        let error = anyhow::Error::from(error);
        tracing::warn!(error = %format!("{error:#}"), "the audit log's next partitions are not made yet");
    }
    let authorities = bootstrap::authorities(&db, &master, now).await?;
    certificate::prepare(&config, &authorities, now)?;
    let (files, presented) = certificate::load(&config)?;
    let hot = HotCertificates::new(presented, now.date_time());
    hot.set_stored(
        certificate::watch::at_start(&db, &master).await,
        now.date_time(),
    );
    let reloader = FileReloader::new(files, hot.clone());
    let trust = config.client_trust();
    let tls = trust.as_ref().map(ClientTrust::load).transpose()?;
    let tls = Arc::new(Tls::new(hot.clone(), tls)?);
    let acme = match config.acme_terms() {
        Ok(terms) => terms,
        // They were checked before.
        Err(wrong) => anyhow::bail!("[acme] is not valid: {wrong:?}"),
    };
    let wanted_names = certificate::wanted_names(&config);
    let roots = Roots::of_the_system().with(&authorities.bundle());
    let own_ca = config
        .tls
        .certificate
        .is_empty()
        .then(|| authorities.bundle());
    let (ca, clients_ca) = watch::channel(own_ca);
    let keys = bootstrap::token_keys(&db, &master).await?;
    let audit = Arc::new(Recorder::default());
    let uses = Arc::new(RobotUses::default());
    let identity = Arc::new(Identity::new(
        db.clone(),
        clock.clone(),
        (audit.clone(), uses.clone()),
        (keys, master.clone()),
        (settings.clone(), Arc::new(config.outgoing.guard())),
    ));
    let forwarding = Arc::new(Forwarding::new(
        settings.clone(),
        Arc::new(config.outgoing.guard()),
        config.external_host(),
    ));
    let registry = Arc::new(registry(&config, &db, &clock, &master, stores.joined()));
    registry.report_blobs(settings.current().has_endpoints());
    let webhooks = Webhooks::new(
        (db.clone(), clock.clone()),
        (master.clone(), settings.clone()),
        &identity.directory().guard(),
        &config.external_host(),
    )?;
    let progress = Arc::new(jobs::gc::Progress::default());
    let stats = Arc::new(Stats::default());
    let has_external_url = !config.server.external_url.is_empty();
    let unused_password = Arc::new(AtomicBool::new(false));
    let app = Arc::new(App {
        external_host: has_external_url.then(|| config.external_host()),
        admin: admin(
            &config,
            (&db, &identity, &settings, &clock),
            (&registry, &master),
            (&forwarding, &webhooks),
            Csrf::new(&master),
            Certificates {
                hot: hot.clone(),
                reloader: reloader.clone(),
                tls: tls.clone(),
                wanted_names: wanted_names.clone(),
                roots: roots.clone(),
                ca: clients_ca,
                acme: acme.clone(),
            },
            (component_errors.clone(), unused_password.clone()),
        ),
        component_errors,
        access_log: config
            .log
            .access
            .then(|| Arc::new(AccessLog::new(config.log.format))),
        rate: Rate::new(config.limits.requests_per_second),
        streams: Budget::new(STREAMS),
        drains: Budget::new(DRAINS),
        closing: Budget::new(CLOSING),
        handshakes: Budget::new(HANDSHAKES),
        metrics: Metrics::new(stats.clone())?,
        collected: progress.clone(),
        drain: TaskTracker::new(),
        draining: false.into(),
        db: db.clone(),
        settings: settings.clone(),
        registry: registry.clone(),
        identity: identity.clone(),
        audit: audit.clone(),
        clock: clock.clone(),
        shared_clock: shared_clock.clone(),
        certificates: hot,
        tls: tls.clone(),
        wanted_names,
        roots,
        acme: acme.clone(),
        config,
    });
    let gc = gc_settings(&app.config);
    let jobs = Jobs {
        db,
        registry,
        stores,
        identity,
        audit,
        uses,
        master: master.clone(),
        clock,
        shared_clock,
        settings,
        gc,
        progress,
        stats,
        forwarding,
        external_host: app.config.external_host(),
        webhooks,
        acme,
    };
    let certificates = CertificateTasks {
        master,
        authorities,
        ca,
        trust: trust.map(|files| TrustReloader::new(files, tls)),
    };
    let alone = start == Start::Fresh && app.config.database.is_sqlite();
    let leftovers = if alone {
        jobs.succeed().await?
    } else {
        Vec::new()
    };
    Ok(Opened {
        app,
        jobs,
        leftovers,
        errors,
        certificates,
        reloader,
        unused_password,
    })
}

/// The settings of garbage collection.
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
    master: &Arc<tenancy::secret::MasterKey>,
    store: Arc<dyn BlobStore>,
) -> Registry {
    let limits = Limits {
        upload_expiry: Duration::from_secs(config.uploads.expiry_secs),
        grace: Duration::from_secs(config.gc.grace_secs),
        hold: Duration::from_secs(config.gc.hold_secs),
        body_memory: config.limits.body_memory_mib << 20,
        each_pull: config.audit.pulls == Pulls::Each,
    };
    Registry::new(db.clone(), store, clock.clone(), master.clone(), limits)
}

fn admin(
    config: &Config,
    (db, identity, settings, clock): (&Db, &Arc<Identity>, &Arc<Settings>, &Arc<dyn Clock>),
    (registry, master): (&Arc<Registry>, &Arc<tenancy::secret::MasterKey>),
    (forwarding, webhooks): (&Arc<Forwarding>, &Webhooks),
    csrf: Csrf,
    certificates: Certificates,
    (component_errors, unused_password): (watch::Receiver<ComponentErrors>, Arc<AtomicBool>),
) -> axum::Router {
    let info = admin_api::SystemInfo {
        external_host: config.external_host(),
        version: format!("v2.16.0-gantry.{}", env!("CARGO_PKG_VERSION")),
        storage_provider: match config.storage.backend {
            Backend::Files => "filesystem",
            Backend::S3 => "s3",
        },
        data_folder: config.server.data.clone(),
    };
    admin_api::router(Arc::new(admin_api::AdminState {
        db: db.for_lists(),
        registry: registry.clone(),
        identity: identity.clone(),
        master: master.clone(),
        csrf,
        clock: clock.clone(),
        settings: settings.clone(),
        webhooks: webhooks.clone(),
        info,
        process: admin_api::ProcessInfo {
            id: registry.process().to_string(),
            started: clock.now(),
        },
        certificates,
        heavy: admin_api::Heavy::default(),
        unused_password,
        component_errors,
        forwarding: forwarding.clone(),
    }))
}

/// What keeps the certificates up to date.
struct CertificateTasks {
    master: Arc<tenancy::secret::MasterKey>,
    authorities: Authorities,
    /// Receives what clients should trust.
    ca: watch::Sender<Option<String>>,
    /// Reads the files by which clients are checked, if there are any.
    trust: Option<Arc<TrustReloader>>,
}

impl CertificateTasks {
    async fn run(self, app: Arc<App>, cancel: CancellationToken) {
        let watch = Watch {
            app,
            master: self.master,
            authorities: self.authorities,
            ca: self.ca,
        };
        let trust = self.trust;
        let stop = cancel.clone();
        let reloading = async move {
            if let Some(trust) = trust {
                trust.run(stop).await;
            }
        };
        tokio::join!(watch.run(cancel), reloading);
    }
}

fn server(
    app: &Arc<App>,
    sockets: Vec<Socket>,
    started: &Arc<Semaphore>,
    tasks: &Tasks,
    runtime: &Runtime,
) -> anyhow::Result<(Server, Signals)> {
    let settings = &app.config.server;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let conf = ServerConf {
        threads: if settings.threads == 0 {
            cores
        } else {
            settings.threads
        },
        grace_period_seconds: Some(settings.grace_secs),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let (close_metrics, metrics_closed) = watch::channel(false);
    let open = Open::default();
    for (listener, address, _) in listen::addresses(&app.config) {
        let socket = sockets.iter().find(|(bound, _)| *bound == address);
        let socket = socket.context("every address is bound")?;
        let connections = match listener {
            Listener::Public => {
                let most = descriptors::connections(app.config.limits.connections);
                Connections::public(app.clone(), most, open.clone())
            }
            Listener::Redirect => Connections::beside(app.clone(), listener, open.clone()),
            // Not counted: it is open until the process ends.
            Listener::Metrics => Connections::beside(app.clone(), listener, Open::default()),
        };
        let name = format!("{listener:?}").to_lowercase();
        let service = Listening::new(&name, connections, socket, started.clone())?;
        server.add_service(match listener {
            Listener::Public => service,
            Listener::Redirect => service.threads(1),
            // Metrics stay available until the last requests end.
            Listener::Metrics => service.threads(1).until(metrics_closed.clone()),
        });
    }
    let drain = Drain {
        app: app.clone(),
        open,
        _metrics: close_metrics.clone(),
        tasks: tasks.clone(),
        runtime: runtime.handle().clone(),
    };
    server.add_service(background_service("drain", drain));
    let _guard = runtime.enter();
    let signals = Signals::new(app.clone(), sockets, close_metrics)?;
    Ok((server, signals))
}
