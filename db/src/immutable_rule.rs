//! Rules for immutable tags in projects.

use model::{ImmutableRuleId, ProjectId, Timestamp};

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Tx, row};

row! {
    columns rule_columns;
    /// A rule.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Rule of immutable_rule {
        /// Its id.
        pub id: ImmutableRuleId = i.id,
        /// Its project.
        pub project: ProjectId = i.project_id,
        /// Whether it has an effect.
        pub enabled: bool = i.enabled,
        /// What it says, as JSON.
        pub selectors: String = i.selectors,
        /// When it was made.
        pub created_at: Timestamp = i.created_at,
    }
}

/// Id.
pub const ID: Field = Field::new("id", Kind::Int, "i.id").unique();

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 3] = [
    ID,
    Field::new("creation_time", Kind::Time, "i.created_at"),
    Field::new("disabled", Kind::Flag, "(1 - i.enabled)"),
];

const SOURCE: Source = Source {
    name: "immutable_rule.list",
    columns: rule_columns!(),
    from: "immutable_rule i",
    id: "i.id",
    order: ID,
};

/// Rules of a project, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    project: ProjectId,
    selection: &Selection,
) -> Result<(Vec<Rule>, i64)> {
    let of_project = Conditions::default().and_value("i.project_id = $", project);
    list::list(reader, &SOURCE, of_project, selection, Rule::read).await
}

/// The texts of the enabled rules of a project.
///
/// # Errors
/// When the statement fails.
pub async fn in_effect(reader: &mut Reader, project: ProjectId) -> Result<Vec<String>> {
    let rows = reader
        .query("select selectors from immutable_rule where project_id = $1 and enabled = 1 order by id")
        .bind(project)
        .all()
        .await?;
    let read = |row: &crate::sql::Row| row.get("immutable_rule", "selectors");
    rows.iter().map(read).collect()
}

/// A rule of a project.
///
/// # Errors
/// When the statement fails.
pub async fn get(
    reader: &mut Reader,
    project: ProjectId,
    id: ImmutableRuleId,
) -> Result<Option<Rule>> {
    let row = reader
        .query(concat!(
            "select ",
            rule_columns!(),
            " from immutable_rule i where i.project_id = $1 and i.id = $2"
        ))
        .bind(project)
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Rule::read).transpose()
}

/// How many rules a project has.
///
/// # Errors
/// When the statement fails.
pub async fn count(reader: &mut Reader, project: ProjectId) -> Result<i64> {
    let row = reader
        .query("select count(*) as total from immutable_rule where project_id = $1")
        .bind(project)
        .one()
        .await?;
    row.get("immutable_rule", "total")
}

/// Makes a rule, which takes effect at once.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the project has one with the same text.
pub async fn create(
    tx: &mut Tx,
    project: ProjectId,
    selectors: &str,
    now: Timestamp,
) -> Result<ImmutableRuleId> {
    let row = tx
        .query(
            "insert into immutable_rule (project_id, enabled, selectors, created_at)
             values ($1, 1, $2, $3) returning id",
        )
        .bind(project)
        .bind(selectors)
        .bind(now)
        .one()
        .await?;
    row.get("immutable_rule", "id")
}

/// Changes a rule.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the project has another one with the same text.
pub async fn update(
    tx: &mut Tx,
    id: ImmutableRuleId,
    enabled: bool,
    selectors: &str,
) -> Result<()> {
    tx.query("update immutable_rule set enabled = $2, selectors = $3 where id = $1")
        .bind(id)
        .bind(enabled)
        .bind(selectors)
        .execute()
        .await?;
    Ok(())
}

/// Deletes a rule.
///
/// # Errors
/// When the statement fails.
pub async fn delete(tx: &mut Tx, id: ImmutableRuleId) -> Result<()> {
    tx.query("delete from immutable_rule where id = $1")
        .bind(id)
        .execute()
        .await?;
    Ok(())
}
