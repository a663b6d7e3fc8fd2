//! Bodies beside Harbor's: what each operation takes and gives has Harbor's fields, of the same types, and no others.
//! What differs is explained here.

use std::collections::BTreeMap;

use serde_json::Value;

use super::harbor::{BASE, document, operations};

/// The bodies of Harbor's operations, and the types in them.
const HARBOR: &str = include_str!("harbor-bodies.txt");

/// Bodies of projects in answers.
const PROJECTS: &[&str] = &[
    "GET /projects 200",
    "GET /projects/{project_name_or_id} 200",
    "GET /search 200",
];
/// Bodies of projects in requests.
const CHANGED_PROJECTS: &[&str] = &[
    "POST /projects body",
    "PUT /projects/{project_name_or_id} body",
];
/// Bodies of users.
const USERS: &[&str] = &[
    "GET /users 200",
    "GET /users/current 200",
    "GET /users/{user_id} 200",
];
/// The body that describes a repository.
const DESCRIBED: &[&str] = &["PUT /projects/{project_name}/repositories/{repository_name} body"];
/// Bodies of artifacts.
const ARTIFACTS: &[&str] = &[
    "GET /projects/{project_name_or_id}/artifacts 200",
    "GET /projects/{project_name}/repositories/{repository_name}/artifacts 200",
    "GET /projects/{project_name}/repositories/{repository_name}/artifacts/{reference} 200",
];
/// Answers with quotas.
const QUOTAS: &[&str] = &["GET /quotas 200", "GET /quotas/{id} 200"];
/// The summary of a project.
const SUMMARY: &[&str] = &["GET /projects/{project_name_or_id}/summary 200"];
/// The settings.
const SETTINGS: &[&str] = &["GET /configurations 200"];
/// The settings, read and changed.
const ANY_SETTINGS: &[&str] = &["GET /configurations 200", "PUT /configurations body"];
/// Why there is more.
const NO_MAIL: &str = "Harbor sends no mails";
const MORE_OF_LDAP: &str = "Harbor has no such key for directories";
const MORE_OF_OIDC: &str = "Harbor has no such key for OIDC";
const NOT_IMPORTED: &str =
    "it lists who was not imported, as Harbor's does, which declares an error";

/// Answers with executions, and with the schedules of such.
const EXECUTIONS: &[&str] = &[
    "GET /system/gc 200",
    "GET /system/gc/schedule 200",
    "GET /system/gc/{gc_id} 200",
    "GET /system/purgeaudit 200",
    "GET /system/purgeaudit/schedule 200",
    "GET /system/purgeaudit/{purge_id} 200",
];
/// Requests that schedule executions.
const SCHEDULES: &[&str] = &[
    "POST /system/gc/schedule body",
    "PUT /system/gc/schedule body",
    "POST /system/purgeaudit/schedule body",
    "PUT /system/purgeaudit/schedule body",
];
/// Requests with labels.
const LABELS: &[&str] = &[
    "POST /labels body",
    "PUT /labels/{label_id} body",
    "POST /projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/labels body",
];
/// Bodies of rules.
const RULES: &[&str] = &[
    "GET /projects/{project_name_or_id}/immutabletagrules 200",
    "POST /projects/{project_name_or_id}/immutabletagrules body",
    "PUT /projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id} body",
];
/// Bodies of policies of retention.
const RETENTIONS: &[&str] = &[
    "POST /retentions body",
    "GET /retentions/{id} 200",
    "PUT /retentions/{id} body",
];
/// Bodies of the CVE allowlist.
const ALLOWLIST: &[&str] = &[
    "GET /system/CVEAllowlist 200",
    "PUT /system/CVEAllowlist body",
];

