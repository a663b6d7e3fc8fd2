//! How many entries match a filter: exactly if they are few, estimated if counting would take long.

use super::Filter;
use crate::error::Result;
use crate::list::Direction;
use crate::sql::Reader;

/// The number of entries that are counted exactly.
pub const EXACT: i64 = 10_000;

/// How many entries there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// This many.
    Exact(i64),
    /// More than [`EXACT`], estimated from how dense the newest and the oldest ones are.
    About(i64),
}

/// Counts the entries that match a filter.
///
/// # Errors
/// When a statement fails.
pub async fn count(reader: &mut Reader, filter: &Filter) -> Result<Count> {
    let newest = End::read(reader, filter, Direction::Down).await?;
    if newest.entries <= EXACT {
        return Ok(Count::Exact(newest.entries));
    }
    let oldest = End::read(reader, filter, Direction::Up).await?;
    Ok(Count::About(estimate(&newest, &oldest)))
}

/// The newest or the oldest entries, one more than [`EXACT`] at most.
struct End {
    entries: i64,
    /// Microseconds since 1970 of the first and the last of them.
    first: i64,
    last: i64,
}

impl End {
    async fn read(reader: &mut Reader, filter: &Filter, direction: Direction) -> Result<Self> {
        let ranges = filter.ranges(reader).await?;
        let sql = format!(
            "select count(*) as entries, coalesce(min(at), 0) as first, coalesce(max(at), 0) as last from ({}) counted",
            ranges.keys(direction, &(EXACT + 1).to_string(), "0"),
        );
        let row = ranges
            .conditions
            .bind(reader.query_built("audit.count", sql))
            .one()
            .await?;
        Ok(Self {
            entries: row.get("audit", "entries")?,
            first: row.get("audit", "first")?,
            last: row.get("audit", "last")?,
        })
    }

    /// Entries for each microsecond.
    fn density(&self) -> f64 {
        self.entries as f64 / (self.last - self.first).max(1) as f64
    }
}

/// Both ends, and the entries between them if these have the average density of both. If they overlap, only the part of
/// the oldest ones outside the newest counts.
fn estimate(newest: &End, oldest: &End) -> i64 {
    let between = newest.first - oldest.last;
    let more = if between > 0 {
        let density = f64::midpoint(newest.density(), oldest.density());
        oldest.entries as f64 + between as f64 * density
    } else {
        (newest.first - oldest.first) as f64 * oldest.density()
    };
    newest.entries + more as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(first: i64, last: i64) -> End {
        End {
            entries: EXACT + 1,
            first,
            last,
        }
    }

    #[test]
    fn what_comes_evenly_is_estimated_well() {
        // One each microsecond.
        let near = |all: i64| {
            let about = estimate(&end(all - EXACT, all), &end(0, EXACT));
            (about - all).abs() <= all / 100
        };
        assert!(
            [15_000, 25_000, 1_000_000, 100_000_000]
                .into_iter()
                .all(near)
        );
    }

    #[test]
    fn what_came_at_once_is_no_division_by_nothing() {
        assert_eq!(estimate(&end(5, 5), &end(5, 5)), EXACT + 1);
    }
}
