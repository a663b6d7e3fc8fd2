//! Seals committed audit entries in batches, as a hash chain.

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use db::audit::chain;
use model::Clock;
use tenancy::secret::MasterKey;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::horizon::Settling;

/// Purpose under which the signing key is derived.
const PURPOSE: &str = "audit-chain";

/// Signs a hash with a key derived from the master key; the key is not in the database.
pub fn sign(master: &MasterKey, hash: &[u8]) -> [u8; 32] {
    master.keyed_hash(PURPOSE, hash)
}

/// Seals the audit log.
pub struct AuditSeal {
    db: Db,
    clock: Arc<dyn Clock>,
    master: Arc<MasterKey>,
    /// How far the audit log may be sealed.
    settling: Settling,
}

impl Job for AuditSeal {
    const KIND: &'static str = "audit_seal";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.seal().await.into()
    }
}

impl Standing for AuditSeal {
    const EVERY: Duration = Duration::from_secs(1);

    async fn is_wanted(&self) -> Result<bool> {
        let mut tx = self.db.reader().await?;
        Ok(chain::is_waiting(&mut tx).await?)
    }
}

impl AuditSeal {
    /// A job that signs with a key derived from the master key.
    pub fn new(db: Db, clock: Arc<dyn Clock>, master: Arc<MasterKey>) -> Self {
        Self {
            db,
            clock,
            master,
            settling: Settling::default(),
        }
    }

    /// Seals all rows older than any open transaction: up to the previous second, if transactions follow each other
    /// closely.
    async fn seal(&self) -> Result<()> {
        let mut tx = self.db.reader().await?;
        let mut waiting = chain::is_waiting(&mut tx).await?;
        if !waiting {
            return Ok(());
        }
        let Some(up_to) = self.settling.last(&mut tx).await? else {
            return Ok(());
        };
        drop(tx);
        while waiting {
            let (master, now) = (self.master.clone(), self.clock.now());
            let sealed = self.db.write(move |tx| {
                Box::pin(async move {
                    chain::seal(tx, &|hash: &[u8]| sign(&master, hash), up_to, now).await
                })
            });
            waiting = sealed.await? == chain::BATCH;
        }
        Ok(())
    }
}
