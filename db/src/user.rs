//! Users. What they share with other principals is in [`crate::principal`].

use model::{PrincipalId, Timestamp, UserId};

use crate::error::Result;
use crate::list::{self, Conditions, Direction, Field, Kind, Page, Selection, Source, Test};
use crate::principal;
use crate::sql::{Reader, Row, Tx, row};
use crate::touch::Touch;

row! {
    columns user_columns;
    /// A user as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct User of user_account {
        /// Its id.
        pub id: UserId = u.id,
        /// Its id among principals.
        pub principal_id: PrincipalId = u.principal_id,
        /// The name to sign in with.
        pub name: String = p.name,
        /// Mail address; only the built-in administrator may have none.
        pub email: Option<String> = u.email,
        /// The address to which links are mailed: a link mailed there was opened, or an administrator set it.
        pub verified_email: Option<String> = u.verified_email,
        /// The person's name.
        pub realname: String = u.realname,
        /// Free text.
        pub comment: String = u.comment,
        /// argon2id in PHC form; `None` if there is no local password.
        pub password_hash: Option<String> = u.password_hash,
        /// Whether it may do everything.
        pub sysadmin: bool = u.sysadmin,
        /// Whether its address still has to be verified before it can sign in.
        pub unverified: bool = u.unverified,
        /// Raised to void existing tokens.
        pub generation: i64 = p.generation,
        /// When it was made.
        pub created_at: Timestamp = u.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = u.updated_at,
    }
    computed {
        /// Whether it comes from a directory, which then has its password, name and mail address.
        pub is_external: bool = "(select count(*) from identity i where i.principal_id = u.principal_id)",
        /// Whether a group of the directory makes it a system administrator.
        pub is_external_admin: bool = "(select count(*) from identity i where i.principal_id = u.principal_id and i.admin = 1)",
    }
}

macro_rules! select {
    () => {
        concat!(
            "select ",
            user_columns!(),
            " from user_account u join principal p on p.id = u.principal_id
              where p.kind = 'user' and p.deleted_at is null "
        )
    };
}

impl User {
    /// True if links are mailed to its address.
    pub fn is_email_verified(&self) -> bool {
        self.email.is_some() && self.email == self.verified_email
    }
}

/// A new user.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The name to sign in with.
    pub name: String,
    /// Mail address.
    pub email: Option<String>,
    /// Whether links may be mailed there, because an administrator gave the address.
    pub email_verified: bool,
    /// The person's name.
    pub realname: String,
    /// Free text.
    pub comment: String,
    /// argon2id in PHC form.
    pub password_hash: Option<String>,
    /// Whether it may do everything.
    pub sysadmin: bool,
    /// Whether its address has to be verified before it can sign in.
    pub unverified: bool,
}

impl NewUser {
    fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified)
    }
}

/// Makes a user.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the name is taken.
pub async fn create(tx: &mut Tx, new: &NewUser, now: Timestamp) -> Result<(UserId, PrincipalId)> {
    let principal = principal::create(tx, principal::Kind::User, &new.name).await?;
    let row = tx
        .query(
            "insert into user_account (principal_id, email, realname, comment, password_hash, sysadmin, unverified, created_at, updated_at, verified_email)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9) returning id",
        )
        .bind(principal)
        .bind(new.email.as_deref())
        .bind(new.realname.as_str())
        .bind(new.comment.as_str())
        .bind(new.password_hash.as_deref())
        .bind(new.sysadmin)
        .bind(new.unverified)
        .bind(now)
        .bind(new.verified_email())
        .one()
        .await?;
    Ok((row.get("user_account", "id")?, principal))
}

/// Makes the built-in administrator, id 1, and reserves id 2 as Harbor does, unless they exist. Returns whether they
/// were made.
///
/// # Errors
/// When a statement fails.
pub async fn create_admin(tx: &mut Tx, new: &NewUser, now: Timestamp) -> Result<bool> {
    let made = tx
        .query(
            "insert into principal (id, kind, name, generation, deleted_at)
             values (1, 'user', $1, 1, null), (2, 'user', 'anonymous', 1, $2) on conflict do nothing",
        )
        .bind(new.name.as_str())
        .bind(now)
        .execute()
        .await?;
    if made == 0 {
        return Ok(false);
    }
    tx.query(
        "insert into user_account (id, principal_id, email, realname, comment, password_hash, sysadmin, created_at, updated_at, verified_email)
         values (1, 1, $1, $2, $3, $4, 1, $5, $5, $6), (2, 2, null, '', '', null, 0, $5, $5, null)",
    )
    .bind(new.email.as_deref())
    .bind(new.realname.as_str())
    .bind(new.comment.as_str())
    .bind(new.password_hash.as_deref())
    .bind(now)
    .bind(new.verified_email())
    .execute()
    .await?;
    tx.query_either(
        "select 1 as done",
        "select setval(pg_get_serial_sequence('principal', 'id'), 2), setval(pg_get_serial_sequence('user_account', 'id'), 2)",
    )
    .one()
    .await?;
    Ok(true)
}

