//! The API beside Harbor's: each operation has Harbor's parameters, and no others. What differs is explained here. Bodies
//! are compared in `bodies`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Api, text};

/// Harbor's operations with their parameters, one a line.
const HARBOR: &str = include_str!("harbor-operations.txt");
/// The path of Harbor's API.
pub(super) const BASE: &str = "/api/v2.0";

/// Operations that Harbor's document does not have, and why they are here.
const MORE_OPERATIONS: &[(&str, &str)] = &[
    (
        "GET /api/version",
        "Harbor serves it too, outside of its API v2.0",
    ),
    ("GET /api/openapi.json", "this document"),
    (
        "GET /c/login",
        "gives browsers the token that signing in needs; Harbor's pages bring it",
    ),
    ("POST /c/login", "Harbor serves it too, undocumented"),
    ("GET /c/log_out", "Harbor serves it too, undocumented"),
    ("POST /c/userExists", "Harbor serves it too, undocumented"),
    ("GET /c/oidc/login", "Harbor serves it too, undocumented"),
    ("GET /c/oidc/callback", "Harbor serves it too, undocumented"),
    ("POST /c/oidc/onboard", "Harbor serves it too, undocumented"),
    ("GET /c/oidc/logout", "Harbor serves it too, undocumented"),
    (
        "POST /api/ext/v1/oidc/backchannel_logout",
        "Harbor is not told of sign-outs",
    ),
    ("GET /api/ext/v1/jobs", "Harbor lists jobs by kind alone"),
    (
        "GET /api/ext/v1/jobs/{job_id}",
        "Harbor shows jobs by kind alone",
    ),
    (
        "GET /api/ext/v1/stats/audit",
        "Harbor counts no entries by time",
    ),
    ("GET /api/ext/v1/stats/pulls", NO_USAGE),
    ("GET /api/ext/v1/stats/pushes", NO_USAGE),
    (
        "GET /api/ext/v1/audit/export",
        "Harbor exports no audit log",
    ),
    (
        "GET /api/ext/v1/access/explain",
        "Harbor does not say why somebody may do something",
    ),
    ("GET /api/ext/v1/me/sessions", "Harbor lists no sessions"),
    (
        "GET /api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags",
        "Harbor lists tags by artifact",
    ),
    (
        "GET /api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags/{tag_name}/history",
        "Harbor keeps no history of tags",
    ),
    (
        "POST /api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags/{tag_name}/restore",
        "Harbor keeps no history of tags",
    ),
    (
        "DELETE /api/ext/v1/me/sessions/{session_id}",
        "Harbor lists no sessions",
    ),
    ("GET /api/ext/v1/me/preferences", PAGES),
    ("PUT /api/ext/v1/me/preferences", PAGES),
    ("GET /api/ext/v1/me/favourites", PAGES),
    ("PUT /api/ext/v1/me/favourites", PAGES),
    ("GET /api/ext/v1/me/access", PAGES),
    ("GET /api/ext/v1/capabilities", PAGES),
    ("GET /api/ext/v1/home", PAGES),
    ("GET /api/ext/v1/accounts/options", NO_MAIL),
    ("POST /api/ext/v1/mail/test", NO_MAIL),
    ("GET /api/ext/v1/audit-forward", NO_FORWARDING),
    ("POST /api/ext/v1/audit-forward/test", NO_FORWARDING),
    ("GET /api/ext/v1/registry-notifications", NO_FORWARDING),
    ("POST /api/ext/v1/password/forgot", NO_MAIL),
    ("POST /api/ext/v1/password/reset", NO_MAIL),
    ("POST /api/ext/v1/users/verify", NO_MAIL),
    ("GET /api/ext/v1/notices", PAGES),
    ("DELETE /api/ext/v1/notices/{notice_id}", PAGES),
    (
        "GET /api/ext/v1/search",
        "Harbor finds neither tags nor users together with the rest",
    ),
    ("GET /api/ext/v1/projects/usage", NO_USAGE),
    (
        "GET /api/ext/v1/projects/{project_name_or_id}/stats",
        NO_USAGE,
    ),
    (
        "GET /api/ext/v1/projects/{project_name}/repositories/usage",
        NO_USAGE,
    ),
    ("GET /api/ext/v1/storage/overview", NO_USAGE),
    ("GET /api/ext/v1/storage/largest", NO_USAGE),
    ("GET /api/ext/v1/robots/{robot_id}/usage", NO_USAGE),
    (
        "POST /api/ext/v1/jobs/{job_id}/stop",
        "Harbor stops jobs by kind alone",
    ),
    (
        "POST /api/ext/v1/jobs/{job_id}/retry",
        "Harbor does not run a job again",
    ),
    (
        "POST /api/ext/v1/bulk",
        "Harbor takes a request for each thing",
    ),
    (
        "PUT /api/ext/v1/projects/{project_name_or_id}/owner",
        "in Harbor whoever made a project owns it for ever",
    ),
    (
        "GET /api/ext/v1/access/matrix",
        "Harbor does not say who may do what",
    ),
    ("GET /api/ext/v1/certificates", NO_CERTIFICATES),
    ("POST /api/ext/v1/certificates/reload", NO_CERTIFICATES),
    ("GET /api/ext/v1/certificates/ca", NO_CERTIFICATES),
    ("GET /api/ext/v1/certificates/acme", NO_CERTIFICATES),
    ("POST /api/ext/v1/certificates/acme/order", NO_CERTIFICATES),
    (
        "GET /api/ext/v1/projects/{project_name_or_id}/workload-rules",
        NO_WORKLOADS,
    ),
    (
        "POST /api/ext/v1/projects/{project_name_or_id}/workload-rules",
        NO_WORKLOADS,
    ),
    (
        "GET /api/ext/v1/projects/{project_name_or_id}/workload-rules/{workload_rule_id}",
        NO_WORKLOADS,
    ),
    (
        "PUT /api/ext/v1/projects/{project_name_or_id}/workload-rules/{workload_rule_id}",
        NO_WORKLOADS,
    ),
    (
        "DELETE /api/ext/v1/projects/{project_name_or_id}/workload-rules/{workload_rule_id}",
        NO_WORKLOADS,
    ),
    (
        "POST /api/ext/v1/projects/{project_name_or_id}/workload-rules/test",
        NO_WORKLOADS,
    ),
    (
        "GET /api/ext/v1/projects/{project_name_or_id}/webhook/deliveries",
        NO_DELIVERIES,
    ),
    (
        "GET /api/ext/v1/projects/{project_name_or_id}/webhook/deliveries/{delivery_id}",
        NO_DELIVERIES,
    ),
    (
        "POST /api/ext/v1/projects/{project_name_or_id}/webhook/deliveries/{delivery_id}/redeliver",
        NO_DELIVERIES,
    ),
    (
        "GET /api/ext/v1/projects/{project_name_or_id}/webhook/targets",
        NO_DELIVERIES,
    ),
    (
        "POST /api/ext/v1/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/test",
        NO_DELIVERIES,
    ),
    (
        "POST /api/ext/v1/replication/policies/{id}/dry-run",
        NO_DRY_RUNS,
    ),
    (
        "POST /api/ext/v1/replication/executions/{id}/retry",
        NO_DRY_RUNS,
    ),
    ("GET /api/ext/v1/replication/site", NO_VERSIONS),
    (
        "GET /api/ext/v1/projects/{project_name}/repositories/{repository_name}/tag-versions",
        NO_VERSIONS,
    ),
    (
        "PUT /api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags/{tag_name}/version",
        NO_VERSIONS,
    ),
    (
        "PUT /api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags/{tag_name}/deletion",
        NO_VERSIONS,
    ),
];

