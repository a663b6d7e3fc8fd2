//! A list runs as many statements for 100 rows as for 10.

use std::fmt::Write as _;

use super::Installation;
use crate::harness::{Client, Server, fresh};

/// Rows of each list.
const ROWS: usize = 100;
/// Statements that a list runs at most.
const MOST: i64 = 15;
/// No other row has such a number.
const FIRST: usize = 1_000_000;

pub(super) async fn do_not_grow_with_rows(installation: &Installation<'_>) {
    let server = installation.server();
    let team = server.private_project().await;
    let repository = team.repository("many");
    for statements in rows(installation, team.id, &repository) {
        installation.sql(&statements).await;
    }
    let admin = server.admin();
    let project = format!("/api/v2.0/projects/{}", team.name);
    let of_project = "/api/v2.0/projects/{project_name_or_id}";
    let by_name = "/api/v2.0/projects/{project_name}";
    let with = "with_tag=true&with_label=true&with_accessory=true&with_immutable_status=true&with_scan_overview=true&with_sbom_overview=true";
    let lists = [
        (
            "/api/v2.0/projects".to_owned(),
            "/api/v2.0/projects".to_owned(),
        ),
        ("/api/v2.0/users".to_owned(), "/api/v2.0/users".to_owned()),
        (
            format!("{project}/repositories"),
            format!("{by_name}/repositories"),
        ),
        (
            format!("{project}/repositories/many/artifacts?{with}"),
            format!("{by_name}/repositories/{{repository_name}}/artifacts"),
        ),
        (
            format!("{project}/artifacts?{with}"),
            format!("{of_project}/artifacts"),
        ),
        (
            format!("/api/ext/v1/projects/{}/repositories/many/tags", team.name),
            "/api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags".to_owned(),
        ),
        (
            format!("{project}/members"),
            format!("{of_project}/members"),
        ),
        (
            format!("/api/v2.0/robots?q=Level=project,ProjectID={}", team.id),
            "/api/v2.0/robots".to_owned(),
        ),
        (
            "/api/v2.0/auditlog-exts".to_owned(),
            "/api/v2.0/auditlog-exts".to_owned(),
        ),
        ("/api/v2.0/quotas".to_owned(), "/api/v2.0/quotas".to_owned()),
        (
            "/api/ext/v1/projects/usage".to_owned(),
            "/api/ext/v1/projects/usage".to_owned(),
        ),
        (
            format!("/api/ext/v1/projects/{}/repositories/usage", team.name),
            "/api/ext/v1/projects/{project_name}/repositories/usage".to_owned(),
        ),
        (
            "/api/ext/v1/me/access".to_owned(),
            "/api/ext/v1/me/access".to_owned(),
        ),
    ];
    let mut wrong = String::new();
    for (path, route) in lists {
        let and = if path.contains('?') { '&' } else { '?' };
        // Whoever asks is known from then on.
        admin.get(&path).await.expect(200);
        let mut ran = Vec::new();
        for size in [10, ROWS] {
            let asked = format!("{path}{and}page_size={size}");
            ran.push(statements(server, &admin, (&asked, &route), size).await);
        }
        if ran[0] != ran[1] || !(1..=MOST).contains(&ran[0]) {
            writeln!(wrong, "{path}: {ran:?}").expect("a string can be written");
        }
    }
    assert!(
        wrong.is_empty(),
        "lists run other statements for 100 rows than for 10, or too many:\n{wrong}"
    );
    pulls_sort_alike(
        installation,
        &format!("{project}/repositories/many/artifacts"),
    )
    .await;
}

/// What was never pulled is older than all else, on either database.
async fn pulls_sort_alike(installation: &Installation<'_>, artifacts: &str) {
    let pulled = FIRST + 50;
    let stat = format!(
        "insert into manifest_stat (manifest_id, pulls, pulled_at) values ({pulled}, 1, 1700000000000000)"
    );
    installation.sql(&stat).await;
    let admin = installation.server().admin();
    let ids = async |sort: &str| {
        let path = format!("{artifacts}?sort={sort}&page_size=100");
        let listed = admin.get(&path).await.expect(200).json();
        let listed = listed.as_array().expect("a list").iter();
        listed
            .map(|artifact| artifact["id"].as_u64())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("-pull_time").await.first(), Some(&Some(pulled as u64)));
    assert_eq!(ids("pull_time").await.last(), Some(&Some(pulled as u64)));
}

