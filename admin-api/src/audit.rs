//! The audit log: lists in both of Harbor's forms, the types of events, and an export of everything that a search finds.

pub(crate) mod event;
pub(crate) mod export;
pub(crate) mod list;
mod scope;
pub(crate) mod series;
mod view;
