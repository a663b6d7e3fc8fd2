//! Basic credentials (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};

/// A name and a password as a client sent them.
pub(crate) struct Basic(String);

impl Basic {
    /// Decodes the text after the scheme in an `Authorization` header.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(crate) fn decode(credentials: &str) -> Result<Self> {
        let decoded = STANDARD.decode(credentials).map_err(|_| Error::Malformed)?;
        let decoded = String::from_utf8(decoded).map_err(|_| Error::Malformed)?;
        if decoded.contains(':') {
            Ok(Self(decoded))
        } else {
            Err(Error::Malformed)
        }
    }

    /// Name and password.
    pub(crate) fn pair(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(name in "[^:]{0,40}", password in ".{0,40}") {
            let basic = Basic::decode(&STANDARD.encode(format!("{name}:{password}"))).unwrap();
            prop_assert_eq!(basic.pair(), (&*name, &*password));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            if let Ok(basic) = Basic::decode(&text) {
                basic.pair();
            }
        }
    }
}