/// Registries in answers.
const REGISTRIES: &[&str] = &["GET /registries 200", "GET /registries/{id} 200"];
/// Policies of replication in answers.
const POLICIES: &[&str] = &[
    "GET /replication/policies 200",
    "GET /replication/policies/{id} 200",
];
/// Policies of replication in requests.
const CHANGED_POLICIES: &[&str] = &[
    "POST /replication/policies body",
    "PUT /replication/policies/{id} body",
];
/// Executions of replication.
const RUNS: &[&str] = &[
    "GET /replication/executions 200",
    "GET /replication/executions/{id} 200",
];
/// Policies of webhooks.
const HOOKS: &[&str] = &[
    "GET /projects/{project_name_or_id}/webhook/policies 200",
    "POST /projects/{project_name_or_id}/webhook/policies body",
    "GET /projects/{project_name_or_id}/webhook/policies/{webhook_policy_id} 200",
    "PUT /projects/{project_name_or_id}/webhook/policies/{webhook_policy_id} body",
];
/// Tasks of replication.
const TASKS: &[&str] = &["GET /replication/executions/{id}/tasks 200"];

const WHY: &str = "Harbor does not say what was done, or why not";
const MORE_OF_HOOKS: &str = "Harbor signs nothing, and sends all pushes";
const NO_DRY_RUNS: &str = "Harbor does not try replication out";
const BY_ID: &str = "a registry is named by its id, in Harbor too";
const ANY_VALUE: &str = "a pattern is a text, and labels are a list, in Harbor too";
const SET_BY_THE_SERVER: &str = "the server sets it, in Harbor too";
/// Robots in answers.
const ROBOTS: &[&str] = &["GET /robots 200", "GET /robots/{robot_id} 200"];
/// A robot that is changed.
const CHANGED_ROBOT: &[&str] = &["PUT /robots/{robot_id} body"];
/// A new secret of a robot.
const NEW_SECRETS: &[&str] = &[
    "PATCH /robots/{robot_id} body",
    "PATCH /robots/{robot_id} 200",
];
/// Groups that are made or changed.
const CHANGED_GROUPS: &[&str] = &["POST /usergroups body", "PUT /usergroups/{group_id} body"];

const AT_ONCE: &str = "in Harbor the old secret ends when there is a new one";
const LAST_USE: &str = "Harbor does not know when a robot was last used";
const UNCHANGED: &str = "it cannot be changed";
const NO_PROXY_CACHES: &str = "there are no proxy caches yet";
const NO_ALLOWLISTS: &str = "there are no CVE allowlists yet";
const ONE_FIELD: &str = "the description alone can be changed, in Harbor too";
const MORE_FORWARDING: &str =
    "Harbor forwards the audit log by TCP alone, and sends no registry notifications";
const NO_SCANS: &str = "there are no scans yet";
const NOT_INHERITED: &str = "signatures of indexes are shown with these alone";
const NOT_STORED: &str = "of what an index says of a part, os, architecture and variant are stored";
const NEVER_THERE: &str = "Harbor's answers never have it";
const ONE_RESOURCE: &str = "storage is the only resource, in Harbor too";

