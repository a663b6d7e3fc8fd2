//! Whether root looks at a server of another user, and what that user may not use: no other check notices either.

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::finding::{Check, Finding};
use crate::config::Config;
use crate::folder::{self, Held};

const CHECK: Check = Check {
    name: "owners",
    advice: "give it to the user whom the data folder belongs to, with `chown -R`",
};

/// Bits of a mode: to read, and to change.
const READ: u32 = 0o4;
const CHANGE: u32 = 0o6;
/// To make and find files in a folder.
const FOLDER: u32 = 0o7;

/// Compares the owners of what the server uses.
pub(super) async fn check(config: Arc<Config>) -> Vec<Finding> {
    CHECK.run(move || ready(Ok(look(&config)))).await
}

fn look(config: &Config) -> Vec<Finding> {
    let data = &config.server.data;
    let (Err(refused), Some(own)) = (folder::refuse_root(data), Held::of(data)) else {
        return vec![CHECK.ok("the other checks have the rights of the user who runs this")];
    };
    let advice =
        "root may do what that user may not, so the other checks do not speak for the server";
    let mut findings = vec![CHECK.warning(refused, advice)];
    let used = used(config).into_iter();
    findings.extend(used.filter_map(|(path, needed)| {
        let found = Held::of(&path)?;
        of_one(&path, (found, needed), own.user)
    }));
    findings
}

/// What the server uses, and which bits of its mode it needs.
fn used(config: &Config) -> Vec<(PathBuf, u32)> {
    let mut used = vec![
        (config.server.data.clone(), FOLDER),
        (config.master_key(), READ),
    ];
    if config.keeps_files() {
        used.push((config.blobs(), FOLDER));
    }
    if let db::Location::Sqlite(file) = config.database() {
        for beside in ["-wal", "-shm"] {
            let mut path = file.clone().into_os_string();
            path.push(beside);
            used.push((path.into(), CHANGE));
        }
        used.push((file, CHANGE));
    }
    used
}

/// What is wrong if a user needs these bits. Which groups that user is in is not known.
fn of_one(path: &Path, (found, needed): (Held, u32), user: u32) -> Option<Finding> {
    let Held { user: owner, mode } = found;
    let granted = if owner == user {
        mode >> 6
    } else {
        mode | (mode >> 3)
    };
    let shown = path.display();
    if granted & needed != needed {
        let what = if needed == READ { "read" } else { "change" };
        let found = format!(
            "{shown} belongs to user {owner}, and user {user}, whom the data folder belongs to, may not {what} it"
        );
        return Some(CHECK.fail(found, CHECK.advice));
    }
    (owner != user).then(|| {
        let found = format!("{shown} belongs to user {owner}, and the data folder to user {user}");
        CHECK.warning(found, CHECK.advice)
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn what_the_servers_user_may_not_use_fails_and_what_is_anothers_is_warned_of() {
        let level = |user: u32, mode: u32, needed: u32| {
            let finding = of_one(Path::new("gantry.db"), (Held { user, mode }, needed), 1_000);
            finding.map(|finding| finding.level)
        };
        assert_eq!(level(1_000, 0o100_600, CHANGE), None);
        assert_eq!(level(1_000, 0o040_700, FOLDER), None);
        assert_eq!(level(1_000, 0o100_400, CHANGE), Some(Level::Fail));
        assert_eq!(level(0, 0o100_644, CHANGE), Some(Level::Fail));
        assert_eq!(level(0, 0o040_755, FOLDER), Some(Level::Fail));
        assert_eq!(level(0, 0o100_600, READ), Some(Level::Fail));
        // As Kubernetes hands out a Secret.
        assert_eq!(level(0, 0o100_440, READ), Some(Level::Warning));
        assert_eq!(level(2_000, 0o100_660, CHANGE), Some(Level::Warning));
    }

    #[test]
    fn all_that_the_server_uses_is_looked_at() {
        let config = Config::default();
        let used = used(&config);
        for name in ["data", "blobs", "master.key", "gantry.db", "gantry.db-wal"] {
            let is_named = |(path, _): &(PathBuf, u32)| path.ends_with(name);
            assert!(used.iter().any(is_named), "no {name} in {used:?}");
        }
    }
}
