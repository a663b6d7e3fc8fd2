//! People of an OIDC provider who are expected: roles and accounts that wait for whoever has a claim.

use model::{ExpectedMemberId, PrincipalId, ProjectId, Timestamp};
use policy::Role;

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Tx, json_list, row};

/// A claim and its value, of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The issuer.
    pub issuer: String,
    /// The claim.
    pub claim: String,
    /// Its value.
    pub value: String,
}

row! {
    columns expected_columns;
    /// A role that waits for a person.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ExpectedMember of expected_member {
        /// Its id.
        pub id: ExpectedMemberId = e.id,
        /// The project.
        pub project: ProjectId = e.project_id,
        /// The role.
        pub role: Role = e.role,
        /// The issuer.
        pub issuer: String = e.issuer,
        /// The claim.
        pub claim: String = e.claim,
        /// Its value.
        pub value: String = e.value,
        /// When it was made.
        pub created_at: Timestamp = e.created_at,
    }
}

/// Lets a role wait for a person.
///
/// # Errors
/// [`crate::Error::Duplicate`] if one waits for that person.
pub async fn add_member(
    tx: &mut Tx,
    (project, role): (ProjectId, Role),
    expected: &Expected,
    now: Timestamp,
) -> Result<ExpectedMemberId> {
    let row = tx
        .query(
            "insert into expected_member (project_id, role, issuer, claim, value, created_at)
             values ($1, $2, $3, $4, $5, $6) returning id",
        )
        .bind(project)
        .bind(role.id())
        .bind(expected.issuer.as_str())
        .bind(expected.claim.as_str())
        .bind(expected.value.as_str())
        .bind(now)
        .one()
        .await?;
    row.get("expected_member", "id")
}

/// How many roles wait in a project.
///
/// # Errors
/// When the statement fails.
pub async fn count_members(reader: &mut Reader, project: ProjectId) -> Result<i64> {
    let row = reader
        .query("select count(*) as total from expected_member where project_id = $1")
        .bind(project)
        .one()
        .await?;
    row.get("expected_member", "total")
}

const VALUE: Field = Field::new("value", Kind::Text, "e.value");

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 3] = [
    VALUE,
    Field::new("claim", Kind::Text, "e.claim").unsorted(),
    Field::new("id", Kind::Int, "e.id").unique(),
];

const SOURCE: Source = Source {
    name: "expected_member.list",
    columns: expected_columns!(),
    from: "expected_member e",
    id: "e.id",
    order: VALUE,
};

/// Roles that wait in a project, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn members(
    reader: &mut Reader,
    project: ProjectId,
    selection: &Selection,
) -> Result<(Vec<ExpectedMember>, i64)> {
    let of_project = Conditions::default().and_value("e.project_id = $", project);
    list::list(reader, &SOURCE, of_project, selection, ExpectedMember::read).await
}

/// Roles that wait for somebody with these claims.
///
/// # Errors
/// When the statement fails.
pub async fn members_for(
    reader: &mut Reader,
    issuer: &str,
    claims: &[(String, String)],
) -> Result<Vec<ExpectedMember>> {
    let rows = reader
        .query_either(
            concat!(
                "select ",
                expected_columns!(),
                " from expected_member e join json_each($2) h on e.claim = h.value ->> 0 and e.value = h.value ->> 1
                 where e.issuer = $1 order by e.id limit 1000"
            ),
            concat!(
                "select ",
                expected_columns!(),
                " from expected_member e join json_array_elements(cast($2 as json)) as h (value)
                 on e.claim = h.value ->> 0 and e.value = h.value ->> 1
                 where e.issuer = $1 order by e.id limit 1000"
            ),
        )
        .bind(issuer)
        .bind(json_list(claims))
        .all()
        .await?;
    rows.iter().map(ExpectedMember::read).collect()
}

/// Removes a role that waits in a project; returns it, if it was there.
///
/// # Errors
/// When the statement fails.
pub async fn take_member(
    tx: &mut Tx,
    project: ProjectId,
    id: ExpectedMemberId,
) -> Result<Option<ExpectedMember>> {
    let row = tx
        .query(concat!(
            "select ",
            expected_columns!(),
            " from expected_member e where e.project_id = $1 and e.id = $2"
        ))
        .bind(project)
        .bind(id)
        .optional()
        .await?;
    let found = row.as_ref().map(ExpectedMember::read).transpose()?;
    let removed = tx
        .query("delete from expected_member where project_id = $1 and id = $2")
        .bind(project)
        .bind(id)
        .execute()
        .await?;
    Ok(found.filter(|_| removed == 1))
}

/// Lets an account wait for its person.
///
/// # Errors
/// [`crate::Error::Duplicate`] if another account waits for the same person.
pub async fn set_identity(
    tx: &mut Tx,
    principal: PrincipalId,
    expected: &Expected,
    now: Timestamp,
) -> Result<()> {
    tx.query("delete from expected_identity where principal_id = $1")
        .bind(principal)
        .execute()
        .await?;
    tx.query(
        "insert into expected_identity (principal_id, issuer, claim, value, created_at) values ($1, $2, $3, $4, $5)",
    )
    .bind(principal)
    .bind(expected.issuer.as_str())
    .bind(expected.claim.as_str())
    .bind(expected.value.as_str())
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Accounts that wait for somebody with these claims.
///
/// # Errors
/// When the statement fails.
pub async fn identities_for(
    reader: &mut Reader,
    issuer: &str,
    claims: &[(String, String)],
) -> Result<Vec<PrincipalId>> {
    let rows = reader
        .query_either(
            "select distinct e.principal_id from expected_identity e
             join json_each($2) h on e.claim = h.value ->> 0 and e.value = h.value ->> 1
             where e.issuer = $1 order by e.principal_id limit 2",
            "select distinct e.principal_id from expected_identity e join json_array_elements(cast($2 as json)) as h (value)
             on e.claim = h.value ->> 0 and e.value = h.value ->> 1
             where e.issuer = $1 order by e.principal_id limit 2",
        )
        .bind(issuer)
        .bind(json_list(claims))
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("expected_identity", "principal_id"))
        .collect()
}

/// An account waits for nobody any more.
///
/// # Errors
/// When the statement fails.
pub async fn remove_identity(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    tx.query("delete from expected_identity where principal_id = $1")
        .bind(principal)
        .execute()
        .await?;
    Ok(())
}
