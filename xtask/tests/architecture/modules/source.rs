//! The modules of a crate, and which of them defines what a path names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::Item;

use super::paths::{Import, Mention, Paths, is_test};

/// A module's path below the crate root. The root's own is empty.
pub(crate) type Name = Vec<String>;

/// All modules of a crate that are not for tests alone.
pub(crate) struct Source {
    pub(crate) modules: BTreeMap<Name, Module>,
}

/// A module.
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    pub(crate) mentions: Vec<Mention>,
    imports: Vec<Import>,
}

impl Source {
    /// Reads a crate from the file of its root.
    pub(crate) fn read(root: &Path) -> Self {
        Self::parse(root, &read(root))
    }

    /// Reads a crate whose root has this text.
    pub(crate) fn parse(root: &Path, text: &str) -> Self {
        let mut source = Self {
            modules: BTreeMap::new(),
        };
        let folder = root.parent().expect("a file lies in a folder");
        source.read_text(Name::new(), root, folder, text);
        source
    }

    /// Reads a module whose children have their files in `folder`.
    fn read_text(&mut self, name: Name, file: &Path, folder: &Path, text: &str) {
        let parsed = syn::parse_file(text).expect("a module's file is Rust");
        self.read_items(name, file, folder, &parsed.items);
    }

    fn read_items(&mut self, name: Name, file: &Path, folder: &Path, items: &[Item]) {
        for item in items {
            let Item::Mod(module) = item else { continue };
            if is_test(&module.attrs) {
                continue;
            }
            let child = module.ident.to_string();
            let folder = folder.join(&child);
            let name = below(&name, &child);
            match &module.content {
                Some((_, items)) => self.read_items(name, file, &folder, items),
                None => {
                    let file = folder.with_extension("rs");
                    self.read_text(name, &file, &folder, &read(&file));
                }
            }
        }
        let Paths { mentions, imports } = Paths::of(items);
        let module = Module {
            file: file.to_owned(),
            mentions,
            imports,
        };
        self.modules.insert(name, module);
    }

    /// The module that defines what a path in the module `from` names; `None` if that is no part of the crate.
    pub(crate) fn definer(&self, from: &Name, path: &[String]) -> Option<&Name> {
        /// Ends the search for a name that is imported under itself.
        const MOST_IMPORTS: usize = 16;
        let definer = self.resolve(from, path, MOST_IMPORTS)?;
        self.modules.get_key_value(&definer).map(|(name, _)| name)
    }

    /// Follows a path that starts in the scope of `from`.
    fn resolve(&self, from: &Name, path: &[String], imports: usize) -> Option<Name> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.descend(Name::new(), rest, imports),
            "self" => self.descend(from.clone(), rest, imports),
            "super" => self.descend(parent(from), rest, imports),
            _ if self.is_child(from, first) || self.import(from, first).is_some() => {
                self.descend(from.clone(), path, imports)
            }
            _ => None,
        }
    }

    /// Follows a path that starts with something in the module `at`.
    fn descend(&self, at: Name, path: &[String], imports: usize) -> Option<Name> {
        let Some((first, rest)) = path.split_first() else {
            return Some(at);
        };
        if first == "super" {
            return self.descend(parent(&at), rest, imports);
        }
        if self.is_child(&at, first) {
            return self.descend(below(&at, first), rest, imports);
        }
        let Some(import) = self.import(&at, first) else {
            return Some(at);
        };
        let path = [import.path.as_slice(), rest].concat();
        let imports = imports.checked_sub(1)?;
        self.resolve(&at, &path, imports).or(Some(at))
    }

    fn is_child(&self, parent: &Name, name: &str) -> bool {
        self.modules.contains_key(&below(parent, name))
    }

    fn import(&self, module: &Name, name: &str) -> Option<&Import> {
        let imports = &self.modules.get(module)?.imports;
        imports.iter().find(|import| import.name == name)
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("a module's file can be read")
}

fn parent(name: &Name) -> Name {
    let (_, parent) = name.split_last().expect("the crate root has no parent");
    parent.to_vec()
}

fn below(parent: &Name, child: &str) -> Name {
    let mut name = parent.clone();
    name.push(child.to_owned());
    name
}
