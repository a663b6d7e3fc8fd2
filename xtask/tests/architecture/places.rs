//! What belongs in one place and stands nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

use crate::crates::ORDER;

/// The folder of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All sources at a path, folder or file, with their texts.
fn sources(path: &Path) -> Vec<(PathBuf, String)> {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a folder of sources can be read");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        return paths.flat_map(|path| sources(&path)).collect();
    }
    let is_source = path.extension().is_some_and(|kind| kind == "rs");
    let text = is_source.then(|| fs::read_to_string(path).expect("a source can be read"));
    text.map(|text| (path.to_owned(), text))
        .into_iter()
        .collect()
}

#[test]
fn handlers_and_commands_change_things_by_services_alone() {
    let transactions = [".write(", ".write_in(", ".write_alone_in("];
    for place in ["admin-api/src", "gateway/src/cli", "gateway/src/cli.rs"] {
        for (path, text) in sources(&workspace().join(place)) {
            for begun in transactions {
                let path = path.display();
                assert!(
                    !text.contains(begun),
                    "{path} begins a transaction: {begun}"
                );
            }
        }
    }
}

#[test]
fn history_is_written_in_one_place() {
    let crates = ORDER.map(|name| {
        name.trim_start_matches("gantry-")
            .replace("gantry", "gateway")
    });
    let writers: Vec<PathBuf> = crates
        .iter()
        .flat_map(|name| sources(&workspace().join(name).join("src")))
        .filter(|(_, text)| text.contains("insert into audit "))
        .map(|(path, _)| path)
        .collect();
    let [writer] = &writers[..] else {
        panic!("{writers:?}");
    };
    assert!(writer.ends_with("db/src/event.rs"), "{writer:?}");
}
