//! The audit log and its chain.

use super::*;

pub(crate) fn entry(resource: &str) -> audit::NewEntry {
    audit::NewEntry {
        at: NOW,
        account: None,
        account_name: "ann".into(),
        address: "127.0.0.1".into(),
        operation: "create",
        resource_type: "artifact",
        resource: resource.into(),
        project: None,
        success: true,
        times: 1,
        detail: String::new(),
    }
}

#[tokio::test]
async fn the_audit_chain_holds_and_counts_what_is_not_sealed() {
    on_both("audit", async |db| {
        let sign = |hash: &[u8]| -> [u8; 32] {
            hash.iter()
                .map(|b| b ^ 1)
                .collect::<Vec<_>>()
                .try_into()
                .unwrap()
        };
        for resource in ["a", "b", "c"] {
            db.write(move |tx| Box::pin(async move { audit::append(tx, &entry(resource)).await }))
                .await
                .unwrap();
        }
        let sealed = db.write(move |tx| {
            Box::pin(async move { audit::chain::seal(tx, &sign, i64::MAX, NOW).await })
        });
        assert_eq!(sealed.await.unwrap(), 3);
        db.write(|tx| Box::pin(async move { audit::append(tx, &entry("d")).await }))
            .await
            .unwrap();
        let mut tx = db.reader().await.unwrap();
        let report = audit::chain::verify(&mut tx, &sign, None).await.unwrap();
        assert_eq!((report.sealed, report.unsealed), (3, 1));
        assert!(report.seals >= 1);
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let foreign = audit::chain::verify(&mut tx, &|_: &[u8]| [0; 32], None)
            .await
            .unwrap();
        assert_eq!(foreign.findings.len() as i64, report.seals);
        let mut other = audit::chain::head(&mut tx).await.unwrap().unwrap();
        other.sequence = 9;
        let cut = audit::chain::verify(&mut tx, &sign, Some(&other))
            .await
            .unwrap();
        assert_eq!(cut.findings.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_sealed_below_an_open_transaction() {
    on_both("horizon", async |db| {
        let (inside, began) = tokio::sync::oneshot::channel();
        let (end, gate) = tokio::sync::oneshot::channel::<()>();
        let open = db.write(move |tx| {
            Box::pin(async move {
                audit::append(tx, &entry("open")).await?;
                inside.send(()).unwrap();
                gate.await.unwrap();
                Ok::<_, Error>(())
            })
        });
        let look = async {
            began.await.unwrap();
            let mut tx = db.reader().await.unwrap();
            let horizon = audit::chain::horizon(&mut tx).await.unwrap();
            let settled = audit::chain::is_settled(&mut tx, &horizon).await.unwrap();
            // SQLite gives ids out in the order of commits.
            assert_eq!(
                (settled, horizon.last_id),
                (!db.is_shared(), i64::from(db.is_shared()))
            );
            end.send(()).unwrap();
            horizon
        };
        let (done, horizon) = tokio::join!(open, look);
        done.unwrap();
        let mut tx = db.reader().await.unwrap();
        assert!(audit::chain::is_settled(&mut tx, &horizon).await.unwrap());
    })
    .await;
}
