//! How far policies of replication are behind, which of them owe a whole run, and where their copies go on.

use gantry_db::execution::{self, Cause, Status, Vendor};
use gantry_db::registry::{self, Content};
use gantry_db::replication::lag::{self, Owed, Scope};
use gantry_db::replication::policy as policies;
use gantry_db::replication::reach;
use model::replication::{Direction, Mapping, PolicyContent, RegistryKind, TriggerKind};
use model::{ExecutionId, InstallationId, ReplicationPolicyId};

use super::*;

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// A registry with a policy of each of two triggers.
async fn two_policies(tx: &mut Tx) -> Result<[ReplicationPolicyId; 2], Error> {
    let content = Content {
        name: "other".to_owned(),
        description: String::new(),
        kind: RegistryKind::Harbor,
        url: "https://other.example".to_owned(),
        access_key: String::new(),
        insecure: false,
        ca: None,
    };
    let registry = registry::create(tx, &content, NOW).await?;
    let policy = |name: &str, trigger| PolicyContent {
        name: name.to_owned(),
        description: String::new(),
        direction: Direction::Push,
        registry,
        mapping: Mapping {
            namespace: String::new(),
            replace_count: -1,
        },
        filters: Vec::new(),
        trigger,
        cron: None,
        deletion: false,
        overrides: true,
        enabled: true,
        speed: 0,
        copy_by_chunk: false,
        single_active: false,
    };
    let by_hand = policies::create(tx, &policy("by hand", TriggerKind::Manual), NOW).await?;
    let by_event = policies::create(tx, &policy("by event", TriggerKind::EventBased), NOW).await?;
    let origin = InstallationId::new([9; 16]);
    registry::set_origin(tx, registry, origin).await?;
    let found = registry::get(tx, registry).await?.unwrap();
    assert_eq!(found.origin, Some(origin));
    assert_eq!(policies::overriding(tx).await?.len(), 2);
    Ok([by_hand, by_event])
}

