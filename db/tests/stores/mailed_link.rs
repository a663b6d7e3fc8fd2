//! Links that were mailed, and accounts that wait for one.

use gantry_db::mailed_link::{self, MailedLink, Purpose};
use gantry_db::{Age, Db, Tx, binding, user};
use model::Timestamp;

use crate::{NOW, ann, on_both, team};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

fn link(user: &user::User, purpose: Purpose) -> MailedLink {
    MailedLink {
        principal: user.principal_id,
        purpose,
        email: "ann@example.com".to_owned(),
        generation: user.generation,
        expires_at: NOW.plus(HOUR),
    }
}

async fn put(db: &Db, hash: u8, link: MailedLink) {
    let put = db.write(move |tx| {
        Box::pin(async move { mailed_link::put(tx, (&[hash; 32], &link), NOW).await })
    });
    put.await.unwrap();
}

async fn find(db: &Db, hash: u8, now: Timestamp) -> Option<MailedLink> {
    let mut reader = db.reader().await.unwrap();
    mailed_link::by_hash(&mut reader, &[hash; 32], now)
        .await
        .unwrap()
}

async fn take(db: &Db, hash: u8) -> bool {
    let taken =
        db.write(move |tx| Box::pin(async move { mailed_link::take(tx, &[hash; 32]).await }));
    taken.await.unwrap()
}

#[tokio::test]
async fn a_link_is_taken_once_and_works_until_it_expires() {
    on_both("mailed_link", async |db| {
        let (ann, _) = team(&db).await;
        let (reset, verify) = (link(&ann, Purpose::Reset), link(&ann, Purpose::Verify));
        for (hash, link) in [(1, &reset), (2, &reset), (3, &verify)] {
            put(&db, hash, link.clone()).await;
        }
        assert_eq!(find(&db, 1, NOW).await, Some(reset));
        assert_eq!(find(&db, 1, NOW.plus(HOUR)).await, None);
        let mut reader = db.reader().await.unwrap();
        let which = (ann.principal_id, Purpose::Reset);
        for (since, made) in [(NOW, 2), (NOW.plus(HOUR), 0)] {
            let count = mailed_link::count_since(&mut reader, which, since).await;
            assert_eq!(count.unwrap(), made);
        }
        drop(reader);
        // Of two that open it at once, one has it.
        let both = tokio::join!(take(&db, 1), take(&db, 1));
        assert!(both.0 != both.1);
        assert_eq!(find(&db, 1, NOW).await, None);
        let prune = async |now| {
            let pruned = db.write(move |tx| Box::pin(mailed_link::prune(tx, now, 1)));
            pruned.await.unwrap()
        };
        assert_eq!(prune(NOW).await, 0);
        assert_eq!(prune(NOW.plus(HOUR)).await, 1);
        let gone = ann.clone();
        db.write(move |tx| Box::pin(async move { user::delete(tx, &gone, NOW).await }))
            .await
            .unwrap();
        assert_eq!(find(&db, 3, NOW).await, None);
    })
    .await;
}

async fn newcomer(tx: &mut Tx) -> Result<user::User, gantry_db::Error> {
    let new = user::NewUser {
        name: "new".into(),
        email: Some("New@Example.com".into()),
        email_verified: false,
        unverified: true,
        ..ann()
    };
    user::create(tx, &new, NOW).await?;
    Ok(user::by_name(tx, "new").await?.unwrap())
}

#[tokio::test]
async fn an_account_is_nobody_until_its_address_is_verified() {
    on_both("unverified", async |db| {
        team(&db).await;
        let new = db.write(|tx| Box::pin(newcomer(tx))).await.unwrap();
        let authority = async || {
            let found = binding::authority(&db, new.principal_id, None, Age::Now).await;
            found.unwrap().is_some()
        };
        assert!(!authority().await);
        let mut reader = db.reader().await.unwrap();
        // Whatever the case of the letters.
        let found = user::to_mail(&mut reader, "nEW@example.COM", 5)
            .await
            .unwrap();
        assert_eq!(found, std::slice::from_ref(&new));
        let taken = user::is_email_taken(&mut reader, "new@example.com", None).await;
        assert!(taken.unwrap());
        for (before, count) in [(NOW, 0), (NOW.plus(HOUR), 1)] {
            let found = user::unverified_since(&mut reader, before, 5)
                .await
                .unwrap();
            assert_eq!(found.len(), count);
        }
        drop(reader);
        let verified = new.clone();
        db.write(move |tx| Box::pin(async move { user::set_verified(tx, &verified, NOW).await }))
            .await
            .unwrap();
        assert!(authority().await);
        let mut reader = db.reader().await.unwrap();
        let waiting = user::unverified_since(&mut reader, NOW.plus(HOUR), 5).await;
        assert!(waiting.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn links_go_to_the_address_that_was_verified_last() {
    on_both("verified_email", async |db| {
        team(&db).await;
        let new = db.write(|tx| Box::pin(newcomer(tx))).await.unwrap();
        let mailed = async |email: &str| {
            let found = user::to_mail(&mut db.reader().await.unwrap(), email, 5).await;
            let names = found.unwrap().into_iter().map(|user| user.name);
            names.collect::<Vec<_>>()
        };
        // Whoever was let in by an administrator still has to show that the address is theirs.
        let user = new.clone();
        db.write(move |tx| Box::pin(async move { user::let_in(tx, &user, NOW).await }))
            .await
            .unwrap();
        assert!(mailed("new@example.com").await.is_empty());
        let user = new.clone();
        db.write(move |tx| Box::pin(async move { user::set_verified(tx, &user, NOW).await }))
            .await
            .unwrap();
        assert_eq!(mailed("new@example.com").await, ["new"]);

        let set = async |email: &'static str, verified| {
            let user = new.clone();
            let set = db.write(move |tx| {
                Box::pin(async move {
                    user::set_profile(tx, &user, (email, "", ""), verified, NOW).await
                })
            });
            set.await.unwrap();
        };
        // Of another address alone nothing follows, and both are taken meanwhile.
        set("other@example.com", false).await;
        assert_eq!(mailed("new@example.com").await, ["new"]);
        assert!(mailed("other@example.com").await.is_empty());
        for email in ["New@example.com", "Other@example.com"] {
            let mut reader = db.reader().await.unwrap();
            let taken = user::is_email_taken(&mut reader, email, None).await;
            assert!(taken.unwrap(), "{email}");
        }
        set("third@example.com", true).await;
        assert!(mailed("new@example.com").await.is_empty());
        assert_eq!(mailed("third@example.com").await, ["new"]);
    })
    .await;
}
