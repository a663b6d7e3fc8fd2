//! Failed logins that processes tell each other of.

use gantry_db::login_failure::{self as store, LoginFailures};

use super::*;

#[tokio::test]
async fn failures_are_told_to_others_alone() {
    on_both("failures", async |db| {
        let failures = LoginFailures {
            at: NOW,
            pair: [1; 32],
            address: [2; 32],
            account: [3; 32],
            count: 4,
        };
        let told = failures.clone();
        db.write(move |tx| Box::pin(async move { store::tell(tx, "one", &[told]).await }))
            .await
            .unwrap();
        let mut tx = db.reader().await.unwrap();
        let heard = store::told(&mut tx, "two", NOW, 10).await.unwrap();
        assert_eq!(heard.len(), 1);
        assert_eq!(heard[0].1, failures);
        let own = store::told(&mut tx, "one", NOW, 10).await.unwrap();
        assert_eq!(own, []);
        drop(tx);
        let later = NOW.plus(Duration::from_secs(1));
        db.write(move |tx| Box::pin(store::forget(tx, later)))
            .await
            .unwrap();
        let mut tx = db.reader().await.unwrap();
        assert_eq!(store::told(&mut tx, "two", NOW, 10).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn of_many_failures_the_newest_are_told() {
    on_both("failures_many", async |db| {
        let at = |secs| LoginFailures {
            at: NOW.plus(Duration::from_secs(secs)),
            pair: [1; 32],
            address: [2; 32],
            account: [3; 32],
            count: 1,
        };
        let all: Vec<LoginFailures> = (0..5).map(at).collect();
        let told = all.clone();
        db.write(move |tx| Box::pin(async move { store::tell(tx, "one", &told).await }))
            .await
            .unwrap();
        let mut tx = db.reader().await.unwrap();
        let heard = store::told(&mut tx, "two", NOW, 3).await.unwrap();
        let heard: Vec<LoginFailures> = heard.into_iter().map(|(_, it)| it).collect();
        assert_eq!(heard, all[2..]);
    })
    .await;
}
