//! Which part of a list is asked for, and in which order.

use model::ProjectId;

use crate::Tx;
use crate::sql::Query;

/// A page of a REST list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Rows to skip.
    pub offset: i64,
    /// Rows to return; `None` for all.
    pub limit: Option<i64>,
}

impl Page {
    /// All rows.
    pub const ALL: Self = Self {
        offset: 0,
        limit: None,
    };

    pub(crate) fn limit(self) -> i64 {
        self.limit.unwrap_or(i64::MAX)
    }
}

/// Escapes a text for `like … escape '\'`, to be found anywhere in a column.
pub(crate) fn contains(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    format!("%{escaped}%")
}

/// `sql` with the condition that a column is one of some names, which [`bind_names`] binds as `$place`; without
/// names, without it. However many they are, the statement is the same.
pub(crate) fn one_of(
    tx: &Tx,
    sql: &str,
    (column, names): (&str, &[String]),
    place: usize,
) -> String {
    if names.is_empty() {
        sql.to_owned()
    } else if tx.is_postgres() {
        format!(
            "{sql} and {column} = any (array(select json_array_elements_text(cast(${place} as json))))"
        )
    } else {
        format!("{sql} and {column} in (select value from json_each(${place}))")
    }
}

/// Binds the names that [`one_of`] asks for.
pub(crate) fn bind_names<'t>(query: Query<'t>, names: &[String]) -> Query<'t> {
    if names.is_empty() {
        return query;
    }
    query.bind(serde_json::to_string(names).unwrap_or_default())
}

/// How many values [`bind_names`] gives.
pub(crate) fn places(names: &[String]) -> usize {
    usize::from(!names.is_empty())
}

/// Ids as one value.
pub(crate) fn list_of(ids: &[ProjectId]) -> String {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    serde_json::to_string(&ids).unwrap_or_default()
}
