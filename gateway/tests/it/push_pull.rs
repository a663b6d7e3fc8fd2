//! Push, pull, mount, tag, list and delete over `/v2/`, as the distribution specification 1.1 describes them.

mod delete;
pub(crate) mod foreign;
pub(crate) mod manifest;
mod mount;
mod pull;
mod referrers;
mod session;
mod tags;
mod upload;

use crate::harness::Shared;

static SERVER: Shared = Shared::new(&[]);
