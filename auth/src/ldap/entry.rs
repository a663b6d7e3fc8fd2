//! An entry of a directory as received. Nothing here panics, whatever bytes a directory sends.

use ldap3::ResultEntry;

/// An entry: its name, and its attributes with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// Reads an entry; `None` for anything else, such as a referral.
    pub(super) fn read(found: ResultEntry) -> Option<Self> {
        if found.is_ref() || found.is_intermediate() {
            return None;
        }
        let mut parts = found.0.match_id(4)?.expect_constructed()?.into_iter();
        let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
        let mut attributes = Vec::new();
        for attribute in parts.next()?.expect_constructed()? {
            let mut parts = attribute.expect_constructed()?.into_iter();
            let name = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
            let values = parts.next()?.expect_constructed()?.into_iter();
            let values: Option<_> = values.map(|value| value.expect_primitive()).collect();
            attributes.push((name, values?));
        }
        Some(Self { dn, attributes })
    }

    /// The values of an attribute, with its name in any letter case.
    pub(super) fn values(&self, name: &str) -> &[Vec<u8>] {
        let mut all = self.attributes.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(&[], |(_, values)| values)
    }

    /// The values that are text.
    pub(super) fn texts<'e>(&'e self, name: &str) -> impl Iterator<Item = &'e str> + use<'e> {
        let values = self.values(name).iter();
        values.filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The first value, if it is text and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).find(|text| !text.is_empty())
    }

    /// True if the directory returned only the first of many values: `memberOf;range=0-1499`.
    pub(super) fn is_cut(&self, name: &str) -> bool {
        let is_range = |known: &str| {
            let (base, option) = known.split_once(';').unwrap_or((known, ""));
            base.eq_ignore_ascii_case(name) && option.to_ascii_lowercase().starts_with("range=")
        };
        self.attributes.iter().any(|(known, _)| is_range(known))
    }

    #[cfg(test)]
    pub(super) fn of(dn: &str, attributes: &[(&str, &[&str])]) -> Self {
        let attributes = attributes.iter().map(|(name, values)| {
            let values = values.iter().map(|value| value.as_bytes().to_vec());
            ((*name).to_owned(), values.collect())
        });
        Self {
            dn: dn.to_owned(),
            attributes: attributes.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_however_they_are_written() {
        let entry = Entry::of(
            "cn=x",
            &[("memberOf;range=0-1499", &["a"]), ("Mail", &["", "x@y"])],
        );
        assert_eq!(entry.text("mail"), Some("x@y"));
        assert_eq!(entry.text("cn"), None);
        assert!(entry.is_cut("memberof"));
        assert!(!entry.is_cut("mail"));
    }
}
