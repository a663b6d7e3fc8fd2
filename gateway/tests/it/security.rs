//! A security pass as a whole: what is tested elsewhere, by name, and here what was not.
//!
//! | attack | tested by |
//! |---|---|
//! | CSRF | `session::what_changes_something_needs_the_token_of_the_session`, `session::the_cookie_for_tokens_is_kept_from_scripts_and_other_sites` |
//! | session fixation | `session::a_session_from_before_is_not_taken_over` |
//! | cookie flags | `session::a_browser_signs_in_and_out`, [`every_cookie_is_kept_from_scripts_other_sites_and_plain_connections`] |
//! | header injection | `bad_input::headers`, [`no_name_ends_a_header`] |
//! | mass assignment | `rest::users::nobody_makes_themselves_an_administrator`, [`fields_that_nobody_may_set_change_nothing`] |
//! | IDOR across projects | [`the_ids_of_one_project_open_nothing_in_another`], `permissions::hidden` |
//! | timing of users | [`the_time_of_a_refusal_does_not_tell_who_exists`], `permissions::hidden::the_time_to_answer_does_not_tell_hidden_from_missing`, `ldap::hostile::whether_the_directory_has_a_name_is_not_told` |
//! | a stronger robot | `rest::robots::rights::nobody_makes_a_robot_that_is_stronger_than_they_are` and what follows it there |
//! | SQL injection | [`no_text_becomes_a_statement`] |
//! | deeply nested JSON | `bad_input::json`, `bad_input::manifests`, [`deep_json_costs_nothing`] |
//! | log injection | [`no_name_begins_a_line_of_the_log`] |
//! | CSV injection | `rest::audit::an_export_is_everything_that_a_search_finds_and_runs_in_no_spreadsheet`, [`no_user_agent_runs_in_a_spreadsheet`] |
//! | reset links: guessing | [`links_cannot_be_guessed_for_long`] |
//! | reset links: replay | `mail::a_forgotten_password_is_set_by_a_link` |
//! | reset links: `Host` | `mail::a_forgotten_password_is_set_by_a_link` |
//! | codes and states of OIDC: replay, mix-up | `oidc::a_sign_in_is_one_browsers_once_and_leads_nowhere_else`, `oidc::an_answer_of_another_provider_is_no_answer` |
//! | other tokens as ID tokens | `oidc::bearer` |

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Answer, Client, PASSWORD, Project, Role, Server, Shared, eventually, fresh, image,
};

static SERVER: Shared = Shared::new(&[]);

const CURRENT: &str = "/api/v2.0/users/current";
const LOGIN: &str = "/service/token?service=harbor-registry";
/// What tries to be something else than text.
const HOSTILE: [&str; 12] = [
    "' or '1'='1",
    "'; drop table user_account; --",
    "\" or 1=1 --",
    "x') or ('1'='1",
    "%' or 1=1 or name like '%",
    "$1",
    "?1; select pg_sleep(9)",
    "' union select password_hash from user_account --",
    "admin'/*",
    "\\'; delete from audit; --",
    "name); drop table project; --",
    "||(select 1)||",
];

fn encoded(text: &str) -> String {
    let escaped = text.bytes().map(|byte| format!("%{byte:02X}"));
    escaped.collect()
}

