//! Sessions of browsers. Only the hash of a browser's key is stored.

use model::{PrincipalId, SessionId, Timestamp};

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Tx, row};

row! {
    columns session_columns;
    /// A session as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Session of session {
        /// Its id, which grants no access.
        pub id: SessionId = s.id,
        /// Who signed in.
        pub principal: PrincipalId = s.principal_id,
        /// The principal's generation at that time: once it has changed, the session has ended.
        pub generation: i64 = s.generation,
        /// The address that it began from.
        pub address: String = s.address,
        /// The browser's user agent at that time.
        pub agent: String = s.agent,
        /// When it began.
        pub created_at: Timestamp = s.created_at,
        /// When it was last renewed.
        pub renewed_at: Timestamp = s.renewed_at,
        /// When it ends if it is not renewed before.
        pub expires_at: Timestamp = s.expires_at,
    }
}

/// A new session.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// SHA-256 of the browser's key.
    pub hash: [u8; 32],
    /// Who signed in.
    pub principal: PrincipalId,
    /// The generation for which the password was checked.
    pub generation: i64,
    /// The address that it begins from.
    pub address: String,
    /// The browser's user agent.
    pub agent: String,
    /// When it ends if it is not renewed before.
    pub expires_at: Timestamp,
    /// The OIDC provider's session, if it began with one.
    pub oidc: Option<AtProvider>,
}

/// The session at the OIDC provider with which it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtProvider {
    /// The issuer, a space, and the provider's session id; empty if it has none.
    pub sid: String,
    /// The ID token, sealed.
    pub id_token: Vec<u8>,
}

/// Maximum sessions of a principal: the least recently used ones end.
pub const MOST: i64 = 50;

/// Begins a session.
///
/// # Errors
/// When a statement fails.
pub async fn begin(tx: &mut Tx, new: &NewSession, now: Timestamp) -> Result<()> {
    tx.query(
        "delete from session where id in
             (select id from session where principal_id = $1 order by renewed_at desc, id desc limit 1000 offset $2)",
    )
    .bind(new.principal)
    .bind(MOST - 1)
    .execute()
    .await?;
    tx.query(
        "insert into session
             (hash, principal_id, generation, address, agent, created_at, renewed_at, expires_at, oidc_sid, oidc_id_token)
         values ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9)",
    )
    .bind(&new.hash[..])
    .bind(new.principal)
    .bind(new.generation)
    .bind(new.address.as_str())
    .bind(new.agent.as_str())
    .bind(now)
    .bind(new.expires_at)
    .bind(new.oidc.as_ref().map(|it| it.sid.as_str()))
    .bind(new.oidc.as_ref().map(|it| &it.id_token[..]))
    .execute()
    .await?;
    Ok(())
}

/// The sealed ID token of the session with a hash; `None` if it did not begin with an OIDC provider.
///
/// # Errors
/// When the statement fails.
pub async fn id_token(
    reader: &mut Reader,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Vec<u8>>> {
    let row = reader
        .query("select oidc_id_token from session where hash = $1 and expires_at > $2")
        .bind(&hash[..])
        .bind(now)
        .optional()
        .await?;
    let token = row.map(|row| row.get::<Option<Vec<u8>>>("session", "oidc_id_token"));
    Ok(token.transpose()?.flatten())
}

/// Ends the sessions with a provider's id (see [`AtProvider::sid`]), of one principal if that is known; returns whose
/// they were. Of that
/// principal those end too of which the provider did not say what it calls them.
///
/// # Errors
/// When the statement fails.
pub async fn end_at_provider(
    tx: &mut Tx,
    sid: &str,
    principal: Option<PrincipalId>,
) -> Result<Vec<PrincipalId>> {
    let rows = tx
        .query(
            "delete from session
             where (oidc_sid = $1 and ($2 = 0 or principal_id = $2)) or (oidc_sid = '' and principal_id = $2)
             returning principal_id",
        )
        .bind(sid)
        .bind(principal.map_or(0, |id| id.0))
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("session", "principal_id"))
        .collect()
}

/// Ends the sessions of a principal that began with an OIDC provider; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn end_all_at_provider(tx: &mut Tx, principal: PrincipalId) -> Result<u64> {
    tx.query("delete from session where principal_id = $1 and oidc_sid is not null")
        .bind(principal)
        .execute()
        .await
}

