//! Lists: the fields that filter and sort them, and the one builder of their statements.

use model::{ManifestId, Timestamp};

use crate::error::Result;
use crate::sql::{Query, Reader, Reading, Row, Value, json_list};

/// Which part of a list to return.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Rows to skip.
    pub offset: i64,
    /// Rows to return; `None` for all.
    pub limit: Option<i64>,
}

impl Page {
    /// All rows.
    pub const ALL: Self = Self {
        offset: 0,
        limit: None,
    };

    /// The maximum length of a text on the page, for `total` rows in all. The command line asks for all rows, and gets
    /// complete texts.
    fn longest_text(&self, total: i64) -> i64 {
        match self.limit {
            None => LONGEST_TEXT as i64,
            Some(limit) => longest_text(limit.min(total - self.offset)) as i64,
        }
    }
}

/// Maximum bytes of a text in a list, such as an artifact's annotations.
pub const LONGEST_TEXT: usize = 64 << 10;
/// Maximum bytes of such texts on a page, for each column.
const TEXTS: usize = 4 << 20;

/// The maximum length of a text on a page with this many rows.
pub fn longest_text(rows: i64) -> usize {
    let rows = usize::try_from(rows).unwrap_or_default().max(1);
    (TEXTS / rows).min(LONGEST_TEXT)
}

/// Placeholder in select lists for the maximum bytes of a text.
pub(crate) const LONGEST: &str = ":longest";

/// A statement outside of lists that shows texts of at most `longest` bytes.
pub(crate) fn showing(statement: &str, longest: usize) -> String {
    statement.replace(LONGEST, &longest.to_string())
}

/// Maximum dependent rows of one kind on a page, such as the tags of its artifacts, which are read for all of them at
/// once.
const HANGING: i64 = 5_000;

/// The dependent rows of a page: all of them, or an even share for each row if there are more than [`HANGING`]. The
/// statements for SQLite and PostgreSQL take the ids as JSON (`$1`), and the limits for each row (`$2`) and for all
/// together (`$3`).
pub(crate) async fn hanging<T>(
    reader: &mut Reader,
    (sqlite, postgres): (&'static str, &'static str),
    ids: &[ManifestId],
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Vec<T>> {
    let of = json_list(ids.iter().map(|id| id.0));
    let mut rows = Vec::new();
    for (each, all) in [
        (HANGING, HANGING + 1),
        (HANGING / ids.len().max(1) as i64, HANGING),
    ] {
        let query = reader.query_either(sqlite, postgres).bind(of.as_str());
        rows = query.bind(each.max(1)).bind(all).all().await?;
        if rows.len() as i64 <= HANGING {
            break;
        }
    }
    rows.iter().map(read).collect()
}

/// A field that a list can be filtered and sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the REST API.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether the list can be sorted by it.
    pub sortable: bool,
    /// The column, or an expression of the list's tables.
    column: &'static str,
    /// Whether no two rows have the same value.
    unique: bool,
    /// Whether rows may be without a value.
    optional: bool,
}

/// The type of a field, which decides how it can be filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text: is, contains, any of.
    Text,
    /// A number: is.
    Int,
    /// A flag: is.
    Flag,
    /// A time: within.
    Time,
}

impl Field {
    pub(crate) const fn new(name: &'static str, kind: Kind, column: &'static str) -> Self {
        Self {
            name,
            kind,
            sortable: true,
            column,
            unique: false,
            optional: false,
        }
    }

    pub(crate) const fn unique(self) -> Self {
        Self {
            unique: true,
            ..self
        }
    }

    pub(crate) const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    pub(crate) const fn unsorted(self) -> Self {
        Self {
            sortable: false,
            ..self
        }
    }
}

/// A condition on a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is this text.
    Is(String),
    /// It contains this text, in any letter case.
    Contains(String),
    /// It is one of these texts.
    AnyOf(Vec<String>),
    /// It is this number.
    Number(i64),
    /// It is set, or it is not.
    Flag(bool),
    /// It is not before the first and not after the second time.
    Within(Timestamp, Timestamp),
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Lowest first.
    Up,
    /// Highest first.
    Down,
}

/// Which rows of a list to return, and in which order.
#[derive(Clone, Debug)]
pub struct Selection {
    /// All of these must hold.
    pub tests: Vec<(Field, Test)>,
    /// The order; `None` for the list's own.
    pub order: Option<(Field, Direction)>,
    /// The part.
    pub page: Page,
}

impl Selection {
    /// Everything, in the list's own order.
    pub const fn all() -> Self {
        Self {
            tests: Vec::new(),
            order: None,
            page: Page::ALL,
        }
    }

