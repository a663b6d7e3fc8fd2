//! Repositories of a registry: all that they hold, more tags for it, and none of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use testkit::meter::each;
use testkit::registry::{Call, Failed, Manifest, Registry};
use testkit::target::Target;

/// Every kind that docker pushes.
const ANY: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
const CLIENTS: usize = 8;

pub(super) struct Holdings {
    registry: Registry,
    /// The project of names with one part, where the registry has projects.
    project: Option<String>,
}

impl Holdings {
    pub(super) fn of(target: &Target, project: Option<&str>) -> Result<Self, String> {
        Ok(Self {
            registry: Registry::new(target)?,
            project: project.map(str::to_owned),
        })
    }

    /// Does something for every repository, several at a time; the first error.
    pub(super) async fn each(
        &self,
        names: &[String],
        work: impl AsyncFn(&str) -> Result<(), Failed>,
    ) -> Result<(), String> {
        each(CLIENTS, names.len(), async |index| {
            let name = &names[index];
            work(name).await.map_err(|error| format!("{name}: {error}"))
        })
        .await
    }

    /// The name that a repository has on this registry.
    fn here(&self, name: &str) -> String {
        match &self.project {
            Some(project) if !name.contains('/') => format!("{project}/{name}"),
            _ => name.to_owned(),
        }
    }

    /// A repository's tags, page after page.
    async fn tags(&self, repository: &str) -> Result<Vec<String>, Failed> {
        let mut tags = Vec::new();
        let mut next = Some(format!("/v2/{repository}/tags/list?n=1000"));
        while let Some(path) = next {
            let page = self
                .registry
                .send(Call::get(&path, repository), &[200])
                .await?;
            let list = page.json();
            let list = list["tags"].as_array().into_iter().flatten();
            tags.extend(list.filter_map(|tag| tag.as_str().map(str::to_owned)));
            next = page.link("next");
        }
        Ok(tags)
    }

    /// A manifest and its media type.
    async fn manifest(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<(Manifest, String), Failed> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let call = Call::get(&path, repository).header("accept", ANY);
        let answer = self.registry.send(call, &[200]).await?;
        let (stated, kind) = (
            answer.digest().to_owned(),
            answer.header("content-type").to_owned(),
        );
        let got = Manifest::new(Bytes::clone(&answer.body));
        if stated != got.digest {
            return Err(format!("{} is named {stated}", got.digest).into());
        }
        Ok((got, kind))
    }

    /// A line for each tag, manifest and blob, the same lines for the same content.
    pub(super) async fn census(
        &self,
        name: &str,
        lines: &Mutex<BTreeSet<String>>,
    ) -> Result<(), Failed> {
        let note = |line: String| {
            lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(line)
        };
        let repository = self.here(name);
        let mut seen = BTreeSet::new();
        for tag in self.tags(&repository).await? {
            let (manifest, kind) = self.manifest(&repository, &tag).await?;
            let (digest, size) = (&manifest.digest, manifest.size());
            note(format!("tag {name}:{tag} {digest}"));
            if !seen.insert(digest.clone()) {
                continue;
            }
            note(format!("manifest {name}@{digest} {size} {kind}"));
            for blob in manifest.names() {
                if seen.insert(blob.clone()) {
                    let size = self.registry.pull_blob(&repository, &blob).await?;
                    note(format!("blob {name}@{blob} {size}"));
                }
            }
        }
        Ok(())
    }

    /// Gives the manifest that has a tag more of them, until there are so many.
    pub(super) async fn retag(&self, name: &str, count: usize) -> Result<(), Failed> {
        let repository = self.here(name);
        let tags = self.tags(&repository).await?;
        let first = tags.first().ok_or("no tag to begin with".to_owned())?;
        let (manifest, kind) = self.manifest(&repository, first).await?;
        for number in tags.len()..count {
            let path = format!("/v2/{repository}/manifests/extra-{number}");
            let call = Call::put_manifest(&path, &repository, &manifest);
            let call = call.header("content-type", &*kind);
            self.registry.send(call, &[201]).await?;
        }
        Ok(())
    }

    /// Deletes every manifest that has a tag; how many that were.
    pub(super) async fn empty(&self, name: &str) -> Result<usize, Failed> {
        let (repository, mut deleted) = (self.here(name), 0);
        while let Some(tag) = self.tags(&repository).await?.first() {
            let (manifest, _) = self.manifest(&repository, tag).await?;
            self.registry.delete(&repository, &manifest.digest).await?;
            deleted += 1;
        }
        Ok(deleted)
    }
}
