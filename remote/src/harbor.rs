//! What Harbor and Gantry serve beside the distribution specification: projects, artifacts with their labels, where else a
//! blob is, and the deletion of a tag alone.

use std::collections::BTreeMap;

use http::{HeaderName, Method, StatusCode};
use model::{Digest, Reference, Tag};
use serde::Deserialize;
use serde_json::json;

use crate::api::encoded;
use crate::{Error, Remote, Result};

/// Says that a project in a path is named, not numbered.
const BY_NAME: HeaderName = HeaderName::from_static("x-is-resource-name");
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
    labels: Option<Vec<RemoteLabel>>,
}

/// A label of another Harbor or Gantry.
#[derive(Clone, Debug, Deserialize)]
pub struct RemoteLabel {
    /// Its ID there.
    #[serde(default)]
    id: i64,
    /// Its name.
    pub name: String,
    /// What it means.
    #[serde(default)]
    pub description: String,
    /// Its color.
    #[serde(default)]
    pub color: String,
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
    #[serde(default)]
    project_id: i64,
    #[serde(default)]
    metadata: Option<BTreeMap<String, Option<String>>>,
}

impl RemoteLabel {
    /// A label of these texts, of whichever registry.
    pub const fn new(name: String, description: String, color: String) -> Self {
        Self {
            id: 0,
            name,
            description,
            color,
        }
    }
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
pub(crate) fn in_path(repository: &str) -> String {
    let (_, rest) = repository.split_once('/').unwrap_or(("", repository));
    encoded(&encoded(rest))
}

fn path_of(repository: &str, digest: &Digest) -> String {
    format!(
        "/projects/{}/repositories/{}/artifacts/{digest}",
        encoded(project_of(repository)),
        in_path(repository)
    )
}

pub(crate) fn project_of(repository: &str) -> &str {
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

    /// An artifact with its tags and labels; `None` where there is none.
    async fn artifact(&self, repository: &str, digest: &Digest) -> Result<Option<RemoteArtifact>> {
        let what = format!("say which tags and labels {repository} {digest} has");
        let path = format!(
            "{}?with_tag=true&with_label=true",
            path_of(repository, digest)
        );
        let found = self.found(Self::call(Method::GET, &path, &what)).await?;
        let Some(answer) = found else {
            return Ok(None);
        };
        let artifact = serde_json::from_slice(&answer.body);
        artifact.map_err(|error| self.protocol(&what, error.to_string()))
    }

    /// Whether an artifact has a tag.
    async fn artifact_has_tags(&self, repository: &str, digest: &Digest) -> Result<bool> {
        let found = self.artifact(repository, digest).await?;
        let tags = found.and_then(|artifact| artifact.tags);
        Ok(tags.is_some_and(|tags| !tags.is_empty()))
    }

    /// Labels of an artifact.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn labels_of(&self, repository: &str, digest: &Digest) -> Result<Vec<RemoteLabel>> {
        let found = self.artifact(repository, digest).await?;
        Ok(found
            .and_then(|artifact| artifact.labels)
            .unwrap_or_default())
    }

    /// Puts a label on an artifact: the one of this name of the installation, or else of the project, where it is made
    /// unless it is there.
    ///
    /// # Errors
    /// [`crate::Error::Denied`] where the account may not do that.
    pub async fn put_label(
        &self,
        (repository, digest): (&str, &Digest),
        label: &RemoteLabel,
    ) -> Result<()> {
        let id = self.label_id(repository, label).await?;
        let what = format!("put a label on {repository} {digest}");
        let path = format!("{}/labels", path_of(repository, digest));
        let answer = self.post(&path, &json!({ "id": id }), &what).await?;
        match answer.status {
            // It has it.
            StatusCode::CONFLICT => Ok(()),
            _ => self.success(answer, &what).map(drop),
        }
    }

    async fn label_id(&self, repository: &str, label: &RemoteLabel) -> Result<i64> {
        let project = project_of(repository);
        let what = format!("look for a label of {project}");
        let found = self.project(project).await?;
        let id = found.map_or(0, |project| project.project_id);
        let name = encoded(&label.name);
        let scopes = ["scope=g".to_owned(), format!("scope=p&project_id={id}")];
        // Twice, as somebody else may make it meanwhile.
        for _ in 0..2 {
            for scope in &scopes {
                let path = format!("/labels?name={name}&{scope}");
                let labels = self.rows::<RemoteLabel>(&path, &what).await?;
                let mut labels = labels.into_iter().flatten();
                if let Some(found) = labels.find(|it| it.name == label.name) {
                    return Ok(found.id);
                }
            }
            let body = json!({
                "name": label.name, "description": label.description, "color": label.color,
                "scope": "p", "project_id": id,
            });
            let answer = self.post("/labels", &body, &what).await?;
            if answer.status != StatusCode::CONFLICT {
                self.success(answer, &what)?;
            }
        }
        Err(self.protocol(&what, "a label that was made is not listed".to_owned()))
    }

    /// A project; `None` where the account sees none of this name.
    async fn project(&self, project: &str) -> Result<Option<Project>> {
        let what = format!("look for the project {project}");
        let path = format!("/projects?name={}&with_detail=false", encoded(project));
        let found = self.projects_at(&path, &what).await?;
        Ok(found.into_iter().find(|it| it.name == project))
    }

    /// The metadata of the project of a repository, as far as it is known.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn metadata(&self, repository: &str) -> Result<BTreeMap<String, String>> {
        let project = project_of(repository);
        let what = format!("say what is set for the project {project}");
        let path = format!("/projects/{}", encoded(project));
        // A name of digits is not an ID.
        let ask = Self::call(Method::GET, &path, &what).header(BY_NAME, "true");
        let found = match self.found(ask).await {
            Err(Error::Denied { .. }) => None,
            found => found?,
        };
        let Some(answer) = found else {
            return Ok(BTreeMap::new());
        };
        let found: Project = serde_json::from_slice(&answer.body)
            .map_err(|error| self.protocol(&what, error.to_string()))?;
        let metadata = found.metadata.into_iter().flatten();
        Ok(metadata
            .filter_map(|(name, value)| Some((name, value?)))
            .collect())
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
        Ok(self.project(project_of(repository)).await?.is_some())
    }

    /// Makes the project of a repository. Returns false where it is there.
    ///
    /// # Errors
    /// [`crate::Error::Denied`] where the account may make none.
    pub async fn make_project(
        &self,
        repository: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<bool> {
        let project = project_of(repository);
        let what = format!("make the project {project}");
        let body = json!({ "project_name": project, "metadata": metadata });
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