/// The user with an id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(reader: &mut Reader, id: UserId) -> Result<Option<User>> {
    let row = reader
        .query(concat!(select!(), "and u.id = $1"))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(User::read).transpose()
}

/// The user that is a principal.
///
/// # Errors
/// When the statement fails.
pub async fn by_principal(reader: &mut Reader, id: PrincipalId) -> Result<Option<User>> {
    let row = reader
        .query(concat!(select!(), "and u.principal_id = $1"))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(User::read).transpose()
}

/// The user with a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(reader: &mut Reader, name: &str) -> Result<Option<User>> {
    let row = reader
        .query(concat!(select!(), "and p.name = $1"))
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(User::read).transpose()
}

/// Name.
pub const NAME: Field = Field::new("username", Kind::Text, "p.name").unique();
/// Mail address.
pub const EMAIL: Field = Field::new("email", Kind::Text, "u.email").unsorted();

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 6] = [
    NAME,
    EMAIL,
    Field::new("sysadmin_flag", Kind::Flag, "u.sysadmin").unsorted(),
    Field::new("creation_time", Kind::Time, "u.created_at"),
    Field::new("update_time", Kind::Time, "u.updated_at"),
    Field::new("user_id", Kind::Int, "u.id").unique(),
];

const SOURCE: Source = Source {
    name: "user.list",
    columns: user_columns!(),
    from: "user_account u join principal p on p.id = u.principal_id",
    id: "u.id",
    order: NAME,
};

/// Created users, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Without the built-in administrator, as in Harbor's list.
    Made,
    /// With the built-in administrator.
    All,
}

/// Users, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    scope: Scope,
    selection: &Selection,
) -> Result<(Vec<User>, i64)> {
    /// Ids of the built-in administrator and of `anonymous`, which is reserved.
    const BUILT_IN: i64 = 2;
    let mut conditions = Conditions::default().and("p.kind = 'user' and p.deleted_at is null");
    if scope == Scope::Made {
        conditions = conditions.and_value("u.id > $", BUILT_IN);
    }
    list::list(reader, &SOURCE, conditions, selection, User::read).await
}

/// Users whose name holds a text, the shortest names first, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn search(reader: &mut Reader, text: &str, page: Page) -> Result<(Vec<User>, i64)> {
    const SHORTEST: Field = Field::new("length", Kind::Text, "length(p.name), p.name").unique();
    let selection = Selection {
        order: Some((SHORTEST, Direction::Up)),
        page,
        ..Selection::all().with(NAME, Test::Contains(text.to_owned()))
    };
    list(reader, Scope::All, &selection).await
}

/// Keeps others from taking a mail address until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold_email(tx: &mut Tx, email: &str) -> Result<()> {
    if tx.is_postgres() {
        tx.query("select 1 as locked from pg_advisory_xact_lock(7107, hashtext($1))")
            .bind(email.to_ascii_lowercase())
            .one()
            .await?;
    }
    Ok(())
}

/// Whether a user other than `id` has a mail address, or has it as its last verified one, in any letter case. Deleted
/// users have none, and those from directories do not count.
///
/// # Errors
/// When the statement fails.
pub async fn is_email_taken(reader: &mut Reader, email: &str, id: Option<UserId>) -> Result<bool> {
    let row = reader
        .query(
            "select u.id from user_account u where (lower(u.email) = $1 or lower(u.verified_email) = $1) and u.id <> $2
                 and not exists (select 1 from identity i where i.principal_id = u.principal_id) limit 1",
        )
        .bind(email.to_ascii_lowercase())
        .bind(id.map_or(0, |id| id.0))
        .optional()
        .await?;
    Ok(row.is_some())
}

/// Users to whom links for a new password are mailed at an address, in any letter case: those with a local password and
/// a verified address, oldest first, then those who must verify it before they can sign in. At most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn to_mail(reader: &mut Reader, email: &str, limit: i64) -> Result<Vec<User>> {
    let rows = reader
        .query(concat!(
            select!(),
            "and (lower(u.verified_email) = $1 or (u.unverified = 1 and lower(u.email) = $1))
             and u.password_hash is not null order by u.unverified, u.id limit $2"
        ))
        .bind(email.to_ascii_lowercase())
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(User::read).collect()
}

/// Users created before a time whose address is still not verified, oldest first, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn unverified_since(
    reader: &mut Reader,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<User>> {
    let rows = reader
        .query(concat!(
            select!(),
            "and u.unverified = 1 and u.created_at < $1 order by u.created_at limit $2"
        ))
        .bind(before)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(User::read).collect()
}

