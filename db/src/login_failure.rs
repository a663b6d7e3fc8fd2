//! Failed logins, as far as processes tell each other of them. What they mean is `auth::throttle`'s.

use model::Timestamp;

use crate::{Error, Result, Row, Tx};

/// Failures, by hashes of who failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginFailures {
    /// When the last one was.
    pub at: Timestamp,
    /// The account and the address.
    pub pair: [u8; 32],
    /// The address.
    pub address: [u8; 32],
    /// The account.
    pub account: [u8; 32],
    /// How many; 0 for a success, which clears the pair.
    pub count: u32,
}

/// Tells other processes.
///
/// # Errors
/// When a statement fails.
pub async fn tell(tx: &mut Tx, process: &str, failures: &[LoginFailures]) -> Result<()> {
    for failure in failures {
        tx.query(
            "insert into login_failure (process, at, pair, address, account, failures) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(process)
        .bind(failure.at)
        .bind(&failure.pair[..])
        .bind(&failure.address[..])
        .bind(&failure.account[..])
        .bind(i64::from(failure.count))
        .execute()
        .await?;
    }
    Ok(())
}

/// What other processes told since a time, with ids to tell them apart: the newest `limit`, the oldest of
/// them first.
///
/// # Errors
/// When the statement fails.
pub async fn told(
    tx: &mut Tx,
    process: &str,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<(i64, LoginFailures)>> {
    let rows = tx
        .query(
            "select id, at, pair, address, account, failures from login_failure
             where at >= $1 and process <> $2 order by at desc, id desc limit $3",
        )
        .bind(since)
        .bind(process)
        .bind(limit)
        .all()
        .await?;
    rows.iter().rev().map(read).collect()
}

fn read(row: &Row) -> Result<(i64, LoginFailures)> {
    const TABLE: &str = "login_failure";
    let hash = |column| {
        let bytes = row.bytes(TABLE, column)?;
        bytes.try_into().map_err(|_| Error::Corrupt {
            table: TABLE,
            column,
        })
    };
    let failures = LoginFailures {
        at: row.time(TABLE, "at")?,
        pair: hash("pair")?,
        address: hash("address")?,
        account: hash("account")?,
        count: u32::try_from(row.int(TABLE, "failures")?).unwrap_or_default(),
    };
    Ok((row.int(TABLE, "id")?, failures))
}

/// Forgets what was told before a time.
///
/// # Errors
/// When the statement fails.
pub async fn forget(tx: &mut Tx, before: Timestamp) -> Result<()> {
    tx.query("delete from login_failure where at < $1")
        .bind(before)
        .execute()
        .await?;
    Ok(())
}
