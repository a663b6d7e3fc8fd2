//! The grammar of `q` and `sort`, shared by all lists. Resources take the fields that they know; other fields are
//! ignored, as in Harbor, but named in a `Warning`.

use db::list::{Direction, Field, Kind, Page, Selection, Test};
use model::Timestamp;
use time::PrimitiveDateTime;
use time::macros::format_description;

use crate::Error;
use crate::param::{Params, check_text, decode_escapes, nul};

/// Maximum terms in `q`, values in a list, and fields in `sort`.
const MOST: usize = 100;

/// The parsed `q` and `sort`.
#[derive(Debug, Default)]
pub(crate) struct Query {
    terms: Vec<(String, Term)>,
    sort: Vec<(String, Direction)>,
    unknown: Vec<String>,
}

/// The condition of a term.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    /// `k=v`
    Is(String),
    /// `k=~v`
    Contains(String),
    /// `k=[a~b]`; one of them may be empty.
    Within(String, String),
    /// `k={a b}`
    AnyOf(Vec<String>),
    /// `k=(a b)`
    AllOf(Vec<String>),
}

impl Query {
    /// Reads both parameters.
    pub(crate) fn parse(params: &Params) -> Result<Self, Error> {
        let terms = match params.get("q") {
            Some(text) => parse_terms(text)?,
            None => Vec::new(),
        };
        let sort = params.get("sort").map(parse_sort).transpose()?;
        Ok(Self {
            terms,
            sort: sort.unwrap_or_default(),
            unknown: Vec::new(),
        })
    }

    /// The conditions on a list with `fields`: the last term of each, and the first known order.
    pub(crate) fn select(&mut self, fields: &[Field], page: Page) -> Result<Selection, Error> {
        let mut selection = Selection {
            page,
            ..Selection::all()
        };
        for field in fields {
            let terms = match self.take(field.name) {
                // Each is a condition of its own.
                Some(Term::AllOf(texts)) if field.kind == Kind::Int => {
                    texts.into_iter().map(Term::Is).collect()
                }
                term => Vec::from_iter(term),
            };
            for term in terms {
                selection.tests.push((*field, test(field, term)?));
            }
        }
        for (name, direction) in std::mem::take(&mut self.sort) {
            let sortable = |field: &&Field| field.sortable && same_field(field.name, &name);
            match fields.iter().find(sortable) {
                None => self.unknown.push(name),
                Some(field) => selection.order = selection.order.or(Some((*field, direction))),
            }
        }
        Ok(selection)
    }

    /// The value of a term `k=v` that is more than a condition; the term is removed.
    ///
    /// # Errors
    /// For a term of another form.
    pub(crate) fn exact(&mut self, field: &str) -> Result<Option<String>, Error> {
        match self.take(field) {
            None => Ok(None),
            Some(Term::Is(value)) => Ok(Some(value)),
            Some(_) => Err(unfit(field)),
        }
    }

    /// The text of the `Warning` header about unknown fields, if any.
    pub(crate) fn warning(&self) -> Option<String> {
        let taken = self.terms.iter().map(|(name, _)| name);
        let sorted = self.sort.iter().map(|(name, _)| name);
        let names: Vec<String> = taken
            .chain(sorted)
            .chain(&self.unknown)
            .map(|name| printable(name))
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "299 gantry \"unknown fields in q or sort are ignored: {}\"",
                names.join(", ")
            )
        })
    }

    /// Removes and returns the term of a field; if there are several, the last one counts.
    fn take(&mut self, field: &str) -> Option<Term> {
        let taken = self
            .terms
            .extract_if(.., |(name, _)| same_field(field, name))
            .last();
        taken.map(|(_, test)| test)
    }
}

/// The condition of a term on a field, if it fits the field.
fn test(field: &Field, term: Term) -> Result<Test, Error> {
    let name = field.name;
    match field.kind {
        Kind::Text => text_test(name, term),
        Kind::Flag => flag_test(name, term),
        Kind::Int => match term {
            Term::Is(text) => text.parse().map(Test::Number).map_err(|_| unfit(name)),
            _ => Err(unfit(name)),
        },
        Kind::Time => time_test(name, term),
    }
}

fn text_test(field: &str, term: Term) -> Result<Test, Error> {
    let checked = |text: String| check_text(field, &text).map(|()| text);
    match term {
        Term::Is(text) => checked(text).map(Test::Is),
        Term::Contains(text) => checked(text).map(Test::Contains),
        Term::AnyOf(texts) => {
            let texts: Result<_, Error> = texts.into_iter().map(checked).collect();
            texts.map(Test::AnyOf)
        }
        Term::Within(..) | Term::AllOf(_) => Err(unfit(field)),
    }
}

fn flag_test(field: &str, term: Term) -> Result<Test, Error> {
    match term {
        Term::Is(text) => match text.as_str() {
            "true" | "1" => Ok(Test::Flag(true)),
            "false" | "0" => Ok(Test::Flag(false)),
            _ => Err(unfit(field)),
        },
        _ => Err(unfit(field)),
    }
}

