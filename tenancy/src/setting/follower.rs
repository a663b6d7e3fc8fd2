//! Names of the followers of the audit log (see `db::audit::follower`), which settings call into being.

/// Passes entries on to a syslog server.
pub const SYSLOG: &str = "audit-syslog";
/// Passes entries on to a collector by HTTP.
pub const HTTP: &str = "audit-http";

/// Sends events of the registry to an endpoint.
pub fn of_endpoint(name: &str) -> String {
    format!("{ENDPOINT}{name}")
}

/// The endpoint of a follower that sends it events.
pub fn endpoint_of(follower: &str) -> Option<&str> {
    follower.strip_prefix(ENDPOINT)
}

/// The setting that asks for a follower.
pub fn setting_of(follower: &str) -> &'static str {
    match follower {
        SYSLOG => "audit_log_forward_endpoint",
        HTTP => "audit_log_forward_url",
        _ => "registry_notifications",
    }
}

const ENDPOINT: &str = "notification/";
