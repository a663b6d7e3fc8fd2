//! Spans of statements, named by what they do.

use tracing::{Span, field};

/// A span for a statement, named by what it does: `db.tag.insert`.
pub(super) fn of(sql: &'static str) -> Span {
    let span = tracing::debug_span!(
        "db.statement",
        otel.name = field::Empty,
        db.query.text = sql
    );
    if !span.is_disabled() {
        span.record("otel.name", span_name(sql));
    }
    span
}

/// `db.tag.insert` for a statement on tags; `db.project.list` for a composed one with that name.
fn span_name(sql: &str) -> String {
    if !sql.is_empty() && !sql.contains(char::is_whitespace) {
        return format!("db.{sql}");
    }
    let words = outermost(sql);
    let mut words = words.iter().copied();
    let verbs = ["insert", "update", "delete", "select"];
    let verb = words.find(|word| verbs.contains(word));
    let table = match verb {
        Some("update") => words.next(),
        Some("insert" | "delete") => words.nth(1),
        Some("select") => words.skip_while(|word| *word != "from").nth(1),
        _ => None,
    };
    match (verb, table) {
        (Some(verb), Some(table)) => format!("db.{table}.{verb}"),
        (verb, _) => {
            let first = sql.split_whitespace().next().unwrap_or("statement");
            let first = first.trim_end_matches(';');
            format!("db.transaction.{}", verb.unwrap_or(first))
        }
    }
}

/// The words of a statement outside parentheses.
fn outermost(sql: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut words = Vec::new();
    for word in sql.split_whitespace() {
        if depth == 0 && !word.starts_with('(') {
            words.push(word.trim_end_matches([';', ',']));
        }
        depth += word.matches('(').count();
        depth = depth.saturating_sub(word.matches(')').count());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_by_its_table_and_verb() {
        let names = [
            ("insert into tag (a) values ($1)", "db.tag.insert"),
            ("update upload set a = $1", "db.upload.update"),
            ("delete from tag where a = $1", "db.tag.delete"),
            (
                "select r.name from repository r\n where a = $1",
                "db.repository.select",
            ),
            ("begin immediate", "db.transaction.begin"),
            ("project.list", "db.project.list"),
            (
                "with free as (select shard from project_usage) update project_usage u set a = 1",
                "db.project_usage.update",
            ),
            ("select pg_advisory_xact_lock(1)", "db.transaction.select"),
            ("", "db.transaction.statement"),
        ];
        for (sql, name) in names {
            assert_eq!(span_name(sql), name, "{sql}");
        }
    }
}
