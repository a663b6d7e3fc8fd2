//! Shares the outcomes of logins between processes, so that N replicas do not allow N times as many guesses.

use std::collections::HashMap;
use std::time::Duration;

use auth::throttle::Outcome;
use db::login_failure::{self, LoginOutcome};
use model::{Network, Timestamp};

use crate::{Jobs, Result};

/// How far back each read goes: a transaction that commits later than this is missed.
const OVERLAP: Duration = Duration::from_secs(10);
/// How long failures matter: by then every counter has decayed.
const KEPT: Duration = Duration::from_secs(20 * 60);
/// Maximum rows per read: in a flood of failures only the newest count.
const MOST: i64 = 20_000;

/// Outcomes of other processes already applied here, so that none counts twice.
#[derive(Debug, Default)]
pub struct Applied {
    /// By ID, with the time.
    ids: HashMap<i64, Timestamp>,
    /// True once the outcomes from before the start were read.
    began: bool,
}

impl Jobs {
    /// Shares this process's outcomes and applies those of others.
    ///
    /// # Errors
    /// When the database fails; then this process's outcomes remain unshared.
    pub async fn share_login_failures(&self) -> Result<()> {
        if !self.db.is_shared() {
            return Ok(());
        }
        let (now, process) = (self.clock.now(), self.registry.process().to_string());
        let outcomes = self.identity.throttle().take_outcomes();
        let outcomes: Vec<LoginOutcome> = outcomes.iter().map(row).collect();
        if !outcomes.is_empty() {
            let process = process.clone();
            let shared = self.db.write(move |tx| {
                Box::pin(async move {
                    login_failure::remove_before(tx, before(now, KEPT)).await?;
                    login_failure::share(tx, &process, &outcomes).await
                })
            });
            shared.await?;
        }
        let began = self.applied_logins.lock().began;
        let since = before(now, if began { OVERLAP } else { KEPT });
        let mut tx = self.db.reader().await?;
        let others = login_failure::of_others(&mut tx, &process, since, MOST).await?;
        drop(tx);
        self.apply(others, before(now, OVERLAP * 2));
        Ok(())
    }

    fn apply(&self, outcomes: Vec<(i64, LoginOutcome)>, forget: Timestamp) {
        let mut applied = self.applied_logins.lock();
        applied.began = true;
        applied.ids.retain(|_, at| *at >= forget);
        for (id, row) in outcomes {
            if applied.ids.insert(id, row.at).is_none() {
                self.identity.throttle().apply(&outcome(&row));
            }
        }
    }
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    Timestamp(now.0 - span.as_micros() as i64)
}

fn row(outcome: &Outcome) -> LoginOutcome {
    LoginOutcome {
        at: Timestamp(outcome.at_ms * 1_000),
        network: *outcome.network.bytes(),
        account: outcome.account,
        failures: outcome.failures,
    }
}

fn outcome(row: &LoginOutcome) -> Outcome {
    Outcome {
        network: Network::from_bytes(row.network),
        account: row.account,
        at_ms: row.at.0 / 1_000,
        failures: row.failures,
    }
}
