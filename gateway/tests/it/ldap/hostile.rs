//! A directory that answers as none should, or somebody on the wire in its place: it costs those who sign in by it, and
//! nobody else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{CURRENT, READING, SETTINGS, TOKEN, may_push};
use crate::harness::{Client, Server, eventually};

const SECRET: &str = "Right-Passw0rd";
const BASE: &str = "dc=hostile";
const UUID: &str = "5b1d7a3e-0000-0000-0000-000000000001";
const GROUP: &str = "cn=devs,dc=hostile";
/// The rule by which groups in groups are searched.
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// How the directory answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// As it should.
    Good,
    /// With tags in tags, 20,000 deep.
    Deep,
    /// With a message of 2 GiB.
    Long,
    /// With bytes that are no LDAP.
    Other,
    /// With a result that has no parts.
    Empty,
    /// Searches with one entry after the other.
    Endless,
    /// Searches with two people.
    Ambiguous,
    /// Not at all where groups in groups are searched, and with no group otherwise.
    LateGroups,
    /// Not at all where groups in groups are searched, and with the group otherwise.
    DirectGroups,
    /// Not at all.
    Silent,
}

/// A directory with one person, `ann`.
struct Directory {
    port: u16,
    state: Arc<State>,
    listening: tokio::task::JoinHandle<()>,
}

struct State {
    habit: Mutex<Habit>,
    /// Entries that were bound as, but for whoever searches.
    bound: Mutex<Vec<String>>,
    /// Searches that were not answered.
    late: AtomicUsize,
}

