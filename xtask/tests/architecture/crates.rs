//! A crate depends only on crates above it.

use serde_json::Value;

use crate::metadata::{packages, text};

/// All crates, from the top of the house down.
pub(crate) const ORDER: [&str; 17] = [
    "gantry-model",
    "gantry-policy",
    "gantry-storage",
    "gantry-db",
    "gantry-certs",
    "gantry-outgoing",
    "gantry-tenancy",
    "gantry-auth",
    "gantry-registry",
    "gantry-remote",
    "gantry-jobs",
    "gantry-admin-api",
    "gantry-testkit",
    "gantry",
    "gantry-soak",
    "gantry-bench",
    "xtask",
];

/// What only tests may depend on.
const FOR_TESTS: &str = "gantry-testkit";

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
            let only_tests = name != "gantry" || dependency["kind"] == "dev";
            assert!(on != FOR_TESTS || only_tests, "{name} ships {on}");
        }
        assert!(place(name).is_some(), "{name} has no place in the order");
    }
    assert_eq!(packages.len(), ORDER.len());
}
