//! The words of this part of Harbor's API for what started an execution and how far it is, which differ from those of
//! the others.

use db::execution::{Cause, Status};
use db::list::{Field, Test};

use crate::Error;

/// How far an execution is.
pub(super) const fn of_execution(status: Status) -> &'static str {
    match status {
        Status::Pending | Status::Scheduled | Status::Running => "InProgress",
        Status::Success => "Succeed",
        Status::Error => "Failed",
        Status::Stopped => "Stopped",
    }
}

/// How far a task is.
pub(super) const fn of_task(status: Status) -> &'static str {
    match status {
        Status::Pending => "Pending",
        _ => of_execution(status),
    }
}

/// What started an execution.
pub(super) const fn of_cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Manual => "manual",
        Cause::Schedule => "scheduled",
        Cause::Event => "event_based",
    }
}

/// What is asked by such a word.
pub(super) fn status_test(field: Field, word: &str) -> Result<(Field, Test), Error> {
    let names: &[Status] = match word {
        "InProgress" => &[Status::Scheduled, Status::Running],
        "Pending" => &[Status::Pending],
        "Succeed" => &[Status::Success],
        "Failed" => &[Status::Error],
        "Stopped" => &[Status::Stopped],
        _ => {
            return Err(Error::BadRequest(format!(
                "status: {word:?} is none of InProgress, Succeed, Failed, Stopped"
            )));
        }
    };
    let names = names.iter().map(|status| status.name().to_owned());
    Ok((field, Test::AnyOf(names.collect())))
}

/// What is asked by the word for a trigger.
pub(super) fn cause_test(field: Field, word: &str) -> Result<(Field, Test), Error> {
    let all = [Cause::Manual, Cause::Schedule, Cause::Event];
    let cause = all.into_iter().find(|cause| of_cause(*cause) == word);
    let cause = cause.ok_or_else(|| {
        Error::BadRequest(format!(
            "trigger: {word:?} is none of manual, scheduled, event_based"
        ))
    })?;
    Ok((field, Test::Is(cause.name().to_owned())))
}
