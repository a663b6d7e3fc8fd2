//! The time that all replicas share: PostgreSQL's, read regularly, and continued by each process's own clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use model::{Clock, Timestamp};

use crate::database::Db;
use crate::error::Result;
use crate::sql::{Reader, Tx};

/// The longest that an answer may take to be used for the time.
const SLOWEST: Duration = Duration::from_secs(1);

/// The server's clock.
async fn of_server(reader: &mut Reader) -> Result<Timestamp> {
    let row = reader
        .query("select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint) as now")
        .one()
        .await?;
    row.get("clock", "now")
}

impl Db {
    /// The time that decides what is due: on PostgreSQL the server's, the same for all replicas.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn now(&self, local: &dyn Clock) -> Result<Timestamp> {
        if self.is_shared() {
            of_server(&mut self.reader().await?).await
        } else {
            Ok(local.now())
        }
    }
}

/// As [`Db::now`], within a transaction.
///
/// # Errors
/// When the server cannot be asked.
pub async fn now(tx: &mut Tx, local: &dyn Clock) -> Result<Timestamp> {
    if tx.is_postgres() {
        of_server(tx).await
    } else {
        Ok(local.now())
    }
}

/// A process's own clock, corrected by the database's.
pub struct DatabaseClock {
    local: Arc<dyn Clock>,
    /// Microseconds that the database's clock is ahead of the local one.
    ahead: AtomicI64,
}

impl DatabaseClock {
    /// Shows the local clock's time until the first comparison.
    pub fn new(local: Arc<dyn Clock>) -> Self {
        Self {
            local,
            ahead: AtomicI64::new(0),
        }
    }

    /// Compares the clocks. Returns how many microseconds the database's is ahead of the local one; the error is half
    /// of the time that the answer took. An answer that took longer than [`SLOWEST`] is ignored.
    ///
    /// # Errors
    /// When the database cannot be asked; the last comparison then stays in use.
    pub async fn compare(&self, db: &Db) -> Result<i64> {
        if !db.is_shared() {
            return Ok(0);
        }
        let mut reader = db.reader().await?;
        let before = self.local.now();
        let server = of_server(&mut reader).await?;
        Ok(self.learn(before, server, self.local.now()))
    }

    /// Uses the server's time, read between two moments of the local clock.
    fn learn(&self, before: Timestamp, server: Timestamp, after: Timestamp) -> i64 {
        let took = after.0 - before.0;
        if (0..=SLOWEST.as_micros() as i64).contains(&took) {
            let ahead = server.0 - (before.0 + took / 2);
            self.ahead.store(ahead, Ordering::Relaxed);
        }
        self.ahead()
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

#[cfg(test)]
mod tests {
    use model::ManualClock;

    use super::*;

    #[test]
    fn an_answer_that_took_long_tells_nothing() {
        let clock = DatabaseClock::new(Arc::new(ManualClock::at(Timestamp(0))));
        let at = |millis: i64| Timestamp(millis * 1_000);
        assert_eq!(clock.learn(at(0), at(5_100), at(200)), 5_000_000);
        // The server answered at once, and the answer was on its way for a minute.
        assert_eq!(clock.learn(at(0), at(5_000), at(60_000)), 5_000_000);
        // The local clock was set back meanwhile.
        assert_eq!(clock.learn(at(60_000), at(65_000), at(0)), 5_000_000);
        assert_eq!(clock.ahead(), 5_000_000);
    }
}
