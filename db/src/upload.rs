//! Upload sessions that have bytes. Fenced by an epoch: whoever took a session over raised it, and a
//! writer of an older one can neither checkpoint nor commit.

use model::{AccountId, ProjectId, RepositoryName, Timestamp};

use crate::quota::{self, OverLimit, Taking};
use crate::sql::Row;
use crate::{Error, Result, Tx};

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// The repository that it uploads into.
    pub repository: RepositoryName,
    /// Who began it; 0 for nobody.
    pub account: AccountId,
    /// Where its bytes go; `None` where it never had any.
    pub key: Option<String>,
    /// How many bytes are durable.
    pub size: u64,
    /// The hash of those bytes.
    pub hash_state: Option<Vec<u8>>,
    /// What the store needs besides to go on.
    pub store_state: Option<Vec<u8>>,
    /// The project that it uploads into.
    pub project: Option<ProjectId>,
    /// Bytes that the project was charged for ahead.
    pub reserved: i64,
    /// Counts those who took it over.
    pub epoch: i64,
    /// What became of it.
    pub state: State,
    /// When its time is over.
    pub expires_at: Timestamp,
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes bytes.
    Open,
    /// It became a blob, or was cancelled: its id is dead.
    Closed,
}

fn read(row: &Row) -> Result<Upload> {
    let corrupt = |column| Error::Corrupt {
        table: "upload",
        column,
    };
    Ok(Upload {
        id: row.text("upload", "id")?,
        repository: row.parse("upload", "repository")?,
        account: AccountId(row.int("upload", "account_id")?),
        key: row.opt_text("upload", "object_key")?,
        size: row
            .int("upload", "size")?
            .try_into()
            .map_err(|_| corrupt("size"))?,
        hash_state: row.opt_bytes("upload", "hash_state")?,
        store_state: row.opt_bytes("upload", "store_state")?,
        project: row.opt_int("upload", "project_id")?.map(ProjectId),
        reserved: row.int("upload", "reserved")?,
        epoch: row.int("upload", "epoch")?,
        state: match row.text("upload", "state")?.as_str() {
            "open" => State::Open,
            "closed" => State::Closed,
            _ => return Err(corrupt("state")),
        },
        expires_at: row.time("upload", "expires_at")?,
    })
}

macro_rules! columns {
    () => {
        "id, repository, account_id, object_key, size, hash_state, store_state, project_id, reserved, epoch, state, expires_at"
    };
}

