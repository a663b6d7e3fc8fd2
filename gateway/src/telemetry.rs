//! The log on standard error, and spans, which are sent by OTLP if a collector is configured. Metrics are in `metrics`,
//! the line of each request in `access_log`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Config, LogFormat, Tracing, collector, log_level};

/// How long to wait for the collector's answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long sending the last spans may take.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Spans to be sent to a collector; `None` inside if there is none.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Starts log and spans. Spans are sent on `runtime`, which must outlive them.
    ///
    /// # Errors
    /// If the level or the collector's address is invalid.
    pub(crate) fn start(config: &Config, runtime: &Handle) -> anyhow::Result<Self> {
        let provider = provider(&config.tracing, runtime)?;
        let spans = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("gantry"))
                .with_context_activation(false)
                .with_location(false)
                .with_threads(false)
                .with_filter(filter_fn(is_own_span).and(LevelFilter::DEBUG))
        });
        let filter = log_level::filter(&config.log.level).map_err(anyhow::Error::msg)?;
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let log = match config.log.format {
            LogFormat::Human => log.with_ansi(false).boxed(),
            LogFormat::Json => log.json().flatten_event(true).boxed(),
        };
        Registry::default()
            .with(log.with_filter(filter))
            .with(spans)
            .try_init()
            .context("the log is already set up")?;
        Ok(Self(provider))
    }

    /// Sends the waiting spans. Takes at most three seconds; must not be called on async threads.
    pub(crate) fn finish(&self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(LAST_SPANS)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Continues the trace of a client's `traceparent` in this span (W3C Trace Context).
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    if !headers.contains_key("traceparent") {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    // Fails only if there is no collector, and then there is nothing to continue.
    let _ = span.set_parent(parent);
}

fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("gantry")
}

fn provider(settings: &Tracing, runtime: &Handle) -> anyhow::Result<Option<SdkTracerProvider>> {
    if settings.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let share = settings.sample_ratio;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(OnRuntime::new(runtime)?)
        .with_endpoint(collector::endpoint(&settings.otlp_endpoint).map_err(anyhow::Error::msg)?)
        .with_timeout(PATIENCE)
        .build()
        .context("[tracing] otlp_endpoint cannot be used")?;
    let resource = Resource::builder()
        .with_service_name("gantry")
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    Ok(Some(
        SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            // The caller decides for a trace that has begun.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                share,
            ))))
            .with_resource(resource)
            .build(),
    ))
}

type Collector = HyperClient<HttpsConnector<HttpConnector>>;

/// Sends on our runtime, because spans are batched on a thread that has none.
#[derive(Clone, Debug)]
struct OnRuntime {
    client: Arc<Collector>,
    runtime: Handle,
}

impl OnRuntime {
    fn new(runtime: &Handle) -> anyhow::Result<Self> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_native_roots()
            .context("cannot read the system's certificates")?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Arc::new(HyperClient::new(connector, PATIENCE, None)),
            runtime: runtime.clone(),
        })
    }
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self
            .runtime
            .spawn(async move { client.send_bytes(request).await });
        sending.await?
    }
}
