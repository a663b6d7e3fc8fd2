//! Webhooks: order by subject, targets that fail and work again, what is given up, and policies that go.

use gantry_db::execution::{self, Cause, Status};
use gantry_db::job_log::{Level, Line};
use gantry_db::webhook::delivery::{self, Attempt, Delivery, New, Next};
use gantry_db::webhook::policy::{self as policies, Content};
use gantry_db::webhook::target::{self as targets, Found, Target};
use gantry_db::webhook::{LONGEST, cleaning, follow, note, trigger};
use model::{
    Client, ExecutionId, WebhookDelivery, WebhookEvent, WebhookFormat, WebhookKind,
    WebhookPolicyId, WebhookTargetId,
};

use super::*;

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn content(name: &str) -> Content {
    Content {
        name: name.to_owned(),
        description: String::new(),
        events: vec![WebhookEvent::PushArtifact],
        enabled: true,
        untagged: true,
    }
}

/// Who owns the projects.
async fn admin(tx: &mut Tx) -> Result<(), Error> {
    let admin = user::NewUser {
        name: "admin".into(),
        email: None,
        ..ann()
    };
    user::create_admin(tx, &admin, NOW).await?;
    Ok(())
}

/// A policy of a new project with one target.
async fn policy(
    tx: &mut Tx,
    project: &str,
) -> Result<(ProjectId, WebhookPolicyId, WebhookTargetId), Error> {
    let name: ProjectName = project.parse().unwrap();
    let id = project::create(tx, &name, UserId::ADMIN, false, -1, NOW).await?;
    let policy = policies::create(tx, id, (&content("hook"), ("ann", None)), NOW).await?;
    let target = targets::Content {
        kind: WebhookKind::Http,
        address: "https://ci.example/hook".parse().unwrap(),
        insecure: false,
        format: WebhookFormat::Default,
    };
    let target = targets::add(tx, policy, 0, &target).await?;
    Ok((id, policy, target))
}

async fn add(
    tx: &mut Tx,
    (policy, target): (WebhookPolicyId, WebhookTargetId),
    subject: &str,
    now: Timestamp,
) -> Result<ExecutionId, Error> {
    let attrs = WebhookDelivery {
        event_type: "PUSH_ARTIFACT".to_owned(),
        target,
        kind: "http".to_owned(),
        format: "Default".to_owned(),
        address: "https://ci.example/hook".to_owned(),
        status: None,
        duration_ms: None,
    };
    let new = New {
        target,
        kind: WebhookKind::Http,
        policy,
        cause: Cause::Event,
        operator: (None, "ann".to_owned()),
        subject: subject.to_owned(),
        attrs: r#"{"event_type":"PUSH_ARTIFACT","payload":"{}"}"#.to_owned(),
        task_attrs: serde_json::to_string(&attrs).unwrap(),
    };
    delivery::add(tx, &new, now).await
}

async fn attempt(tx: &mut Tx, delivery: &Delivery, next: Next) -> Result<bool, Error> {
    let attempt = Attempt {
        began: NOW,
        message: "it was busy",
        attrs: &format!(
            r#"{{"event_type":"PUSH_ARTIFACT","target":{}}}"#,
            delivery.target
        ),
        line: Line::new(NOW, Level::Info, "tried".to_owned()),
    };
    delivery::attempted(tx, delivery, (&attempt, next), NOW).await
}

async fn due(tx: &mut Tx, target: WebhookTargetId) -> Result<Vec<Delivery>, Error> {
    delivery::due(tx, target, NOW, 10).await
}

async fn target(tx: &mut Tx, id: WebhookTargetId) -> Result<Target, Error> {
    Ok(targets::get(tx, id).await?.unwrap())
}

async fn status(tx: &mut Tx, id: ExecutionId) -> Result<Status, Error> {
    Ok(execution::get(tx, id).await?.unwrap().status)
}

