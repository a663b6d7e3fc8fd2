//! Walks that failed once, made shorter; what each showed to be right is its name. The row of
//! `findings.md` and the seed that came upon it stand above each.

use std::sync::Arc;

use super::backing::Backing;
use super::content::Blob::{Config, Elsewhere, Small};
use super::content::Manifest::{DockerForeign, ImageA, ImageB, Index, Nondistributable, WithUrls};
use super::step::Jump::Hours3;
use super::step::Project::Red;
use super::step::Repository::RedApp;
use super::step::Slot::One;
use super::step::Step::{self, *};
use super::step::Stray;
use super::step::Tag::V1;
use super::walk::walk;
use super::world::Topology;

async fn goes_well(topology: Topology, steps: &[Step]) {
    let walked = walk(&Arc::new(Backing::new()), topology, steps).await;
    walked.unwrap_or_else(|failure| panic!("after {} steps: {}", failure.steps, failure.why));
}

async fn on_files(steps: &[Step]) {
    goes_well(Topology::Files, steps).await;
}

/// D1; seed 2, walk 0 on files.
#[tokio::test]
async fn a_blob_of_a_deleted_project_is_collected() {
    on_files(&[
        CreateProject(Red),
        PushBlob(RedApp, Small),
        DeleteProject(Red),
    ])
    .await;
}

/// D3; seed 1, walk 0 on files: every walk begins with files of others in the store.
#[tokio::test]
async fn files_of_others_stay() {
    for topology in [Topology::Files, Topology::Replicas] {
        goes_well(topology, &Stray::ALL.map(Leave)).await;
    }
}

/// D4.
#[tokio::test]
async fn an_upload_ends_with_its_project() {
    let begun = [CreateProject(Red), Start(One, RedApp, Small)];
    let anew = [DeleteProject(Red), CreateProject(Red)];
    on_files(&[&begun[..], &anew, &[Commit(One)]].concat()).await;
    for goes_on in [Patch(One), Progress(One), Commit(One), Cancel(One)] {
        on_files(&[&begun[..], &[Patch(One)], &anew, &[goes_on]].concat()).await;
    }
}

/// D5; seed 1, walk 0 on files, after 72 steps.
#[tokio::test]
async fn a_layer_with_urls_stays_with_its_manifest() {
    for manifest in [DockerForeign, Nondistributable, WithUrls] {
        on_files(&[
            CreateProject(Red),
            Push(RedApp, manifest, Some(V1)),
            DeleteBlob(RedApp, Elsewhere),
        ])
        .await;
    }
}

/// D6.
#[tokio::test]
async fn what_is_pushed_does_not_hang_on_another_registry() {
    on_files(&[
        CreateProject(Red),
        Import,
        PushBlob(RedApp, Small),
        OtherCollects,
    ])
    .await;
}

/// D12.
#[tokio::test]
async fn time_without_a_tag_begins_when_nothing_keeps_a_manifest() {
    on_files(&[
        CreateProject(Red),
        Untagged(Red, true),
        Push(RedApp, ImageA, None),
        Push(RedApp, ImageB, None),
        Collect,
        Put(RedApp, Index, Some(V1)),
        Clock(Hours3),
        DeleteManifest(RedApp, Index),
        Collect,
    ])
    .await;
}

/// Seed 1, walk 7 on files.
#[tokio::test]
async fn what_an_untagged_index_lists_goes_with_it() {
    let begun = [CreateProject(Red), Untagged(Red, true)];
    let untagged = [Push(RedApp, Index, None), Collect, Clock(Hours3)];
    on_files(&[&begun[..], &untagged, &[Collect, Clock(Hours3), Collect]].concat()).await;
}

/// O4.
#[tokio::test]
async fn an_empty_repository_is_no_obstacle() {
    on_files(&[
        CreateProject(Red),
        Push(RedApp, ImageA, Some(V1)),
        DeleteManifest(RedApp, ImageA),
        DeleteProject(Red),
    ])
    .await;
}

/// P14.
#[tokio::test]
async fn a_layer_of_an_ordinary_type_is_not_missed_for_its_urls() {
    on_files(&[
        CreateProject(Red),
        PushBlob(RedApp, Config),
        Put(RedApp, WithUrls, Some(V1)),
    ])
    .await;
}
