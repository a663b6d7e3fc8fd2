//! What differs between an object and the file that names it.

use std::fmt::Display;

use model::ProjectId;

/// An object that exists, and what a file says otherwise.
#[derive(Debug)]
pub(super) struct Found {
    /// Its id among those of its kind.
    pub(super) id: i64,
    /// What differs.
    pub(super) changes: Changes,
}

/// An object that was made.
pub(super) struct Made {
    /// Its id among those of its kind.
    pub(super) id: i64,
    /// The project that it is in.
    pub(super) project: Option<ProjectId>,
    /// Whether its secret, if it has one, was handed over.
    pub(super) handed: anyhow::Result<()>,
}

impl Made {
    /// An object without a secret, or one whose secret was handed over.
    pub(super) fn new(id: i64, project: Option<ProjectId>) -> Self {
        let handed = Ok(());
        Self {
            id,
            project,
            handed,
        }
    }
}

/// Fields that differ: their names, what they are, and what they become.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<(String, String, String)>);

impl Changes {
    /// Compares a field. One that the file leaves out stays as it is.
    pub(super) fn compare(&mut self, field: &str, old: impl Display, new: Option<impl Display>) {
        let Some(new) = new else { return };
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            self.0.push((field.to_owned(), shown(old), shown(new)));
        }
    }

    /// A field that differs, and whose values are not for everyone.
    pub(super) fn hide(&mut self, field: &str) {
        let (old, new) = ("(hidden)".to_owned(), "(hidden)".to_owned());
        self.0.push((field.to_owned(), old, new));
    }

    /// Whether nothing differs.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line for each field.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let line = |(field, old, new): &(String, String, String)| format!("{field}: {old} → {new}");
        self.0.iter().map(line)
    }
}

fn shown(value: String) -> String {
    match value.as_str() {
        "" => "\"\"".to_owned(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_left_out_does_not_differ() {
        let mut changes = Changes::default();
        changes.compare("public", true, None::<bool>);
        changes.compare("public", true, Some(true));
        assert!(changes.is_empty());
        changes.compare("public", true, Some(false));
        changes.compare("description", "", Some("for CI"));
        changes.hide("secret");
        let lines: Vec<String> = changes.lines().collect();
        assert_eq!(
            lines,
            [
                "public: true → false",
                "description: \"\" → for CI",
                "secret: (hidden) → (hidden)"
            ]
        );
    }
}
