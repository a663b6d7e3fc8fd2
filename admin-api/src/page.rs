//! Pages of lists: `page` and `page_size`, and the `Link` to adjacent pages.

use db::list::Page;
use model::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::Error;
use crate::param::Params;

/// Default number of rows per page.
const DEFAULT_SIZE: i64 = 10;
/// Maximum rows per page that `page_size` can request.
const LARGEST_SIZE: i64 = 100;
/// Maximum rows of a page for which all rows were requested.
pub(crate) const MOST: i64 = 1_000;

/// Rows that are paged by number; the links to later pages say after which row they begin.
const NEAR: i64 = 10_000;

/// A page of a list that may be long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Far {
    /// How many rows there are.
    pub(crate) total: i64,
    /// Whether that is an estimate.
    pub(crate) is_estimate: bool,
    /// Whether the page is full.
    pub(crate) is_full: bool,
    /// The ID of its last row, where the next page can begin after it.
    pub(crate) last: Option<i64>,
    /// The time from which a text was searched, if not everywhere.
    pub(crate) searched_since: Option<Timestamp>,
}

/// The requested page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    /// From 1.
    number: i64,
    /// Rows per page.
    size: i64,
    /// Whether all rows were requested.
    all: bool,
}

impl Paging {
    /// Reads `page` and `page_size`; a page below 1 is the first, a size below 1 asks for all rows and gets [`MOST`].
    pub(crate) fn parse(params: &Params) -> Result<Self, Error> {
        let number = params.int("page")?.unwrap_or(1).max(1);
        let size = params.int("page_size")?.unwrap_or(DEFAULT_SIZE);
        if size > LARGEST_SIZE {
            return Err(Error::Validation(format!(
                "page_size in query should be less than or equal to {LARGEST_SIZE}"
            )));
        }
        let all = size <= 0;
        let size = if all { MOST } else { size };
        Ok(Self { number, size, all })
    }

    /// The rows to read.
    pub(crate) fn rows(self) -> Page {
        Page {
            offset: self.size.saturating_mul(self.number - 1),
            limit: Some(self.size),
        }
    }

    /// Maximum number of rows.
    pub(crate) fn most(self) -> usize {
        usize::try_from(self.size).unwrap_or_default()
    }

    /// A warning that a page does not have all requested rows.
    pub(crate) fn warning(self, total: i64) -> Option<String> {
        (self.all && total > self.size).then(|| {
            format!("299 gantry \"a page has at most {MOST} rows: Link leads to the next ones\"")
        })
    }

    /// The `Link` header of a list with `total` rows, if there are adjacent pages.
    pub(crate) fn links(self, path: &str, params: &Params, total: i64) -> Option<String> {
        let size = self.size;
        let before = size.saturating_mul(self.number - 1);
        let mut links = Vec::new();
        if self.number > 1 && before <= total {
            links.push(link(path, params, (self.number - 1, None), "prev"));
        }
        if before.saturating_add(size) < total {
            links.push(link(path, params, (self.number + 1, None), "next"));
        }
        (!links.is_empty()).then(|| links.join(" , "))
    }

    /// The same for a list that may be long.
    pub(crate) fn far_links(self, path: &str, params: &Params, far: &Far) -> Option<String> {
        let size = self.size;
        let end = size.saturating_mul(self.number);
        if end <= NEAR && params.get("before").is_none() && !far.is_estimate {
            return self.links(path, params, far.total);
        }
        let mut links = Vec::new();
        if self.number > 1 {
            links.push(link(path, params, (self.number - 1, None), "prev"));
        }
        if far.is_full {
            let after = far
                .last
                .filter(|_| end >= NEAR || params.get("before").is_some());
            links.push(link(path, params, (self.number + 1, after), "next"));
        }
        (!links.is_empty()).then(|| links.join(" , "))
    }
}

/// Characters that must stay encoded: they would end the link, the header or the parameter's value.
const KEPT: &AsciiSet = &CONTROLS
    .add(b'<')
    .add(b'>')
    .add(b'"')
    .add(b'&')
    .add(b'#')
    .add(b'%')
    .add(b'+')
    .add(b' ');