/// Fields that differ: the field's path in an item, where the body is a list; the bodies; why. What is below a field that one side lacks is not
/// listed.
const DIFFERENCES: &[(&str, &[&str], &str)] = &[
    (
        ".session_longest",
        &["GET /configurations 200", "PUT /configurations body"],
        "Harbor's sessions last as long as they are used",
    ),
    (".external_url", ANY_SETTINGS, NO_MAIL),
    (".smtp_host", ANY_SETTINGS, NO_MAIL),
    (".smtp_port", ANY_SETTINGS, NO_MAIL),
    (".smtp_tls", ANY_SETTINGS, NO_MAIL),
    (".smtp_ca", ANY_SETTINGS, NO_MAIL),
    (".smtp_user", ANY_SETTINGS, NO_MAIL),
    (".smtp_from", ANY_SETTINGS, NO_MAIL),
    (".smtp_password", &["PUT /configurations body"], NO_MAIL),
    (".audit_log_forward_protocol", ANY_SETTINGS, MORE_FORWARDING),
    (".audit_log_forward_url", ANY_SETTINGS, MORE_FORWARDING),
    (
        ".audit_log_forward_authorization",
        &["PUT /configurations body"],
        MORE_FORWARDING,
    ),
    (".audit_log_forward_ca", ANY_SETTINGS, MORE_FORWARDING),
    (
        ".audit_log_forward_client_certificate",
        ANY_SETTINGS,
        MORE_FORWARDING,
    ),
    (
        ".audit_log_forward_client_key",
        &["PUT /configurations body"],
        MORE_FORWARDING,
    ),
    (".registry_notifications", ANY_SETTINGS, MORE_FORWARDING),
    (
        ".registry_notification_headers",
        &["PUT /configurations body"],
        MORE_FORWARDING,
    ),
    (".registry_notification_ca", ANY_SETTINGS, MORE_FORWARDING),
    (
        ".audit_log_clients",
        ANY_SETTINGS,
        "Harbor keeps no addresses and programs of clients",
    ),
    (
        ".project_deletion_restriction",
        ANY_SETTINGS,
        "in Harbor whoever administers a project may delete it",
    ),
    (
        ".project_restore_days",
        ANY_SETTINGS,
        "Harbor restores no deleted projects",
    ),
    (".unverified", USERS, NO_MAIL),
    (".email_unverified", USERS, NO_MAIL),
    (".ldap_ca_certificate", ANY_SETTINGS, MORE_OF_LDAP),
    (".ldap_client_certificate", ANY_SETTINGS, MORE_OF_LDAP),
    (
        ".ldap_client_key",
        &["PUT /configurations body"],
        MORE_OF_LDAP,
    ),
    (".ldap_fallback_urls", ANY_SETTINGS, MORE_OF_LDAP),
    (".ldap_group_lookup", ANY_SETTINGS, MORE_OF_LDAP),
    (".ldap_outage_secs", ANY_SETTINGS, MORE_OF_LDAP),
    (".ldap_password_secs", ANY_SETTINGS, MORE_OF_LDAP),
    (".ldap_reading_secs", ANY_SETTINGS, MORE_OF_LDAP),
    (".ldap_starttls", ANY_SETTINGS, MORE_OF_LDAP),
    (
        ".id",
        &["GET /ldap/groups/search 200"],
        "what a directory finds has no id here yet",
    ),
    ("", &["POST /ldap/users/import 404"], NOT_IMPORTED),
    (".errors", &["POST /ldap/users/import 404"], NOT_IMPORTED),
    (".scan_all_policy.type", SETTINGS, "there are no scans yet"),
    (
        ".scan_all_policy.parameter",
        SETTINGS,
        "there are no scans yet",
    ),
    (".cve_allowlist.expires_at", PROJECTS, NO_ALLOWLISTS),
    (".cve_allowlist.items[].cve_id", PROJECTS, NO_ALLOWLISTS),
    (
        ".cve_allowlist.creation_time",
        CHANGED_PROJECTS,
        NO_ALLOWLISTS,
    ),
    (".cve_allowlist.expires_at", CHANGED_PROJECTS, NO_ALLOWLISTS),
    (".cve_allowlist.id", CHANGED_PROJECTS, NO_ALLOWLISTS),
    (".cve_allowlist.items", CHANGED_PROJECTS, NO_ALLOWLISTS),
    (
        ".cve_allowlist.update_time",
        CHANGED_PROJECTS,
        NO_ALLOWLISTS,
    ),
    (".deleted", PROJECTS, NEVER_THERE),
    (".togglable", PROJECTS, NEVER_THERE),
    (".registry_id", PROJECTS, NO_PROXY_CACHES),
    (".registry", SUMMARY, NO_PROXY_CACHES),
    (".metadata.max_upstream_conn", PROJECTS, NO_PROXY_CACHES),
    (
        ".metadata.proxy_cache_filter_kind",
        PROJECTS,
        NO_PROXY_CACHES,
    ),
    (
        ".metadata.proxy_cache_filter_pattern",
        PROJECTS,
        NO_PROXY_CACHES,
    ),
    (
        ".metadata.proxy_cache_local_on_not_found",
        PROJECTS,
        NO_PROXY_CACHES,
    ),
    (".metadata.proxy_referrer_api", PROJECTS, NO_PROXY_CACHES),
    (".metadata.proxy_speed_kb", PROJECTS, NO_PROXY_CACHES),
    (
        ".metadata.max_upstream_conn",
        CHANGED_PROJECTS,
        NO_PROXY_CACHES,
    ),
    (
        ".metadata.proxy_cache_filter_kind",
        CHANGED_PROJECTS,
        NO_PROXY_CACHES,
    ),
    (
        ".metadata.proxy_cache_filter_pattern",
        CHANGED_PROJECTS,
        NO_PROXY_CACHES,
    ),
    (
        ".metadata.proxy_cache_local_on_not_found",
        CHANGED_PROJECTS,
        NO_PROXY_CACHES,
    ),
    (
        ".metadata.proxy_referrer_api",
        CHANGED_PROJECTS,
        NO_PROXY_CACHES,
    ),
    (
        ".metadata.proxy_speed_kb",
        CHANGED_PROJECTS,
        NO_PROXY_CACHES,
    ),
    (".quota.hard.storage", SUMMARY, ONE_RESOURCE),
    (".quota.hard{}", SUMMARY, ONE_RESOURCE),
    (".quota.used.storage", SUMMARY, ONE_RESOURCE),
    (".quota.used{}", SUMMARY, ONE_RESOURCE),
    (".hard.storage", QUOTAS, ONE_RESOURCE),
    (".hard{}", QUOTAS, ONE_RESOURCE),
    (".used.storage", QUOTAS, ONE_RESOURCE),
    (".used{}", QUOTAS, ONE_RESOURCE),
    (".hard.storage", &["PUT /quotas/{id} body"], ONE_RESOURCE),
    (".hard{}", &["PUT /quotas/{id} body"], ONE_RESOURCE),
    (".artifact_count", DESCRIBED, ONE_FIELD),
    (".creation_time", DESCRIBED, ONE_FIELD),
    (".id", DESCRIBED, ONE_FIELD),
    (".name", DESCRIBED, ONE_FIELD),
    (".project_id", DESCRIBED, ONE_FIELD),
    (".pull_count", DESCRIBED, ONE_FIELD),
    (".update_time", DESCRIBED, ONE_FIELD),
    (".scan_overview", ARTIFACTS, NO_SCANS),
    (".sbom_overview", ARTIFACTS, NO_SCANS),
    (".inherited_accessories", ARTIFACTS, NOT_INHERITED),
    (
        ".references[].platform.'os.features'",
        ARTIFACTS,
        NOT_STORED,
    ),
    (".references[].platform.'os.version'", ARTIFACTS, NOT_STORED),
    (
        ".authproxy_settings",
        &["GET /systeminfo 200"],
        "Gantry has no http_auth",
    ),
    (
        "",
        &["GET /systeminfo/getcert 200"],
        "a file is text here: OpenAPI 3.1 has no type for files",
    ),
    (
        ".deleted",
        EXECUTIONS,
        "an execution that is deleted is not there",
    ),
    (".creation_time", SCHEDULES, SET_BY_THE_SERVER),
    (".update_time", SCHEDULES, SET_BY_THE_SERVER),
    (".id", SCHEDULES, SET_BY_THE_SERVER),
    (".status", SCHEDULES, SET_BY_THE_SERVER),
    (
        ".schedule.next_scheduled_time",
        SCHEDULES,
        SET_BY_THE_SERVER,
    ),
    (
        ".parameters{}",
        SCHEDULES,
        "parameters are numbers, flags and texts, in Harbor too",
    ),
    (".creation_time", LABELS, SET_BY_THE_SERVER),
    (".update_time", LABELS, SET_BY_THE_SERVER),
    (".params", RULES, "there are none, in Harbor either"),
    (".priority", RULES, "rules have no order"),
    (".project_id", ALLOWLIST, NEVER_THERE),
    (
        ".creation_time",
        &["PUT /system/CVEAllowlist body"],
        SET_BY_THE_SERVER,
    ),
    (
        ".update_time",
        &["PUT /system/CVEAllowlist body"],
        SET_BY_THE_SERVER,
    ),
    (".id", &["PUT /system/CVEAllowlist body"], SET_BY_THE_SERVER),
    (
        ".host",
        &["GET /jobservice/pools 200"],
        "processes know each other by their IDs",
    ),
    (
        ".checkin_at",
        &["GET /jobservice/pools/{pool_id}/workers 200"],
        "progress has no time of its own",
    ),
    (
        ".status_revision",
        &["GET /retentions/{id}/executions/{eid}/tasks 200"],
        NEVER_THERE,
    ),
    (".oidc_ca_certificate", ANY_SETTINGS, MORE_OF_OIDC),
    (".oidc_outage_secs", ANY_SETTINGS, MORE_OF_OIDC),
    (".oidc_reading_secs", ANY_SETTINGS, MORE_OF_OIDC),
    (".oidc_secret_secs", ANY_SETTINGS, MORE_OF_OIDC),
    (".oidc_timeout", ANY_SETTINGS, MORE_OF_OIDC),
    (".last_used_at", ROBOTS, LAST_USE),
    (".last_used_address", ROBOTS, LAST_USE),
    (".previous_secret", ROBOTS, AT_ONCE),
    (".grace_days", NEW_SECRETS, AT_ONCE),
    (".secret", ROBOTS, "a secret is shown once, when it is made"),
    (".id", CHANGED_ROBOT, "it is in the path"),
    (".secret", CHANGED_ROBOT, "PATCH changes it"),
    (".editable", CHANGED_ROBOT, UNCHANGED),
    (".expires_at", CHANGED_ROBOT, UNCHANGED),
    (".creator_type", CHANGED_ROBOT, UNCHANGED),
    (".creator_ref", CHANGED_ROBOT, UNCHANGED),
    (".creation_time", CHANGED_ROBOT, UNCHANGED),
    (".update_time", CHANGED_ROBOT, UNCHANGED),
    (".id", CHANGED_GROUPS, "the server chooses it"),
    (
        ".grace_secs",
        RETENTIONS,
        "in Harbor an image that was pushed a moment ago goes by any rule",
    ),
    (".problem", REGISTRIES, WHY),
    (".src_registry.problem", POLICIES, WHY),
    (".dest_registry.problem", POLICIES, WHY),
    (".untagged", HOOKS, MORE_OF_HOOKS),
    (".targets[].secret", HOOKS, MORE_OF_HOOKS),
    (".lag_seconds", POLICIES, WHY),
    (".dry_run", RUNS, NO_DRY_RUNS),
    (".bytes", TASKS, WHY),
    (".copied", TASKS, WHY),
    (".deleted", TASKS, WHY),
    (".kept", TASKS, WHY),
    (".present", TASKS, WHY),
    (".status_text", TASKS, WHY),
    (
        "{}",
        &["GET /replication/adapterinfos 200"],
        "kinds are keys",
    ),
    (
        ".creation_time",
        &["POST /registries body"],
        SET_BY_THE_SERVER,
    ),
    (".id", &["POST /registries body"], SET_BY_THE_SERVER),
    (".status", &["POST /registries body"], SET_BY_THE_SERVER),
    (
        ".update_time",
        &["POST /registries body"],
        SET_BY_THE_SERVER,
    ),
    (".creation_time", CHANGED_POLICIES, SET_BY_THE_SERVER),
    (".id", CHANGED_POLICIES, SET_BY_THE_SERVER),
    (".update_time", CHANGED_POLICIES, SET_BY_THE_SERVER),
    (".src_registry.ca_certificate", CHANGED_POLICIES, BY_ID),
    (".src_registry.creation_time", CHANGED_POLICIES, BY_ID),
    (".src_registry.credential", CHANGED_POLICIES, BY_ID),
    (".src_registry.description", CHANGED_POLICIES, BY_ID),
    (".src_registry.insecure", CHANGED_POLICIES, BY_ID),
    (".src_registry.name", CHANGED_POLICIES, BY_ID),
    (".src_registry.status", CHANGED_POLICIES, BY_ID),
    (".src_registry.type", CHANGED_POLICIES, BY_ID),
    (".src_registry.update_time", CHANGED_POLICIES, BY_ID),
    (".src_registry.url", CHANGED_POLICIES, BY_ID),
    (".dest_registry.ca_certificate", CHANGED_POLICIES, BY_ID),
    (".dest_registry.creation_time", CHANGED_POLICIES, BY_ID),
    (".dest_registry.credential", CHANGED_POLICIES, BY_ID),
    (".dest_registry.description", CHANGED_POLICIES, BY_ID),
    (".dest_registry.insecure", CHANGED_POLICIES, BY_ID),
    (".dest_registry.name", CHANGED_POLICIES, BY_ID),
    (".dest_registry.status", CHANGED_POLICIES, BY_ID),
    (".dest_registry.type", CHANGED_POLICIES, BY_ID),
    (".dest_registry.update_time", CHANGED_POLICIES, BY_ID),
    (".dest_registry.url", CHANGED_POLICIES, BY_ID),
    (".filters[].value", POLICIES, ANY_VALUE),
    (".filters[].value", CHANGED_POLICIES, ANY_VALUE),
];

