//! How far the audit log may be read: never past a transaction that may still add an entry before one that is there
//! already. Where writers overlap, it is settled at the next look.

use db::Reader;
use db::audit::chain::{self, Horizon};
use parking_lot::Mutex;

use crate::Result;

/// What one reader of the log waits for.
#[derive(Default)]
pub(crate) struct Settling(Mutex<Option<Horizon>>);

impl Settling {
    /// The newest entry up to which no other one can appear; `None` if open transactions have to end first.
    pub(crate) async fn last(&self, reader: &mut Reader) -> Result<Option<i64>> {
        let before = self.0.lock().take();
        let horizon = match before {
            Some(horizon) => horizon,
            None => chain::horizon(reader).await?,
        };
        if chain::is_settled(reader, &horizon).await? {
            return Ok(Some(horizon.last_id));
        }
        *self.0.lock() = Some(horizon);
        Ok(None)
    }
}
