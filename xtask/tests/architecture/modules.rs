//! No circles between the modules of a crate.
//!
//! Looked at are the children of each module, the crate root included: one child depends on another where anything
//! in it, its own submodules included, names something in the other. Such a graph of siblings has no circle. A parent
//! and its children count as one thing: what a child takes from its parent, and the parent from its children, is not
//! looked at. A name that a module only re-exports counts for the module that defines it. Tests inside a crate may name
//! whatever they like.

mod circle;
mod paths;
mod source;
mod tests;

use std::path::Path;

use crate::metadata::{packages, text};
use circle::circles;
use source::Source;

#[test]
fn modules_of_a_crate_depend_on_one_another_in_one_direction() {
    let mut failures = Vec::new();
    for package in packages() {
        let name = text(&package, "name");
        let found = roots(&package).flat_map(circles_of);
        failures.extend(found.map(|circle| format!("{name}: {circle}")));
    }
    assert!(failures.is_empty(), "\n\n{}\n", failures.join("\n\n"));
}

/// The sources that Cargo starts from for a crate's library and programs.
fn roots(package: &serde_json::Value) -> impl Iterator<Item = &Path> {
    let targets = package["targets"].as_array().expect("a list");
    let is_shipped = |target: &&serde_json::Value| {
        let kinds = target["kind"].as_array().expect("a list");
        kinds.iter().any(|kind| kind == "lib" || kind == "bin")
    };
    let sources = targets.iter().filter(is_shipped);
    sources.map(|target| Path::new(text(target, "src_path")))
}

fn circles_of(root: &Path) -> Vec<String> {
    let source = Source::read(root);
    let circles = circles(&source);
    circles.iter().map(ToString::to_string).collect()
}
