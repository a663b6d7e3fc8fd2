//! Writes events about robots that expire: 14, 3 and 0 days before, and once they have.

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use db::robot::expiry::{self, Expiring};
use db::schedule::NewSchedule;
use model::{Clock, Event, Operation, Subject, SystemTask, Timestamp};
use policy::Caller;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry};

/// Hourly.
const CRON: &str = "0 7 * * * *";
/// How long before it expires a robot is told of first.
const AHEAD: Duration = Duration::from_secs(15 * 86_400);
/// Robots to look at per transaction.
const BATCH: i64 = 200;
/// The stage of robots that have expired.
const ENDED: i64 = -1;

/// Tells of robots that expire.
pub(crate) struct RobotExpiry {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Job for RobotExpiry {
    const KIND: &'static str = "robot_expiry";
    const RETRY: Retry = Retry {
        runs: 5,
        first: Duration::from_secs(10),
        longest: Duration::from_secs(600),
    };
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        match self.look().await {
            Ok(told) => Outcome::Done(Some(format!("{told} events"))),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl RobotExpiry {
    /// The built-in schedule.
    pub(crate) fn schedule() -> NewSchedule {
        let cron = CRON.parse().expect("it has six fields");
        NewSchedule::of_kind(Self::KIND, Self::VERSION, cron)
    }

    /// Writes the events that are due; returns how many.
    async fn look(&self) -> Result<u64> {
        let now = self.db.now(&*self.clock).await?;
        let mut told = 0;
        for last in [14, 3, 0, ENDED] {
            // By stages, so that those that are not due yet do not hide others behind them.
            loop {
                let ends = now.plus(AHEAD).min(until(now, last));
                let step = self.db.write(move |tx| {
                    Box::pin(async move {
                        let due = expiry::before(tx, (ends, last), BATCH).await?;
                        let found = due.len() as u64;
                        for robot in due {
                            expiry::set_stage(tx, robot.id, stage(robot.expires_at, now)).await?;
                            tx.record(&event(robot, now)).await?;
                        }
                        Ok::<_, db::Error>(found)
                    })
                });
                let found = step.await?;
                told += found;
                if found < BATCH as u64 {
                    break;
                }
            }
        }
        Ok(told)
    }
}

/// The latest end of robots that have reached a stage.
fn until(now: Timestamp, stage: i64) -> Timestamp {
    let days = u64::try_from(stage + 1).unwrap_or_default();
    let end = now.plus(Duration::from_secs(days * 86_400));
    Timestamp(end.0 - 1)
}

/// The days before its end that a robot has reached, of 14, 3 and 0; -1 if it has ended.
fn stage(end: Timestamp, now: Timestamp) -> i64 {
    match (end.0 - now.0).div_euclid(86_400 * 1_000_000) {
        ..0 => ENDED,
        0 => 0,
        1..=3 => 3,
        _ => 14,
    }
}

fn event(robot: Expiring, now: Timestamp) -> Event {
    let origin = Caller::system(SystemTask::RobotExpiry).origin();
    let detail = match stage(robot.expires_at, now) {
        ENDED => format!("expired at {}", robot.expires_at),
        0 => format!("expires within a day, at {}", robot.expires_at),
        days => format!("expires within {} days, at {}", days + 1, robot.expires_at),
    };
    let subject = Subject::Robot {
        project: robot.project,
        name: robot.full_name,
    };
    Event::new(now, origin, Operation::Expire, subject).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    #[test]
    fn a_stage_is_reached_when_its_days_are_left() {
        let day = 86_400_000_000;
        for (left, expected) in [
            (14 * day + day / 2, 14),
            (4 * day, 14),
            (4 * day - 1, 3),
            (day, 3),
            (day - 1, 0),
            (0, 0),
            (-1, ENDED),
        ] {
            assert_eq!(stage(Timestamp(NOW.0 + left), NOW), expected, "{left}");
        }
        for reached in [14, 3, 0, ENDED] {
            assert_eq!(stage(until(NOW, reached), NOW), reached);
            let next = Timestamp(until(NOW, reached).0 + 1);
            assert!(stage(next, NOW) > reached || reached == 14, "{reached}");
        }
    }
}
