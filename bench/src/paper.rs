//! `docs/benchmarks-scale.md`: parts that are written by different commands, each replacing its own.

use std::collections::BTreeMap;
use std::fs;

use super::Options;
use super::report::run_of_today;
use testkit::workspace;

/// A part under a heading of its own.
pub(super) struct Part {
    pub(super) title: String,
    pub(super) text: String,
}

/// Writes the parts into the document and leaves all others in it as they are. A short run claims no figures.
pub(super) fn publish(options: &Options, parts: &[Part]) -> Result<(), String> {
    if options.short {
        eprintln!("bench: every answer was right; a short run claims no figures");
        return Ok(());
    }
    let path = match &options.document {
        Some(path) => path.clone(),
        None => workspace::root()?.join("docs/benchmarks-scale.md"),
    };
    let before = fs::read_to_string(&path).unwrap_or_default();
    let run = run_of_today(options.rounds());
    fs::write(&path, merged(&before, &run, parts))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// In the order of their titles.
fn merged(before: &str, run: &str, parts: &[Part]) -> String {
    let there = before.split("\n## ").skip(1);
    let mut all: BTreeMap<String, String> = there
        .filter_map(|part| part.split_once('\n'))
        .map(|(title, text)| (title.to_owned(), text.trim().to_owned()))
        .collect();
    for part in parts {
        all.insert(
            part.title.clone(),
            format!("{run}.\n\n{}", part.text.trim()),
        );
    }
    let written = all
        .iter()
        .map(|(title, text)| format!("## {title}\n\n{text}\n"));
    format!("{PREFACE}\n{}", written.collect::<Vec<_>>().join("\n"))
}

const PREFACE: &str = "# Benchmarks of many rows, of the audit log, of garbage collection and of large deletions

Written by `cargo xtask bench scale`, `cargo xtask bench gc`, `cargo xtask bench audit`, `cargo xtask bench lists`, `cargo xtask bench people` and `cargo xtask bench herd`; do not edit. Each command replaces the parts that it measures.
One server process, the release binary with default settings, either with files and SQLite or with PostgreSQL (fsync on, Debian's
settings) and SeaweedFS; server, clients and storage share one machine, over TLS on loopback. Figures are medians over the
rounds, with the smallest and largest in brackets. `--short` runs in CI and checks answers, never a time.

- **Rows** are made by SQL while the server is stopped, as pushes would have left them: projects, repositories, blobs with links
  that were reviewed, manifests of about 500 bytes with what they name, tags, and what each project is charged (`gantry storage
  usage` counts anew at the end and finds the same). They have no objects and no audit entries. PostgreSQL was vacuumed and analyzed
  once, as autovacuum does; SQLite was not. What is fetched whole (manifests, a subject with 1,000 referrers) was pushed.
- **Places**: 100 different pages of 100 names around the middle and at the end, one first page; 100 different manifests. Each
  answer is held to the number of items and the first item that must be there, each manifest to its digest.
- **Cold**: the first 200 requests after a start with the page cache dropped and PostgreSQL restarted. **Warm**: round by round, all
  places in turn. Connections are open and passwords checked before the clock starts.
- **Autogroups** (`kernel.sched_autogroup_enabled`) make each process of PostgreSQL weigh as much as server and clients together,
  for it has a session of its own: answers wait for a core then, and p99 is up to twice as long. Under systemd they do nothing.
- **Garbage** is blobs of 1 KiB with their objects, linked by 100 repositories, named by no manifest, their leases over: due for review. The
  collection is paused, garbage is made, the collection is resumed, and the clock runs until the last object is deleted and
  its row is gone.
- **Pushes and pulls beside the collection, or beside a deletion,** come at a fixed rate, and each is timed from when it was to begin: 20 small images a second
  (config, layer and manifest, each with its requests) and 200 manifests a second.
- **What much hangs on**: a subject with 50,000 untagged referrers (each with a layer of its own), and an image with 50,000 tags, made
  by SQL as above but while the server runs, new ones for each window, and counted before and after. In a window one client deletes
  such a manifest over HTTP (`DELETE /v2/<name>/manifests/<digest>`), and the next one where that ended early, while others push
  and pull in the same repository; a deletion may end after its window. Afterwards manifests, referrers and tags answer 404. Windows
  with and without deletions alternate; before each, PostgreSQL is vacuumed and SQLite's log is written back.
";

#[cfg(test)]
mod tests {
    use super::{Part, merged};

    #[test]
    fn a_part_replaces_its_own_and_no_other() {
        let part = |title: &str, text: &str| Part {
            title: title.to_owned(),
            text: text.to_owned(),
        };
        let first = merged("", "Run of today", &[part("B", "old"), part("A", "kept")]);
        let second = merged(&first, "Run of tomorrow", &[part("B", "new")]);
        assert!(
            second.ends_with("## A\n\nRun of today.\n\nkept\n\n## B\n\nRun of tomorrow.\n\nnew\n")
        );
        assert_eq!(second.matches("# Benchmarks of many").count(), 1);
    }
}
