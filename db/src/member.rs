//! Members of projects.

use model::{GroupId, MemberId, PrincipalId, ProjectId, Timestamp, UserId};
use policy::Role;

use crate::error::{Error, Result};
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::principal;
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
        /// The member.
        pub principal: PrincipalId = m.principal_id,
        /// The member's name.
        pub name: String = p.name,
        /// The role held.
        pub role: Role = m.role,
    }
    computed {
        user_id: Option<UserId> = "u.id",
        group_id: Option<GroupId> = "g.id",
    }
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A user.
    User(UserId),
    /// A group of users.
    Group(GroupId),
}

impl Member {
    /// What it is.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is neither a user nor a group.
    pub fn entity(&self) -> Result<Entity> {
        let user = self.user_id.map(Entity::User);
        let entity = user.or(self.group_id.map(Entity::Group));
        entity.ok_or(Error::Corrupt {
            table: "member",
            column: "principal_id",
        })
    }

    /// The roles of a group apply to its members.
    fn touch(&self, tx: &mut Tx) {
        tx.touch(match self.group_id {
            Some(_) => Touch::Bindings,
            None => Touch::Member(self.principal, self.project),
        });
    }
}

macro_rules! select {
    () => {
        concat!(
            "select ",
            member_columns!(),
            " from member m join principal p on p.id = m.principal_id
              left join user_account u on u.principal_id = p.id left join user_group g on g.principal_id = p.id
              where m.project_id = $1 "
        )
    };
}

/// Makes a principal a member.
///
/// # Errors
/// [`crate::Error::Duplicate`] if it is one already.
pub async fn add(
    tx: &mut Tx,
    project: ProjectId,
    (principal, kind): (PrincipalId, principal::Kind),
    role: Role,
    now: Timestamp,
) -> Result<MemberId> {
    let row = tx
        .query(
            "insert into member (project_id, principal_id, role, created_at) values ($1, $2, $3, $4) returning id",
        )
        .bind(project)
        .bind(principal)
        .bind(role.id())
        .bind(now)
        .one()
        .await?;
    tx.touch(match kind {
        principal::Kind::Group => Touch::Bindings,
        principal::Kind::User | principal::Kind::Robot | principal::Kind::Workload => {
            Touch::Member(principal, project)
        }
    });
    row.get("member", "id")
}

/// Makes the user who owns a project its first project admin.
///
/// # Errors
/// [`Error::OwnerGone`] if the user was deleted.
pub(crate) async fn add_owner(
    tx: &mut Tx,
    project: ProjectId,
    owner: UserId,
    now: Timestamp,
) -> Result<()> {
    let row = tx
        .query("select principal_id from user_account where id = $1")
        .bind(owner)
        .one()
        .await?;
    let principal = row.get("user_account", "principal_id")?;
    if principal::hold(tx, principal).await?.is_none() {
        return Err(Error::OwnerGone);
    }
    let owner = (principal, principal::Kind::User);
    add(tx, project, owner, Role::ProjectAdmin, now).await?;
    Ok(())
}

/// As [`get`], and nobody else changes or ends it until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx, project: ProjectId, id: MemberId) -> Result<Option<Member>> {
    let row = tx
        .query_either(
            concat!(select!(), "and m.id = $2"),
            concat!(select!(), "and m.id = $2 for update of m"),
        )
        .bind(project)
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Member::read).transpose()
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

/// A principal's membership of a project.
///
/// # Errors
/// When the statement fails.
pub async fn of_principal(
    reader: &mut Reader,
    project: ProjectId,
    principal: PrincipalId,
) -> Result<Option<Member>> {
    let row = reader
        .query(concat!(select!(), "and m.principal_id = $2"))
        .bind(project)
        .bind(principal)
        .optional()
        .await?;
    row.as_ref().map(Member::read).transpose()
}

/// The member's name.
pub const NAME: Field = Field::new("entity_name", Kind::Text, "p.name");

const SOURCE: Source = Source {
    name: "member.list",
    columns: member_columns!(),
    from: "member m join principal p on p.id = m.principal_id
           left join user_account u on u.principal_id = p.id left join user_group g on g.principal_id = p.id",
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

/// Ends all memberships of a project that is deleted, and keeps them for its restoration.
pub(crate) async fn end_all(tx: &mut Tx, project: ProjectId) -> Result<()> {
    for statement in [
        "insert into former_member (project_id, principal_id, role, created_at)
         select project_id, principal_id, role, created_at from member where project_id = $1",
        "delete from member where project_id = $1",
        "delete from expected_member where project_id = $1",
    ] {
        tx.query(statement).bind(project).execute().await?;
    }
    Ok(())
}

/// Removes the members of projects that were deleted at a time or before, at most `limit`; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn prune_former(tx: &mut Tx, deleted: Timestamp, limit: i64) -> Result<u64> {
    tx.query(
        "delete from former_member where (project_id, principal_id) in
             (select f.project_id, f.principal_id from former_member f join project p on p.id = f.project_id
              where p.deleted_at <= $1 limit $2)",
    )
    .bind(deleted)
    .bind(limit)
    .execute()
    .await
}

/// Gives a restored project its members back, except those that were deleted meanwhile.
pub(crate) async fn restore_all(tx: &mut Tx, project: ProjectId) -> Result<()> {
    for statement in [
        "insert into member (project_id, principal_id, role, created_at)
         select project_id, principal_id, role, created_at from former_member where project_id = $1 order by principal_id",
        "delete from former_member where project_id = $1",
    ] {
        tx.query(statement).bind(project).execute().await?;
    }
    Ok(())
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
    member.touch(tx);
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
    member.touch(tx);
    Ok(())
}