#[tokio::test]
async fn no_text_becomes_a_statement() {
    let server = SERVER.get().await;
    let (admin, project) = (server.admin(), server.private_project().await);
    let lists = [
        "/api/v2.0/projects",
        "/api/v2.0/users",
        "/api/v2.0/robots",
        "/api/v2.0/usergroups",
        "/api/v2.0/auditlog-exts",
        "/api/v2.0/repositories",
        "/api/v2.0/quotas",
        "/api/v2.0/registries",
        "/api/v2.0/replication/policies",
        "/api/ext/v1/jobs",
        "/api/ext/v1/deleted-projects",
    ];
    for text in HOSTILE {
        let text = encoded(text);
        for list in lists {
            for query in [
                format!("q=name%3D~{text}"),
                format!("q=username%3D{text}"),
                format!("q={text}%3D1"),
                format!("sort={text}"),
                format!("name={text}"),
                format!("page={text}"),
            ] {
                let answer = admin.get(&format!("{list}?{query}")).await;
                assert!(answer.status < 500, "{list}?{query}: {answer}");
            }
        }
        // A condition that would always hold finds nothing.
        let found = admin
            .get(&format!("/api/v2.0/projects?q=name%3D{text}"))
            .await;
        if found.status == 200 {
            assert_eq!(found.json(), json!([]), "{text}");
        }
        for path in [
            format!("/api/v2.0/projects/{text}"),
            format!("/api/v2.0/projects/{}/repositories/{text}", project.name),
            format!("/api/v2.0/users/{text}"),
            format!("/v2/{text}/manifests/latest"),
            format!("/v2/{}/app/manifests/{text}", project.name),
            format!("/api/v2.0/users/search?username={text}"),
            format!("/api/v2.0/search?q={text}"),
        ] {
            let answer = admin.get(&path).await;
            assert!(answer.status < 500, "{path}: {answer}");
        }
    }
    for text in HOSTILE {
        let person = server.as_user_with(text, text);
        person.get(LOGIN).await.expect(401);
    }
    // Everything is there.
    admin
        .get(&format!("/api/v2.0/projects/{}", project.name))
        .await
        .expect(200);
    admin.get(CURRENT).await.expect(200);
    let log = admin
        .get("/api/v2.0/auditlog-exts?page_size=1")
        .await
        .expect(200);
    assert_eq!(log.json().as_array().map(Vec::len), Some(1));
}

/// What a project has that has an ID of its own: how it is read, changed and deleted, below the project.
async fn belongings(project: &Project<'_>, head: &Client) -> Vec<String> {
    let rest = format!("/api/v2.0/projects/{}", project.name);
    let ext = format!("/api/ext/v1/projects/{}", project.name);
    let rule = json!({ "action": "immutable", "template": "immutable_template",
        "tag_selectors": [{ "kind": "doublestar", "decoration": "matches", "pattern": fresh("none") }],
        "scope_selectors": { "repository": [{ "kind": "doublestar", "decoration": "repoMatches", "pattern": "**" }] } });
    let workload = json!({ "name": fresh("rule"), "issuer": "https://ci.example", "audience": "gantry",
        "subject": "repo:team/app:ref:refs/heads/main", "role": "guest" });
    let rule = head
        .post(&format!("{rest}/immutabletagrules"))
        .json(&rule)
        .await
        .expect(201);
    let workload = head
        .post(&format!("{ext}/workload-rules"))
        .json(&workload)
        .await
        .expect(201);
    let members = head
        .get(&format!("{rest}/members"))
        .await
        .expect(200)
        .json();
    let member = members[0]["id"].clone();
    let id_of = |answer: &Answer| {
        let location = answer.location();
        location.rsplit('/').next().expect("an ID").to_owned()
    };
    vec![
        format!(
            "/api/v2.0/projects/PROJECT/immutabletagrules/{}",
            id_of(&rule)
        ),
        format!(
            "/api/ext/v1/projects/PROJECT/workload-rules/{}",
            id_of(&workload)
        ),
        format!("/api/v2.0/projects/PROJECT/members/{member}"),
        "/api/ext/v1/projects/PROJECT/expected-members/1".to_owned(),
    ]
}

