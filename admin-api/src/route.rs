//! The routes of the API, as their handlers declare them, and what all of them share.

use std::sync::{Arc, LazyLock};

use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router};
use db::statements;
use http::Uri;
use http::header::ACCEPT;
use tower::util::MapRequest;
use utoipa_axum::routes;

use crate::caller::Asked;
use crate::declaration::{Declarations, Route};
use crate::openapi::Document;
use crate::{
    AdminState, Error, access, account, artifact, audit, bulk, capability, certificate,
    configuration, csrf, cve_allowlist, execution, explore, group, health, home, icon,
    immutable_rule, job_service, label, ldap, mail, me, member, notice, oidc, openapi, permission,
    ping, project, quota, read_only, registry, registry_notification, replication, repository,
    retention, robot, search, session, statistics, storage, systeminfo, tag, usage, user, webhook,
    workload_rule,
};

/// Declares handlers: `routes!` reads their attributes, and `with` their signatures.
macro_rules! declare {
    ($($($part:ident)::+,)*) => {
        Declarations::default()$(.with(routes!($($part)::+), $($part)::+))*
    };
}

fn declarations() -> Declarations {
    declare! {
        ping::version,
        openapi::document,
        ping::ping,
        health::health,
        systeminfo::general,
        systeminfo::volumes,
        systeminfo::certificate,

        user::list::list,
        user::create::create,
        user::list::search,
        user::get::current,
        user::permission::list,
        user::get::get,
        user::update::update,
        user::delete::delete,
        user::erase::erase,
        user::link::join,
        user::link::unlink,
        user::password::set,
        user::sysadmin::set,
        oidc::cli_secret::set,

        project::get::head,
        project::list::list,
        project::create::create,
        project::get::get,
        project::update::update,
        project::delete::delete,
        project::delete::deletable,
        project::deleted::list,
        project::deleted::restore,
        project::summary::summary,
        project::owner::set,
        project::metadata::list,
        project::metadata::get,
        project::metadata::change::add,
        project::metadata::change::set,
        project::metadata::change::remove,

        repository::list::list_all,
        repository::list::list,
        repository::get::get,
        repository::update::update,
        repository::delete::delete,

        artifact::list::list_in_project,
        artifact::list::list,
        artifact::copy::copy,
        artifact::get::get,
        artifact::delete::delete,
        artifact::accessory::list,
        artifact::addition::get,
        icon::get,

        tag::list::list,
        tag::create::create,
        tag::delete::delete,
        tag::overview::list,
        tag::history::list,
        tag::history::restore,

        statistics::get,
        search::search,

        configuration::list,
        configuration::update,

        audit::list::extended,
        audit::event::list,
        audit::list::brief,
        audit::list::extended_of_project,
        audit::list::brief_of_project,
        audit::export::export,
        audit::series::count,
        audit::series::pulls,
        audit::series::pushes,
        audit::forward::list,
        audit::forward::test,
        registry_notification::list,

        label::list::list,
        label::create::create,
        label::list::get,
        label::change::update,
        label::change::delete,
        label::attach::add,
        label::attach::remove,

        immutable_rule::list,
        immutable_rule::create,
        immutable_rule::update,
        immutable_rule::delete,

        retention::metadata::get,
        retention::policy::create,
        retention::policy::get,
        retention::policy::update,
        retention::policy::delete,
        retention::execution::start,
        retention::execution::list,
        retention::execution::stop,
        retention::task::list,
        retention::task::log,

        workload_rule::list,
        workload_rule::create,
        workload_rule::get,
        workload_rule::update,
        workload_rule::delete,
        workload_rule::test,

        execution::gc::list,
        execution::gc::scheduled,
        execution::gc::create,
        execution::gc::update,
        execution::gc::get,
        execution::gc::stop,
        execution::gc::log,

        execution::purge_audit::list,
        execution::purge_audit::scheduled,
        execution::purge_audit::create,
        execution::purge_audit::update,
        execution::purge_audit::get,
        execution::purge_audit::stop,
        execution::purge_audit::log,

        job_service::schedule::list,
        job_service::schedule::next,
        job_service::schedule::paused,
        job_service::worker::pools,
        job_service::worker::workers,
        job_service::job::stop,
        job_service::job::log,
        job_service::queue::list,
        job_service::queue::act,
        job_service::list::list,
        job_service::list::get,
        job_service::list::stop,
        job_service::list::retry,

        registry::list::list,
        registry::create::create,
        registry::ping::ping,
        registry::list::get,
        registry::change::update,
        registry::change::delete,
        registry::info::info,
        registry::info::adapters,
        registry::info::adapter_infos,

        replication::policy::list,
        replication::policy::create,
        replication::policy::get,
        replication::policy::update,
        replication::policy::delete,
        replication::execution::list,
        replication::execution::start,
        replication::execution::get,
        replication::execution::stop,
        replication::execution::dry_run,
        replication::execution::retry,
        replication::task::list,
        replication::task::log,
        replication::version::site,
        replication::version::list,
        replication::version::set,
        replication::version::delete,

        webhook::policy::list,
        webhook::policy::create,
        webhook::policy::get,
        webhook::policy::update,
        webhook::policy::delete,
        webhook::execution::list,
        webhook::execution::tasks,
        webhook::execution::log,
        webhook::legacy::last_trigger,
        webhook::legacy::jobs,
        webhook::legacy::events,
        webhook::delivery::list,
        webhook::delivery::get,
        webhook::delivery::redeliver,
        webhook::state::list,
        webhook::state::test,

        cve_allowlist::get,
        cve_allowlist::update,

        quota::list,
        quota::get,
        quota::update,

        member::get::list,
        member::create::create,
        member::get::get,
        member::update::update,
        member::update::remove,
        member::expected::list,
        member::expected::create,
        member::expected::delete,

        ldap::ping::ping,
        ldap::user::search,
        ldap::user::import,
        ldap::group::search,
        oidc::ping::ping,

        group::list::list,
        group::list::search,
        group::change::create,
        group::get::get,
        group::change::rename,
        group::change::delete,

        permission::list,
        robot::list::list,
        robot::create::create,
        robot::get::get,
        robot::update::update,
        robot::secret::set,
        robot::delete::delete,
        robot::usage::get,

        access::explain,
        access::matrix::list,

        capability::list,
        home::get,
        notice::list,
        notice::dismiss,
        explore::search,
        bulk::run,

        usage::projects,
        usage::repositories,
        usage::project,
        storage::overview,
        storage::largest,

        certificate::list,
        certificate::reload,
        certificate::acme,
        certificate::order,
        certificate::authority,

        me::preference::get,
        me::preference::put,
        me::favourite::get,
        me::favourite::put,
        me::access::list,

        session::sign_in::prepare,
        session::sign_in::sign_in,
        session::sign_out::sign_out,
        session::user_exists::user_exists,
        oidc::login::login,
        oidc::callback::callback,
        oidc::onboard::onboard,
        oidc::logout::logout,
        oidc::logout::back_channel,
        session::own::list,
        session::own::end,

        account::options::options,
        account::verify::verify,
        account::password::forgot,
        account::password::reset,
        mail::test,
    }
}