    /// Adds a condition, unless there is one on the field already.
    #[must_use]
    pub fn or(self, field: Field, test: Option<Test>) -> Self {
        match test {
            Some(test) if self.tests.iter().all(|(asked, _)| *asked != field) => {
                self.with(field, test)
            }
            _ => self,
        }
    }

    /// Adds a condition.
    #[must_use]
    pub fn with(mut self, field: Field, test: Test) -> Self {
        self.tests.push((field, test));
        self
    }
}

/// A list's tables.
pub(crate) struct Source {
    /// Names the statement in spans.
    pub(crate) name: &'static str,
    /// The select list.
    pub(crate) columns: &'static str,
    /// Tables and joins.
    pub(crate) from: &'static str,
    /// The column that identifies a row.
    pub(crate) id: &'static str,
    /// The field that rows are sorted by unless another is given.
    pub(crate) order: Field,
}

/// The minimum tables to find a list's rows, if there are no conditions on the others.
pub(crate) struct Lean {
    /// Tables and joins.
    pub(crate) from: &'static str,
    /// Aliases of the omitted tables, with their dots.
    pub(crate) without: &'static [&'static str],
}

impl Lean {
    /// The tables of a list that a selection needs.
    pub(crate) fn of(&self, source: &Source, selection: &Selection) -> &'static str {
        let tested = selection.tests.iter().map(|(field, _)| field.column);
        let sorted = selection.order.map_or(source.order, |(field, _)| field);
        let mut asked = tested.chain([sorted.column]);
        let is_left_out = |column: &str| self.without.iter().any(|alias| column.contains(alias));
        match asked.any(is_left_out) {
            true => source.from,
            false => self.from,
        }
    }
}

