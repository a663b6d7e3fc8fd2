//! Master key files, and sealed data under a key: no panic; what parses has keys; nothing forged opens.
#![no_main]

use std::sync::LazyLock;

use gantry_tenancy::secret::MasterKey;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<MasterKey> =
    LazyLock::new(|| MasterKey::parse(&[b'a'; 64]).expect("64 letters of hex are a key"));

fuzz_target!(|data: &[u8]| {
    if let Some(key) = MasterKey::parse(data) {
        let sealed = key
            .seal("fuzz", data, b"context")
            .expect("the system has randomness");
        let opened = key
            .open("fuzz", &sealed, b"context")
            .expect("what was sealed opens");
        assert_eq!(&**opened, data);
        assert!(key.open("fuzz", &sealed, b"other").is_err());
    }
    assert!(KEY.open("fuzz", data, b"context").is_err());
});
