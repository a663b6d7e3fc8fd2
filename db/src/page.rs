//! Which part of a list is asked for, and in which order.

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
