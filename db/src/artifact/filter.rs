//! Which artifacts a list has: conditions on rows of `manifest` (`m`), some of which use other tables.

use model::{Digest, ProjectId, RepositoryId};

use super::{BASE, DIGEST, LABELS, TAGS};
use crate::list::{Conditions, Selection, Test, any_of, containing, like};
use crate::sql::{Value, json_digests, json_list};

/// Whose artifacts a list has.
#[derive(Clone, Copy)]
pub(super) enum Scope {
    /// Those of a repository.
    Repository(RepositoryId),
    /// Those of all repositories that a project shows.
    Project(ProjectId),
}

impl Scope {
    /// The condition on a column that names a repository, and its value.
    fn of(self, column: &str) -> (String, Value) {
        match self {
            Self::Repository(id) => (format!("{column} = $"), id.into()),
            Self::Project(id) => {
                let shown = "select x.id from repository x where x.project_id = $ and x.published = 1 and x.deleted_at is null";
                (format!("{column} in ({shown})"), id.into())
            }
        }
    }
}

/// The artifacts that a selection asks for.
pub(super) fn asked(postgres: bool, scope: Scope, selection: &Selection) -> Conditions {
    let with_parts = selection.tests.iter().any(|(field, _)| *field == BASE);
    let shown = if with_parts {
        "not exists (select 1 from accessory y where y.manifest_id = m.id)"
    } else {
        "m.listed = 1"
    };
    let (there, value) = scope.of("m.repository_id");
    let mut conditions = Conditions::default()
        .and_value(&there, value)
        .and("m.deleted_at is null")
        .and(shown);
    for (field, test) in &selection.tests {
        conditions = match *field {
            BASE => conditions,
            TAGS => tagged(conditions, postgres, scope, test),
            LABELS => labelled(conditions, test),
            DIGEST => digest(conditions, postgres, test),
            _ => conditions.and_tests(postgres, &[(*field, test.clone())]),
        };
    }
    conditions
}

/// The last pushed one of each kind in each repository; a column names the kind. This reads the scope's artifacts once,
/// however many there are of a kind.
pub(super) fn latest(conditions: Conditions, scope: Scope, kind: &str) -> Conditions {
    let (there, of) = scope.of("n.repository_id");
    let last = format!(
        "m.id in (select k.id from (
             select n.id, row_number() over (
                 partition by n.repository_id, n.{kind} order by n.pushed_at desc, n.id desc) as place
             from manifest n where {there} and n.listed = 1 and n.deleted_at is null) k where k.place = 1)"
    );
    conditions.and_value(&last, of)
}

/// Those with a tag, without one, or with certain ones.
fn tagged(conditions: Conditions, postgres: bool, scope: Scope, test: &Test) -> Conditions {
    let (there, of) = scope.of("t.repository_id");
    let (condition, value): (_, Value) = match test {
        Test::Is(text) if text == "*" => return conditions.and("m.tagged = 1"),
        Test::Is(text) if text == "nil" => return conditions.and("m.tagged = 0"),
        Test::Is(text) => ("t.name = $".to_owned(), text.as_str().into()),
        Test::Contains(text) => (like(postgres, "t.name"), containing(text).into()),
        Test::AnyOf(texts) => (any_of(postgres, "t.name"), json_list(texts).into()),
        Test::Number(_) | Test::Flag(_) | Test::Within(..) => return conditions.and("1 = 0"),
    };
    let with = format!("m.id in (select t.manifest_id from tag t where {there} and {condition})");
    conditions.and_values(&with, [of, value])
}

/// Those with a label.
fn labelled(conditions: Conditions, test: &Test) -> Conditions {
    let Test::Number(label) = test else {
        return conditions.and("1 = 0");
    };
    let with = "m.id in (select k.manifest_id from label_link k join label l on l.id = k.label_id and l.deleted_at is null
         where k.label_id = $)";
    conditions.and_value(with, *label)
}

/// Those with a digest, which is stored as bytes.
fn digest(conditions: Conditions, postgres: bool, test: &Test) -> Conditions {
    let parsed = |texts: &[String]| -> Vec<Digest> {
        let digests = texts.iter().map(|text| text.parse());
        digests.filter_map(Result::ok).collect()
    };
    let any = |digests: Vec<Digest>| {
        let condition = if postgres {
            "m.digest = any (array(select decode(json_array_elements_text(cast($ as json)), 'hex')))"
        } else {
            "m.digest in (select unhex(value) from json_each($))"
        };
        (condition, json_digests(&digests))
    };
    let (condition, value) = match test {
        Test::Is(text) => any(parsed(std::slice::from_ref(text))),
        Test::AnyOf(texts) => any(parsed(texts)),
        Test::Contains(text) => {
            let hash = text.rsplit(':').next().unwrap_or_default();
            // The first byte is the algorithm.
            let condition = if postgres {
                "substr(encode(m.digest, 'hex'), 3) like lower($) escape '\\'"
            } else {
                "substr(lower(hex(m.digest)), 3) like lower($) escape '\\'"
            };
            (condition, containing(hash))
        }
        Test::Number(_) | Test::Flag(_) | Test::Within(..) => return conditions.and("1 = 0"),
    };
    conditions.and_value(condition, value)
}