/// Marks the address of a user as verified: it can sign in from now on, and links are mailed there.
///
/// # Errors
/// When the statement fails.
pub async fn set_verified(tx: &mut Tx, user: &User, now: Timestamp) -> Result<()> {
    tx.query("update user_account set verified_email = email where id = $1")
        .bind(user.id)
        .execute()
        .await?;
    let_in(tx, user, now).await
}

/// Lets a user sign in from now on, whether or not its address is verified.
///
/// # Errors
/// When the statement fails.
pub async fn let_in(tx: &mut Tx, user: &User, now: Timestamp) -> Result<()> {
    tx.query("update user_account set unverified = 0, updated_at = $2 where id = $1")
        .bind(user.id)
        .bind(now)
        .execute()
        .await?;
    tx.touch(Touch::Principal(user.principal_id));
    Ok(())
}

/// Changes mail address, name and comment. Links are still mailed to the previous address, unless the new one is
/// `email_verified`.
///
/// # Errors
/// When the statement fails.
pub async fn set_profile(
    tx: &mut Tx,
    user: &User,
    (email, realname, comment): (&str, &str, &str),
    email_verified: bool,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update user_account set email = $2, realname = $3, comment = $4, updated_at = $5,
             verified_email = case when $6 = 1 then $2 else verified_email end
         where id = $1",
    )
    .bind(user.id)
    .bind(email)
    .bind(realname)
    .bind(comment)
    .bind(now)
    .bind(email_verified)
    .execute()
    .await?;
    Ok(())
}

/// Stores what a directory says about a user.
///
/// # Errors
/// When the statement fails.
pub async fn set_person(
    tx: &mut Tx,
    principal: PrincipalId,
    (email, realname): (Option<&str>, &str),
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update user_account set email = $2, realname = $3, updated_at = $4
         where principal_id = $1 and (coalesce(email, '') <> coalesce($2, '') or realname <> $3)",
    )
    .bind(principal)
    .bind(email)
    .bind(realname)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Gives a user another name to sign in with.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the name is taken.
pub async fn rename(tx: &mut Tx, principal: PrincipalId, name: &str) -> Result<()> {
    tx.query("update principal set name = $2 where id = $1")
        .bind(principal)
        .bind(name)
        .execute()
        .await?;
    tx.touch(Touch::Principal(principal));
    Ok(())
}

/// Changes the password and voids all existing tokens.
///
/// # Errors
/// When a statement fails.
pub async fn set_password(tx: &mut Tx, user: &User, hash: &str, now: Timestamp) -> Result<()> {
    tx.query("update user_account set password_hash = $2, updated_at = $3 where id = $1")
        .bind(user.id)
        .bind(hash)
        .bind(now)
        .execute()
        .await?;
    principal::void_tokens(tx, user.principal_id).await
}

/// Removes the password: the user signs in by a directory or a provider alone.
///
/// # Errors
/// When the statement fails.
pub async fn remove_password(tx: &mut Tx, id: UserId, now: Timestamp) -> Result<()> {
    tx.query("update user_account set password_hash = null, unverified = 0, updated_at = $2 where id = $1")
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// Grants or revokes the right to do everything.
///
/// # Errors
/// When the statement fails.
pub async fn set_sysadmin(tx: &mut Tx, user: &User, sysadmin: bool, now: Timestamp) -> Result<()> {
    tx.query("update user_account set sysadmin = $2, updated_at = $3 where id = $1")
        .bind(user.id)
        .bind(sysadmin)
        .bind(now)
        .execute()
        .await?;
    tx.touch(Touch::Principal(user.principal_id));
    Ok(())
}

/// Whether a user is a system administrator now, by themselves or by a group of a directory or provider.
///
/// # Errors
/// When the statement fails.
pub async fn is_sysadmin(reader: &mut Reader, principal: PrincipalId) -> Result<bool> {
    let row = reader
        .query(
            "select 1 as found from user_account u left join identity i on i.principal_id = u.principal_id
             where u.principal_id = $1 and (u.sysadmin = 1 or (i.admin = 1 and i.active = 1))",
        )
        .bind(principal)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// Whether a user is the only system administrator. Locks all of them, so that if two demote each other, the second one
/// sees what the first one did. Deleted users do not count.
///
/// # Errors
/// When the statement fails.
pub async fn is_last_sysadmin(tx: &mut Tx, id: UserId) -> Result<bool> {
    let rows = tx
        .query_either(
            "select id from user_account where sysadmin = 1 order by id",
            "select id from user_account where sysadmin = 1 order by id for update",
        )
        .all()
        .await?;
    let first = rows.first().map(|row| row.get("user_account", "id"));
    Ok(rows.len() == 1 && first.transpose()? == Some(id.0))
}

/// A user, deleted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyUser {
    /// Its id.
    pub id: UserId,
    /// Its id among principals.
    pub principal: PrincipalId,
    /// The name that it has or had.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

impl AnyUser {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("user_account", "id")?,
            principal: row.get("user_account", "principal_id")?,
            name: row.get("principal", "name")?,
            created_at: row.get("user_account", "created_at")?,
            is_deleted: row.get("principal", "is_deleted")?,
        })
    }
}