/// The types of a body's fields by their paths (`[].hard.storage`); the body itself has an empty one. What is below an
/// object without declared fields is not told apart.
type Fields = BTreeMap<String, String>;

/// Harbor's bodies, and the types in them by name.
struct Harbor {
    /// By method, path, and `body` or the status: the type.
    bodies: BTreeMap<String, &'static str>,
    types: BTreeMap<&'static str, &'static str>,
}

impl Harbor {
    fn read() -> Self {
        let (bodies, types) = HARBOR.split_once("\n\n").unwrap();
        let bodies = bodies.lines().filter(|line| !line.starts_with('#'));
        let bodies = bodies.map(|line| {
            let (body, kind) = line.rsplit_once(' ').unwrap();
            (body.to_owned(), kind)
        });
        let types = types.lines().map(|line| line.split_once(' ').unwrap());
        Self {
            bodies: bodies.collect(),
            types: types.collect(),
        }
    }

    fn fields(&self, kind: &str) -> Fields {
        let mut fields = Fields::new();
        self.collect(kind, String::new(), &mut fields);
        fields
    }

    fn collect(&self, kind: &str, path: String, fields: &mut Fields) {
        let inner = |open, close| kind.strip_prefix(open)?.strip_suffix(close);
        if let Some(item) = inner('[', ']') {
            fields.insert(path.clone(), "array".to_owned());
            return self.collect(item, format!("{path}[]"), fields);
        }
        if let Some(value) = inner('{', '}') {
            fields.insert(path.clone(), "object".to_owned());
            return self.collect(value, format!("{path}{{}}"), fields);
        }
        let Some(declared) = self.types.get(kind) else {
            fields.insert(path, kind.to_owned());
            return;
        };
        if let Some(other) = declared.strip_prefix("= ") {
            return self.collect(other, path, fields);
        }
        fields.insert(path.clone(), "object".to_owned());
        for field in declared.split(' ') {
            let (name, kind) = field.split_once(':').unwrap();
            self.collect(kind, format!("{path}.{name}"), fields);
        }
    }
}