/// The first and the last moment of a span. Times in `q` are whole seconds.
fn time_test(field: &str, term: Term) -> Result<Test, Error> {
    /// Microseconds from the first to the last moment of a second.
    const SECOND: i64 = 999_999;
    let start = |text: &str| parse_time(text).ok_or_else(|| unfit(field));
    let end = |text: &str| start(text).map(|at| Timestamp(at.0.saturating_add(SECOND)));
    match term {
        Term::Is(text) => Ok(Test::Within(start(&text)?, end(&text)?)),
        Term::Within(from, until) => {
            let from = match from.as_str() {
                "" => Timestamp(i64::MIN),
                text => start(text)?,
            };
            let until = match until.as_str() {
                "" => Timestamp(i64::MAX),
                text => end(text)?,
            };
            Ok(Test::Within(from, until))
        }
        _ => Err(unfit(field)),
    }
}

fn unfit(field: &str) -> Error {
    Error::BadRequest(format!("the value for {field} in q does not fit the field"))
}

/// Fields are named by the column's name or its CamelCase form.
fn same_field(known: &str, given: &str) -> bool {
    let letters = |text: &str| text.replace('_', "").to_ascii_lowercase();
    letters(known) == letters(given)
}

/// A name in a form allowed in a header.
fn printable(name: &str) -> String {
    let plain = |letter: &char| letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | ',');
    name.chars().filter(plain).take(64).collect()
}

fn too_many(what: &str, of: &str) -> Error {
    Error::BadRequest(format!("{what} has more than {MOST} {of}"))
}

fn parse_sort(text: &str) -> Result<Vec<(String, Direction)>, Error> {
    let fields = text.split(',').map(str::trim);
    let fields = fields
        .filter(|field| !field.is_empty())
        .take(MOST + 1)
        .map(|field| match field.strip_prefix('-') {
            Some(name) => (name.to_owned(), Direction::Down),
            None => (field.to_owned(), Direction::Up),
        });
    let fields: Vec<_> = fields.collect();
    if fields.len() > MOST {
        return Err(too_many("sort", "fields"));
    }
    Ok(fields)
}

fn parse_terms(text: &str) -> Result<Vec<(String, Term)>, Error> {
    let text = decode_escapes(text)
        .ok_or_else(|| Error::BadRequest("q holds an invalid URL escape".to_owned()))?;
    let terms = split(&text);
    if terms.len() > MOST {
        return Err(too_many("q", "terms"));
    }
    terms.iter().map(|term| parse_term(term)).collect()
}

/// The terms, separated by commas. A comma after a backslash belongs to the value. One term too many is enough for a
/// refusal.
fn split(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next()
        && terms.len() <= MOST
    {
        let letter = match letter {
            ',' => {
                terms.push(String::new());
                continue;
            }
            '\\' => letters.next_if_eq(&',').unwrap_or('\\'),
            letter => letter,
        };
        if let Some(term) = terms.last_mut() {
            term.push(letter);
        }
    }
    terms
}

fn parse_term(term: &str) -> Result<(String, Term), Error> {
    let (key, value) = term
        .split_once('=')
        .map(|(key, value)| (key.trim(), value.trim()))
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .ok_or_else(|| {
            Error::BadRequest(
                "the query string must contain \"=\" and the key/value cannot be empty".to_owned(),
            )
        })?;
    // Decoding `q` a second time may have produced it.
    if term.contains('\0') {
        return Err(nul(if key.contains('\0') { "q" } else { key }));
    }
    let test = parse_test(value)
        .ok_or_else(|| Error::BadRequest(format!("the value for {key} in q is malformed")))?;
    if matches!(&test, Term::AnyOf(values) if values.len() > MOST) {
        return Err(too_many(&format!("the list for {key} in q"), "values"));
    }
    Ok((key.to_owned(), test))
}

fn parse_test(value: &str) -> Option<Term> {
    if let Some(exact) = value.strip_prefix('\\') {
        return Some(Term::Is(exact.to_owned()));
    }
    if let Some(part) = value.strip_prefix('~') {
        return (!part.is_empty()).then(|| Term::Contains(part.to_owned()));
    }
    if let Some(rest) = value.strip_prefix('[') {
        let (from, until) = rest.strip_suffix(']')?.split_once('~')?;
        let (from, until) = (element(from), element(until));
        let bounded = !from.is_empty() || !until.is_empty();
        let valid = bounded && !until.contains('~');
        return valid.then_some(Term::Within(from, until));
    }
    if let Some(rest) = value.strip_prefix('{') {
        return elements(rest.strip_suffix('}')?).map(Term::AnyOf);
    }
    if let Some(rest) = value.strip_prefix('(') {
        return elements(rest.strip_suffix(')')?).map(Term::AllOf);
    }
    Some(Term::Is(value.to_owned()))
}

fn elements(list: &str) -> Option<Vec<String>> {
    // One too many is enough for a refusal.
    let elements = list.split_whitespace().take(MOST + 1).map(element);
    let elements: Vec<String> = elements.collect();
    (!elements.is_empty()).then_some(elements)
}

