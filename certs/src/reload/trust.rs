//! Keeps the trust in clients' certificates in step with its files.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Fingerprint, TICK};
use crate::client::{ClientTrust, TrustFiles};
use crate::error::{Error, Result};
use crate::tls::Tls;

/// Reads the authorities and revocation lists again when their files change.
pub struct TrustReloader {
    files: TrustFiles,
    tls: Arc<Tls>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    loaded: Option<Vec<Fingerprint>>,
    failure: Option<String>,
}

impl TrustReloader {
    /// Watches `files` for `tls`, which may just have been made from them.
    pub fn new(files: TrustFiles, tls: Arc<Tls>) -> Arc<Self> {
        Arc::new(Self {
            files,
            tls,
            seen: Mutex::default(),
        })
    }

    /// Checks the files every 500 ms until cancelled. If they do not load, what was loaded last stays, and the reason is
    /// logged once.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look().await;
        }
    }

    async fn look(&self) {
        let mut seen = self.seen.lock().await;
        let (files, loaded) = (self.files.clone(), seen.loaded.clone());
        let read = spawn_blocking(move || read(&files, loaded.as_deref())).await;
        let read = read.unwrap_or_else(|error| Err(Error::Interrupted(error)));
        let set = read.and_then(|read| match read {
            Some((prints, trust)) => {
                self.tls.set_trust(Some(trust))?;
                Ok(Some(prints))
            }
            None => Ok(None),
        });
        match set {
            Ok(None) => {}
            Ok(Some(prints)) => {
                if seen.loaded.is_some() {
                    info!(
                        "the authorities and revocation lists of client certificates were loaded again"
                    );
                }
                *seen = Seen {
                    loaded: Some(prints),
                    failure: None,
                };
            }
            Err(error) => {
                let failure = error.chain();
                if seen.failure.as_ref() != Some(&failure) {
                    warn!(error = %failure, "the files of client certificates do not load, what was loaded before stays");
                    seen.failure = Some(failure);
                }
            }
        }
    }
}

type Read = (Vec<Fingerprint>, ClientTrust);

/// Loads the files unless they match `loaded`.
fn read(files: &TrustFiles, loaded: Option<&[Fingerprint]>) -> Result<Option<Read>> {
    let paths = [Some(&files.authorities), files.revoked.as_ref()];
    let prints: Result<Vec<_>> = paths
        .into_iter()
        .flatten()
        .map(|path| Fingerprint::of(path))
        .collect();
    let prints = prints?;
    if loaded == Some(&prints[..]) {
        return Ok(None);
    }
    Ok(Some((prints, ClientTrust::load(files)?)))
}
