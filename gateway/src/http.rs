//! HTTP as all requests and answers share it: headers, hosts, query strings, bodies. What becomes of a request is
//! `request`.

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
