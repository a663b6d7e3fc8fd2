//! A backup: a folder with a consistent snapshot of the database, the digests of the blobs that it names, and the
//! hashes of both files. The blobs are not included: `[gc] hold_secs` keeps them as long as the backup may be restored.
//! Backups of SQLite and PostgreSQL are identical, and can be restored into either.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use db::backup::{self, TABLES, Table};
use db::blob::StoredBlob;
use db::{Db, Reader, Tx, installation};
use model::{Algorithm, BlobId, Hasher};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::BlobStore;

use crate::maintenance::check::{self, Depth};
use crate::maintenance::progress::Progress;
use crate::stores::{Binding, Origin};

/// Errors of backup and restore.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error("cannot use the database")]
    Database(#[from] db::Error),
    /// A file.
    #[error("cannot {0} {1}")]
    File(&'static str, PathBuf, #[source] std::io::Error),
    /// A file or folder that a backup must not overwrite.
    #[error("{0} is there already")]
    Exists(PathBuf),
    /// A file that was changed after the backup.
    #[error("{0} is not what the backup wrote: {1}")]
    Damaged(PathBuf, String),
    /// A backup with another schema version.
    #[error(
        "the backup has schema {0}, this program {1}: restore it with the version that made it, then start this one"
    )]
    Schema(i64, i64),
    /// A database that is in use.
    #[error("the database is not empty: a backup is restored into a new one")]
    NotEmpty,
    /// Another restore into the same database.
    #[error("another restore into this database is running: wait until it has ended")]
    Restoring,
    /// The stores cannot be bound to the restored database.
    #[error("cannot bind the store to the restored database")]
    Bind(#[source] crate::Error),
    /// The leftover of an earlier attempt.
    #[error("{0} is there: remove it, unless another backup is writing it")]
    Unfinished(PathBuf),
    /// The store cannot be read.
    #[error("cannot look for the backup's blobs")]
    Look(#[source] crate::Error),
}

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The result of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of rows.
    pub rows: u64,
    /// Number of blobs that they name.
    pub blobs: u64,
}

/// The first line of the database's file.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    gantry_backup: u32,
    schema: i64,
}

impl Header {
    /// Compares the backup's schema with this program's.
    fn check(&self) -> Result<()> {
        let schema = Db::newest_schema();
        if self.schema == schema {
            return Ok(());
        }
        Err(Error::Schema(self.schema, schema))
    }
}

/// The last line, which marks the file as complete.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    rows: u64,
}

const FORMAT: u32 = 1;
const DATABASE: &str = "database.jsonl";
const DIGESTS: &str = "digests.txt";
const SUMS: &str = "SHA256SUMS";
/// Maximum rows per insert statement, and maximum bytes.
const ROWS: usize = 500;
const BYTES: usize = 4 << 20;
/// Blobs to read at a time.
const BLOBS: i64 = 10_000;

/// Writes a backup into `folder`, which must not exist. The folder appears once it is complete and durable. Counts rows,
/// and then blobs, in `progress`.
///
/// # Errors
/// When the database cannot be read or a file cannot be written; then the folder does not exist.
pub async fn backup(db: &Db, folder: &Path, progress: &Progress) -> Result<Summary> {
    if folder.exists() {
        return Err(Error::Exists(folder.to_owned()));
    }
    // Without a slash at its end.
    let folder: &Path = &folder.components().collect::<PathBuf>();
    let mut partial = folder.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let made = std::fs::create_dir(&partial);
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::Unfinished(partial.clone()),
        _ => Error::File("make", partial.clone(), error),
    })?;
    let written = write_all(db, &partial, progress).await;
    let placed = written.and_then(|summary| place(&partial, folder).map(|()| summary));
    if placed.is_err() {
        // The error says what happened; the leftovers of the attempt add nothing.
        let _ = std::fs::remove_dir_all(&partial);
    }
    placed
}

/// Renames the folder, durably.
fn place(partial: &Path, folder: &Path) -> Result<()> {
    let above = match folder.parent() {
        Some(above) if above != Path::new("") => above,
        _ => Path::new("."),
    };
    let sync = |path: &Path| File::open(path)?.sync_all();
    let placed = sync(partial).and_then(|()| std::fs::rename(partial, folder));
    let placed = placed.and_then(|()| sync(above));
    placed.map_err(|error| Error::File("write", folder.to_owned(), error))
}

