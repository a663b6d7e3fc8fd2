//! Entries as the API shows them.

use db::audit::{Entry, Listed};
use model::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// An entry in the form that Harbor has had since 2.13.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditLogExt)]
pub(crate) struct Extended {
    id: i64,
    op_time: String,
    operation: String,
    operation_description: String,
    operation_result: bool,
    resource: String,
    resource_type: String,
    username: String,
}

impl From<Listed> for Extended {
    fn from(Listed { entry, .. }: Listed) -> Self {
        Self {
            id: entry.id,
            op_time: Timestamp(entry.at).to_string(),
            operation_description: describe(&entry),
            operation_result: entry.success,
            operation: entry.operation,
            resource: entry.resource,
            resource_type: entry.resource_type,
            username: entry.principal_name,
        }
    }
}

/// In Harbor's words, with further information in brackets.
fn describe(entry: &Entry) -> String {
    let what = match (&entry.repository, &entry.digest) {
        (Some(repository), Some(digest)) => format!("{repository}@{digest}"),
        _ => entry.resource.clone(),
    };
    let mut text = format!("{} {}: {what}", entry.operation, entry.resource_type);
    if !entry.detail.is_empty() {
        text += &format!(" ({})", entry.detail);
    }
    text
}

/// An entry in the form that Harbor had before 2.13.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditLog)]
pub(crate) struct Brief {
    id: i64,
    op_time: String,
    operation: String,
    resource: String,
    resource_type: String,
    username: String,
}

impl From<Listed> for Brief {
    fn from(Listed { entry, .. }: Listed) -> Self {
        Self {
            id: entry.id,
            op_time: Timestamp(entry.at).to_string(),
            operation: entry.operation,
            resource: entry.resource,
            resource_type: entry.resource_type,
            username: entry.principal_name,
        }
    }
}

/// An entry with all its data, as exported.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct Whole {
    id: i64,
    op_time: String,
    username: String,
    address: String,
    user_agent: String,
    operation: String,
    resource_type: String,
    resource: String,
    project: Option<String>,
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
    operation_result: bool,
    times: i64,
    detail: String,
}

impl From<Listed> for Whole {
    fn from(Listed { entry, project }: Listed) -> Self {
        Self {
            id: entry.id,
            op_time: Timestamp(entry.at).to_string(),
            username: entry.principal_name,
            address: entry.address,
            user_agent: entry.agent,
            operation: entry.operation,
            resource_type: entry.resource_type,
            resource: entry.resource,
            project,
            repository: entry.repository,
            tag: entry.tag,
            digest: entry.digest.map(|digest| digest.to_string()),
            operation_result: entry.success,
            times: entry.times,
            detail: entry.detail,
        }
    }
}

impl Whole {
    /// The names of the columns.
    pub(super) const COLUMNS: [&str; 15] = [
        "id",
        "op_time",
        "username",
        "address",
        "user_agent",
        "operation",
        "resource_type",
        "resource",
        "project",
        "repository",
        "tag",
        "digest",
        "operation_result",
        "times",
        "detail",
    ];

    /// The cells of a row, none of which a spreadsheet would execute.
    pub(super) fn cells(self) -> [String; 15] {
        let or_empty = Option::unwrap_or_default;
        let cells = [
            self.id.to_string(),
            self.op_time,
            self.username,
            self.address,
            self.user_agent,
            self.operation,
            self.resource_type,
            self.resource,
            or_empty(self.project),
            or_empty(self.repository),
            or_empty(self.tag),
            or_empty(self.digest),
            self.operation_result.to_string(),
            self.times.to_string(),
            self.detail,
        ];
        cells.map(inert)
    }
}

/// A cell that a spreadsheet shows as text, even if it looks like a formula.
fn inert(cell: String) -> String {
    let is_run = |first: char| matches!(first, '=' | '+' | '-' | '@' | '\t' | '\r');
    match cell.trim_start_matches([' ', '\n']).starts_with(is_run) {
        true => format!("'{cell}"),
        false => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_spreadsheets_would_run_are_text() {
        for formula in [
            "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n-1",
        ] {
            assert_eq!(inert(formula.to_owned()), format!("'{formula}"));
        }
        for text in ["", "team/app:v1", "a=b", "1-2", "'=1"] {
            assert_eq!(inert(text.to_owned()), text);
        }
    }
}
