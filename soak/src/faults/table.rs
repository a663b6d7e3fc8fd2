//! Every fault, a line each: what is asked, what is done meanwhile, what the client has to see.

use std::time::Duration;

use super::client::Way::{Chunks, Put};
use super::folder::OnFolder;
use super::seen::{Seen, Want};
use super::shared::OnShared;
use super::stage::{MEDIUM, SMALL};
use testkit::backing::Part;
use testkit::proxy::{Mode, Reply};

/// A fault done to a stage.
pub(super) struct Fault<S> {
    pub(super) asked: &'static str,
    pub(super) done: &'static str,
    pub(super) want: Want,
    /// Whether the short form has it too.
    pub(super) short: bool,
    /// Does it, asks, and undoes it.
    pub(super) run: fn(&mut S) -> Result<Seen, String>,
}

const fn fault<S>(
    asked: &'static str,
    done: &'static str,
    want: Want,
    run: fn(&mut S) -> Result<Seen, String>,
) -> Fault<S> {
    Fault {
        asked,
        done,
        want,
        short: false,
        run,
    }
}

/// One that the short form has too.
const fn short<S>(
    asked: &'static str,
    done: &'static str,
    want: Want,
    run: fn(&mut S) -> Result<Seen, String>,
) -> Fault<S> {
    Fault {
        short: true,
        ..fault(asked, done, want, run)
    }
}

const MIB: u64 = 1 << 20;
const CHECK: &[&str] = &["storage", "check"];
const REHASH: &[&str] = &["storage", "check", "--rehash"];
const ALWAYS: u32 = u32::MAX;

const fn cut_answer(after: u64, times: u32) -> Mode {
    Mode::CutAnswer { after, times }
}

const fn cut_request(after: u64, times: u32) -> Mode {
    Mode::CutRequest { after, times }
}

