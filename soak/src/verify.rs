//! Holds the server to the journal. What was acknowledged is there, whole; what was deleted is gone; what was in
//! flight is there whole or not at all; and nothing else is visible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use testkit::meter::{Counts, Figures};
use testkit::registry::{Call, Registry};
use testkit::target::Target;

use crate::journal::Certainty::{self, Absent, Maybe, Present};
use crate::journal::{Repository, State};

/// Pulls everything; what there was, by kind. The state is then what was found.
pub(crate) async fn verify(target: &Target, state: &mut State) -> Result<Figures, String> {
    let check = Check {
        registry: Registry::new(target)?,
        problems: Mutex::default(),
        counts: Counts::default(),
    };
    let repositories = state.iter_mut();
    join_all(repositories.map(|(name, state)| check.repository(name, state))).await;
    let problems = check.problems.into_inner();
    let problems = problems.unwrap_or_else(PoisonError::into_inner);
    if !problems.is_empty() {
        let first = problems.iter().take(40).map(String::as_str);
        let first: Vec<&str> = first.collect();
        let count = problems.len();
        return Err(format!(
            "{count} promises broken\n  problem: {}",
            first.join("\n  problem: ")
        ));
    }
    state.values_mut().for_each(Repository::settle);
    let mut figures = Figures::new();
    check.counts.report("", &mut figures);
    Ok(figures)
}

struct Check {
    registry: Registry,
    problems: Mutex<Vec<String>>,
    counts: Counts,
}

impl Check {
    fn problem(&self, problem: String) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.push(problem);
    }

    async fn repository(&self, name: &str, state: &mut Repository) {
        let mut pulled = BTreeSet::new();
        for (digest, manifest) in &mut state.manifests {
            let named: &[String] = match manifest.state {
                Absent => &[],
                _ => &manifest.blobs,
            };
            let found = self.manifest(name, digest, named, &mut pulled).await;
            match (manifest.state, found) {
                (Present, true) => self.counts.count("manifests"),
                (Present, false) => self.problem(format!(
                    "{name}: manifest {digest} was acknowledged and is gone"
                )),
                (Absent, true) => self.problem(format!(
                    "{name}: manifest {digest} was deleted and is still there"
                )),
                (Absent, false) => self.counts.count("gone"),
                (Maybe, found) => {
                    self.counts.count("manifests_in_flight");
                    manifest.state = if found { Present } else { Absent };
                }
            }
        }
        for (digest, blob) in &mut state.blobs {
            self.blob_alone(name, digest, blob, &mut pulled).await;
        }
        self.tags(name, state).await;
    }

    /// Pulls a manifest and everything it names; whatever is visible has to be whole.
    async fn manifest(
        &self,
        name: &str,
        digest: &str,
        named: &[String],
        pulled: &mut BTreeSet<String>,
    ) -> bool {
        match self.registry.pull_manifest(name, digest).await {
            Err(error) if error.status() == 404 => return false,
            Err(error) => self.problem(format!("{name}: manifest {digest}: {error}")),
            Ok(got) if got.digest != digest => {
                self.problem(format!(
                    "{name}: manifest {digest} has the bytes of {}",
                    got.digest
                ));
            }
            Ok(_) => {
                for blob in named {
                    let why = format!("named by manifest {digest}");
                    self.blob(name, blob, &why, pulled).await;
                }
            }
        }
        true
    }

    /// Pulls a blob once per repository and checks its bytes.
    async fn blob(&self, name: &str, digest: &str, why: &str, pulled: &mut BTreeSet<String>) {
        if !pulled.insert(digest.to_owned()) {
            return;
        }
        match self.registry.pull_blob(name, digest).await {
            Ok(_) => self.counts.count("blobs"),
            Err(error) => self.problem(format!("{name}: blob {digest}, {why}: {error}")),
        }
    }

    async fn blob_alone(
        &self,
        name: &str,
        digest: &str,
        state: &mut Certainty,
        pulled: &mut BTreeSet<String>,
    ) {
        if *state == Present {
            return self.blob(name, digest, "acknowledged", pulled).await;
        }
        let found = self.registry.pull_blob(name, digest).await;
        let gone = found.as_ref().is_err_and(|error| error.status() == 404);
        match (*state, found) {
            (Absent, _) if gone => self.counts.count("gone"),
            (Absent, found) => {
                self.problem(format!("{name}: blob {digest} was deleted: {found:?}"));
            }
            (_, Err(error)) if !gone => {
                self.problem(format!("{name}: blob {digest}, in flight: {error}"));
            }
            // Nothing was promised about it: there or not, it is forgotten.
            _ => {
                self.counts.count("blobs_in_flight");
                *state = Absent;
            }
        }
    }

    async fn tags(&self, name: &str, state: &mut Repository) {
        let mut listed = match self.listed(name).await {
            Ok(listed) => listed,
            Err(error) => return self.problem(format!("{name}: {error}")),
        };
        let Repository {
            manifests, tags, ..
        } = state;
        for (tag, targets) in tags {
            let digest = match self.registry.pull_manifest(name, tag).await {
                Ok(manifest) => manifest.digest,
                Err(error) if error.status() == 404 => String::new(),
                Err(error) => {
                    self.problem(format!("{name}: tag {tag}: {error}"));
                    continue;
                }
            };
            let points = format!("{name}: tag {tag} points at {digest:?}");
            if !targets.contains(&digest) {
                self.problem(format!("{points}, which is none of {targets:?}"));
            }
            let is_listed = listed.remove(tag);
            if is_listed == digest.is_empty() {
                self.problem(format!("{points}, but listed is {is_listed}"));
            }
            let there = manifests.get(&digest).is_some_and(|it| it.state == Present);
            if !digest.is_empty() && !there {
                self.problem(format!("{points}, which is not there by digest"));
            }
            self.counts.count("tags");
            if targets.len() > 1 {
                self.counts.count("tags_in_flight");
            }
            *targets = [digest].into();
        }
        for tag in listed {
            self.problem(format!("{name}: tag {tag} is listed and was never pushed"));
        }
    }

    async fn listed(&self, name: &str) -> Result<BTreeSet<String>, String> {
        let path = format!("/v2/{name}/tags/list");
        let answer = self
            .registry
            .send(Call::get(&path, name), &[200, 404])
            .await?;
        let list: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let tags = list.get("tags").and_then(|tags| tags.as_array());
        let tags = tags.into_iter().flatten().filter_map(|tag| tag.as_str());
        Ok(tags.map(str::to_owned).collect())
    }
}
