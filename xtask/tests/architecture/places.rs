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

/// True if a transaction of the database begins somewhere in a text: `db.write`, which takes a closure, and its like.
fn begins_a_transaction(text: &str) -> bool {
    let takes_a_closure = |argument: &str| {
        let argument = argument.trim_start();
        ["|", "move", "async"]
            .iter()
            .any(|begin| argument.starts_with(begin))
    };
    [".write_in(", ".write_alone_in("]
        .iter()
        .any(|call| text.contains(call))
        || text.split(".write(").skip(1).any(takes_a_closure)
}

#[test]
fn handlers_and_commands_change_things_by_services_alone() {
    assert!(begins_a_transaction("db.write(\n    move |tx| work(tx))"));
    for place in ["admin-api/src", "gateway/src/cli", "gateway/src/cli.rs"] {
        for (path, text) in sources(&workspace().join(place)) {
            let path = path.display();
            assert!(!begins_a_transaction(&text), "{path} begins a transaction");
        }
    }
}

/// The only source that has one of the statements.
fn writer_of(statements: &[&str]) -> PathBuf {
    let crates = ORDER.map(|name| {
        name.trim_start_matches("gantry-")
            .replace("gantry", "gateway")
    });
    let writers: Vec<PathBuf> = crates
        .iter()
        // Its seeds make rows by SQL.
        .filter(|name| *name != "bench")
        .flat_map(|name| sources(&workspace().join(name).join("src")))
        .filter(|(_, text)| statements.iter().any(|statement| text.contains(statement)))
        .map(|(path, _)| path)
        .collect();
    let [writer] = &writers[..] else {
        panic!("{writers:?}");
    };
    writer.clone()
}

#[test]
fn history_is_written_in_one_place() {
    let writer = writer_of(&["insert into audit "]);
    assert!(writer.ends_with("db/src/audit/event.rs"), "{writer:?}");
}

#[test]
fn tags_are_set_in_one_place() {
    let writer = writer_of(&["insert into tag (repository_id", "update tag "]);
    assert!(writer.ends_with("db/src/tag.rs"), "{writer:?}");
}
