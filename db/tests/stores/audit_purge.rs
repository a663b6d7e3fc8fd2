//! Purging the audit log so that its chain holds.

use gantry_db::audit::purge::{self, Rule, Types};
use gantry_db::audit::{Entry, chain, walk};
use model::{Event, EventType, Operation};

use super::audit_log::event;
use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn sign(hash: &[u8]) -> [u8; 32] {
    hash.try_into().unwrap()
}

/// So many entries, one a day from [`NOW`], alternately of a user and of a login, in seals of two.
pub(crate) async fn written(db: &Db, entries: u32) {
    for number in 0..entries {
        let operation = match number % 2 {
            0 => Operation::Create,
            _ => Operation::Login,
        };
        let event = Event {
            at: NOW.plus(DAY * number),
            operation,
            ..event(&format!("user {number}"))
        };
        db.write(move |tx| Box::pin(async move { tx.record(&event).await }))
            .await
            .unwrap();
        if number % 2 == 1 {
            seal(db).await;
        }
    }
}

async fn seal(db: &Db) {
    db.write(|tx| Box::pin(async { chain::seal(tx, &sign, i64::MAX, NOW).await }))
        .await
        .unwrap();
}

pub(crate) fn rule(days: u32, types: &str) -> Rule {
    Rule {
        before: NOW.plus(DAY * days),
        types: Types {
            named: EventType::list(types),
            all_but: None,
        },
    }
}

/// Purges all seals of a rule; how many entries that removed.
pub(crate) async fn purged(db: &Db, rule: &Rule) -> Result<i64, Error> {
    let mut removed = 0;
    for sequence in 1.. {
        let rule = rule.clone();
        let step = db.write(move |tx| {
            Box::pin(async move { purge::purge(tx, sequence, &rule, &sign, NOW).await })
        });
        match step.await? {
            Some(step) => removed += step.removed,
            None => break,
        }
    }
    Ok(removed)
}

async fn verified(db: &Db) -> chain::Report {
    let mut reader = db.reader().await.unwrap();
    chain::verify(&mut reader, &sign, None, &|| {})
        .await
        .unwrap()
}

async fn left(db: &Db) -> Vec<String> {
    let entries = walk(&mut db.reader().await.unwrap(), 0, 100).await.unwrap();
    entries
        .into_iter()
        .map(|entry: Entry| entry.resource)
        .collect()
}

#[tokio::test]
async fn what_is_left_after_a_purge_is_proved() {
    on_both("purge_chain", async |db| {
        written(&db, 6).await;
        let logins = rule(4, "login_user");
        let extent = purge::extent(&mut db.reader().await.unwrap(), &logins).await;
        let extent = extent.unwrap().unwrap();
        assert_eq!((extent.first_id, extent.last_id, extent.entries), (2, 4, 2));
        assert_eq!(purged(&db, &logins).await.unwrap(), 2);
        assert_eq!(left(&db).await, ["user 0", "user 2", "user 4", "user 5"]);
        let report = verified(&db).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!((report.seals, report.sealed, report.purged), (3, 4, 2));

        // Again, by another rule, until a seal covers nothing that is there.
        assert_eq!(purged(&db, &rule(3, "create_user")).await.unwrap(), 2);
        assert_eq!(left(&db).await, ["user 4", "user 5"]);
        let report = verified(&db).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!((report.sealed, report.purged), (2, 4));
        // The chain goes on.
        written(&db, 2).await;
        let report = verified(&db).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!((report.seals, report.sealed), (4, 4));
    })
    .await;
}

#[tokio::test]
async fn all_types_but_some_are_purged_and_what_is_not_sealed_is_kept() {
    on_both("purge_types", async |db| {
        written(&db, 3).await;
        let others = Rule {
            before: NOW.plus(DAY * 9),
            types: Types {
                named: Vec::new(),
                all_but: Some(EventType::list("login_user")),
            },
        };
        assert_eq!(purged(&db, &others).await.unwrap(), 1);
        assert_eq!(
            left(&db).await,
            ["user 1", "user 2"],
            "the third is not sealed"
        );
        let nothing = rule(0, "login_user");
        let extent = purge::extent(&mut db.reader().await.unwrap(), &nothing).await;
        assert_eq!(extent.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_forged_statement_is_found() {
    on_both("purge_forged", async |db| {
        written(&db, 4).await;
        let forger = |hash: &[u8]| -> [u8; 32] {
            let mut hash: [u8; 32] = hash.try_into().unwrap();
            hash[0] ^= 1;
            hash
        };
        let all = rule(9, "create_user,login_user");
        db.write(move |tx| Box::pin(async move { purge::purge(tx, 1, &all, &forger, NOW).await }))
            .await
            .unwrap();
        let report = verified(&db).await;
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        assert!(report.findings[0].starts_with("seals 1 to 1:"));
        // A head that was kept elsewhere vouches for seals, and not for what is told of them.
        let mut reader = db.reader().await.unwrap();
        let head = chain::head(&mut reader).await.unwrap();
        let report = chain::verify(&mut reader, &sign, head.as_ref(), &|| {}).await;
        assert_eq!(report.unwrap().findings.len(), 1);
        drop(reader);
        // Nothing is purged from a seal whose statement does not hold.
        let error = purged(&db, &rule(9, "create_user")).await.unwrap_err();
        assert!(matches!(error, Error::ChainBroken(1)), "{error}");
    })
    .await;
}
