//! The routes of the API: one table, from which the router is built, with the permission that each needs.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing;
use http::Uri;
use http::header::ACCEPT;
use policy::{Action, Resource};
use tower::util::MapRequest;

use crate::caller::Asked;
use crate::{
    AdminState, Error, health, member, ping, project, quota, repository, systeminfo, user,
};

/// The permission that a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// None: the route serves everyone, though some may see more than others.
    Nobody,
    /// An account.
    SignedIn,
    /// System administrator rights.
    System,
    /// The account in the path, or system administrator rights.
    Account,
    /// An action on a resource of the project in the path.
    Project(Resource, Action),
}

/// A route and its required permission.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// The required permission.
    pub needs: Needs,
}

/// Builds both the public table and the router from one table, so that they cannot differ.
macro_rules! routes {
    ($($method:ident $path:literal, $needs:expr => $handler:path;)*) => {
        /// All routes.
        pub const ROUTES: &[Route] = &[$(Route {
            method: method_name(stringify!($method)),
            path: $path,
            needs: $needs,
        }),*];

        fn routed() -> Router<Arc<AdminState>> {
            Router::new()$(
                .route($path, routing::$method($handler))
            )*
        }
    };
}

const fn method_name(function: &str) -> &'static str {
    match function.as_bytes() {
        b"get" => "GET",
        b"head" => "HEAD",
        b"post" => "POST",
        b"put" => "PUT",
        b"delete" => "DELETE",
        _ => panic!("a method that no route uses so far"),
    }
}

use Action::{Create, Delete, List, Read, Update};
use Needs::{Account, Nobody, Project, SignedIn, System};
use Resource::{Member, Metadata};

routes! {
    get "/api/version", Nobody => ping::version;
    get "/api/v2.0/ping", Nobody => ping::ping;
    get "/api/v2.0/health", Nobody => health::health;
    get "/api/v2.0/systeminfo", Nobody => systeminfo::general;
    get "/api/v2.0/systeminfo/volumes", System => systeminfo::volumes;
    get "/api/v2.0/systeminfo/getcert", Nobody => systeminfo::certificate;

    get "/api/v2.0/users", System => user::list::list;
    post "/api/v2.0/users", System => user::create::create;
    get "/api/v2.0/users/search", SignedIn => user::list::search;
    get "/api/v2.0/users/current", SignedIn => user::get::current;
    get "/api/v2.0/users/current/permissions", SignedIn => user::permission::list;
    get "/api/v2.0/users/{user_id}", Account => user::get::get;
    put "/api/v2.0/users/{user_id}", Account => user::update::update;
    delete "/api/v2.0/users/{user_id}", System => user::delete::delete;
    put "/api/v2.0/users/{user_id}/password", Account => user::password::set;
    put "/api/v2.0/users/{user_id}/sysadmin", System => user::sysadmin::set;

    head "/api/v2.0/projects", SignedIn => project::get::head;
    get "/api/v2.0/projects", Nobody => project::list::list;
    post "/api/v2.0/projects", SignedIn => project::create::create;
    get "/api/v2.0/projects/{project_name_or_id}", Project(Resource::Project, Read) => project::get::get;
    put "/api/v2.0/projects/{project_name_or_id}", Project(Resource::Project, Update) => project::update::update;
    delete "/api/v2.0/projects/{project_name_or_id}", Project(Resource::Project, Delete) => project::delete::delete;
    get "/api/v2.0/projects/{project_name_or_id}/_deletable", Project(Resource::Project, Delete) => project::delete::deletable;
    get "/api/v2.0/projects/{project_name_or_id}/summary", Project(Resource::Project, Read) => project::summary::summary;
    get "/api/v2.0/projects/{project_name_or_id}/metadatas", Project(Metadata, List) => project::metadata::list;
    get "/api/v2.0/projects/{project_name_or_id}/metadatas/{meta_name}", Project(Metadata, Read) => project::metadata::get;

    get "/api/v2.0/projects/{project_name}/repositories", Project(Resource::Repository, List) => repository::list::list;
    get "/api/v2.0/projects/{project_name}/repositories/{repository_name}", Project(Resource::Repository, Read) => repository::get::get;
    delete "/api/v2.0/projects/{project_name}/repositories/{repository_name}", Project(Resource::Repository, Delete) => repository::delete::delete;

    get "/api/v2.0/quotas", System => quota::list;
    get "/api/v2.0/quotas/{id}", System => quota::get;
    put "/api/v2.0/quotas/{id}", System => quota::update;

    get "/api/v2.0/projects/{project_name_or_id}/members", Project(Member, List) => member::get::list;
    post "/api/v2.0/projects/{project_name_or_id}/members", Project(Member, Create) => member::create::create;
    get "/api/v2.0/projects/{project_name_or_id}/members/{mid}", Project(Member, Read) => member::get::get;
    put "/api/v2.0/projects/{project_name_or_id}/members/{mid}", Project(Member, Update) => member::update::update;
    delete "/api/v2.0/projects/{project_name_or_id}/members/{mid}", Project(Member, Delete) => member::update::remove;
}