async fn write_all(db: &Db, folder: &Path, progress: &Progress) -> Result<Summary> {
    let mut tx = db.snapshot().await?;
    let mut database = Written::create(folder.join(DATABASE))?;
    progress.begin("rows", None, None);
    let rows = write_database(&mut tx, &mut database, progress).await?;
    let mut digests = Written::create(folder.join(DIGESTS))?;
    progress.begin("blobs", None, None);
    let blobs = write_digests(&mut tx, &mut digests, progress).await?;
    drop(tx);
    let mut sums = Written::create(folder.join(SUMS))?;
    sums.line(&format!("{}  {DATABASE}", database.end()?))?;
    sums.line(&format!("{}  {DIGESTS}", digests.end()?))?;
    sums.end()?;
    Ok(Summary { rows, blobs })
}

async fn write_database(
    reader: &mut Reader,
    file: &mut Written,
    progress: &Progress,
) -> Result<u64> {
    let header = Header {
        gantry_backup: FORMAT,
        schema: backup::schema(reader).await?,
    };
    file.json(&header)?;
    let mut count = 0;
    for name in TABLES {
        let table = backup::describe(reader, name).await?;
        file.json(&table)?;
        let take = |row: &str| {
            count += 1;
            progress.count();
            file.line(row)
        };
        backup::rows(reader, &table, take).await?;
    }
    file.json(&End { rows: count })?;
    Ok(count)
}

async fn write_digests(
    reader: &mut Reader,
    file: &mut Written,
    progress: &Progress,
) -> Result<u64> {
    let (mut count, mut after) = (0, model::BlobId(0));
    loop {
        let blobs = db::blob::walk_plain(reader, after, BLOBS).await?;
        let Some(last) = blobs.last() else {
            return Ok(count);
        };
        after = last.id;
        count += blobs.len() as u64;
        for blob in &blobs {
            file.line(&format!("{} {} {}", blob.digest, blob.size, blob.key))?;
            progress.count();
        }
    }
}

/// A SHA-256 in the format of `sha256sum`.
fn sum(hasher: Hasher) -> String {
    let digest = hasher.finish().to_string();
    digest
        .split_once(':')
        .map_or(digest.clone(), |(_, hex)| hex.to_owned())
}

/// A file that is hashed while it is written.
struct Written {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: Hasher,
}

impl Written {
    fn create(path: PathBuf) -> Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        // It contains password hashes.
        let mut options = File::options();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Error::File("make", path.clone(), error))?;
        Ok(Self {
            path,
            file: BufWriter::with_capacity(1 << 20, file),
            hasher: Hasher::new(Algorithm::Sha256),
        })
    }

    fn line(&mut self, text: &str) -> Result<()> {
        for bytes in [text.as_bytes(), b"\n"] {
            self.hasher.update(bytes);
            let written = self.file.write_all(bytes);
            written.map_err(|error| Error::File("write", self.path.clone(), error))?;
        }
        Ok(())
    }

    fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).unwrap_or_default();
        self.line(&text)
    }

    /// Makes the file durable; its SHA-256 in hex.
    fn end(self) -> Result<String> {
        let Self { path, file, hasher } = self;
        let file = file.into_inner().map_err(|error| error.into_error());
        let synced = file.and_then(|file| file.sync_all());
        synced.map_err(|error| Error::File("write", path, error))?;
        Ok(sum(hasher))
    }
}

/// The name in the database of the backup from which it was restored.
const RESTORED: &str = "restored-backup";

/// A backup whose files were verified. It is checked before anything is restored.
#[derive(Clone, Debug)]
pub struct Backup {
    folder: PathBuf,
    /// The SHA-256 of the database file, which identifies the backup.
    id: String,
}

/// The state of a restore's target database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It is empty.
    Empty,
    /// This backup was restored into it.
    Restored,
}

