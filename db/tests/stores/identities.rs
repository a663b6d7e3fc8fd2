//! Users that a directory knows: their rights are their own and the directory's, and end with a reading.

use gantry_db::identity::{self, Found, Identity, LDAP};
use gantry_db::{Age, Db, Error, binding, group, user};
use model::{Dn, GroupSource, PrincipalId, Timestamp};

use crate::{NOW, ann, on_both, team};

const ENTRY: Found<'static> = Found {
    dn: "uid=bob,dc=x",
    admin: false,
};

async fn bob(db: &Db) -> PrincipalId {
    db.write(|tx| {
        Box::pin(async move {
            let bob = user::NewUser {
                name: "bob".into(),
                password_hash: None,
                ..ann()
            };
            let (_, principal) = user::create(tx, &bob, NOW).await?;
            identity::create(tx, principal, (LDAP, "entryuuid:1"), ENTRY, NOW).await?;
            Ok::<_, Error>(principal)
        })
    })
    .await
    .unwrap()
}

async fn known(db: &Db) -> Identity {
    let mut reader = db.reader().await.unwrap();
    let found = identity::by_subject(&mut reader, LDAP, "entryuuid:1").await;
    found.unwrap().unwrap()
}

/// Whether the user is there, and a system administrator; with the generation of its tokens.
async fn rights(db: &Db, principal: PrincipalId) -> Option<(bool, i64)> {
    let authority = binding::authority(db, principal, None, Age::Now).await;
    let authority = authority.unwrap()?;
    Some((authority.sysadmin, authority.generation))
}

#[tokio::test]
async fn a_reading_gives_and_takes_what_somebody_may() {
    on_both("identities", async |db| {
        team(&db).await;
        let principal = bob(&db).await;
        assert_eq!(rights(&db, principal).await, Some((false, 1)));
        let later = Timestamp(NOW.0 + 1);
        let found = async |admin: bool| {
            let known = known(&db).await;
            db.write(move |tx| {
                Box::pin(async move {
                    let found = Found { admin, ..ENTRY };
                    identity::set_found(tx, &known, found, later).await
                })
            })
            .await
            .unwrap();
        };
        found(true).await;
        assert_eq!(rights(&db, principal).await, Some((true, 1)));
        let users = user::by_name(&mut db.reader().await.unwrap(), "bob").await;
        let bob = users.unwrap().unwrap();
        assert!(bob.is_external && bob.is_external_admin && !bob.sysadmin);
        found(false).await;
        assert_eq!(rights(&db, principal).await, Some((false, 1)));
        // Out, and in again with new tokens.
        db.write(move |tx| Box::pin(identity::end(tx, principal, later)))
            .await
            .unwrap();
        assert_eq!(rights(&db, principal).await, None);
        assert!(!known(&db).await.active);
        found(false).await;
        assert_eq!(rights(&db, principal).await, Some((false, 2)));
    })
    .await;
}

#[tokio::test]
async fn whoever_was_not_read_for_longest_is_due_first_and_a_deleted_user_never() {
    on_both("identities_due", async |db| {
        team(&db).await;
        let principal = bob(&db).await;
        let due = async |before: i64| {
            let mut reader = db.reader().await.unwrap();
            let read = Timestamp(NOW.0 + before)..Timestamp(NOW.0 + 1_000);
            identity::due(&mut reader, LDAP, read, 10)
                .await
                .unwrap()
                .len()
        };
        assert_eq!((due(-1).await, due(0).await), (0, 1));
        let later = Timestamp(NOW.0 + 5);
        db.write(move |tx| Box::pin(identity::set_read(tx, [principal], later)))
            .await
            .unwrap();
        assert_eq!((due(4).await, due(5).await), (0, 1));
        // By a clock that was ahead.
        db.write(move |tx| {
            Box::pin(identity::set_read(
                tx,
                [principal],
                Timestamp(NOW.0 + 2_000),
            ))
        })
        .await
        .unwrap();
        assert_eq!(due(4).await, 1);
        db.write(move |tx| Box::pin(identity::set_read(tx, [principal], later)))
            .await
            .unwrap();
        let active = async || {
            let mut reader = db.reader().await.unwrap();
            let active = identity::active(&mut reader, LDAP, 10).await;
            active.unwrap().len()
        };
        assert_eq!(active().await, 1);
        db.write(move |tx| Box::pin(identity::end(tx, principal, later)))
            .await
            .unwrap();
        assert_eq!(active().await, 0);
        // Its mail address is nobody's but the directory's.
        let mut reader = db.reader().await.unwrap();
        let email = ann().email.unwrap();
        let ann = user::by_name(&mut reader, "ann").await.unwrap().unwrap();
        let is_taken = user::is_email_taken(&mut reader, &email, Some(ann.id)).await;
        assert!(!is_taken.unwrap());
        let bob = user::by_name(&mut reader, "bob").await.unwrap().unwrap();
        drop(reader);
        db.write(move |tx| Box::pin(async move { user::delete(tx, &bob, NOW).await }))
            .await
            .unwrap();
        assert_eq!(due(5).await, 0);
        let mut reader = db.reader().await.unwrap();
        let gone = identity::by_subject(&mut reader, LDAP, "entryuuid:1").await;
        assert_eq!(gone.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn groups_of_another_source_stay_when_those_of_the_directory_change() {
    on_both("identities_groups", async |db| {
        team(&db).await;
        let principal = bob(&db).await;
        let of = async |source: GroupSource| {
            let mut reader = db.reader().await.unwrap();
            group::of_member(&mut reader, principal, source)
                .await
                .unwrap()
        };
        let (ldap, oidc) = db
            .write(move |tx| {
                Box::pin(async move {
                    let entry: Dn = "cn=devs,dc=x".parse().unwrap();
                    let devs = ("devs", GroupSource::Ldap, Some(&entry));
                    let (_, ldap) = group::create(tx, devs, NOW).await?;
                    let other = ("other", GroupSource::Oidc, None);
                    let (_, oidc) = group::create(tx, other, NOW).await?;
                    group::set_of_member(tx, principal, GroupSource::Oidc, &[oidc]).await?;
                    let changed =
                        group::set_of_member(tx, principal, GroupSource::Ldap, &[ldap]).await?;
                    assert!(changed);
                    let changed =
                        group::set_of_member(tx, principal, GroupSource::Ldap, &[ldap]).await?;
                    assert!(!changed);
                    Ok::<_, Error>((ldap, oidc))
                })
            })
            .await
            .unwrap();
        assert_eq!(of(GroupSource::Ldap).await, [ldap]);
        db.write(move |tx| {
            Box::pin(
                async move { group::set_of_member(tx, principal, GroupSource::Ldap, &[]).await },
            )
        })
        .await
        .unwrap();
        assert_eq!(of(GroupSource::Ldap).await, []);
        assert_eq!(of(GroupSource::Oidc).await, [oidc]);
    })
    .await;
}
