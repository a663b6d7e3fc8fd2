//! Additions of an artifact, shown on request: read from its blobs each time, within limits of size and time. Nothing
//! is unpacked to disk.

mod archive;
mod model_files;

use std::time::Duration;

use bytes::Bytes;
use db::artifact::{self, Artifact, Layer, attrs, closure};
use model::Addition;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::instrument;

use self::archive::Packing;
use crate::{Error, Registry, Result};

/// Maximum size of a config to make an addition from, in bytes.
const LARGEST_CONFIG: u64 = 4 << 20;
/// How long an addition may take, including the wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The layer of a chart, and its earlier media type.
const CHART_LAYERS: [&str; 2] = [
    "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    "application/tar+gzip",
];

/// An addition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its content type.
    pub content_type: &'static str,
    /// The bytes.
    pub body: Bytes,
}

impl Added {
    fn json(text: String) -> Self {
        Self {
            content_type: "application/json; charset=utf-8",
            body: text.into(),
        }
    }

    fn text(addition: Addition, body: Bytes) -> Self {
        let content_type = match addition {
            Addition::Readme => "text/markdown; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        };
        Self { content_type, body }
    }
}

impl Registry {
    /// Reads an addition of an artifact whose type has it.
    ///
    /// # Errors
    /// [`Error::AdditionUnknown`] if the artifact lacks it; [`Error::AdditionBroken`]; [`Error::Busy`].
    #[instrument(name = "registry.artifact.addition", level = "debug", skip_all)]
    pub async fn addition(&self, of: &Artifact, addition: Addition) -> Result<Added> {
        let read = async {
            let _turn = self.additions.acquire().await.map_err(|_| Error::Busy)?;
            match addition {
                Addition::BuildHistory => self.of_config(of, addition, "history").await,
                Addition::Dependencies => self.of_config(of, addition, "dependencies").await,
                Addition::Values => self.of_chart(of, addition, &["values.yaml"]).await,
                Addition::Readme if of.kind == model::artifact::CHART => {
                    self.of_chart(of, addition, &["readme.md"]).await
                }
                Addition::Readme | Addition::License => self.of_model(of, addition).await,
                Addition::Files => {
                    let payload = self.payload(of).await?;
                    Ok(Added::json(model_files::tree(&payload).to_string()))
                }
            }
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .unwrap_or(Err(Error::Busy))
    }

    /// A list in the config; empty if there is none.
    async fn of_config(
        &self,
        of: &Artifact,
        addition: Addition,
        field: &'static str,
    ) -> Result<Added> {
        let name = addition.name();
        let configs = attrs::configs(&mut self.db.reader().await?, &[of.id]).await?;
        let config = configs.first().ok_or(Error::AdditionUnknown(name))?;
        let broken = |why: &str| Error::AdditionBroken(name, why.to_owned());
        if config.size > LARGEST_CONFIG {
            return Err(broken("the config has more than 4194304 bytes"));
        }
        let bytes = self.read_whole(&config.key, config.size, &config.digest);
        let bytes = bytes.await?;
        let parsed = tokio::task::spawn_blocking(move || list_in(&bytes, field));
        let parsed = parsed.await;
        let list = parsed.map_err(|error| Error::Interrupted("read a config", error))?;
        list.map(Added::json)
            .ok_or_else(|| broken("the config is no JSON"))
    }

    async fn of_chart(&self, of: &Artifact, addition: Addition, names: &[&str]) -> Result<Added> {
        let layers = artifact::layers(&mut self.db.reader().await?, of.id).await?;
        let is_chart = |layer: &&Layer| CHART_LAYERS.contains(&layer.media_type.as_str());
        let layer = layers.iter().find(is_chart);
        let layer = layer.ok_or(Error::AdditionUnknown(addition.name()))?;
        let found = self.file(layer, Packing::TarGzip, (addition.name(), names));
        Ok(Added::text(addition, found.await?))
    }

    async fn of_model(&self, of: &Artifact, addition: Addition) -> Result<Added> {
        let names: &[&str] = match addition {
            Addition::License => &["license", "license.txt", "license.md"],
            _ => &["readme.md"],
        };
        let unknown = || Error::AdditionUnknown(addition.name());
        let payload = self.payload(of).await?;
        let (digest, packing) = model_files::document(&payload, names).ok_or_else(unknown)?;
        let layers = artifact::layers(&mut self.db.reader().await?, of.id).await?;
        let layer = layers.iter().find(|layer| layer.digest == digest);
        let layer = layer.ok_or_else(unknown)?;
        let found = self.file(layer, packing, (addition.name(), names));
        Ok(Added::text(addition, found.await?))
    }

    async fn payload(&self, of: &Artifact) -> Result<Vec<u8>> {
        let payloads = closure::payloads(&mut self.db.reader().await?, &[of.id]).await?;
        let payload = payloads.into_iter().next();
        Ok(payload.map(|(_, payload)| payload).unwrap_or_default())
    }
}

/// A list in a config, as written there; empty if there is none, `None` if the config is not JSON. The rest is not
/// kept: parsed, it would be many times as large.
fn list_in(config: &[u8], field: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Lists<'c> {
        #[serde(borrow)]
        history: Option<&'c RawValue>,
        #[serde(borrow)]
        dependencies: Option<&'c RawValue>,
    }
    let lists: Lists<'_> = serde_json::from_slice(config).ok()?;
    let list = match field {
        "history" => lists.history,
        _ => lists.dependencies,
    };
    let list = list.map(RawValue::get).filter(|text| text.starts_with('['));
    Some(list.unwrap_or("[]").to_owned())
}