impl Backup {
    /// Reads the files and verifies their hashes.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Damaged`]; [`Error::Schema`] if the program has another schema version.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut sums = Lines::open(folder.join(SUMS))?;
        let (mut database, mut digests) = (None, None);
        while let Some(line) = sums.next()? {
            let (sum, name) = line
                .split_once("  ")
                .ok_or_else(|| sums.damaged(&format!("the line {line:?}")))?;
            let sum = Some(sum.to_owned());
            match name {
                DATABASE => database = sum,
                DIGESTS => digests = sum,
                _ => return Err(sums.damaged(&format!("the line {line:?}"))),
            }
        }
        let (Some(id), Some(digests)) = (database, digests) else {
            return Err(sums.damaged("a file is missing"));
        };
        compare(&folder.join(DATABASE), &id)?;
        compare(&folder.join(DIGESTS), &digests)?;
        let backup = Self {
            folder: folder.to_owned(),
            id,
        };
        backup.rows()?.header()?.check()?;
        Ok(backup)
    }

    /// What the backup would meet in a database.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] if it has other content.
    pub async fn target(&self, db: &Db) -> Result<Target> {
        let mut tx = db.reader().await?;
        if backup::is_empty(&mut tx).await? {
            return Ok(Target::Empty);
        }
        match installation::get(&mut tx, RESTORED).await? {
            Some(id) if id == self.id.as_bytes() => Ok(Target::Restored),
            _ => Err(Error::NotEmpty),
        }
    }

    /// A value of the installation in the backup.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn installation(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let value = self.find("installation", ["name", "value"], |[found, value]| {
            (found == name).then(|| value.to_owned())
        })?;
        let decoded = value.map(hex::decode).transpose();
        decoded.map_err(|_| {
            Error::Damaged(
                self.folder.join(DATABASE),
                "a value of the installation".to_owned(),
            )
        })
    }

    /// The installation in the backup and the store of its new blobs; `None` if it never had a store.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn origin(&self) -> Result<Option<Origin>> {
        let columns = ["installation_id", "store_id", "state"];
        let stores_in = |state: &str| {
            self.find("store_identity", columns, |[installation, store, found]| {
                let (installation, store) = (installation.parse().ok()?, store.parse().ok()?);
                (found == state || state.is_empty()).then_some(Origin {
                    installation,
                    store,
                })
            })
        };
        match stores_in("current")? {
            None => stores_in(""),
            current => Ok(current),
        }
    }

    /// The first result of `pick` over a table's rows; it gets the texts of some columns.
    fn find<T, const N: usize>(
        &self,
        table: &str,
        columns: [&str; N],
        pick: impl Fn([&str; N]) -> Option<T>,
    ) -> Result<Option<T>> {
        let mut lines = self.rows()?;
        lines.header()?;
        let mut places = None;
        while let Some(line) = lines.next()? {
            if !line.starts_with('[') {
                if places.is_some() {
                    break;
                }
                places = places_of(&line, table, columns);
            } else if let Some(places) = places {
                let row: Vec<Value> = serde_json::from_str(&line).unwrap_or_default();
                let texts = places.map(|place| row.get(place).and_then(Value::as_str));
                if let Some(found) = pick(texts.map(Option::unwrap_or_default)) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Checks each blob that the backup names, and calls `finding` for each that is missing or damaged. Returns the
    /// number of blobs, and of findings. Counts blobs in `progress`, and their bytes if these are read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn look(
        &self,
        store: &Arc<dyn BlobStore>,
        depth: Depth,
        mut finding: impl FnMut(&str),
        progress: &Progress,
    ) -> Result<(u64, u64)> {
        let (all, bytes) = self.named()?;
        let bytes = (depth == Depth::Bytes).then_some(bytes);
        progress.begin("blobs", Some(all), bytes);
        let mut lines = Lines::open(self.folder.join(DIGESTS))?;
        let (mut blobs, mut wrong) = (0, 0);
        while let Some(line) = lines.next()? {
            blobs += 1;
            let found = match parse_blob(&line) {
                Some(blob) => check::look_at(store, &blob, depth, progress).await,
                // The value was the same in the database.
                None => Ok(Some(format!("no blob can have this: {line:?}"))),
            };
            if let Some(text) = found.map_err(Error::Look)? {
                wrong += 1;
                finding(&text);
            }
            progress.count();
        }
        Ok((blobs, wrong))
    }

    /// How many blobs the backup names, and how many bytes they have.
    fn named(&self) -> Result<(u64, u64)> {
        let mut lines = Lines::open(self.folder.join(DIGESTS))?;
        let (mut blobs, mut bytes) = (0, 0_u64);
        while let Some(line) = lines.next()? {
            blobs += 1;
            bytes = bytes.saturating_add(parse_blob(&line).map_or(0, |blob| blob.size));
        }
        Ok((blobs, bytes))
    }

    /// Restores the backup into an empty database, and binds the stores to it, completely or not at all; returns the
    /// number of rows. Tokens that were issued before are no longer valid. Counts rows and their bytes in `progress`.
    ///
    /// # Errors
    /// When the database is not empty or fails, another restore is writing to it, or a store cannot be bound.
    pub async fn restore(&self, db: &Db, stores: Binding, progress: &Arc<Progress>) -> Result<u64> {
        let (lines, id, progress) = (self.rows()?, self.id.clone(), progress.clone());
        let file = std::fs::metadata(self.folder.join(DATABASE));
        progress.begin("rows", None, file.ok().map(|file| file.len()));
        db.write(move |tx| {
            Box::pin(async move {
                if !backup::take_turn(tx).await? {
                    return Err(Error::Restoring);
                }
                let rows = read_database(tx, lines, &progress).await?;
                installation::put(tx, RESTORED, id.as_bytes()).await?;
                // Ids assigned since the backup will be assigned again, so old tokens must not stay valid.
                installation::delete(tx, installation::TOKEN_KEY).await?;
                stores.write(tx).await.map_err(Error::Bind)?;
                Ok(rows)
            })
        })
        .await
    }

    fn rows(&self) -> Result<Lines> {
        Lines::open(self.folder.join(DATABASE))
    }
}

/// The positions of some columns, if the line is the header of that table.
fn places_of<const N: usize>(line: &str, table: &str, columns: [&str; N]) -> Option<[usize; N]> {
    let head: Table = serde_json::from_str(line).ok()?;
    let place = |name: &str| head.columns.iter().position(|column| column.name == name);
    let places = columns.map(place);
    (head.table == table && places.iter().all(Option::is_some))
        .then(|| places.map(Option::unwrap_or_default))
}

/// A line of the list of blobs: digest, size and key.
fn parse_blob(line: &str) -> Option<StoredBlob> {
    let mut words = line.split(' ');
    Some(StoredBlob {
        id: BlobId(0),
        digest: words.next()?.parse().ok()?,
        size: words.next()?.parse().ok()?,
        key: words.next()?.to_owned(),
    })
}

/// Compares a file with its recorded SHA-256.
fn compare(path: &Path, expected: &str) -> Result<()> {
    let failed = |error| Error::File("read", path.to_owned(), error);
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    loop {
        let bytes = file.fill_buf().map_err(failed)?;
        if bytes.is_empty() {
            break;
        }
        hasher.update(bytes);
        let count = bytes.len();
        file.consume(count);
    }
    if sum(hasher) == expected {
        return Ok(());
    }
    Err(Error::Damaged(
        path.to_owned(),
        "its hash differs".to_owned(),
    ))
}

async fn read_database(tx: &mut Tx, mut lines: Lines, progress: &Progress) -> Result<u64> {
    if !backup::is_empty(tx).await? {
        return Err(Error::NotEmpty);
    }
    lines.header()?.check()?;
    let mut table: Option<Table> = None;
    let (mut rows, mut waiting) = (0, String::new());
    while let Some(line) = lines.next()? {
        if line.starts_with('[') {
            let Some(table) = &table else {
                return Err(lines.damaged("a row stands before its table"));
            };
            waiting.push(if waiting.is_empty() { '[' } else { ',' });
            waiting.push_str(&line);
            rows += 1;
            progress.count();
            progress.count_bytes(line.len() as u64 + 1);
            if rows % ROWS as u64 == 0 || waiting.len() > BYTES {
                put(tx, table, &mut waiting).await?;
            }
            continue;
        }
        if let Some(table) = &table {
            put(tx, table, &mut waiting).await?;
            backup::count_on(tx, table).await?;
        }
        if let Ok(end) = serde_json::from_str::<End>(&line) {
            let whole = end.rows == rows && lines.next()?.is_none();
            return whole
                .then_some(rows)
                .ok_or_else(|| lines.damaged("it does not have the rows that it names"));
        }
        let next: Table = serde_json::from_str(&line).map_err(|_| lines.damaged("a bad line"))?;
        if !TABLES.contains(&&*next.table) {
            return Err(lines.damaged("a table of no known name"));
        }
        // Names are put into statements: only those in the database are accepted.
        let known = describe_known(tx, &next.table).await?;
        if !next
            .columns
            .iter()
            .all(|column| known.columns.contains(column))
        {
            return Err(lines.damaged("a column of no known name"));
        }
        table = Some(next);
    }
    Err(lines.damaged("its end is missing"))
}

async fn describe_known(reader: &mut Reader, name: &str) -> Result<Table> {
    let name = TABLES.into_iter().find(|known| *known == name);
    Ok(backup::describe(reader, name.unwrap_or_default()).await?)
}

async fn put(tx: &mut Tx, table: &Table, waiting: &mut String) -> Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    waiting.push(']');
    backup::put(tx, table, waiting).await?;
    waiting.clear();
    Ok(())
}

