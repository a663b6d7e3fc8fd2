//! Which pages are asked for, and what each must begin with.

use super::seed::{self, Size};
use crate::load::page::Page;
use crate::scale::seed::digest_of;

/// Pages of one list.
pub(super) struct Case {
    pub(super) title: &'static str,
    pub(super) pages: Vec<Page>,
}

/// Rows of a page.
const PAGE: u64 = 100;
const ARTIFACTS: &str = "/api/v2.0/projects/scale-0000/repositories/r000000/artifacts";
const WITH: &str = "with_tag=true&with_label=true&with_accessory=true&with_immutable_status=true";

/// All that is asked for.
pub(super) fn all(size: Size) -> Vec<Case> {
    let (artifacts, projects, users) = (size.artifacts, size.projects, size.users);
    // The newest has the highest number.
    let artifact = |row: u64| digest_of(artifacts - 1 - row, 'a');
    let with = format!("{ARTIFACTS}?{WITH}");
    let pulled = |sort: &str| format!("{ARTIFACTS}?sort={sort}");
    vec![
        case(
            "artifacts, first pages",
            few(0).map(|at| page(&with, artifacts, at, &artifact)),
        ),
        case(
            "artifacts, middle",
            few(artifacts / PAGE / 2).map(|at| page(&with, artifacts, at, &artifact)),
        ),
        case(
            "artifacts, last page",
            [page(&with, artifacts, artifacts / PAGE - 1, &artifact)],
        ),
        // A hundred tags begin so.
        case(
            "artifacts by a part of a tag that few have",
            [page(
                &format!("{ARTIFACTS}?q=tags=~t0019"),
                PAGE,
                0,
                &|row| digest_of(1_999 - row, 'a'),
            )],
        ),
        case(
            "artifacts by a part of a tag that all have",
            [page(
                &format!("{ARTIFACTS}?q=tags=~T0"),
                artifacts,
                0,
                &artifact,
            )],
        ),
        case(
            "artifacts with a tag",
            [page(
                &format!("{ARTIFACTS}?q=tags=*"),
                artifacts,
                0,
                &artifact,
            )],
        ),
        case("artifacts, last pulled first", [any(&pulled("-pull_time"))]),
        case("artifacts, never pulled first", [any(&pulled("pull_time"))]),
        case("artifacts, largest first", [any(&pulled("-size"))]),
        case(
            "tags of the repository",
            [any(
                "/api/ext/v1/projects/scale-0000/repositories/r000000/tags?x=1",
            )],
        ),
        case(
            "projects, middle",
            few(projects / PAGE / 2).map(|at| {
                page(
                    "/api/v2.0/projects?q=name=~list-",
                    projects,
                    at,
                    &seed::project,
                )
            }),
        ),
        case(
            "projects by a part of the name",
            [page("/api/v2.0/projects?name=00042", 1, 0, &|_| {
                seed::project(42)
            })],
        ),
        case(
            "projects, newest first",
            [any("/api/v2.0/projects?sort=-creation_time")],
        ),
        case(
            "projects with what they hold",
            [any("/api/ext/v1/projects/usage?x=1")],
        ),
        case(
            "users, middle",
            few(users / PAGE / 2).map(|at| counted("/api/v2.0/users?sort=username", users, at)),
        ),
        case(
            "users by a part of the name",
            [(
                format!("/api/v2.0/users?q=username=~{}", seed::user(42)),
                1,
                String::new(),
            )],
        ),
        case(
            "repositories of all projects",
            [any("/api/v2.0/repositories?x=1")],
        ),
    ]
}

fn case(title: &'static str, pages: impl IntoIterator<Item = Page>) -> Case {
    let pages = pages.into_iter().collect();
    Case { title, pages }
}

/// Some pages from one on.
fn few(first: u64) -> [u64; 3] {
    [first, first + 1, first + 2]
}

/// A page of a list with so many rows, and what it begins with.
fn page(path: &str, rows: u64, at: u64, name: &dyn Fn(u64) -> String) -> Page {
    let (path, items, _) = counted(path, rows, at);
    (path, items, name(at * PAGE))
}

/// A page whose first row is not looked at.
fn counted(path: &str, rows: u64, at: u64) -> Page {
    let and = if path.contains('?') { '&' } else { '?' };
    let items = rows.saturating_sub(at * PAGE).min(PAGE);
    let path = format!("{path}{and}page_size={PAGE}&page={}", at + 1);
    (path, items as i64, String::new())
}

/// A first page that is full.
fn any(path: &str) -> Page {
    counted(path, PAGE, 0)
}
