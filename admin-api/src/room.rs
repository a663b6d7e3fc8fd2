//! Memory for an answer until it is built: for the rows that a list reads, what it shows of them, and their JSON. Once it
//! is sent, it is a body like others.
//!
//! It is taken before the rows are read. What hangs on them, such as the tags of artifacts, is charged when it was read,
//! and before it is shown; what there is no room for is refused, since whoever waited would hold what others wait for.
//!
//! With the memory for rows comes a turn at the database, which ends once they are shown.

use std::sync::Arc;

use axum::Extension;
use policy::Caller;
use registry::memory::{PATIENCE, holder};
use storage::budget::Reservation;

use crate::{AdminState, Error};

/// Bytes that a row needs until it is sent, with what is shown of it, but for long texts and what hangs on it.
const ROW: usize = 6 << 10;
/// The same of a row that hangs on another.
const HANGING: usize = 1 << 10;
/// How often a long text is there: as it was read, and as JSON.
const COPIES: usize = 2;

/// Memory for an answer.
pub(crate) struct Room {
    place: Reservation,
    _turn: Reservation,
    used: usize,
    /// What an answer gets while nobody else has anything.
    most: usize,
}

/// The memory of an answer, among the extensions of the response. The gateway takes it away once the body has a place of
/// its own.
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
    /// Waits for room for a number of rows, and for a turn to read them.
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

    /// Makes room for long texts that were read, of so many bytes.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is none, [`Error::BadRequest`] if there never is.
    pub(crate) fn texts(&mut self, bytes: usize) -> Result<(), Error> {
        self.charge(bytes * COPIES)
    }

    /// Makes room for so many rows that were read and hang on others.
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

    /// Its memory alone, for an answer that is read in parts.
    pub(crate) fn memory(self) -> Reservation {
        self.place
    }

    /// What the answer carries, to hold the room.
    pub(crate) fn held(self) -> Extension<HeldRoom> {
        let _place = Arc::new(self.place);
        Extension(HeldRoom { _place })
    }
}
