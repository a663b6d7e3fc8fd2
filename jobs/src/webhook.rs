//! Webhooks: what happens in projects is sent to servers that their administrators name.
//!
//! One job follows the audit log and adds what is to be sent ([`follow`]); another one sends it ([`send`]). So a push
//! waits for no receiver, and nothing is lost with a process: see [`db::webhook`]. How a receiver is asked, and what its
//! answer means, is in [`receiver`].

mod event;
mod follow;
mod form;
mod receiver;
mod send;
mod try_out;
mod works;

pub(crate) use self::follow::Follow;
pub(crate) use self::send::Dispatch;
pub use self::try_out::{Tried, try_out};
pub use self::works::Webhooks;
