//! `Link` headers: where the next page of a list is.

use http::HeaderMap;
use http::header::LINK;

/// The URL of the next page.
pub(crate) fn next(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(LINK).iter();
    values.filter_map(|value| value.to_str().ok()).find_map(of)
}

fn of(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let (url, after) = after.split_once('>')?;
        let end = after.find('<').unwrap_or(after.len());
        let parameters = after[..end].to_ascii_lowercase();
        let is_next = parameters
            .split([';', ','])
            .any(|one| ["rel=\"next\"", "rel=next"].contains(&one.trim()));
        if is_next {
            return Some(url);
        }
        rest = &after[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_others() {
        let both =
            r#"</v2/_catalog?n=1&last=a>; rel="prev" , </v2/_catalog?n=1&last=b,c>; rel="next""#;
        assert_eq!(of(both), Some("/v2/_catalog?n=1&last=b,c"));
        assert_eq!(of("<x>; rel=next"), Some("x"));
        assert_eq!(of("<x>; rel=\"prev\""), None);
        assert_eq!(of("<x"), None);
        assert_eq!(of(""), None);
    }
}
