use db::Location;
use model::{Algorithm, Hasher, ManualClock};
use storage::Memory;
use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const KEY: &str = "472222/09090909abababababababababababababababab";

async fn database() -> (Db, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&Location::Sqlite(folder.path().join("t.db"))).await;
    (db.unwrap(), folder)
}

fn place(store: &Arc<Memory>) -> Place {
    Place {
        store: store.clone(),
        name: "a store".to_owned(),
    }
}

fn only(store: &Arc<Memory>) -> Stores {
    Stores {
        current: place(store),
        leaving: None,
    }
}

fn moving(from: &Arc<Memory>, to: &Arc<Memory>) -> Stores {
    Stores {
        current: place(to),
        leaving: Some(place(from)),
    }
}

async fn start(db: &Db, stores: &Stores) -> Result<Attached> {
    attach(db, stores, &ManualClock::at(NOW)).await
}

fn reason(found: Result<Attached>) -> Reason {
    match found {
        Err(Error::Mismatch(mismatch)) => mismatch.why,
        other => panic!("{other:?}"),
    }
}

async fn fill(store: &Memory) {
    let writer = store.create(KEY, Hasher::new(Algorithm::Sha256)).await;
    writer.unwrap().finish(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_new_database_and_an_empty_store_are_tied_once() {
    let (db, _folder) = database().await;
    let store = Arc::new(Memory::default());
    let before = verify(&db, &only(&store)).await;
    assert_eq!(reason(before), Reason::NothingYet);
    let first = start(&db, &only(&store)).await.unwrap();
    fill(&store).await;
    let second = start(&db, &only(&store)).await.unwrap();
    assert!(first.current.is_same(&second.current));
    let health = second.look(&only(&store), Probe::Write).await;
    assert!(matches!(health[..], [(_, Health::Well)]), "{health:?}");
    // Another process with another folder, and the same one with nothing in the folder.
    let other = Arc::new(Memory::default());
    let split = start(&db, &only(&other)).await;
    assert_eq!(reason(split), Reason::StoreIsNew(first.current.store));
    assert_eq!(other.identity().await.unwrap(), None, "nothing was written");
}

#[tokio::test]
async fn a_new_database_takes_no_store_that_was_used() {
    let (db, _folder) = database().await;
    let full = Arc::new(Memory::default());
    fill(&full).await;
    assert_eq!(
        reason(start(&db, &only(&full)).await),
        Reason::DatabaseIsNew
    );
    let (other_db, _other_folder) = database().await;
    let used = Arc::new(Memory::default());
    let other = start(&other_db, &only(&used)).await.unwrap();
    assert_eq!(
        reason(start(&db, &only(&used)).await),
        Reason::DatabaseIsNew
    );
    let own = Arc::new(Memory::default());
    let own = start(&db, &only(&own)).await.unwrap();
    let found = start(&db, &only(&used)).await;
    let expected = Reason::OtherInstallation {
        found: other.current.installation,
        expected: own.current.installation,
    };
    assert_eq!(reason(found), expected);
}

#[tokio::test]
async fn a_start_goes_on_where_one_died() {
    for written in [false, true] {
        let (db, _folder) = database().await;
        let store = Arc::new(Memory::default());
        let row = KnownStore {
            store: StoreId::new([1; 16]),
            installation: InstallationId::new([2; 16]),
            state: State::Claiming,
            claimed_at: NOW,
        };
        let begin =
            db.write(move |tx| Box::pin(async move { store_identity::begin(tx, &row).await }));
        assert!(begin.await.unwrap());
        if written {
            let put = identity(&row);
            store.put_identity(&put, Existing::Kept).await.unwrap();
        }
        let attached = start(&db, &only(&store)).await.unwrap();
        assert!(attached.current.is_same(&identity(&row)));
    }
}

#[tokio::test]
async fn a_move_names_both_stores_until_it_is_done() {
    let (db, _folder) = database().await;
    let (old, new) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    let first = start(&db, &only(&old)).await.unwrap().current;
    let attached = start(&db, &moving(&old, &new)).await.unwrap();
    let second = attached.current.clone();
    assert!(
        attached
            .leaving
            .as_ref()
            .is_some_and(|it| it.is_same(&first))
    );
    // Neither store alone has all blobs.
    let unfinished = start(&db, &only(&new)).await;
    assert_eq!(reason(unfinished), Reason::MoveUnfinished(first.store));
    let stale = Reason::OtherStore {
        found: first.store,
        expected: second.store,
    };
    assert_eq!(reason(start(&db, &only(&old)).await), stale);
    finish_move(&db, &attached, NOW).await.unwrap();
    start(&db, &only(&new)).await.unwrap();
    assert_eq!(reason(start(&db, &only(&old)).await), stale);
    // And back.
    let back = start(&db, &moving(&new, &old)).await.unwrap();
    assert!(back.current.is_same(&first));
    finish_move(&db, &back, NOW).await.unwrap();
    start(&db, &only(&old)).await.unwrap();
    // A source that is none.
    let stranger = Arc::new(Memory::default());
    let found = start(&db, &moving(&stranger, &new)).await;
    assert_eq!(reason(found), Reason::UnknownSource);
}

#[tokio::test]
async fn a_restored_database_follows_its_installation() {
    let (db, _folder) = database().await;
    let (old, new) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    start(&db, &only(&old)).await.unwrap();
    // A move that the backup does not know, and a store that was made anew.
    let installation = old.identity().await.unwrap().unwrap().installation;
    let later = Identity::new(installation, StoreId::new([9; 16]), String::new());
    new.put_identity(&later, Existing::Kept).await.unwrap();
    for store in [&new, &Arc::new(Memory::default())] {
        assert!(start(&db, &only(store)).await.is_err());
        follow_restore(&db, &only(store), NOW).await.unwrap();
        start(&db, &only(store)).await.unwrap();
    }
    let (other_db, _other_folder) = database().await;
    let used = Arc::new(Memory::default());
    start(&other_db, &only(&used)).await.unwrap();
    let theirs = used.identity().await.unwrap().unwrap().installation;
    let both = moving(&used, &old);
    let found = foreign(&both, installation).await.unwrap();
    assert_eq!(found, Some(("a store", theirs)));
    assert_eq!(foreign(&only(&old), installation).await.unwrap(), None);
    let found = follow_restore(&db, &only(&used), NOW).await;
    assert!(matches!(found, Err(Error::Mismatch(_))), "{found:?}");
}
