//! What is asked: pages at the first, middle and last place of each list, and manifests at such places, with
//! what each answer must hold.

use super::seed::{Size, project};
use crate::load::page::Page;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    Admin,
    /// A member of three projects, and nothing else.
    Member,
    Nobody,
}

/// One kind of request, at one or more places.
pub(super) struct Case {
    pub(super) title: &'static str,
    pub(super) account: Account,
    /// What a token is asked for; the password is sent itself where there is none.
    pub(super) repository: Option<String>,
    pub(super) status: u16,
    pub(super) places: Vec<Place>,
}

/// Requests that are asked in turn.
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) requests: Vec<Page>,
}

/// Items on a page.
const PAGE: u64 = 100;
/// Different pages, or manifests, of one place.
pub(super) const SPREAD: u64 = 100;
const NAMES: [&str; 3] = ["first", "middle", "last"];

/// The projects whose member asks as [`Account::Member`].
pub(super) fn member_of(size: Size) -> [u64; 3] {
    let last = size.projects() - 1;
    [last / 2, last * 3 / 4, last]
}

/// The numbers of the tags where real images are: at the first, middle and last place.
pub(super) fn real_tags(size: Size) -> [u64; 3] {
    [0, size.crowd / 2, size.crowd - SPREAD]
}

/// Referrers of the one subject, in the order in which they were pushed.
pub(super) struct Referrers {
    pub(super) subject: String,
    pub(super) digests: Vec<String>,
    /// Row ids of the manifests, which is what pages go on from.
    pub(super) ids: Vec<u64>,
}

pub(super) fn cases(size: Size, referrers: &Referrers) -> Vec<Case> {
    vec![
        tags(size),
        catalog(size, Account::Admin),
        catalog(size, Account::Member),
        refused_catalog(),
        manifests(size),
        of_subject(size, referrers),
        projects(size, Account::Admin),
        projects(size, Account::Member),
        projects(size, Account::Nobody),
    ]
}

fn tags(size: Size) -> Case {
    let repository = size.repository(0);
    let path = format!("/v2/{repository}/tags/list?n={PAGE}");
    let after = |last: u64| {
        let left = size.crowd - 1 - last;
        let first = format!("t{:06}", last + 1);
        (
            format!("{path}&last=t{last:06}"),
            left.min(PAGE) as i64,
            first,
        )
    };
    let end = size.crowd - 1 - PAGE;
    Case {
        title: "tags of the large repository",
        account: Account::Admin,
        places: named([
            vec![(path.clone(), PAGE as i64, "t000000".to_owned())],
            (0..SPREAD).map(|n| after(size.crowd / 2 + n)).collect(),
            (0..SPREAD).map(|n| after(end - n)).collect(),
        ]),
        repository: Some(repository),
        status: 200,
    }
}

/// Which repositories are seen, as numbers, is known; pages are asked from where they lie.
fn catalog(size: Size, account: Account) -> Case {
    let mine = member_of(size);
    let seen = |number: &u64| {
        let project = size.project_of(*number);
        account == Account::Admin || size.is_public(project) || mine.contains(&project)
    };
    let seen: Vec<u64> = (0..size.repositories).filter(seen).collect();
    let from = |at: usize| {
        let left = (seen.len() - at).min(PAGE as usize) as i64;
        let path = match at.checked_sub(1) {
            None => format!("/v2/_catalog?n={PAGE}"),
            Some(before) => format!(
                "/v2/_catalog?n={PAGE}&last={}",
                size.repository(seen[before])
            ),
        };
        (path, left, size.repository(seen[at]))
    };
    let (middle, end) = (seen.len() / 2, seen.len() - PAGE as usize);
    let few = SPREAD as usize;
    Case {
        title: match account {
            Account::Admin => "catalog, administrator",
            _ => "catalog, member of three projects",
        },
        account,
        repository: None,
        status: 200,
        places: named([
            vec![from(0)],
            (0..few).map(|n| from(middle + n)).collect(),
            (0..few).map(|n| from(end - n)).collect(),
        ]),
    }
}

/// The catalog is nothing for those who are not signed in.
fn refused_catalog() -> Case {
    Case {
        title: "catalog, not signed in (401)",
        account: Account::Nobody,
        repository: None,
        status: 401,
        places: vec![Place {
            name: NAMES[0],
            requests: vec![(format!("/v2/_catalog?n={PAGE}"), 0, String::new())],
        }],
    }
}

fn manifests(size: Size) -> Case {
    let repository = size.repository(0);
    let at = |tag: u64| {
        (
            format!("/v2/{repository}/manifests/t{tag:06}"),
            -1,
            String::new(),
        )
    };
    let places = real_tags(size).map(|first| (first..first + SPREAD).map(at).collect());
    Case {
        title: "manifest by tag",
        account: Account::Admin,
        places: named(places),
        repository: Some(repository),
        status: 200,
    }
}

/// Pages have a size of their own.
fn of_subject(size: Size, referrers: &Referrers) -> Case {
    /// Of the server.
    const PAGE: usize = 200;
    let repository = size.repository(0);
    let path = format!("/v2/{repository}/referrers/{}", referrers.subject);
    let count = referrers.digests.len();
    let from = |at: usize| {
        let path = match at.checked_sub(1) {
            None => path.clone(),
            Some(before) => format!("{path}?after={}", referrers.ids[before]),
        };
        (
            path,
            (count - at).min(PAGE) as i64,
            referrers.digests[at].clone(),
        )
    };
    Case {
        title: "referrers of a subject",
        account: Account::Admin,
        places: named([vec![from(0)], vec![from(count / 4)], vec![from(count / 2)]]),
        repository: Some(repository),
        status: 200,
    }
}

/// The REST list, which is asked by the number of the page. There is one project before all others, public.
fn projects(size: Size, account: Account) -> Case {
    let mine = member_of(size);
    let seen = |number: &u64| match account {
        Account::Admin => true,
        Account::Member => size.is_public(*number) || mine.contains(number),
        Account::Nobody => size.is_public(*number),
    };
    let mut names = vec!["library".to_owned()];
    names.extend((0..size.projects()).filter(seen).map(project));
    let items = (names.len() / 3).clamp(1, PAGE as usize);
    let pages = names.len().div_ceil(items);
    let page = |number: usize| {
        let rest = &names[number * items..];
        let path = format!("/api/v2.0/projects?page_size={items}&page={}", number + 1);
        vec![(path, rest.len().min(items) as i64, rest[0].clone())]
    };
    Case {
        title: match account {
            Account::Admin => "projects (REST), administrator",
            Account::Member => "projects (REST), member of three",
            Account::Nobody => "projects (REST), not signed in",
        },
        account,
        repository: None,
        status: 200,
        places: named([page(0), page(pages / 2), page(pages - 1)]),
    }
}

fn named(places: [Vec<Page>; 3]) -> Vec<Place> {
    let pairs = NAMES.into_iter().zip(places);
    pairs
        .map(|(name, requests)| Place { name, requests })
        .collect()
}
