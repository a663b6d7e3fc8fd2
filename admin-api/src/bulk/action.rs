//! The action on each item, by the services that its own request would call.

use model::{LabelId, Reference, RepositoryName, Tag};
use policy::on::On;
use policy::to::To;
use policy::{Caller, ProjectPermit, on, to};
use registry::artifact::OtherTags;

use crate::allowed::permitted;
use crate::param::ProjectRef;
use crate::{AdminState, Error};

/// The action.
#[derive(Clone, Copy)]
pub(super) enum Action {
    DeleteArtifacts(OtherTags),
    DeleteTags,
    DeleteRepositories,
    AddLabel(LabelId),
    RemoveLabel(LabelId),
}

impl Action {
    pub(super) fn parse(
        name: Option<&str>,
        label: Option<i64>,
        force: Option<bool>,
    ) -> Result<Self, Error> {
        let label = || {
            let missing = "label_id in body is required to add or remove a label";
            label
                .map(LabelId)
                .ok_or_else(|| Error::Validation(missing.to_owned()))
        };
        match name.unwrap_or_default() {
            "delete_artifacts" if force == Some(true) => Ok(Self::DeleteArtifacts(OtherTags::Go)),
            "delete_artifacts" => Ok(Self::DeleteArtifacts(OtherTags::Keep)),
            "delete_tags" => Ok(Self::DeleteTags),
            "delete_repositories" => Ok(Self::DeleteRepositories),
            "add_label" => label().map(Self::AddLabel),
            "remove_label" => label().map(Self::RemoveLabel),
            other => Err(Error::Validation(format!(
                "action in body should be one of [delete_artifacts delete_tags delete_repositories add_label remove_label]: {other:?}"
            ))),
        }
    }

    /// Applies it to one item; returns tags that were deleted with it.
    pub(super) async fn run(
        self,
        app: &AdminState,
        caller: &Caller,
        item: &str,
    ) -> Result<Vec<String>, Error> {
        let now = app.clock.now();
        match self {
            Self::DeleteArtifacts(others) => {
                let (name, reference) = artifact(item)?;
                let permit = permit::<on::Artifact, to::Delete>(app, caller, &name).await?;
                let registry = &app.registry;
                let gone = registry.delete_artifact(&permit, &name, &reference, others);
                let tags = gone.await?;
                return Ok(tags.iter().map(Tag::to_string).collect());
            }
            Self::DeleteTags => {
                let (name, tag) = tag(item)?;
                let permit = permit::<on::Tag, to::Delete>(app, caller, &name).await?;
                let reference = Reference::Tag(tag.clone());
                app.registry
                    .remove_tag(&permit, &name, (&reference, &tag))
                    .await?;
            }
            Self::DeleteRepositories => {
                let name = repository(item, item)?;
                let permit = permit::<on::Repository, to::Delete>(app, caller, &name).await?;
                let deleted = registry::repository::delete(&app.db, &permit, &name, now).await?;
                if !deleted {
                    return Err(Error::NotFound(format!("repository {item} not found")));
                }
            }
            Self::AddLabel(label) => {
                let artifact = artifact(item)?;
                let permit =
                    permit::<on::ArtifactLabel, to::Create>(app, caller, &artifact.0).await?;
                tenancy::label::attach(&app.db, &permit, artifact, label, now).await?;
            }
            Self::RemoveLabel(label) => {
                let artifact = artifact(item)?;
                let permit =
                    permit::<on::ArtifactLabel, to::Delete>(app, caller, &artifact.0).await?;
                tenancy::label::detach(&app.db, &permit, artifact, label, now).await?;
            }
        }
        Ok(Vec::new())
    }
}

/// The caller's permit in the project of a repository, by the present rights.
async fn permit<R: On, A: To>(
    app: &AdminState,
    caller: &Caller,
    repository: &RepositoryName,
) -> Result<ProjectPermit<R, A>, Error> {
    let caller = crate::allowed::now(app, caller).await?;
    let project = ProjectRef::Name(repository.project());
    Ok(permitted(&app.db, &caller, &project).await?.0)
}

/// The artifact of `team/app@sha256:…` or `team/app:v1`.
fn artifact(item: &str) -> Result<(RepositoryName, Reference), Error> {
    let wrong = || malformed(item, "REPOSITORY@DIGEST or REPOSITORY:TAG");
    let (name, reference) = match item.split_once('@') {
        Some((name, digest)) => (name, digest.parse().map(Reference::Digest).ok()),
        None => {
            let (name, tag) = item.rsplit_once(':').ok_or_else(wrong)?;
            (name, tag.parse().map(Reference::Tag).ok())
        }
    };
    Ok((repository(item, name)?, reference.ok_or_else(wrong)?))
}

/// The tag of `team/app:v1`.
fn tag(item: &str) -> Result<(RepositoryName, Tag), Error> {
    let wrong = || malformed(item, "REPOSITORY:TAG");
    let (name, tag) = item.rsplit_once(':').ok_or_else(wrong)?;
    Ok((repository(item, name)?, tag.parse().map_err(|_| wrong())?))
}

fn repository(item: &str, name: &str) -> Result<RepositoryName, Error> {
    name.parse()
        .map_err(|_| malformed(item, "a repository with its project, such as team/app"))
}

fn malformed(item: &str, expected: &str) -> Error {
    Error::BadRequest(format!("items: {item:?} should be {expected}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn things_are_named_as_clients_name_them() {
        let (name, reference) = artifact("team/deep/app:v1").unwrap();
        assert_eq!(name.as_str(), "team/deep/app");
        assert!(matches!(reference, Reference::Tag(_)));
        let digest = format!("team/app@sha256:{}", "a".repeat(64));
        assert!(matches!(artifact(&digest).unwrap().1, Reference::Digest(_)));
        for wrong in [
            "",
            "team",
            "team/app",
            "team/app@v1",
            "app:v1",
            ":v1",
            "team/app:",
        ] {
            assert!(artifact(wrong).is_err(), "{wrong}");
        }
        assert!(tag(&digest).is_err());
        assert_eq!(tag("team/app:v1").unwrap().1.to_string(), "v1");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,80}") {
            let _ = artifact(&text);
            let _ = tag(&text);
        }
    }
}
