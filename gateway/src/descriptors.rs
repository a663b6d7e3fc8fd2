//! Limits on open files: each connection is one, beside the files of blobs and of the database.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files reserved for everything but client connections.
const OTHERS: usize = 512;

/// Raises the limit of open files as far as allowed.
pub(crate) fn raise_limit() {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        ..before
    };
    if before.current == before.maximum {
        return;
    }
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::info!(
            from = before.current,
            to = raised.current,
            "raised the open-file limit"
        ),
        Err(error) => tracing::warn!(%error, "cannot raise the open-file limit"),
    }
}

/// How many of these connections the limit of open files allows.
pub(crate) fn connections(wanted: usize) -> usize {
    // "No limit" counts as the largest number.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let possible = possible(usize::try_from(files).unwrap_or(usize::MAX));
    if wanted > possible {
        tracing::warn!(
            wanted,
            possible,
            "the open-file limit allows fewer connections: raise `ulimit -n` (LimitNOFILE of a unit), or lower \
             [limits] connections"
        );
    }
    wanted.min(possible)
}

/// How many files a process may have open once it has raised its limit, and how many connections that allows.
pub(crate) fn attainable() -> (usize, usize) {
    let files = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    (files, possible(files))
}

fn possible(files: usize) -> usize {
    files.saturating_sub(OTHERS).max(files / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let before = getrlimit(Resource::Nofile);
        let lower = before.maximum.map(|most| most - 1);
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: lower,
                ..before
            },
        )
        .unwrap();
        raise_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    }

    #[test]
    fn some_files_are_left_for_other_things() {
        assert_eq!(possible(65_536), 65_024);
        assert_eq!(possible(1_024), 512);
        assert_eq!(possible(256), 128);
        assert_eq!(connections(1), 1);
    }
}
