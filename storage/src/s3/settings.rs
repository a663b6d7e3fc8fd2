//! Settings of the bucket.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::{Error, Result};

/// Where the bucket is, and how to access it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// URL of the server, with or without a path; empty for AWS. Default: empty.
    pub endpoint: String,
    /// URL at which clients reach the server, for redirected pulls; empty for `endpoint`. Default: empty.
    pub public_endpoint: String,
    /// Region for which requests are signed. Default: `us-east-1`.
    pub region: String,
    /// Name of the bucket, which must exist. Default: empty.
    pub bucket: String,
    /// Folder in the bucket that holds all objects; empty for none. Default: empty.
    pub prefix: String,
    /// Access key ID; empty for credentials from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a web identity, or
    /// the role of the container or machine. Default: empty.
    pub access_key_id: String,
    /// Secret access key. Default: empty.
    pub secret_access_key: SecretKey,
    /// Whether the bucket is in the URL's path instead of the host name. Default: false.
    pub path_style: bool,
    /// PEM file of the only CAs trusted to sign the server's certificate; empty for those of the system. Default:
    /// empty.
    pub ca_file: String,
    /// Server-side encryption: `none`, `AES256` or `aws:kms`. Default: `none`.
    pub sse: Sse,
    /// ID of the KMS key for `aws:kms`; empty for the bucket's own. Default: empty.
    pub sse_kms_key_id: String,
    /// Memory for parts on their way to the bucket, for all uploads together, in MiB. Default: 64.
    pub memory_mib: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            public_endpoint: String::new(),
            region: "us-east-1".to_owned(),
            bucket: String::new(),
            prefix: String::new(),
            access_key_id: String::new(),
            secret_access_key: SecretKey::default(),
            path_style: false,
            ca_file: String::new(),
            sse: Sse::None,
            sse_kms_key_id: String::new(),
            memory_mib: 64,
        }
    }
}

impl Settings {
    /// Refuses invalid settings.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |name, why: &str| Error::Setting {
            name,
            source: why.into(),
        };
        let schemes = ["http://", "https://"];
        for (name, url) in [
            ("endpoint", &self.endpoint),
            ("public_endpoint", &self.public_endpoint),
        ] {
            let known = schemes.iter().any(|scheme| url.starts_with(scheme));
            if !url.is_empty() && !known {
                return Err(invalid(name, "it is no http:// or https:// URL"));
            }
        }
        if self.bucket.is_empty() {
            return Err(invalid("bucket", "it is empty"));
        }
        if self.access_key_id.is_empty() != self.secret_access_key.0.is_empty() {
            return Err(invalid(
                "access_key_id",
                "id and secret must both be set, or neither",
            ));
        }
        Ok(())
    }
}

/// Server-side encryption.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub enum Sse {
    /// The bucket's default.
    #[serde(rename = "none")]
    None,
    /// With keys of the server's own.
    #[serde(rename = "AES256")]
    Aes256,
    /// With a key of a key management service.
    #[serde(rename = "aws:kms")]
    Kms,
}

/// A secret access key. It does not print.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct SecretKey(String);

impl SecretKey {
    /// Wraps a secret.
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    const fn hidden(&self) -> &'static str {
        if self.0.is_empty() { "" } else { "********" }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.hidden())
    }
}

impl Serialize for SecretKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.hidden())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let settings = Settings {
            secret_access_key: SecretKey::new("hush".to_owned()),
            ..Settings::default()
        };
        assert!(!format!("{settings:?}").contains("hush"));
        let json = serde_json::to_string(&settings).unwrap();
        assert!(!json.contains("hush"), "{json}");
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let good = Settings {
            bucket: "b".to_owned(),
            ..Settings::default()
        };
        good.check().unwrap();
        let endpoint = Settings {
            endpoint: "localhost:9000".to_owned(),
            ..good.clone()
        };
        let public = Settings {
            public_endpoint: "s3.example".to_owned(),
            ..good.clone()
        };
        let half = Settings {
            access_key_id: "AK".to_owned(),
            ..good
        };
        for settings in [endpoint, public, half, Settings::default()] {
            assert!(settings.check().is_err(), "{settings:?}");
        }
    }
}
