//! One way to run a statement on either database: connections to read and write with, statements with bound
//! values, and rows that are parsed into model types.

mod connection;
mod pooled;
mod query;
mod reader;
mod row;
mod span;
mod value;

pub(crate) use pooled::unreachable;
pub(crate) use query::{Query, Reading, is_pooler_conflict};
pub use reader::{Reader, Tx};
pub(crate) use row::{Row, Stored, row, select_list, stored_names};
pub(crate) use value::{Value, hex_of, ids_of_postgres, json_digests, json_list};
