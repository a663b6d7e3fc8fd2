//! What a source has that a policy copies.

use model::accessory::referred_by;
use model::replication::Filters;
use model::{Digest, ManifestId, Reference, Tag};
use remote::Remote;

use super::error::{Copied, CopyError};
use super::here::Here;
use super::site::{Site, own};

/// Repositories of a source.
const MOST: usize = 200_000;

/// A repository of the source.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) name: String,
    /// Whether everyone may pull from it, as far as that is known.
    pub(crate) public: bool,
}

/// What is copied, by a tag or, without one, by its digest.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) reference: Reference,
    /// Its digest, where the list says it.
    pub(crate) digest: Option<Digest>,
    /// Whether it has labels, as far as the list says it.
    pub(crate) is_labelled: bool,
}

impl Site {
    /// Repositories whose names pass the filters.
    pub(crate) async fn repositories(&self, filters: &Filters) -> Copied<Vec<Repository>> {
        match self {
            Self::Here(here) => Box::pin(repositories_here(here, filters)).await,
            Self::There(remote) => {
                let names = Box::pin(names_there(remote, filters)).await?;
                let passing = names.into_iter().filter(|name| filters.repository(name));
                let public = false;
                Ok(passing.map(|name| Repository { name, public }).collect())
            }
        }
    }

    /// What of a repository passes the filters. Tags that name what is attached to something come along with that.
    pub(crate) async fn candidates(
        &self,
        repository: &str,
        filters: &Filters,
    ) -> Copied<Vec<Candidate>> {
        match self {
            Self::Here(here) => Box::pin(candidates_here(here, repository, filters)).await,
            Self::There(remote) if remote.kind().has_projects() => {
                let mut all = Vec::new();
                for artifact in remote.artifacts(repository).await? {
                    let Ok(digest) = artifact.digest.parse() else {
                        continue;
                    };
                    let labels = artifact.labels();
                    if filters.labels(&labels) {
                        let artifact = (digest, artifact.tags(), !labels.is_empty());
                        passing(artifact, filters, &mut all);
                    }
                }
                Ok(all)
            }
            Self::There(remote) => {
                if !filters.labels(&[]) {
                    return Ok(Vec::new());
                }
                let tags = remote.tags(repository).await?;
                let tags = tags.into_iter();
                let passing = tags.filter(|tag| is_passing(tag, filters));
                let digest = None;
                Ok(passing
                    .map(|tag| Candidate {
                        reference: Reference::Tag(tag),
                        digest,
                        is_labelled: false,
                    })
                    .collect())
            }
        }
    }
}

fn is_passing(tag: &Tag, filters: &Filters) -> bool {
    referred_by(tag).is_none() && filters.tag(tag.as_str())
}

fn passing(
    (digest, tags, is_labelled): (Digest, Vec<Tag>, bool),
    filters: &Filters,
    into: &mut Vec<Candidate>,
) {
    let digest_known = Some(digest);
    if tags.is_empty() && filters.tag("") {
        into.push(Candidate {
            reference: Reference::Digest(digest),
            digest: digest_known,
            is_labelled,
        });
    }
    let tags = tags.into_iter().filter(|tag| is_passing(tag, filters));
    into.extend(tags.map(|tag| Candidate {
        reference: Reference::Tag(tag),
        digest: digest_known,
        is_labelled,
    }));
}

async fn repositories_here(here: &Here, filters: &Filters) -> Copied<Vec<Repository>> {
    let projects = filters.only_projects();
    let mut all: Vec<Repository> = Vec::new();
    let mut after = String::new();
    loop {
        let page = here.repositories(projects.as_deref(), &after).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = last.name.to_string();
        let passing = page.into_iter();
        let passing = passing.filter(|found| filters.repository(found.name.as_str()));
        all.extend(passing.map(|found| Repository {
            name: found.name.to_string(),
            public: found.public,
        }));
    }
}

async fn names_there(remote: &Remote, filters: &Filters) -> Copied<Vec<String>> {
    if let Some(only) = filters.only_repository() {
        return Ok(vec![only.to_owned()]);
    }
    if !remote.kind().has_projects() {
        return Ok(remote.catalog().await?);
    }
    let projects = match filters.only_projects() {
        Some(projects) => projects,
        None => remote.projects().await?,
    };
    let mut all = Vec::new();
    for project in projects {
        all.extend(remote.repositories(&project).await?);
        if all.len() > MOST {
            return Err(CopyError::TooMany(MOST));
        }
    }
    Ok(all)
}

async fn candidates_here(
    here: &Here,
    repository: &str,
    filters: &Filters,
) -> Copied<Vec<Candidate>> {
    let name = own(repository)?;
    let Some(found) = here.repository(&name).await? else {
        return Ok(Vec::new());
    };
    let (mut all, mut after) = (Vec::new(), ManifestId(0));
    loop {
        let page = here.artifacts(&found, after).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = last.id;
        for artifact in page {
            if filters.labels(&artifact.labels) {
                let is_labelled = !artifact.labels.is_empty();
                passing(
                    (artifact.digest, artifact.tags, is_labelled),
                    filters,
                    &mut all,
                );
            }
        }
    }
}
