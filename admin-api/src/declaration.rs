//! Declarations of routes. utoipa's attribute on a handler says its method, its path, its bodies and its answers; the
//! handler's signature says whose requests it serves and which parameters it reads. Router, permission table,
//! documentation and metric labels come from these declarations.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use policy::{Action, Resource, SystemResource};
use utoipa::ToSchema as _;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::AdminState;
use crate::error::Errors;
use crate::input::Input;

/// What a caller needs for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: the route serves everyone, though some may see more than others.
    Nobody,
    /// A signed-in caller.
    SignedIn,
    /// The rights of a system administrator.
    System,
    /// An action on a resource of the system, which robots may be given.
    OnSystem(SystemResource, Action),
    /// An action on robots of the project that the request or the robot names, or on those of the system.
    Robot(Action),
    /// The rights of a project admin anywhere, or those of a system administrator.
    AnyProjectAdmin,
    /// The user in the path, or a system administrator.
    User,
    /// An action on a resource of the project in the path.
    Project(Resource, Action),
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nothing"),
            Self::SignedIn => f.write_str("an account"),
            Self::System => f.write_str("system administrator"),
            Self::OnSystem(resource, action) => {
                let (resource, action) = (resource.name(), action.name());
                write!(
                    f,
                    "system administrator, or a robot with `{resource}` {action}"
                )
            }
            Self::Robot(action) => {
                write!(
                    f,
                    "`robot` {} in its project, or of the system",
                    action.name()
                )
            }
            Self::AnyProjectAdmin => f.write_str("project admin, or system administrator"),
            Self::User => f.write_str("that user, or system administrator"),
            Self::Project(resource, action) => {
                write!(f, "`{}` {}", resource.name(), action.name())
            }
        }
    }
}

/// An extractor that lets a request through only if its caller has what is needed.
pub trait Permission: Input {
    /// What the caller needs.
    const NEEDS: Needs;
}

/// Stands for the position of the permission in a handler's signature.
#[derive(Debug)]
pub enum At<const POSITION: usize> {}

/// A handler that asks for exactly one permission. Without one it cannot be declared:
///
/// ```
/// use gantry_admin_api::{Declarations, Everyone};
///
/// /// Answers everyone.
/// #[utoipa::path(get, path = "/api/v2.0/example", responses((status = 200)))]
/// async fn open(_: Everyone) {}
///
/// let declared = Declarations::default().with(utoipa_axum::routes!(open), open);
/// assert_eq!(declared.routes()[0].path, "/api/v2.0/example");
/// ```
///
/// ```compile_fail,E0277
/// use gantry_admin_api::{Declarations, Everyone};
///
/// /// Answers everyone.
/// #[utoipa::path(get, path = "/api/v2.0/example", responses((status = 200)))]
/// async fn open() {}
///
/// let declared = Declarations::default().with(utoipa_axum::routes!(open), open);
/// ```
#[diagnostic::on_unimplemented(
    message = "the handler `{Self}` does not ask for exactly one permission",
    note = "take `Allowed<R, A>`, `Granted<P>` or `Everyone` as an argument, and others that are `Input`"
)]
pub trait Guarded<Inputs, Position> {
    /// What its callers need.
    const NEEDS: Needs;

    /// The parameters that its arguments read.
    fn parameters() -> Vec<Parameter>;
}

/// A handler whose arguments are `before`, the permission, and `after`.
macro_rules! guarded {
    ($($position:literal: ($($before:ident)*) ($($after:ident)*);)*) => {$(
        impl<F, Answer, $($before,)* P, $($after,)*>
            Guarded<($($before,)* P, $($after,)*), At<$position>> for F
        where
            F: Fn($($before,)* P, $($after,)*) -> Answer,
            P: Permission,
            $($before: Input,)*
            $($after: Input,)*
        {
            const NEEDS: Needs = P::NEEDS;

            fn parameters() -> Vec<Parameter> {
                let parameters = [$($before::parameters(),)* P::parameters(), $($after::parameters(),)*];
                parameters.into_iter().flatten().collect()
            }
        }
    )*};
}

guarded! {
    0: () ();
    0: () (A);
    0: () (A B);
    0: () (A B C);
    0: () (A B C D);
    0: () (A B C D E);
    1: (A) ();
    1: (A) (B);
    1: (A) (B C);
    1: (A) (B C D);
    1: (A) (B C D E);
    2: (A B) ();
    2: (A B) (C);
    2: (A B) (C D);
    3: (A B C) ();
    3: (A B C) (D);
    3: (A B C) (D E);
}

/// A route and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// The path, with parameters in braces.
    pub path: String,
    /// What the caller needs.
    pub needs: Needs,
    /// What it does, in a sentence or a few.
    pub description: String,
}

/// Declared routes.
pub struct Declarations {
    router: OpenApiRouter<Arc<AdminState>>,
    routes: Vec<Route>,
}

