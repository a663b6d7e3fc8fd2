//! Local accounts.

use model::{AccountId, Timestamp};

use crate::error::Result;
use crate::list::{self, Conditions, Direction, Field, Kind, Page, Selection, Source, Test};
use crate::sql::{Reader, Tx, row};
use crate::touch::Touch;

row! {
    columns account_columns;
    /// An account as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Account of account {
        /// Its id.
        pub id: AccountId = a.id,
        /// The name to sign in with.
        pub name: String = a.name,
        /// Mail address; only the built-in administrator may have none.
        pub email: Option<String> = a.email,
        /// The person's name.
        pub realname: String = a.realname,
        /// Free text.
        pub comment: String = a.comment,
        /// argon2id in PHC form; `None` where no local password works.
        pub password_hash: Option<String> = a.password_hash,
        /// Whether it may do everything.
        pub sysadmin: bool = a.sysadmin,
        /// Rises whenever tokens made before must no longer be valid.
        pub generation: i64 = a.generation,
        /// When it was made.
        pub created_at: Timestamp = a.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = a.updated_at,
    }
}

/// A new account.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The name to sign in with.
    pub name: String,
    /// Mail address.
    pub email: Option<String>,
    /// The person's name.
    pub realname: String,
    /// Free text.
    pub comment: String,
    /// argon2id in PHC form.
    pub password_hash: Option<String>,
    /// Whether it may do everything.
    pub sysadmin: bool,
}

/// Makes an account.
///
/// # Errors
/// [`crate::Error::Duplicate`] where the name is taken.
pub async fn create(tx: &mut Tx, new: &NewAccount, now: Timestamp) -> Result<AccountId> {
    let row = tx
        .query(
            "insert into account (name, email, realname, comment, password_hash, sysadmin, generation, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, 1, $7, $7) returning id",
        )
        .bind(new.name.as_str())
        .bind(new.email.as_deref())
        .bind(new.realname.as_str())
        .bind(new.comment.as_str())
        .bind(new.password_hash.as_deref())
        .bind(new.sysadmin)
        .bind(now)
        .one()
        .await?;
    row.get("account", "id")
}

/// Makes the built-in administrator, id 1, and reserves id 2 as Harbor does, unless they exist.
/// Whether they were made.
///
/// # Errors
/// When a statement fails.
pub async fn create_admin(tx: &mut Tx, new: &NewAccount, now: Timestamp) -> Result<bool> {
    let made = tx
        .query(
            "insert into account (id, name, email, realname, comment, password_hash, sysadmin, generation, created_at, updated_at)
             values (1, $1, $2, $3, $4, $5, 1, 1, $6, $6) on conflict do nothing",
        )
        .bind(new.name.as_str())
        .bind(new.email.as_deref())
        .bind(new.realname.as_str())
        .bind(new.comment.as_str())
        .bind(new.password_hash.as_deref())
        .bind(now)
        .execute()
        .await?;
    tx.query(
        "insert into account (id, name, realname, comment, sysadmin, generation, created_at, updated_at, deleted_at)
         values (2, 'anonymous', '', '', 0, 1, $1, $1, $1) on conflict do nothing",
    )
    .bind(now)
    .execute()
    .await?;
    tx.query_either(
        "select 1 as done",
        "select setval(pg_get_serial_sequence('account', 'id'), greatest(2, (select max(id) from account))) as done",
    )
    .one()
    .await?;
    Ok(made == 1)
}

/// The account with an id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(reader: &mut Reader, id: AccountId) -> Result<Option<Account>> {
    let row = reader
        .query(concat!(
            "select ",
            account_columns!(),
            " from account a where a.id = $1 and a.deleted_at is null"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Account::read).transpose()
}

/// The account with a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(reader: &mut Reader, name: &str) -> Result<Option<Account>> {
    let row = reader
        .query(concat!(
            "select ",
            account_columns!(),
            " from account a where a.name = $1 and a.deleted_at is null"
        ))
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(Account::read).transpose()
}

/// Name.
pub const NAME: Field = Field::new("username", Kind::Text, "a.name").unique();
/// Mail address.
pub const EMAIL: Field = Field::new("email", Kind::Text, "a.email").unsorted();

/// What lists can be narrowed and sorted by.
pub const FIELDS: [Field; 6] = [
    NAME,
    EMAIL,
    Field::new("sysadmin_flag", Kind::Flag, "a.sysadmin").unsorted(),
    Field::new("creation_time", Kind::Time, "a.created_at"),
    Field::new("update_time", Kind::Time, "a.updated_at"),
    Field::new("user_id", Kind::Int, "a.id").unique(),
];

