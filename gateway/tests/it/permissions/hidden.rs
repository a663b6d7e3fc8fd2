//! A private project cannot be told from one that does not exist. Creating it is the one documented exception.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use super::SERVER;
use crate::harness::{Answer, Client, Jwt, Project, Role, Server, image, media};

/// A request about a project, with `PROJECT`, `DIGEST` and `SESSION` to be filled in.
type Template = (Method, &'static str, &'static str);

const V2: &[Template] = &[
    (Method::GET, "/v2/PROJECT/app/manifests/latest", ""),
    (Method::HEAD, "/v2/PROJECT/app/manifests/latest", ""),
    (Method::GET, "/v2/PROJECT/app/manifests/DIGEST", ""),
    (Method::HEAD, "/v2/PROJECT/app/manifests/DIGEST", ""),
    (
        Method::PUT,
        "/v2/PROJECT/app/manifests/latest",
        "{\"schemaVersion\":2}",
    ),
    (
        Method::PUT,
        "/v2/PROJECT/app/manifests/DIGEST",
        "{\"schemaVersion\":2}",
    ),
    (Method::DELETE, "/v2/PROJECT/app/manifests/latest", ""),
    (Method::DELETE, "/v2/PROJECT/app/manifests/DIGEST", ""),
    (Method::GET, "/v2/PROJECT/app/blobs/DIGEST", ""),
    (Method::HEAD, "/v2/PROJECT/app/blobs/DIGEST", ""),
    (Method::DELETE, "/v2/PROJECT/app/blobs/DIGEST", ""),
    (Method::GET, "/v2/PROJECT/app/tags/list", ""),
    (Method::GET, "/v2/PROJECT/app/tags/list?n=1&last=a", ""),
    (Method::GET, "/v2/PROJECT/app/referrers/DIGEST", ""),
    (
        Method::GET,
        "/v2/PROJECT/app/referrers/DIGEST?artifactType=x",
        "",
    ),
    (Method::POST, "/v2/PROJECT/app/blobs/uploads/", ""),
    (
        Method::POST,
        "/v2/PROJECT/app/blobs/uploads/?digest=DIGEST",
        "bytes",
    ),
    (
        Method::POST,
        "/v2/PROJECT/app/blobs/uploads/?mount=DIGEST",
        "",
    ),
    (
        Method::POST,
        "/v2/PROJECT/app/blobs/uploads/?mount=DIGEST&from=PROJECT/app",
        "",
    ),
    (Method::GET, "/v2/PROJECT/app/blobs/uploads/SESSION", ""),
    (
        Method::PATCH,
        "/v2/PROJECT/app/blobs/uploads/SESSION",
        "bytes",
    ),
    (
        Method::PUT,
        "/v2/PROJECT/app/blobs/uploads/SESSION",
        "bytes",
    ),
    (Method::DELETE, "/v2/PROJECT/app/blobs/uploads/SESSION", ""),
    (Method::GET, "/v2/PROJECT/other/manifests/latest", ""),
];

const REST: &[Template] = &[
    (Method::GET, "/api/v2.0/projects/PROJECT", ""),
    (Method::HEAD, "/api/v2.0/projects?project_name=PROJECT", ""),
    (Method::GET, "/api/v2.0/projects?name=PROJECT", ""),
    (
        Method::PUT,
        "/api/v2.0/projects/PROJECT",
        "{\"metadata\":{\"public\":\"true\"}}",
    ),
    (Method::DELETE, "/api/v2.0/projects/PROJECT", ""),
    (Method::GET, "/api/v2.0/projects/PROJECT/members", ""),
    (Method::GET, "/api/v2.0/projects/PROJECT/members/1", ""),
    (
        Method::POST,
        "/api/v2.0/projects/PROJECT/members",
        "{\"role_id\":1,\"member_user\":{\"username\":\"admin\"}}",
    ),
    (
        Method::PUT,
        "/api/v2.0/projects/PROJECT/members/1",
        "{\"role_id\":1}",
    ),
    (Method::DELETE, "/api/v2.0/projects/PROJECT/members/1", ""),
    (Method::GET, "/api/v2.0/projects/PROJECT/summary", ""),
    (Method::GET, "/api/v2.0/projects/PROJECT/_deletable", ""),
    (Method::GET, "/api/v2.0/projects/PROJECT/metadatas", ""),
    (
        Method::GET,
        "/api/v2.0/projects/PROJECT/metadatas/public",
        "",
    ),
];

/// A private project with an image and an open upload, and the name of one that never existed.
struct Pair<'s> {
    hidden: Project<'s>,
    missing: String,
    digest: String,
    session: String,
}

impl<'s> Pair<'s> {
    async fn on(server: &'s Server) -> Self {
        let hidden = server.private_project().await;
        let image = image(&hidden.name);
        let admin = server.admin();
        admin
            .push_image(&hidden.repository("app"), "latest", &image)
            .await;
        let location = admin
            .start_upload(&hidden.repository("app"))
            .await
            .location();
        let (_, session) = location
            .split_once("/uploads/")
            .expect("a session is below uploads");
        let missing = hidden.name.replace("project", "nothing");
        Self {
            missing,
            digest: image.digest,
            session: session.to_owned(),
            hidden,
        }
    }