/// An element of a range or a list, without the quotes around it.
fn element(text: &str) -> String {
    let text = text.trim();
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    unquoted.unwrap_or(text).to_owned()
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let at = PrimitiveDateTime::parse(&text.replace(' ', "T"), form).ok()?;
    Some(at.assume_utc().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIELDS: [Field; 7] = db::project::FIELDS;

    fn parse(q: &str) -> Result<Vec<(String, Term)>, Error> {
        parse_terms(q)
    }

    fn one(q: &str) -> Term {
        parse(q).unwrap().remove(0).1
    }

    #[test]
    fn every_form_is_understood() {
        assert_eq!(one("name=gold"), Term::Is("gold".into()));
        assert_eq!(one("name=%7Egold"), Term::Contains("gold".into()));
        assert_eq!(one(r"name=\~gold"), Term::Is("~gold".into()));
        assert_eq!(one("id=[1~]"), Term::Within("1".into(), String::new()));
        assert_eq!(
            one("name={gold 'library'}"),
            Term::AnyOf(vec!["gold".into(), "library".into()])
        );
        assert_eq!(
            one("labels=(1 2)"),
            Term::AllOf(vec!["1".into(), "2".into()])
        );
        assert_eq!(parse("a=1,b=2").unwrap().len(), 2);
    }

    #[test]
    fn a_comma_after_a_backslash_is_one_of_the_value() {
        assert_eq!(one(r"name=a\,b"), Term::Is("a,b".into()));
        assert_eq!(one(r"name=~a\,b=c"), Term::Contains("a,b=c".into()));
        assert_eq!(one(r"name=a\b"), Term::Is(r"a\b".into()));
        assert_eq!(parse(r"name=a\,b,id=1").unwrap().len(), 2);
        assert_eq!(
            one(r"name={a\,b c}"),
            Term::AnyOf(vec!["a,b".into(), "c".into()])
        );
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for q in [
            "zzz",
            "=1",
            "a=",
            "a=1,",
            "a=~",
            "a=[1]",
            "a=[~]",
            "a=[1~2~3]",
            "a=[1~2",
            "a={}",
            "a={1",
            "a=()",
            "a=%zz",
        ] {
            assert!(parse(q).is_err(), "{q}");
        }
    }

    #[test]
    fn lists_are_bounded() {
        let refused = |q: &str, sort: &str| {
            let params = Params::parse(&format!("q={q}&sort={sort}")).unwrap();
            Query::parse(&params).err().map(|error| error.to_string())
        };
        let values = |count: usize| format!("name={{{}}}", vec!["a"; count].join("%20"));
        let terms = |count: usize| vec!["a=1"; count].join(",");
        let fields = |count: usize| vec!["name"; count].join(",");
        assert_eq!(refused(&values(100), &fields(100)), None);
        assert_eq!(refused(&terms(100), ""), None);
        let message = Some("the list for name in q has more than 100 values".to_owned());
        assert_eq!(refused(&values(101), ""), message);
        assert_eq!(refused(&values(20_000), ""), message);
        let message = Some("q has more than 100 terms".to_owned());
        assert_eq!(refused(&terms(101), ""), message);
        let message = Some("sort has more than 100 fields".to_owned());
        assert_eq!(refused("a=1", &fields(101)), message);
    }

    #[test]
    fn texts_that_no_name_can_be_are_refused() {
        let long = "a".repeat(256);
        for q in [
            format!("name={long}"),
            format!("name=~{long}"),
            format!("name={{a {long}}}"),
        ] {
            let mut query = Query {
                terms: parse(&q).unwrap(),
                ..Query::default()
            };
            let error = query.select(&FIELDS, Page::ALL).unwrap_err();
            assert_eq!(error.to_string(), "name has more than 255 bytes");
        }
        let nul = |q: &str| parse(q).unwrap_err().to_string();
        assert_eq!(nul("name=a%00b"), "name must not contain NUL");
        assert_eq!(nul("na%00me=a"), "q must not contain NUL");
    }

    #[test]
    fn a_time_span_holds_its_last_second() {
        let params = Params::parse("q=CreationTime=[2026-01-02T03:04:05~2026-01-02 03:04:06]");
        let mut query = Query::parse(&params.unwrap()).unwrap();
        let selection = query.select(&FIELDS, Page::ALL).unwrap();
        let [(_, Test::Within(from, until))] = selection.tests[..] else {
            panic!("{selection:?}");
        };
        assert_eq!(until.0 - from.0, 1_999_999);
        assert_eq!(query.warning(), None);
    }

    #[test]
    fn unknown_fields_are_named() {
        let params = Params::parse("q=name=a,z\"z=1&sort=-yyy,name").unwrap();
        let mut query = Query::parse(&params).unwrap();
        let selection = query.select(&FIELDS, Page::ALL).unwrap();
        assert_eq!(selection.tests, [(FIELDS[0], Test::Is("a".to_owned()))]);
        assert_eq!(selection.order, Some((FIELDS[0], Direction::Up)));
        assert_eq!(
            query.warning().unwrap(),
            "299 gantry \"unknown fields in q or sort are ignored: zz, yyy\""
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,80}") {
            let _ = parse_terms(&text);
            let _ = parse_sort(&text);
        }
    }
}
