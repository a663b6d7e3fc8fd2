//! What marked objects are called now, in the words of files. It is read again each time: people rename things.

use anyhow::Context as _;
use db::Reader;
use db::applied::{Kind, Mark};
use db::member::Entity;
use db::project::Project;
use model::{
    ImmutableRuleId, LabelId, MemberId, ProjectId, RegistryId, ReplicationPolicyId, RetentionId,
    RobotId,
};

use super::{label, member, project, registry, replication, retention, robot, rule};

/// The title of a marked object; `None` if it, or its project, does not exist any more.
pub(super) async fn now(reader: &mut Reader, mark: &Mark) -> anyhow::Result<Option<String>> {
    let id = match mark.kind {
        Kind::Project => Some(ProjectId(mark.object)),
        _ => mark.project,
    };
    if let Some(id) = id {
        let Some(project) = db::project::by_id(reader, id).await? else {
            return Ok(None);
        };
        return within(reader, mark, &project).await;
    }
    Ok(match mark.kind {
        Kind::Label => {
            let found = db::label::get(reader, LabelId(mark.object)).await?;
            found.map(|it| label::title(&it.name, None))
        }
        Kind::Registry => {
            let found = db::registry::get(reader, RegistryId(mark.object)).await?;
            found.map(|it| registry::title(&it.name))
        }
        Kind::Replication => {
            let id = ReplicationPolicyId(mark.object);
            let found = db::replication::policy::get(reader, id).await?;
            found.map(|it| replication::title(&it.name))
        }
        // They are in projects.
        Kind::Project | Kind::Member | Kind::Robot | Kind::ImmutableRule | Kind::Retention => None,
    })
}

/// The title of a project, or of an object in it.
async fn within(
    reader: &mut Reader,
    mark: &Mark,
    project: &Project,
) -> anyhow::Result<Option<String>> {
    let (id, name) = (mark.object, &project.name);
    Ok(match mark.kind {
        Kind::Project => Some(project::title(name)),
        Kind::Member => match db::member::get(reader, project.id, MemberId(id)).await? {
            Some(found) => {
                let kind = match found.entity()? {
                    Entity::User(_) => "user",
                    Entity::Group(_) => "group",
                };
                Some(member::title((kind, &*found.name), name))
            }
            None => None,
        },
        Kind::Label => {
            let found = db::label::get(reader, LabelId(id)).await?;
            found.map(|it| label::title(&it.name, Some(name)))
        }
        Kind::Robot => {
            let found = db::robot::by_id(reader, RobotId(id)).await?;
            found.map(|it| {
                let own = it.name.strip_prefix(&format!("{name}+"));
                robot::title(own.unwrap_or(&it.name), name)
            })
        }
        Kind::ImmutableRule => {
            let rule = ImmutableRuleId(id);
            let found = db::immutable_rule::get(reader, project.id, rule).await?;
            let title = found.map(|it| rule::title_of(&it.selectors, name));
            title.transpose().context("a rule cannot be read")?
        }
        Kind::Retention => {
            let found = db::retention::get(reader, RetentionId(id)).await?;
            found.map(|_| retention::title(name))
        }
        // They are in no project.
        Kind::Registry | Kind::Replication => None,
    })
}