    async fn ask(&self, caller: &Client, template: &Template, project: &str) -> Answer {
        let (method, path, body) = template;
        let path = path
            .replace("PROJECT", project)
            .replace("DIGEST", &self.digest)
            .replace("SESSION", &self.session);
        let mut request = caller.request(method.clone(), &path).body(*body);
        if !body.is_empty() {
            let json = path.starts_with("/api");
            request = request.content_type(if json {
                "application/json"
            } else {
                media::OCI_MANIFEST
            });
        }
        request.await
    }

    async fn cannot_be_told_apart(&self, caller: &Client, templates: &[Template]) {
        for template in templates {
            let hidden = self.ask(caller, template, &self.hidden.name).await;
            let missing = self.ask(caller, template, &self.missing).await;
            assert_eq!(
                blurred(&hidden, &self.hidden.name),
                blurred(&missing, &self.missing),
                "{template:?}"
            );
        }
    }
}

/// An answer without what differs between any two requests, and with the project's name blotted out.
fn blurred(answer: &Answer, project: &str) -> (u16, BTreeMap<String, Vec<String>>, String) {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &answer.headers {
        let value = value
            .to_str()
            .expect("headers are ASCII")
            .replace(project, "PROJECT");
        let value = match name.as_str() {
            "date" | "x-request-id" | "docker-upload-uuid" | "x-harbor-csrf-token" => String::new(),
            "location" => "somewhere".to_owned(),
            _ => value,
        };
        headers.entry(name.to_string()).or_default().push(value);
    }
    (
        answer.status,
        headers,
        answer.text().replace(project, "PROJECT"),
    )
}

#[tokio::test]
async fn nobody_outside_can_tell_hidden_from_missing_on_v2() {
    let server = SERVER.get().await;
    let pair = Pair::on(&server).await;
    let stranger = server.stranger().await;
    pair.cannot_be_told_apart(&server.anonymous(), V2).await;
    pair.cannot_be_told_apart(&stranger, V2).await;
    let scope = |name: &str| format!("repository:{name}/app:pull,push,delete");
    let both = [scope(&pair.hidden.name), scope(&pair.missing)];
    for caller in [server.anonymous(), stranger] {
        let holder = caller.with_token(&[&both[0], &both[1]]).await;
        pair.cannot_be_told_apart(&holder, V2).await;
    }
}

#[tokio::test]
async fn nobody_outside_can_tell_hidden_from_missing_over_rest() {
    let server = SERVER.get().await;
    let pair = Pair::on(&server).await;
    pair.cannot_be_told_apart(&server.anonymous(), REST).await;
    pair.cannot_be_told_apart(&server.stranger().await, REST)
        .await;
}

#[tokio::test]
async fn nobody_outside_can_tell_hidden_from_missing_by_number() {
    let server = SERVER.get().await;
    let hidden = server.private_project().await;
    let stranger = server.stranger().await;
    for caller in [server.anonymous(), stranger] {
        for below in ["", "/members"] {
            let (there, not_there) = (hidden.id.to_string(), "987654".to_owned());
            let one = caller
                .get(&format!("/api/v2.0/projects/{there}{below}"))
                .await;
            let two = caller
                .get(&format!("/api/v2.0/projects/{not_there}{below}"))
                .await;
            // no name to blot out: nothing at all may differ
            assert_eq!(blurred(&one, "PROJECT"), blurred(&two, "PROJECT"));
        }
    }
}

#[tokio::test]
async fn a_token_does_not_tell_hidden_from_missing() {
    let server = SERVER.get().await;
    let pair = Pair::on(&server).await;
    for caller in [server.anonymous(), server.stranger().await] {
        let mut granted = Vec::new();
        for project in [&pair.hidden.name, &pair.missing] {
            let token = caller
                .token(&[&format!("repository:{project}/app:pull,push")])
                .await;
            let access = Jwt::parse(&token).claims["access"].to_string();
            granted.push(access.replace(project.as_str(), "PROJECT"));
        }
        assert_eq!(granted[0], granted[1]);
        assert_eq!(granted[0], json!([]).to_string());
    }
}

#[tokio::test]
async fn a_mount_does_not_tell_hidden_from_missing() {
    let server = SERVER.get().await;
    let pair = Pair::on(&server).await;
    let own = server.private_project().await;
    let developer = own.member(Role::Developer).await;
    let target = format!("/v2/{}/blobs/uploads/", own.repository("app"));
    let scope = format!("repository:{}:pull,push", own.repository("app"));
    let holder = developer.with_token(&[&scope]).await;
    for caller in [developer, holder] {
        let mut answers = Vec::new();
        for project in [&pair.hidden.name, &pair.missing] {
            let query = format!("?mount={}&from={project}/app", pair.digest);
            answers.push(blurred(
                &caller.post(&format!("{target}{query}")).await.expect(202),
                project,
            ));
        }
        assert_eq!(answers[0], answers[1], "with from");
        let unknown = format!("sha256:{}", "9".repeat(64));
        let mut answers = Vec::new();
        for digest in [&pair.digest, &unknown] {
            let answer = caller
                .post(&format!("{target}?mount={digest}"))
                .await
                .expect(202);
            answers.push(blurred(&answer, digest));
        }
        assert_eq!(answers[0], answers[1], "without from");
    }
}

