//! Takes a person's name out of the audit log, seal by seal, see [`db::audit::erasure`]. Once all sealed entries are
//! rewritten, it waits for those that processes still had in memory, and looks again.

use std::sync::Arc;
use std::time::Duration;

use db::audit::erasure::{self, Names};
use db::{Db, blob_event, user};
use model::{Clock, ErasureJob, PrincipalId};
use tenancy::secret::MasterKey;

use crate::audit_seal::sign;
use crate::engine::{Context, Job, Outcome, Retry};
use crate::{Error, Result};

/// How long after the person was erased processes may still write entries: refusals are counted together for a minute.
const SETTLES: Duration = Duration::from_secs(75);
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// Takes names out of the audit log.
pub(crate) struct ErasureWork {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Its derived key signs what was rewritten.
    pub(crate) master: Arc<MasterKey>,
}

impl Job for ErasureWork {
    const KIND: &'static str = ErasureJob::JOB;
    const VERSION: i64 = ErasureJob::VERSION;
    const RETRY: Retry = Retry {
        runs: 100,
        first: Duration::from_secs(10),
        longest: Duration::from_secs(3_600),
    };
    type Payload = ErasureJob;

    async fn run(&self, job: ErasureJob, context: &mut Context) -> Outcome {
        match self.erase(job.principal, context).await {
            Ok(count) => Outcome::Done(Some(format!("{count} entries"))),
            // It will not be valid the next time either.
            Err(Error::Database(error @ db::Error::ChainBroken(_))) => {
                Outcome::Hopeless(error.into())
            }
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl ErasureWork {
    async fn erase(&self, principal: PrincipalId, context: &mut Context) -> Result<u64> {
        let Some(erasure) = erasure::get(&mut self.db.reader().await?, principal).await? else {
            return Ok(0);
        };
        let settled = self.db.now(&*self.clock).await?.plus(SETTLES);
        let names = erasure::names(&mut self.db.reader().await?, &erasure).await?;
        let (mut count, mut sequence, mut last_id) = (0, 0, 0);
        loop {
            let look = erasure::look(&mut self.db.reader().await?, sequence, &names).await?;
            if let Some(look) = look {
                if look.is_affected {
                    count += self.rewrite(look.sequence, &names).await?;
                    context.progress(format!("{count} entries, seal {}", look.sequence));
                }
                (sequence, last_id) = (look.sequence, look.last_id);
                continue;
            }
            let waits = erasure::waits(&mut self.db.reader().await?, &names, last_id).await?;
            if !waits && self.db.now(&*self.clock).await? >= settled {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let ended = self.db.write(move |tx| {
            Box::pin(async move {
                // What followed the log meanwhile may have copied the name.
                let names = (&*erasure.name, &*erasure::pseudonym(principal));
                user::erase_copies(tx, principal, names).await?;
                blob_event::erase(tx, names, (erasure.since, erasure.until)).await?;
                erasure::end(tx, principal).await
            })
        });
        ended.await?;
        Ok(count)
    }

    async fn rewrite(&self, sequence: i64, names: &Names) -> Result<u64> {
        let now = self.db.now(&*self.clock).await?;
        let (names, master) = (names.clone(), self.master.clone());
        let rewritten = self.db.write(move |tx| {
            Box::pin(async move {
                let sign = |hash: &[u8]| sign(&master, hash);
                erasure::rewrite(tx, sequence, &names, &sign, now).await
            })
        });
        Ok(rewritten.await?)
    }
}
