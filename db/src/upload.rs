//! Upload sessions that have bytes. They are fenced by an epoch: taking a session over raises it, and a writer with an
//! older one can neither checkpoint nor commit.

use std::collections::BTreeMap;

use model::{PrincipalId, ProjectId, RepositoryName, Timestamp};

use crate::error::{Error, Result};
use crate::garbage::{self, Garbage};
use crate::quota::{self, OverLimit, Taking};
use crate::sql::{Reader, Tx, row, stored_names};

row! {
    columns upload_columns;
    /// A session as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Upload of upload {
        /// Its id.
        pub id: String = upload.id,
        /// The repository that it uploads into.
        pub repository: RepositoryName = upload.repository,
        /// Who began it; `None` for the machine itself.
        pub principal: Option<PrincipalId> = upload.principal_id,
        /// The key of its object; `None` if it never had bytes.
        pub key: Option<String> = upload.object_key,
        /// How many bytes are durable.
        pub size: u64 = upload.size,
        /// The hash of those bytes.
        pub hash_state: Option<Vec<u8>> = upload.hash_state,
        /// The store's own state for continuing.
        pub store_state: Option<Vec<u8>> = upload.store_state,
        /// The project that it uploads into.
        pub project: ProjectId = upload.project_id,
        /// Bytes that the project was charged for ahead.
        pub reserved: i64 = upload.reserved,
        /// Whether several processes wrote its bytes, possibly at the same time.
        pub rehash: bool = upload.rehash,
        /// Counts takeovers.
        pub epoch: i64 = upload.epoch,
        /// Its state.
        pub state: State = upload.state,
        /// When it expires.
        pub expires_at: Timestamp = upload.expires_at,
    }
}

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes bytes.
    Open,
    /// It became a blob, or was cancelled: its id is dead.
    Closed,
}

stored_names! {
    State {
        Open = "open",
        Closed = "closed",
    }
}

/// The session with an id.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, id: &str) -> Result<Option<Upload>> {
    let row = reader
        .query(concat!(
            "select ",
            upload_columns!(),
            " from upload where id = $1"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Upload::read).transpose()
}

/// Takes a session over for writing: raises its epoch. `None` if there is no open one.
///
/// # Errors
/// When the statement fails.
pub async fn take_over(
    tx: &mut Tx,
    id: &str,
    process: &str,
    expires_at: Timestamp,
) -> Result<Option<Upload>> {
    let row = tx
        .query(concat!(
            "update upload set epoch = epoch + 1, expires_at = $2, process = $3,
             rehash = case when process = $3 then rehash else 1 end
             where id = $1 and state = 'open' returning ",
            upload_columns!()
        ))
        .bind(id)
        .bind(expires_at)
        .bind(process)
        .optional()
        .await?;
    row.as_ref().map(Upload::read).transpose()
}

/// The durable part of a session.
#[derive(Clone, Debug, Default)]
pub struct Durable {
    /// How many bytes.
    pub size: u64,
    /// Their hash; `None` if there are none.
    pub hash_state: Option<Vec<u8>>,
    /// The store's own state for continuing.
    pub store_state: Option<Vec<u8>>,
}

/// Who uploads, and where to.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The repository.
    pub repository: RepositoryName,
    /// Its project.
    pub project: ProjectId,
    /// Who began the session; `None` for the machine itself.
    pub principal: Option<PrincipalId>,
    /// The process that writes it.
    pub process: String,
}

/// Makes the row of a session that gets its first bytes. `false` if there is one already.
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
            "insert into upload (id, repository, principal_id, object_key, size, hash_state, reserved, epoch, process, rehash, state,
                                 started_at, expires_at, store_state, project_id)
             values ($1, $2, $3, $4, $5, $6, 0, 1, $11, 0, 'open', $7, $8, $9, $10) on conflict (id) do nothing",
        )
        .bind(id)
        .bind(owner.repository.as_str())
        .bind(owner.principal)
        .bind(key)
        .bind(durable.size)
        .bind(durable.hash_state.as_deref())
        .bind(now)
        .bind(expires_at)
        .bind(durable.store_state.as_deref())
        .bind(owner.project)
        .bind(owner.process.as_str())
        .execute()
        .await?;
    Ok(made == 1)
}

