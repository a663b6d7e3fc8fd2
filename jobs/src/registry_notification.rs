//! Registry notifications: events of pushes, pulls, mounts and deletions, sent to endpoints in the form of distribution.
//!
//! Each endpoint is a follower of the audit log (see [`crate::following`]), with a place of its own: one that does not
//! answer holds up no other. What it reads is the log and, in one order with it, the events of blobs, which the log does
//! not have ([`db::blob_event`]). An endpoint that fails for a week is skipped to the present, as events of blobs are
//! kept until all endpoints have them.

mod envelope;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use db::audit::{follower, registry_event};
use db::{Db, Reader, blob_event, store_identity};
use futures_util::future::join_all;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request};
use model::notification::{Endpoint, Headers};
use model::{Clock, Event, Operation, ResourceType, Subject, SystemTask};
use outgoing::{Guard, HttpClient, Trust, Verification, client_config};
use parking_lot::Mutex;
use policy::Caller;
use rustls::ClientConfig;
use tenancy::setting::follower::{endpoint_of, of_endpoint};
use tenancy::setting::{Declaration, Settings, Values};
use tokio::task::spawn_blocking;

use self::envelope::{Happening, Source};
use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::failures::causes;
use crate::following::{Following, Page, Receiver, Step};
use crate::horizon::Settling;

/// Events in a request.
const BATCH: i64 = 100;
/// Bytes of an answer's body, which is not read.
const LARGEST_ANSWER: usize = 0;
/// How long an endpoint that is done waits for more while others are busy.
const BREATH: Duration = Duration::from_millis(500);
/// How long a run goes on while there is more.
const LONGEST_RUN: Duration = Duration::from_secs(30);
/// How long an endpoint may fail before it is skipped.
const GIVEN_UP: Duration = Duration::from_secs(7 * 86_400);

/// Sends events to all endpoints.
pub(crate) struct RegistryNotification {
    db: Db,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    guard: Arc<Guard>,
    host: String,
    following: Following,
    /// By the follower's name.
    settling: Mutex<HashMap<String, Arc<Settling>>>,
    /// TLS by the settings for which it was made.
    tls: Mutex<Option<(Arc<Values>, Arc<ClientConfig>)>>,
}

impl Job for RegistryNotification {
    const KIND: &'static str = "registry_notification";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.send_all().await.into()
    }
}

impl Standing for RegistryNotification {
    const EVERY: Duration = Duration::from_millis(500);

    async fn is_wanted(&self) -> Result<bool> {
        let endpoints = self.settings.current().notified();
        for endpoint in &endpoints {
            let name = of_endpoint(&endpoint.name);
            if self.following.is_wanted(&name).await? {
                return Ok(true);
            }
        }
        let mut reader = self.db.reader().await?;
        let passed = passed(&mut reader).await?;
        Ok(blob_event::is_any_up_to(&mut reader, passed).await?)
    }
}

impl RegistryNotification {
    /// A job that sends to the endpoints of the settings. `host` is the name by which clients know this installation.
    pub(crate) fn new(
        db: &Db,
        clock: &Arc<dyn Clock>,
        (settings, guard): (&Arc<Settings>, Arc<Guard>),
        host: String,
    ) -> Self {
        Self {
            db: db.clone(),
            clock: clock.clone(),
            settings: settings.clone(),
            guard,
            host,
            following: Following::new(db.clone(), clock.clone()),
            settling: Mutex::default(),
            tls: Mutex::default(),
        }
    }

    async fn send_all(&self) -> Result<()> {
        // Followers may have come with a change that this process has not read yet.
        self.settings.refresh().await?;
        let values = self.settings.current();
        let endpoints = values.notified();
        for endpoint in &endpoints {
            if self
                .following
                .is_missing(&of_endpoint(&endpoint.name))
                .await?
            {
                self.settings.begin_followers().await?;
            }
        }
        if !endpoints.is_empty() {
            self.send_to(&values, endpoints).await?;
        }
        let passed = passed(&mut self.db.reader().await?).await?;
        loop {
            let removed = self.db.write(move |tx| {
                Box::pin(async move { blob_event::remove_up_to(tx, passed).await })
            });
            if removed.await? == 0 {
                return Ok(());
            }
        }
    }

