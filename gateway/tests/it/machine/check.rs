//! Compares what is served, charged and stored with the model.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::content::{Blob, Manifest};
use super::model::{Contents, EXPIRY, MISSING_PROJECT, Model, Seen, Surprise};
use super::step::{Project, Repository, Step, Tag};
use super::world::{
    LONG, World, blob_path, foreign_key, is_foreign, is_identity, manifest_path, project_path,
};
use crate::harness::{Answer, eventually, sha256};

/// Requests that a check has under way.
const AT_ONCE: usize = 6;

/// What is there of a repository is served whole and under its own digest, and nothing else is.
pub(crate) async fn repository(
    world: &World,
    model: &Model,
    at: Repository,
) -> Result<(), Surprise> {
    let nothing = Contents::default();
    let contents = model.contents(at).unwrap_or(&nothing);
    let missing: &[u16] = match model.projects.contains_key(&at.project()) {
        true => &[404],
        false => MISSING_PROJECT,
    };
    let blobs = Blob::ALL.map(|blob| {
        let expected = contents
            .links
            .contains_key(&blob)
            .then(|| (blob.digest().to_owned(), blob.bytes()));
        (format!("{blob:?}"), blob_path(at, blob), expected)
    });
    let manifests = Manifest::ALL.map(|manifest| {
        let facts = manifest.facts();
        let expected = contents.manifests.contains_key(&manifest);
        let path = manifest_path(at, &facts.digest);
        let expected = expected.then(|| (facts.digest.clone(), facts.bytes.clone()));
        (format!("{manifest:?}"), path, expected)
    });
    let tags = Tag::ALL.map(|tag| {
        let facts = contents.tags.get(&tag).map(|tagged| tagged.facts());
        let expected = facts.map(|facts| (facts.digest.clone(), facts.bytes.clone()));
        (format!("{tag:?}"), manifest_path(at, tag.name()), expected)
    });
    let all = blobs.into_iter().chain(manifests).chain(tags);
    let looks = all.map(async |(what, path, expected)| {
        let answer = world.admin().get(&path).await;
        served(&answer, expected, missing).map_err(|why| format!("{what} of {}: {why}", at.name()))
    });
    let looks = stream::iter(looks).buffer_unordered(AT_ONCE);
    looks.try_collect::<()>().await?;
    lists(world, contents, at).await
}

fn served(
    answer: &Answer,
    expected: Option<(String, Bytes)>,
    missing: &[u16],
) -> Result<(), Surprise> {
    let named = answer.maybe_header("docker-content-digest");
    let found = || {
        format!(
            "{} with {named:?} and {} bytes",
            answer.status,
            answer.body.len()
        )
    };
    match expected {
        None if missing.contains(&answer.status) => Ok(()),
        None => Err(format!("{missing:?} expected, but {}", found())),
        Some((digest, bytes)) => {
            if answer.status == 200 && named == Some(&*digest) && answer.body == bytes {
                return Ok(());
            }
            Err(format!(
                "{digest} with {} bytes expected, but {}",
                bytes.len(),
                found()
            ))
        }
    }
}

/// Tags and referrers are listed.
async fn lists(world: &World, contents: &Contents, at: Repository) -> Result<(), Surprise> {
    if contents.manifests.is_empty() {
        return Ok(());
    }
    let list = world
        .admin()
        .get(&format!("/v2/{}/tags/list", at.name()))
        .await;
    let expected: Vec<&str> = contents.tags.keys().map(|tag| tag.name()).collect();
    same(
        "tags",
        &names(&list, "tags", |tag| tag),
        &expected.iter().map(|tag| (*tag).to_owned()).collect(),
    )?;
    let subject = &Manifest::ImageA.facts().digest;
    let list = world
        .admin()
        .get(&format!("/v2/{}/referrers/{subject}", at.name()))
        .await;
    let referrers = contents.manifests.keys().map(|manifest| manifest.facts());
    let referrers = referrers.filter(|facts| facts.subject == Some(Manifest::ImageA));
    let expected = referrers.map(|facts| facts.digest.clone()).collect();
    same(
        "referrers",
        &names(&list, "manifests", |it| &it["digest"]),
        &expected,
    )?;
    counted(world, contents, at).await
}

/// As many artifacts are counted as are no referrers and have a tag or are in no index.
async fn counted(world: &World, contents: &Contents, at: Repository) -> Result<(), Surprise> {
    let indexed: BTreeSet<Manifest> = contents
        .manifests
        .keys()
        .flat_map(|manifest| manifest.facts().children.iter().copied())
        .collect();
    let tagged: BTreeSet<Manifest> = contents.tags.values().copied().collect();
    let is_listed = |manifest: &&Manifest| {
        manifest.facts().subject.is_none()
            && (tagged.contains(manifest) || !indexed.contains(manifest))
    };
    let expected = contents.manifests.keys().filter(is_listed).count() as u64;
    let (_, name) = at.name().split_once('/').unwrap_or_default();
    let path = format!("{}/repositories/{name}", project_path(at.project()));
    let answer = world.admin().get(&path).await;
    match answer.json()["artifact_count"].as_u64() {
        Some(count) if count == expected => Ok(()),
        count => Err(format!("{count:?} artifacts instead of {expected}")),
    }
}

fn names(answer: &Answer, list: &str, name: impl Fn(&Value) -> &Value) -> BTreeSet<String> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let listed = body[list].as_array().into_iter().flatten();
    listed
        .filter_map(|it| name(it).as_str())
        .map(str::to_owned)
        .collect()
}

