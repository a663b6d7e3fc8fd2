//! Whole topologies: copies are made once for each place that needs them, and everything comes to rest.

use super::between::{has_all, push_set};
use super::site::{add, gantry};
use super::site::{comes, digest, leads, policy, push, run, settled, site, sum};
use crate::harness::image;

#[tokio::test]
async fn a_tree_has_all_of_it_everywhere_and_what_is_deleted_by_hand_comes_back() {
    let (root, left, right, leaf) = (site().await, site().await, site().await, site().await);
    let project = root.private_project().await;
    let repository = project.repository("app");
    let names = format!("{}/**", project.name);
    let to_left = leads(&root, &left, &names).await;
    leads(&root, &right, &names).await;
    leads(&left, &leaf, &names).await;
    let set = push_set(&root, &repository, "tree").await;
    for at in [&left, &right, &leaf] {
        comes(at, &repository, "v1", Some(&set.index)).await;
    }
    settled(&[&root, &left, &right, &leaf], &repository).await;
    let again = run(&root, to_left).await;
    let counts = ["copied", "deleted", "bytes"].map(|count| sum(&again, count));
    assert_eq!(counts, [0, 0, 0], "{again:#?}");
    for at in [&left, &right, &leaf] {
        has_all(at, &repository, &set).await;
    }
    let path = format!("/v2/{repository}/manifests/v1");
    left.admin().delete(&path).await.expect(202);
    comes(&leaf, &repository, "v1", None).await;
    assert!(sum(&run(&root, to_left).await, "copied") >= 1);
    for at in [&left, &leaf] {
        comes(at, &repository, "v1", Some(&set.index)).await;
    }
}

#[tokio::test]
async fn a_ring_settles_whatever_is_pushed_moved_or_deleted_in_it() {
    let ring = [site().await, site().await, site().await];
    let project = ring[0].private_project().await;
    let repository = project.repository("app");
    let names = format!("{}/**", project.name);
    let mut policies = Vec::new();
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        policies.push(leads(&ring[from], &ring[to], &names).await);
    }
    let sites = [&ring[0], &ring[1], &ring[2]];
    let set = push_set(&ring[0], &repository, "ring").await;
    for at in sites {
        comes(at, &repository, "v1", Some(&set.index)).await;
    }
    settled(&sites, &repository).await;
    for at in sites {
        has_all(at, &repository, &set).await;
    }
    // All have told one another by now that what they send comes back.
    for (at, policy) in sites.into_iter().zip(&policies) {
        run(at, *policy).await;
    }
    let before = settled(&sites, &repository).await;
    let moved = image("ring, moved");
    ring[2].admin().push_image(&repository, "v1", &moved).await;
    for at in sites {
        comes(at, &repository, "v1", Some(&moved.digest)).await;
    }
    let after = settled(&sites, &repository).await;
    let made: Vec<usize> = after
        .iter()
        .zip(&before)
        .map(|(now, then)| now - then)
        .collect();
    assert_eq!(
        made,
        [2, 2, 1],
        "the manifest and its tag, once at each place that lacks them"
    );

    let path = format!("/v2/{repository}/manifests/dev-1");
    ring[1].admin().delete(&path).await.expect(202);
    for at in sites {
        comes(at, &repository, "dev-1", None).await;
    }
    // Two changes of one tag at the same time: the later one, everywhere.
    let (one, other) = (image("ring, one"), image("ring, other"));
    ring[0].admin().push_image(&repository, "v1", &one).await;
    ring[1].admin().push_image(&repository, "v1", &other).await;
    settled(&sites, &repository).await;
    // What lost has no tag any more, and whole runs copy that too.
    for (at, policy) in sites.into_iter().zip(&policies) {
        run(at, *policy).await;
    }
    settled(&sites, &repository).await;
    for (at, policy) in sites.into_iter().zip(&policies) {
        let again = run(at, *policy).await;
        assert_eq!(
            (
                sum(&again, "copied"),
                sum(&again, "deleted"),
                sum(&again, "bytes")
            ),
            (0, 0, 0)
        );
        comes(at, &repository, "v1", Some(&other.digest)).await;
        assert_eq!(digest(at, &repository, "dev-1").await, None);
    }
}

#[tokio::test]
async fn a_blob_of_many_repositories_moves_once() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let app = image("of many");
    for number in 0..8 {
        let repository = project.repository(&format!("app{number}"));
        here.admin().push_image(&repository, "v1", &app).await;
    }
    let to = add(&here, &gantry(&there, "other")).await;
    let mut wanted = push("out", to, &format!("{}/**", project.name));
    // Slow enough that the others come while it moves.
    wanted["speed"] = serde_json::json!(8);
    let out = policy(&here, &wanted).await;
    let tasks = run(&here, out).await;
    assert_eq!((tasks.len(), sum(&tasks, "copied")), (8, 8));
    let size: usize = app.blobs().map(|blob| blob.bytes.len()).sum();
    assert_eq!(sum(&tasks, "bytes"), size as u64);
}

/// The large form: `cargo xtask full`, or by hand with `--ignored`.
#[tokio::test]
#[ignore = "500 artifacts take minutes"]
async fn a_ring_takes_500_artifacts_once_each() {
    let ring = [site().await, site().await, site().await];
    let project = ring[0].private_project().await;
    let names = format!("{}/**", project.name);
    let mut policies = Vec::new();
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let name = format!("to-{to}");
        let registry = add(&ring[from], &gantry(&ring[to], &name)).await;
        policies.push(policy(&ring[from], &push(&name, registry, &names)).await);
    }
    for number in 0..500 {
        let repository = project.repository(&format!("app{}", number % 10));
        let app = image(&format!("ring of 500, {number}"));
        let tag = format!("v{number}");
        ring[0].admin().push_image(&repository, &tag, &app).await;
    }
    let copied = async |at: usize| sum(&run(&ring[at], policies[at]).await, "copied");
    assert_eq!(
        [copied(0).await, copied(1).await, copied(2).await],
        [500, 500, 0]
    );
    assert_eq!(
        [copied(0).await, copied(1).await, copied(2).await],
        [0, 0, 0]
    );
    for number in 0..500 {
        let repository = project.repository(&format!("app{}", number % 10));
        let tag = format!("v{number}");
        let first = digest(&ring[0], &repository, &tag).await;
        for at in &ring[1..] {
            assert_eq!(digest(at, &repository, &tag).await, first);
        }
    }
}
