//! Permissions of robots as typed: `repository:pull`, `team/repository:pull`, `*/repository:pull`, `system/user:list`.

use std::str::FromStr;

use db::{Reader, project};
use model::{ProjectId, ProjectName};
use policy::{Action, Permission, PermissionList, Resource, SystemResource};

/// A permission before its project is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Allow {
    place: Option<Place>,
    resource: String,
    action: Action,
}

/// Where it applies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    System,
    Everywhere,
    Project(ProjectName),
}

const FORM: &str = "write RESOURCE:ACTION, such as repository:pull, with PROJECT/, */ (all projects) or system/ in front";

impl FromStr for Allow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, pair) = match text.split_once('/') {
            None => (None, text),
            Some(("system", pair)) => (Some(Place::System), pair),
            Some(("*", pair)) => (Some(Place::Everywhere), pair),
            Some((name, pair)) => {
                let name = name.parse().map_err(|_| FORM.to_owned())?;
                (Some(Place::Project(name)), pair)
            }
        };
        let (resource, action) = pair.split_once(':').ok_or_else(|| FORM.to_owned())?;
        let action = Action::from_name(action);
        Ok(Self {
            place,
            resource: resource.to_owned(),
            action: action.ok_or_else(|| FORM.to_owned())?,
        })
    }
}

impl Allow {
    /// The permission; `own` is the robot's project, which may be left out.
    async fn resolve(
        &self,
        reader: &mut Reader,
        own: Option<ProjectId>,
    ) -> anyhow::Result<Permission> {
        let of_project = Resource::from_name(&self.resource);
        let permission = match (&self.place, own) {
            (Some(Place::System), _) => SystemResource::from_name(&self.resource)
                .map(|resource| Permission::System(resource, self.action)),
            (Some(Place::Everywhere), _) => {
                of_project.map(|resource| Permission::Everywhere(resource, self.action))
            }
            (Some(Place::Project(name)), _) => {
                let id = id_of(reader, name).await?;
                of_project.map(|resource| Permission::Project(id, resource, self.action))
            }
            (None, Some(own)) => {
                of_project.map(|resource| Permission::Project(own, resource, self.action))
            }
            (None, None) => anyhow::bail!("{}:{}: {FORM}", self.resource, self.action.name()),
        };
        permission
            .filter(|permission| permission.is_grantable())
            .ok_or_else(|| {
                anyhow::anyhow!(
                    "robots are not given {}:{}; see docs/permissions.md",
                    self.resource,
                    self.action.name()
                )
            })
    }
}

async fn id_of(reader: &mut Reader, name: &ProjectName) -> anyhow::Result<ProjectId> {
    let ids = project::ids_of(reader, std::slice::from_ref(name)).await?;
    let id = ids.get(name).copied();
    id.ok_or_else(|| anyhow::anyhow!("there is no project {name}"))
}

/// All permissions as typed.
pub(super) async fn resolve(
    reader: &mut Reader,
    own: Option<ProjectId>,
    allow: &[Allow],
) -> anyhow::Result<PermissionList> {
    let mut permissions = Vec::with_capacity(allow.len());
    for one in allow {
        permissions.push(one.resolve(reader, own).await?);
    }
    Ok(PermissionList::try_from(permissions)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_permission_has_a_place_or_none() {
        let place = |text: &str| text.parse::<Allow>().unwrap().place;
        assert_eq!(place("repository:pull"), None);
        assert_eq!(place("*/repository:pull"), Some(Place::Everywhere));
        assert_eq!(place("system/user:list"), Some(Place::System));
        let team = "team".parse().unwrap();
        assert_eq!(place("team/tag:list"), Some(Place::Project(team)));
        for bad in ["", "repository", "repository:fly", "A/b:pull", "/x:pull"] {
            assert!(bad.parse::<Allow>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = text.parse::<Allow>();
        }
    }
}
