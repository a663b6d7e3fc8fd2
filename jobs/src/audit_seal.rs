//! Seals committed audit entries in batches, as a hash chain.

use auth::secret::MasterKey;
use db::audit::chain;

use crate::{Jobs, Result};

/// Purpose under which the signing key is derived.
const PURPOSE: &str = "audit-chain";

/// Signs a hash with a key derived from the master key; the key is not in the database.
pub fn sign(master: &MasterKey, hash: &[u8]) -> [u8; 32] {
    master.keyed_hash(PURPOSE, hash)
}

impl Jobs {
    /// Seals all rows older than any open transaction: up to the previous second, if transactions follow each other
    /// closely.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn seal_audit(&self) -> Result<()> {
        // Most seconds there is nothing to seal, and then nothing is written.
        let mut tx = self.db.reader().await?;
        let mut waiting = chain::is_waiting(&mut tx).await?;
        if !waiting {
            return Ok(());
        }
        let before = self.horizon.lock().take();
        let horizon = match before {
            Some(horizon) => horizon,
            None => chain::horizon(&mut tx).await?,
        };
        if !chain::is_settled(&mut tx, &horizon).await? {
            *self.horizon.lock() = Some(horizon);
            return Ok(());
        }
        drop(tx);
        let up_to = horizon.last_id;
        while waiting && self.leads("audit_seal").await? {
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
