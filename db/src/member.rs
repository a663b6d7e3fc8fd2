//! Members of projects.

use model::{AccountId, MemberId, ProjectId, Timestamp};
use policy::Role;

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Tx, row};
use crate::touch::Touch;

row! {
    columns member_columns;
    /// A membership.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Member of member {
        /// Its id.
        pub id: MemberId = m.id,
        /// The project.
        pub project: ProjectId = m.project_id,
        /// The account.
        pub account: AccountId = m.account_id,
        /// The account's name.
        pub name: String = a.name,
        /// The role held.
        pub role: Role = m.role,
    }
}

macro_rules! select {
    () => {
        concat!(
            "select ",
            member_columns!(),
            " from member m join account a on a.id = m.account_id where m.project_id = $1 "
        )
    };
}

/// Makes an account a member.
///
/// # Errors
/// [`crate::Error::Duplicate`] where it is one already.
pub async fn add(
    tx: &mut Tx,
    project: ProjectId,
    account: AccountId,
    role: Role,
    now: Timestamp,
) -> Result<MemberId> {
    let row = tx
        .query(
            "insert into member (project_id, account_id, role, created_at) values ($1, $2, $3, $4) returning id",
        )
        .bind(project)
        .bind(account)
        .bind(role.id())
        .bind(now)
        .one()
        .await?;
    tx.touch(Touch::Account(account));
    row.get("member", "id")
}

/// A membership of a project.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, project: ProjectId, id: MemberId) -> Result<Option<Member>> {
    let row = reader
        .query(concat!(select!(), "and m.id = $2"))
        .bind(project)
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Member::read).transpose()
}

/// An account's membership of a project.
///
/// # Errors
/// When the statement fails.
pub async fn of_account(
    reader: &mut Reader,
    project: ProjectId,
    account: AccountId,
) -> Result<Option<Member>> {
    let row = reader
        .query(concat!(select!(), "and m.account_id = $2"))
        .bind(project)
        .bind(account)
        .optional()
        .await?;
    row.as_ref().map(Member::read).transpose()
}

/// The member's name.
pub const NAME: Field = Field::new("entity_name", Kind::Text, "a.name").unique();

const SOURCE: Source = Source {
    name: "member.list",
    columns: member_columns!(),
    from: "member m join account a on a.id = m.account_id",
    id: "m.id",
    order: NAME,
};

/// Members of a project, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    project: ProjectId,
    selection: &Selection,
) -> Result<(Vec<Member>, i64)> {
    let of_project = Conditions::default().and_value("m.project_id = $", project);
    list::list(reader, &SOURCE, of_project, selection, Member::read).await
}

/// How many members of a project hold each role; roles that nobody holds are left out.
///
/// # Errors
/// When the statement fails.
pub async fn count_by_role(reader: &mut Reader, project: ProjectId) -> Result<Vec<(Role, i64)>> {
    let rows = reader
        .query("select role, count(*) as total from member where project_id = $1 group by role")
        .bind(project)
        .all()
        .await?;
    rows.iter()
        .map(|row| Ok((row.get("member", "role")?, row.get("member", "total")?)))
        .collect()
}

/// Changes a member's role.
///
/// # Errors
/// When the statement fails.
pub async fn set_role(tx: &mut Tx, member: &Member, role: Role) -> Result<()> {
    tx.query("update member set role = $2 where id = $1")
        .bind(member.id)
        .bind(role.id())
        .execute()
        .await?;
    tx.touch(Touch::Account(member.account));
    Ok(())
}

/// Ends a membership.
///
/// # Errors
/// When the statement fails.
pub async fn remove(tx: &mut Tx, member: &Member) -> Result<()> {
    tx.query("delete from member where id = $1")
        .bind(member.id)
        .execute()
        .await?;
    tx.touch(Touch::Account(member.account));
    Ok(())
}