/// A file, line by line.
struct Lines {
    path: PathBuf,
    lines: std::io::Lines<BufReader<File>>,
}

impl Lines {
    fn open(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).map_err(|error| Error::File("read", path.clone(), error))?;
        let lines = BufReader::with_capacity(1 << 20, file).lines();
        Ok(Self { path, lines })
    }

    fn next(&mut self) -> Result<Option<String>> {
        let next = self.lines.next().transpose();
        next.map_err(|error| Error::File("read", self.path.clone(), error))
    }

    /// The first line of the database's file.
    fn header(&mut self) -> Result<Header> {
        let line = self.next()?.unwrap_or_default();
        let header = serde_json::from_str(&line).ok();
        let header = header.filter(|header: &Header| header.gantry_backup == FORMAT);
        header.ok_or_else(|| self.damaged("it does not begin as a backup does"))
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Damaged(self.path.clone(), what.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use db::Location;
    use model::Timestamp;
    use policy::{Caller, permit};
    use storage::Files;

    use super::*;
    use crate::stores::{Place, Stores};

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    async fn database(file: PathBuf) -> Db {
        Db::open(&Location::Sqlite(file)).await.unwrap()
    }

    async fn is_kept(db: &Db) -> bool {
        let mut reader = db.reader().await.unwrap();
        installation::get(&mut reader, "kept")
            .await
            .unwrap()
            .is_some()
    }

    #[tokio::test]
    async fn rows_and_the_store_are_restored_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let db = database(at("old.db")).await;
        let put = db.write(|tx| Box::pin(async move { installation::put(tx, "kept", b"x").await }));
        put.await.unwrap();
        let progress = Arc::new(Progress::default());
        backup(&db, &at("backup"), &progress).await.unwrap();
        let read = Backup::open(&at("backup")).unwrap();
        let store = Files::open(&at("blobs")).unwrap();
        let stores = Stores {
            current: Place {
                store: Arc::new(store),
                name: "a store".to_owned(),
            },
            leaving: None,
        };
        let permit = permit::permit_system(&Caller::command_line()).unwrap();
        let identity = at("blobs").join(storage::identity::KEY);
        let new = database(at("new.db")).await;
        let binding = Binding::claimed(&stores, &permit, NOW).await.unwrap();
        // A folder in its place: root may write where permissions forbid it.
        std::fs::create_dir(&identity).unwrap();
        let asked = Binding::claimed(&stores, &permit, NOW).await;
        assert!(asked.is_err(), "what cannot be read is not replaced");
        let failed = read.restore(&new, binding, &progress).await;
        assert!(matches!(failed, Err(Error::Bind(_))), "{failed:?}");
        assert!(!is_kept(&new).await, "rows without a store");
        std::fs::remove_dir(&identity).unwrap();
        let binding = Binding::claimed(&stores, &permit, NOW).await.unwrap();
        read.restore(&new, binding, &progress).await.unwrap();
        assert!(is_kept(&new).await);
        crate::stores::verify(&new, &stores).await.unwrap();
    }
}