/// The session with an id.
///
/// # Errors
/// When the statement fails.
pub async fn get(tx: &mut Tx, id: &str) -> Result<Option<Upload>> {
    let row = tx
        .query(concat!("select ", columns!(), " from upload where id = $1"))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// Takes a session over for writing: raises its epoch. `None` where there is no open one.
///
/// # Errors
/// When the statement fails.
pub async fn take_over(tx: &mut Tx, id: &str, expires_at: Timestamp) -> Result<Option<Upload>> {
    let row = tx
        .query(concat!(
            "update upload set epoch = epoch + 1, expires_at = $2 where id = $1 and state = 'open' returning ",
            columns!()
        ))
        .bind(id)
        .bind(expires_at)
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// What is durable of a session.
#[derive(Clone, Debug, Default)]
pub struct Durable {
    /// How many bytes.
    pub size: u64,
    /// Their hash; `None` where there are none.
    pub hash_state: Option<Vec<u8>>,
    /// What the store needs besides to go on.
    pub store_state: Option<Vec<u8>>,
}

/// Who uploads, and where to.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The repository.
    pub repository: RepositoryName,
    /// Its project.
    pub project: ProjectId,
    /// Who began the session; 0 for nobody.
    pub account: AccountId,
}

/// Makes the row of a session that gets its first bytes. `false` where there is one already.
///
/// # Errors
/// When the statement fails.
pub async fn begin(
    tx: &mut Tx,
    id: &str,
    owner: &Owner,
    (key, durable): (&str, &Durable),
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool> {
    let made = tx
        .query(
            "insert into upload (id, repository, account_id, object_key, size, hash_state, epoch, state, started_at, expires_at,
                                 store_state, project_id)
             values ($1, $2, $3, $4, $5, $6, 1, 'open', $7, $8, $9, $10) on conflict (id) do nothing",
        )
        .bind(id)
        .bind(owner.repository.as_str())
        .bind(owner.account)
        .bind(key)
        .bind(durable.size)
        .bind(durable.hash_state.as_deref())
        .bind(now)
        .bind(expires_at)
        .bind(durable.store_state.as_deref())
        .bind(owner.project)
        .execute()
        .await?;
    Ok(made == 1)
}

/// Charges the project ahead for the bytes that a session will have, as far as it was not yet.
///
/// # Errors
/// When a statement fails.
pub async fn reserve(
    tx: &mut Tx,
    (id, epoch): (&str, i64),
    (project, taking): (ProjectId, Taking),
    (reserved, wanted): (i64, i64),
) -> Result<Result<(), OverLimit>> {
    if wanted <= reserved {
        return Ok(Ok(()));
    }
    tx.query("update upload set reserved = $3 where id = $1 and epoch = $2 and state = 'open'")
        .bind(id)
        .bind(epoch)
        .bind(wanted)
        .execute()
        .await?;
    quota::charge(tx, project, wanted - reserved, taking).await
}

/// Notes how many bytes are durable, and their hash. `false` where someone else took over, or the
/// session was closed.
///
/// # Errors
/// When the statement fails.
pub async fn checkpoint(
    tx: &mut Tx,
    (id, epoch): (&str, i64),
    durable: &Durable,
    expires_at: Timestamp,
) -> Result<bool> {
    let changed = tx
        .query(
            "update upload set size = $3, hash_state = $4, expires_at = $5, store_state = $6
             where id = $1 and epoch = $2 and state = 'open'",
        )
        .bind(id)
        .bind(epoch)
        .bind(durable.size)
        .bind(durable.hash_state.as_deref())
        .bind(expires_at)
        .bind(durable.store_state.as_deref())
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Closes a session that became a blob. What was reserved for it, which is for the caller to give back;
/// `None` where someone else took over.
///
/// # Errors
/// When the statement fails.
pub async fn close(tx: &mut Tx, (id, epoch): (&str, i64)) -> Result<Option<i64>> {
    // What was reserved stays in the row: a closed one is never looked at for it.
    let row = tx
        .query(
            "update upload set state = 'closed', object_key = null, hash_state = null, store_state = null
             where id = $1 and epoch = $2 and state = 'open' returning reserved",
        )
        .bind(id)
        .bind(epoch)
        .optional()
        .await?;
    row.map(|row| row.int("upload", "reserved")).transpose()
}

/// What a cancellation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// An open session, whose bytes are under this key.
    Open(Option<String>),
    /// None: it never had bytes.
    Fresh,
    /// One that was over already; its bytes may be a blob's.
    Over,
}

/// Cancels a session, gives back what was reserved for it, and leaves a mark that keeps its id dead until
/// it would have expired.
///
/// # Errors
/// When a statement fails.
pub async fn cancel(
    tx: &mut Tx,
    id: &str,
    owner: &Owner,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Cancelled> {
    let row = tx
        .query_either(
            concat!("select ", columns!(), " from upload where id = $1"),
            concat!(
                "select ",
                columns!(),
                " from upload where id = $1 for update"
            ),
        )
        .bind(id)
        .optional()
        .await?;
    let Some(row) = row else {
        return leave_mark(tx, id, owner, (now, expires_at)).await;
    };
    let upload = read(&row)?;
    if upload.state == State::Closed {
        return Ok(Cancelled::Over);
    }
    tx.query(
        "update upload set state = 'closed', epoch = epoch + 1, object_key = null, hash_state = null, store_state = null
         where id = $1",
    )
    .bind(id)
    .execute()
    .await?;
    quota::refund(tx, owner.project, upload.reserved).await?;
    Ok(Cancelled::Open(upload.key))
}

async fn leave_mark(
    tx: &mut Tx,
    id: &str,
    owner: &Owner,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<Cancelled> {
    let made = tx
        .query(
            "insert into upload (id, repository, account_id, size, epoch, state, started_at, expires_at)
             values ($1, $2, $3, 0, 1, 'closed', $4, $5) on conflict (id) do nothing",
        )
        .bind(id)
        .bind(owner.repository.as_str())
        .bind(owner.account)
        .bind(now)
        .bind(expires_at)
        .execute()
        .await?;
    // Whoever made the row meanwhile goes on with it.
    Ok(if made == 1 {
        Cancelled::Fresh
    } else {
        Cancelled::Over
    })
}

/// Gives a session without durable bytes another key: the one before may still be written by whoever had
/// the session. `false` where someone else took over.
///
/// # Errors
/// When the statement fails.
pub async fn rekey(tx: &mut Tx, (id, epoch): (&str, i64), key: &str) -> Result<bool> {
    let changed = tx
        .query(
            "update upload set object_key = $3, hash_state = null, store_state = null
             where id = $1 and epoch = $2 and state = 'open' and size = 0",
        )
        .bind(id)
        .bind(epoch)
        .bind(key)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Sessions whose time is over, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn expired(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Vec<Upload>> {
    let rows = tx
        .query(concat!(
            "select ",
            columns!(),
            " from upload where expires_at < $1 order by expires_at limit $2"
        ))
        .bind(now)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(read).collect()
}

/// Forgets a session unless it was renewed meanwhile, and gives back what was reserved for it. The key of
/// bytes that nobody needs any more, which a session that became a blob has not.
///
/// # Errors
/// When a statement fails.
pub async fn forget_expired(tx: &mut Tx, id: &str, now: Timestamp) -> Result<Forgotten> {
    let gone = tx
        .query(
            "delete from upload where id = $1 and expires_at < $2
             returning project_id, object_key, case when state = 'open' then reserved else 0 end as reserved",
        )
        .bind(id)
        .bind(now)
        .optional()
        .await?;
    let Some(row) = gone else {
        return Ok(Forgotten::Not);
    };
    if let Some(project) = row.opt_int("upload", "project_id")? {
        quota::refund(tx, ProjectId(project), row.int("upload", "reserved")?).await?;
    }
    Ok(Forgotten::Gone(row.opt_text("upload", "object_key")?))
}

/// What became of a session whose time seemed to be over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// It is gone; its bytes are under this key.
    Gone(Option<String>),
    /// It was renewed, or went before.
    Not,
}

/// Keys of the objects of all open sessions.
///
/// # Errors
/// When the statement fails.
pub async fn open_keys(tx: &mut Tx) -> Result<Vec<String>> {
    let rows = tx
        .query("select object_key from upload where state = 'open'")
        .all()
        .await?;
    rows.iter()
        .map(|row| row.text("upload", "object_key"))
        .collect()
}

/// How many sessions are open.
///
/// # Errors
/// When the statement fails.
pub async fn count_open(tx: &mut Tx) -> Result<i64> {
    let row = tx
        .query("select count(*) as total from upload where state = 'open'")
        .one()
        .await?;
    row.int("upload", "total")
}