const NO_DELIVERIES: &str =
    "Harbor neither tries webhooks out nor sends again, and does not say which receivers answer";
const NO_VERSIONS: &str = "Harbor's tags have no versions";

const NO_DRY_RUNS: &str = "Harbor neither tries replication out nor repeats what failed";
const PAGES: &str = "Harbor keeps it in the browser, or does not have it";
const NO_WORKLOADS: &str = "Harbor lets no workloads in";
const NO_FORWARDING: &str =
    "Harbor says nothing about forwarding of the audit log, and sends no registry notifications";
const NO_MAIL: &str = "Harbor sends no mails";
const NO_USAGE: &str = "Harbor counts less";
const NO_CERTIFICATES: &str = "Harbor's certificates are its proxy's";

const FAR_PAGES: &str = "links to pages beyond 10,000 rows say after which entry they begin";

const ALL_ARTIFACTS: &str = "GET /projects/{project_name_or_id}/artifacts";
const ARTIFACTS: &str = "GET /projects/{project_name}/repositories/{repository_name}/artifacts";
const ARTIFACT: &str =
    "GET /projects/{project_name}/repositories/{repository_name}/artifacts/{reference}";
const NO_SCANS: &str = "there are no scans yet";
const NOT_INHERITED: &str = "signatures of indexes are shown with these alone";