/// The fields of a schema of this API's document.
fn fields(document: &Value, schema: &Value) -> Fields {
    let mut fields = Fields::new();
    collect(document, schema, String::new(), &mut fields);
    fields
}

fn collect(document: &Value, schema: &Value, path: String, fields: &mut Fields) {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = document.pointer(reference.trim_start_matches('#')).unwrap();
        return collect(document, found, path, fields);
    }
    for parts in ["allOf", "oneOf", "anyOf"] {
        for part in schema[parts].as_array().into_iter().flatten() {
            if part["type"] != "null" {
                collect(document, part, path.clone(), fields);
            }
        }
    }
    let Some(kind) = kind(&schema["type"]) else {
        return;
    };
    fields.insert(path.clone(), kind.to_owned());
    if schema["items"].is_object() {
        collect(document, &schema["items"], format!("{path}[]"), fields);
    }
    if schema["additionalProperties"].is_object() {
        let values = &schema["additionalProperties"];
        collect(document, values, format!("{path}{{}}"), fields);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        collect(document, field, format!("{path}.{name}"), fields);
    }
}

/// The type that is not null.
fn kind(declared: &Value) -> Option<&str> {
    match declared {
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|kind| *kind != "null")
        }
        kind => kind.as_str(),
    }
}

/// The schema of a request's or an answer's content.
fn schema(content: &Value) -> Option<&Value> {
    let mut kinds = content["content"].as_object()?.values();
    Some(&kinds.next()?["schema"])
}

