//! Policies of retention, and what tells that a repository changed since rules looked at it.

use gantry_db::execution::{self, Cause, Vendor};
use gantry_db::retention::{self, candidate};
use gantry_db::schedule::{self, NewSchedule};
use model::ManifestId;
use model::retention::JOB;

use super::untagged_manifests::{payload, store};
use super::*;

#[tokio::test]
async fn a_policy_goes_with_its_schedule_and_history_or_its_project() {
    on_both("policy", async |db| {
        let (_, project) = team(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                let id = retention::create(tx, project, ("[]", "0 0 1 * * *"), NOW).await?;
                let found = retention::of_project(tx, project).await?.unwrap();
                assert_eq!((found.id, &*found.rules, found.updated_at), (id, "[]", NOW));
                // Each change is another version, also within one moment.
                retention::update(tx, id, ("[1]", ""), NOW).await?;
                let changed = retention::hold(tx, id).await?.unwrap();
                assert_eq!((&*changed.rules, &*changed.cron), ("[1]", ""));
                assert!(changed.updated_at > NOW);
                let new = NewSchedule {
                    kind: JOB.to_owned(),
                    subject: id.to_string(),
                    payload_version: 1,
                    payload: "null".to_owned(),
                    cron: "0 0 1 * * *".parse().unwrap(),
                };
                schedule::set(tx, &new, NOW).await?;
                let run = execution::New {
                    vendor: Vendor::Retention,
                    vendor_id: id.0,
                    cause: Cause::Schedule,
                    attrs: "{}".to_owned(),
                    operator: (None, String::new()),
                    job: None,
                };
                let run = execution::create(tx, &run, NOW).await?;
                assert_eq!(retention::running(tx, id).await?, [run]);
                let facts = project::by_id(tx, project).await?.unwrap().facts();
                assert!(project::delete(tx, &facts, NOW).await?);
                assert_eq!(retention::get(tx, id).await?, None);
                assert_eq!(schedule::get(tx, JOB, &id.to_string()).await?, None);
                assert_eq!(execution::get(tx, run).await?, None);
                assert_eq!(retention::running(tx, id).await?, []);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let twice = db.write(move |tx| {
            Box::pin(async move {
                retention::create(tx, project, ("[]", ""), NOW).await?;
                retention::create(tx, project, ("[]", ""), NOW).await
            })
        });
        assert!(matches!(twice.await, Err(Error::Duplicate(_))));
    })
    .await;
}

/// What rules see of a repository.
async fn seen(tx: &mut Tx, repo: RepositoryId) -> Result<Vec<(ManifestId, Vec<String>)>, Error> {
    let found = candidate::page(tx, repo, ManifestId(0), 100).await?;
    let found = found.into_iter();
    Ok(found
        .map(|one| (one.id, one.tags.iter().map(ToString::to_string).collect()))
        .collect())
}

#[tokio::test]
async fn whatever_changes_in_a_repository_shows_in_its_fingerprint_or_a_stamp() {
    on_both("fingerprint", async |db| {
        let (_, project) = team(&db).await;
        let name: RepositoryName = "team/app".parse().unwrap();
        let of = name.clone();
        let (repo, first, second) = db
            .write(move |tx| {
                Box::pin(async move {
                    let (one, two) = (payload("one", None), payload("two", None));
                    let first = store(tx, project, &of, (&one, Some("v1"))).await?;
                    let second = store(tx, project, &of, (&two, None)).await?;
                    // A referrer is none of them.
                    let subject = Digest::of(Algorithm::Sha256, &one);
                    let referrer = payload("referrer", Some(&subject));
                    store(tx, project, &of, (&referrer, None)).await?;
                    let repo = repository::id(tx, project, &of).await?.unwrap();
                    Ok::<_, Error>((repo, first, second))
                })
            })
            .await
            .unwrap();
        let print = async || {
            let mut reader = db.reader().await.unwrap();
            candidate::fingerprint(&mut reader, repo).await.unwrap()
        };
        let stamp = async |id| {
            let mut reader = db.reader().await.unwrap();
            let found = candidate::one(&mut reader, id).await.unwrap();
            found.map(|artifact| artifact.stamp())
        };
        let before = (print().await, stamp(first).await, stamp(second).await);
        assert_eq!(
            before,
            (print().await, stamp(first).await, stamp(second).await)
        );
        db.write(move |tx| {
            Box::pin(async move {
                let expected = vec![(first, vec!["v1".to_owned()]), (second, vec![])];
                assert_eq!(seen(tx, repo).await?, expected);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();

        // A pull of a tag is one of the artifact, and nothing else changes.
        let pulls = stat::Pulls {
            repository: name.clone(),
            digest: Digest::of(Algorithm::Sha256, &payload("one", None)),
            tag: Some("v1".parse().unwrap()),
            times: 1,
        };
        let later = NOW.plus(Duration::from_secs(60));
        db.write(move |tx| Box::pin(async move { stat::add(tx, &[pulls], later).await }))
            .await
            .unwrap();
        assert_eq!((print().await, stamp(second).await), (before.0, before.2));
        assert_ne!(stamp(first).await, before.1);

        // A tag that comes, and one that goes.
        let (tag, of): (Tag, _) = ("v2".parse().unwrap(), name.clone());
        db.write(move |tx| {
            Box::pin(async move {
                set_tag(tx, place(project, repo, &of), &tag, second, Onto::Anything).await?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let tagged = print().await;
        assert_ne!(tagged, before.0);
        assert_ne!(stamp(second).await, before.2);
        let (tag, of): (Tag, _) = ("v2".parse().unwrap(), name.clone());
        db.write(move |tx| {
            Box::pin(async move {
                tag::delete(tx, (repo, &of), &tag, Deletion::Here(NOW)).await?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        assert_ne!(print().await, tagged);
        assert_eq!((print().await, stamp(second).await), (before.0, before.2));

        // A manifest that comes.
        let of = name.clone();
        db.write(move |tx| {
            Box::pin(async move { store(tx, project, &of, (&payload("three", None), None)).await })
        })
        .await
        .unwrap();
        assert_ne!(print().await, before.0);
    })
    .await;
}
