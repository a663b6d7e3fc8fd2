//! What Harbor and Gantry serve beside the distribution specification: projects, artifacts with their labels, where else a
//! blob is, and the deletion of a tag alone.

use http::{Method, StatusCode};
use model::{Digest, Reference, Tag};
use serde::Deserialize;
use serde_json::json;

use crate::api::encoded;
use crate::{Error, Remote, Result};

/// Tags of a repository that are asked what they name, before something is deleted.
const MOST_TAGS: usize = 1_000;

/// An artifact of another Harbor or Gantry.
#[derive(Clone, Debug, Deserialize)]
pub struct RemoteArtifact {
    /// Its digest.
    pub digest: String,
    /// Its tags.
    #[serde(default)]
    tags: Option<Vec<RemoteTag>>,
    /// Its labels.
    #[serde(default)]
    labels: Option<Vec<Named>>,
}

/// A tag of such an artifact.
#[derive(Clone, Debug, Deserialize)]
pub struct RemoteTag {
    /// Its name.
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Project {
    name: String,
}

impl RemoteArtifact {
    /// Its tags, as far as they are such.
    pub fn tags(&self) -> Vec<Tag> {
        let tags = self.tags.iter().flatten();
        tags.filter_map(|tag| tag.name.parse().ok()).collect()
    }

    /// Names of its labels.
    pub fn labels(&self) -> Vec<String> {
        let labels = self.labels.iter().flatten();
        labels.map(|label| label.name.clone()).collect()
    }
}

/// A repository's name without its project, as paths of the API name it: encoded twice.
fn in_path(repository: &str) -> String {
    let (_, rest) = repository.split_once('/').unwrap_or(("", repository));
    encoded(&encoded(rest))
}

fn project_of(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

impl Remote {
    /// Names of the projects that the account may see.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn projects(&self) -> Result<Vec<String>> {
        let projects = self.projects_at("/projects?with_detail=false", "list its projects");
        Ok(projects.await?.into_iter().map(|it| it.name).collect())
    }

    /// Projects, of which there is always a list.
    async fn projects_at(&self, path: &str, what: &str) -> Result<Vec<Project>> {
        let found = self.rows(path, what).await?;
        found.ok_or_else(|| Error::NoAnswer {
            host: self.host().to_owned(),
            what: what.to_owned(),
        })
    }

    /// Whether the account sees a repository.
    pub(crate) async fn lists_a_repository(&self) -> Result<bool> {
        let what = "list its repositories";
        let ask = Self::call(Method::GET, "/repositories?page=1&page_size=1", what);
        let answer = self.ask(ask).await?;
        let answer = self.success(answer, what)?;
        let found: Vec<Named> = serde_json::from_slice(&answer.body)
            .map_err(|error| self.protocol(what, error.to_string()))?;
        Ok(!found.is_empty())
    }

    /// Names of the repositories of a project; none where it does not exist.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn repositories(&self, project: &str) -> Result<Vec<String>> {
        let what = format!("list the repositories of {project}");
        let path = format!("/projects/{}/repositories", encoded(project));
        let found = self.rows::<Named>(&path, &what).await?;
        Ok(found.into_iter().flatten().map(|it| it.name).collect())
    }

    /// Artifacts of a repository, without their accessories.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn artifacts(&self, repository: &str) -> Result<Vec<RemoteArtifact>> {
        let what = format!("list the artifacts of {repository}");
        let path = format!(
            "/projects/{}/repositories/{}/artifacts?with_label=true&with_tag=true&with_accessory=false",
            encoded(project_of(repository)),
            in_path(repository)
        );
        Ok(self.rows(&path, &what).await?.unwrap_or_default())
    }

    /// Whether an artifact has a tag.
    ///
    /// # Errors
    /// [`crate::Error`].
    async fn artifact_has_tags(&self, repository: &str, digest: &Digest) -> Result<bool> {
        let what = format!("say which tags {repository} {digest} has");
        let path = format!(
            "/projects/{}/repositories/{}/artifacts/{digest}?with_tag=true",
            encoded(project_of(repository)),
            in_path(repository)
        );
        let found = self.found(Self::call(Method::GET, &path, &what)).await?;
        let Some(answer) = found else {
            return Ok(false);
        };
        let artifact: RemoteArtifact = serde_json::from_slice(&answer.body)
            .map_err(|error| self.protocol(&what, error.to_string()))?;
        Ok(artifact.tags.is_some_and(|tags| !tags.is_empty()))
    }

    /// Whether a tag names a manifest.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn has_tags(&self, repository: &str, digest: &Digest) -> Result<bool> {
        if self.kind().has_projects() {
            return self.artifact_has_tags(repository, digest).await;
        }
        let tags = self.tags(repository).await?;
        // So many are not asked one by one.
        if tags.len() > MOST_TAGS {
            return Ok(true);
        }
        for tag in tags {
            let named = self.digest_of(repository, &Reference::Tag(tag)).await?;
            if named.as_ref() == Some(digest) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the project of a repository is there.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn has_project(&self, repository: &str) -> Result<bool> {
        let project = project_of(repository);
        let what = format!("look for the project {project}");
        let path = format!("/projects?name={}&with_detail=false", encoded(project));
        let found = self.projects_at(&path, &what).await?;
        Ok(found.iter().any(|it| it.name == project))
    }

    /// Makes the project of a repository, unless it is there. Returns whether it was made.
    ///
    /// # Errors
    /// [`crate::Error::Denied`] where the account may make none.
    pub async fn ensure_project(&self, repository: &str, public: bool) -> Result<bool> {
        if self.has_project(repository).await? {
            return Ok(false);
        }
        let project = project_of(repository);
        let what = format!("make the project {project}");
        let body = json!({
            "project_name": project, "metadata": {"public": public.to_string()},
        });
        let answer = self.post("/projects", &body, &what).await?;
        match answer.status {
            // Somebody else was faster.
            StatusCode::CONFLICT => Ok(false),
            _ => self.success(answer, &what).map(|_| true),
        }
    }

    /// A repository that has a blob, from which it can be mounted.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn repository_with(&self, digest: &Digest) -> Result<Option<String>> {
        let what = format!("say which repository has the blob {digest}");
        let path = format!(
            "/repositories?q={}&page=1&page_size=1",
            encoded(&format!("blob_digest={digest}"))
        );
        let answer = self.ask(Self::call(Method::GET, &path, &what)).await?;
        // One that does not know this cannot say it.
        if !answer.status.is_success() {
            return Ok(None);
        }
        let found: Vec<Named> = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(found.into_iter().next().map(|it| it.name))
    }

    /// Deletes a tag alone. Returns false where there is none.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn delete_tag(&self, repository: &str, tag: &Tag) -> Result<bool> {
        let what = format!("delete the tag {repository}:{tag}");
        let path = format!(
            "/projects/{}/repositories/{}/artifacts/{tag}/tags/{tag}",
            encoded(project_of(repository)),
            in_path(repository)
        );
        let answer = self.ask(Self::call(Method::DELETE, &path, &what)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self.success(answer, &what).map(|_| true),
        }
    }

    /// Names of the labels of the installation.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn global_labels(&self) -> Result<Vec<String>> {
        let labels = self
            .rows::<Named>("/labels?scope=g", "list its labels")
            .await?;
        Ok(labels.into_iter().flatten().map(|it| it.name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_twice() {
        assert_eq!(in_path("p/a/b"), "a%252Fb");
        assert_eq!(project_of("p/a/b"), "p");
    }
}
