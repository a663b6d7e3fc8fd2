//! Members of projects.

use model::{AccountId, MemberId, ProjectId, Timestamp};
use policy::Role;

use crate::cache::Touch;
use crate::page::Page;
use crate::sql::Row;
use crate::{Error, Result, Tx};

/// A membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The project.
    pub project: ProjectId,
    /// The account.
    pub account: AccountId,
    /// The account's name.
    pub name: String,
    /// The role held.
    pub role: Role,
}

macro_rules! select {
    () => {
        "select m.id, m.project_id, m.account_id, a.name, m.role
         from member m join account a on a.id = m.account_id where m.project_id = $1 "
    };
}

fn read(row: &Row) -> Result<Member> {
    Ok(Member {
        id: MemberId(row.int("member", "id")?),
        project: ProjectId(row.int("member", "project_id")?),
        account: AccountId(row.int("member", "account_id")?),
        name: row.text("account", "name")?,
        role: Role::from_id(row.int("member", "role")?).ok_or(Error::Corrupt {
            table: "member",
            column: "role",
        })?,
    })
}

/// Makes an account a member.
///
/// # Errors
/// [`Error::Duplicate`] where it is one already.
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
    row.int("member", "id").map(MemberId)
}

/// A membership of a project.
///
/// # Errors
/// When the statement fails.
pub async fn get(tx: &mut Tx, project: ProjectId, id: MemberId) -> Result<Option<Member>> {
    let row = tx
        .query(concat!(select!(), "and m.id = $2"))
        .bind(project)
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// An account's membership of a project.
///
/// # Errors
/// When the statement fails.
pub async fn of_account(
    tx: &mut Tx,
    project: ProjectId,
    account: AccountId,
) -> Result<Option<Member>> {
    let row = tx
        .query(concat!(select!(), "and m.account_id = $2"))
        .bind(project)
        .bind(account)
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// Members by name, only the one of this name where one is given, and how many there are of these.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    tx: &mut Tx,
    project: ProjectId,
    name: Option<&str>,
    page: Page,
) -> Result<(Vec<Member>, i64)> {
    let rows = tx
        .query(concat!(
            select!(),
            "and ($2 is null or a.name = $2) order by a.name limit $3 offset $4"
        ))
        .bind(project)
        .bind(name)
        .bind(page.limit())
        .bind(page.offset)
        .all()
        .await?;
    let count = tx
        .query(
            "select count(*) as total from member m join account a on a.id = m.account_id
             where m.project_id = $1 and ($2 is null or a.name = $2)",
        )
        .bind(project)
        .bind(name)
        .one()
        .await?;
    Ok((
        rows.iter().map(read).collect::<Result<_>>()?,
        count.int("member", "total")?,
    ))
}

/// How many members of a project hold each role; roles that nobody holds are left out.
///
/// # Errors
/// When the statement fails.
pub async fn count_by_role(tx: &mut Tx, project: ProjectId) -> Result<Vec<(Role, i64)>> {
    let rows = tx
        .query("select role, count(*) as total from member where project_id = $1 group by role")
        .bind(project)
        .all()
        .await?;
    let read = |row: &Row| {
        let role = Role::from_id(row.int("member", "role")?).ok_or(Error::Corrupt {
            table: "member",
            column: "role",
        })?;
        Ok((role, row.int("member", "total")?))
    };
    rows.iter().map(read).collect()
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
