//! Lists of entries: pages by number, or after the last entry of the previous page.

use model::Timestamp;

use super::filter::Filter;
use super::{Entry, entry_columns};
use crate::error::Result;
use crate::list::{Direction, Page};
use crate::sql::{Reader, Row};

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// The name of its project.
    pub project: Option<String>,
}

impl Listed {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            entry: Entry::read(row)?,
            project: row.get("project", "project")?,
        })
    }
}

/// The newest entries that match a filter, newest first; [`Filter::before`] continues from the last one.
///
/// # Errors
/// When the statement fails.
pub async fn list(reader: &mut Reader, filter: &Filter, limit: i64) -> Result<Vec<Listed>> {
    let newest = Page {
        offset: 0,
        limit: Some(limit),
    };
    page(reader, filter, newest, Direction::Down).await
}

/// A page of the entries that match a filter, by time. Skipped rows are read only from an index.
///
/// # Errors
/// When the statement fails.
pub async fn page(
    reader: &mut Reader,
    filter: &Filter,
    page: Page,
    direction: Direction,
) -> Result<Vec<Listed>> {
    let ranges = filter.ranges(reader).await?;
    let places = ranges.conditions.len();
    let (limit, offset) = (format!("${}", places + 1), format!("${}", places + 2));
    let suffix = match direction {
        Direction::Up => "",
        Direction::Down => " desc",
    };
    let sql = format!(
        "select {}, p.name as project from ({}) k join audit e on e.id = k.id and e.at = k.at
         left join project p on p.id = e.project_id order by e.at{suffix}, e.id{suffix}",
        entry_columns!(),
        ranges.keys(direction, &limit, &offset),
    );
    let query = ranges
        .conditions
        .bind(reader.query_built("audit.list", sql))
        .bind(page.limit.unwrap_or(i64::from(u32::MAX)))
        .bind(page.offset.min(i64::from(u32::MAX)));
    query.all().await?.iter().map(Listed::read).collect()
}

/// How many of the newest entries of its scope and time a search reads that no single index answers.
pub const SEARCHED: i64 = 100_000;

/// Limits a search that has to read entries one by one to `most` of them: returns the time from which it searches, if
/// that is later than requested. Older entries are found by a search for the time before that.
///
/// # Errors
/// When the statement fails.
pub async fn bound_search(
    reader: &mut Reader,
    filter: &mut Filter,
    most: i64,
) -> Result<Option<Timestamp>> {
    let Some(walked) = filter.walked() else {
        return Ok(None);
    };
    let ranges = walked.ranges(reader).await?;
    // Ranges are merged, and the same number of entries of each is read.
    let searched = most / ranges.ranges.len().max(1) as i64;
    let sql = ranges.keys(Direction::Down, "1", &searched.to_string());
    let row = ranges
        .conditions
        .bind(reader.query_built("audit.search", sql))
        .optional()
        .await?;
    let since = row.map(|row| row.get("audit", "at")).transpose()?;
    filter.from = filter.from.max(since);
    Ok(since)
}