/// On the store. Requests of S3: an object by GET; a small one by PUT; of a large one each part by PUT
/// with `partNumber`, and its end by POST with `uploadId`.
#[rustfmt::skip]
pub(super) const STORE: &[Fault<OnShared>] = &[
    short("pull", "connections are refused", Want::Unavailable, |s| s.store(Mode::Refuse, |s| s.pull())),
    fault("pull", "connections are taken, nothing is said", Want::Unavailable, |s| s.store(Mode::Silence, |s| s.pull())),
    fault("pull", "each piece is 20 ms late", Want::Whole, |s| s.store(Mode::Delay(Duration::from_millis(20)), |s| s.pull())),
    fault("pull", "4 MiB/s", Want::Whole, |s| s.store(Mode::Throttle(4 * MIB), |s| s.pull())),
    fault("pull", "cut once after 1 MiB", Want::Whole, |s| s.store(cut_answer(MIB, 1), |s| s.pull())),
    short("pull", "cut after 1 MiB, again and again", Want::Cut, |s| s.store(cut_answer(MIB, ALWAYS), |s| s.pull())),
    fault("pull, HTTP/2", "cut after 1 MiB, again and again", Want::Cut, |s| s.store(cut_answer(MIB, ALWAYS), |s| s.pull_http2())),
    fault("pull", "nothing more is said after 1 MiB, again and again", Want::Cut, |s| s.store(Mode::StallAnswer { after: MIB }, |s| s.pull())),
    fault("pull", "GET: 500 InternalError", Want::Unavailable, |s| s.answer("GET", "", Reply::Error(500, "InternalError"), |s| s.pull())),
    fault("pull", "GET: 503 SlowDown", Want::Unavailable, |s| s.answer("GET", "", Reply::Error(503, "SlowDown"), |s| s.pull())),
    fault("pull", "GET: half of the bytes, under a length that fits them", Want::Unavailable, |s| s.answer("GET", "", Reply::Half, |s| s.pull())),
    fault("pull", "GET: 200 with a page of HTML", Want::Unavailable, |s| s.answer("GET", "", Reply::Page(200), |s| s.pull())),
    fault("HEAD of a blob", "connections are refused", Want::Whole, |s| s.store(Mode::Refuse, |s| s.head())),
    fault("manifest by tag", "connections are refused", Want::Whole, |s| s.store(Mode::Refuse, |s| s.manifest())),
    fault("push of a manifest", "connections are refused", Want::Whole, |s| s.store(Mode::Refuse, |s| s.push_manifest())),
    fault("push, small", "connections are refused", Want::Unavailable, |s| s.store(Mode::Refuse, |s| s.push(SMALL, Put))),
    fault("push, small", "PUT: 500 InternalError", Want::Unavailable, |s| s.answer("PUT", "", Reply::Error(500, "InternalError"), |s| s.push(SMALL, Put))),
    fault("push, small", "PUT: done, the answer is lost", Want::Unavailable, |s| s.answer("PUT", "", Reply::Lost, |s| s.push(SMALL, Put))),
    fault("push", "connections are refused", Want::Unavailable, |s| s.store(Mode::Refuse, |s| s.push(MEDIUM, Put))),
    fault("push", "connections are taken, nothing is said", Want::Unavailable, |s| s.store(Mode::Silence, |s| s.push(MEDIUM, Put))),
    fault("push", "each piece is 5 ms late", Want::Whole, |s| s.store(Mode::Delay(Duration::from_millis(5)), |s| s.push(MEDIUM, Put))),
    fault("push", "cut once after 3 MiB", Want::Whole, |s| s.store(cut_request(3 * MIB, 1), |s| s.push(MEDIUM, Put))),
    short("push", "cut after 3 MiB, again and again", Want::Unavailable, |s| s.store(cut_request(3 * MIB, ALWAYS), |s| s.push(MEDIUM, Put))),
    fault("push", "a part: 503 SlowDown", Want::Unavailable, |s| s.answer("PUT", "partNumber", Reply::Error(503, "SlowDown"), |s| s.push(MEDIUM, Put))),
    fault("push", "a part: 502 with a page of HTML", Want::Unavailable, |s| s.answer("PUT", "partNumber", Reply::Page(502), |s| s.push(MEDIUM, Put))),
    fault("push in chunks", "a part: 500 InternalError", Want::Unavailable, |s| s.answer("PUT", "partNumber", Reply::Error(500, "InternalError"), |s| s.push(MEDIUM, Chunks))),
    short("push in chunks", "connections are refused from the second half on; then the upload goes on", Want::Unavailable, |s| s.resumed(Mode::Refuse)),
    short("commit", "end of the upload: 200 with an error in it", Want::Unavailable, |s| s.answer("POST", "uploadId", Reply::Error(200, "InternalError"), |s| s.push(MEDIUM, Put))),
    fault("commit", "end of the upload: 200 with a page of HTML", Want::Unavailable, |s| s.answer("POST", "uploadId", Reply::Page(200), |s| s.push(MEDIUM, Put))),
    short("commit", "end of the upload: done, the answer is lost", Want::Whole, |s| s.answer("POST", "uploadId", Reply::Lost, |s| s.push(MEDIUM, Put))),
    fault("delete of a blob", "deletes of objects: 500; then the object goes", Want::Whole, |s| s.collected_late(Reply::Error(500, "InternalError"))),
    fault("delete of a blob", "deletes of objects: a page of HTML; then the object goes", Want::Whole, |s| s.collected_late(Reply::Page(502))),
    fault("push", "the store is killed in the middle and started again afterwards", Want::Unavailable, |s| { let seen = s.meanwhile(|it| it.backing.crash(Part::Storage)); s.around.backing.restart(Part::Storage)?; seen }),
];

/// On the database.
#[rustfmt::skip]
pub(super) const DATABASE: &[Fault<OnShared>] = &[
    fault("pull", "connections are refused", Want::Unavailable, |s| s.database(Mode::Refuse, |s| s.pull())),
    fault("manifest by tag", "connections are taken, nothing is said", Want::Unavailable, |s| s.database(Mode::Silence, |s| s.manifest())),
    fault("manifest by tag", "each piece is 50 ms late", Want::Whole, |s| s.database(Mode::Delay(Duration::from_millis(50)), |s| s.manifest())),
    fault("push of a manifest", "connections are refused", Want::Unavailable, |s| s.database(Mode::Refuse, |s| s.push_manifest())),
    short("push of a manifest", "cut in the transaction", Want::Unavailable, |s| s.database(Mode::LoseAnswer("manifest"), |s| s.push_manifest())),
    fault("push of a manifest", "nothing more is said in the transaction", Want::Unavailable, |s| s.database(Mode::SilenceAfter("manifest"), |s| s.push_manifest())),
    fault("push of a manifest", "committed, the answer is lost", Want::Unavailable, |s| s.database(Mode::LoseAnswer("commit"), |s| s.push_manifest())),
    fault("push, small", "committed, the answer is lost", Want::Unavailable, |s| s.database(Mode::LoseAnswer("commit"), |s| s.push(SMALL, Put))),
    fault("push", "connections are refused in the middle, and until the end", Want::Unavailable, |s| { let seen = s.meanwhile(|it| { it.database(Mode::Refuse); Ok(()) }); s.around.database(Mode::Pass); seen }),
    fault("push", "PostgreSQL crashes (immediate) in the middle and starts again afterwards", Want::Unavailable, |s| { let seen = s.meanwhile(|it| it.backing.crash(Part::Database)); s.around.backing.restart(Part::Database)?; seen }),
    fault("push", "PostgreSQL crashes (immediate) in the middle and starts again at once", Want::Whole, |s| s.meanwhile(|it| { it.backing.crash(Part::Database)?; it.backing.restart(Part::Database) })),
    fault("push of a manifest", "somebody else has all connections that PostgreSQL takes", Want::Unavailable, |s| s.crowded(|s| s.push_manifest())),
];

