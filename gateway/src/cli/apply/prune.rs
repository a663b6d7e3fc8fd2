//! Removing what an earlier `apply` made and no file names any more.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use anyhow::Context as _;
use db::Reader;
use db::applied::{self, Kind, Mark};
use model::{
    ImmutableRuleId, LabelId, MemberId, ProjectId, ProjectName, RegistryId, ReplicationPolicyId,
    RetentionId, RobotId,
};
use policy::{ProjectDeletion, RobotPermit};
use tenancy::label::LabelPermit;

use super::world::World;
use crate::cli::local;
use crate::cli::out::line;

/// What files name.
#[derive(Default)]
pub(super) struct Named {
    /// Objects that exist.
    pub(super) objects: BTreeSet<(Kind, i64)>,
    /// Projects in which objects are.
    pub(super) projects: HashSet<ProjectName>,
}

/// Marked objects that no file names, in the order in which they are removed. A project that holds something is left out,
/// and that is said.
pub(super) async fn unnamed(world: &World<'_>, named: &Named) -> anyhow::Result<Vec<Mark>> {
    let mut reader = world.local.db.reader().await?;
    let mut unnamed = Vec::new();
    for mark in applied::all(&mut reader).await? {
        if named.objects.contains(&(mark.kind, mark.object)) {
            continue;
        }
        match why_kept(&mut reader, &mark, named).await? {
            Some(reason) => line(&format!("{} is not pruned: {reason}", mark.name)),
            None => unnamed.push(mark),
        }
    }
    // What needs others goes before them.
    unnamed.sort_by_key(|mark| Reverse(mark.kind));
    Ok(unnamed)
}

/// Why a project stays, though no file names it.
async fn why_kept(
    reader: &mut Reader,
    mark: &Mark,
    named: &Named,
) -> anyhow::Result<Option<String>> {
    if mark.kind != Kind::Project {
        return Ok(None);
    }
    let project = db::project::by_id(reader, ProjectId(mark.object)).await?;
    Ok(project.and_then(|project| match project.repositories {
        0 if named.projects.contains(&project.name) => Some("files name what is in it".to_owned()),
        0 => None,
        1 => Some("it holds a repository".to_owned()),
        count => Some(format!("it holds {count} repositories")),
    }))
}

/// Removes a marked object.
pub(super) async fn remove(world: &World<'_>, mark: &Mark) -> anyhow::Result<()> {
    let (local, now, id) = (world.local, world.local.now(), mark.object);
    let db = &local.db;
    match (mark.kind, project_of(world, mark).await?) {
        (Kind::Registry, _) => {
            tenancy::registry::delete(db, &local::system()?, RegistryId(id), now).await?;
        }
        (Kind::Replication, _) => {
            let (permit, id) = (local::system()?, ReplicationPolicyId(id));
            tenancy::replication_policy::delete(db, &permit, id, now).await?;
        }
        (Kind::Label, None) => {
            let permit = LabelPermit::Installation(local::system()?);
            tenancy::label::delete(db, &permit, LabelId(id), now).await?;
        }
        (_, Some(project)) => remove_within(world, mark, &project).await?,
        (_, None) => anyhow::bail!("its project does not exist any more"),
    }
    Ok(())
}

/// The project that an object is or is in.
async fn project_of(world: &World<'_>, mark: &Mark) -> anyhow::Result<Option<ProjectName>> {
    let id = match mark.kind {
        Kind::Project => Some(ProjectId(mark.object)),
        _ => mark.project,
    };
    let Some(id) = id else { return Ok(None) };
    let mut reader = world.local.db.reader().await?;
    let project = db::project::by_id(&mut reader, id).await?;
    let project = project.context("its project does not exist any more")?;
    Ok(Some(project.name))
}

/// Removes an object of a project, or the project. The services refuse ids of other projects.
async fn remove_within(
    world: &World<'_>,
    mark: &Mark,
    project: &ProjectName,
) -> anyhow::Result<()> {
    let (db, now, id) = (&world.local.db, world.local.now(), mark.object);
    match mark.kind {
        Kind::Project => {
            let permit = world.permit(project).await?;
            let everyone = ProjectDeletion::Everyone;
            tenancy::project::delete(db, &permit, everyone, now).await?;
        }
        Kind::Member => {
            let permit = world.permit(project).await?;
            tenancy::member::revoke(db, &permit, MemberId(id), now).await?;
        }
        Kind::Label => {
            let permit = LabelPermit::Project(world.permit(project).await?);
            tenancy::label::delete(db, &permit, LabelId(id), now).await?;
        }
        Kind::Robot => {
            let permit = RobotPermit::Project(world.permit(project).await?);
            tenancy::robot::delete(db, &permit, RobotId(id), now).await?;
        }
        Kind::ImmutableRule => {
            let permit = world.permit(project).await?;
            tenancy::immutable_rule::delete(db, &permit, ImmutableRuleId(id), now).await?;
        }
        Kind::Retention => {
            let permit = world.permit(project).await?;
            tenancy::retention::delete(db, &permit, RetentionId(id), now).await?;
        }
        // They are in no project.
        Kind::Registry | Kind::Replication => {}
    }
    Ok(())
}