/// In the extensions of a response: how many statements the request ran.
#[derive(Clone, Copy, Debug)]
pub struct Statements(pub u64);

/// All routes, in the order of their declaration.
pub fn routes() -> &'static [Route] {
    static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| declarations().routes().to_vec());
    &ROUTES
}

/// The API, for paths below `/api` and `/c`, with [`crate::ClientAddress`] in the extensions of each request.
///
/// Extensions of the response carry what the gateway logs: the route's [`MatchedPath`], the [`policy::Caller`] if the route
/// extracted it, and the number of [`Statements`].
pub fn router(state: Arc<AdminState>) -> Router {
    let (routes, declared) = declarations().split();
    let document = Document::new(declared, &state.info.version);
    let routes = routes
        .layer(Extension(document))
        .layer(from_fn(negotiate))
        // Before the body is read and the caller is identified, who makes no difference.
        .layer(from_fn_with_state(state.clone(), read_only::refuse_writing))
        .layer(from_fn_with_state(state.clone(), csrf::guard))
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
    let (mut response, statements) = statements::counted(next.run(request)).await;
    response.extensions_mut().insert(Statements(statements));
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
    let methods = routes().iter().filter(|route| route.path == path.as_str());
    let allowed: Vec<_> = methods.map(|route| route.method).collect();
    Error::MethodNotAllowed {
        method: request.method().to_string(),
        allowed: allowed.join(","),
    }
}

/// Refuses clients that do not accept JSON if the response is JSON.
async fn negotiate(request: Request, next: Next) -> Result<Response, Error> {
    let other = [
        "/ping",
        "/getcert",
        "/certificates/ca",
        "/audit/export",
        "/log",
    ];
    let path = request.uri().path();
    // Harbor's clients ask for text where they start an execution, too.
    let is_retention = path.contains("/retentions/") && path.contains("/executions");
    let is_text =
        other.iter().any(|end| path.ends_with(end)) || path.contains("/additions/") || is_retention;
    let json = !is_text;
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

    /// The table of docs/api.md, generated from the declarations.
    fn table() -> String {
        let rows = routes().iter().map(|route| {
            let Route {
                method,
                path,
                needs,
                description,
            } = route;
            format!("| `{method} {path}` | {needs} | {description} |\n")
        });
        rows.collect()
    }

    #[test]
    fn the_documentation_has_every_route_as_it_is_declared() {
        const HEAD: &str = "| route | needs | |\n|---|---|---|\n";
        let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
        let file = folder.join("../docs/api.md");
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, rest) = text.split_once(HEAD).unwrap();
        let (documented, after) = rest.split_once("\n\n").unwrap();
        let declared = table();
        if std::env::var_os("GANTRY_WRITE_DOCS").is_some() {
            let written = format!("{before}{HEAD}{declared}\n{after}");
            std::fs::write(&file, written).unwrap();
            return;
        }
        assert!(
            documented == declared.trim_end(),
            "docs/api.md is not what the handlers declare: run this with GANTRY_WRITE_DOCS=1"
        );
    }

    #[test]
    fn every_path_is_declared_with_its_own_parameters() {
        let (_, document) = declarations().split();
        let document = serde_json::to_value(&document).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            let mut named: Vec<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
            named.sort_unstable();
            for (method, operation) in item.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().unwrap().iter();
                let in_path = parameters.filter(|parameter| parameter["in"] == "path");
                let mut read: Vec<&str> = in_path
                    .map(|parameter| parameter["name"].as_str().unwrap())
                    .collect();
                read.sort_unstable();
                assert_eq!(read, named, "{method} {path}");
            }
        }
    }
}