#[tokio::test]
async fn the_ids_of_one_project_open_nothing_in_another() {
    let server = SERVER.get().await;
    let (theirs, own) = (
        server.private_project().await,
        server.private_project().await,
    );
    let (victim, attacker) = (
        theirs.member(Role::ProjectAdmin).await,
        own.member(Role::ProjectAdmin).await,
    );
    let before = |path: &str| path.replace("PROJECT", &theirs.name);
    let things = belongings(&theirs, &victim).await;
    let list = format!("/api/v2.0/projects/{}/members", theirs.name);
    let members = victim.get(&list).await.expect(200).json();
    for thing in &things {
        let through_own = thing.replace("PROJECT", &own.name);
        let body = json!({ "role_id": 1, "name": "stolen", "disabled": true });
        for answer in [
            attacker.get(&through_own).await,
            attacker.put(&through_own).json(&body).await,
            attacker.delete(&through_own).await,
        ] {
            // Ending a membership that is not there is no error.
            let is_nothing = answer.status == 200 && answer.text().is_empty();
            assert!(
                matches!(answer.status, 400 | 403 | 404 | 405) || is_nothing,
                "{through_own}: {answer}"
            );
            assert!(!answer.text().contains(&theirs.name), "{answer}");
        }
        let directly = attacker.delete(&before(thing)).await;
        assert_eq!(directly.status, 403, "{thing}: {directly}");
    }
    assert_eq!(victim.get(&list).await.expect(200).json(), members);
    for thing in things
        .iter()
        .filter(|thing| !thing.ends_with("/expected-members/1"))
    {
        let kept = victim.get(&before(thing)).await;
        assert!(matches!(kept.status, 200 | 405), "{thing}: {kept}");
    }

    // By numbers that are not below a project: robots, labels, policies, quotas.
    let id = victim
        .get(&format!("/api/v2.0/projects/{}", theirs.name))
        .await
        .expect(200)
        .json();
    let id = id["project_id"].clone();
    let robot = json!({ "name": "ci", "level": "project", "duration": 1, "permissions": [
        { "kind": "project", "namespace": theirs.name, "access": [{ "resource": "repository", "action": "pull" }] }] });
    let label = json!({ "name": "theirs", "scope": "p", "project_id": id });
    let robot = victim
        .post("/api/v2.0/robots")
        .json(&robot)
        .await
        .expect(201)
        .location();
    let label = victim
        .post("/api/v2.0/labels")
        .json(&label)
        .await
        .expect(201)
        .location();
    let paths = [robot, label, format!("/api/v2.0/quotas/{id}")];
    for path in paths {
        for answer in [
            attacker.get(&path).await,
            attacker.delete(&path).await,
            attacker.patch(&path).json(&json!({})).await,
            attacker.put(&path).json(&json!({ "name": "stolen" })).await,
        ] {
            assert!(
                matches!(answer.status, 400 | 403 | 404 | 405),
                "{path}: {answer}"
            );
        }
    }
    // A label of theirs goes on no artifact of one's own.
    let app = own.repository("app");
    attacker.push_image(&app, "v1", &image(&app)).await;
    let labels = format!(
        "/api/v2.0/projects/{}/repositories/app/artifacts/v1/labels",
        own.name
    );
    let stolen = attacker
        .post(&labels)
        .json(&json!({ "id": 1_000_000 }))
        .await;
    assert!(matches!(stolen.status, 400 | 404), "{stolen}");
}

#[tokio::test]
async fn fields_that_nobody_may_set_change_nothing() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let name = fresh("greedy");
    let id = server.create_user(&name).await;
    let person = server.as_user(&name);
    let path = format!("/api/v2.0/users/{id}");
    let greedy = json!({ "email": format!("{name}@example.com"), "realname": "Greedy", "sysadmin_flag": true,
        "admin_role_in_auth": true, "user_id": 1, "username": "admin", "password": "Passw0rd9", "creation_time": "2001-01-01T00:00:00Z",
        "oidc_user_meta": { "secret": "x" } });
    person.put(&path).json(&greedy).await.expect(200);
    let shown = person.get(CURRENT).await.expect(200).json();
    assert_eq!(shown["sysadmin_flag"], false);
    assert_eq!(
        (&shown["username"], &shown["user_id"]),
        (&json!(name), &json!(id))
    );
    assert!(
        !shown["creation_time"]
            .as_str()
            .unwrap_or_default()
            .starts_with("2001")
    );

    // A project's owner, id and quota are not its maker's to choose.
    let project = fresh("greedy");
    let body = json!({ "project_name": project, "owner_id": 1, "project_id": 1, "storage_limit": 7, "repo_count": 9,
        "metadata": { "public": "false" } });
    person
        .post("/api/v2.0/projects")
        .json(&body)
        .await
        .expect(201);
    let rest = format!("/api/v2.0/projects/{project}");
    let shown = person.get(&rest).await.expect(200).json();
    assert_eq!(
        (&shown["owner_name"], &shown["repo_count"]),
        (&json!(name), &json!(0))
    );
    assert_ne!(shown["project_id"], 1);
    let summary = admin
        .get(&format!("{rest}/summary"))
        .await
        .expect(200)
        .json();
    assert_eq!(summary["quota"]["hard"]["storage"], -1, "{summary}");
    // Neither are a robot's id, maker and name to sign in with.
    let robot = json!({ "name": "ci", "level": "project", "duration": 1, "id": 1, "creator_ref": 1, "creator_type": "robot",
        "full_name": "admin", "permissions": [{ "kind": "project", "namespace": project,
            "access": [{ "resource": "repository", "action": "pull" }] }] });
    let made = person
        .post("/api/v2.0/robots")
        .json(&robot)
        .await
        .expect(201);
    let shown = person.get(&made.location()).await.expect(200).json();
    assert_eq!(
        (&shown["creator_type"], &shown["creator_ref"]),
        (&json!("local"), &json!(id))
    );
    assert_eq!(shown["name"], format!("robot${project}+ci"));
}

