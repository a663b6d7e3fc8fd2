//! Marks of what `gantry apply` made: `--prune` removes only what has one. A mark names a row, so what somebody makes
//! under the same name later has none. It knows no person: of a member it has only the row's id.

use model::{PrincipalId, ProjectId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Tx, row, stored_names};

/// What a marked object is. The order is the one in which objects are made: each needs only those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A project.
    Project,
    /// A membership of a project.
    Member,
    /// A label of a project or of the installation.
    Label,
    /// A robot of a project.
    Robot,
    /// Another registry.
    Registry,
    /// A rule for immutable tags.
    ImmutableRule,
    /// The retention policy of a project.
    Retention,
    /// A policy of replication.
    Replication,
}

stored_names! {
    Kind {
        Project = "project",
        Member = "member",
        Label = "label",
        Robot = "robot",
        Registry = "registry",
        ImmutableRule = "immutable_rule",
        Retention = "retention_policy",
        Replication = "replication_policy",
    }
}

row! {
    columns mark_columns;
    /// A mark.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Mark of applied {
        /// What the object is.
        pub kind: Kind = a.kind,
        /// Its id among those of its kind.
        pub object: i64 = a.object_id,
        /// Its project; `None` for a project, and for an object of the whole installation.
        pub project: Option<ProjectId> = a.project_id,
        /// What it was called when it was made: what has another name now was renamed by hand. Empty for a member.
        pub name: String = a.name,
    }
}

/// Removes the marks of objects that are gone. Those of other kinds, which a newer process may have made, stay.
pub(crate) const FORGET_GONE: &str = "delete from applied
     where (kind = 'project' and not exists (select 1 from project o where o.id = applied.object_id))
     or (kind = 'member' and not exists (select 1 from member o where o.id = applied.object_id))
     or (kind = 'label' and not exists (select 1 from label o where o.id = applied.object_id))
     or (kind = 'robot' and not exists (select 1 from robot o where o.id = applied.object_id))
     or (kind = 'registry' and not exists (select 1 from registry o where o.id = applied.object_id))
     or (kind = 'immutable_rule' and not exists (select 1 from immutable_rule o where o.id = applied.object_id))
     or (kind = 'retention_policy' and not exists (select 1 from retention_policy o where o.id = applied.object_id))
     or (kind = 'replication_policy' and not exists (select 1 from replication_policy o where o.id = applied.object_id))";

/// The marks of objects that exist, by kind and id.
///
/// # Errors
/// When the statement fails.
pub async fn all(reader: &mut Reader) -> Result<Vec<Mark>> {
    let rows = reader
        .query(concat!(
            "select ",
            mark_columns!(),
            " from applied a
             where (exists (select 1 from project o where a.kind = 'project' and o.id = a.object_id and o.deleted_at is null)
                 or exists (select 1 from member o where a.kind = 'member' and o.id = a.object_id)
                 or exists (select 1 from label o where a.kind = 'label' and o.id = a.object_id and o.deleted_at is null)
                 or exists (select 1 from robot o where a.kind = 'robot' and o.id = a.object_id)
                 or exists (select 1 from registry o where a.kind = 'registry' and o.id = a.object_id)
                 or exists (select 1 from immutable_rule o where a.kind = 'immutable_rule' and o.id = a.object_id)
                 or exists (select 1 from retention_policy o where a.kind = 'retention_policy' and o.id = a.object_id)
                 or exists (select 1 from replication_policy o where a.kind = 'replication_policy' and o.id = a.object_id))
             and not exists (select 1 from project p where p.id = a.project_id and p.deleted_at is not null)
             order by a.kind, a.object_id"
        ))
        .all()
        .await?;
    rows.iter().map(Mark::read).collect()
}

/// Marks an object.
///
/// # Errors
/// When the statement fails.
pub async fn put(tx: &mut Tx, mark: &Mark, now: Timestamp) -> Result<()> {
    tx.query(
        "insert into applied (kind, object_id, project_id, name, at) values ($1, $2, $3, $4, $5)
         on conflict (kind, object_id) do update
             set project_id = excluded.project_id, name = excluded.name, at = excluded.at",
    )
    .bind(mark.kind)
    .bind(mark.object)
    .bind(mark.project)
    .bind(mark.name.as_str())
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Removes the marks of objects that are gone.
///
/// # Errors
/// When the statement fails.
pub async fn forget_gone(tx: &mut Tx) -> Result<()> {
    tx.query(FORGET_GONE).execute().await?;
    Ok(())
}

/// Removes the marks of a project and of what is in it: it is somebody's own from now on.
///
/// # Errors
/// When the statement fails.
pub async fn forget_project(tx: &mut Tx, project: ProjectId) -> Result<()> {
    tx.query("delete from applied where (kind = 'project' and object_id = $1) or project_id = $1")
        .bind(project)
        .execute()
        .await?;
    Ok(())
}

/// Removes the marks of a principal's memberships, which are about to go.
pub(crate) async fn forget_members(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    tx.query(
        "delete from applied
         where kind = 'member' and object_id in (select id from member where principal_id = $1)",
    )
    .bind(principal)
    .execute()
    .await?;
    Ok(())
}