/// Charges the project in advance for the bytes that a session will have, unless it was charged already.
///
/// # Errors
/// [`Error::UploadGone`] if someone else took over, or the session was closed.
pub async fn reserve(
    tx: &mut Tx,
    (id, epoch): (&str, i64),
    (project, taking): (ProjectId, Taking),
    (reserved, wanted): (i64, i64),
) -> Result<Result<(), OverLimit>> {
    if wanted <= reserved {
        return Ok(Ok(()));
    }
    let changed = tx
        .query("update upload set reserved = $3 where id = $1 and epoch = $2 and state = 'open'")
        .bind(id)
        .bind(epoch)
        .bind(wanted)
        .execute()
        .await?;
    if changed == 0 {
        return Err(Error::UploadGone);
    }
    quota::charge(tx, project, wanted - reserved, taking).await
}

/// Records how many bytes are durable, and their hash. Returns false if the session was taken over or closed.
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

/// Records that a session is not idle, though no more bytes are durable yet. Returns false if the session was taken
/// over or closed.
///
/// # Errors
/// When the statement fails.
pub async fn renew(tx: &mut Tx, (id, epoch): (&str, i64), expires_at: Timestamp) -> Result<bool> {
    let renewed = tx
        .query("update upload set expires_at = $3 where id = $1 and epoch = $2 and state = 'open'")
        .bind(id)
        .bind(epoch)
        .bind(expires_at)
        .execute()
        .await?;
    Ok(renewed == 1)
}

/// Closes a session that became a blob, and refunds its reservation.
///
/// # Errors
/// [`Error::UploadGone`] if someone else took over, or the session was closed.
pub async fn close(tx: &mut Tx, (id, epoch): (&str, i64)) -> Result<()> {
    // The reservation stays in the row: that of a closed one is never read.
    let row = tx
        .query(
            "update upload set state = 'closed', object_key = null, hash_state = null, store_state = null
             where id = $1 and epoch = $2 and state = 'open' returning project_id, reserved",
        )
        .bind(id)
        .bind(epoch)
        .optional()
        .await?
        .ok_or(Error::UploadGone)?;
    let project = row.get("upload", "project_id")?;
    quota::refund(tx, project, row.get("upload", "reserved")?).await
}

/// The result of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// An open session; its bytes are garbage now.
    Open,
    /// None: it never had bytes.
    Fresh,
    /// One that had already ended; its bytes may be a blob's.
    Over,
}

/// Cancels a session, refunds its reservation, and leaves a mark that keeps its id invalid until it would have expired.
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
            concat!("select ", upload_columns!(), " from upload where id = $1"),
            concat!(
                "select ",
                upload_columns!(),
                " from upload where id = $1 for update"
            ),
        )
        .bind(id)
        .optional()
        .await?;
    let Some(row) = row else {
        return leave_mark(tx, id, owner, (now, expires_at)).await;
    };
    let upload = Upload::read(&row)?;
    if upload.state == State::Closed {
        return Ok(Cancelled::Over);
    }
    shut(tx, upload, now).await?;
    Ok(Cancelled::Open)
}

/// Ends a session whose bytes do not become a blob, as [`cancel`] does, unless it was taken over: `epoch` is its
/// writer's, `None` if the session had no row.
///
/// # Errors
/// When a statement fails.
pub async fn end(
    tx: &mut Tx,
    (id, epoch): (&str, Option<i64>),
    owner: &Owner,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    let Some(epoch) = epoch else {
        leave_mark(tx, id, owner, (now, expires_at)).await?;
        return Ok(());
    };
    let row = tx
        .query_either(
            concat!(
                "select ",
                upload_columns!(),
                " from upload where id = $1 and epoch = $2 and state = 'open'"
            ),
            concat!(
                "select ",
                upload_columns!(),
                " from upload where id = $1 and epoch = $2 and state = 'open' for update"
            ),
        )
        .bind(id)
        .bind(epoch)
        .optional()
        .await?;
    match row {
        Some(row) => shut(tx, Upload::read(&row)?, now).await,
        None => Ok(()),
    }
}

/// Closes a locked open session, and gives up its object and reservation.
async fn shut(tx: &mut Tx, upload: Upload, now: Timestamp) -> Result<()> {
    tx.query(
        "update upload set state = 'closed', epoch = epoch + 1, object_key = null, hash_state = null, store_state = null
         where id = $1",
    )
    .bind(upload.id.as_str())
    .execute()
    .await?;
    quota::refund(tx, upload.project, upload.reserved).await?;
    give_up(tx, upload.key, now).await
}

/// Leaves the object of a session to the garbage collection.
async fn give_up(tx: &mut Tx, key: Option<String>, now: Timestamp) -> Result<()> {
    let garbage: Vec<Garbage> = key.map(Garbage::of_upload).into_iter().collect();
    garbage::add(tx, &garbage, now).await
}

