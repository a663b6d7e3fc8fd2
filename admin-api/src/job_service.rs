//! The job engine as Harbor shows its job service: schedules, queues, workers and jobs.

pub(crate) mod job;
pub(crate) mod list;
pub(crate) mod queue;
pub(crate) mod schedule;
pub(crate) mod worker;

/// Harbor's name for jobs of a kind, if it has such jobs; otherwise the kind's own in capitals.
fn vendor_type(kind: &str) -> String {
    match kind {
        "gc_run" => "GARBAGE_COLLECTION".to_owned(),
        "audit_purge" => "PURGE_AUDIT_LOG".to_owned(),
        "prune" => "EXECUTION_SWEEP".to_owned(),
        other => other.to_uppercase(),
    }
}
