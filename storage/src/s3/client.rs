//! The SDK's clients: connections, signing, timeouts and retries.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_rustls::builderstates::WantsSchemes;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::download::Downloads;
use super::settings::Settings;
use crate::{Cause, Error, Result};

/// Timeout of connecting.
const CONNECT: Duration = Duration::from_secs(3);
/// Timeout of an attempt of a small request, or of a download's first byte.
const SMALL: Duration = Duration::from_secs(10);
/// Timeout of an attempt to upload a part, or to complete an upload.
const LARGE: Duration = Duration::from_secs(60);
/// How long an upload may make no progress.
const STALLED: Duration = Duration::from_secs(20);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Attempts of a request.
const ATTEMPTS: u32 = 3;

/// Clients that share their connections.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    /// For small requests.
    pub(super) small: Client,
    /// For downloads.
    pub(super) download: Client,
    /// For uploads of parts.
    pub(super) large: Client,
    /// For signing URLs for clients; it sends nothing.
    pub(super) public: Client,
}

impl Clients {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let roots = roots(&settings.ca_file)?;
        let config = config(settings, &roots)?;
        let small = config.to_builder().timeout_config(timeouts(SMALL)).build();
        let large = config.to_builder().timeout_config(timeouts(LARGE)).build();
        let download = small.to_builder().http_client(downloads(roots)?).build();
        let mut public = config.to_builder();
        if !settings.public_endpoint.is_empty() {
            public.set_endpoint_url(Some(base(&settings.public_endpoint)));
        }
        Ok(Self {
            small: Client::from_conf(small),
            download: Client::from_conf(download),
            large: Client::from_conf(large),
            public: Client::from_conf(public.build()),
        })
    }
}

/// An endpoint that ends with a slash: the SDK appends the bucket to a path as it is.
fn base(endpoint: &str) -> String {
    format!("{}/", endpoint.trim_end_matches('/'))
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(attempt)
        .build()
}

fn config(settings: &Settings, roots: &Roots) -> Result<Config> {
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(5));
    // The reader watches downloads, because it knows when the client is the slow side.
    let stalled = StalledStreamProtectionConfig::enabled()
        .upload_enabled(true)
        .download_enabled(false)
        .grace_period(STALLED)
        .build();
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(credentials(settings))
        .http_client(http_client(roots)?)
        .force_path_style(settings.path_style)
        // The bytes have their own digest; not every store supports S3's newer checksums.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(retries)
        .stalled_stream_protection(stalled);
    let endpoint = Some(&settings.endpoint).filter(|endpoint| !endpoint.is_empty());
    config.set_endpoint_url(endpoint.map(|endpoint| base(endpoint)));
    Ok(config.build())
}

fn http_client(roots: &Roots) -> Result<SharedHttpClient> {
    let trust = match roots {
        Roots::System => TrustStore::default(),
        Roots::File { pem, .. } => TrustStore::empty().with_pem_certificate(pem.as_slice()),
    };
    let tls = TlsContext::builder().with_trust_store(trust).build();
    let tls = tls.map_err(|error| invalid("ca_file", error.into()))?;
    Ok(aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(IDLE)
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(tls)
        .build_https())
}

fn downloads(roots: Roots) -> Result<Downloads> {
    let system = match roots {
        Roots::System => {
            let provider = aws_lc_rs::default_provider();
            HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)
        }
        Roots::File { store, .. } => Ok(trusting(store)?),
    };
    // Without CAs in the system, plain HTTP still works, and TLS fails at the server's certificate.
    let builder = match system {
        Ok(builder) => builder,
        Err(_) => trusting(RootCertStore::empty())?,
    };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
    Ok(Downloads::new(connector))
}

fn trusting(roots: RootCertStore) -> Result<HttpsConnectorBuilder<WantsSchemes>> {
    let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into());
    let config = config
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("ca_file", error.into()))?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config))
}

/// Which CAs are trusted.
enum Roots {
    /// Those of the system.
    System,
    /// Those of a file: its content, and the parsed certificates.
    File { pem: Vec<u8>, store: RootCertStore },
}

/// The CAs of a file, or those of the system if no file is named.
fn roots(ca_file: &str) -> Result<Roots> {
    if ca_file.is_empty() {
        return Ok(Roots::System);
    }
    let pem = std::fs::read(ca_file).map_err(|error| invalid("ca_file", error.into()))?;
    let store = store(&pem).map_err(|error| invalid("ca_file", error))?;
    Ok(Roots::File { pem, store })
}

/// The SDK's HTTP client panics if these are not certificates.
fn store(pem: &[u8]) -> Result<RootCertStore, Cause> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in the file".into());
    }
    Ok(roots)
}

fn credentials(settings: &Settings) -> SharedCredentialsProvider {
    if settings.access_key_id.is_empty() {
        return SharedCredentialsProvider::new(surroundings(&settings.region));
    }
    let secret = settings.secret_access_key.expose();
    SharedCredentialsProvider::new(Credentials::new(
        &settings.access_key_id,
        secret,
        None,
        None,
        "settings",
    ))
}

/// Credentials from the environment: variables, a web identity (Kubernetes), the role of the container or machine.
fn surroundings(region: &str) -> CredentialsProviderChain {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    let config = ProviderConfig::without_region()
        .with_region(Some(Region::new(region.to_owned())))
        .with_http_client(http);
    let identity = WebIdentityTokenCredentialsProvider::builder().configure(&config);
    let container = EcsCredentialsProvider::builder().configure(&config);
    let machine = ImdsCredentialsProvider::builder().configure(&config);
    CredentialsProviderChain::first_try(
        "environment",
        EnvironmentVariableCredentialsProvider::new(),
    )
    .or_else("web identity", identity.build())
    .or_else("container", container.build())
    .or_else("machine", machine.build())
}

fn invalid(name: &'static str, source: Cause) -> Error {
    Error::Setting { name, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = Settings {
            ca_file: file.path().to_string_lossy().into_owned(),
            ..Settings::default()
        };
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(file.path(), text).unwrap();
            let error = Clients::new(&settings).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Setting {
                        name: "ca_file",
                        ..
                    }
                ),
                "{error}"
            );
        }
    }
}
