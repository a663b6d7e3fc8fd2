//! Counts pulls and pushes by hour, see [`db::audit::hour`].

use std::time::Duration;

use db::Db;
use db::audit::hour;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};

/// Counts pulls and pushes by hour.
pub(crate) struct StatHour {
    /// The database.
    pub(crate) db: Db,
}

impl Job for StatHour {
    const KIND: &'static str = "stat_hour";
    const RETRY: Retry = Retry {
        first: Self::EVERY,
        ..Retry::STANDING
    };
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.count().await.into()
    }
}

impl Standing for StatHour {
    const EVERY: Duration = Duration::from_secs(5);

    async fn is_wanted(&self) -> Result<bool> {
        Ok(hour::is_waiting(&mut self.db.reader().await?).await?)
    }
}

impl StatHour {
    async fn count(&self) -> Result<()> {
        while self
            .db
            .write(|tx| Box::pin(async move { hour::count(tx).await }))
            .await?
        {}
        Ok(())
    }
}
