//! The log on standard error, and spans, which leave the process by OTLP where a collector is named.
//! Metrics are `metrics`, the line of each request is `http::access_log`.

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
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{Config, LogFormat, Tracing};

/// How long the collector has for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last spans may take on their way out.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Spans on their way to a collector; `None` inside where nobody collects them.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Starts log and spans. Spans are sent on `runtime`, which must outlive them.
    ///
    /// # Errors
    /// When the level or the collector's address makes no sense.
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
        let filter = level(&config.log.level).map_err(anyhow::Error::msg)?;
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

    /// Sends the spans that wait. Takes at most three seconds; to be called off the async threads.
    pub(crate) fn finish(&self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(LAST_SPANS)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// The trace that a client's `traceparent` names goes on in this span (W3C Trace Context).
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    if !headers.contains_key("traceparent") {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    // Fails only where no collector is named, and then nothing is to be continued.
    let _ = span.set_parent(parent);
}

fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("gantry")
}

/// The filter of a level, or of several with targets.
///
/// # Errors
/// What is wrong, and the form.
pub(crate) fn level(text: &str) -> Result<EnvFilter, String> {
    let wrong = || {
        format!(
            "{text:?} is not a level: write error, warn, info, debug, trace or off, or a filter such as \
             \"info,gantry_db=debug\""
        )
    };
    // A word that is no level would be taken for the name of a target, whose every event is logged.
    for directive in text.split(',') {
        let word = directive.trim();
        let is_level = !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        if !is_level && !word.contains('=') {
            return Err(wrong());
        }
    }
    let filter: EnvFilter = text.parse().map_err(|_| wrong())?;
    // Pingora logs every failed handshake, and every start and stop, for itself; the pool every connection that a
    // database's end takes with it, which `health::watch` says once.
    let own = [
        "pingora_core=off",
        "pingora_runtime=off",
        "sqlx_core::pool=error",
        "sqlx::pool=error",
    ];
    Ok(own
        .into_iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive))
}

fn provider(settings: &Tracing, runtime: &Handle) -> anyhow::Result<Option<SdkTracerProvider>> {
    if settings.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let share = settings.sample_ratio;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(OnRuntime::new(runtime)?)
        .with_endpoint(endpoint(&settings.otlp_endpoint).map_err(anyhow::Error::msg)?)
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
            // Whoever calls decides for a trace that has begun.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                share,
            ))))
            .with_resource(resource)
            .build(),
    ))
}

/// Where traces go at a collector, as the OTLP specification's "OTLP/HTTP Request" section says.
///
/// # Errors
/// What is wrong, and the form.
pub(crate) fn endpoint(text: &str) -> Result<String, String> {
    let parsed = text.parse::<http::Uri>().ok().filter(|base| {
        matches!(base.scheme_str(), Some("http" | "https")) && base.host().is_some()
    });
    match parsed {
        Some(_) => Ok(format!("{}/v1/traces", text.trim_end_matches('/'))),
        None => Err(format!(
            "{text:?} is no collector: write http://HOST:PORT or https://HOST:PORT"
        )),
    }
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

#[cfg(test)]
mod tests {
    use super::{endpoint, level};

    #[test]
    fn a_level_is_a_level_or_a_filter_of_targets() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,gantry_db=debug",
            "gantry=trace, warn",
        ] {
            assert!(level(text).is_ok(), "{text}");
        }
        for text in ["verbose", "", "info,verbose", "gantry_db=loud", "info,"] {
            let error = level(text).unwrap_err();
            assert!(error.contains("gantry_db=debug"), "{text}: {error}");
        }
    }

    #[test]
    fn an_endpoint_is_a_collector_and_not_a_path() {
        for text in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/"] {
            assert_eq!(endpoint(text).unwrap(), "http://127.0.0.1:4318/v1/traces");
        }
        for text in ["127.0.0.1:4318", "collector", "ftp://host", "http://"] {
            let error = endpoint(text).unwrap_err();
            assert!(error.contains("http://HOST:PORT"), "{text}: {error}");
        }
    }
}