/// The bodies of this API: by method, path, and `body` or the status, the fields.
fn gantry(document: &Value) -> BTreeMap<String, Fields> {
    let mut bodies = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix(BASE).unwrap_or(path);
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            if let Some(schema) = schema(&operation["requestBody"]) {
                bodies.insert(format!("{name} body"), fields(document, schema));
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                if let Some(schema) = schema(answer) {
                    bodies.insert(format!("{name} {status}"), fields(document, schema));
                }
            }
        }
    }
    bodies
}

/// Whether a field lies below an object of Harbor's that declares no fields: any fit there.
fn is_free(field: &str, theirs: &Fields) -> bool {
    let is_below = |field: &str, object: &str| {
        let below = field.strip_prefix(object);
        below.is_some_and(|below| below.starts_with(['.', '{']))
    };
    let mut objects = theirs.iter().filter(|(_, kind)| *kind == "object");
    objects.any(|(object, _)| {
        is_below(field, object) && !theirs.keys().any(|other| is_below(other, object))
    })
}

/// Whether a field lies below one that only one side has.
fn is_implied(field: &str, ours: &Fields, theirs: &Fields) -> bool {
    let one_sided = |path: &str| ours.contains_key(path) != theirs.contains_key(path);
    let ends = field.match_indices(['.', '[', '{']).skip(1);
    ends.map(|(end, _)| &field[..end]).any(one_sided)
}