    async fn send_to(&self, values: &Arc<Values>, endpoints: Vec<Endpoint>) -> Result<()> {
        let tls = self.tls(values).await;
        // The rule keeps them readable.
        let headers = Headers::parse(values.registry_notification_headers.expose());
        let headers = headers.unwrap_or_default();
        let stores = store_identity::all(&mut self.db.reader().await?).await?;
        let installation = stores.first().map(|store| store.installation.to_string());
        let installation = installation.unwrap_or_default();
        let source = Arc::new(Source::new(self.host.clone(), &installation));
        let together = Together::new(endpoints.len(), values.clone());
        let senders = endpoints.into_iter().map(|endpoint| Sender {
            follower: of_endpoint(&endpoint.name),
            headers: headers.of(&endpoint.name).to_vec(),
            endpoint,
            tls: tls.clone(),
            guard: self.guard.clone(),
            trust: self.trust(),
            source: source.clone(),
        });
        let sent = join_all(senders.map(|sender| self.serve(sender, &together))).await;
        sent.into_iter().collect()
    }

    /// Sends to an endpoint until all endpoints are done, so that one that is slow does not hold up new events for others.
    async fn serve(&self, sender: Sender, together: &Together) -> Result<()> {
        let settling = self.settling(&sender.follower);
        while !together.is_over(&self.settings) {
            match self.send(&sender, &settling).await {
                Ok(Step::Moved) => continue,
                Ok(Step::Idle | Step::Failed) => together.idle(),
                Err(error) => {
                    together.end();
                    return Err(error);
                }
            }
            tokio::time::sleep(BREATH).await;
            together.resume();
        }
        Ok(())
    }

    async fn send(&self, sender: &Sender, settling: &Settling) -> Result<Step> {
        let step = self.following.step(sender, settling).await?;
        if step == Step::Failed {
            self.skip_dead(&sender.follower).await?;
        }
        Ok(step)
    }

    /// What an endpoint waits for in the log, from one run to the next.
    fn settling(&self, follower: &str) -> Arc<Settling> {
        let mut all = self.settling.lock();
        all.entry(follower.to_owned()).or_default().clone()
    }

    /// Moves an endpoint that has failed for a week to the present, and records that.
    async fn skip_dead(&self, name: &str) -> Result<()> {
        let mut reader = self.db.reader().await?;
        let follower = follower::find(&mut reader, name).await?;
        let now = self.clock.now();
        let since = follower.and_then(|follower| follower.failing_since);
        if since.is_none_or(|since| now.since(since) < GIVEN_UP) {
            return Ok(());
        }
        let newest = follower::newest_id(&mut reader).await?;
        drop(reader);
        let endpoint = endpoint_of(name).unwrap_or_default().to_owned();
        tracing::warn!(
            endpoint,
            "an endpoint of registry notifications failed for 7 days: what waits for it is skipped"
        );
        let origin = Caller::system(SystemTask::RegistryNotification).origin();
        let subject =
            Subject::Installation(ResourceType::Configuration, "registry_notifications".into());
        let detail = format!("{endpoint}: failed for 7 days, events up to now are skipped");
        let event = Event::new(now, origin, Operation::Update, subject).with_detail(detail);
        let name = name.to_owned();
        let skipped = self.db.write(move |tx| {
            Box::pin(async move {
                follower::advance(tx, &name, newest, None).await?;
                tx.record(&event).await
            })
        });
        Ok(skipped.await?)
    }

    /// Addresses that the configuration file or the environment fixes may be anywhere.
    fn trust(&self) -> Trust {
        let declared = Declaration::named("registry_notifications");
        match declared.is_ok_and(|declared| self.settings.is_fixed(declared)) {
            true => Trust::Trusted,
            false => Trust::Guarded,
        }
    }

    /// TLS by the settings. The system's certificates are many files, so that it is made once.
    async fn tls(&self, values: &Arc<Values>) -> Result<Arc<ClientConfig>, String> {
        if let Some((made_for, tls)) = &*self.tls.lock()
            && Arc::ptr_eq(made_for, values)
        {
            return Ok(tls.clone());
        }
        let given = values.clone();
        let made = spawn_blocking(move || {
            let authorities = given.registry_notification_ca.pem();
            let verification = authorities.map_or(Verification::System, Verification::Authorities);
            client_config(verification, None)
        });
        let made = made.await.map_err(|error| causes(&error))?;
        let tls = made.map_err(|error| causes(&error))?;
        *self.tls.lock() = Some((values.clone(), tls.clone()));
        Ok(tls)
    }
}

