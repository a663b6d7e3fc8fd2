//! The time that all replicas share: PostgreSQL's, read now and then, and kept on by each process's own clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::{Clock, Timestamp};

use crate::{Db, Result, Tx};

/// The server's clock.
pub(crate) async fn of_server(tx: &mut Tx) -> Result<Timestamp> {
    let row = tx
        .query("select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint) as now")
        .one()
        .await?;
    row.time("clock", "now")
}

/// A process's own clock, set right by the database's.
pub struct DatabaseClock {
    local: Arc<dyn Clock>,
    /// Microseconds that the database's clock is ahead of the local one.
    ahead: AtomicI64,
}

impl DatabaseClock {
    /// As the local clock goes, until it is first compared.
    pub fn new(local: Arc<dyn Clock>) -> Self {
        Self {
            local,
            ahead: AtomicI64::new(0),
        }
    }

    /// Compares the clocks. How many microseconds the database's is ahead of the local one; half of the time
    /// that the answer took is the error.
    ///
    /// # Errors
    /// When the database cannot be asked; then the last comparison holds on.
    pub async fn compare(&self, db: &Db) -> Result<i64> {
        if !db.is_shared() {
            return Ok(0);
        }
        let mut tx = db.reader().await?;
        let before = self.local.now();
        let server = of_server(&mut tx).await?;
        let middle = before.0 + (self.local.now().0 - before.0) / 2;
        let ahead = server.0 - middle;
        self.ahead.store(ahead, Ordering::Relaxed);
        Ok(ahead)
    }

    /// Microseconds that the database's clock was ahead of the local one when they were last compared.
    pub fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.local.now().0 + self.ahead())
    }
}
