//! Users whom an OIDC provider knows, and what works once.

use gantry_db::identity::{self, Found, OIDC};
use gantry_db::session::{self, AtProvider, NewSession};
use gantry_db::{Db, Error, oidc, user};
use model::{PrincipalId, Timestamp};

use crate::{NOW, ann, on_both, team};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

async fn bob(db: &Db, refresh_token: Option<&'static [u8]>) -> PrincipalId {
    db.write(move |tx| {
        Box::pin(async move {
            let bob = user::NewUser {
                name: "bob".into(),
                password_hash: None,
                ..ann()
            };
            let (_, principal) = user::create(tx, &bob, NOW).await?;
            let found = Found {
                dn: "",
                admin: false,
            };
            identity::create(tx, principal, (OIDC, "https://id 1"), found, NOW).await?;
            oidc::create(tx, principal, (refresh_token, b"cli"), NOW).await?;
            Ok::<_, Error>(principal)
        })
    })
    .await
    .unwrap()
}

async fn begin(db: &Db, principal: PrincipalId, hash: u8, sid: Option<&str>) {
    let new = NewSession {
        hash: [hash; 32],
        principal,
        generation: 1,
        address: "192.0.2.1".into(),
        agent: String::new(),
        expires_at: NOW.plus(HOUR * 2),
        oidc: sid.map(|sid| AtProvider {
            sid: sid.to_owned(),
            id_token: vec![hash],
        }),
    };
    db.write(move |tx| Box::pin(async move { session::begin(tx, &new, NOW).await }))
        .await
        .unwrap();
}

async fn is_there(db: &Db, hash: u8) -> bool {
    let mut reader = db.reader().await.unwrap();
    let found = session::by_hash(&mut reader, &[hash; 32], NOW).await;
    found.unwrap().is_some()
}

#[tokio::test]
async fn what_works_once_works_once_and_not_after_its_time() {
    on_both("oidc_ticket", async |db| {
        let until = NOW.plus(HOUR);
        let spend = async |hash: u8| {
            let spent = db.write(move |tx| {
                Box::pin(async move { oidc::spend(tx, &[hash; 32], until).await })
            });
            spent.await.unwrap()
        };
        assert!(spend(1).await);
        assert!(!spend(1).await);
        db.write(move |tx| {
            Box::pin(async move { oidc::keep(tx, (&[2; 32], b"somebody"), until).await })
        })
        .await
        .unwrap();
        assert!(!spend(2).await, "it waits for a name");
        let kept = async |hash: u8, now: Timestamp| {
            let mut reader = db.reader().await.unwrap();
            oidc::kept(&mut reader, &[hash; 32], now).await.unwrap()
        };
        assert_eq!(kept(2, NOW).await.as_deref(), Some(&b"somebody"[..]));
        assert_eq!(kept(2, until).await, None);
        assert_eq!(kept(1, NOW).await, None);
        let take = async |hash: u8| {
            let taken =
                db.write(move |tx| Box::pin(async move { oidc::take(tx, &[hash; 32]).await }));
            taken.await.unwrap()
        };
        assert!(!take(1).await, "what was used stays used");
        assert!(take(2).await);
        assert!(!take(2).await);
        let prune = async |now: Timestamp| {
            let pruned = db.write(move |tx| Box::pin(oidc::prune(tx, now, 10)));
            pruned.await.unwrap()
        };
        assert_eq!(prune(NOW).await, 0);
        assert_eq!(prune(until).await, 1);
    })
    .await;
}

#[tokio::test]
async fn one_process_asks_about_whoever_has_a_session() {
    on_both("oidc_due", async |db| {
        team(&db).await;
        let bob = bob(&db, Some(b"refresh")).await;
        let later = NOW.plus(HOUR);
        let due = async |before: Timestamp, now: Timestamp| {
            let mut reader = db.reader().await.unwrap();
            let due = oidc::due(&mut reader, (before, now), "https://id", 10);
            due.await.unwrap()
        };
        assert!(due(NOW, later).await.is_empty(), "there is no session");
        begin(&db, bob, 1, Some("")).await;
        assert_eq!(due(NOW, later).await, [bob]);
        assert!(due(Timestamp(NOW.0 - 1), later).await.is_empty());
        let hold = async |now: Timestamp| {
            let until = now.plus(HOUR / 2);
            let held = db
                .write(move |tx| Box::pin(async move { oidc::hold(tx, bob, (now, until)).await }));
            held.await.unwrap()
        };
        assert!(hold(later).await);
        assert!(!hold(later).await);
        assert!(due(NOW, later).await.is_empty());
        assert_eq!(due(NOW, later.plus(HOUR / 2)).await, [bob]);
        db.write(move |tx| {
            Box::pin(async move { oidc::set_checked(tx, bob, Some(b"next"), later).await })
        })
        .await
        .unwrap();
        assert!(hold(later).await, "it is given back with the answer");
        let account = oidc::account(&mut db.reader().await.unwrap(), bob).await;
        let account = account.unwrap().unwrap();
        assert_eq!(account.refresh_token.as_deref(), Some(&b"next"[..]));
        assert_eq!(account.checked_at, later);
        let forget = async |asked_with: &'static [u8]| {
            let forgotten = db.write(move |tx| {
                Box::pin(async move { oidc::forget_token(tx, bob, Some(asked_with), later).await })
            });
            forgotten.await.unwrap()
        };
        let replace = async |old: &'static [u8], new: &'static [u8]| {
            let replaced = db.write(move |tx| {
                Box::pin(async move { oidc::replace_token(tx, bob, (old, new), later).await })
            });
            replaced.await.unwrap()
        };
        assert!(!forget(b"refresh").await && !replace(b"refresh", b"old").await);
        assert!(replace(b"next", b"third").await && forget(b"third").await);
        assert!(due(later, later.plus(HOUR / 2)).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_provider_ends_its_own_sessions_alone() {
    on_both("oidc_session", async |db| {
        let (ann, _) = team(&db).await;
        let bob = bob(&db, None).await;
        begin(&db, bob, 1, Some("https://id a")).await;
        begin(&db, bob, 2, Some("https://id b")).await;
        begin(&db, bob, 3, None).await;
        begin(&db, ann.principal_id, 4, Some("https://id a")).await;
        let token = async |hash: u8| {
            let mut reader = db.reader().await.unwrap();
            session::id_token(&mut reader, &[hash; 32], NOW)
                .await
                .unwrap()
        };
        assert_eq!(token(1).await, Some(vec![1]));
        assert_eq!(token(3).await, None);
        let end = async |sid: &'static str, of: Option<PrincipalId>| {
            let ended = db.write(move |tx| {
                Box::pin(async move { session::end_at_provider(tx, sid, of).await })
            });
            ended.await.unwrap()
        };
        assert!(end("https://other a", None).await.is_empty());
        assert_eq!(end("https://id a", Some(bob)).await, [bob]);
        assert!(!is_there(&db, 1).await && is_there(&db, 4).await);
        assert_eq!(end("https://id a", None).await, [ann.principal_id]);
        db.write(move |tx| Box::pin(async move { session::end_all_at_provider(tx, bob).await }))
            .await
            .unwrap();
        assert!(!is_there(&db, 2).await && is_there(&db, 3).await);
    })
    .await;
}
