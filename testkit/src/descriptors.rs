//! The limit of open files: each connection is one. What is started afterwards has the raised limit too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as it goes, and says how far that is; an error where it is below `least`.
pub fn raise_limit(least: u64) -> Result<u64, String> {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        ..before
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| format!("cannot raise the open-file limit: {error}"))?;
    // "No limit" counts as the largest number.
    let files = raised.current.unwrap_or(u64::MAX);
    if files >= least {
        return Ok(files);
    }
    Err(format!(
        "the open-file limit allows {files}, and {least} are needed: raise `ulimit -Hn`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let files = raise_limit(1).unwrap();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, now.maximum);
        assert_eq!(now.current.unwrap_or(u64::MAX), files);
        if let Some(more) = files.checked_add(1) {
            assert!(raise_limit(more).is_err());
        }
    }
}