#[tokio::test]
async fn every_cookie_is_kept_from_scripts_other_sites_and_plain_connections() {
    let server = SERVER.get().await;
    let client = server.anonymous();
    let page = client.get("/c/login").await.expect(200);
    let first = page
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap_or_default()
        .to_owned();
    let form = format!(
        "principal=admin&password={}",
        encoded(crate::harness::ADMIN_PASSWORD)
    );
    let signed_in = client
        .post("/c/login")
        .header("cookie", &first)
        .header("x-harbor-csrf-token", page.header("x-harbor-csrf-token"))
        .form(&form)
        .await
        .expect(200);
    let mut seen = 0;
    for answer in [&page, &signed_in] {
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("cookies are ASCII");
            for flag in ["HttpOnly", "Secure", "Path=/"] {
                assert!(cookie.contains(flag), "{flag} in {cookie}");
            }
            let sites = ["SameSite=Lax", "SameSite=Strict"];
            assert!(sites.iter().any(|flag| cookie.contains(flag)), "{cookie}");
            assert!(!cookie.contains("Domain="), "{cookie}");
            seen += 1;
        }
    }
    assert!(seen >= 2, "{signed_in}");
    // Nothing else sets one.
    for path in ["/api/v2.0/systeminfo", "/api/v2.0/projects", "/v2/", "/ui/"] {
        let answer = server.admin().get(path).await;
        assert_eq!(answer.maybe_header("set-cookie"), None, "{path}");
    }
}

#[tokio::test]
async fn no_name_ends_a_header() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let crlf = "%0d%0aSet-Cookie:%20stolen=1";
    for path in [
        format!("/api/v2.0/projects?q=name%3D{crlf}&page=2"),
        format!("/api/v2.0/projects?x={crlf}"),
        format!("/api/ext/v1/audit/export?format=csv&q=username%3D{crlf}"),
        format!("/c/oidc/login?redirect_url=/{crlf}"),
        format!("/ui/{crlf}"),
        format!("/service/token?service=harbor-registry&scope=repository:{crlf}:pull"),
    ] {
        let answer = admin.get(&path).await;
        assert!(answer.status < 500, "{path}: {answer}");
        assert_eq!(
            answer
                .maybe_header("set-cookie")
                .filter(|it| it.contains("stolen")),
            None,
            "{path}"
        );
    }
    // Names in a location are escaped, and a header of the request is no header of the answer.
    let asked = admin
        .get("/api/v2.0/projects")
        .header("x-request-id", "a b\tSet-Cookie")
        .await;
    assert_eq!(asked.maybe_header("set-cookie"), None);
}

/// Signs in under a name that makes its own lines.
#[tokio::test]
async fn no_name_begins_a_line_of_the_log() {
    let server = Server::start().await;
    let mark = fresh("forged");
    let name = format!("x\n2026-01-01 ERROR {mark}\r\n\u{1b}[2J{mark}");
    let person = server.as_user_with(&name, "Wrong00Wrong");
    person
        .get(LOGIN)
        .header("user-agent", format!("a {mark}"))
        .await
        .expect(401);
    person
        .get(&format!("/v2/{}/manifests/latest", encoded(&mark)))
        .await;
    let admin = server.admin();
    eventually(10, "it is in the audit log", async || {
        let query = "q=operation%3Dlogin%2Coperation_result%3Dfalse";
        let log = admin
            .get(&format!("/api/v2.0/auditlog-exts?{query}"))
            .await
            .expect(200);
        log.text().contains(&mark).then_some(())
    })
    .await;
    for line in server.log().lines() {
        assert!(
            !line.starts_with("2026-01-01") && !line.contains('\u{1b}'),
            "{line:?}"
        );
    }
    let shown = server.cli_prints(&["audit", "list"]).await;
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    for line in shown.lines() {
        assert!(!line.starts_with("2026-01-01"), "{line:?}");
    }
}

