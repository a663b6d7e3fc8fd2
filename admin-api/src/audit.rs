//! The audit log: lists in both of Harbor's forms, the types of events, an export of everything that a search
//! finds, and where the log is forwarded.

pub(crate) mod event;
pub(crate) mod export;
pub(crate) mod forward;
pub(crate) mod list;
mod scope;
pub(crate) mod series;
mod view;
