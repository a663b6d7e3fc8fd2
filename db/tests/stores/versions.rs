//! Versions of tags: each change is later than the one before, whatever the clock says, and deletions are remembered.

use gantry_db::tag::{self, version};
use model::InstallationId;
use model::replication::TagState;

use super::*;

const OWN: InstallationId = InstallationId::new([0; 16]);
const OTHER: InstallationId = InstallationId::new([7; 16]);

fn at(micros: i64) -> Timestamp {
    Timestamp(NOW.0 + micros)
}

/// Sets the tag `latest` to what it names, as a push of this time does, or with a version.
async fn set(
    tx: &mut Tx,
    (project, name): (ProjectId, &RepositoryName),
    onto: Onto,
    now: Timestamp,
) -> Result<(), Error> {
    let repository = repository::id(tx, project, name).await?.unwrap();
    let latest = "latest".parse().unwrap();
    let bytes = empty();
    let digest = Digest::of(Algorithm::Sha256, bytes.as_bytes());
    let id = manifest::id(tx, repository, &digest).await?.unwrap();
    let how = (onto, Principal::CommandLine, now);
    set_tag_by(tx, place(project, repository, name), &latest, id, how).await?;
    Ok(())
}

fn empty() -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
        model::media_type::OCI_INDEX
    )
}

#[tokio::test]
async fn each_change_of_a_tag_is_later_than_the_one_before() {
    on_both("tag_versions", async |db| {
        let (_, project) = team(&db).await;
        db.write_in(project, move |tx| {
            Box::pin(async move {
                let name: RepositoryName = "team/app".parse().unwrap();
                let latest = "latest".parse().unwrap();
                let digest = Some(Digest::of(Algorithm::Sha256, empty().as_bytes()));
                let state = |digest, micros, origin| TagState {
                    digest,
                    at: at(micros),
                    origin,
                };
                assert_eq!(version::of(tx, &name, &latest).await?, None);
                push_empty(tx, project, "team/app").await?;
                let here = (project, &name);
                let repository = repository::id(tx, project, &name).await?.unwrap();
                let mut told = vec![version::of(tx, &name, &latest).await?];
                let from_elsewhere = state(digest, 1_000, OTHER);
                set(tx, here, Onto::Earlier(from_elsewhere), at(5)).await?;
                told.push(version::of(tx, &name, &latest).await?);
                set(tx, here, Onto::Earlier(state(digest, 500, OTHER)), at(6)).await?;
                told.push(version::of(tx, &name, &latest).await?);
                set(tx, here, Onto::Anything, at(7)).await?;
                told.push(version::of(tx, &name, &latest).await?);
                tag::delete(tx, (repository, &name), &latest, Deletion::Here(at(8))).await?;
                told.push(version::of(tx, &name, &latest).await?);
                set(tx, here, Onto::Nothing, at(9)).await?;
                told.push(version::of(tx, &name, &latest).await?);
                tag::adopt(tx, repository, &latest, &state(digest, 2_000, OTHER)).await?;
                told.push(version::of(tx, &name, &latest).await?);
                let gone = Deletion::Elsewhere(at(3_000), OTHER);
                tag::delete(tx, (repository, &name), &latest, gone).await?;
                told.push(version::of(tx, &name, &latest).await?);
                set(tx, here, Onto::Anything, at(4_000)).await?;
                told.push(version::of(tx, &name, &latest).await?);
                let expected = [
                    state(digest, 0, OWN),
                    from_elsewhere,
                    from_elsewhere,
                    state(digest, 1_001, OWN),
                    state(None, 1_002, OWN),
                    state(digest, 1_003, OWN),
                    state(digest, 2_000, OTHER),
                    state(None, 3_000, OTHER),
                    state(digest, 4_000, OWN),
                ];
                assert_eq!(told, expected.map(Some));
                let (listed, more) = version::list(tx, &name, "", 100).await?;
                assert_eq!((listed, more), (vec![(latest.clone(), expected[8])], false));

                // What is deleted with its repository is told before and after its rows are gone.
                assert!(repository::delete(tx, project, &name, at(5_000)).await?);
                let deleted = Some(state(None, 5_000, OWN));
                assert_eq!(version::of(tx, &name, &latest).await?, deleted);
                let gone = repository::deleted(tx, RepositoryId(0), 10).await?.found;
                while repository::purge(tx, &gone[0], NOW, 1).await?.left {}
                assert_eq!(version::of(tx, &name, &latest).await?, deleted);
                assert_eq!(version::prune(tx, at(5_000), 10).await?, 0);
                assert_eq!(version::prune(tx, at(5_001), 10).await?, 1);
                assert_eq!(version::of(tx, &name, &latest).await?, None);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}
