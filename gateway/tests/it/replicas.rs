//! What two processes on one database know of each other.

use std::time::Duration;

use crate::harness::{Replicas, Server, fresh, image, index_of, media};
use crate::push_pull::{foreign, manifest};

const LOGIN: &str = "/service/token?service=harbor-registry";

#[tokio::test]
async fn guesses_at_one_replica_count_at_the_other() {
    let replicas = Replicas::start().await;
    let (first, second) = (&replicas.first, &replicas.second);
    let name = fresh("guessed");
    first.create_user(&name).await;
    let guess = async |server: &Server| {
        let guesser = server.as_user_with(&name, "Wr0ngPassword").at(77);
        guesser.get(LOGIN).await.expect(401)
    };
    // One less than is refused.
    for _ in 0..4 {
        guess(first).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    guess(second).await;
    let owner = second.as_user(&name);
    let refused = owner.at(77).get(LOGIN).await.expect(429);
    assert_eq!(refused.header("retry-after"), "1");
    owner.at(78).get(LOGIN).await.expect(200);
    // The right password at one clears it at both.
    tokio::time::sleep(Duration::from_secs(2)).await;
    first.as_user(&name).at(77).get(LOGIN).await.expect(200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    for _ in 0..4 {
        guess(second).await;
    }
    owner.at(77).get(LOGIN).await.expect(200);
}

#[tokio::test]
async fn manifests_mean_the_same_on_postgres() {
    let replicas = Replicas::start().await;
    foreign::what_is_here_is_referred_to(&replicas.first).await;
    manifest::nul_is_refused(&replicas.second).await;
}

#[tokio::test]
async fn an_index_and_the_end_of_its_child_do_not_cross() {
    let replicas = Replicas::start().await;
    let repository = replicas.first.private_project().await.repository("cross");
    let (pusher, deleter) = (replicas.first.admin(), replicas.second.admin());
    for round in 0..40 {
        let child = image(&format!("crossing {round}"));
        pusher.push_image(&repository, &child.digest, &child).await;
        let (_, index) = index_of(&[&child]);
        let tag = format!("round-{round}");
        let path = format!("/v2/{repository}/manifests/{}", child.digest);
        let (pushed, deleted) = tokio::join!(
            async {
                pusher
                    .push_manifest(&repository, &tag, media::OCI_INDEX, index)
                    .await
            },
            async { deleter.delete(&path).await },
        );
        match (pushed.status, deleted.status) {
            (201, 412) | (400, 202) => {}
            _ => panic!("{pushed}\n{deleted}"),
        }
        let there = pusher.get(&path).await.status == 200;
        assert_eq!(there, deleted.status == 412, "{deleted}");
    }
}

#[tokio::test]
async fn a_push_and_a_deletion_of_one_manifest_do_not_cross() {
    let replicas = Replicas::start().await;
    let repository = replicas.first.private_project().await.repository("same");
    let (pusher, deleter) = (replicas.first.admin(), replicas.second.admin());
    let image = image("pushed and deleted");
    pusher.push_image(&repository, "latest", &image).await;
    let path = format!("/v2/{repository}/manifests/{}", image.digest);
    for round in 0..40 {
        let tag = format!("round-{round}");
        let (pushed, deleted) = tokio::join!(
            async {
                let bytes = image.manifest.clone();
                pusher
                    .push_manifest(&repository, &tag, &image.media_type, bytes)
                    .await
            },
            async { deleter.delete(&path).await },
        );
        assert_eq!(pushed.status, 201, "{pushed}");
        assert!([202, 404].contains(&deleted.status), "{deleted}");
        let bytes = image.manifest.clone();
        let again = pusher.push_manifest(&repository, "latest", &image.media_type, bytes);
        again.await.expect(201);
    }
}
