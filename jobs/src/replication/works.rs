//! What all parts of replication use.

use std::sync::Arc;

use db::Db;
use model::{Clock, Timestamp};
use outgoing::Guard;
use policy::Caller;
use registry::Registry;
use tenancy::secret::MasterKey;
use tenancy::setting::Settings;

use super::error::Copied;

/// What all parts of replication use.
#[derive(Clone)]
pub(crate) struct Works {
    pub(crate) db: Db,
    pub(crate) registry: Arc<Registry>,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Works {
    /// Who copies.
    pub(crate) fn caller() -> Caller {
        Caller::system(model::SystemTask::Replication)
    }

    /// The time, by the database.
    pub(crate) async fn now(&self) -> Copied<Timestamp> {
        Ok(self.db.now(&*self.clock).await?)
    }
}
