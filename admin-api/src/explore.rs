//! One search over projects, repositories, tags and users that the caller may see.

use axum::Json;
use axum::extract::State;
use db::list::{Page, Selection, Test};
use db::tag::listing;
use db::{Reader, project, repository, user};
use policy::{Action, Caller, Resource, permit, system, to};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Everyone;
use crate::caller::By;
use crate::error::Rendered;
use crate::param::{Named, Params, Required};
use crate::project::list::viewer;
use crate::room::turn;
use crate::{App, Error};

/// A hit.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchHit)]
pub(crate) struct Hit {
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    /// `project`, `repository`, `tag` or `user`.
    kind: &'static str,
    /// The whole name: `team`, `team/app`, `team/app:v1`, `ann`.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<bool>,
}

impl Hit {
    fn new(kind: &'static str, name: impl ToString) -> Self {
        Self {
            description: String::new(),
            id: None,
            kind,
            name: name.to_string(),
            project_id: None,
            public: None,
        }
    }
}

/// The answer.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchHits)]
pub(crate) struct Hits {
    /// By kind, in the order of the names.
    hits: Vec<Hit>,
    /// Whether there may be more of some kind.
    truncated: bool,
}

/// `q`, in a search.
pub(crate) enum Text {}

impl Named for Text {
    const NAME: &'static str = "q";
    const DESCRIPTION: &'static str = "Part of a name, in any case; with a colon, a part of a repository's name and the beginning of a tag.";
}

const KINDS: [&str; 4] = ["project", "repository", "tag", "user"];
/// Default number of hits of each kind.
const FEW: i64 = 10;
const MOST: i64 = 50;
/// Maximum repositories whose tags are searched.
const REPOSITORIES: i64 = 20;

/// Finds projects, repositories and tags that the caller may see, and users for those who may list them: at most `limit` of
/// each kind. Tags are found by `REPOSITORY:TAG`.
#[utoipa::path(
    get, path = "/api/ext/v1/search", operation_id = "searchEverything", tag = "search",
    params(
        ("kinds" = Option<String>, Query, description = "Kinds, separated by commas: `project`, `repository`, `tag`, `user`. All by default."),
        ("limit" = Option<i64>, Query, description = "Hits of each kind: 10 by default, at most 50."),
    ),
    responses((status = 200, description = "What was found.", body = Hits))
)]
pub(crate) async fn search(
    text: Required<Text>,
    params: Params,
    _: Everyone,
    By(caller): By,
    State(app): App,
) -> Rendered<Hits> {
    let (kinds, limit) = (kinds(&params)?, limit(&params)?);
    let wants = |kind: &str| kinds.contains(&kind);
    let _turn = turn(&app, &caller).await?;
    let mut search = Search {
        reader: app.db.reader().await?,
        caller: &caller,
        limit,
        hits: Hits {
            hits: Vec::new(),
            truncated: false,
        },
    };
    match text.text.split_once(':') {
        // No other name has a colon.
        Some((name, tag)) if wants("tag") => search.tags(name, tag).await?,
        Some(_) => {}
        None => {
            if wants("project") {
                search.projects(&text.text).await?;
            }
            if wants("repository") {
                search.repositories(&text.text).await?;
            }
            if wants("user") {
                search.users(&text.text).await?;
            }
        }
    }
    Ok(Json(search.hits))
}

fn kinds(params: &Params) -> Result<Vec<&str>, Error> {
    let Some(given) = params.get("kinds") else {
        return Ok(KINDS.to_vec());
    };
    let named: Vec<&str> = given.split(',').map(str::trim).collect();
    match named.iter().find(|kind| !KINDS.contains(kind)) {
        Some(unknown) => Err(Error::Validation(format!(
            "kinds in query should be some of [{}]: {unknown:?}",
            KINDS.join(" ")
        ))),
        None => Ok(named),
    }
}

fn limit(params: &Params) -> Result<i64, Error> {
    let limit = params.int("limit")?.unwrap_or(FEW);
    match limit {
        1..=MOST => Ok(limit),
        _ => Err(Error::Validation(format!(
            "limit in query should be from 1 to {MOST}"
        ))),
    }
}

/// A running search.
struct Search<'a> {
    reader: Reader,
    caller: &'a Caller,
    limit: i64,
    hits: Hits,
}

impl Search<'_> {
    /// The first few rows, and one more to see whether there are more.
    const fn page(&self) -> Page {
        Page {
            offset: 0,
            limit: Some(self.limit + 1),
        }
    }

    fn add(&mut self, found: impl IntoIterator<Item = Hit>) {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let mut found = found.into_iter();
        self.hits.hits.extend(found.by_ref().take(limit));
        self.hits.truncated |= found.next().is_some();
    }

    async fn projects(&mut self, text: &str) -> Result<(), Error> {
        let selection = Selection {
            page: self.page(),
            ..Selection::all().with(project::NAME, Test::Contains(text.to_owned()))
        };
        let viewer = viewer(self.caller);
        let found = project::page(&mut self.reader, viewer, &selection).await?;
        let hit = |project: project::Project| Hit {
            id: Some(project.id.0),
            project_id: Some(project.id.0),
            public: Some(project.public),
            ..Hit::new("project", &project.name)
        };
        self.add(found.into_iter().map(hit));
        Ok(())
    }

    async fn found_repositories(
        &mut self,
        text: &str,
        page: Page,
    ) -> Result<Vec<repository::Repository>, Error> {
        let selection = Selection {
            page,
            ..Selection::all().with(repository::NAME, Test::Contains(text.to_owned()))
        };
        let viewer = viewer(self.caller);
        Ok(repository::page(&mut self.reader, viewer, &selection).await?)
    }

    async fn repositories(&mut self, text: &str) -> Result<(), Error> {
        let found = self.found_repositories(text, self.page()).await?;
        let hit = |repository: repository::Repository| Hit {
            id: Some(repository.id.0),
            project_id: Some(repository.project.0),
            ..Hit::new("repository", &repository.name)
        };
        self.add(found.into_iter().map(hit));
        Ok(())
    }

    async fn tags(&mut self, name: &str, tag: &str) -> Result<(), Error> {
        let some = Page {
            offset: 0,
            limit: Some(REPOSITORIES),
        };
        let mut repositories = self.found_repositories(name, some).await?;
        self.hits.truncated |= repositories.len() as i64 == REPOSITORIES;
        if let Some(robot) = &self.caller.authority.own {
            let may = |project| robot.permissions.in_project(project, Resource::Tag);
            repositories.retain(|found| may(found.project).contains(Action::List));
        }
        let ids: Vec<_> = repositories.iter().map(|found| found.id).collect();
        let found = listing::beginning(&mut self.reader, &ids, tag, self.limit + 1).await?;
        let hits = found.iter().filter_map(|(of, tag)| {
            let repository = repositories.iter().find(|found| found.id == *of)?;
            let name = format!("{}:{tag}", repository.name);
            Some(Hit {
                project_id: Some(repository.project.0),
                ..Hit::new("tag", name)
            })
        });
        let hits: Vec<Hit> = hits.collect();
        self.add(hits);
        Ok(())
    }

    async fn users(&mut self, text: &str) -> Result<(), Error> {
        if permit::permit_system::<(system::User, to::List)>(self.caller).is_err() {
            return Ok(());
        }
        let page = self.page();
        let (found, _) = user::search(&mut self.reader, text, page).await?;
        let hit = |user: user::User| Hit {
            id: Some(user.id.0),
            description: user.realname,
            ..Hit::new("user", &user.name)
        };
        self.add(found.into_iter().map(hit));
        Ok(())
    }
}
