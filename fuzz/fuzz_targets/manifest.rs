//! Manifests as pushed: no panic, bounds hold, and the kind read agrees with the header.
#![no_main]

use gantry_model::manifest::MAX_CHILDREN;
use gantry_model::media_type::{
    DOCKER_LIST, DOCKER_MANIFEST, OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST,
};
use gantry_model::{Manifest, MediaType};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let named = [
        OCI_MANIFEST,
        OCI_INDEX,
        OCI_ARTIFACT,
        DOCKER_MANIFEST,
        DOCKER_LIST,
    ];
    for content_type in named.into_iter().map(Some).chain([None]) {
        let Ok(manifest) = Manifest::parse(content_type, bytes) else {
            continue;
        };
        assert!(manifest.children.len() <= MAX_CHILDREN);
        assert!(manifest.children.iter().all(|child| child.size >= 0));
        if let Some(named) = content_type {
            assert_eq!(Some(manifest.media_type), MediaType::parse(named));
        }
    }
});
