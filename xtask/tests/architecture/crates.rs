//! A crate depends only on crates above it.

use serde_json::Value;

use crate::metadata::{packages, text};

/// All crates, from the top of the house down.
pub(crate) const ORDER: [&str; 11] = [
    "gantry-model",
    "gantry-policy",
    "gantry-storage",
    "gantry-db",
    "gantry-certs",
    "gantry-tenancy",
    "gantry-auth",
    "gantry-registry",
    "gantry-jobs",
    "gantry-admin-api",
    "gantry",
];

#[test]
fn crates_depend_only_on_crates_above_them() {
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let packages = packages();
    for package in &packages {
        let name = text(package, "name");
        let own = |dependency: &&Value| dependency["path"].is_string();
        let dependencies = package["dependencies"].as_array().expect("a list");
        for dependency in dependencies.iter().filter(own) {
            let on = text(dependency, "name");
            assert!(place(on) < place(name), "{name} must not depend on {on}");
        }
        let known = place(name).is_some() || name == "xtask";
        assert!(known, "{name} has no place in the order");
    }
    assert_eq!(packages.len(), ORDER.len() + 1);
}