/// Up to where all endpoints have the events of blobs.
async fn passed(reader: &mut Reader) -> Result<i64> {
    let followers = follower::all(reader).await?;
    let endpoints = followers
        .iter()
        .filter(|it| endpoint_of(&it.name).is_some());
    Ok(endpoints.map(|it| it.read).min().unwrap_or(i64::MAX))
}

/// Endpoints that are served in one run, which ends when none of them has anything to do, the settings are others, or it
/// went on for a while.
struct Together {
    busy: AtomicUsize,
    is_over: AtomicBool,
    values: Arc<Values>,
    until: Instant,
}

impl Together {
    fn new(busy: usize, values: Arc<Values>) -> Self {
        Self {
            busy: busy.into(),
            is_over: false.into(),
            values,
            until: Instant::now() + LONGEST_RUN,
        }
    }

    /// One has nothing to do for now; the last one ends the run.
    fn idle(&self) {
        if self.busy.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.end();
        }
    }

    /// One looks again.
    fn resume(&self) {
        self.busy.fetch_add(1, Ordering::SeqCst);
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    fn is_over(&self, settings: &Settings) -> bool {
        let is_old = Instant::now() > self.until;
        let is_changed = || !Arc::ptr_eq(&self.values, &settings.current());
        self.is_over.load(Ordering::SeqCst) || is_old || is_changed()
    }
}

/// Sends to one endpoint.
struct Sender {
    follower: String,
    endpoint: Endpoint,
    headers: Vec<(String, String)>,
    tls: Result<Arc<ClientConfig>, String>,
    guard: Arc<Guard>,
    trust: Trust,
    source: Arc<Source>,
}

impl Receiver for Sender {
    type Item = Happening;

    fn name(&self) -> &str {
        &self.follower
    }

    async fn read(
        &self,
        reader: &mut Reader,
        (after, up_to): (i64, i64),
    ) -> Result<Page<Happening>> {
        let range = (after, up_to);
        let entries = registry_event::between(reader, range, BATCH).await?;
        let blobs = blob_event::between(reader, range, BATCH).await?;
        // Of a list that is cut off, more may follow after its last one.
        let cut = [
            entries.get(BATCH as usize - 1).map(|entry| entry.id),
            blobs.get(BATCH as usize - 1).map(|blob| blob.id),
        ];
        let reached = cut.into_iter().flatten().min().unwrap_or(up_to);
        let entries = entries.into_iter().filter_map(Happening::of_entry);
        let blobs = blobs.into_iter().map(Happening::of_blob);
        let mut items: Vec<Happening> = entries.chain(blobs).collect();
        items.sort_by_key(|item| item.id);
        items.retain(|item| {
            item.id <= reached && self.endpoint.wants(item.action, &item.media_type)
        });
        Ok(Page { items, reached })
    }

    async fn pass_on(&self, events: Vec<Happening>) -> Result<(), String> {
        let body = self.source.envelope(&events);
        let mut request = Request::post(&self.endpoint.url)
            .header(CONTENT_TYPE, envelope::MEDIA_TYPE)
            .header(USER_AGENT, concat!("gantry/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.headers {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| format!("the header field {name} cannot be sent"))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let request = request
            .body(Bytes::from(body))
            .map_err(|_| "its url is no address, or a header field cannot be sent".to_owned())?;
        let (guard, within) = (self.guard.clone(), self.endpoint.timeout.0);
        let client = HttpClient::new(guard, self.tls.clone()?, within, LARGEST_ANSWER);
        let answer = client.send_for_head(request, self.trust).await;
        let status = answer.map_err(|error| causes(&error))?.status;
        // As distribution: a redirect is not followed, and an endpoint that sends one does not take the events.
        match status.is_success() {
            true => Ok(()),
            false => Err(format!(
                "the endpoint answers with status {}",
                status.as_u16()
            )),
        }
    }

    fn pause(&self, failures: i64) -> Duration {
        match failures >= i64::from(self.endpoint.threshold) {
            true => self.endpoint.backoff.0,
            false => Duration::ZERO,
        }
    }
}
