//! The address of a collector of spans, as written in settings.

/// The path for traces at a collector, from the OTLP specification's section "OTLP/HTTP Request".
///
/// # Errors
/// What is wrong, and the expected form.
pub(crate) fn endpoint(text: &str) -> Result<String, String> {
    let parsed = text.parse::<http::Uri>().ok().filter(|base| {
        matches!(base.scheme_str(), Some("http" | "https")) && base.host().is_some()
    });
    match parsed {
        Some(_) => Ok(format!("{}/v1/traces", text.trim_end_matches('/'))),
        None => Err(format!(
            "{text:?} is no collector: write http://HOST:PORT or https://HOST:PORT"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn an_endpoint_is_a_collector_and_not_a_path() {
        for text in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/"] {
            assert_eq!(endpoint(text).unwrap(), "http://127.0.0.1:4318/v1/traces");
        }
        for text in ["127.0.0.1:4318", "collector", "ftp://host", "http://"] {
            let error = endpoint(text).unwrap_err();
            assert!(error.contains("http://HOST:PORT"), "{text}: {error}");
        }
    }
}