impl Default for Declarations {
    fn default() -> Self {
        Self {
            router: OpenApiRouter::new(),
            routes: Vec::new(),
        }
    }
}

impl Declarations {
    /// Declares a handler from `utoipa_axum::routes!`; the handler is given a second time for its signature.
    #[must_use]
    pub fn with<H, I, P>(
        mut self,
        (schemas, mut paths, router): UtoipaMethodRouter<Arc<AdminState>>,
        _: H,
    ) -> Self
    where
        H: Guarded<I, P>,
    {
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                document(operation, method, H::NEEDS, H::parameters());
                self.routes.push(Route {
                    method,
                    path: path.clone(),
                    needs: H::NEEDS,
                    description: described(operation),
                });
            }
        }
        self.router = self.router.routes((schemas, paths, router));
        self
    }

    /// All routes, in the order of their declaration.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The router, and its OpenAPI document.
    pub(crate) fn split(self) -> (Router<Arc<AdminState>>, OpenApi) {
        self.router.split_for_parts()
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("GET", &mut item.get),
        ("HEAD", &mut item.head),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
    ];
    let declared = all.into_iter();
    declared.filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds what a handler's signature says.
fn document(operation: &mut Operation, method: &str, needs: Needs, parameters: Vec<Parameter>) {
    let declared = operation.parameters.get_or_insert_default();
    declared.splice(0..0, parameters.into_iter().map(RefOr::T));
    let refusals = refusals(operation, method, needs);
    let answers = &mut operation.responses.responses;
    for (status, description) in refusals {
        let answer = answers.entry(status.to_owned());
        answer.or_insert_with(|| RefOr::T(refusal(description)));
    }
    let extensions = operation.extensions.get_or_insert_default();
    extensions.insert("x-needs".to_owned(), needs.to_string().into());
}

/// A status and its meaning.
type Refusal = (&'static str, &'static str);

const NOT_SIGNED_IN: Refusal = ("401", "The caller is not signed in.");
const NOT_ALLOWED: Refusal = ("403", "The caller may not do it.");
const NOT_WRITTEN: Refusal = (
    "403",
    "The caller may not do it, a browser sent no CSRF token, or nothing may be written now.",
);
const INVALID: Refusal = ("400", "A value breaks a rule; the message names it.");
const UNKNOWN: Refusal = (
    "404",
    "There is nothing of that name or ID that the caller may see.",
);
const TAKEN: Refusal = (
    "409",
    "It is there already, or is being changed by another request.",
);
const HELD: Refusal = ("412", "Something that is there is in the way.");
const TOO_LARGE: Refusal = ("413", "The body is too large.");
const MALFORMED: Refusal = ("422", "A value is not of its type; the message names it.");
const TOO_MANY: Refusal = ("429", "Too many failed sign-ins or requests.");
const AWAY: Refusal = ("503", "It cannot be done now; try again.");

/// The possible refusals of an operation, by its inputs and effects. A handler's attribute names those specific to it.
fn refusals(operation: &Operation, method: &str, needs: Needs) -> Vec<Refusal> {
    let reads = |place: ParameterIn| {
        let parameters = operation.parameters.iter().flatten();
        parameters
            .filter_map(|parameter| match parameter {
                RefOr::T(parameter) => Some(&parameter.parameter_in),
                RefOr::Ref(_) => None,
            })
            .any(|found| *found == place)
    };
    let by_needs: &[Refusal] = match needs {
        // The requested objects may need more.
        Needs::Nobody if !reads(ParameterIn::Query) => &[],
        _ => &[NOT_SIGNED_IN, NOT_ALLOWED],
    };
    let by_method: &[Refusal] = match method {
        "GET" | "HEAD" => &[],
        "DELETE" => &[NOT_WRITTEN, HELD],
        _ => &[NOT_WRITTEN, TAKEN, HELD],
    };
    let groups: [(bool, &[Refusal]); 6] = [
        (true, by_method),
        (true, by_needs),
        (reads(ParameterIn::Path), &[INVALID, UNKNOWN, MALFORMED]),
        (reads(ParameterIn::Query), &[INVALID, MALFORMED]),
        (
            operation.request_body.is_some(),
            &[INVALID, UNKNOWN, TOO_LARGE, MALFORMED],
        ),
        (true, &[TOO_MANY, AWAY]),
    ];
    let possible = groups.into_iter().filter(|(possible, _)| *possible);
    possible
        .flat_map(|(_, refusals)| refusals)
        .copied()
        .collect()
}

fn refusal(description: &str) -> Response {
    let body = Ref::from_schema_name(Errors::name());
    ResponseBuilder::new()
        .description(description)
        .content("application/json", Content::new(Some(body)))
        .build()
}

/// The text of the comment on a handler.
fn described(operation: &Operation) -> String {
    let texts = [&operation.summary, &operation.description];
    let texts = texts.into_iter().flatten().map(|text| text.trim());
    let lines = texts.flat_map(str::lines).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}