/// On the data folder and the process.
#[rustfmt::skip]
pub(super) const FOLDER: &[Fault<OnFolder>] = &[
    short("push", "the disk fills up in the middle", Want::Unavailable, |s| s.full(5 * MIB, |s| s.push(MEDIUM, Put))),
    short("push in chunks", "the disk fills up in the second half; then the upload goes on", Want::Unavailable, |s| s.resumed()),
    short("push of a manifest", "the disk is full, for SQLite too", Want::Unavailable, |s| s.full(0, |s| s.push_manifest())),
    fault("pull", "the disk is full", Want::Whole, |s| s.full(0, |s| s.pull())),
    fault("push", "no inode is left", Want::Unavailable, |s| s.without_inodes(|s| s.push(MEDIUM, Put))),
    fault("push", "the blobs' folder can only be read", Want::Unavailable, |s| s.read_only(|s| s.push(MEDIUM, Put))),
    fault("pull", "the blobs' folder can only be read", Want::Whole, |s| s.read_only(|s| s.pull())),
    short("push", "fdatasync, fsync: EIO", Want::Unavailable, |s| s.inject("fdatasync,fsync:error=EIO", |s| s.push(MEDIUM, Put))),
    fault("push of a manifest", "fdatasync, fsync: EIO", Want::Unavailable, |s| s.inject("fdatasync,fsync:error=EIO", |s| s.push_manifest())),
    fault("push of a manifest", "fdatasync, fsync: EIO the first time", Want::Unavailable, |s| s.inject("fdatasync,fsync:error=EIO:when=1", |s| s.push_manifest())),
    fault("push", "writes to files: ENOSPC", Want::Unavailable, |s| s.inject("pwrite64,pwritev,pwritev2:error=ENOSPC", |s| s.push(MEDIUM, Put))),
    fault("push of a manifest", "writes to files: EIO", Want::Unavailable, |s| s.inject("pwrite64,pwritev,pwritev2:error=EIO", |s| s.push_manifest())),
    fault("push", "open: EMFILE", Want::Unavailable, |s| s.inject("openat:error=EMFILE", |s| s.push(MEDIUM, Put))),
    fault("pull", "open: EIO", Want::Unavailable, |s| s.inject("openat:error=EIO", |s| s.pull())),
    fault("pull", "reads from files: EIO from the third on", Want::Cut, |s| s.inject("preadv2,pread64,preadv:error=EIO:when=3+", |s| s.pull())),
    fault("pull", "the blob's file is gone", Want::Unavailable, |s| s.spoiled(gone, CHECK, |s| s.pull())),
    short("pull", "the blob's file was cut short", Want::Cut, |s| s.spoiled(cut_short, CHECK, |s| s.pull())),
    fault("pull, HTTP/2", "the blob's file was cut short", Want::Cut, |s| s.spoiled(cut_short, CHECK, |s| s.pull_http2())),
    fault("pull", "a bit of the blob's file flipped", Want::Changed, |s| s.spoiled(flip, REHASH, |s| s.pull())),
];

/// On the client's own side, with the server as in `FOLDER`.
#[rustfmt::skip]
pub(super) const CLIENT: &[Fault<OnFolder>] = &[
    short("push", "leaves in the middle", Want::Left, |s| s.left()),
    fault("push", "stands still in the middle", Want::Status(408), |s| s.stalled()),
    short("pull", "does not read what comes", Want::Cut, |s| s.unread()),
    fault("any", "never ends the head of its request", Want::Cut, |s| s.headless()),
];

fn gone(file: &std::path::Path) -> std::io::Result<()> {
    std::fs::remove_file(file)
}

fn cut_short(file: &std::path::Path) -> std::io::Result<()> {
    let file = std::fs::File::options().write(true).open(file)?;
    file.set_len(file.metadata()?.len() / 2)
}

fn flip(file: &std::path::Path) -> std::io::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes)
}
