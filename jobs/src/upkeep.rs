//! The lease for work on a whole store: moves and sweeps. One of them runs at a time, in one process.

use std::time::Duration;

use db::{Db, lease};
use model::Clock;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::{Error, LEASE, Result};

/// The lease's name.
const NAME: &str = "store-upkeep";
/// How often to retry a lease that another process holds.
const RETRY: Duration = Duration::from_millis(500);

/// The lease, renewed until it is released or lost. A crashed process keeps others waiting for [`LEASE`].
pub(crate) struct Upkeep {
    db: Db,
    holder: String,
    lost: CancellationToken,
    _renewal: AbortOnDropHandle<()>,
}

impl Upkeep {
    /// Takes the lease; `None` if another process holds it for longer than `patience`.
    pub(crate) async fn take(
        db: &Db,
        clock: &Arc<dyn Clock>,
        patience: Duration,
    ) -> Result<Option<Self>> {
        let (holder, until) = (auth::random_hex::<8>(), Instant::now() + patience);
        while !take(db, clock, &holder).await? {
            if Instant::now() >= until {
                return Ok(None);
            }
            tokio::time::sleep(RETRY).await;
        }
        let lost = CancellationToken::new();
        let renewal = renew(db.clone(), clock.clone(), holder.clone(), lost.clone());
        Ok(Some(Self {
            db: db.clone(),
            holder,
            lost,
            _renewal: AbortOnDropHandle::new(tokio::spawn(renewal)),
        }))
    }

    /// Does the work while the lease is held, and releases it.
    ///
    /// # Errors
    /// Those of the work, and [`Error::LeaseLost`].
    pub(crate) async fn run<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::select! {
            () = self.lost.cancelled() => return Err(Error::LeaseLost),
            done = work => done,
        };
        let (db, holder) = (self.db.clone(), self.holder.clone());
        drop(self);
        let given =
            db.write(move |tx| Box::pin(async move { lease::give_back(tx, &holder).await }));
        // Otherwise it expires.
        if let Err(error) = given.await {
            tracing::warn!(%error, "the next sweep or move has to wait for a lease to end");
        }
        done
    }
}

async fn take(db: &Db, clock: &Arc<dyn Clock>, holder: &str) -> Result<bool> {
    let (now, holder) = (db.now(&**clock).await?, holder.to_owned());
    let taken = db.write(move |tx| {
        Box::pin(async move { lease::take(tx, NAME, &holder, (now, now.plus(LEASE))).await })
    });
    Ok(taken.await?)
}

/// Renews the lease; returns when it is lost, to another holder, or because the database did not answer for as long as
/// it lasts.
async fn renew(db: Db, clock: Arc<dyn Clock>, holder: String, lost: CancellationToken) {
    let mut held_until = Instant::now() + LEASE;
    loop {
        tokio::time::sleep(LEASE / 5).await;
        let asked = Instant::now();
        let renewal = tokio::time::timeout_at(held_until, take(&db, &clock, &holder));
        match renewal.await {
            Ok(Ok(true)) => held_until = asked + LEASE,
            Ok(Ok(false)) | Err(_) => return lost.cancel(),
            Ok(Err(error)) if Instant::now() < held_until => {
                tracing::warn!(%error, "a lease cannot be renewed yet");
            }
            Ok(Err(_)) => return lost.cancel(),
        }
    }
}