/// Parameters that differ: operation, or `*` for all; parameter, with its place; why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "*",
        "header:X-Request-Id",
        "the gateway takes it from every request, also outside of this API",
    ),
    (
        "GET /projects/{project_name_or_id}/members",
        "query:q",
        "every list takes it",
    ),
    (
        "GET /projects/{project_name_or_id}/members",
        "query:sort",
        "every list takes it",
    ),
    (
        "GET /retentions/{id}/executions",
        "query:q",
        "every list takes it",
    ),
    (
        "GET /retentions/{id}/executions",
        "query:sort",
        "every list takes it",
    ),
    (
        "GET /retentions/{id}/executions/{eid}/tasks",
        "query:q",
        "every list takes it",
    ),
    (
        "GET /retentions/{id}/executions/{eid}/tasks",
        "query:sort",
        "every list takes it",
    ),
    ("GET /users/search", "query:q", "every list takes it"),
    ("GET /users/search", "query:sort", "every list takes it"),
    ("GET /quotas", "query:q", "every list takes it"),
    ("GET /schedules", "query:q", "every list takes it"),
    ("GET /schedules", "query:sort", "every list takes it"),
    ("GET /audit-logs", "query:before", FAR_PAGES),
    ("GET /auditlog-exts", "query:before", FAR_PAGES),
    (
        "GET /projects/{project_name}/logs",
        "query:before",
        FAR_PAGES,
    ),
    (
        "GET /projects/{project_name}/auditlog-exts",
        "query:before",
        FAR_PAGES,
    ),
    (ARTIFACTS, "header:X-Accept-Vulnerabilities", NO_SCANS),
    (ARTIFACTS, "query:with_inherited_accessory", NOT_INHERITED),
    (ALL_ARTIFACTS, "header:X-Accept-Vulnerabilities", NO_SCANS),
    (
        ALL_ARTIFACTS,
        "query:with_inherited_accessory",
        NOT_INHERITED,
    ),
    (ARTIFACT, "header:X-Accept-Vulnerabilities", NO_SCANS),
    (ARTIFACT, "query:with_inherited_accessory", NOT_INHERITED),
    (ARTIFACT, "query:page", "it is no list"),
    (ARTIFACT, "query:page_size", "it is no list"),
    (
        "GET /replication/executions",
        "query:q",
        "every list takes it",
    ),
    (
        "GET /replication/executions/{id}/tasks",
        "query:q",
        "every list takes it",
    ),
    ("GET /usergroups", "query:q", "every list takes it"),
    ("GET /usergroups", "query:sort", "every list takes it"),
    ("GET /usergroups/search", "query:q", "every list takes it"),
    (
        "GET /usergroups/search",
        "query:sort",
        "every list takes it",
    ),
    (
        "GET /projects",
        "query:member",
        "Harbor cannot list the projects of which one is a member",
    ),
    (
        "GET /quotas",
        "query:reference",
        "there are no quotas but those of projects",
    ),
    (
        "GET /quotas",
        "query:reference_id",
        "a project's ID is a number",
    ),
    (
        "GET /users",
        "query:username",
        "Harbor takes it, though its document does not say so",
    ),
    (
        "GET /users",
        "query:email",
        "Harbor takes it, though its document does not say so",
    ),
];

/// By parameter (`query:sort`): its type, with `!` if it is required.
type Parameters = BTreeMap<String, String>;