/// How many statements a request runs: the fewest of three, since a cache may have to ask anew in one.
async fn statements(server: &Server, client: &Client, asked: (&str, &str), size: usize) -> i64 {
    let mut fewest = i64::MAX;
    for _ in 0..3 {
        fewest = fewest.min(statements_once(server, client, asked, size).await);
    }
    fewest
}

async fn statements_once(
    server: &Server,
    client: &Client,
    (path, route): (&str, &str),
    size: usize,
) -> i64 {
    let name = format!("gantry_http_request_statements_total{{route=\"{route}\"}}");
    let before = server.metric(&name).await;
    let listed = client.get(path).await.expect(200).json();
    let listed = listed.as_array().map(Vec::len);
    assert_eq!(listed, Some(size), "{path}");
    let counted = server.metric(&name).await - before;
    counted as i64
}

/// Statements that make 100 rows for each list, as many together as a command takes.
fn rows(installation: &Installation<'_>, project: u64, repository: &str) -> Vec<String> {
    let word = fresh("many");
    let around = format!(
        "insert into repository (id, project_id, name, published, artifacts, created_at, updated_at)
         values ({FIRST}, {project}, '{repository}', 1, {ROWS}, 1, 1);
         insert into label (id, project_id, name, description, color, created_at, updated_at)
         values ({FIRST}, {project}, 'l', '', '', 1, 1);"
    );
    let of_row = |number: usize| {
        let (id, user, robot) = (FIRST + number, FIRST + number, FIRST + 1_000 + number);
        let digest = installation.bytes(&format!("01{number:064x}"));
        let other = installation.bytes(&format!("02{number:0128x}"));
        format!(
            "insert into project (id, name, owner_id, public, storage_limit, created_at, updated_at)
             values ({id}, '{word}-{number}', 1, 1, -1, 1, 1);
             insert into repository (id, project_id, name, published, artifacts, created_at, updated_at)
             values ({id}, {project}, '{repository}-{number}', 1, 0, 1, 1);
             insert into principal (id, kind, name, generation) values ({user}, 'user', '{word}-{number}', 1);
             insert into user_account (id, principal_id, email, realname, comment, sysadmin, created_at, updated_at)
             values ({user}, {user}, '{word}-{number}@example.com', 'A', '', 0, 1, 1);
             insert into member (project_id, principal_id, role, created_at) values ({project}, {user}, 3, 1);
             insert into principal (id, kind, name, generation) values ({robot}, 'robot', 'robot${word}+{number}', 1);
             insert into robot (id, principal_id, project_id, name, description, secret_hash, duration, disabled, creator_type,
                 creator_ref, created_at, updated_at)
             values ({robot}, {robot}, {project}, '{word}+{number}', '', 'x', -1, 0, 'local', 1, 1, 1);
             insert into robot_permission (robot_id, place, project_id, resource, action)
             values ({robot}, 'project', {project}, 'repository', 'pull');
             insert into manifest (id, repository_id, digest, media_type, kind, config_type, annotations, size, total_size, tagged,
                 listed, pushed_at)
             values ({id}, {FIRST}, {digest}, 'application/vnd.oci.image.index.v1+json', 'IMAGE',
                 'application/vnd.oci.image.index.v1+json', '{{}}', 1, 1, 1, 1, {number});
             insert into manifest (id, repository_id, digest, media_type, kind, config_type, subject, annotations, size, total_size,
                 tagged, listed, pushed_at)
             values ({robot}, {FIRST}, {other}, 'application/vnd.oci.image.manifest.v1+json', 'IMAGE', 'x', {digest}, '{{}}', 1, 1,
                 0, 0, {number});
             insert into accessory (manifest_id, repository_id, subject, type)
             values ({robot}, {FIRST}, {digest}, 'signature.cosign');
             insert into tag (repository_id, name, manifest_id, pushed_at) values ({FIRST}, 'v{number}', {id}, {number});
             insert into label_link (manifest_id, label_id) values ({id}, {FIRST});
             insert into audit (at, principal_name, address, operation, resource_type, resource, success, times, detail)
             values ({at}, 'admin', '', 'create', 'label', 'l', 1, 1, '');",
            at = 1_700_000_000_000_000 + number,
        )
    };
    let rows: Vec<String> = (1..=ROWS).map(of_row).collect();
    let groups = rows.chunks(10).map(<[String]>::concat);
    std::iter::once(around).chain(groups).collect()
}
