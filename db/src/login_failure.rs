//! Outcomes of logins that processes share. `auth::throttle` interprets them.

use model::Timestamp;

use crate::error::{Error, Result};
use crate::sql::{Reader, Row, Tx};

/// The outcomes of logins to an account from a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginOutcome {
    /// The time of the last one.
    pub at: Timestamp,
    /// The network that the logins came from.
    pub network: [u8; 16],
    /// A hash that stands for the account's name.
    pub account: [u8; 32],
    /// How many failed; 0 for a success, which clears earlier failures.
    pub failures: u32,
    /// Whether the account means a person, under any name.
    pub of_person: bool,
}

/// Shares outcomes with other processes.
///
/// # Errors
/// When a statement fails.
pub async fn share(tx: &mut Tx, process: &str, outcomes: &[LoginOutcome]) -> Result<()> {
    for outcome in outcomes {
        tx.query(
            "insert into login_failure (process, at, network, account, failures, of_person) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(process)
        .bind(outcome.at)
        .bind(&outcome.network[..])
        .bind(&outcome.account[..])
        .bind(i64::from(outcome.failures))
        .bind(outcome.of_person)
        .execute()
        .await?;
    }
    Ok(())
}

/// Outcomes that other processes shared since a time, with ids to distinguish them: the newest `limit`, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn of_others(
    reader: &mut Reader,
    process: &str,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<(i64, LoginOutcome)>> {
    let rows = reader
        .query(
            "select id, at, network, account, failures, of_person from login_failure
             where at >= $1 and process <> $2 order by at desc, id desc limit $3",
        )
        .bind(since)
        .bind(process)
        .bind(limit)
        .all()
        .await?;
    rows.iter().rev().map(read).collect()
}

fn read(row: &Row) -> Result<(i64, LoginOutcome)> {
    let outcome = LoginOutcome {
        at: row.get(TABLE, "at")?,
        network: array(row, "network")?,
        account: array(row, "account")?,
        failures: u32::try_from(row.get::<i64>(TABLE, "failures")?).unwrap_or_default(),
        of_person: row.get(TABLE, "of_person")?,
    };
    Ok((row.get(TABLE, "id")?, outcome))
}

const TABLE: &str = "login_failure";

fn array<const N: usize>(row: &Row, column: &'static str) -> Result<[u8; N]> {
    let bytes: Vec<u8> = row.get(TABLE, column)?;
    bytes.try_into().map_err(|_| Error::Corrupt {
        table: TABLE,
        column,
    })
}

/// Removes what was shared before a time.
///
/// # Errors
/// When the statement fails.
pub async fn remove_before(tx: &mut Tx, before: Timestamp) -> Result<()> {
    tx.query("delete from login_failure where at < $1")
        .bind(before)
        .execute()
        .await?;
    Ok(())
}