const SOURCE: Source = Source {
    name: "account.list",
    columns: account_columns!(),
    from: "account a",
    id: "a.id",
    order: NAME,
};

/// Accounts that somebody made, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Without the built-in administrator, as in Harbor's list.
    Made,
    /// With the built-in administrator.
    All,
}

/// Accounts, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    scope: Scope,
    selection: &Selection,
) -> Result<(Vec<Account>, i64)> {
    /// Ids of the built-in administrator and of `anonymous`, which is reserved.
    const BUILT_IN: i64 = 2;
    let mut conditions = Conditions::default().and("a.deleted_at is null");
    if scope == Scope::Made {
        conditions = conditions.and_value("a.id > $", BUILT_IN);
    }
    list::list(reader, &SOURCE, conditions, selection, Account::read).await
}

/// Accounts whose name holds a text, the shortest names first, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn search(reader: &mut Reader, text: &str, page: Page) -> Result<(Vec<Account>, i64)> {
    const SHORTEST: Field = Field::new("length", Kind::Text, "length(a.name), a.name").unique();
    let selection = Selection {
        order: Some((SHORTEST, Direction::Up)),
        page,
        ..Selection::all().with(NAME, Test::Contains(text.to_owned()))
    };
    list(reader, Scope::All, &selection).await
}

/// Whether an account other than `id` has a mail address.
///
/// # Errors
/// When the statement fails.
pub async fn is_email_taken(
    reader: &mut Reader,
    email: &str,
    id: Option<AccountId>,
) -> Result<bool> {
    let row = reader
        .query(
            "select id from account where email = $1 and id <> $2 and deleted_at is null limit 1",
        )
        .bind(email)
        .bind(id.map_or(0, |id| id.0))
        .optional()
        .await?;
    Ok(row.is_some())
}

/// Changes mail address, name and comment. Whether the account exists.
///
/// # Errors
/// When the statement fails.
pub async fn set_profile(
    tx: &mut Tx,
    id: AccountId,
    (email, realname, comment): (&str, &str, &str),
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .query(
            "update account set email = $2, realname = $3, comment = $4, updated_at = $5
             where id = $1 and deleted_at is null",
        )
        .bind(id)
        .bind(email)
        .bind(realname)
        .bind(comment)
        .bind(now)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Changes the password and makes all tokens of before invalid. Whether the account exists.
///
/// # Errors
/// When the statement fails.
pub async fn set_password(tx: &mut Tx, id: AccountId, hash: &str, now: Timestamp) -> Result<bool> {
    let changed = tx
        .query(
            "update account set password_hash = $2, generation = generation + 1, updated_at = $3
             where id = $1 and deleted_at is null",
        )
        .bind(id)
        .bind(hash)
        .bind(now)
        .execute()
        .await?;
    tx.touch(Touch::Account(id));
    Ok(changed == 1)
}

/// Gives or takes the right to do everything. Whether the account exists.
///
/// # Errors
/// When the statement fails.
pub async fn set_sysadmin(
    tx: &mut Tx,
    id: AccountId,
    sysadmin: bool,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .query(
            "update account set sysadmin = $2, updated_at = $3 where id = $1 and deleted_at is null",
        )
        .bind(id)
        .bind(sysadmin)
        .bind(now)
        .execute()
        .await?;
    tx.touch(Touch::Account(id));
    Ok(changed == 1)
}

/// Whether an account is a system administrator and no other one is left. Holds all of them, so that of two that
/// demote each other the second one sees what the first one did.
///
/// # Errors
/// When the statement fails.
pub async fn is_last_sysadmin(tx: &mut Tx, id: AccountId) -> Result<bool> {
    let rows = tx
        .query_either(
            "select id from account where sysadmin = 1 and deleted_at is null order by id",
            "select id from account where sysadmin = 1 and deleted_at is null order by id for update",
        )
        .all()
        .await?;
    let first = rows.first().map(|row| row.get("account", "id"));
    Ok(rows.len() == 1 && first.transpose()? == Some(id.0))
}

/// Deletes an account: its name becomes free, its mail address and its memberships go. Whether it existed.
///
/// # Errors
/// When a statement fails.
pub async fn delete(tx: &mut Tx, id: AccountId, now: Timestamp) -> Result<bool> {
    let changed = tx
        .query(
            "update account set email = null, password_hash = null, sysadmin = 0, generation = generation + 1, deleted_at = $2, updated_at = $2
             where id = $1 and deleted_at is null",
        )
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    tx.query("delete from member where account_id = $1")
        .bind(id)
        .execute()
        .await?;
    tx.touch(Touch::Account(id));
    Ok(changed == 1)
}