async fn leave_mark(
    tx: &mut Tx,
    id: &str,
    owner: &Owner,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<Cancelled> {
    let made = tx
        .query(
            "insert into upload (id, repository, project_id, principal_id, size, reserved, epoch, process, rehash, state, started_at, expires_at)
             values ($1, $2, $3, $4, 0, 0, 1, $7, 0, 'closed', $5, $6) on conflict (id) do nothing",
        )
        .bind(id)
        .bind(owner.repository.as_str())
        .bind(owner.project)
        .bind(owner.principal)
        .bind(now)
        .bind(expires_at)
        .bind(owner.process.as_str())
        .execute()
        .await?;
    // Another request made the row meanwhile and continues the session.
    Ok(if made == 1 {
        Cancelled::Fresh
    } else {
        Cancelled::Over
    })
}

/// Gives a session without durable bytes another key: the previous writer may still be writing to the old object, which
/// is garbage now. Returns false if the session was taken over.
///
/// # Errors
/// When the statement fails.
pub async fn rekey(
    tx: &mut Tx,
    (id, epoch): (&str, i64),
    (before, key): (&str, &str),
    now: Timestamp,
) -> Result<bool> {
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
    if changed == 1 {
        give_up(tx, Some(before.to_owned()), now).await?;
    }
    Ok(changed == 1)
}

/// Ends expired sessions, at most `limit`: their reservations are refunded, and bytes that did not become a blob are
/// garbage. Returns how many ended.
///
/// # Errors
/// When a statement fails.
pub async fn expire(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<i64> {
    let gone = tx
        .query(
            "delete from upload where expires_at < $1
             and id in (select id from upload where expires_at < $1 order by expires_at limit $2)
             returning project_id, object_key, case when state = 'open' then reserved else 0 end as reserved",
        )
        .bind(now)
        .bind(limit)
        .all()
        .await?;
    let mut refunds: BTreeMap<i64, i64> = BTreeMap::new();
    let mut garbage = Vec::new();
    for row in &gone {
        let project = row.get("upload", "project_id")?;
        *refunds.entry(project).or_default() += row.get::<i64>("upload", "reserved")?;
        garbage.extend(
            row.get::<Option<String>>("upload", "object_key")?
                .map(Garbage::of_upload),
        );
    }
    for (project, bytes) in refunds {
        quota::refund(tx, ProjectId(project), bytes).await?;
    }
    garbage::add(tx, &garbage, now).await?;
    Ok(gone.len() as i64)
}

/// True if a session has expired.
///
/// # Errors
/// When the statement fails.
pub async fn has_expired(reader: &mut Reader, now: Timestamp) -> Result<bool> {
    let row = reader
        .query("select id from upload where expires_at < $1 limit 1")
        .bind(now)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// Ends all sessions of a project that is about to be deleted.
pub(crate) async fn end_all(tx: &mut Tx, project: ProjectId, now: Timestamp) -> Result<()> {
    let open = tx
        .query_either(
            "select object_key, reserved from upload where project_id = $1 and state = 'open'",
            "select object_key, reserved from upload where project_id = $1 and state = 'open' order by id for update",
        )
        .bind(project)
        .all()
        .await?;
    let mut garbage = Vec::new();
    let mut reserved = 0;
    for row in &open {
        garbage.extend(
            row.get::<Option<String>>("upload", "object_key")?
                .map(Garbage::of_upload),
        );
        reserved += row.get::<i64>("upload", "reserved")?;
    }
    tx.query(
        "update upload set state = 'closed', epoch = epoch + 1, object_key = null, hash_state = null, store_state = null
         where project_id = $1 and state = 'open'",
    )
    .bind(project)
    .execute()
    .await?;
    quota::refund(tx, project, reserved).await?;
    garbage::add(tx, &garbage, now).await
}

/// Keys of the objects of all open sessions.
///
/// # Errors
/// When the statement fails.
pub async fn open_keys(reader: &mut Reader) -> Result<Vec<String>> {
    let rows = reader
        .query("select object_key from upload where state = 'open'")
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("upload", "object_key"))
        .collect()
}

/// How many sessions are open.
///
/// # Errors
/// When the statement fails.
pub async fn count_open(reader: &mut Reader) -> Result<i64> {
    let row = reader
        .query("select count(*) as total from upload where state = 'open'")
        .one()
        .await?;
    row.get("upload", "total")
}
