//! How far executions and tasks are, and how the tasks of an execution make its status.

use model::{ExecutionId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Tx, stored_names};

/// How far an execution or a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// A task waits.
    Pending,
    /// A task has a job that waits.
    Scheduled,
    /// It is being done.
    Running,
    /// It succeeded.
    Success,
    /// It failed.
    Error,
    /// Somebody stopped it.
    Stopped,
}

impl Status {
    /// Harbor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Scheduled => "Scheduled",
            Self::Running => "Running",
            Self::Success => "Success",
            Self::Error => "Error",
            Self::Stopped => "Stopped",
        }
    }

    /// Harbor's number.
    pub const fn code(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Scheduled => 1,
            Self::Running => 2,
            Self::Success | Self::Error | Self::Stopped => 3,
        }
    }

    /// Whether nothing more happens.
    pub const fn is_final(self) -> bool {
        self.code() == 3
    }
}

stored_names! {
    Status {
        Pending = "Pending",
        Scheduled = "Scheduled",
        Running = "Running",
        Success = "Success",
        Error = "Error",
        Stopped = "Stopped",
    }
}

/// Statuses that are not final, as indexes have them.
macro_rules! open {
    () => {
        "status in ('Pending', 'Scheduled', 'Running')"
    };
}
pub(crate) use open;

/// Bytes of a message about an execution or a task; longer ones are cut.
pub const MESSAGE_BYTES: usize = 4_000;

/// A message, cut to [`MESSAGE_BYTES`].
pub(crate) fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES)]
}

/// Gives a held execution the status that its tasks make: that it is running while one of them is open, else that of
/// the worst. It does nothing until all tasks are there, and where there are none.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn derive(tx: &mut Tx, id: ExecutionId, now: Timestamp) -> Result<()> {
    let Some(status) = of_tasks(tx, id).await? else {
        return Ok(());
    };
    tx.query(
        "update execution set status = $2, ended_at = case when $3 = 1 then coalesce(ended_at, $4) end
         where id = $1 and status <> $2",
    )
    .bind(id)
    .bind(status)
    .bind(status.is_final())
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

async fn of_tasks(reader: &mut Reader, id: ExecutionId) -> Result<Option<Status>> {
    let row = reader
        .query(concat!(
            "select case
                 when exists (select 1 from task where execution_id = $1 and ",
            open!(),
            ") then 'Running'
                 when exists (select 1 from task where execution_id = $1 and status = 'Error') then 'Error'
                 when e.stop_at is not null then 'Stopped'
                 when exists (select 1 from task where execution_id = $1 and status = 'Stopped') then 'Stopped'
                 else 'Success' end as status
             from execution e where e.id = $1 and e.planned = 1
             and exists (select 1 from task where execution_id = $1)"
        ))
        .bind(id)
        .optional()
        .await?;
    row.map(|row| row.get("execution", "status")).transpose()
}
