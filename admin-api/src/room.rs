//! Memory for an answer until it is built: for the rows of a list, what belongs to them, and their JSON. When it is
//! sent, it is a body like others.
//!
//! It is taken before the rows are read. Dependent rows, such as the tags of artifacts, are charged once they are read
//! and before they are shown; if there is no memory for them, the request is refused, since waiting would hold memory
//! that others wait for.
//!
//! Together with the memory for rows, a request gets a turn at the database, which ends once the rows are rendered.

use std::sync::Arc;

use axum::Extension;
use policy::Caller;
use registry::memory::{PATIENCE, holder};
use storage::budget::Reservation;

use crate::{AdminState, Error};

/// Memory that a row needs until it is sent, in bytes, without long texts and dependent rows.
const ROW: usize = 6 << 10;
/// The same for a dependent row.
const HANGING: usize = 1 << 10;
/// How many copies of a long text exist: as read, and as JSON.
const COPIES: usize = 2;

/// Memory for an answer.
pub(crate) struct Room {
    place: Reservation,
    _turn: Reservation,
    used: usize,
    /// Maximum for an answer if nobody else holds anything.
    most: usize,
}

/// The memory of an answer, in the extensions of the response. The gateway removes it once the body has memory of its
/// own.
#[derive(Clone, Debug)]
pub struct HeldRoom {
    _place: Arc<Reservation>,
}

/// Waits for a turn at the database: see [`BodyMemory::turn`](registry::memory::BodyMemory::turn).
///
/// # Errors
/// [`Error::Busy`] if there is none in time.
pub(crate) async fn turn(app: &AdminState, caller: &Caller) -> Result<Reservation, Error> {
    let turn = app.registry.memory().turn(holder(caller)).await;
    turn.map_err(|_| Error::Busy)
}

impl Room {
    /// Waits for memory for a number of rows, and for a turn to read them.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is none in time.
    pub(crate) async fn for_rows(
        app: &AdminState,
        caller: &Caller,
        rows: usize,
    ) -> Result<Self, Error> {
        let (memory, used) = (app.registry.memory(), rows * ROW);
        let answers = memory.answers();
        let place = answers.take(holder(caller), used, PATIENCE).await;
        let place = place.map_err(|_| Error::Busy)?;
        Ok(Self {
            place,
            _turn: turn(app, caller).await?,
            used,
            most: answers.largest_share(),
        })
    }

    /// Takes memory for long texts of this many bytes that were read.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is none, [`Error::BadRequest`] if there never is.
    pub(crate) fn texts(&mut self, bytes: usize) -> Result<(), Error> {
        self.charge(bytes * COPIES)
    }

    /// Takes memory for this many dependent rows that were read.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is none, [`Error::BadRequest`] if there never is.
    pub(crate) fn hanging(&mut self, rows: usize) -> Result<(), Error> {
        self.charge(rows * HANGING)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Error> {
        self.used += bytes;
        if self.used > self.most {
            return Err(Error::BadRequest(format!(
                "page_size: what these rows show takes more than {} bytes: ask for fewer at a time",
                self.most
            )));
        }
        match self.place.try_grow_to(self.used) {
            true => Ok(()),
            false => Err(Error::Busy),
        }
    }

    /// Only its memory, for an answer that is read in parts.
    pub(crate) fn memory(self) -> Reservation {
        self.place
    }

    /// The extension with which the answer holds the memory.
    pub(crate) fn held(self) -> Extension<HeldRoom> {
        let _place = Arc::new(self.place);
        Extension(HeldRoom { _place })
    }
}