/// A link to a page, which begins after a row if one is named.
fn link(path: &str, params: &Params, (number, after): (i64, Option<i64>), rel: &str) -> String {
    let number = number.to_string();
    let after = after.map(|id| id.to_string());
    let mut pairs = params.without("page");
    pairs.retain(|(key, _)| *key != "before");
    let named = [("page", Some(&number)), ("before", after.as_ref())];
    for (name, value) in named {
        if let Some(value) = value {
            let at = pairs.partition_point(|(key, _)| *key < name);
            pairs.insert(at, (name, value));
        }
    }
    let encode = |text| utf8_percent_encode(text, KEPT).to_string();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    format!("<{path}?{}>; rel=\"{rel}\"", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(query: &str, total: i64) -> Option<String> {
        let params = Params::parse(query).unwrap();
        Paging::parse(&params).unwrap().links("/p", &params, total)
    }

    #[test]
    fn links_are_harbors() {
        assert_eq!(
            links("page=2&page_size=2&sort=name", 9).unwrap(),
            "</p?page=1&page_size=2&sort=name>; rel=\"prev\" , </p?page=3&page_size=2&sort=name>; rel=\"next\""
        );
        assert_eq!(
            links("with_detail=false&page_size=1", 9).unwrap(),
            "</p?page=2&page_size=1&with_detail=false>; rel=\"next\""
        );
        assert_eq!(links("page=99&page_size=2", 9), None);
        assert_eq!(links("", 10), None);
        assert_eq!(links("page_size=0", 10), None);
        assert_eq!(links("page_size=-1", 10), None);
        assert_eq!(links("page_size=0", MOST), None);
    }

    #[test]
    fn links_to_far_pages_say_after_which_row_they_begin() {
        let far = |query: &str, total, is_estimate| {
            let params = Params::parse(query).unwrap();
            let far = Far {
                total,
                is_estimate,
                is_full: true,
                last: Some(77),
                searched_since: None,
            };
            Paging::parse(&params)
                .unwrap()
                .far_links("/p", &params, &far)
        };
        assert_eq!(
            far("page=2&page_size=2", 9, false),
            links("page=2&page_size=2", 9)
        );
        assert_eq!(
            far("page_size=100", 20_000, true).unwrap(),
            "</p?page=2&page_size=100>; rel=\"next\""
        );
        assert_eq!(
            far("page=100&page_size=100", 20_000, true).unwrap(),
            "</p?page=99&page_size=100>; rel=\"prev\" , </p?before=77&page=101&page_size=100>; rel=\"next\""
        );
        assert_eq!(
            far("before=99&page=101&page_size=100", 20_000, true).unwrap(),
            "</p?page=100&page_size=100>; rel=\"prev\" , </p?before=77&page=102&page_size=100>; rel=\"next\""
        );
    }

    #[test]
    fn all_rows_come_on_as_many_pages_as_they_need() {
        let paging = |query| Paging::parse(&Params::parse(query).unwrap()).unwrap();
        let (first, second) = (paging("page_size=0"), paging("page=2&page_size=-1"));
        assert_eq!(first.rows().limit, Some(MOST));
        assert_eq!(second.rows().offset, MOST);
        assert_eq!(
            links("page_size=0", MOST + 1).unwrap(),
            "</p?page=2&page_size=0>; rel=\"next\""
        );
        assert_eq!(
            links("page=2&page_size=-1", MOST + 1).unwrap(),
            "</p?page=1&page_size=-1>; rel=\"prev\""
        );
        assert_eq!(first.warning(MOST), None);
        assert!(first.warning(MOST + 1).is_some());
        assert_eq!(paging("page_size=100").warning(MOST), None);
    }

    #[test]
    fn a_link_cannot_be_broken_out_of() {
        let link = links("q=name%3D~a%0d%0aX:%3E%22%26page%3D7", 100).unwrap();
        assert_eq!(
            link,
            "</p?page=2&q=name=~a%0D%0AX:%3E%22%26page=7>; rel=\"next\""
        );
    }

    #[test]
    fn sizes_have_a_limit_and_far_pages_do_not_overflow() {
        let parse = |query| Paging::parse(&Params::parse(query).unwrap());
        assert!(parse("page_size=100").is_ok());
        assert!(parse("page_size=101").is_err());
        assert!(parse("page_size=ten").is_err());
        let far = parse("page=9223372036854775807&page_size=100").unwrap();
        assert_eq!(far.rows().offset, i64::MAX);
        assert_eq!(far.links("/p", &Params::default(), 5), None);
    }
}
