//! Removing what an earlier `apply` made and no file names any more. What people made their own stays: what they renamed
//! or rewrote, and what is in a project that stays, or used by a policy that stays.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use anyhow::Context as _;
use db::Reader;
use db::applied::{self, Kind, Mark};
use db::list::Selection;
use db::replication::policy as policies;
use model::{
    ImmutableRuleId, LabelId, MemberId, ProjectId, ProjectName, RegistryId, ReplicationPolicyId,
    RetentionId, RobotId,
};
use policy::{ProjectDeletion, ProjectPermit, RobotPermit, on, to};
use tenancy::label::LabelPermit;

use super::title;
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
    /// Registries that policies use.
    pub(super) registries: HashSet<String>,
}

/// A marked object that no file names.
pub(super) struct Unnamed {
    pub(super) mark: Mark,
    /// What it is called now.
    pub(super) title: String,
}

impl Unnamed {
    /// What goes, for people.
    pub(super) fn shown(&self) -> String {
        match self.mark.kind {
            Kind::Project => format!("{}, with everything in it", self.title),
            _ => self.title.clone(),
        }
    }
}

/// All marks. They are read before files are compared: what another `apply` makes and marks in between is not among
/// them, although the comparison did not find it.
pub(super) async fn marks(world: &World<'_>) -> anyhow::Result<Vec<Mark>> {
    let mut reader = world.local.db.reader().await?;
    Ok(applied::all(&mut reader).await?)
}

/// Marked objects that no file names, in the order in which they are removed. What stays is left out, and that is said.
/// What is in a project that goes is left out too: it goes with the project, and only if the project does.
pub(super) async fn unnamed(
    world: &World<'_>,
    mut marks: Vec<Mark>,
    named: &Named,
) -> anyhow::Result<Vec<Unnamed>> {
    let mut reader = world.local.db.reader().await?;
    marks.retain(|mark| !named.objects.contains(&(mark.kind, mark.object)));
    // Projects before what is in them, and registries after the policies that use them.
    marks.sort_by_key(|mark| (mark.kind == Kind::Registry, mark.kind, mark.object));
    let mut sorting = Sorting {
        named,
        going: Vec::new(),
        kept: HashSet::new(),
    };
    for mark in marks {
        if mark.project.is_some_and(|id| sorting.is_decided(id)) {
            continue;
        }
        let Some(title) = title::now(&mut reader, &mark).await? else {
            continue;
        };
        match sorting.why_kept(&mut reader, &mark, &title).await? {
            Some(reason) => {
                line(&format!("{title} is not pruned: {reason}"));
                if mark.kind == Kind::Project {
                    sorting.kept.insert(ProjectId(mark.object));
                }
            }
            None => sorting.going.push(Unnamed { mark, title }),
        }
    }
    let mut unnamed = sorting.going;
    // What needs others goes before them.
    unnamed.sort_by_key(|it| Reverse(it.mark.kind));
    Ok(unnamed)
}

/// Marks that are being told apart.
struct Sorting<'n> {
    named: &'n Named,
    /// What goes.
    going: Vec<Unnamed>,
    /// Projects that stay.
    kept: HashSet<ProjectId>,
}

impl Sorting<'_> {
    /// Whether what is in a project stays or goes with it.
    fn is_decided(&self, id: ProjectId) -> bool {
        let goes = |it: &Unnamed| it.mark.kind == Kind::Project && it.mark.object == id.0;
        self.kept.contains(&id) || self.going.iter().any(goes)
    }

    /// Why an object stays, though no file names it.
    async fn why_kept(
        &self,
        reader: &mut Reader,
        mark: &Mark,
        title: &str,
    ) -> anyhow::Result<Option<String>> {
        if !mark.name.is_empty() && mark.name != title {
            let reason = format!("it was made as {}, and somebody changed that", mark.name);
            return Ok(Some(reason));
        }
        match mark.kind {
            Kind::Project => self.why_project(reader, ProjectId(mark.object)).await,
            Kind::Registry => self.why_registry(reader, RegistryId(mark.object)).await,
            _ => Ok(None),
        }
    }

    async fn why_project(
        &self,
        reader: &mut Reader,
        id: ProjectId,
    ) -> anyhow::Result<Option<String>> {
        let Some(project) = db::project::by_id(reader, id).await? else {
            return Ok(None);
        };
        let is_named = self.named.projects.contains(&project.name);
        let reason = match project.repositories {
            0 if is_named => "files name what is in it".to_owned(),
            0 => return Ok(None),
            1 => "it holds a repository".to_owned(),
            count => format!("it holds {count} repositories"),
        };
        Ok(Some(format!("{reason}; what is in it stays too")))
    }

    async fn why_registry(
        &self,
        reader: &mut Reader,
        id: RegistryId,
    ) -> anyhow::Result<Option<String>> {
        let registry = db::registry::get(reader, id).await?;
        if registry.is_some_and(|it| self.named.registries.contains(&it.name)) {
            return Ok(Some("files name it in a replication".to_owned()));
        }
        let (all, _) = policies::list(reader, &Selection::all()).await?;
        let stays = |policy: &&policies::Policy| {
            let object = (Kind::Replication, policy.id.0);
            let goes = |it: &Unnamed| (it.mark.kind, it.mark.object) == object;
            // Those that files name use the registry that files say, from now on.
            !self.named.objects.contains(&object) && !self.going.iter().any(goes)
        };
        let using = all.iter().filter(|policy| policy.registry == id);
        let using: Vec<&str> = using.filter(stays).map(|policy| &*policy.name).collect();
        let reason = format!("replications use it: {}", using.join(", "));
        Ok((!using.is_empty()).then_some(reason))
    }
}

/// Removes a marked object.
pub(super) async fn remove(world: &World<'_>, unnamed: &Unnamed) -> anyhow::Result<()> {
    let mark = &unnamed.mark;
    let (local, now, id) = (world.local, world.local.now(), mark.object);
    let db = &local.db;
    let mut reader = db.reader().await?;
    let title = title::now(&mut reader, mark).await?;
    drop(reader);
    // Somebody else removed it.
    let Some(title) = title else { return Ok(()) };
    anyhow::ensure!(
        title == unnamed.title,
        "it is called {title} by now, and stays"
    );
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
            let permit: ProjectPermit<on::Project, to::Delete> = world.permit(project).await?;
            // The permit is for whatever has the name now.
            anyhow::ensure!(
                permit.project().id == ProjectId(id),
                "it was deleted and made again, and stays"
            );
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