/// No project's usage is off.
pub(crate) async fn usage(world: &World, model: &Model) -> Result<(), Surprise> {
    for project in Project::ALL {
        let answer = world
            .admin()
            .get(&format!("{}/summary", project_path(project)))
            .await;
        let Some((least, most)) = model.usage(project) else {
            if [403, 404].contains(&answer.status) {
                continue;
            }
            return Err(format!("{project:?} is gone, but {answer}"));
        };
        let used = answer.json()["quota"]["used"]["storage"].as_u64();
        if !used.is_some_and(|used| (least..=most).contains(&used)) {
            return Err(format!(
                "usage of {project:?} is {used:?} instead of {least} to {most}"
            ));
        }
    }
    Ok(())
}

/// Everything, and the log.
pub(crate) async fn everything(world: &World, model: &Model) -> Result<(), Surprise> {
    for at in Repository::ALL {
        repository(world, model, at).await?;
    }
    usage(world, model).await?;
    complaints(world)
}

/// No job failed, and nothing asked for a person.
fn complaints(world: &World) -> Result<(), Surprise> {
    let log = world.log();
    let bad = |line: &&str| {
        line.contains("a job failed") || line.contains("ERROR") || line.contains("panicked at")
    };
    match log.lines().find(bad) {
        None => Ok(()),
        Some(line) => Err(format!("in the log: {line}")),
    }
}

/// Passes of the collection until nothing waits: an index is noticed, deleted, then so are what it listed, what that
/// named, and the objects.
const MOST_PASSES: usize = 8;

/// When nothing waits any more, what is stored is what is reachable; files of others are as they were; and all
/// checks of Gantry's own find nothing.
pub(crate) async fn quiet(world: &mut World, model: &mut Model) -> Result<(), Surprise> {
    model.forsake_uploads();
    world.move_clock(EXPIRY);
    model.now += EXPIRY;
    // With which the sweeper runs.
    world.restart().await;
    for pass in 1..=MOST_PASSES {
        world.move_clock(LONG);
        model.now += LONG;
        follow(world, model, Step::Collect).await?;
        // With the first, uploads end, whose objects may be held.
        if pass > 1 && !model.is_waiting() {
            break;
        }
    }
    if model.moving {
        follow(world, model, Step::CopyBlobs { remove: true }).await?;
        follow(world, model, Step::Restart).await?;
    }
    everything(world, model).await?;
    let settled = eventually(10, "what is stored is what is reachable", async || {
        Some(stored(world, model).await).filter(Result::is_ok)
    });
    if tokio::time::timeout(std::time::Duration::from_secs(8), settled)
        .await
        .is_err()
    {
        stored(world, model).await?;
    }
    for command in [
        &["storage", "check", "--rehash"][..],
        &["storage", "usage"],
        &["audit", "verify"],
    ] {
        if let Seen::Command(false, said) = world.command(command).await {
            return Err(format!("{command:?} failed: {said}"));
        }
    }
    match world.command(&["gc", "status"]).await {
        Seen::Command(true, said) if said.contains("objects that wait to be deleted: 0 (") => {}
        seen => return Err(format!("objects are left to be deleted: {seen:?}")),
    }
    complaints(world)
}

async fn follow(world: &mut World, model: &mut Model, step: Step) -> Result<(), Surprise> {
    let seen = world.perform(&step, model).await;
    model
        .follow(&step, &seen)
        .map_err(|why| format!("{step:?}: {why}"))
}

/// Compares the store with the model, object by object; one that was left has only what others put there.
async fn stored(world: &World, model: &Model) -> Result<(), Surprise> {
    let is_others =
        |key: &String| model.strays.contains(key) || is_foreign(key) || is_identity(key);
    let all = world.stores().all(world.backend()).await;
    let (mut others, own): (BTreeMap<_, _>, BTreeMap<_, _>) =
        all.into_iter().partition(|(key, _)| is_others(key));
    if let Some(left) = world.left() {
        let all = world.stores().all(left).await;
        let (of_others, behind): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.into_iter().partition(|(key, _)| is_others(key));
        if !world.kept(left) && !behind.is_empty() {
            let keys: Vec<&String> = behind.keys().collect();
            return Err(format!("left behind in the store before: {keys:?}"));
        }
        others.extend(of_others);
    }
    let mut found: Vec<String> = own.values().map(|bytes| sha256(bytes)).collect();
    found.sort();
    let mut expected: Vec<String> = model
        .own_objects()
        .iter()
        .map(|blob| blob.digest().to_owned())
        .collect();
    expected.sort();
    if found != expected {
        let keys: Vec<&String> = own.keys().collect();
        return Err(format!(
            "objects of {found:?} are stored ({keys:?}), and {expected:?} are reachable"
        ));
    }
    for key in &model.strays {
        if others.get(key).map(|bytes| &bytes[..]) != Some(key.as_bytes()) {
            return Err(format!("{key}, which is not Gantry's, is gone or changed"));
        }
    }
    for blob in Blob::ALL {
        let there = others.contains_key(&foreign_key(blob.digest()));
        if there != model.foreign.contains(&blob) {
            return Err(format!("the other registry's {blob:?} is there: {there}"));
        }
    }
    match world.stores().unfinished(world.backend()).await {
        parts if parts.is_empty() => Ok(()),
        parts => Err(format!("uploads in parts are left: {parts:?}")),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Surprise> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} are {found:?} instead of {expected:?}"))
}
