//! How many entries there are by hour or day, for charts.

use model::Timestamp;

use super::filter::Filter;
use crate::error::Result;
use crate::list::Direction;
use crate::sql::Reader;

/// How many of the newest entries are counted.
pub const COUNTED: i64 = 200_000;

/// The events of a span of time. An entry with a count counts that often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// When it begins.
    pub since: Timestamp,
    /// What was done.
    pub done: i64,
    /// What was refused.
    pub refused: i64,
}

/// How many entries match a filter, by spans of `step` microseconds, oldest first; spans without any are left out. Also
/// whether there are more than [`COUNTED`]: the first span is then incomplete, and earlier ones are missing.
///
/// # Errors
/// When the statement fails.
pub async fn series(reader: &mut Reader, filter: &Filter, step: i64) -> Result<(Vec<Point>, bool)> {
    let ranges = filter.ranges(reader).await?;
    let span = format!("${}", ranges.conditions.len() + 1);
    let sql = format!(
        "select (e.at / {span}) * {span} as since, count(*) as entries,
             cast(sum(case when e.success = 1 then e.times else 0 end) as bigint) as done,
             cast(sum(case when e.success = 1 then 0 else e.times end) as bigint) as refused
         from ({}) k join audit e on e.id = k.id and e.at = k.at group by 1 order by 1",
        ranges.keys(Direction::Down, &COUNTED.to_string(), "0"),
    );
    let query = ranges
        .conditions
        .bind(reader.query_built("audit.series", sql));
    let rows = query.bind(step).all().await?;
    let mut entries = 0;
    let mut points = Vec::with_capacity(rows.len());
    for row in &rows {
        entries += row.get::<i64>("audit", "entries")?;
        points.push(Point {
            since: row.get("audit", "since")?,
            done: row.get("audit", "done")?,
            refused: row.get("audit", "refused")?,
        });
    }
    Ok((points, entries >= COUNTED))
}
