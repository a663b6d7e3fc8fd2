//! The stage on PostgreSQL and SeaweedFS, each behind a proxy that fails as it is told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use testkit::content::Blob;

use super::client::Way;
use super::seen::Seen;
use super::stage::{MEDIUM, SMALL, Stage};
use crate::Soak;
use testkit::backing::Backing;
use testkit::postgres::{CONNECTIONS, Durability};
use testkit::proxy::{Mode, Proxy, Reply, Rule};

pub(super) struct Shared {
    store: Proxy,
    database: Proxy,
    pub(super) backing: Backing,
}

impl Shared {
    /// Changes what the database's proxy does, for faults that begin in the middle of something.
    pub(super) fn database(&self, mode: Mode) {
        self.database.set(mode);
    }
}

pub(super) type OnShared = Stage<Shared>;

pub(super) fn start(soak: &Soak) -> Result<OnShared, String> {
    let backing = Backing::start(&soak.binary, Durability::Synced)?;
    let endpoint = backing.seaweed().endpoint();
    let store = Proxy::start(endpoint.trim_start_matches("http://"))?;
    let database = Proxy::start(&backing.postgres().address())?;
    let mut settings = backing.settings();
    for (_, value) in &mut settings {
        *value = value
            .replace(&endpoint, &format!("http://{}", store.address()))
            .replace(
                &backing.postgres().address(),
                &database.address().to_string(),
            );
    }
    let data = soak.folder.join("faults-shared/data");
    let around = Shared {
        store,
        database,
        backing,
    };
    Stage::start(soak, &data, settings, around)
}

type Asked = Result<Seen, String>;

impl OnShared {
    /// Asks while the store fails.
    pub(super) fn store(&mut self, mode: Mode, ask: impl FnOnce(&mut Self) -> Asked) -> Asked {
        self.behind(|it| &it.store, mode, ask)
    }

    /// Asks while the store answers requests of this method, with this text in their target, so.
    pub(super) fn answer(
        &mut self,
        method: &'static str,
        part: &'static str,
        reply: Reply,
        ask: impl FnOnce(&mut Self) -> Asked,
    ) -> Asked {
        let rule = Rule {
            method,
            part,
            reply,
            times: u32::MAX,
        };
        self.store(Mode::Answer(rule), ask)
    }

    /// Asks while the database fails.
    pub(super) fn database(&mut self, mode: Mode, ask: impl FnOnce(&mut Self) -> Asked) -> Asked {
        self.behind(|it| &it.database, mode, ask)
    }

    fn behind(
        &mut self,
        which: fn(&Shared) -> &Proxy,
        mode: Mode,
        ask: impl FnOnce(&mut Self) -> Asked,
    ) -> Asked {
        let countable = !matches!(mode, Mode::Refuse);
        which(&self.around).set(mode);
        let seen = ask(self);
        let struck = which(&self.around).struck();
        which(&self.around).set(Mode::Pass);
        if countable && struck == 0 {
            return Err(format!("the fault was not felt: {}", seen?));
        }
        seen
    }

    /// Pushes slowly, and lets something happen when a third is through.
    pub(super) fn meanwhile(
        &mut self,
        happens: impl FnOnce(&mut Shared) -> Result<(), String>,
    ) -> Asked {
        let content = Blob::random(MEDIUM);
        let (client, around) = (&self.client, &mut self.around);
        let (seen, happened) = scope(|scope| {
            let push = scope.spawn(|| client.push_slowly(&content, SLOWLY));
            sleep(Duration::from_secs(1));
            let happened = happens(around);
            let seen = push.join().unwrap_or(Err("the client panicked".to_owned()));
            (seen, happened)
        });
        happened?;
        self.pushed(content, seen)
    }

    /// Sends half of an upload; then the rest fails; then the upload goes on where the server says.
    pub(super) fn resumed(&mut self, mode: Mode) -> Asked {
        let upload = self.first_half()?;
        let seen = self.store(mode, |s| s.second_half(&upload))?;
        self.go_on(upload)?;
        Ok(seen)
    }

    /// Objects of a blob that was deleted stay while the store refuses to delete them, and go afterwards.
    pub(super) fn collected_late(&mut self, reply: Reply) -> Asked {
        let before = self.objects()?;
        let content = Blob::random(SMALL);
        self.client.push(&content, Way::Put)?;
        let with = self.objects()?;
        if with != before + 1 {
            return Err(format!("{with} objects after {before} and a push"));
        }
        let seen = self.answer("POST", "delete", reply, |s| {
            let seen = s.client.delete_blob(&content.digest)?;
            s.wait("a delete that fails", |s| Ok(s.around.store.struck() > 0))?;
            match s.objects()? == with {
                true => Ok(seen),
                false => Err("the object went although the store refused".to_owned()),
            }
        })?;
        self.wait("the object goes", |s| Ok(s.objects()? == before))?;
        Ok(seen)
    }

    fn objects(&self) -> Result<usize, String> {
        Ok(self.around.backing.seaweed().objects()?.len())
    }

    fn wait(
        &mut self,
        what: &str,
        met: impl Fn(&mut Self) -> Result<bool, String>,
    ) -> Result<(), String> {
        let began = Instant::now();
        while !met(self)? {
            if began.elapsed() > COLLECTION {
                return Err(format!("not within {COLLECTION:.0?}: {what}"));
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Asks while somebody else has all connections that PostgreSQL takes.
    pub(super) fn crowded(&mut self, ask: impl FnOnce(&mut Self) -> Asked) -> Asked {
        let address = self.around.backing.postgres().address();
        // The server's own connections go, so that it has to ask for new ones.
        self.around.database.set(Mode::Refuse);
        sleep(Duration::from_millis(500));
        let crowd = (0..CONNECTIONS).map(|_| session(&address));
        let crowd: Vec<TcpStream> = crowd.collect::<Result<_, _>>()?;
        self.around.database.set(Mode::Pass);
        let seen = ask(self);
        drop(crowd);
        seen
    }
}

/// Bytes in a second.
const SLOWLY: f64 = 4e6;
/// How long a collection may take.
const COLLECTION: Duration = Duration::from_secs(90);

/// An open session of PostgreSQL's protocol.
fn session(address: &str) -> Result<TcpStream, String> {
    let open = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let words = b"user\0postgres\0database\0gantry\0\0";
        let length = 8 + words.len() as u32;
        stream.write_all(&length.to_be_bytes())?;
        // Version 3.0.
        stream.write_all(&(3_u32 << 16).to_be_bytes())?;
        stream.write_all(words)?;
        // Whether it is let in, the first letter says; for want of room it is told so.
        stream.read_exact(&mut [0])?;
        Ok::<_, std::io::Error>(stream)
    };
    open().map_err(|error| format!("cannot open a session: {error}"))
}
