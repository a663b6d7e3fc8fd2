//! The parts of HTTP that all requests and answers share: headers, hosts, query strings, bodies. Handling a request is
//! in `request`.

pub(crate) mod answer;
pub(crate) mod date;
pub(crate) mod finish;
mod forwarded;
pub(crate) mod header;
pub(crate) mod host;
pub(crate) mod peer;
pub(crate) mod query;
pub(crate) mod request_body;
pub(crate) mod request_id;
pub(crate) mod response_body;
pub(crate) mod windows;
