//! Robots that expire: each of them is told of at stages, which their rows keep.

use model::{ProjectId, RobotId, Timestamp};

use crate::error::Result;
use crate::sql::{Tx, row};

row! {
    columns expiring_columns;
    /// A robot that expires, or has expired.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Expiring of robot {
        /// Its id.
        pub id: RobotId = r.id,
        /// Its project; `None` for a robot of the system.
        pub project: Option<ProjectId> = r.project_id,
        /// When it expires.
        pub expires_at: Timestamp = r.expires_at,
        /// The stage that was told of last.
        pub stage: Option<i64> = r.expiry_stage,
    }
    computed {
        /// The name to sign in with.
        pub full_name: String = "p.name",
    }
}

/// Robots that expire before a time and have not reached the last stage, soonest first, locked against other changes.
///
/// # Errors
/// When the statement fails.
pub async fn before(
    tx: &mut Tx,
    (before, last_stage): (Timestamp, i64),
    limit: i64,
) -> Result<Vec<Expiring>> {
    let rows = tx
        .query_either(
            concat!(
                "select ",
                expiring_columns!(),
                " from robot r join principal p on p.id = r.principal_id
                 where r.expires_at is not null and r.disabled = 0 and r.expires_at <= $1 and coalesce(r.expiry_stage, 99) > $2
                 order by r.expires_at, r.id limit $3"
            ),
            concat!(
                "select ",
                expiring_columns!(),
                " from robot r join principal p on p.id = r.principal_id
                 where r.expires_at is not null and r.disabled = 0 and r.expires_at <= $1 and coalesce(r.expiry_stage, 99) > $2
                 order by r.expires_at, r.id limit $3 for update of r skip locked"
            ),
        )
        .bind(before)
        .bind(last_stage)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Expiring::read).collect()
}

/// Keeps the stage that was told of.
///
/// # Errors
/// When the statement fails.
pub async fn set_stage(tx: &mut Tx, id: RobotId, stage: i64) -> Result<()> {
    tx.query("update robot set expiry_stage = $2 where id = $1")
        .bind(id)
        .bind(stage)
        .execute()
        .await?;
    Ok(())
}
