//! The storage layout of a distribution registry, below its root folder.

use model::Digest;

/// The layout below a root.
pub(super) struct Layout {
    root: String,
}

/// The meaning of a link file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'k> {
    /// The target of a tag.
    Tag(&'k str),
    /// A manifest of the repository.
    Manifest(Digest),
    /// A blob of the repository.
    Layer(Digest),
}

impl Layout {
    pub(super) fn new(root: &str) -> Self {
        Self {
            root: root.trim_matches('/').to_owned(),
        }
    }

    pub(super) fn blobs(&self) -> String {
        format!("{}/blobs", self.root)
    }

    pub(super) fn repositories(&self) -> String {
        format!("{}/repositories", self.root)
    }

    /// The key of a blob's bytes.
    pub(super) fn blob(&self, digest: &Digest) -> String {
        let text = digest.to_string();
        let (algorithm, hex) = text.split_once(':').unwrap_or(("", &text));
        let first = hex.get(..2).unwrap_or_default();
        format!("{}/blobs/{algorithm}/{first}/{hex}/data", self.root)
    }

    /// The digest of the blob whose bytes have this key.
    pub(super) fn digest_of(&self, key: &str) -> Option<Digest> {
        let rest = key.strip_prefix(&self.root)?.strip_prefix("/blobs/")?;
        let mut parts = rest.strip_suffix("/data")?.split('/');
        let (algorithm, _, hex) = (parts.next()?, parts.next()?, parts.next()?);
        let digest = format!("{algorithm}:{hex}").parse().ok()?;
        (self.blob(&digest) == key).then_some(digest)
    }

    /// The key of the link file of a tag.
    pub(super) fn tag(&self, repository: &str, tag: &str) -> String {
        format!(
            "{}/repositories/{repository}/_manifests/tags/{tag}/current/link",
            self.root
        )
    }

    /// The repository and the meaning of a link file.
    pub(super) fn entry_of<'k>(&self, key: &'k str) -> Option<(&'k str, Entry<'k>)> {
        let rest = key
            .strip_prefix(&self.root)?
            .strip_prefix("/repositories/")?;
        let linked = |text: &str| text.replacen('/', ":", 1).parse().ok();
        if let Some((name, tag)) = rest.split_once("/_manifests/tags/") {
            return Some((name, Entry::Tag(tag.strip_suffix("/current/link")?)));
        }
        let rest = rest.strip_suffix("/link")?;
        if let Some((name, digest)) = rest.split_once("/_manifests/revisions/") {
            return Some((name, Entry::Manifest(linked(digest)?)));
        }
        let (name, digest) = rest.split_once("/_layers/")?;
        Some((name, Entry::Layer(linked(digest)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let layout = Layout::new("/docker/registry/v2/");
        let digest = Digest::of(model::Algorithm::Sha256, b"x");
        assert_eq!(layout.digest_of(&layout.blob(&digest)), Some(digest));
        let misplaced = layout.blob(&digest).replacen("/sha256/", "/sha256/zz/", 1);
        assert_eq!(layout.digest_of(&misplaced), None);
        let tag = layout.tag("a/b", "v1");
        assert_eq!(layout.entry_of(&tag), Some(("a/b", Entry::Tag("v1"))));
        let hex = digest.to_string().replace("sha256:", "");
        let base = "docker/registry/v2/repositories/a/b";
        for (path, entry) in [
            (
                format!("_manifests/revisions/sha256/{hex}/link"),
                Some(Entry::Manifest(digest)),
            ),
            (
                format!("_layers/sha256/{hex}/link"),
                Some(Entry::Layer(digest)),
            ),
            (format!("_manifests/tags/v1/index/sha256/{hex}/link"), None),
            ("_uploads/x/startedat".to_owned(), None),
        ] {
            let key = format!("{base}/{path}");
            let expected = entry.map(|entry| ("a/b", entry));
            assert_eq!(layout.entry_of(&key), expected, "{key}");
        }
    }
}
