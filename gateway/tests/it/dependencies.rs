//! A crate depends only on crates above it.

use std::process::Command;

use serde_json::Value;

/// All crates, from the top of the house down.
const ORDER: [&str; 14] = [
    "gantry-model",
    "gantry-policy",
    "gantry-storage",
    "gantry-db",
    "gantry-certs",
    "gantry-auth",
    "gantry-registry",
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
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs this"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let packages = metadata["packages"].as_array().expect("there are packages");
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        let own = |dependency: &&Value| dependency["path"].is_string();
        let dependencies = package["dependencies"].as_array().expect("a list");
        for dependency in dependencies.iter().filter(own) {
            let on = dependency["name"]
                .as_str()
                .expect("a dependency has a name");
            assert!(place(on) < place(name), "{name} must not depend on {on}");
            let only_tests = name != "gantry" || dependency["kind"] == "dev";
            assert!(on != FOR_TESTS || only_tests, "{name} ships {on}");
        }
        assert!(place(name).is_some(), "{name} has no place in the order");
    }
    assert_eq!(packages.len(), ORDER.len());
}