/// The session of a hash, unless it has expired.
///
/// # Errors
/// When the statement fails.
pub async fn by_hash(
    reader: &mut Reader,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Session>> {
    let row = reader
        .query(concat!(
            "select ",
            session_columns!(),
            " from session s where s.hash = $1 and s.expires_at > $2"
        ))
        .bind(&hash[..])
        .bind(now)
        .optional()
        .await?;
    row.as_ref().map(Session::read).transpose()
}

/// Extends a session, once if several requests do so at the same time.
///
/// # Errors
/// When the statement fails.
pub async fn renew(
    tx: &mut Tx,
    session: &Session,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    tx.query(
        "update session set renewed_at = $2, expires_at = $3 where id = $1 and renewed_at = $4",
    )
    .bind(session.id)
    .bind(now)
    .bind(expires_at)
    .bind(session.renewed_at)
    .execute()
    .await?;
    Ok(())
}

/// Gives a session another hash and its principal's current generation: the browser's old key no longer works. Returns
/// whether the session exists.
///
/// # Errors
/// When the statement fails.
pub async fn rehash(tx: &mut Tx, id: SessionId, hash: &[u8; 32]) -> Result<bool> {
    let changed = tx
        .query(
            "update session set hash = $2,
                 generation = (select p.generation from principal p where p.id = session.principal_id)
             where id = $1",
        )
        .bind(id)
        .bind(&hash[..])
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Gives a principal's sessions its generation, so that they go on after its tokens were made void just now. Those that had
/// ended before stay ended.
///
/// # Errors
/// When the statement fails.
pub async fn carry_on(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    tx.query(
        "update session set generation = (select p.generation from principal p where p.id = session.principal_id)
         where principal_id = $1
             and generation = (select p.generation - 1 from principal p where p.id = session.principal_id)",
    )
    .bind(principal)
    .execute()
    .await?;
    Ok(())
}

/// When it was last renewed.
pub const RENEWED: Field = Field::new("renewed_at", Kind::Time, "s.renewed_at");

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 4] = [
    RENEWED,
    Field::new("created_at", Kind::Time, "s.created_at"),
    Field::new("address", Kind::Text, "s.address").unsorted(),
    Field::new("agent", Kind::Text, "s.agent").unsorted(),
];

const SOURCE: Source = Source {
    name: "session.list",
    columns: session_columns!(),
    from: "session s",
    id: "s.id",
    order: RENEWED,
};

/// A principal's sessions that have not expired, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    principal: PrincipalId,
    now: Timestamp,
    selection: &Selection,
) -> Result<(Vec<Session>, i64)> {
    let own = Conditions::default()
        .and_value("s.principal_id = $", principal)
        .and_value("s.expires_at > $", now);
    list::list(reader, &SOURCE, own, selection, Session::read).await
}

/// Ends a principal's session. Returns whether it existed.
///
/// # Errors
/// When the statement fails.
pub async fn end(tx: &mut Tx, principal: PrincipalId, id: SessionId) -> Result<bool> {
    let ended = tx
        .query("delete from session where id = $1 and principal_id = $2")
        .bind(id)
        .bind(principal)
        .execute()
        .await?;
    Ok(ended == 1)
}

/// Ends a principal's sessions, except one.
///
/// # Errors
/// When the statement fails.
pub async fn end_others(
    tx: &mut Tx,
    principal: PrincipalId,
    kept: Option<SessionId>,
) -> Result<()> {
    tx.query("delete from session where principal_id = $1 and id <> $2")
        .bind(principal)
        .bind(kept.map_or(0, |id| id.0))
        .execute()
        .await?;
    Ok(())
}

/// Removes expired sessions, at most `limit`; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn prune(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<u64> {
    tx.query(
        "delete from session where id in
             (select id from session where expires_at <= $1 order by expires_at limit $2)",
    )
    .bind(now)
    .bind(limit)
    .execute()
    .await
}

/// Ends the session of a hash, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn end_by_hash(tx: &mut Tx, hash: &[u8; 32]) -> Result<()> {
    tx.query("delete from session where hash = $1")
        .bind(&hash[..])
        .execute()
        .await?;
    Ok(())
}
