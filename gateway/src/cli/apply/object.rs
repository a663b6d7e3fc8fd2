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

    /// What it is called: no two objects of a kind and a project have the same title.
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

    /// The registry that it needs.
    pub(super) fn registry(&self) -> Option<&str> {
        match self {
            Self::Replication(policy) => Some(policy.registry()),
            _ => None,
        }
    }

    /// The file for the secret that it gets when it is made.
    pub(super) fn secret_file(&self) -> Option<&Path> {
        match self {
            Self::Robot(robot) => robot.secret_file.as_deref(),
            _ => None,
        }
    }

    /// Refuses what is to be made and could not be, as far as that can be seen before.
    pub(super) fn check_new(&self) -> anyhow::Result<()> {
        match self {
            Self::Robot(robot) => robot.check_place(),
            _ => Ok(()),
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

    /// Brings the object to what the file says, and returns its id. If it is made now, it is marked; what was there
    /// before never is.
    pub(super) async fn bring(&self, world: &World<'_>) -> anyhow::Result<i64> {
        // Again: what was made since may have made or changed it, as a project makes its owner a member.
        match self.find(world).await? {
            Some(found) if found.changes.is_empty() => Ok(found.id),
            Some(found) => {
                self.change(world, found.id).await?;
                Ok(found.id)
            }
            None => {
                let local = world.local;
                let made = self.create(world).await?;
                tenancy::applied::mark(&local.db, self.mark(&made), local.now()).await?;
                made.handed?;
                Ok(made.id)
            }
        }
    }

    /// The mark of the object that was made.
    fn mark(&self, made: &Made) -> Mark {
        let name = match self {
            // It would be a person's, who may be erased.
            Self::Member(_) => String::new(),
            _ => self.title(),
        };
        Mark {
            kind: self.kind(),
            object: made.id,
            project: made.project,
            name,
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

#[cfg(test)]
mod tests {
    use model::ProjectId;
    use serde_norway::Deserializer;

    use super::*;

    #[test]
    fn a_mark_has_the_name_of_no_person() {
        let name = |kind: &str, fields: &str| {
            let text = format!("kind: {kind}\nproject: team\n{fields}");
            let read = Object::read(kind, Deserializer::from_str(&text), Path::new("/nowhere"));
            let mark = read.unwrap().mark(&Made::new(1, Some(ProjectId(1))));
            mark.name
        };
        assert_eq!(name("member", "user: ann\nrole: guest"), "");
        assert_eq!(name("label", "name: a"), "label a of project team");
    }
}
