//! Chains the audit log: seals committed rows in batches.

use auth::secret::MasterKey;
use db::audit::chain;

use crate::{Jobs, Result};

/// Purpose of the key that signs the chain.
const PURPOSE: &str = "audit-chain";

/// The signature of a hash by the master key's derived key, which is not in the database.
pub fn sign(master: &MasterKey, hash: &[u8]) -> [u8; 32] {
    master.keyed_hash(PURPOSE, hash)
}

impl Jobs {
    /// Seals all rows to which no open transaction can add any more: those of the second before, where
    /// transactions follow each other closely.
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