#[tokio::test]
async fn no_user_agent_runs_in_a_spreadsheet() {
    let server = SERVER.get().await;
    let agent = format!("=HYPERLINK(\"https://evil.example\",\"{}\")", fresh("cell"));
    let person = server.as_user_with(&fresh("nobody"), "Wrong00Wrong");
    person
        .get(LOGIN)
        .header("user-agent", &agent)
        .await
        .expect(401);
    let admin = server.admin();
    let cells = eventually(10, "it is in the export", async || {
        let query = format!(
            "format=csv&q=user_agent%3D{}",
            encoded(&agent.replace(',', "\\,"))
        );
        let text = admin
            .get(&format!("/api/ext/v1/audit/export?{query}"))
            .await
            .expect(200)
            .text();
        text.contains("evil.example").then_some(text)
    });
    let cells = cells.await;
    assert!(cells.contains("\"'=HYPERLINK"), "{cells}");
}

#[tokio::test]
async fn deep_json_costs_nothing() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let began = Instant::now();
    for body in [
        "[".repeat(60_000),
        "{\"a\":".repeat(12_000),
        format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)),
        format!(
            "{{\"metadata\":{}1{}}}",
            "{\"a\":".repeat(6_000),
            "}".repeat(6_000)
        ),
    ] {
        for path in [
            "/api/v2.0/projects",
            "/api/v2.0/robots",
            "/api/v2.0/retentions",
            "/api/ext/v1/bulk",
        ] {
            let answer = admin
                .post(path)
                .content_type("application/json")
                .body(body.clone())
                .await;
            assert!(matches!(answer.status, 400 | 413 | 422), "{path}: {answer}");
        }
    }
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    server.still_serves().await;
}

#[tokio::test]
async fn links_cannot_be_guessed_for_long() {
    let server = SERVER.get().await;
    let guesser = server.anonymous().at(201);
    let mut statuses = Vec::new();
    for number in 0..40 {
        let guess = json!({ "token": format!("{number:064x}"), "new_password": PASSWORD });
        let answer = guesser
            .post("/api/ext/v1/password/reset")
            .json(&guess)
            .await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses[0], 400);
    assert_eq!(statuses[39], 429, "{statuses:?}");
    // Nobody else waits for that.
    let other = server.anonymous().at(202);
    let guess = json!({ "token": "0".repeat(64), "new_password": PASSWORD });
    let answer = other.post("/api/ext/v1/password/reset").json(&guess).await;
    answer.expect_error(400, "BAD_REQUEST");
}

/// The middle one of the times of wrong sign-ins, each from another network, so that none waits for another.
async fn median(server: &Server, name: &str, first: u8) -> Duration {
    let mut times = Vec::new();
    for number in 0..9 {
        let caller = server.as_user_with(name, "Wrong00Wrong").at(first + number);
        let began = Instant::now();
        caller.get(LOGIN).await.expect(401);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// Times differ by chance on a busy machine: one of four rounds has to be even.
#[tokio::test]
async fn the_time_of_a_refusal_does_not_tell_who_exists() {
    let server = Server::start().await;
    let mut seen: Vec<Value> = Vec::new();
    for round in 0..4_u8 {
        let name = fresh("known");
        server.create_user(&name).await;
        let known = median(&server, &name, 20 + round * 20).await;
        let unknown = median(&server, &fresh("unknown"), 30 + round * 20).await;
        let ratio = known.as_secs_f64() / unknown.as_secs_f64();
        seen.push(json!([format!("{known:?}"), format!("{unknown:?}")]));
        if (0.7..=1.4).contains(&ratio) {
            return;
        }
    }
    panic!("known and unknown: {seen:?}");
}
