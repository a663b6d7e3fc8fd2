use db::Location;
use model::{Algorithm, Hasher, ManualClock};
use storage::Memory;
use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
/// The identity's name at the root of a store.
const IDENTITY: &str = "gantry-store.json";
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
async fn whoever_comes_late_to_a_claim_adds_nothing() {
    let (db, _folder) = database().await;
    let (store, other) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    start(&db, &only(&store)).await.unwrap();
    let first = known(&db).await.unwrap();
    // It looked before the first one was done.
    claim_empty(&db, &[], &place(&store), NOW).await.unwrap();
    assert_eq!(known(&db).await.unwrap(), first);
    // The same of a move, for which both found the second store empty.
    start(&db, &moving(&store, &other)).await.unwrap();
    let moved = known(&db).await.unwrap();
    claim_empty(&db, &first, &place(&other), NOW).await.unwrap();
    assert_eq!(known(&db).await.unwrap(), moved);
    start(&db, &moving(&store, &other)).await.unwrap();
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
            db.write(move |tx| Box::pin(async move { store_identity::add(tx, &row).await }));
        begin.await.unwrap();
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
    let origin = Origin {
        installation,
        store: old.identity().await.unwrap().unwrap().store,
    };
    for store in [&new, &Arc::new(Memory::default())] {
        let before = store.identity().await.unwrap();
        assert!(start(&db, &only(store)).await.is_err());
        let binding = Binding::of_backup(&only(store), Some(origin), NOW).await;
        let found = store.identity().await.unwrap();
        assert_eq!(found, before, "looking changes nothing");
        bind(&db, binding.unwrap()).await.unwrap();
        start(&db, &only(store)).await.unwrap();
    }
    let (other_db, _other_folder) = database().await;
    let used = Arc::new(Memory::default());
    let theirs = start(&other_db, &only(&used)).await.unwrap().current;
    let theirs = Reason::OtherInstallation {
        found: theirs.installation,
        expected: origin.installation,
    };
    for stores in [only(&used), moving(&used, &old), moving(&old, &used)] {
        let found = Binding::of_backup(&stores, Some(origin), NOW).await;
        assert_eq!(refusal(found), theirs);
    }
}

fn refusal(found: Result<Binding>) -> Reason {
    match found {
        Err(Error::Mismatch(mismatch)) => {
            assert!(mismatch.to_string().contains("--claim"), "{mismatch}");
            mismatch.why
        }
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it is accepted"),
    }
}

/// Binds stores to a database at the end of a restore.
async fn bind(db: &Db, binding: Binding) -> Result<()> {
    db.write(move |tx| Box::pin(async move { binding.write(tx).await }))
        .await
}

#[tokio::test]
async fn a_restore_takes_no_store_with_objects_and_without_an_identity() {
    let (db, _folder) = database().await;
    let origin = Origin {
        installation: InstallationId::new([1; 16]),
        store: StoreId::new([2; 16]),
    };
    let store = Arc::new(Memory::default());
    fill(&store).await;
    let found = Binding::of_backup(&only(&store), Some(origin), NOW).await;
    assert_eq!(refusal(found), Reason::StoreIsNew(origin.store));
    let found = Binding::of_backup(&only(&store), None, NOW).await;
    assert_eq!(refusal(found), Reason::DatabaseIsNew);
    assert_eq!(store.identity().await.unwrap(), None, "nothing was written");
    let permit = policy::permit::permit_system(&policy::Caller::command_line()).unwrap();
    let claimed = Binding::claimed(&only(&store), &permit, NOW).await.unwrap();
    assert_eq!(store.identity().await.unwrap(), None, "nothing was written");
    bind(&db, claimed).await.unwrap();
    start(&db, &only(&store)).await.unwrap();
}

#[tokio::test]
async fn an_identity_that_was_cut_short_is_named_with_the_way_out() {
    let (db, _folder) = database().await;
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores {
        current: Place {
            store: Arc::new(storage::Files::open(folder.path()).unwrap()),
            name: "a store".to_owned(),
        },
        leaving: None,
    };
    start(&db, &stores).await.unwrap();
    std::fs::write(folder.path().join(IDENTITY), "{\"format\": 1, \"inst").unwrap();
    for found in [start(&db, &stores).await, verify(&db, &stores).await] {
        let Err(Error::Mismatch(found)) = found else {
            panic!("{found:?}");
        };
        assert!(matches!(found.why, Reason::Unreadable(_)), "{found:?}");
        let said = found.to_string();
        for part in ["a store", IDENTITY, "EOF", "gantry storage claim"] {
            assert!(said.contains(part), "no {part} in: {said}");
        }
    }
    let found = Binding::of_backup(&stores, None, NOW).await;
    assert!(matches!(refusal(found), Reason::Unreadable(_)));
    let permit = policy::permit::permit_system(&policy::Caller::command_line()).unwrap();
    claim(&db, &stores, &permit, NOW).await.unwrap();
    start(&db, &stores).await.unwrap();
}
