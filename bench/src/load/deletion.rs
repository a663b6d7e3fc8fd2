//! Manifests are deleted one after the other, each is timed, and then they do not answer, nor soon what hung on them.

use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::registry::{Call, Failed, Registry};
use testkit::target::Target;

/// A manifest to delete, and other references that must be gone with it.
pub(crate) struct Doomed {
    pub(crate) digest: String,
    pub(crate) others: [String; 2],
}

/// How long one answer may take: thousands of rows go before it.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Seconds until the answer, of each.
pub(crate) async fn delete(
    target: &Target,
    repository: &str,
    doomed: &[Doomed],
) -> Result<Vec<f64>, String> {
    let mut registry = Registry::new(target)?;
    registry.patience = LONGEST;
    // Neither the handshake nor the check of a password is part of what is measured.
    registry.answer(Call::get("/v2/", repository), None).await?;
    let mut took = Vec::new();
    for manifest in doomed {
        let began = Instant::now();
        let deleted = registry.delete(repository, &manifest.digest).await;
        let after = began.elapsed();
        deleted.map_err(|error| format!("after {after:.1?}: {error}"))?;
        took.push(after.as_secs_f64());
    }
    for manifest in doomed {
        expect_gone(&registry, repository, manifest).await?;
    }
    Ok(took)
}

/// Asks for the manifest, which is gone at once, and for what goes with it.
async fn expect_gone(registry: &Registry, repository: &str, doomed: &Doomed) -> Result<(), Failed> {
    let digest = &doomed.digest;
    let path = format!("/v2/{repository}/manifests/{digest}");
    let gone = registry
        .send(Call::get(&path, repository).manifest(), &[404])
        .await;
    gone.map_err(|error| format!("{digest} was deleted, and 404 was expected: {error}"))?;
    let end = Instant::now() + LONGEST;
    while let Err(left) = expect_rest_gone(registry, repository, doomed).await {
        if Instant::now() > end {
            return Err(left);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Asks for what was to go with the manifest, and for its referrers.
async fn expect_rest_gone(
    registry: &Registry,
    repository: &str,
    doomed: &Doomed,
) -> Result<(), Failed> {
    let digest = &doomed.digest;
    for reference in &doomed.others {
        let path = format!("/v2/{repository}/manifests/{reference}");
        registry
            .send(Call::get(&path, repository).manifest(), &[404])
            .await?;
    }
    let path = format!("/v2/{repository}/referrers/{digest}");
    let index = registry
        .send(Call::get(&path, repository), &[200])
        .await?
        .json();
    match index["manifests"].as_array().map_or(0, Vec::<Value>::len) {
        0 => Ok(()),
        count => Err(format!("{count} referrers of what was deleted").into()),
    }
}