/// Fields that differ, with both types.
fn differing(ours: &Fields, theirs: &Fields) -> Vec<(String, String)> {
    let mut all: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    all.sort_unstable();
    all.dedup();
    all.retain(|field| ours.get(*field) != theirs.get(*field));
    all.retain(|field| !is_free(field, theirs) && !is_implied(field, ours, theirs));
    let shown = all.into_iter().map(|field| {
        let both = format!("{:?}, Harbor {:?}", ours.get(field), theirs.get(field));
        (field.clone(), both)
    });
    shown.collect()
}

/// All differences of what is declared: body, field, both types.
fn all_differences(document: &Value) -> Vec<(String, String, String)> {
    let (ours, harbor) = (gantry(document), Harbor::read());
    let is_refusal = |body: &str| {
        let status = body.rsplit_once(' ').unwrap().1;
        status.starts_with(['4', '5'])
    };
    let operations = operations(document);
    let is_shared = |body: &&String| operations.contains(body.rsplit_once(' ').unwrap().0);
    let mut bodies: Vec<&String> = ours.keys().chain(harbor.bodies.keys()).collect();
    bodies.sort_unstable();
    bodies.dedup();
    let compared = bodies.into_iter().filter(is_shared).flat_map(|body| {
        let kind = match harbor.bodies.get(body) {
            _ if is_refusal(body) => Some(&"Errors"),
            kind => kind,
        };
        let theirs = kind.map(|kind| harbor.fields(kind)).unwrap_or_default();
        let ours = ours.get(body).cloned().unwrap_or_default();
        let found = differing(&ours, &theirs).into_iter();
        found.map(|(field, both)| (body.clone(), field, both))
    });
    compared.collect()
}