/// A run of a policy that began and ended at some seconds.
async fn run(
    tx: &mut Tx,
    policy: ReplicationPolicyId,
    (scope, status): (Scope, Status),
    (begun, ended): (u64, u64),
) -> Result<ExecutionId, Error> {
    let attrs = format!(r#"{{"scope":"{}"}}"#, scope.word());
    run_with(tx, policy, (attrs, status), (begun, ended)).await
}

/// As [`run`], with all its attributes.
async fn run_with(
    tx: &mut Tx,
    policy: ReplicationPolicyId,
    (attrs, status): (String, Status),
    (begun, ended): (u64, u64),
) -> Result<ExecutionId, Error> {
    let new = execution::New {
        vendor: Vendor::Replication,
        vendor_id: policy.0,
        cause: Cause::Event,
        attrs,
        operator: (None, String::new()),
        job: None,
    };
    let id = execution::create(tx, &new, at(begun)).await?;
    if status != Status::Running {
        assert!(execution::end(tx, id, (status, ""), at(ended)).await?);
    }
    Ok(id)
}

/// How many seconds policies are behind after a thousand.
async fn behind(tx: &mut Tx, of: [ReplicationPolicyId; 2]) -> Result<[Option<u64>; 2], Error> {
    let all = lag::all(tx, at(1_000)).await?;
    Ok(of.map(|id| all.get(&id).map(Duration::as_secs)))
}

#[tokio::test]
async fn a_policy_is_behind_since_what_has_not_ended_well() {
    on_both("replication_lag", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let [by_hand, by_event] = two_policies(tx).await?;
                let both = [by_hand, by_event];
                assert_eq!(behind(tx, both).await?, [Some(1_000), Some(0)]);
                run(tx, by_hand, (Scope::Whole, Status::Success), (100, 200)).await?;
                run(tx, by_hand, (Scope::Whole, Status::Error), (300, 400)).await?;
                run(tx, by_hand, (Scope::Nothing, Status::Success), (500, 600)).await?;
                assert_eq!(behind(tx, both).await?, [Some(900), Some(0)]);
                run(tx, by_event, (Scope::Changes, Status::Success), (100, 110)).await?;
                let failed = run(tx, by_event, (Scope::Changes, Status::Error), (200, 210)).await?;
                run(tx, by_event, (Scope::Changes, Status::Running), (300, 0)).await?;
                run(tx, by_event, (Scope::Nothing, Status::Error), (150, 160)).await?;
                assert_eq!(behind(tx, both).await?[1], Some(800));
                // What failed was repeated.
                let attrs = format!(r#"{{"scope":"repeated","repeats":{failed}}}"#);
                run_with(tx, by_event, (attrs, Status::Success), (400, 410)).await?;
                assert_eq!(behind(tx, both).await?[1], Some(700));
                run(tx, by_event, (Scope::Whole, Status::Success), (350, 500)).await?;
                assert_eq!(behind(tx, both).await?[1], Some(0));
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_failed_run_is_owed_until_a_whole_one_ends() {
    on_both("replication_owed", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let [by_hand, by_event] = two_policies(tx).await?;
                run(tx, by_hand, (Scope::Whole, Status::Error), (1, 2)).await?;
                run(tx, by_event, (Scope::Nothing, Status::Error), (1, 2)).await?;
                assert_eq!(lag::owed(tx).await?, []);
                run(tx, by_event, (Scope::Changes, Status::Error), (10, 20)).await?;
                run(tx, by_event, (Scope::Whole, Status::Error), (30, 40)).await?;
                run(tx, by_event, (Scope::Changes, Status::Success), (41, 42)).await?;
                let owed = Owed {
                    policy: by_event,
                    failures: 2,
                    failed_at: at(40),
                };
                assert_eq!(lag::owed(tx).await?, [owed]);
                let running = run(tx, by_event, (Scope::Whole, Status::Running), (50, 0)).await?;
                assert_eq!(lag::owed(tx).await?, [], "one goes on");
                assert!(execution::end(tx, running, (Status::Success, ""), at(60)).await?);
                assert_eq!(lag::owed(tx).await?, []);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_destination_tells_is_kept_for_each_repository() {
    on_both("replication_reach", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let [policy, _] = two_policies(tx).await?;
                assert!(reach::of(tx, policy, "a/b").await?.is_empty());
                for copies in [3, 2] {
                    let told = reach::Reached::from([("ab".to_owned(), copies)]);
                    reach::set(tx, policy, ("a/b", &told)).await?;
                    assert_eq!(reach::of(tx, policy, "a/b").await?, told);
                }
                assert!(reach::of(tx, policy, "a/c").await?.is_empty());
                assert!(policies::delete(tx, policy).await?);
                assert!(reach::of(tx, policy, "a/b").await?.is_empty());
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_held_policy_is_read_as_whoever_held_it_left_it() {
    on_both("replication_held", async |db| {
        let [policy, _] = db
            .write(|tx| Box::pin(async move { two_policies(tx).await }))
            .await
            .unwrap();
        let (inside, began) = tokio::sync::oneshot::channel();
        let disable = db.write(move |tx| {
            Box::pin(async move {
                let held = policies::hold(tx, policy).await?.unwrap();
                inside.send(()).unwrap();
                let content = PolicyContent {
                    enabled: false,
                    ..held.content()?
                };
                policies::update(tx, policy, &content, NOW).await?;
                Ok::<_, Error>(())
            })
        });
        let start = async {
            began.await.unwrap();
            let held = db
                .write(move |tx| Box::pin(async move { policies::hold(tx, policy).await }))
                .await;
            held.unwrap().unwrap().enabled
        };
        let (done, enabled) = tokio::join!(disable, start);
        done.unwrap();
        assert!(!enabled);
        let gone = db
            .write(move |tx| {
                Box::pin(async move {
                    policies::delete(tx, policy).await?;
                    policies::hold(tx, policy).await
                })
            })
            .await;
        assert!(gone.unwrap().is_none());
    })
    .await;
}
