//! What clients asked for, and what the server acknowledged. From it follows what each repository has to hold after
//! the server was killed. A file keeps it all as evidence: `B` opens an operation before its request leaves, `A` notes
//! the acknowledgement; an operation without `A` may have happened or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Something that a client asks of its repository.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A manifest with what it names, under a tag or none.
    Push {
        tag: Option<String>,
        digest: String,
        blobs: Vec<String>,
    },
    Blob(String),
    Untag(String),
    Delete(String),
    /// To delete a blob.
    Drop(String),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push { tag, digest, blobs } => {
                let tag = tag.as_deref().unwrap_or("-");
                write!(f, "push {tag} {digest} {}", blobs.join(","))
            }
            Self::Blob(digest) => write!(f, "blob {digest}"),
            Self::Untag(tag) => write!(f, "untag {tag}"),
            Self::Delete(digest) => write!(f, "delete {digest}"),
            Self::Drop(digest) => write!(f, "drop {digest}"),
        }
    }
}

/// The file.
pub(crate) struct Journal(Mutex<(File, u64)>);

impl Journal {
    /// Goes on with the file at this path.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self(Mutex::new((file, 0))))
    }

    /// Writes the `B` line of an operation; its number.
    pub(crate) fn begin(&self, repository: &str, operation: &Operation) -> u64 {
        self.write(|number| format!("B {number} {repository} {operation}\n"))
    }

    pub(crate) fn acknowledge(&self, id: u64) {
        self.write(|_| format!("A {id}\n"));
    }

    fn write(&self, line: impl FnOnce(u64) -> String) -> u64 {
        let mut this = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        this.1 += 1;
        let line = line(this.1);
        this.0
            .write_all(line.as_bytes())
            .expect("the journal can be written");
        this.1
    }
}

/// How much is known of a thing's presence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Certainty {
    Absent,
    Maybe,
    Present,
}

use Certainty::{Absent, Maybe, Present};

impl Certainty {
    fn if_certain(self, certain: bool) -> Self {
        if certain { self } else { Maybe }
    }
}

/// A manifest that was pushed at some time, with the digests of the blobs it names.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub(crate) state: Certainty,
    pub(crate) blobs: Vec<String>,
}

/// What one repository has to hold.
#[derive(Default, Debug)]
pub(crate) struct Repository {
    pub(crate) manifests: BTreeMap<String, Pushed>,
    /// The digests that a tag may point at; an empty one stands for no such tag. More than one only after a crash.
    pub(crate) tags: BTreeMap<String, BTreeSet<String>>,
    /// Blobs that were acknowledged or dropped by themselves; those of present manifests have to be there anyway.
    pub(crate) blobs: BTreeMap<String, Certainty>,
}

/// Every repository, by its name.
pub(crate) type State = BTreeMap<String, Repository>;

impl Repository {
    /// Changes it by one operation, which is certain only where it was acknowledged.
    pub(crate) fn apply(&mut self, operation: &Operation, certain: bool) {
        match operation {
            Operation::Push { tag, digest, blobs } => {
                let known = self.manifests.get(digest).map_or(Absent, |it| it.state);
                if certain || known == Absent {
                    let (state, blobs) = (Present.if_certain(certain), blobs.clone());
                    self.manifests
                        .insert(digest.clone(), Pushed { state, blobs });
                }
                if let Some(tag) = tag {
                    self.point(tag, digest, certain);
                }
            }
            Operation::Blob(digest) => {
                let known = self.blobs.entry(digest.clone()).or_insert(Absent);
                if certain || *known == Absent {
                    *known = Present.if_certain(certain);
                }
            }
            Operation::Untag(tag) => self.point(tag, "", certain),
            Operation::Delete(digest) => self.delete(digest, certain),
            Operation::Drop(digest) => {
                if let Some(known) = self.blobs.get_mut(digest) {
                    *known = Absent.if_certain(certain);
                }
            }
        }
    }

    /// Moves a tag; what it pointed at before stays possible where the move is not certain.
    fn point(&mut self, tag: &str, digest: &str, certain: bool) {
        let none = || BTreeSet::from([String::new()]);
        let targets = self.tags.entry(tag.to_owned()).or_insert_with(none);
        if certain {
            targets.clear();
        }
        targets.insert(digest.to_owned());
    }

    /// Removes a manifest, its tags, and the certainty about blobs that nothing else names.
    fn delete(&mut self, digest: &str, certain: bool) {
        let Some(manifest) = self.manifests.get_mut(digest) else {
            return;
        };
        manifest.state = Absent.if_certain(certain);
        let blobs = manifest.blobs.clone();
        for targets in self.tags.values_mut().filter(|it| it.contains(digest)) {
            targets.insert(String::new());
            if certain {
                targets.remove(digest);
            }
        }
        for blob in blobs {
            let named = self.names(&blob);
            if let Some(known) = self.blobs.get_mut(&blob)
                && *known == Present
                && !named
            {
                *known = Maybe;
            }
        }
    }

    /// Whether a manifest that may be present names the blob.
    pub(crate) fn names(&self, blob: &str) -> bool {
        let mut manifests = self.manifests.values().filter(|it| it.state != Absent);
        manifests.any(|it| it.blobs.iter().any(|named| named == blob))
    }

    /// The tags that certainly point somewhere.
    pub(crate) fn tagged(&self) -> Vec<String> {
        let certain = |targets: &BTreeSet<String>| targets.len() == 1 && !targets.contains("");
        let tags = self.tags.iter().filter(|(_, targets)| certain(targets));
        tags.map(|(tag, _)| tag.clone()).collect()
    }

    /// The manifests that are certainly there and have no tag.
    pub(crate) fn untagged(&self) -> Vec<String> {
        let tagged: BTreeSet<&String> = self.tags.values().flatten().collect();
        let there = self.manifests.iter().filter(|(_, it)| it.state == Present);
        there
            .map(|(digest, _)| digest)
            .filter(|digest| !tagged.contains(digest))
            .cloned()
            .collect()
    }

    /// Forgets what is absent, which has just been checked. Manifests promise what they name; of other blobs a few are
    /// enough to go on with.
    pub(crate) fn settle(&mut self) {
        self.manifests
            .retain(|_, manifest| manifest.state == Present);
        self.tags.retain(|_, targets| !targets.contains(""));
        let own = self.blobs.iter().filter(|(_, state)| **state == Present);
        let own = own.filter(|(digest, _)| !self.names(digest)).take(30);
        self.blobs = own
            .map(|(digest, state)| (digest.clone(), *state))
            .collect();
    }
}
