//! When and from where robots were last used, and how often with the secret before their present one. Requests record it in memory, at most once a minute for each robot, and a
//! task writes it, so that no request waits for the database.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use model::{PrincipalId, Timestamp};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use crate::database::Db;
use crate::error::Result;
use crate::sql::json_list;

/// Minimum time between recorded uses of a robot.
const EVERY: Duration = Duration::from_secs(60);
/// Maximum robots whose last use is kept in memory.
const MOST: usize = 100_000;

/// A use of a robot.
#[derive(Clone, Copy, Debug)]
struct Use {
    at: Timestamp,
    address: IpAddr,
    is_written: bool,
}

/// Uses of a secret that was replaced.
#[derive(Clone, Copy, Debug)]
struct PreviousUses {
    count: i64,
    last_at: Timestamp,
}

/// The last uses of robots, as this process knows them.
#[derive(Debug, Default)]
pub struct RobotUses {
    last: RwLock<HashMap<PrincipalId, Use>>,
    /// Uses of secrets that were replaced and still work, to be added to those stored.
    of_previous: Mutex<HashMap<PrincipalId, PreviousUses>>,
}

impl RobotUses {
    /// Records that a robot is used.
    pub fn note(&self, robot: PrincipalId, address: IpAddr, now: Timestamp) {
        let known = self.last.read().get(&robot).copied();
        if known.is_some_and(|known| now < known.at.plus(EVERY)) {
            return;
        }
        let mut uses = self.last.write();
        if uses.len() >= MOST {
            uses.retain(|_, known| !known.is_written);
        }
        if uses.len() < MOST {
            let new = Use {
                at: now,
                address,
                is_written: false,
            };
            uses.insert(robot, new);
        }
    }

    /// Counts a use of the secret before the robot's present one.
    pub fn count_previous(&self, robot: PrincipalId, now: Timestamp) {
        let mut uses = self.of_previous.lock();
        if uses.len() >= MOST && !uses.contains_key(&robot) {
            return;
        }
        let new = PreviousUses {
            count: 0,
            last_at: now,
        };
        let known = uses.entry(robot).or_insert(new);
        known.count += 1;
        known.last_at = known.last_at.max(now);
    }

    /// Writes the recorded uses. Those that cannot be written stay.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush(&self, db: &Db) -> Result<()> {
        self.flush_previous(db).await?;
        let unwritten: Vec<(PrincipalId, Use)> = {
            let uses = self.last.read();
            let unwritten = uses.iter().filter(|(_, known)| !known.is_written);
            unwritten.map(|(robot, known)| (*robot, *known)).collect()
        };
        if unwritten.is_empty() {
            return Ok(());
        }
        write(db, &unwritten).await?;
        let mut uses = self.last.write();
        for (robot, written) in unwritten {
            if let Some(known) = uses.get_mut(&robot).filter(|known| known.at == written.at) {
                known.is_written = true;
            }
        }
        Ok(())
    }
}

impl RobotUses {
    async fn flush_previous(&self, db: &Db) -> Result<()> {
        let counted = std::mem::take(&mut *self.of_previous.lock());
        if counted.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<(PrincipalId, PreviousUses)> = counted
            .iter()
            .map(|(robot, uses)| (*robot, *uses))
            .collect();
        rows.sort_by_key(|(robot, _)| *robot);
        let written = db.write(move |tx| {
            Box::pin(async move {
                for (robot, uses) in rows {
                    tx.query(
                        "update robot set previous_uses = previous_uses + $2, previous_used_at = $3
                         where principal_id = $1",
                    )
                    .bind(robot)
                    .bind(uses.count)
                    .bind(uses.last_at)
                    .execute()
                    .await?;
                }
                Ok::<_, crate::Error>(())
            })
        });
        let written = written.await;
        if written.is_err() {
            let mut uses = self.of_previous.lock();
            for (robot, unwritten) in counted {
                uses.entry(robot)
                    .and_modify(|known| known.count += unwritten.count)
                    .or_insert(unwritten);
            }
        }
        written
    }
}

/// A use to be stored.
#[derive(Serialize)]
struct Stored {
    principal: i64,
    at: i64,
    address: String,
}

/// Writes uses, unless a later one is stored. Rows are locked in the order of their ids, because other replicas write
/// them too.
async fn write(db: &Db, uses: &[(PrincipalId, Use)]) -> Result<()> {
    let mut rows: Vec<Stored> = uses
        .iter()
        .map(|(principal, known)| Stored {
            principal: principal.0,
            at: known.at.0,
            address: known.address.to_string(),
        })
        .collect();
    rows.sort_by_key(|row| row.principal);
    let rows = json_list(rows);
    db.write(move |tx| {
        Box::pin(async move {
            if tx.is_postgres() {
                tx.query(
                    "select id from robot where principal_id = any
                         (array(select cast(value ->> 'principal' as bigint) from json_array_elements(cast($1 as json))))
                     order by id for update",
                )
                .bind(rows.as_str())
                .all()
                .await?;
            }
            tx.query_either(
                "update robot set used_at = noted.at, used_address = noted.address
                 from (select value ->> 'principal' as principal, value ->> 'at' as at, value ->> 'address' as address
                       from json_each($1)) as noted
                 where robot.principal_id = noted.principal and (robot.used_at is null or robot.used_at < noted.at)",
                "update robot set used_at = noted.at, used_address = noted.address
                 from json_to_recordset(cast($1 as json)) as noted (principal bigint, at bigint, address text)
                 where robot.principal_id = noted.principal and (robot.used_at is null or robot.used_at < noted.at)",
            )
            .bind(rows)
            .execute()
            .await?;
            Ok::<_, crate::Error>(())
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ROBOT: PrincipalId = PrincipalId(7);
    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn unwritten(uses: &RobotUses) -> Vec<i64> {
        let uses = uses.last.read();
        let unwritten = uses.values().filter(|known| !known.is_written);
        unwritten.map(|known| known.at.seconds()).collect()
    }

    fn second(number: i64) -> Timestamp {
        Timestamp(number * 1_000_000)
    }

    #[test]
    fn a_robot_is_noted_once_a_minute() {
        let uses = RobotUses::default();
        for number in 0..60 {
            uses.note(ROBOT, HOME, second(number));
        }
        assert_eq!(unwritten(&uses), [0]);
        uses.note(ROBOT, HOME, second(60));
        assert_eq!(unwritten(&uses), [60]);
    }

    #[test]
    fn the_memory_is_bounded() {
        let uses = RobotUses::default();
        for number in 0..MOST as i64 + 10 {
            uses.note(PrincipalId(number), HOME, second(0));
        }
        assert_eq!(unwritten(&uses).len(), MOST);
    }
}