#[tokio::test]
async fn a_removed_member_sees_no_more_than_a_stranger() {
    let server = SERVER.get().await;
    let pair = Pair::on(&server).await;
    let person = server.stranger().await;
    let member = pair.hidden.add(person.name(), Role::Developer).await;
    person
        .get(&format!(
            "/v2/{}/manifests/latest",
            pair.hidden.repository("app")
        ))
        .await
        .expect(200);
    pair.hidden.remove(member).await;
    crate::harness::eventually(2, "the right is gone", async || {
        let path = format!("/v2/{}/manifests/latest", pair.hidden.repository("app"));
        (person.get(&path).await.status == 401).then_some(())
    })
    .await;
    pair.cannot_be_told_apart(&person, V2).await;
    pair.cannot_be_told_apart(&person, REST).await;
}

/// Times differ by chance on a busy machine: one of three rounds has to be even.
#[tokio::test]
async fn the_time_to_answer_does_not_tell_hidden_from_missing() {
    let server = SERVER.get().await;
    let pair = Pair::on(&server).await;
    let own = server.private_project().await;
    let developer = own.member(Role::Developer).await;
    let scope = |repository: &str| format!("repository:{repository}:pull,push");
    let scopes = [
        scope(&own.repository("app")),
        scope(&pair.hidden.repository("app")),
        scope(&format!("{}/app", pair.missing)),
    ];
    let token = developer.token(&[&scopes[0], &scopes[1], &scopes[2]]).await;
    let digest = &pair.digest;
    let mount = format!(
        "/v2/{}/blobs/uploads/?mount={digest}&from=PROJECT/app",
        own.repository("app")
    );
    let requests = [
        (Method::GET, "/v2/PROJECT/app/manifests/latest".to_owned()),
        (Method::HEAD, format!("/v2/PROJECT/app/blobs/{digest}")),
        (Method::POST, "/v2/PROJECT/app/blobs/uploads/".to_owned()),
        (Method::POST, mount),
    ];
    for (method, template) in requests {
        let mut seen = String::new();
        let mut even = false;
        for _ in 0..3 {
            let [hidden, missing] = medians(
                &server,
                &token,
                &method,
                &template,
                [&pair.hidden.name, &pair.missing],
            )
            .await;
            let ratio = hidden.as_secs_f64() / missing.as_secs_f64();
            seen.push_str(&format!(" {hidden:?} to {missing:?}"));
            even |= (0.8..=1.25).contains(&ratio);
            if even {
                break;
            }
        }
        assert!(even, "{method} {template}: hidden to missing:{seen}");
    }
}

/// As above: what is compared is a blob that many hidden repositories have and one that nobody has.
#[tokio::test]
async fn the_time_of_a_mount_without_source_does_not_tell_what_hidden_repositories_have() {
    let server = SERVER.get().await;
    let pair = Pair::on(&server).await;
    let admin = server.admin();
    let layer = admin
        .push_blob(&pair.hidden.repository("app"), "what many have")
        .await;
    for number in 0..100 {
        let target = pair.hidden.repository(&format!("copy-{number}"));
        let from = pair.hidden.repository("app");
        let path = format!("/v2/{target}/blobs/uploads/?mount={layer}&from={from}");
        admin.post(&path).await.expect(201);
    }
    let own = server.private_project().await;
    let developer = own.member(Role::Developer).await;
    let scope = format!("repository:{}:pull,push", own.repository("app"));
    let token = developer.token(&[&scope]).await;
    let template = format!("/v2/{}/blobs/uploads/?mount=PROJECT", own.repository("app"));
    let unknown = format!("sha256:{}", "9".repeat(64));
    let mut seen = String::new();
    for _ in 0..3 {
        let digests = [layer.as_str(), unknown.as_str()];
        let [hidden, nobody] = medians(&server, &token, &Method::POST, &template, digests).await;
        seen.push_str(&format!(" {hidden:?} to {nobody:?}"));
        let ratio = hidden.as_secs_f64() / nobody.as_secs_f64();
        if (0.8..=1.25).contains(&ratio) {
            return;
        }
    }
    panic!("hidden to nobody:{seen}");
}

/// Median times of 200 requests about each of two projects, one after the other in turn.
async fn medians(
    server: &Server,
    token: &str,
    method: &Method,
    template: &str,
    projects: [&str; 2],
) -> [Duration; 2] {
    let mut raw = server.raw().await;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..200 {
        for (project, times) in projects.iter().zip(&mut times) {
            let path = template.replace("PROJECT", project);
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
                 content-length: 0\r\n\r\n",
                server.host()
            );
            let begun = Instant::now();
            raw.write(request).await.expect("the server reads");
            let answer = match *method {
                Method::HEAD => raw.head_answer().await,
                _ => raw.answer().await,
            };
            times.push(begun.elapsed());
            answer.expect("the server answers");
        }
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}
