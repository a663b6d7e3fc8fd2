//! Rows that do not parse, in complete walks of a table: they are reported and skipped, so that the others are still
//! processed.

use std::fmt;

use crate::error::{Error, Result};
use crate::sql::Row;

/// A row with a value that no version of this program writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The table.
    pub table: &'static str,
    /// The row's id.
    pub id: i64,
    /// The column.
    pub column: &'static str,
    /// What is in it: text, a number, or bytes in hex.
    pub value: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            table,
            id,
            column,
            value,
        } = self;
        write!(f, "row {id} of {table} has an invalid {column}: {value:?}")
    }
}

/// A part of a list that is walked.
#[derive(Clone, Debug)]
pub struct Walked<T, K> {
    /// Rows that parse.
    pub found: Vec<T>,
    /// Those that do not.
    pub broken: Vec<Broken>,
    /// The last row of both, after which the next part begins; `None` if there are no more.
    pub last: Option<K>,
}

impl<T, K> Walked<T, K> {
    pub(crate) fn read(
        rows: &[Row],
        key: impl Fn(&Row) -> Result<K>,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Self> {
        let mut walked = Self {
            found: Vec::new(),
            broken: Vec::new(),
            last: rows.last().map(key).transpose()?,
        };
        for row in rows {
            match read(row) {
                Ok(found) => walked.found.push(found),
                Err(Error::Corrupt { table, column }) => {
                    walked.broken.push(broken(row, table, column)?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(walked)
    }
}

fn broken(row: &Row, table: &'static str, column: &'static str) -> Result<Broken> {
    let number = || {
        row.get::<i64>(table, column)
            .map(|number| number.to_string())
    };
    let bytes = || row.get::<Vec<u8>>(table, column).map(hex::encode);
    let text = row.get(table, column);
    let value = text.or_else(|_| number()).or_else(|_| bytes());
    Ok(Broken {
        table,
        id: row.get(table, "id")?,
        column,
        value: value.unwrap_or_default(),
    })
}
