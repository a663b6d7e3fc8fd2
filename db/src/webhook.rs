//! Webhooks: policies of projects, the targets to which they send, and what waits to be sent.
//!
//! **From an event to a request.** One job follows the audit log, never past an open transaction
//! ([`crate::audit::chain::horizon`]): the transaction that adds the deliveries of an entry also moves the place in the
//! log, so that none is missed and none added twice. What the log does not have is a [`note`], which the transaction that
//! adds its deliveries removes. Another job sends what waits; an attempt and what follows from it are one transaction. A
//! process that dies in between sends a request again, with the same id.
//!
//! **Order.** A delivery waits until those before it with the same target and subject have ended. An unreachable target
//! is tried again later as a whole, so that it costs nothing meanwhile.
//!
//! **Bounds.** What has waited for [`LONGEST`] is given up. A target that has not answered for as long is skipped: all but
//! the newest delivery to it is given up, until one succeeds.

pub mod cleaning;
pub mod delivery;
pub mod follow;
pub mod note;
pub mod policy;
pub mod target;
pub mod trigger;

use std::time::Duration;

/// How long something waits to be sent, and a target may fail, at most.
pub const LONGEST: Duration = Duration::from_secs(7 * 86_400);
