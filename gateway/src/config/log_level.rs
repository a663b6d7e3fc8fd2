//! The log level, as written in settings.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The filter of a level, or of several with targets.
///
/// # Errors
/// What is wrong, and the expected form.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, String> {
    let wrong = || {
        format!(
            "{text:?} is no level: write error, warn, info, debug, trace or off, or a filter such as \
             \"info,gantry_db=debug\""
        )
    };
    // A word that is not a level would be taken for the name of a target, and all its events would be logged.
    for directive in text.split(',') {
        let word = directive.trim();
        let is_level = !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        if !is_level && !word.contains('=') {
            return Err(wrong());
        }
    }
    let filter: EnvFilter = text.parse().map_err(|_| wrong())?;
    // Pingora logs every failed handshake, start and stop by itself; the pool logs every connection lost when a
    // database goes away, which `health::watch` reports once.
    let own = [
        "pingora_core=off",
        "pingora_runtime=off",
        "sqlx_core::pool=error",
        "sqlx::pool=error",
        "sqlx::postgres::notice=error",
    ];
    Ok(own
        .into_iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive))
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn a_level_is_a_level_or_a_filter_of_targets() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,gantry_db=debug",
            "gantry=trace, warn",
        ] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in ["verbose", "", "info,verbose", "gantry_db=loud", "info,"] {
            let error = filter(text).unwrap_err();
            assert!(error.contains("gantry_db=debug"), "{text}: {error}");
        }
    }
}
