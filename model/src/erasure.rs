//! Taking a person's name out of the audit log: the payload of the job that does it.

use serde::{Deserialize, Serialize};

use crate::PrincipalId;

/// Takes a person's name out of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureJob {
    /// The person.
    pub principal: PrincipalId,
}

impl ErasureJob {
    /// The kind of these jobs.
    pub const JOB: &'static str = "erasure";
    /// The version of the payload.
    pub const VERSION: i64 = 1;
}