#[tokio::test]
async fn deliveries_about_one_subject_are_sent_one_after_the_other() {
    on_both("webhook_order", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                admin(tx).await?;
                let (project, policy, id) = policy(tx, "order").await?;
                let to = (policy, id);
                let first = add(tx, to, "order/app", NOW).await?;
                let second = add(tx, to, "order/app", NOW).await?;
                let other = add(tx, to, "order/other", NOW).await?;
                let seen = due(tx, id).await?;
                let ids: Vec<ExecutionId> = seen.iter().map(|one| one.execution).collect();
                assert_eq!(ids, [first, other]);
                // The first one waits for another attempt, and the second behind it.
                assert!(attempt(tx, &seen[0], Next::Again(at(60))).await?);
                assert_eq!(status(tx, first).await?, Status::Running);
                let ids: Vec<ExecutionId> =
                    due(tx, id).await?.iter().map(|it| it.execution).collect();
                assert_eq!(ids, [other]);
                delivery::hurry(tx, id, NOW).await?;
                let again = due(tx, id).await?.remove(0);
                assert_eq!((again.execution, again.attempts), (first, 1));
                assert!(attempt(tx, &again, Next::Ended(Status::Success)).await?);
                assert!(
                    !attempt(tx, &again, Next::Ended(Status::Error)).await?,
                    "it has ended"
                );
                assert_eq!(status(tx, first).await?, Status::Success);
                assert_eq!(due(tx, id).await?[0].execution, second);
                let (listed, total) =
                    delivery::list(tx, (project, Some(policy)), &Selection::all()).await?;
                assert_eq!((listed.len(), total), (3, 3));
                let done = listed.iter().find(|one| one.id == first).unwrap();
                assert_eq!((done.attempts, done.due_at), (2, None));
                let narrowed = Selection::all()
                    .with(delivery::STATUS_FIELD, Test::Is("Running".to_owned()))
                    .with(
                        delivery::EVENT,
                        Test::Contains("\"PUSH_ARTIFACT\"".to_owned()),
                    );
                let (_, total) = delivery::list(tx, (project, None), &narrowed).await?;
                assert_eq!(total, 2);
                assert_eq!(delivery::waiting(tx, &[id]).await?[&id], 2);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_target_that_fails_waits_and_works_again_with_its_first_answer() {
    on_both("webhook_target", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                admin(tx).await?;
                let (project, policy, id) = policy(tx, "failing").await?;
                add(tx, (policy, id), "failing/app", NOW).await?;
                assert_eq!(targets::due(tx, NOW, 10).await?.len(), 1);
                let before = target(tx, id).await?;
                let failed = Found::Failed(Some(503), "it was busy");
                assert!(!targets::found(tx, &before, (&failed, at(10)), NOW).await?);
                assert_eq!(targets::due(tx, NOW, 10).await?, []);
                assert!(!delivery::is_any_due(tx, NOW).await?);
                assert!(delivery::is_any_due(tx, at(10)).await?);
                let failing = target(tx, id).await?;
                assert_eq!((failing.failures, failing.failing_since), (1, Some(NOW)));
                let own = [project];
                let told = targets::failing(tx, Some(&own), at(1), 10).await?;
                assert_eq!((told.len(), told[0].skipped), (1, false));
                assert_eq!(targets::failing(tx, Some(&[]), at(1), 10).await?, []);
                assert_eq!(targets::count_failing(tx).await?, (1, 0));
                assert!(targets::skip(tx, id, NOW).await?);
                assert!(!targets::skip(tx, id, NOW).await?, "once");
                let answered = Found::Answered(200, None);
                let skipped = target(tx, id).await?;
                assert!(targets::found(tx, &skipped, (&answered, Timestamp(0)), at(20)).await?);
                let works = target(tx, id).await?;
                assert_eq!(
                    (works.failures, works.failing_since, works.skipped_at),
                    (0, None, None)
                );
                assert_eq!((works.last_status, works.last_error), (Some(200), None));
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_newest_are_kept_and_all_that_wait() {
    on_both("webhook_surplus", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                admin(tx).await?;
                let (_, policy, id) = policy(tx, "many").await?;
                let waits = add(tx, (policy, id), "many/0", NOW).await?;
                for number in 1..=60 {
                    let subject = format!("many/{number}");
                    add(tx, (policy, id), &subject, at(number)).await?;
                }
                for delivery in delivery::due(tx, id, at(60), 100).await? {
                    if delivery.execution != waits {
                        attempt(tx, &delivery, Next::Ended(Status::Success)).await?;
                    }
                }
                let of = (execution::Vendor::Webhook, policy.0);
                let surplus = execution::surplus(tx, of, 100).await?;
                assert_eq!(surplus.len(), 10);
                assert!(!surplus.contains(&waits));
                execution::remove(tx, &surplus).await?;
                assert_eq!(execution::surplus(tx, of, 100).await?, []);
                assert_eq!(execution::get(tx, surplus[0]).await?, None);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

async fn clean(tx: &mut Tx, now: Timestamp) -> Result<usize, Error> {
    let stale = cleaning::stale(tx, now, 100).await?;
    cleaning::end(tx, &stale, now).await?;
    Ok(stale.len())
}

#[tokio::test]
async fn what_is_not_sent_any_more_ends() {
    on_both("webhook_cleaning", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                admin(tx).await?;
                let (project, policy, id) = policy(tx, "ending").await?;
                let to = (policy, id);
                let mut added = Vec::new();
                for number in 0..3 {
                    added.push(add(tx, to, &format!("ending/{number}"), at(number)).await?);
                }
                assert_eq!(clean(tx, at(3)).await?, 0);
                // Of a target that was given up, the newest one is tried.
                targets::skip(tx, id, at(3)).await?;
                assert_eq!(clean(tx, at(3)).await?, 2);
                assert_eq!(status(tx, added[1]).await?, Status::Error);
                assert_eq!(status(tx, added[2]).await?, Status::Running);
                // Nothing waits for more than a week.
                assert_eq!(clean(tx, at(3).plus(LONGEST)).await?, 1);
                assert_eq!(status(tx, added[2]).await?, Status::Error);
                // With its policy, all goes.
                let late = add(tx, to, "ending/late", at(4)).await?;
                policies::delete(tx, policy, at(5)).await?;
                assert_eq!(policies::get(tx, project, policy).await?, None);
                assert_eq!(clean(tx, at(5)).await?, 1);
                assert_eq!(status(tx, late).await?, Status::Stopped);
                while cleaning::is_any_gone(tx).await? {
                    cleaning::remove_gone(tx, 2, at(6)).await?;
                }
                assert_eq!(
                    execution::get(tx, late).await?,
                    None,
                    "it is not shown any more"
                );
                // The name is free at once.
                policies::create(tx, project, (&content("hook"), ("ann", None)), at(7)).await?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn notes_are_kept_for_those_who_ask_and_places_move() {
    on_both("webhook_follow", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                admin(tx).await?;
                let (project, policy, _) = policy(tx, "noted").await?;
                let name: ProjectName = "noted".parse().unwrap();
                let told = |event| note::New {
                    project: &name,
                    event,
                    operator: "ann",
                    execution: ExecutionId(0),
                    data: "{}",
                };
                note::add(tx, &told(WebhookEvent::Replication), NOW).await?;
                assert_eq!(note::list(tx, 10).await?, [], "nobody asks for it");
                note::add(tx, &told(WebhookEvent::PushArtifact), NOW).await?;
                let noted = note::list(tx, 10).await?;
                assert_eq!((noted.len(), noted[0].project), (1, project));
                note::remove(tx, noted[0].id).await?;
                assert_eq!(note::list(tx, 10).await?, []);

                assert_eq!(follow::place(tx).await?, 0);
                follow::set_place(tx, 7).await?;
                assert_eq!(follow::place(tx).await?, 7);
                let event = WebhookEvent::QuotaExceed;
                assert_eq!(trigger::get(tx, (policy, event)).await?, None);
                trigger::set(tx, (policy, event), NOW).await?;
                trigger::hold_back(tx, (policy, event), 3).await?;
                trigger::hold_back(tx, (policy, event), 2).await?;
                let held = trigger::get(tx, (policy, event)).await?.unwrap();
                assert_eq!((held.at, held.held_back), (NOW, 5));
                trigger::set(tx, (policy, event), at(1)).await?;
                let all = trigger::of_policies(tx, &[policy]).await?;
                assert_eq!(all[&(policy, event)].held_back, 0);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn entries_are_followed_in_projects_that_send() {
    on_both("webhook_entries", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                admin(tx).await?;
                let quiet: ProjectName = "quiet".parse().unwrap();
                let quiet = project::create(tx, &quiet, UserId::ADMIN, false, -1, NOW).await?;
                let (project, policy, _) = policy(tx, "loud").await?;
                let since = follow::since(tx).await?.unwrap();
                let repository: RepositoryName = "loud/app".parse().unwrap();
                let artifact = |project| Subject::Artifact {
                    project,
                    repository: repository.clone(),
                    tag: None,
                    digest: Digest::of(Algorithm::Sha256, b"x"),
                };
                let origin = Origin {
                    principal: Principal::CommandLine,
                    client: Client::default(),
                };
                for (operation, project) in [
                    (Operation::Create, quiet),
                    (Operation::Create, project),
                    (Operation::Update, project),
                ] {
                    let event = Event::new(NOW, origin.clone(), operation, artifact(project));
                    tx.record(&event).await?;
                }
                let newest = follow::newest(tx).await?;
                let entries = follow::entries(tx, (since, newest), 10).await?;
                let seen: Vec<(&str, ProjectId)> = entries
                    .iter()
                    .map(|entry| (&*entry.operation, entry.project))
                    .collect();
                assert_eq!(seen, [("create", project), ("update", project)]);
                policies::delete(tx, policy, NOW).await?;
                assert_eq!(follow::entries(tx, (since, newest), 10).await?, []);
                assert_eq!(follow::since(tx).await?, None);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_an_erased_user_did_is_sent_with_the_pseudonym() {
    on_both("webhook_erased", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                admin(tx).await?;
                let (project, policy, target) = policy(tx, "erased").await?;
                let (_, principal) = user::create(tx, &ann(), NOW).await?;
                let name = "ann".to_owned();
                let payload = format!(
                    r#"{{"operator":"{name}","blocks":["*operator:* {name}"],"tag":"{name}"}}"#
                );
                let attrs =
                    serde_json::json!({ "event_type": "PUSH_ARTIFACT", "payload": payload });
                let task_attrs = WebhookDelivery {
                    event_type: "PUSH_ARTIFACT".to_owned(),
                    target,
                    kind: "http".to_owned(),
                    format: "Default".to_owned(),
                    address: "https://ci.example/hook".to_owned(),
                    status: None,
                    duration_ms: None,
                };
                let new = New {
                    target,
                    kind: WebhookKind::Http,
                    policy,
                    cause: Cause::Event,
                    operator: (Some(principal), name.clone()),
                    subject: "erased/app".to_owned(),
                    attrs: attrs.to_string(),
                    task_attrs: serde_json::to_string(&task_attrs).unwrap(),
                };
                let id = delivery::add(tx, &new, NOW).await?;
                let other = add(tx, (policy, target), "erased/other", NOW).await?;
                let made_by = (&content("mine"), (&*name, Some(principal)));
                let made = policies::create(tx, project, made_by, NOW).await?;
                user::erase(tx, principal, "erased-9").await?;
                let made = policies::hold(tx, project, made).await?.unwrap();
                assert_eq!(made.creator, "erased-9");
                let (shown, sent) = delivery::get(tx, project, id).await?.unwrap();
                assert_eq!(shown.operator, "erased-9");
                let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
                let payload = format!(
                    r#"{{"operator":"erased-9","blocks":["*operator:* erased-9"],"tag":"{name}"}}"#
                );
                assert_eq!(sent["payload"], payload);
                let (shown, _) = delivery::get(tx, project, other).await?.unwrap();
                assert_eq!(shown.operator, "ann", "nobody knows whose it is");
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}
