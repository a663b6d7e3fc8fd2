//! Sessions of browsers.

use gantry_db::list::Selection;
use gantry_db::session::{self, NewSession};
use gantry_db::{Db, user};
use model::{PrincipalId, SessionId, Timestamp};

use crate::{NOW, on_both, team};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

async fn begin(db: &Db, principal: PrincipalId, hash: u8, now: Timestamp) {
    let new = NewSession {
        hash: [hash; 32],
        principal,
        generation: 1,
        address: "192.0.2.1".into(),
        agent: "a browser".into(),
        expires_at: now.plus(HOUR),
        oidc: None,
    };
    db.write(move |tx| Box::pin(async move { session::begin(tx, &new, now).await }))
        .await
        .unwrap();
}

async fn find(db: &Db, hash: u8, now: Timestamp) -> Option<SessionId> {
    let mut reader = db.reader().await.unwrap();
    let found = session::by_hash(&mut reader, &[hash; 32], now).await;
    found.unwrap().map(|session| session.id)
}

#[tokio::test]
async fn a_session_lives_until_it_expires_and_is_pruned_then() {
    on_both("session_expiry", async |db| {
        let (ann, _) = team(&db).await;
        begin(&db, ann.principal_id, 1, NOW).await;
        let id = find(&db, 1, NOW).await.unwrap();
        let later = NOW.plus(HOUR);
        assert_eq!(find(&db, 1, later).await, None);
        let (half, renewed) = (NOW.plus(HOUR / 2), NOW.plus(HOUR / 2).plus(HOUR));
        let stored = session::by_hash(&mut db.reader().await.unwrap(), &[1; 32], NOW).await;
        let stored = stored.unwrap().unwrap();
        // Of two requests at once, one renews it.
        for end in [renewed, renewed.plus(HOUR)] {
            let stored = stored.clone();
            db.write(move |tx| {
                Box::pin(async move { session::renew(tx, &stored, half, end).await })
            })
            .await
            .unwrap();
        }
        assert_eq!(find(&db, 1, later).await, Some(id));
        let prune = async |now| {
            let pruned = db.write(move |tx| Box::pin(session::prune(tx, now, 10)));
            pruned.await.unwrap()
        };
        assert_eq!(prune(later).await, 0);
        assert_eq!(prune(renewed).await, 1);
        assert_eq!(find(&db, 1, NOW).await, None);
    })
    .await;
}

#[tokio::test]
async fn the_sessions_used_longest_ago_make_place() {
    on_both("session_most", async |db| {
        let (ann, _) = team(&db).await;
        for number in 0..session::MOST as u8 + 2 {
            let at = NOW.plus(std::time::Duration::from_secs(number.into()));
            begin(&db, ann.principal_id, number, at).await;
        }
        for (number, there) in [(0, false), (1, false), (2, true), (51, true)] {
            assert_eq!(find(&db, number, NOW).await.is_some(), there, "{number}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_is_its_owners_alone() {
    on_both("session_owner", async |db| {
        let (ann, _) = team(&db).await;
        let (own, admin) = (ann.principal_id, PrincipalId(1));
        for hash in [1, 2, 3] {
            begin(&db, own, hash, NOW).await;
        }
        begin(&db, admin, 4, NOW).await;
        let id = find(&db, 1, NOW).await.unwrap();
        let end = async |principal| {
            let ended = db.write(move |tx| Box::pin(session::end(tx, principal, id)));
            ended.await.unwrap()
        };
        assert!(!end(admin).await);
        assert!(end(own).await);
        let kept = find(&db, 2, NOW).await;
        db.write(move |tx| Box::pin(session::end_others(tx, own, kept)))
            .await
            .unwrap();
        let mut reader = db.reader().await.unwrap();
        let listed = session::list(&mut reader, own, NOW, &Selection::all()).await;
        let (sessions, total) = listed.unwrap();
        assert_eq!((kept, total), (Some(sessions[0].id), 1));
        drop(reader);
        assert!(find(&db, 4, NOW).await.is_some());
        db.write(move |tx| Box::pin(async move { user::delete(tx, &ann, NOW).await }))
            .await
            .unwrap();
        assert_eq!(find(&db, 2, NOW).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_new_hash_replaces_the_old_one() {
    on_both("session_rehash", async |db| {
        let (ann, _) = team(&db).await;
        begin(&db, ann.principal_id, 1, NOW).await;
        let id = find(&db, 1, NOW).await.unwrap();
        let rehash = async |id| {
            let changed = db
                .write(move |tx| Box::pin(async move { session::rehash(tx, id, &[2; 32]).await }));
            changed.await.unwrap()
        };
        assert!(rehash(id).await);
        assert_eq!(
            (find(&db, 1, NOW).await, find(&db, 2, NOW).await),
            (None, Some(id))
        );
        assert!(!rehash(SessionId(id.0 + 1)).await);
    })
    .await;
}
