//! Names of projects, repositories and tags: no panic, and what parses prints back unchanged.
#![no_main]

use gantry_model::{ProjectName, RepositoryName, Tag};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<ProjectName>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(name) = text.parse::<RepositoryName>() {
        assert_eq!(name.as_str(), text);
        // the project of a valid repository is a valid project, and no path leads out of it
        assert_eq!(
            name.project_str().parse::<ProjectName>(),
            Ok(name.project())
        );
        assert!(!text.split('/').any(|part| matches!(part, "" | "." | "..")));
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.as_str(), text);
    }
});
