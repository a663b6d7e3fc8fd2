//! Followers of the audit log, and the events of blobs that count in one order with it.

use gantry_db::audit::follower::{self, Follower, Lag};
use gantry_db::audit::{chain, purge};
use gantry_db::blob_event::{self, NewBlobEvent};
use model::{Algorithm, Client, Digest, Origin, Principal};

use super::audit_log::event;
use super::audit_purge::{purged, rule, written};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

async fn found(db: &Db, name: &str) -> Option<Follower> {
    let mut reader = db.reader().await.unwrap();
    follower::find(&mut reader, name).await.unwrap()
}

async fn record(db: &Db, name: &'static str) {
    db.write(move |tx| Box::pin(async move { tx.record(&event(name)).await }))
        .await
        .unwrap();
}

async fn begin(db: &Db, name: &'static str) {
    db.write(move |tx| Box::pin(async move { follower::begin(tx, name).await }))
        .await
        .unwrap();
}

async fn advance(db: &Db, name: &'static str, to: i64) {
    db.write(move |tx| Box::pin(async move { follower::advance(tx, name, to, Some(NOW)).await }))
        .await
        .unwrap();
}

async fn push_blob(db: &Db, bytes: &'static [u8]) {
    let new = NewBlobEvent {
        at: NOW,
        origin: Origin {
            principal: Principal::Claimed("ann".into()),
            client: Client::at(Some([127, 0, 0, 1].into())),
        },
        repository: "team/app".parse().unwrap(),
        source: Some("team/base".parse().unwrap()),
    };
    let digest = Digest::of(Algorithm::Sha256, bytes);
    db.write(move |tx| {
        Box::pin(async move { blob_event::insert(tx, &new, (&digest, bytes.len() as u64)).await })
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_follower_begins_with_what_comes_next_and_never_goes_back() {
    on_both("followers", async |db| {
        record(&db, "before").await;
        begin(&db, "one").await;
        let begun = found(&db, "one").await.unwrap();
        record(&db, "after").await;
        let mut reader = db.reader().await.unwrap();
        let newest = follower::newest_id(&mut reader).await.unwrap();
        let range = (begun.read, newest);
        let entries = follower::entries(&mut reader, range, 10).await.unwrap();
        let [entry] = &entries[..] else {
            panic!("{entries:?}")
        };
        assert_eq!((&*entry.resource, entry.id), ("after", newest));
        let lag = follower::lag(&mut reader, &begun).await.unwrap();
        let oldest = Some(NOW);
        assert_eq!(lag, Lag { entries: 1, oldest });
        drop(reader);

        let (later, retry) = (NOW.plus(SECOND), NOW.plus(SECOND * 2));
        for error in ["first", "second"] {
            db.write(move |tx| {
                Box::pin(async move { follower::fail(tx, "one", error, (later, retry)).await })
            })
            .await
            .unwrap();
        }
        let failed = found(&db, "one").await.unwrap();
        assert_eq!((failed.failures, &*failed.error), (2, "second"));
        assert_eq!(
            (failed.failing_since, failed.retry_at),
            (Some(later), Some(retry))
        );

        advance(&db, "one", newest).await;
        let moved = found(&db, "one").await.unwrap();
        assert_eq!(
            (moved.read, moved.failures, moved.retry_at),
            (newest, 0, None)
        );
        // One who lost the job moves nothing back, and beginning again changes nothing.
        advance(&db, "one", newest - 1).await;
        begin(&db, "one").await;
        assert_eq!(found(&db, "one").await, Some(moved));
        db.write(|tx| Box::pin(async { follower::end(tx, "one").await }))
            .await
            .unwrap();
        assert_eq!(found(&db, "one").await, None);
    })
    .await;
}

#[tokio::test]
async fn a_purge_leaves_what_a_follower_has_still_to_pass_on() {
    on_both("followed_purge", async |db| {
        begin(&db, "one").await;
        written(&db, 4).await;
        let all = rule(100, "create_user,login_user");
        let extent = purge::extent(&mut db.reader().await.unwrap(), &all).await;
        assert_eq!(extent.unwrap(), None);
        assert_eq!(purged(&db, &all).await.unwrap(), 0);
        let first = found(&db, "one").await.unwrap().read;
        advance(&db, "one", first + 3).await;
        let extent = purge::extent(&mut db.reader().await.unwrap(), &all).await;
        assert_eq!(extent.unwrap().unwrap().entries, 3);
        assert_eq!(purged(&db, &all).await.unwrap(), 3);
        advance(&db, "one", first + 4).await;
        assert_eq!(purged(&db, &all).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn events_of_blobs_count_in_one_order_with_the_log() {
    on_both("blob_events", async |db| {
        record(&db, "before").await;
        push_blob(&db, b"a").await;
        push_blob(&db, b"b").await;
        record(&db, "after").await;
        push_blob(&db, b"c").await;
        let mut reader = db.reader().await.unwrap();
        let newest = follower::newest_id(&mut reader).await.unwrap();
        let range = (0, newest);
        let blobs = blob_event::between(&mut reader, range, 10).await.unwrap();
        let entries = follower::entries(&mut reader, range, 10).await.unwrap();
        let ids: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
        let [first, second, third] = &blobs[..] else {
            panic!("{blobs:?}")
        };
        assert_eq!(
            [ids[0], first.id, second.id, ids[1], third.id],
            [1, 2, 3, 4, 5]
        );
        assert_eq!(newest, 5);
        assert_eq!((first.size, &*first.address), (1, "127.0.0.1"));
        assert_eq!(
            first.source.as_ref().map(|it| it.as_str()),
            Some("team/base")
        );
        let horizon = chain::horizon(&mut reader).await.unwrap();
        assert!(chain::is_settled(&mut reader, &horizon).await.unwrap());
        assert_eq!(horizon.last_id, 5);
        drop(reader);
        let removed = db.write(|tx| Box::pin(async { blob_event::remove_up_to(tx, 3).await }));
        assert_eq!(removed.await.unwrap(), 2);
        let mut reader = db.reader().await.unwrap();
        assert!(!blob_event::is_any_up_to(&mut reader, 4).await.unwrap());
        assert!(blob_event::is_any_up_to(&mut reader, 5).await.unwrap());
    })
    .await;
}