/// The API, for paths below `/api`, with [`crate::ClientAddress`] in the extensions of each request.
///
/// Extensions of the response carry what the gateway logs: the route's [`MatchedPath`], and the [`policy::Caller`] if
/// the route extracted it.
pub fn router(state: Arc<AdminState>) -> Router {
    let routes = routed()
        .layer(from_fn(negotiate))
        .layer(from_fn(tell))
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .with_state(state);
    Router::new().fallback_service(MapRequest::new(routes, tidy))
}

/// Like Harbor, merges consecutive slashes and ignores a trailing one.
fn tidy(mut request: Request) -> Request {
    let path = request.uri().path();
    if !path.contains("//") && !path.ends_with('/') {
        return request;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let query = request.uri().query();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    if let Ok(uri) = format!("/{}{query}", parts.join("/")).parse() {
        *request.uri_mut() = uri;
    }
    request
}

/// Adds to the response what the gateway logs about a request.
async fn tell(mut request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let asked = Asked::default();
    request.extensions_mut().insert(asked.clone());
    let mut response = next.run(request).await;
    if let Some(matched) = matched {
        response.extensions_mut().insert(matched);
    }
    if let Some(caller) = asked.get() {
        response.extensions_mut().insert(caller);
    }
    response
}

async fn not_found(uri: Uri) -> Error {
    Error::NotFound(format!("path {} was not found", uri.path()))
}

async fn wrong_method(path: MatchedPath, request: Request) -> Error {
    let methods = ROUTES.iter().filter(|route| route.path == path.as_str());
    let allowed: Vec<_> = methods.map(|route| route.method).collect();
    Error::MethodNotAllowed {
        method: request.method().to_string(),
        allowed: allowed.join(","),
    }
}

/// Refuses clients that do not accept JSON if the response is JSON.
async fn negotiate(request: Request, next: Next) -> Result<Response, Error> {
    let other = ["/ping", "/getcert"];
    let path = request.uri().path();
    let json = !other.iter().any(|end| path.ends_with(end));
    if json && !takes_json(&request) {
        return Err(Error::Validation(
            "unsupported media type requested, only [application/json] are available".to_owned(),
        ));
    }
    Ok(next.run(request).await)
}

fn takes_json(request: &Request) -> bool {
    let mut given = request.headers().get_all(ACCEPT).iter().peekable();
    let fits = |range: &str| {
        let kind = range.split(';').next().unwrap_or_default().trim();
        kind.is_empty()
            || ["*/*", "application/*", "application/json"]
                .iter()
                .any(|fit| kind.eq_ignore_ascii_case(fit))
    };
    given.peek().is_none()
        || given
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(fits)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// The beginning of a route's "needs" cell in docs/api.md; the cell may say more.
    fn needs(route: &Route) -> String {
        match route.needs {
            Nobody => "nothing".to_owned(),
            SignedIn => "an account".to_owned(),
            System => "system administrator".to_owned(),
            Account => "that account".to_owned(),
            Project(resource, action) => format!("`{}` {}", resource.name(), action.name()),
        }
    }

    /// Method, path and needs of the rows below `| route | needs |`.
    fn documented(text: &str) -> Vec<(String, String, String)> {
        let table = text.lines().skip_while(|line| *line != "| route | needs |");
        let rows = table.skip(2).take_while(|line| line.starts_with('|'));
        let routes = rows.flat_map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let route = cells[1].replace(['`', ','], "");
            let mut words: Vec<String> = route.split(' ').map(str::to_owned).collect();
            let path = words.pop().unwrap_or_default();
            let path = path.split('?').next().unwrap_or_default().to_owned();
            let needs = cells[2].to_owned();
            let row = move |method| (method, path.clone(), needs.clone());
            words.into_iter().map(row).collect::<Vec<_>>()
        });
        routes.collect()
    }

    #[test]
    fn the_documentation_has_every_route_with_what_it_needs_and_none_else() {
        let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
        let text = std::fs::read_to_string(folder.join("../docs/api.md")).unwrap();
        let documented = documented(&text);
        assert_eq!(documented.len(), ROUTES.len());
        for route in ROUTES {
            let found = documented
                .iter()
                .find(|(method, path, _)| method == route.method && path == route.path);
            let (_, _, said) = found.unwrap_or_else(|| panic!("{route:?} is not documented"));
            assert!(said.starts_with(&needs(route)), "{route:?}: {said}");
        }
    }
}
