//! What several sources do to one another: nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use async_trait::async_trait;
use db::Location;
use db::audit::recorder::Recorder;
use db::user::{self, NewUser};
use model::ManualClock;
use parking_lot::Mutex;
use tenancy::password::{NewPassword, PasswordHasher};
use tenancy::secret::MasterKey;
use tenancy::setting::{Fixed, Settings};

use super::*;
use crate::source::Local;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const PASSWORD: &str = "Passw0rd1";

/// A source that knows everybody and never answers, and remembers who was asked for.
#[derive(Clone, Default)]
struct Stuck(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl PasswordSource for Stuck {
    async fn check(&self, login: Login) -> Result<Checked> {
        self.0.lock().push(login.name().to_owned());
        std::future::pending().await
    }
}

fn master() -> Arc<MasterKey> {
    let text = MasterKey::generate_text().unwrap();
    Arc::new(MasterKey::parse(text.as_bytes()).unwrap())
}

struct Installation {
    passwords: Arc<Passwords>,
    stuck: Stuck,
    _folder: tempfile::TempDir,
}

impl Installation {
    /// With ann, who has a local password, and a stuck source behind the local one.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("db"));
        let db = Db::open(&location).await.unwrap();
        let hasher = Arc::new(PasswordHasher::new());
        let password = NewPassword::try_from(PASSWORD.to_owned()).unwrap();
        let ann = NewUser {
            name: "ann".into(),
            email: None,
            realname: String::new(),
            comment: String::new(),
            password_hash: Some(hasher.hash(&password).await.unwrap()),
            sysadmin: false,
            email_verified: true,
            unverified: false,
        };
        db.write(move |tx| Box::pin(async move { user::create(tx, &ann, NOW).await }))
            .await
            .unwrap();
        let counter = Counter {
            throttle: Arc::default(),
            audit: Arc::new(Recorder::default()),
            clock: Arc::new(ManualClock::at(NOW)),
            settings: Settings::open(db.clone(), master(), Fixed::default())
                .await
                .unwrap(),
        };
        let stuck = Stuck::default();
        let local = Box::new(Local::new(db.clone(), hasher));
        let sources: Vec<Box<dyn PasswordSource>> = vec![local, Box::new(stuck.clone())];
        Self {
            passwords: Arc::new(Passwords::new(
                db,
                counter,
                (sources, None),
                Default::default(),
            )),
            stuck,
            _folder: folder,
        }
    }

    async fn check(&self, name: &str, password: &str) -> Result<Arc<Authority>> {
        self.passwords
            .check((name, password), HOME.into(), Age::Now)
            .await
    }

    /// A login that waits for the stuck source, until it is aborted.
    async fn hang(&self, name: &'static str) -> tokio::task::JoinHandle<()> {
        let asked = self.stuck.0.lock().len();
        let passwords = self.passwords.clone();
        let hung = tokio::spawn(async move {
            let checked = passwords
                .check((name, PASSWORD), HOME.into(), Age::Now)
                .await;
            drop(checked);
        });
        while self.stuck.0.lock().len() == asked {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        hung
    }
}

#[tokio::test]
async fn a_stuck_source_delays_neither_local_nor_remembered_users() {
    let installation = Installation::start().await;
    let hung = installation.hang("dave").await;
    // First by the hash, then from memory.
    for _ in 0..2 {
        let ann = installation.check("ann", PASSWORD).await.unwrap();
        assert_eq!(ann.principal.name(), "ann");
    }
    hung.abort();
}

#[tokio::test]
async fn a_name_that_a_source_knows_goes_to_no_other() {
    let installation = Installation::start().await;
    let refused = installation.check("ann", "Passw0rd2").await;
    assert!(matches!(refused, Err(Error::WrongCredentials)));
    assert!(installation.stuck.0.lock().is_empty());
}

#[tokio::test]
async fn who_leaves_while_a_source_is_asked_has_failed() {
    let installation = Installation::start().await;
    for _ in 0..5 {
        let hung = installation.hang("dave").await;
        hung.abort();
        hung.await.unwrap_err();
    }
    let refused = installation.check("dave", PASSWORD).await;
    assert!(matches!(refused, Err(Error::Throttled { .. })));
}

#[test]
fn the_rights_of_a_previous_secret_end_with_it() {
    let ends = |expires_at: Option<Timestamp>| {
        let own = policy::OwnRights {
            expires_at,
            ..policy::OwnRights::default()
        };
        let robot = Authority {
            own: Some(own),
            ..Authority::default()
        };
        limited(&robot, NOW).own.as_ref().unwrap().expires_at
    };
    let second = Duration::from_secs(1);
    assert_eq!(ends(None), Some(NOW));
    assert_eq!(ends(Some(NOW.plus(second))), Some(NOW));
    assert_eq!(ends(Some(NOW.minus(second))), Some(NOW.minus(second)));
}
