//! A registry as it is connected to: of a row, or as somebody tries it out.

use std::sync::Arc;
use std::time::Duration;

use db::registry::Registry;
use model::replication::RegistryKind;
use outgoing::{Guard, StreamClient, Trust, Verification, client_config};
use tenancy::secret::MasterKey;

use crate::auth::{Authorization, Credentials};
use crate::client::Remote;
use crate::location::Base;
use crate::retry::Patience;
use crate::{Error, Result};

/// How long nothing may move before an exchange fails.
const STALLED: Duration = Duration::from_secs(60);

/// Docker Hub as people know it, and its registry.
const HUB: &str = "https://hub.docker.com";
const HUB_REGISTRY: &str = "https://registry-1.docker.io";

/// A registry, as it is connected to.
#[derive(Clone, Debug)]
pub struct Target {
    /// What kind it is.
    pub kind: RegistryKind,
    /// Its URL.
    pub url: String,
    /// Who signs in; `None` for nobody.
    pub credentials: Option<Credentials>,
    /// Whether whoever answers is believed.
    pub insecure: bool,
    /// Authorities of its own, in PEM.
    pub ca: Option<String>,
}

impl Target {
    /// A stored registry, with its secret opened.
    ///
    /// # Errors
    /// [`Error::Stored`].
    pub fn of(registry: &Registry, master: &MasterKey) -> Result<Self> {
        let secret = tenancy::registry::secret_of(registry, master)?;
        let credentials = (!registry.access_key.is_empty()).then(|| Credentials {
            access_key: registry.access_key.clone(),
            secret: secret.unwrap_or_default(),
        });
        Ok(Self {
            kind: registry.kind,
            url: registry.url.clone(),
            credentials,
            insecure: registry.insecure,
            ca: registry.ca.clone(),
        })
    }

    /// Whether its URL and its authorities can be read; nothing is connected to.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Authority`].
    pub fn check(&self) -> Result<()> {
        self.base()?;
        if let Some(pem) = &self.ca {
            let read = client_config(Verification::Authorities(pem), None);
            read.map_err(|error| Error::Authority(error.to_string()))?;
        }
        Ok(())
    }

    fn base(&self) -> Result<Base> {
        let url = match (self.kind, self.url.as_str()) {
            // The site of that name is no registry.
            (RegistryKind::DockerHub, HUB) => HUB_REGISTRY,
            (_, url) => url,
        };
        Base::parse(url).ok_or_else(|| Error::Url(self.url.clone()))
    }

    /// A client for it.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Authority`].
    pub fn connect(&self, guard: Arc<Guard>, patience: Patience) -> Result<Remote> {
        let base = self.base()?;
        let verification = match (&self.ca, self.insecure) {
            (_, true) => Verification::Off,
            (Some(pem), false) => Verification::AlsoAuthorities(pem),
            (None, false) => Verification::System,
        };
        let tls = client_config(verification, None);
        let tls = tls.map_err(|error| Error::Authority(error.to_string()))?;
        // Whoever adds registries names their addresses by requests.
        let http = StreamClient::new(guard, tls, Trust::Guarded, STALLED);
        let authorization = Authorization::new(self.credentials.clone());
        Ok(Remote::new(
            (self.kind, authorization),
            http,
            base,
            patience,
        ))
    }
}
