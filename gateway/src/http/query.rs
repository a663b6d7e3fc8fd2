//! Decoding a query string, or a form, which has the same syntax.

/// Maximum number of parameters of a request: more than those for 100 tags or 100 scopes.
pub(crate) const MOST_PARAMETERS: usize = 256;

/// A query has more than [`MOST_PARAMETERS`].
#[derive(Debug, thiserror::Error)]
#[error("more than {MOST_PARAMETERS} parameters")]
pub(crate) struct TooManyParameters;

/// Names and values of a query, decoded.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, TooManyParameters> {
    refuse_many(query)?;
    Ok(decoded(query.split('&')))
}

/// Refuses a query that would take many times its length in memory once decoded.
pub(crate) fn refuse_many(query: &str) -> Result<(), TooManyParameters> {
    if query.split('&').nth(MOST_PARAMETERS).is_some() {
        return Err(TooManyParameters);
    }
    Ok(())
}

/// Names and values of parameters, decoded.
pub(crate) fn decoded<'a>(pairs: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text)
            .decode_utf8_lossy()
            .into_owned()
    };
    pairs
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
