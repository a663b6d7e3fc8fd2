//! Pages of lists: `page` and `page_size`, and the `Link` to adjacent pages.

use db::list::Page;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::Error;
use crate::param::Params;

/// Default number of rows per page.
const DEFAULT_SIZE: i64 = 10;
/// Maximum rows per page, other than all of them.
const LARGEST_SIZE: i64 = 100;

/// The requested page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    /// From 1.
    number: i64,
    /// Rows per page; `None` for all rows on one.
    size: Option<i64>,
}

impl Paging {
    /// Reads `page` and `page_size`; a page below 1 is the first, a size below 1 is everything.
    pub(crate) fn parse(params: &Params) -> Result<Self, Error> {
        let number = params.int("page")?.unwrap_or(1).max(1);
        let size = params.int("page_size")?.unwrap_or(DEFAULT_SIZE);
        if size > LARGEST_SIZE {
            return Err(Error::Validation(format!(
                "page_size in query should be less than or equal to {LARGEST_SIZE}"
            )));
        }
        let size = (size > 0).then_some(size);
        Ok(Self { number, size })
    }

    /// The rows to read.
    pub(crate) fn rows(self) -> Page {
        match self.size {
            None => Page::ALL,
            Some(size) => Page {
                offset: size.saturating_mul(self.number - 1),
                limit: Some(size),
            },
        }
    }

    /// The `Link` header of a list with `total` rows, if there are adjacent pages.
    pub(crate) fn links(self, path: &str, params: &Params, total: i64) -> Option<String> {
        let size = self.size?;
        let before = size.saturating_mul(self.number - 1);
        let mut links = Vec::new();
        if self.number > 1 && before <= total {
            links.push(link(path, params, self.number - 1, "prev"));
        }
        if before.saturating_add(size) < total {
            links.push(link(path, params, self.number + 1, "next"));
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

fn link(path: &str, params: &Params, number: i64, rel: &str) -> String {
    let number = number.to_string();
    let mut pairs = params.without("page");
    let at = pairs.partition_point(|(key, _)| *key < "page");
    pairs.insert(at, ("page", &number));
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
