//! Failed logins of one process become known to the others, so that N replicas do not give N times as many
//! guesses.

use std::collections::HashMap;
use std::time::Duration;

use auth::throttle::News;
use db::login_failure::{self, LoginFailures};
use model::Timestamp;

use crate::{Jobs, Result};

/// How far back is read each time: a transaction that commits later is missed.
const OVERLAP: Duration = Duration::from_secs(10);
/// How long failures matter: by then every count has drained.
const KEPT: Duration = Duration::from_secs(20 * 60);
/// Rows that are read each time: in a flood of failures the newest count.
const MOST: i64 = 20_000;

/// What this process has heard, so that nothing counts twice.
#[derive(Debug, Default)]
pub struct Heard {
    /// By id, and when it happened.
    ids: HashMap<i64, Timestamp>,
    /// Whether what was told before the start was read.
    began: bool,
}

impl Jobs {
    /// Tells what happened here and hears what happened elsewhere.
    ///
    /// # Errors
    /// When the database fails; what was to be told is known here alone then.
    pub async fn share_login_failures(&self) -> Result<()> {
        if !self.db.is_shared() {
            return Ok(());
        }
        let (now, process) = (self.clock.now(), self.registry.process().to_string());
        let news: Vec<LoginFailures> = self
            .identity
            .throttle()
            .take_news()
            .iter()
            .map(row)
            .collect();
        if !news.is_empty() {
            let process = process.clone();
            let told = self.db.write(move |tx| {
                Box::pin(async move {
                    login_failure::forget(tx, before(now, KEPT)).await?;
                    login_failure::tell(tx, &process, &news).await
                })
            });
            told.await?;
        }
        let began = self.heard.lock().began;
        let since = before(now, if began { OVERLAP } else { KEPT });
        let mut tx = self.db.reader().await?;
        let told = login_failure::told(&mut tx, &process, since, MOST).await?;
        drop(tx);
        self.hear(told, before(now, OVERLAP * 2));
        Ok(())
    }

    fn hear(&self, told: Vec<(i64, LoginFailures)>, forget: Timestamp) {
        let mut heard = self.heard.lock();
        heard.began = true;
        heard.ids.retain(|_, at| *at >= forget);
        for (id, failures) in told {
            if heard.ids.insert(id, failures.at).is_none() {
                self.identity.throttle().hear(&news(&failures));
            }
        }
    }
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    Timestamp(now.0 - span.as_micros() as i64)
}

fn row(news: &News) -> LoginFailures {
    LoginFailures {
        at: Timestamp(news.at_ms * 1_000),
        pair: news.pair,
        address: news.address,
        account: news.account,
        count: news.failures,
    }
}

fn news(row: &LoginFailures) -> News {
    News {
        pair: row.pair,
        address: row.address,
        account: row.account,
        at_ms: row.at.0 / 1_000,
        failures: row.count,
    }
}