/// A page of a list, and how many rows there are in all: always two statements.
pub(crate) async fn list<T>(
    reader: &mut Reader,
    source: &Source,
    conditions: Conditions,
    selection: &Selection,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<(Vec<T>, i64)> {
    let from = source.from;
    list_in(reader, (source, from), conditions, selection, read).await
}

/// As [`list`], with rows from the tables of `from`.
pub(crate) async fn list_in<T>(
    reader: &mut Reader,
    (source, from): (&Source, &'static str),
    conditions: Conditions,
    selection: &Selection,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<(Vec<T>, i64)> {
    let conditions = conditions.and_tests(reader.is_postgres(), &selection.tests);
    let total = count(reader, (source.name, from), &conditions).await?;
    let rows = page(
        reader,
        (source, from),
        &conditions,
        (selection, total),
        read,
    )
    .await?;
    Ok((rows, total))
}

/// A page of the rows in `from` that meet the conditions, of which there are `total`.
pub(crate) async fn page<T>(
    reader: &mut Reader,
    (source, found_in): (&Source, &'static str),
    conditions: &Conditions,
    (selection, total): (&Selection, i64),
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Vec<T>> {
    let Source {
        name,
        columns,
        from,
        id,
        order,
    } = source;
    let clause = conditions.clause();
    let order = selection.order.unwrap_or((*order, Direction::Up));
    let by = order_by(reader.is_postgres(), order, id);
    let (limit, offset) = (conditions.values.len() + 1, conditions.values.len() + 2);
    let shows_texts = columns.contains(LONGEST);
    let columns = columns.replace(LONGEST, &format!("${}", offset + 1));
    // The page is selected first, so that counts in the select list run only for the page.
    let page = format!(
        "select {columns} from {from} where {id} in (select {id} from {found_in} {clause}
             order by {by} limit ${limit} offset ${offset}) order by {by}"
    );
    let query = conditions.bind(reader.query_built(name, page));
    let mut query = query
        .bind(selection.page.limit.unwrap_or(i64::MAX))
        .bind(selection.page.offset);
    if shows_texts {
        query = query.bind(selection.page.longest_text(total));
    }
    query.all().await?.iter().map(read).collect()
}

/// How many rows meet the conditions, in only the tables that these need: a count reads every joined table, even if
/// that changes nothing.
pub(crate) async fn count(
    reader: &mut Reader,
    (name, from): (&'static str, &str),
    conditions: &Conditions,
) -> Result<i64> {
    let clause = conditions.clause();
    let text = format!("select count(*) as total from {from} {clause}");
    let row = conditions.bind(reader.query_built(name, text)).one();
    row.await?.get("list", "total")
}

fn order_by(postgres: bool, (field, direction): (Field, Direction), id: &str) -> String {
    let (suffix, nulls) = match direction {
        Direction::Up => ("", " nulls first"),
        Direction::Down => (" desc", " nulls last"),
    };
    // SQLite sorts null first. PostgreSQL and its indexes do not.
    let nulls = if postgres && field.optional {
        nulls
    } else {
        ""
    };
    if field.unique {
        format!("{}{suffix}{nulls}", field.column)
    } else {
        format!("{}{suffix}{nulls}, {id}{suffix}", field.column)
    }
}

/// Conditions of a statement, with the values that they bind, from `$1`.
#[derive(Default)]
pub(crate) struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition without values.
    #[must_use]
    pub(crate) fn and(mut self, condition: &str) -> Self {
        self.texts.push(condition.to_owned());
        self
    }

    /// Adds a condition in which each `$` stands for `value`.
    #[must_use]
    pub(crate) fn and_value(mut self, condition: &str, value: impl Into<Value>) -> Self {
        self.push(condition, value);
        self
    }

    /// Adds a condition in which the first `$` stands for the first value, and so on.
    #[must_use]
    pub(crate) fn and_values(
        mut self,
        condition: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Self {
        let text = self.text(condition, values);
        self.texts.push(text);
        self
    }

    /// A separate condition that binds its values with these.
    pub(crate) fn text(
        &mut self,
        condition: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> String {
        let mut text = String::new();
        let mut parts = condition.split('$');
        text.push_str(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(values) {
            text.push_str(&self.place(value));
            text.push_str(part);
        }
        text
    }

    /// Adds the condition that a column has one of some values.
    #[must_use]
    pub(crate) fn and_any(mut self, column: &str, values: &[i64]) -> Self {
        let text = self.any_of(column, values);
        self.texts.push(text);
        self
    }

    /// A separate condition that a column has one of some values, which binds its values with these.
    pub(crate) fn any_of(&mut self, column: &str, values: &[i64]) -> String {
        match values {
            [] => "1 = 0".to_owned(),
            [one] => format!("{column} = {}", self.place((*one).into())),
            many => {
                let places: Vec<String> =
                    many.iter().map(|one| self.place((*one).into())).collect();
                format!("{column} in ({})", places.join(", "))
            }
        }
    }

    /// Adds conditions on fields.
    #[must_use]
    pub(crate) fn and_tests(mut self, postgres: bool, tests: &[(Field, Test)]) -> Self {
        for (field, test) in tests {
            self.test(postgres, field, test);
        }
        self
    }

    /// Binds a value; its place in the statement.
    fn place(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn push(&mut self, condition: &str, value: impl Into<Value>) {
        let place = self.place(value.into());
        self.texts.push(condition.replace('$', &place));
    }

    /// Adds a condition on a field.
    pub(crate) fn test(&mut self, postgres: bool, field: &Field, test: &Test) {
        let column = field.column;
        match test {
            Test::Is(text) => self.push(&format!("{column} = $"), text.as_str()),
            Test::Contains(text) => {
                self.push(&like(postgres, column), containing(text));
            }
            Test::AnyOf(texts) => {
                self.push(&any_of(postgres, column), json_list(texts));
            }
            Test::Number(number) => self.push(&format!("{column} = $"), *number),
            Test::Flag(flag) => self.push(&format!("{column} = $"), *flag),
            Test::Within(from, until) => {
                self.push(&format!("{column} >= $"), *from);
                self.push(&format!("{column} <= $"), *until);
            }
        }
    }

    /// `where …`, or nothing.
    pub(crate) fn clause(&self) -> String {
        match self.texts.as_slice() {
            [] => String::new(),
            texts => format!("where {}", texts.join(" and ")),
        }
    }

    /// `where …` with one condition more.
    pub(crate) fn clause_with(&self, condition: &str) -> String {
        let texts = self.texts.iter().map(String::as_str);
        let texts: Vec<&str> = texts.chain([condition]).collect();
        format!("where {}", texts.join(" and "))
    }

    /// Binds the values.
    pub(crate) fn bind<'c>(&self, query: Query<'c, Reading>) -> Query<'c, Reading> {
        self.values.iter().cloned().fold(query, Query::bind)
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}

/// The condition that a column has one of the texts of the JSON list that stands for `$`.
pub(crate) fn any_of(postgres: bool, column: &str) -> String {
    if postgres {
        format!("{column} = any (array(select json_array_elements_text(cast($ as json))))")
    } else {
        format!("{column} in (select value from json_each($))")
    }
}

/// The condition that a text column contains the text of `$`, ignoring the case of ASCII letters: SQLite folds no
/// others, and columns have PostgreSQL's collation "C", which folds no others. With another collation, the text would
/// be folded differently from the column.
pub(crate) fn like(postgres: bool, column: &str) -> String {
    let collation = if postgres { " collate \"C\"" } else { "" };
    format!("lower({column}) like lower(${collation}) escape '\\'")
}

/// Escapes a text for `like … escape '\'`, to be found anywhere in a column.
pub(crate) fn containing(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    format!("%{escaped}%")
}
