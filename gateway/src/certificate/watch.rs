//! Keeps a running server's certificates in step with the database: those that ACME obtained or somebody imported, and
//! the private CA. Files are watched by `certs`.

use std::sync::Arc;
use std::time::Duration;

use certs::Presented;
use db::acme::{self, State};
use db::installation;
use jobs::acme::Reason;
use jobs::failures::{Failures, Report, causes};
use model::{CertificateId, Timestamp};
use tenancy::secret::MasterKey;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::instrument;

use crate::app::App;
use crate::bootstrap::{self, Authorities, CA};
use crate::certificate::{self, stored};

/// How often the database is asked.
const LOOK: Duration = Duration::from_secs(2);
/// How often the expiry of the server certificate is checked.
const RENEWAL_CHECK: Duration = Duration::from_secs(12 * 3_600);

/// What is known of the database's certificates.
pub(crate) struct Watch {
    pub(crate) app: Arc<App>,
    pub(crate) master: Arc<MasterKey>,
    /// The private CA.
    pub(crate) authorities: Authorities,
    /// Gets what clients should trust, unless the operator provides the certificate.
    pub(crate) ca: watch::Sender<Option<String>>,
}

/// What was read last.
#[derive(Default)]
struct Seen {
    ids: Option<Vec<CertificateId>>,
    ca: Option<Vec<u8>>,
    checked: Option<Instant>,
}

impl Watch {
    /// Looks until `cancel`.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut failures) = (Seen::default(), Failures::default());
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            report(self.look(&mut seen).await, &mut failures);
            if seen.checked.is_none_or(|at| at.elapsed() >= RENEWAL_CHECK) {
                seen.checked = Some(Instant::now());
                self.renew();
            }
        }
    }

    #[instrument(name = "certificate.look", level = "debug", skip_all)]
    async fn look(&mut self, seen: &mut Seen) -> anyhow::Result<()> {
        let now = self.app.clock.now();
        self.app.certificates.choose(now.date_time());
        let mut reader = self.app.db.reader().await?;
        let ids = db::certificate::ids(&mut reader).await?;
        let ca = installation::get(&mut reader, CA).await?;
        let order = acme::order(&mut reader).await?;
        drop(reader);
        self.show(order.as_ref());
        if seen.ids.as_ref() != Some(&ids) {
            let stored = stored::load(&self.app.db, &self.master).await?;
            if seen.ids.is_some() {
                log(&stored);
            }
            self.app.certificates.set_stored(stored, now.date_time());
            seen.ids = Some(ids);
        }
        let has_ended = self.has_ended(now);
        if seen.ca != ca || has_ended {
            self.take_authority(now).await?;
            seen.ca = ca;
        }
        Ok(())
    }

    /// True if the overlap of a rotation has ended since the private CA was read.
    fn has_ended(&self, now: Timestamp) -> bool {
        let previous = self.authorities.previous.as_ref();
        previous.is_some_and(|(_, until)| *until <= now)
    }

    /// Issues by the private CA that is stored now, if it is another one.
    async fn take_authority(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let authorities = bootstrap::authorities(&self.app.db, &self.master, now).await?;
        let bundle = authorities.bundle();
        if bundle == self.authorities.bundle() && !self.has_ended(now) {
            return Ok(());
        }
        let config = &self.app.config;
        certificate::prepare(config, &authorities, now)?;
        self.authorities = authorities;
        self.app.roots.learn(&bundle);
        if config.tls.certificate.is_empty() {
            self.ca.send_replace(Some(bundle));
        }
        tracing::info!(
            authority = self.authorities.current.subject()?,
            "the private CA was read again"
        );
        Ok(())
    }

    /// Issues a new server certificate before our own current one expires; the reloader loads it.
    fn renew(&self) {
        let (config, now) = (&self.app.config, self.app.clock.now());
        let renewed = certificate::renew_in_time(config, &self.authorities.current, now);
        if let Err(error) = renewed {
            let error = format!("{error:#}");
            tracing::error!(error, "the server certificate cannot be renewed");
        }
    }

    /// Shows where ACME stands in the metrics.
    fn show(&self, order: Option<&acme::Order>) {
        let metrics = &self.app.metrics;
        if self.app.acme.is_none() {
            return;
        }
        let state = order.map_or(State::Due, |order| order.state);
        for known in [State::Due, State::Ordering, State::Valid, State::Failed] {
            let gauge = metrics.acme_state.with_label_values(&[known.name()]);
            gauge.set((known == state).into());
        }
        let reason = order.and_then(|order| order.reason.as_deref());
        for known in Reason::ALL {
            let gauge = metrics.acme_failed.with_label_values(&[known.name()]);
            gauge.set((reason == Some(known.name())).into());
        }
        metrics
            .acme_failures
            .set(order.map_or(0, |order| order.failures));
    }
}

/// Logs what keeps this process from having the certificates of now; `health::watch` logs outages, once for all.
fn report(looked: anyhow::Result<()>, failures: &mut Failures) {
    let now = std::time::Instant::now();
    match looked {
        Ok(()) => {
            if let Some(Report { failures, seconds }) = failures.succeeded(now) {
                tracing::info!(failures, seconds, "certificates are up to date again");
            }
        }
        Err(error) if db::is_outage(error.as_ref()) => {}
        Err(error) => {
            let cause = causes(error.as_ref());
            if let Some(Report { failures, seconds }) = failures.failed(&cause, now) {
                tracing::warn!(failures, seconds, cause, "certificates may be out of date");
            }
        }
    }
}

fn log(stored: &[Presented]) {
    for presented in stored {
        let certificate = &presented.certificate;
        tracing::info!(
            certificate.source = presented.source.name(),
            certificate.name = presented.label,
            certificate.serial = certificate.serial(),
            certificate.not_after = %certificate.not_after(),
            "certificate loaded from the database"
        );
    }
}

/// The certificates of the database at the start; none if it cannot say, so that the server starts all the same.
pub(crate) async fn at_start(db: &db::Db, master: &MasterKey) -> Vec<Presented> {
    stored::load(db, master).await.unwrap_or_else(|error| {
        tracing::warn!(error = %format!("{error:#}"), "certificates are not loaded yet");
        Vec::new()
    })
}
