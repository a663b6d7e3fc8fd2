//! Where programs are: on the path, or in the folders that a bare root shell leaves out.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const MORE_FOLDERS: [&str; 4] = ["/usr/local/go/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

pub fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return executable(Path::new(program));
    }
    env::split_paths(&path()).find_map(|folder| executable(&folder.join(program)))
}

/// Lets every child find what [`find`] finds; the value for its `PATH`.
pub fn path() -> String {
    let mut path = env::var("PATH").unwrap_or_default();
    for folder in MORE_FOLDERS {
        if !path.split(':').any(|have| have == folder) {
            path.push(':');
            path.push_str(folder);
        }
    }
    path
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

fn executable(path: &Path) -> Option<PathBuf> {
    let meta = fs::metadata(path).ok()?;
    (meta.is_file() && meta.permissions().mode() & 0o111 != 0).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn programs_outside_a_users_path_are_found() {
        assert!(find("sh").is_some());
        assert!(find("/bin/sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