/// The document that this API gives of itself.
pub(super) async fn document() -> Value {
    let api = Api::start().await;
    let answer = api.ask("GET", "/api/openapi.json", "anonymous", "").await;
    serde_json::from_str(&text(answer).await).unwrap()
}

/// The operations of this API that are Harbor's, by method and path.
pub(super) fn operations(document: &Value) -> BTreeSet<String> {
    let harbor = harbor();
    let ours = gantry(document).into_keys();
    ours.filter(|name| harbor.contains_key(name)).collect()
}

/// Operations of Harbor by method and path.
fn harbor() -> BTreeMap<String, Parameters> {
    let lines = HARBOR.lines().filter(|line| !line.starts_with('#'));
    let operations = lines.map(|line| {
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let parameters = words.skip(1).map(|parameter| {
            let (name, kind) = parameter.rsplit_once(':').unwrap();
            match name.strip_prefix("body:") {
                Some(_) => ("body".to_owned(), "object".to_owned()),
                None => (name.to_owned(), kind.to_owned()),
            }
        });
        let operation = format!("{method} {}", path.trim_end_matches('/'));
        (operation, parameters.collect())
    });
    operations.collect()
}

/// Operations of this API by method and path; those of the part that is Harbor's without what their paths begin with.
fn gantry(document: &Value) -> BTreeMap<String, Parameters> {
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path.strip_prefix(BASE).unwrap_or(path);
            let name = format!("{} {path}", method.to_uppercase());
            operations.insert(name, parameters(operation));
        }
    }
    operations
}

fn parameters(operation: &Value) -> Parameters {
    let declared = operation["parameters"].as_array().into_iter().flatten();
    let mut parameters: Parameters = declared
        .map(|parameter| {
            let word = |key: &str| parameter[key].as_str().unwrap();
            let required = if parameter["required"] == true {
                "!"
            } else {
                ""
            };
            let kind = kind(&parameter["schema"]["type"]);
            let name = format!("{}:{}", word("in"), word("name"));
            (name, format!("{kind}{required}"))
        })
        .collect();
    if operation["requestBody"].is_object() {
        parameters.insert("body".to_owned(), "object".to_owned());
    }
    parameters
}

/// The type of a schema, which may be null as well.
fn kind(schema: &Value) -> &str {
    match schema {
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|kind| *kind != "null").unwrap()
        }
        kind => kind.as_str().unwrap(),
    }
}

/// What differs between the parameters of an operation.
fn differences(name: &str, ours: &Parameters, theirs: &Parameters) -> Vec<String> {
    let is_explained = |parameter: &str| {
        DIFFERENCES
            .iter()
            .any(|(of, which, _)| (*of == "*" || *of == name) && *which == parameter)
    };
    let all = ours.keys().chain(theirs.keys());
    let differing = all.filter(|parameter| ours.get(*parameter) != theirs.get(*parameter));
    let unexplained = differing.filter(|parameter| !is_explained(parameter));
    unexplained
        .map(|parameter| {
            let (ours, theirs) = (ours.get(parameter), theirs.get(parameter));
            format!("{name} {parameter}: {ours:?}, Harbor {theirs:?}")
        })
        .collect()
}

#[tokio::test]
async fn every_operation_has_the_parameters_of_harbors_or_says_why_not() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let harbor = harbor();
    let mut wrong = Vec::new();
    for (name, ours) in gantry(&document) {
        match harbor.get(&name) {
            Some(theirs) => wrong.extend(differences(&name, &ours, theirs)),
            None if MORE_OPERATIONS.iter().any(|(more, _)| *more == name) => {}
            None => wrong.push(format!("{name} is no operation of Harbor's")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_is_explained_does_differ() {
    let document = document().await;
    let (ours, theirs) = (gantry(&document), harbor());
    for (name, parameter, why) in DIFFERENCES.iter().filter(|(name, ..)| *name != "*") {
        let (ours, theirs) = (ours[*name].get(*parameter), theirs[*name].get(*parameter));
        assert_ne!(ours, theirs, "{name} {parameter}: {why}");
    }
}

#[tokio::test]
async fn operations_have_ids_of_their_own() {
    let document = document().await;
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let mut ids: Vec<&str> = operations
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
