//! Outcomes of logins that processes share.

use gantry_db::login_failure::{self as store, LoginOutcome};

use super::*;

fn outcome(at: Timestamp, failures: u32) -> LoginOutcome {
    LoginOutcome {
        at,
        network: [1; 16],
        account: [3; 32],
        failures,
        of_person: true,
    }
}

#[tokio::test]
async fn outcomes_are_shared_with_others_alone() {
    on_both("failures", async |db| {
        let shared = outcome(NOW, 4);
        let copy = shared.clone();
        db.write(move |tx| Box::pin(async move { store::share(tx, "one", &[copy]).await }))
            .await
            .unwrap();
        let mut tx = db.reader().await.unwrap();
        let others = store::of_others(&mut tx, "two", NOW, 10).await.unwrap();
        assert_eq!(others.len(), 1);
        assert_eq!(others[0].1, shared);
        let own = store::of_others(&mut tx, "one", NOW, 10).await.unwrap();
        assert_eq!(own, []);
        drop(tx);
        let later = NOW.plus(Duration::from_secs(1));
        db.write(move |tx| Box::pin(store::remove_before(tx, later)))
            .await
            .unwrap();
        let mut tx = db.reader().await.unwrap();
        let others = store::of_others(&mut tx, "two", NOW, 10).await.unwrap();
        assert_eq!(others, []);
    })
    .await;
}

#[tokio::test]
async fn of_many_outcomes_the_newest_are_read() {
    on_both("failures_many", async |db| {
        let at = |secs| outcome(NOW.plus(Duration::from_secs(secs)), 1);
        let all: Vec<LoginOutcome> = (0..5).map(at).collect();
        let shared = all.clone();
        db.write(move |tx| Box::pin(async move { store::share(tx, "one", &shared).await }))
            .await
            .unwrap();
        let mut tx = db.reader().await.unwrap();
        let others = store::of_others(&mut tx, "two", NOW, 3).await.unwrap();
        let others: Vec<LoginOutcome> = others.into_iter().map(|(_, it)| it).collect();
        assert_eq!(others, all[2..]);
    })
    .await;
}
