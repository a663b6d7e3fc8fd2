//! Groups of users. What they share with other principals is in [`crate::principal`]; their members come from a
//! directory or provider.

use model::{Dn, GroupId, GroupSource, PrincipalId, Timestamp};

use crate::error::Result;
use crate::list::{self, Conditions, Direction, Field, Kind, Page, Selection, Source, Test};
use crate::principal;
use crate::sql::{Reader, Tx, json_list, row};
use crate::touch::Touch;

row! {
    columns group_columns;
    /// A group as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Group of user_group {
        /// Its id.
        pub id: GroupId = g.id,
        /// Its id among principals.
        pub principal_id: PrincipalId = g.principal_id,
        /// Its name.
        pub name: String = p.name,
        /// Where it comes from.
        pub source: GroupSource = g.source,
        /// Its entry in the directory; empty unless it comes from LDAP.
        pub ldap_dn: String = g.ldap_dn,
    }
}

macro_rules! select {
    () => {
        concat!(
            "select ",
            group_columns!(),
            " from user_group g join principal p on p.id = g.principal_id where p.deleted_at is null "
        )
    };
}

/// Makes a group.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the name or the entry in the directory is taken.
pub async fn create(
    tx: &mut Tx,
    (name, source, entry): (&str, GroupSource, Option<&Dn>),
    now: Timestamp,
) -> Result<(GroupId, PrincipalId)> {
    let principal = principal::create(tx, principal::Kind::Group, name).await?;
    let row = tx
        .query(
            "insert into user_group (principal_id, source, ldap_dn, ldap_key, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $5) returning id",
        )
        .bind(principal)
        .bind(source.id())
        .bind(entry.map_or("", Dn::as_str))
        .bind(entry.map_or("", Dn::key))
        .bind(now)
        .one()
        .await?;
    Ok((row.get("user_group", "id")?, principal))
}

/// The group with an id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(reader: &mut Reader, id: GroupId) -> Result<Option<Group>> {
    let row = reader
        .query(concat!(select!(), "and g.id = $1"))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Group::read).transpose()
}

/// The group with a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(reader: &mut Reader, name: &str) -> Result<Option<Group>> {
    let row = reader
        .query(concat!(select!(), "and p.kind = 'group' and p.name = $1"))
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(Group::read).transpose()
}

/// The group of an entry in the directory.
///
/// # Errors
/// When the statement fails.
pub async fn by_entry(reader: &mut Reader, entry: &Dn) -> Result<Option<Group>> {
    let row = reader
        .query(concat!(
            select!(),
            "and g.ldap_key = $1 and g.ldap_key <> ''"
        ))
        .bind(entry.key())
        .optional()
        .await?;
    row.as_ref().map(Group::read).transpose()
}

/// As [`by_id`], and nobody else changes or deletes it until the transaction ends.
///
/// # Errors
/// When a statement fails.
pub async fn hold(tx: &mut Tx, id: GroupId) -> Result<Option<Group>> {
    let Some(found) = by_id(tx, id).await? else {
        return Ok(None);
    };
    match principal::hold_alone(tx, found.principal_id).await? {
        Some(_) => by_id(tx, id).await,
        None => Ok(None),
    }
}

/// Name.
pub const NAME: Field = Field::new("group_name", Kind::Text, "p.name").unique();
/// Entry in the directory, in normalized form.
pub const LDAP_DN: Field = Field::new("ldap_group_dn", Kind::Text, "g.ldap_key").unsorted();

const SOURCE: Source = Source {
    name: "group.list",
    columns: group_columns!(),
    from: "user_group g join principal p on p.id = g.principal_id",
    id: "g.id",
    order: NAME,
};

/// Groups, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(reader: &mut Reader, selection: &Selection) -> Result<(Vec<Group>, i64)> {
    let living = Conditions::default().and("p.deleted_at is null");
    list::list(reader, &SOURCE, living, selection, Group::read).await
}

/// Groups whose name holds a text, the shortest names first, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn search(reader: &mut Reader, text: &str, page: Page) -> Result<(Vec<Group>, i64)> {
    const SHORTEST: Field = Field::new("length", Kind::Text, "length(p.name), p.name").unique();
    let selection = Selection {
        order: Some((SHORTEST, Direction::Up)),
        page,
        ..Selection::all().with(NAME, Test::Contains(text.to_owned()))
    };
    list(reader, &selection).await
}

/// Gives a group another name.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the name is taken.
pub async fn rename(tx: &mut Tx, group: &Group, name: &str, now: Timestamp) -> Result<()> {
    tx.query("update principal set name = $2 where id = $1")
        .bind(group.principal_id)
        .bind(name)
        .execute()
        .await?;
    tx.query("update user_group set updated_at = $2 where id = $1")
        .bind(group.id)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// Deletes a group: its name becomes free, its memberships of projects end, and with them the roles of its members.
///
/// # Errors
/// When a statement fails.
pub async fn delete(tx: &mut Tx, group: &Group, now: Timestamp) -> Result<()> {
    tx.query("update user_group set ldap_dn = '', ldap_key = '', updated_at = $2 where id = $1")
        .bind(group.id)
        .bind(now)
        .execute()
        .await?;
    tx.touch(Touch::Bindings);
    principal::delete(tx, group.principal_id, now).await
}

/// The groups of a source that a principal is in, by their ids among principals.
///
/// # Errors
/// When the statement fails.
pub async fn of_member(
    reader: &mut Reader,
    principal: PrincipalId,
    source: GroupSource,
) -> Result<Vec<PrincipalId>> {
    let rows = reader
        .query(
            "select m.group_id from group_member m join user_group g on g.principal_id = m.group_id
             where m.principal_id = $1 and g.source = $2 order by m.group_id",
        )
        .bind(principal)
        .bind(source.id())
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("group_member", "group_id"))
        .collect()
}

/// Puts a principal into these groups of a source and removes it from all others of that source. Returns whether that
/// changed anything.
///
/// # Errors
/// When a statement fails.
pub async fn set_of_member(
    tx: &mut Tx,
    principal: PrincipalId,
    source: GroupSource,
    groups: &[PrincipalId],
) -> Result<bool> {
    let before = of_member(tx, principal, source).await?;
    let gone: Vec<i64> = before
        .iter()
        .filter(|id| !groups.contains(id))
        .map(|id| id.0)
        .collect();
    let new: Vec<&PrincipalId> = groups.iter().filter(|id| !before.contains(id)).collect();
    if gone.is_empty() && new.is_empty() {
        return Ok(false);
    }
    tx.query_either(
        "delete from group_member where principal_id = $1 and group_id in (select value from json_each($2))",
        "delete from group_member where principal_id = $1
             and group_id = any (array(select cast(json_array_elements_text(cast($2 as json)) as bigint)))",
    )
    .bind(principal)
    .bind(json_list(gone))
    .execute()
    .await?;
    for group in new {
        tx.query("insert into group_member (principal_id, group_id) values ($1, $2) on conflict do nothing")
            .bind(principal)
            .bind(*group)
            .execute()
            .await?;
    }
    tx.touch(Touch::Bindings);
    Ok(true)
}
