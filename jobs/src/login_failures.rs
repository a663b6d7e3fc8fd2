//! Shares the outcomes of logins between processes, so that N replicas do not allow N times as many guesses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use auth::identity::Identity;
use auth::throttle::Outcome;
use db::Db;
use db::login_failure::{self, LoginOutcome};
use model::{Clock, Network, Timestamp};
use parking_lot::Mutex;

use crate::Result;
use crate::local::Local;

/// How far back each read goes: a transaction that commits later than this is missed.
const OVERLAP: Duration = Duration::from_secs(10);
/// How long failures matter: by then every counter has decayed.
const KEPT: Duration = Duration::from_secs(20 * 60);
/// Maximum rows per read: in a flood of failures only the newest count.
const MOST: i64 = 20_000;

/// Outcomes of other processes already applied here, so that none counts twice.
#[derive(Debug, Default)]
struct Applied {
    /// By ID, with the time.
    ids: HashMap<i64, Timestamp>,
    /// True once the outcomes from before the start were read.
    began: bool,
}

/// Shares this process's outcomes and applies those of others.
pub(crate) struct LoginFailures {
    db: Db,
    identity: Arc<Identity>,
    clock: Arc<dyn Clock>,
    process: String,
    applied: Mutex<Applied>,
}

impl LoginFailures {
    pub(crate) fn new(
        db: Db,
        identity: Arc<Identity>,
        clock: Arc<dyn Clock>,
        process: String,
    ) -> Self {
        Self {
            db,
            identity,
            clock,
            process,
            applied: Mutex::default(),
        }
    }

    fn apply(&self, outcomes: Vec<(i64, LoginOutcome)>, forget: Timestamp) {
        let mut applied = self.applied.lock();
        applied.began = true;
        applied.ids.retain(|_, at| *at >= forget);
        for (id, row) in outcomes {
            if applied.ids.insert(id, row.at).is_none() {
                self.identity.throttle().apply(&outcome(&row));
            }
        }
    }
}

impl Local for LoginFailures {
    const NAME: &'static str = "login_failures";
    const EVERY: Duration = Duration::from_secs(1);

    /// Shares and applies outcomes. If the database fails, this process's outcomes remain unshared.
    async fn run(&self) -> Result<()> {
        if !self.db.is_shared() {
            return Ok(());
        }
        let (now, process) = (self.clock.now(), self.process.clone());
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
        let began = self.applied.lock().began;
        let since = before(now, if began { OVERLAP } else { KEPT });
        let mut tx = self.db.reader().await?;
        let others = login_failure::of_others(&mut tx, &process, since, MOST).await?;
        drop(tx);
        self.apply(others, before(now, OVERLAP * 2));
        Ok(())
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
        of_person: outcome.of_person,
    }
}

fn outcome(row: &LoginOutcome) -> Outcome {
    Outcome {
        network: Network::from_bytes(row.network),
        account: row.account,
        at_ms: row.at.0 / 1_000,
        failures: row.failures,
        of_person: row.of_person,
    }
}