impl Directory {
    async fn start(habit: Habit) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State {
            habit: Mutex::new(habit),
            bound: Mutex::default(),
            late: AtomicUsize::new(0),
        });
        let taking = state.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = taking.clone();
                // Whoever hangs up in the middle is done.
                tokio::spawn(async move { state.serve(stream).await });
            }
        });
        Self {
            port,
            state,
            listening,
        }
    }

    fn set(&self, habit: Habit) {
        *self.state.habit.lock().expect("no panic") = habit;
    }

    fn bound(&self) -> Vec<String> {
        self.state.bound.lock().expect("no panic").clone()
    }

    fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let (id, operation, content) = request(&mut stream).await?;
            let habit = *self.habit.lock().expect("no panic");
            match habit {
                Habit::Silent => continue,
                Habit::Deep => {
                    stream.write_all(&deep(20_000)).await?;
                    continue;
                }
                Habit::Long => {
                    stream
                        .write_all(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff])
                        .await?;
                    loop {
                        stream.write_all(&[0; 1 << 16]).await?;
                    }
                }
                Habit::Other => {
                    stream
                        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                        .await?;
                    continue;
                }
                Habit::Empty => {
                    let kind = if operation == 0x60 { 0x61 } else { 0x65 };
                    stream.write_all(&message(&id, &tag(kind, b""))).await?;
                    continue;
                }
                Habit::Good
                | Habit::Endless
                | Habit::Ambiguous
                | Habit::LateGroups
                | Habit::DirectGroups => {}
            }
            match operation {
                0x60 => {
                    let answer = self.bind(&content);
                    stream.write_all(&message(&id, &answer)).await?;
                }
                0x63 => {
                    let asks = |text: &str| {
                        let text = text.as_bytes();
                        content.windows(text.len()).any(|it| it == text)
                    };
                    let (part, number) = match habit {
                        // References count for no entry, and they could come for ever.
                        Habit::Endless => (tag(0x73, &tag(4, b"ldap://elsewhere")), usize::MAX),
                        Habit::Ambiguous => (person(), 2),
                        Habit::LateGroups | Habit::DirectGroups if asks(IN_CHAIN) => {
                            self.late.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        _ if asks(IN_CHAIN) => (group(), 1),
                        Habit::DirectGroups if asks("uniqueMember") => (group(), 1),
                        _ if asks("uniqueMember") => (group(), 0),
                        _ => (person(), usize::from(asks("ann") || asks(UUID))),
                    };
                    for at in 0..number {
                        if habit == Habit::Endless && at > 0 {
                            tokio::time::sleep(Duration::from_millis(200)).await;
                        }
                        stream.write_all(&message(&id, &part)).await?;
                    }
                    stream.write_all(&message(&id, &result(0x65, 0))).await?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// The text of a wrong password is Latin-1, as old directories have it.
    fn bind(&self, content: &[u8]) -> Vec<u8> {
        let has = |text: &str| content.windows(text.len()).any(|it| it == text.as_bytes());
        if has("cn=reader") {
            return result(0x61, 0);
        }
        // A version in three bytes, and the length of the name in one.
        let name = content
            .get(5..5 + usize::from(content[4]))
            .unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        let code = if has(SECRET) && name == "uid=ann,dc=hostile" {
            0
        } else {
            49
        };
        self.bound.lock().expect("no panic").push(name);
        result(0x61, code)
    }
}

/// A request: the bytes of its id, the first byte of its operation, and what that holds.
async fn request(stream: &mut TcpStream) -> std::io::Result<(Vec<u8>, u8, Vec<u8>)> {
    let message = content(stream).await?.1;
    let mut rest = &message[..];
    let id = content(&mut rest).await?.1;
    let (operation, content) = content(&mut rest).await?;
    Ok((id, operation, content))
}

/// The next tag, and what it holds.
async fn content(
    from: &mut (impl tokio::io::AsyncRead + Send + Unpin),
) -> std::io::Result<(u8, Vec<u8>)> {
    let first = from.read_u8().await?;
    let mut length = usize::from(from.read_u8().await?);
    if length > 0x80 {
        let digits = length - 0x80;
        length = 0;
        for _ in 0..digits {
            length = (length << 8) | usize::from(from.read_u8().await?);
        }
    }
    let mut content = vec![0; length];
    from.read_exact(&mut content).await?;
    Ok((first, content))
}

fn tag(first: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len())
        .expect("it is short")
        .to_be_bytes();
    [&[first, 0x84][..], &length, content].concat()
}

/// Tags in tags, so many.
fn deep(levels: u32) -> Vec<u8> {
    let header = |inner: u32| {
        let length = (inner * 6).to_be_bytes();
        [&[0x30, 0x84][..], &length].concat()
    };
    (0..levels).rev().flat_map(header).collect()
}

fn message(id: &[u8], operation: &[u8]) -> Vec<u8> {
    tag(0x30, &[&tag(2, id), operation].concat())
}

fn result(kind: u8, code: u8) -> Vec<u8> {
    let parts = [tag(10, &[code]), tag(4, b""), tag(4, b"Ung\xfcltig")];
    tag(kind, &parts.concat())
}

fn person() -> Vec<u8> {
    entry("uid=ann,dc=hostile", &[("uid", "ann"), ("entryUUID", UUID)])
}

fn group() -> Vec<u8> {
    entry(GROUP, &[("cn", "devs")])
}

fn entry(dn: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let attributes = attributes.iter().flat_map(|(name, value)| {
        let values = tag(0x31, &tag(4, value.as_bytes()));
        tag(0x30, &[tag(4, name.as_bytes()), values].concat())
    });
    let attributes: Vec<u8> = attributes.collect();
    tag(
        0x64,
        &[tag(4, dn.as_bytes()), tag(0x30, &attributes)].concat(),
    )
}

/// A server that asks these directories, each password anew.
async fn asking(url: &str, further: &[&Directory]) -> Server {
    let server = Server::with(&[("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8")]).await;
    let further: Vec<String> = further.iter().map(|it| it.url()).collect();
    let settings = json!({
        "ldap_url": url, "ldap_fallback_urls": further.join(" "), "ldap_search_dn": "cn=reader",
        "ldap_search_password": "x", "ldap_base_dn": BASE, "ldap_uid": "uid", "ldap_timeout": 1,
        "ldap_group_search_filter": "", "ldap_password_secs": 0, "ldap_outage_secs": 0,
        "ldap_reading_secs": 60,
    });
    let changed = server.admin().put(SETTINGS).json(&settings).await;
    changed.expect(200);
    server
}

fn ann(server: &Server, password: &str) -> Client {
    server.as_user_with("ann", password)
}

#[tokio::test]
async fn no_answer_ends_the_process_or_holds_a_place_for_good() {
    let directory = Directory::start(Habit::Good).await;
    let server = asking(&directory.url(), &[]).await;
    ann(&server, SECRET).get(CURRENT).await.expect(200);
    for habit in [
        Habit::Deep,
        Habit::Long,
        Habit::Other,
        Habit::Empty,
        Habit::Endless,
    ] {
        directory.set(habit);
        let begun = Instant::now();
        // More than there are places.
        let attempts = (0..12).map(|number| {
            let person = server.as_user_with(&format!("ann{number}"), SECRET);
            async move { person.at(100 + number).get(TOKEN).await.status }
        });
        let statuses = futures_util::future::join_all(attempts).await;
        assert!(
            statuses.iter().all(|status| *status == 503),
            "{habit:?}: {statuses:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(15), "{habit:?}");
        server.admin().get(TOKEN).await.expect(200);
        directory.set(Habit::Good);
        eventually(READING, "the directory is back", async || {
            (ann(&server, SECRET).get(CURRENT).await.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn whether_the_directory_has_a_name_is_not_told() {
    let directory = Directory::start(Habit::Good).await;
    let server = asking(&directory.url(), &[]).await;
    // The text of the result is no UTF-8.
    ann(&server, "wrong").get(TOKEN).await.expect(401);
    assert_eq!(directory.bound(), ["uid=ann,dc=hostile"]);
    // As many questions as for a name that it has.
    server
        .as_user_with("bob", SECRET)
        .get(TOKEN)
        .await
        .expect(401);
    let bound = directory.bound();
    assert!(
        bound.len() == 2 && bound[1].ends_with(",dc=hostile"),
        "{bound:?}"
    );
    assert_ne!(bound[0], bound[1]);
    directory.set(Habit::Ambiguous);
    ann(&server, SECRET).get(TOKEN).await.expect(401);
    assert_eq!(directory.bound().len(), 3);
    assert!(server.log().contains("several entries"), "the log says why");
}

#[tokio::test]
async fn of_several_that_find_an_address_silent_the_next_one_is_tried() {
    let (silent, good) = (
        Directory::start(Habit::Silent).await,
        Directory::start(Habit::Good).await,
    );
    let server = asking(&silent.url(), &[&good]).await;
    let attempts = (0..2).map(|number| {
        let person = ann(&server, SECRET);
        async move { person.at(60 + number).get(TOKEN).await.status }
    });
    let statuses = futures_util::future::join_all(attempts).await;
    assert_eq!(statuses, [503, 503]);
    ann(&server, SECRET).get(CURRENT).await.expect(200);
}

#[tokio::test]
async fn groups_in_groups_that_come_late_take_no_roles_away() {
    let directory = Directory::start(Habit::Good).await;
    let server = asking(&directory.url(), &[]).await;
    let settings = json!({
        "ldap_group_search_filter": "objectClass=group", "ldap_group_base_dn": BASE,
        "ldap_group_attribute_name": "cn", "ldap_group_lookup": "nested", "ldap_reading_secs": 1,
        "ldap_password_secs": 600,
    });
    let admin = server.admin();
    admin.put(SETTINGS).json(&settings).await.expect(200);
    let person = ann(&server, SECRET);
    person.get(CURRENT).await.expect(200);
    let project = server.private_project().await;
    let member = json!({ "role_id": 2, "member_group": { "ldap_group_dn": GROUP } });
    let added = admin.post(&project.members()).json(&member).await;
    added.expect(201);
    let repository = project.repository("app");
    assert!(may_push(&person, &repository).await);
    directory.set(Habit::LateGroups);
    // One search was given up by then, after twelve times `ldap_timeout`.
    eventually(60, "two readings", async || {
        (directory.state.late.load(Ordering::Relaxed) >= 2).then_some(())
    })
    .await;
    assert!(may_push(&person, &repository).await);
}

#[tokio::test]
async fn groups_in_groups_that_come_late_leave_the_direct_ones_at_a_first_sign_in() {
    let directory = Directory::start(Habit::DirectGroups).await;
    let server = asking(&directory.url(), &[]).await;
    let settings = json!({
        "ldap_group_search_filter": "objectClass=group", "ldap_group_base_dn": BASE,
        "ldap_group_attribute_name": "cn", "ldap_group_lookup": "nested", "ldap_password_secs": 600,
    });
    let admin = server.admin();
    admin.put(SETTINGS).json(&settings).await.expect(200);
    let person = ann(&server, SECRET);
    eventually(60, "ann is signed in", async || {
        (person.get(CURRENT).await.status == 200).then_some(())
    })
    .await;
    assert!(directory.state.late.load(Ordering::Relaxed) >= 1);
    let project = server.private_project().await;
    let member = json!({ "role_id": 2, "member_group": { "ldap_group_dn": GROUP } });
    let added = admin.post(&project.members()).json(&member).await;
    added.expect(201);
    assert!(may_push(&person, &project.repository("app")).await);
    assert!(server.log().contains("only direct ones count"));
}
