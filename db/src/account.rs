//! Local accounts.

use model::{AccountId, Timestamp};

use crate::cache::Touch;
use crate::page::{Page, bind_names, contains, one_of, places};
use crate::sql::{Query, Row};
use crate::{Result, Tx};

/// An account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The name to sign in with.
    pub name: String,
    /// Mail address; only the built-in administrator may have none.
    pub email: Option<String>,
    /// The person's name.
    pub realname: String,
    /// Free text.
    pub comment: String,
    /// argon2id in PHC form; `None` where no local password works.
    pub password_hash: Option<String>,
    /// Whether it may do everything.
    pub sysadmin: bool,
    /// Rises whenever tokens made before must no longer be valid.
    pub generation: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
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

macro_rules! columns {
    () => {
        "id, name, email, realname, comment, password_hash, sysadmin, generation, created_at, updated_at"
    };
}

fn read(row: &Row) -> Result<Account> {
    Ok(Account {
        id: AccountId(row.int("account", "id")?),
        name: row.text("account", "name")?,
        email: row.opt_text("account", "email")?,
        realname: row.text("account", "realname")?,
        comment: row.text("account", "comment")?,
        password_hash: row.opt_text("account", "password_hash")?,
        sysadmin: row.flag("account", "sysadmin")?,
        generation: row.int("account", "generation")?,
        created_at: row.time("account", "created_at")?,
        updated_at: row.time("account", "updated_at")?,
    })
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
    row.int("account", "id").map(AccountId)
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
pub async fn by_id(tx: &mut Tx, id: AccountId) -> Result<Option<Account>> {
    let row = tx
        .query(concat!(
            "select ",
            columns!(),
            " from account where id = $1 and deleted_at is null"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// The account with a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Account>> {
    let row = tx
        .query(concat!(
            "select ",
            columns!(),
            " from account where name = $1 and deleted_at is null"
        ))
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// Which accounts a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the name, in any case.
    pub name_contains: Option<String>,
    /// Part of the mail address, in any case.
    pub email_contains: Option<String>,
    /// The exact name.
    pub name: Option<String>,
    /// The exact mail address.
    pub email: Option<String>,
    /// Any of these exact names, where there are some.
    pub names: Vec<String>,
    /// Only sysadmins, or only others.
    pub sysadmin: Option<bool>,
    /// Made not before the first and not after the second time.
    pub created_within: Option<(Timestamp, Timestamp)>,
    /// The built-in administrator too, which Harbor's list leaves out.
    pub with_builtin: bool,
}

/// In which order accounts are listed.
#[derive(Clone, Copy, Debug, Default)]
pub enum Order {
    /// By name.
    #[default]
    Name,
    /// By name, last first.
    NameDescending,
    /// By time of making.
    Created,
    /// By time of making, newest first.
    CreatedDescending,
    /// By time of the last change.
    Updated,
    /// By time of the last change, newest first.
    UpdatedDescending,
    /// By id.
    Id,
    /// By id, highest first.
    IdDescending,
}

/// Accounts, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    tx: &mut Tx,
    filter: &Filter,
    order: Order,
    page: Page,
) -> Result<(Vec<Account>, i64)> {
    let from = conditions(tx, filter);
    let limit = BOUND + places(&filter.names) + 1;
    let offset = limit + 1;
    let by = match order {
        Order::Name => "name",
        Order::NameDescending => "name desc",
        Order::Created => "created_at, id",
        Order::CreatedDescending => "created_at desc, id desc",
        Order::Updated => "updated_at, id",
        Order::UpdatedDescending => "updated_at desc, id desc",
        Order::Id => "id",
        Order::IdDescending => "id desc",
    };
    let listed = tx.query_built(
        "account.list",
        format!(
            "select {} {from} order by {by} limit ${limit} offset ${offset}",
            columns!()
        ),
    );
    let listed = bind(listed, filter).bind(page.limit()).bind(page.offset);
    let rows = listed.all().await?;
    let counted = tx.query_built("account.count", format!("select count(*) as total {from}"));
    let count = bind(counted, filter).one().await?;
    Ok((
        rows.iter().map(read).collect::<Result<_>>()?,
        count.int("account", "total")?,
    ))
}

/// The lowest id of accounts that somebody made: 1 is the built-in administrator, 2 is reserved.
const FIRST_MADE: i64 = 3;

/// How many values [`bind`] gives apart from the names.
const BOUND: usize = 8;

/// What a filter asks of the values that [`bind`] gives.
fn conditions(tx: &Tx, filter: &Filter) -> String {
    const FROM: &str = "from account where deleted_at is null
        and ($1 is null or lower(name) like lower($1) escape '\\')
        and ($2 is null or lower(email) like lower($2) escape '\\')
        and ($3 is null or name = $3)
        and ($4 is null or email = $4)
        and ($5 < 0 or sysadmin = $5)
        and created_at between $6 and $7
        and id >= $8";
    one_of(tx, FROM, ("name", &filter.names), BOUND + 1)
}

fn bind<'t>(query: Query<'t>, filter: &Filter) -> Query<'t> {
    let always = (Timestamp(i64::MIN), Timestamp(i64::MAX));
    let created = filter.created_within.unwrap_or(always);
    let query = query
        .bind(filter.name_contains.as_deref().map(contains))
        .bind(filter.email_contains.as_deref().map(contains))
        .bind(filter.name.as_deref())
        .bind(filter.email.as_deref())
        .bind(filter.sysadmin.map_or(-1, i64::from))
        .bind(created.0)
        .bind(created.1)
        .bind(if filter.with_builtin { 0 } else { FIRST_MADE });
    bind_names(query, &filter.names)
}

/// Ids and names of accounts whose name holds a text, the shortest names first.
///
/// # Errors
/// When the statement fails.
pub async fn search(
    tx: &mut Tx,
    text: &str,
    page: Page,
) -> Result<(Vec<(AccountId, String)>, i64)> {
    const WHERE: &str =
        "from account where deleted_at is null and lower(name) like lower($1) escape '\\'";
    let rows = tx
        .query_built(
            "account.search",
            format!("select id, name {WHERE} order by length(name), name limit $2 offset $3"),
        )
        .bind(contains(text))
        .bind(page.limit())
        .bind(page.offset)
        .all()
        .await?;
    let count = tx
        .query_built(
            "account.search_count",
            format!("select count(*) as total {WHERE}"),
        )
        .bind(contains(text))
        .one()
        .await?;
    let found = rows
        .iter()
        .map(|row| {
            Ok((
                AccountId(row.int("account", "id")?),
                row.text("account", "name")?,
            ))
        })
        .collect::<Result<_>>()?;
    Ok((found, count.int("account", "total")?))
}

/// Whether an account other than `id` has a mail address.
///
/// # Errors
/// When the statement fails.
pub async fn is_email_taken(tx: &mut Tx, email: &str, id: Option<AccountId>) -> Result<bool> {
    let row = tx
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
    let first = rows.first().map(|row| row.int("account", "id"));
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
