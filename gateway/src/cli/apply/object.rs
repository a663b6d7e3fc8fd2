//! One object of a file, whatever its kind.

use std::path::Path;

use db::applied::{Kind, Mark};
use model::ProjectName;

use super::difference::{Found, Made};
use super::label::Label;
use super::member::Member;
use super::project::Project;
use super::registry::Registry;
use super::replication::Replication;
use super::retention::Retention;
use super::robot::Robot;
use super::rule::Rule;
use super::world::World;

/// An object of a file.
#[derive(Debug)]
pub(super) enum Object {
    Project(Project),
    Member(Member),
    Label(Label),
    Robot(Robot),
    Registry(Registry),
    Rule(Rule),
    Retention(Box<Retention>),
    Replication(Box<Replication>),
}

/// What `kind` may be.
pub(super) const KINDS: &str =
    "project, member, label, robot, registry, immutable-rule, retention or replication";

impl Object {
    /// Reads a document of a kind; paths in it begin at a folder.
    pub(super) fn read(
        kind: &str,
        document: serde_norway::Deserializer<'_>,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        Ok(match kind {
            "project" => Self::Project(Project::read(document)?),
            "member" => Self::Member(Member::read(document)?),
            "label" => Self::Label(Label::read(document)?),
            "robot" => Self::Robot(Robot::read(document, folder)?),
            "registry" => Self::Registry(Registry::read(document, folder)?),
            "immutable-rule" => Self::Rule(Rule::read(document)?),
            "retention" => Self::Retention(Box::new(Retention::read(document)?)),
            "replication" => Self::Replication(Box::new(Replication::read(document)?)),
            _ => anyhow::bail!("kind: there is no kind {kind}: write {KINDS}"),
        })
    }

    /// What it is.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Project(_) => Kind::Project,
            Self::Member(_) => Kind::Member,
            Self::Label(_) => Kind::Label,
            Self::Robot(_) => Kind::Robot,
            Self::Registry(_) => Kind::Registry,
            Self::Rule(_) => Kind::ImmutableRule,
            Self::Retention(_) => Kind::Retention,
            Self::Replication(_) => Kind::Replication,
        }
    }

    /// What it is called: no two objects have the same title.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Project(project) => project.title(),
            Self::Member(member) => member.title(),
            Self::Label(label) => label.title(),
            Self::Robot(robot) => robot.title(),
            Self::Registry(registry) => registry.title(),
            Self::Rule(rule) => rule.title(),
            Self::Retention(policy) => policy.title(),
            Self::Replication(policy) => policy.title(),
        }
    }

    /// The project that it is in.
    pub(super) fn project(&self) -> Option<&ProjectName> {
        match self {
            Self::Project(_) | Self::Registry(_) | Self::Replication(_) => None,
            Self::Member(member) => Some(&member.project),
            Self::Label(label) => label.project.as_ref(),
            Self::Robot(robot) => Some(&robot.project),
            Self::Rule(rule) => Some(&rule.project),
            Self::Retention(policy) => Some(&policy.project),
        }
    }

    /// The object as it exists, and what differs; `None` if it is to be made.
    pub(super) async fn find(&self, world: &World<'_>) -> anyhow::Result<Option<Found>> {
        match self {
            Self::Project(project) => project.find(world).await,
            Self::Member(member) => member.find(world).await,
            Self::Label(label) => label.find(world).await,
            Self::Robot(robot) => robot.find(world).await,
            Self::Registry(registry) => registry.find(world).await,
            Self::Rule(rule) => rule.find(world).await,
            Self::Retention(policy) => policy.find(world).await,
            Self::Replication(policy) => policy.find(world).await,
        }
    }

    /// Brings the object to what the file says. If it is made now, it is marked; what was there before never is.
    pub(super) async fn bring(&self, world: &World<'_>) -> anyhow::Result<()> {
        // Again: what was made since may have made or changed it, as a project makes its owner a member.
        match self.find(world).await? {
            Some(found) if found.changes.is_empty() => Ok(()),
            Some(found) => self.change(world, found.id).await,
            None => {
                let Made { id, project } = self.create(world).await?;
                let mark = Mark {
                    kind: self.kind(),
                    object: id,
                    project,
                    name: self.title(),
                };
                let local = world.local;
                Ok(tenancy::applied::mark(&local.db, mark, local.now()).await?)
            }
        }
    }

    async fn create(&self, world: &World<'_>) -> anyhow::Result<Made> {
        match self {
            Self::Project(project) => project.create(world).await,
            Self::Member(member) => member.create(world).await,
            Self::Label(label) => label.create(world).await,
            Self::Robot(robot) => robot.create(world).await,
            Self::Registry(registry) => registry.create(world).await,
            Self::Rule(rule) => rule.create(world).await,
            Self::Retention(policy) => policy.create(world).await,
            Self::Replication(policy) => policy.create(world).await,
        }
    }

    async fn change(&self, world: &World<'_>, id: i64) -> anyhow::Result<()> {
        match self {
            Self::Project(project) => project.change(world).await,
            Self::Member(member) => member.change(world, id).await,
            Self::Label(label) => label.change(world, id).await,
            Self::Robot(robot) => robot.change(world, id).await,
            Self::Registry(registry) => registry.change(world, id).await,
            Self::Rule(rule) => rule.change(world, id).await,
            Self::Retention(policy) => policy.change(world, id).await,
            Self::Replication(policy) => policy.change(world, id).await,
        }
    }
}