macro_rules! select_any {
    () => {
        "select u.id, u.principal_id, p.name, u.created_at, (case when p.deleted_at is null then 0 else 1 end) as is_deleted
         from user_account u join principal p on p.id = u.principal_id "
    };
}

/// The user with an id, deleted or not.
///
/// # Errors
/// When the statement fails.
pub async fn any_by_id(reader: &mut Reader, id: UserId) -> Result<Option<AnyUser>> {
    let row = reader
        .query(concat!(select_any!(), "where u.id = $1"))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(AnyUser::read).transpose()
}

/// Users that have or had a name, at most 100, the newest first.
///
/// # Errors
/// When the statement fails.
pub async fn any_by_name(reader: &mut Reader, name: &str) -> Result<Vec<AnyUser>> {
    let rows = reader
        .query(concat!(
            select_any!(),
            "where p.kind = 'user' and p.name = $1 order by u.id desc limit 100"
        ))
        .bind(name)
        .all()
        .await?;
    rows.iter().map(AnyUser::read).collect()
}

/// Replaces the name of a deleted user, and what else is known about the person.
///
/// # Errors
/// When a statement fails.
pub async fn erase(tx: &mut Tx, principal: PrincipalId, pseudonym: &str) -> Result<()> {
    let row = tx
        .query("select name from principal where id = $1")
        .bind(principal)
        .one()
        .await?;
    let name: String = row.get("principal", "name")?;
    erase_copies(tx, principal, (&name, pseudonym)).await?;
    tx.query("update principal set name = $2 where id = $1")
        .bind(principal)
        .bind(pseudonym)
        .execute()
        .await?;
    tx.query("update user_account set realname = '', comment = '' where principal_id = $1")
        .bind(principal)
        .execute()
        .await?;
    tx.touch(Touch::Principal(principal));
    Ok(())
}

/// Replaces the name of a user in what was copied from the audit log, or will be sent. While the log still has the name,
/// more copies of it are made.
///
/// # Errors
/// When a statement fails.
pub async fn erase_copies(
    tx: &mut Tx,
    principal: PrincipalId,
    (name, pseudonym): (&str, &str),
) -> Result<()> {
    erase_sent(tx, principal, (name, pseudonym)).await?;
    for statement in [
        "update execution set operator = $2 where principal_id = $1",
        "update webhook_note set operator = $2 where principal_id = $1",
        "update webhook_policy set creator = $2 where creator_id = $1",
    ] {
        tx.query(statement)
            .bind(principal)
            .bind(pseudonym)
            .execute()
            .await?;
    }
    Ok(())
}

/// Replaces the name of a user in what webhooks send and sent: JSON in a text of JSON, of the forms that policies have.
async fn erase_sent(
    tx: &mut Tx,
    principal: PrincipalId,
    (name, pseudonym): (&str, &str),
) -> Result<()> {
    let field = |name: &str| format!(r#"\"operator\":\"{name}\""#);
    let slack = |name: &str| format!(r#"*operator:* {name}\""#);
    for (old, new) in [
        (field(name), field(pseudonym)),
        (slack(name), slack(pseudonym)),
    ] {
        tx.query(
            "update execution set attrs = replace(attrs, $2, $3)
             where principal_id = $1 and vendor_type in ('WEBHOOK', 'SLACK')",
        )
        .bind(principal)
        .bind(old)
        .bind(new)
        .execute()
        .await?;
    }
    Ok(())
}

/// Deletes a user: its name becomes free, its mail address and its memberships go.
///
/// # Errors
/// When a statement fails.
pub async fn delete(tx: &mut Tx, user: &User, now: Timestamp) -> Result<()> {
    tx.query(
        "update user_account set email = null, verified_email = null, password_hash = null, sysadmin = 0, unverified = 0, updated_at = $2
         where id = $1",
    )
    .bind(user.id)
    .bind(now)
    .execute()
    .await?;
    for statement in [
        "delete from identity where principal_id = $1",
        "delete from oidc_account where principal_id = $1",
    ] {
        tx.query(statement)
            .bind(user.principal_id)
            .execute()
            .await?;
    }
    principal::delete(tx, user.principal_id, now).await
}