/// The path of a field within an item of the list that the body is or, for a search, has.
fn in_item(field: &str) -> &str {
    let lists = ["[]", ".project[]"];
    let mut inner = lists.iter().filter_map(|list| field.strip_prefix(list));
    inner.next().unwrap_or(field)
}

#[tokio::test]
async fn every_body_has_the_fields_of_harbors_or_says_why_not() {
    let found = all_differences(&document().await);
    let is_explained = |body: &str, field: &str| {
        DIFFERENCES
            .iter()
            .any(|(end, bodies, _)| bodies.contains(&body) && in_item(field) == *end)
    };
    let unexplained = found
        .into_iter()
        .filter(|(body, field, _)| !is_explained(body, field));
    let lines: Vec<String> = unexplained
        .map(|(body, field, both)| format!("{body} {field}: {both}"))
        .collect();
    assert!(lines.is_empty(), "{}:\n{}", lines.len(), lines.join("\n"));
}

#[tokio::test]
async fn what_is_explained_of_bodies_does_differ() {
    let found = all_differences(&document().await);
    for (end, bodies, why) in DIFFERENCES {
        for explained in *bodies {
            let mut differing = found.iter().filter(|(body, ..)| body == explained);
            let differs = differing.any(|(_, field, _)| in_item(field) == *end);
            assert!(differs, "{explained} {end}: {why}");
        }
    }
}

#[tokio::test]
async fn every_operation_declares_the_body_of_its_refusals() {
    let document = document().await;
    let (bodies, errors) = (gantry(&document), Harbor::read().fields("Errors"));
    for operation in operations(&document) {
        let refusal = bodies.get(&format!("{operation} 503"));
        assert_eq!(refusal, Some(&errors), "{operation}");
        let open = bodies.get(&format!("{operation} default"));
        assert_eq!(open, None, "{operation} names what it answers");
    }
}

#[test]
fn a_field_that_is_new_missing_or_of_another_type_differs() {
    let theirs = Harbor::read().fields("Quota");
    assert_eq!(theirs[".hard{}"], "integer");
    assert!(differing(&theirs, &theirs).is_empty());
    let changed = |change: fn(&mut Fields)| {
        let mut ours = theirs.clone();
        change(&mut ours);
        let fields = differing(&ours, &theirs).into_iter();
        fields.map(|(field, _)| field).collect::<Vec<_>>()
    };
    let new = |fields: &mut Fields| drop(fields.insert(".color".to_owned(), "string".to_owned()));
    assert_eq!(changed(new), [".color"]);
    let missing = |fields: &mut Fields| drop(fields.remove(".id"));
    assert_eq!(changed(missing), [".id"]);
    let other = |fields: &mut Fields| drop(fields.insert(".id".to_owned(), "string".to_owned()));
    assert_eq!(changed(other), [".id"]);
    // What Harbor calls an object says nothing of its fields.
    let below =
        |fields: &mut Fields| drop(fields.insert(".ref.id".to_owned(), "integer".to_owned()));
    assert!(changed(below).is_empty());
}
