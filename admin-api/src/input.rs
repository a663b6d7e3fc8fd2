//! Inputs of handlers. Each extractor says which parameters it reads, so that the signature of a handler documents
//! them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use http::{HeaderMap, Uri};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Required, Type};

use crate::{AdminState, ClientAddress};

/// An input of a handler.
pub trait Input {
    /// The parameters of the request that it reads.
    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }
}

impl Input for State<Arc<AdminState>> {}
impl Input for Extension<ClientAddress> {}
impl Input for Uri {}
impl Input for HeaderMap {}

/// A parameter in the path.
pub(crate) fn in_path(name: &str, kind: Type, description: &str) -> Parameter {
    parameter(ParameterIn::Path, name, kind, description)
        .required(Required::True)
        .build()
}

/// A parameter in the query string that may be left out.
pub(crate) fn in_query(name: &str, kind: Type, description: &str) -> Parameter {
    parameter(ParameterIn::Query, name, kind, description).build()
}

/// A header that may be left out.
pub(crate) fn in_header(name: &str, kind: Type, description: &str) -> Parameter {
    parameter(ParameterIn::Header, name, kind, description).build()
}

/// The same parameter, which must not be left out.
pub(crate) fn required(mut parameter: Parameter) -> Parameter {
    parameter.required = Required::True;
    parameter
}

fn parameter(place: ParameterIn, name: &str, kind: Type, description: &str) -> ParameterBuilder {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .description(Some(description))
        .schema(Some(schema))
}
