//! The API as its clients see it, on a SQLite file: what a Harbor answered, refusals of every route,
//! and the audit trail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod exchange;
mod harbor;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use auth::csrf::Csrf;
use auth::identity::Identity;
use auth::token::{TokenKey, TokenKeys};
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db::audit::recorder::Recorder;
use db::blob::Place;
use db::quota::Taking;
use db::user::{self, NewUser};
use db::{Db, Location, audit, label, manifest, member, principal, project, repository};
use gantry_admin_api::{
    AdminState, Certificates, ClientAddress, ComponentErrors, Error, Heavy, Needs, ProcessInfo,
    Route, SystemInfo, router, routes,
};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jobs::audit_forward::Forwarding;
use jobs::webhook::Webhooks;
use model::{
    Algorithm, Digest, Manifest, ManualClock, NewLabel, ProjectId, ProjectName, Timestamp,
};
use policy::{Action, Role, table};
use registry::{Limits, Registry};
use tenancy::password::NewPassword;
use tenancy::secret::MasterKey;
use tenancy::setting::{Fixed, Settings};
use tokio::sync::watch;
use tower::ServiceExt as _;

const ADMIN: &str = "Harbor12345";
const PASSWORD: &str = "Passw0rd1";
const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

struct Api {
    router: Router,
    db: Db,
    clock: Arc<ManualClock>,
    errors: watch::Sender<ComponentErrors>,
    _folder: tempfile::TempDir,
}

impl Api {
    /// A fresh installation, with the public project `library`.
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with settings that are fixed.
    async fn start_with(fixed: &[(&str, serde_json::Value)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("db"));
        let db = Db::open(&location).await.unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let keys = TokenKeys::new(Arc::new(TokenKey::generate().unwrap()), Vec::new());
        let recorder = Arc::new(Recorder::default());
        let settings = settings(&db, fixed).await;
        let records = (recorder, Arc::default());
        let master = MasterKey::generate_text().unwrap();
        let master = Arc::new(MasterKey::parse(master.as_bytes()).unwrap());
        let identity = Identity::new(
            db.clone(),
            clock.clone(),
            records,
            (keys, master.clone()),
            (settings.clone(), Arc::default()),
        );
        let password = NewPassword::try_from(ADMIN.to_owned()).unwrap();
        let hash = identity.hasher().hash(&password).await.unwrap();
        let info = SystemInfo {
            external_host: "registry.example".into(),
            version: "v2.16.0-test".into(),
            storage_provider: "filesystem",
            data_folder: folder.path().to_owned(),
        };
        let (errors, component_errors) = watch::channel(ComponentErrors::default());
        let registry = registry(&db, &clock, master.clone());
        let webhooks = Webhooks::new(
            (db.clone(), clock.clone()),
            (master.clone(), settings.clone()),
            &identity.directory().guard(),
            "registry.example",
        );
        let state = AdminState {
            db: db.for_lists(),
            registry: Arc::new(registry),
            identity: Arc::new(identity),
            csrf: Csrf::new(&master),
            master: master.clone(),
            clock: clock.clone(),
            forwarding: Arc::new(Forwarding::new(
                settings.clone(),
                Arc::default(),
                "registry.example".into(),
            )),
            settings,
            webhooks: webhooks.unwrap(),
            info,
            process: ProcessInfo {
                id: "this".into(),
                started: NOW,
            },
            certificates: certificates(folder.path()),
            heavy: Heavy::default(),
            unused_password: Arc::default(),
            component_errors,
        };
        make_admin(&db, hash).await;
        Self {
            router: router(Arc::new(state)),
            db,
            clock,
            errors,
            _folder: folder,
        }
    }

    /// The same with `alice`, `bob` and `carol`.
    async fn with_people() -> Self {
        Self::start().await.and_people().await
    }

    async fn and_people(self) -> Self {
        let api = self;
        for name in ["alice", "bob", "carol"] {
            let body = format!(
                r#"{{"username":"{name}","password":"{PASSWORD}","email":"{name}@example.com","realname":"{name}"}}"#
            );
            let answer = api.ask("POST", "/api/v2.0/users", "admin", &body).await;
            assert_eq!(answer.status(), StatusCode::CREATED);
        }
        api
    }

    async fn ask(&self, method: &str, path: &str, who: &str, body: &str) -> Response<Body> {
        let request = request(method, path, who);
        let request = if body.is_empty() {
            request.body(Body::empty())
        } else {
            request
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_owned()))
        };
        self.send(request.unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.clock.advance(Duration::from_secs(1));
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// A private project with alice as its first admin, made without the API.
    async fn project(&self, name: &str) -> ProjectId {
        let name: ProjectName = name.parse().unwrap();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let alice = user::by_name(tx, "alice").await?.unwrap().id;
                    project::create(tx, &name, alice, false, -1, NOW).await
                })
            })
            .await
            .unwrap()
    }

    /// The audit log's entries as `who operation type resource`, oldest first.
    async fn audited(&self) -> Vec<String> {
        let mut tx = self.db.reader().await.unwrap();
        let entries = audit::walk(&mut tx, 0, 1_000).await.unwrap();
        let line = |entry: &audit::Entry| {
            format!(
                "{} {} {} {}",
                entry.principal_name, entry.operation, entry.resource_type, entry.resource
            )
        };
        entries.iter().map(line).collect()
    }
}

/// A certificate of a CA that nobody trusts.
fn certificates(folder: &std::path::Path) -> Certificates {
    let now = model::Timestamp::date_time(NOW);
    let authority = certs::Authority::create("CA", now).unwrap();
    let issued = authority.issue(&["registry.example".parse().unwrap()], now, 365);
    let files = certs::write_pair(folder, &issued.unwrap()).unwrap();
    let loaded = certs::ServerCertificate::load(&files.certificate, &files.key);
    let main = certs::Presented {
        source: certs::Source::Ca,
        label: "server.crt".to_owned(),
        certificate: Arc::new(loaded.unwrap()),
    };
    let hot = certs::HotCertificates::new(vec![main], now);
    let ca = Some("-----BEGIN CERTIFICATE-----\n".to_owned());
    Certificates {
        reloader: certs::FileReloader::new(vec![files], hot.clone()),
        tls: Arc::new(certs::Tls::new(hot.clone(), None).unwrap()),
        wanted_names: vec!["registry.example".parse().unwrap()],
        roots: certs::Roots::default().with(authority.certificate_pem()),
        ca: watch::channel(ca).1,
        acme: None,
        hot,
    }
}

/// A registry whose blobs are in memory.
fn registry(db: &Db, clock: &Arc<ManualClock>, master: Arc<MasterKey>) -> Registry {
    let hour = Duration::from_secs(3_600);
    let limits = Limits {
        upload_expiry: hour,
        grace: hour,
        hold: hour,
        body_memory: 64 << 20,
        each_pull: false,
    };
    let store = Arc::new(storage::Memory::default());
    Registry::new(db.clone(), store, clock.clone(), master, limits)
}

/// The settings of a database, with some that are fixed.
async fn settings(db: &Db, fixed: &[(&str, serde_json::Value)]) -> Arc<Settings> {
    let fixed = fixed.iter();
    let fixed = fixed.map(|(name, value)| ((*name).to_owned(), value.clone()));
    let fixed = Fixed::new(fixed.collect()).unwrap();
    let master = Arc::new(MasterKey::parse(&[b'a'; 64]).unwrap());
    Settings::open(db.clone(), master, fixed).await.unwrap()
}

async fn make_admin(db: &Db, hash: String) {
    db.write(move |tx| {
        Box::pin(async move {
            let admin = NewUser {
                name: "admin".into(),
                email: None,
                realname: "system admin".into(),
                comment: "admin user".into(),
                password_hash: Some(hash),
                sysadmin: true,
                email_verified: true,
                unverified: false,
            };
            user::create_admin(tx, &admin, NOW).await?;
            let library = "library".parse().unwrap();
            project::create(tx, &library, model::UserId::ADMIN, true, -1, NOW).await
        })
    })
    .await
    .unwrap();
}

/// A request by `who`: `anonymous`, a name with or without `/PASSWORD`, or a whole `Authorization`.
fn request(method: &str, path: &str, who: &str) -> http::request::Builder {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .extension(ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let usual = if who == "admin" { ADMIN } else { PASSWORD };
    let (name, password) = who.split_once('/').unwrap_or((who, usual));
    match who {
        "anonymous" => request,
        _ if who.contains(' ') => request.header(AUTHORIZATION, who),
        _ => {
            let pair = STANDARD.encode(format!("{name}:{password}"));
            request.header(AUTHORIZATION, format!("Basic {pair}"))
        }
    }
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A path of a route, with parameters filled in.
async fn path_of(api: &Api, route: &Route, project: ProjectId) -> String {
    let mut tx = api.db.reader().await.unwrap();
    let found = project::by_id(&mut tx, project).await.unwrap();
    let name = found.map_or("deleted".to_owned(), |project| project.name.to_string());
    let path = route
        .path
        .replace("{project_name_or_id}", &project.to_string())
        .replace("{project_name}", &name)
        .replace("{repository_name}", "app")
        .replace("{reference}", "v1")
        .replace("{tag_name}", "v1")
        .replace("{addition}", "build_history")
        .replace("{digest}", &icon())
        .replace("{user_id}", "1")
        .replace("{session_id}", "1")
        .replace("{robot_id}", "1")
        .replace("{group_id}", "1")
        .replace("{mid}", "1")
        .replace("{id}", "1")
        .replace("{meta_name}", "public")
        .replace("{label_id}", "1")
        .replace("{reference}", "v1")
        .replace("{immutable_rule_id}", "1")
        .replace("{workload_rule_id}", "1")
        .replace("{webhook_policy_id}", "1")
        .replace("{execution_id}", "1")
        .replace("{delivery_id}", "1")
        .replace("{gc_id}", "1")
        .replace("{purge_id}", "1")
        .replace("{job_id}", "1")
        .replace("{eid}", "1")
        .replace("{tid}", "1")
        .replace("{pool_id}", "all")
        .replace("{job_type}", "all")
        .replace("{task_id}", "1")
        .replace("{notice_id}", "read-only");
    match route.method {
        "HEAD" => format!("{path}?project_name=library"),
        _ => format!("{path}?username=a&groupname=a&scope=g&q=name%3Da"),
    }
}

/// The digest of an icon.
fn icon() -> String {
    let png = include_bytes!("../../src/icon/image.png");
    Digest::of(Algorithm::Sha256, png).to_string()
}

async fn try_route(api: &Api, route: &Route, project: ProjectId, who: &str) -> StatusCode {
    let body = match route.method {
        "POST" | "PUT" => "{}",
        _ => "",
    };
    let path = path_of(api, route, project).await;
    api.ask(route.method, &path, who, body).await.status()
}

fn refused(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN
}

#[tokio::test]
async fn every_route_is_there_and_asks_for_what_the_table_says() {
    let api = Api::with_people().await;
    let project = api.project("secret").await;
    for route in routes() {
        let anonymous = try_route(&api, route, project, "anonymous").await;
        let stranger = try_route(&api, route, project, "carol").await;
        let sysadmin = try_route(&api, route, ProjectId(1), "admin").await;
        assert_ne!(sysadmin, StatusCode::METHOD_NOT_ALLOWED, "{route:?}");
        if route.method == "POST" && route.path.starts_with("/c/") {
            // Without the token that browsers are given, whoever it is.
            assert_eq!(
                [anonymous, sysadmin],
                [StatusCode::FORBIDDEN; 2],
                "{route:?}"
            );
            continue;
        }
        match route.needs {
            // What this body is no answer to.
            Needs::Nobody if route.method == "POST" => assert!(!refused(anonymous), "{route:?}"),
            // There is no provider.
            Needs::Nobody if route.path.starts_with("/c/oidc/") => {
                assert_eq!(anonymous, StatusCode::PRECONDITION_FAILED, "{route:?}");
            }
            Needs::Nobody => assert!(anonymous.is_success(), "{route:?}"),
            _ => assert_eq!(anonymous, StatusCode::UNAUTHORIZED, "{route:?}"),
        }
        // Which label or policy it is decides who may.
        let decided_by_what_it_is = ["/api/v2.0/labels", "/api/v2.0/retentions/{id}"];
        let mut decided_by_what_it_is = decided_by_what_it_is.iter();
        if decided_by_what_it_is.any(|path| route.path.starts_with(path)) {
            continue;
        }
        match route.needs {
            Needs::Nobody | Needs::SignedIn => assert!(!refused(stranger), "{route:?}"),
            // The body says which robots; this one says nothing.
            Needs::Robot(Action::Create) => assert_eq!(stranger, StatusCode::BAD_REQUEST),
            _ => assert_eq!(stranger, StatusCode::FORBIDDEN, "{route:?}"),
        }
    }
}

#[tokio::test]
async fn all_rows_come_in_pages_that_have_an_end() {
    let api = Api::start().await;
    api.db
        .write(|tx| {
            Box::pin(async move {
                for number in 0..=1_000 {
                    let name = format!("l{number:04}");
                    let new = NewLabel::new(&name, String::new(), "#fff".into()).unwrap();
                    label::create(tx, None, &new, NOW).await?;
                }
                Ok::<_, db::Error>(())
            })
        })
        .await
        .unwrap();
    let path = "/api/v2.0/labels?scope=g&page_size=0";
    let rows = async |path: &str| {
        let answer = api.ask("GET", path, "anonymous", "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let header = |name: &str| {
            let value = answer.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let said = (header("x-total-count"), header("link"), header("warning"));
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text(answer).await).unwrap();
        (rows, said)
    };
    let (first, (total, link, warning)) = rows(path).await;
    assert_eq!((first.len(), total.as_deref()), (1_000, Some("1001")));
    let next = "/api/v2.0/labels?page=2&page_size=0&scope=g";
    assert_eq!(link, Some(format!("<{next}>; rel=\"next\"")));
    assert!(warning.unwrap().contains("1000 rows"));
    let (rest, (total, _, warning)) = rows(next).await;
    assert_eq!((rest.len(), total.as_deref()), (1, Some("1001")));
    assert_eq!(rest[0]["name"], "l1000");
    assert!(warning.is_some());
    let (few, (_, link, warning)) = rows("/api/v2.0/labels?scope=g&page_size=0&name=99").await;
    assert_eq!((few.len(), link, warning), (19, None, None));
}

#[tokio::test]
async fn every_role_may_do_in_its_project_what_the_permission_table_says() {
    let api = Api::with_people().await;
    for (count, role) in Role::ALL.into_iter().enumerate() {
        for (number, route) in routes().iter().enumerate() {
            let Needs::Project(resource, action) = route.needs else {
                continue;
            };
            let project = api.project(&format!("p{count}-{number}")).await;
            join(&api.db, project, role).await;
            let status = try_route(&api, route, project, "bob").await;
            let allowed = table::allowed(role, resource).contains(action);
            assert_eq!(!refused(status), allowed, "{role:?} {route:?} {status}");
        }
    }
}

/// Makes bob a member.
async fn join(db: &Db, project: ProjectId, role: Role) {
    db.write(move |tx| {
        Box::pin(async move {
            let bob = user::by_name(tx, "bob").await?.unwrap().principal_id;
            let bob = (bob, principal::Kind::User);
            member::add(tx, project, bob, role, NOW).await
        })
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn every_change_is_audited_with_its_transaction() {
    let api = Api::with_people().await;
    let changes = [
        ("POST", "/projects", "alice", r#"{"project_name":"team"}"#),
        (
            "PUT",
            "/projects/team",
            "alice",
            r#"{"metadata":{"public":"true"}}"#,
        ),
        (
            "POST",
            "/projects/team/members",
            "alice",
            r#"{"role_id":2,"member_user":{"username":"bob"}}"#,
        ),
        (
            "PUT",
            "/projects/team/members/3",
            "alice",
            r#"{"role_id":4}"#,
        ),
        ("DELETE", "/projects/team/members/3", "alice", ""),
        ("DELETE", "/projects/team/members/3", "alice", ""),
        ("DELETE", "/projects/team", "alice", ""),
        (
            "PUT",
            "/users/4",
            "bob",
            r#"{"email":"b@example.com","realname":"B"}"#,
        ),
        (
            "PUT",
            "/users/4/password",
            "admin",
            r#"{"new_password":"Passw0rd2"}"#,
        ),
        (
            "PUT",
            "/users/4/sysadmin",
            "admin",
            r#"{"sysadmin_flag":true}"#,
        ),
        ("DELETE", "/users/4", "admin", ""),
    ];
    let before = api.audited().await.len();
    for (method, path, who, body) in changes {
        let answer = api
            .ask(method, &format!("/api/v2.0{path}"), who, body)
            .await;
        assert!(answer.status().is_success(), "{method} {path}: {answer:?}");
    }
    // What fails leaves no entry.
    let taken = r#"{"project_name":"library"}"#;
    let answer = api.ask("POST", "/api/v2.0/projects", "alice", taken).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    let audited = api.audited().await.split_off(before);
    assert_eq!(
        audited,
        [
            "alice create project team",
            "alice update project team",
            "alice create member bob",
            "alice update member bob",
            "alice delete member bob",
            "alice delete project team",
            "bob update user bob",
            "admin update user bob",
            "admin update user bob",
            "admin delete user bob",
        ]
    );
}

/// Pushes an index of nothing.
async fn push_nothing(db: &Db, project: ProjectId) {
    push(db, project, "full/app", vec![index("")]).await;
}

/// An index of nothing that has annotations.
fn index(annotations: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[],"annotations":{{{annotations}}}}}"#,
        model::media_type::OCI_INDEX
    )
}

/// Pushes manifests that refer to nothing.
async fn push(db: &Db, project: ProjectId, name: &str, manifests: Vec<String>) {
    let name = name.parse().unwrap();
    let pushed = db.write_in(project, move |tx| {
        Box::pin(async move {
            let repository = repository::ensure(tx, project, &name, NOW).await?;
            for bytes in &manifests {
                let at = Place {
                    project,
                    repository,
                    name: &name,
                    taking: Taking::default(),
                };
                let digest = Digest::of(Algorithm::Sha256, bytes.as_bytes());
                let manifest = Manifest::parse(None, bytes.as_bytes()).unwrap();
                let new = manifest::New {
                    digest: &digest,
                    manifest: &manifest,
                    payload: bytes.as_bytes(),
                    found: &[],
                    tags: &[],
                };
                manifest::store(tx, at, new, NOW).await?.unwrap();
            }
            repository::publish(tx, repository, NOW).await
        })
    });
    pushed.await.unwrap();
}

#[tokio::test]
async fn answers_that_are_being_built_share_a_memory() {
    let api = Api::with_people().await;
    let project = api.project("heavy").await;
    let manifests = (0..100).map(|number| {
        let long = "x".repeat(40_000);
        index(&format!(r#""{number}":"{long}""#))
    });
    push(&api.db, project, "heavy/app", manifests.collect()).await;
    let here = "/api/v2.0/projects/heavy/repositories/app/artifacts";
    let heavy = format!("{here}?page_size=100");
    let mut held = Vec::new();
    let refused = loop {
        let answer = api.ask("GET", &heavy, "alice", "").await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        // The gateway lets go of it once the body has a place of its own.
        held.push(answer);
        assert!(held.len() < 10, "each takes more than 8 MB of 64 MiB");
    };
    assert!(held.len() > 1, "an ordinary one is not alone");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    let light = api.ask("GET", here, "alice", "").await;
    assert_eq!(light.status(), StatusCode::OK, "there is room for others");
    let rows: serde_json::Value = serde_json::from_str(&text(light).await).unwrap();
    let shown = rows.as_array().unwrap().iter();
    assert!(shown.clone().all(|row| row["annotations"].is_object()));
    held.clear();
    let again = api.ask("GET", &heavy, "alice", "").await;
    assert_eq!(again.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_project_with_repositories_stays() {
    let api = Api::with_people().await;
    let project = api.project("full").await;
    let path = format!("/api/v2.0/projects/{project}");
    push_nothing(&api.db, project).await;
    let answer = api
        .ask("GET", &format!("{path}/_deletable"), "alice", "")
        .await;
    let message = r#"{"message":"the project contains repositories, can not be deleted"}"#;
    assert_eq!(text(answer).await, message);
    let answer = api.ask("DELETE", &path, "alice", "").await;
    assert_eq!(answer.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(
        text(answer).await,
        "{\"errors\":[{\"code\":\"PRECONDITION\",\"message\":\"precondition failed: the project contains repositories, can not be deleted\"}]}\n"
    );
}

#[tokio::test]
async fn guesses_are_slowed_down_with_a_time_to_retry() {
    let api = Api::start().await;
    let mut last = api
        .ask("GET", "/api/v2.0/users/current", "admin/nope", "")
        .await;
    for _ in 0..12 {
        if last.status() == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        last = api
            .ask("GET", "/api/v2.0/users/current", "admin/nope", "")
            .await;
    }
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(last.headers().contains_key(RETRY_AFTER));
    assert!(text(last).await.contains("TOO_MANY_REQUEST"));
}

#[tokio::test]
async fn guesses_at_ones_own_old_password_are_slowed_down_too() {
    let api = Api::with_people().await;
    let body = r#"{"old_password":"Guess000","new_password":"Passw0rd2"}"#;
    let path = "/api/v2.0/users/3/password";
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let sent = request("PUT", path, "alice").header(CONTENT_TYPE, "application/json");
        let sent = sent.body(Body::from(body)).unwrap();
        guesses.spawn(api.router.clone().oneshot(sent));
    }
    let (mut wrong, mut refused) = (0, 0);
    for answer in guesses.join_all().await {
        let answer = answer.unwrap();
        match answer.status() {
            StatusCode::FORBIDDEN => wrong += 1,
            StatusCode::TOO_MANY_REQUESTS => {
                assert!(answer.headers().contains_key(RETRY_AFTER));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((wrong, refused), (5, 35));
    let other = api.ask("GET", "/api/v2.0/users/current", "bob", "").await;
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_last_system_administrator_stays_one() {
    let api = Api::with_people().await;
    let flag = |set: bool| format!(r#"{{"sysadmin_flag":{set}}}"#);
    let demote = "/api/v2.0/users/1/sysadmin";
    let answer = api.ask("PUT", demote, "admin", &flag(false)).await;
    assert_eq!(answer.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(
        text(answer).await,
        "{\"errors\":[{\"code\":\"PRECONDITION\",\"message\":\"precondition failed: user 1 is the last system administrator: make another user one first\"}]}\n"
    );
    let promoted = api
        .ask("PUT", "/api/v2.0/users/3/sysadmin", "admin", &flag(true))
        .await;
    assert_eq!(promoted.status(), StatusCode::OK);
    let answer = api.ask("PUT", demote, "alice", &flag(false)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let answer = api
        .ask("PUT", "/api/v2.0/users/3/sysadmin", "alice", &flag(false))
        .await;
    assert_eq!(answer.status(), StatusCode::PRECONDITION_FAILED);
    // Neither lost rights nor a flag that was left out made the others any less.
    let answer = api.ask("PUT", demote, "alice", "{}").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(text(answer).await.contains("sysadmin_flag"));
}

#[tokio::test]
async fn nobody_learns_by_changing_the_own_mail_address_whose_others_are() {
    let api = Api::with_people().await;
    let profile = |email: &str| format!(r#"{{"email":"{email}","realname":"A"}}"#);
    let mut answers = Vec::new();
    for email in ["bob@example.com", "nobody@example.com"] {
        let answer = api
            .ask("PUT", "/api/v2.0/users/3", "alice", &profile(email))
            .await;
        answers.push((answer.status(), text(answer).await));
    }
    assert_eq!(answers[0], (StatusCode::OK, String::new()));
    assert_eq!(answers[0], answers[1]);
    // Whoever may list all accounts is told.
    let answer = api
        .ask(
            "PUT",
            "/api/v2.0/users/3",
            "admin",
            &profile("bob@example.com"),
        )
        .await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn where_only_administrators_create_projects_others_are_told_so() {
    let restricted = ("project_creation_restriction", "adminonly".into());
    let api = Api::start_with(&[restricted]).await;
    let api = api.and_people().await;
    let body = r#"{"project_name":"team"}"#;
    let path = "/api/v2.0/projects";
    let answer = api.ask("POST", path, "anonymous", body).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let answer = api.ask("POST", path, "alice", body).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(text(answer).await.contains("project_creation_restriction"));
    let answer = api.ask("POST", path, "admin", body).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let answer = api.ask("GET", "/api/v2.0/systeminfo", "alice", "").await;
    let info: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!(info["project_creation_restriction"], "adminonly");
}

#[tokio::test]
async fn lists_and_texts_that_nothing_can_match_are_refused() {
    let api = Api::with_people().await;
    api.project("team").await;
    let long = "a".repeat(60_000);
    let many = vec!["a"; 15_000].join("%20");
    for (path, message) in [
        (
            format!("projects?q=name={{{many}}}"),
            "the list for name in q has more than 100 values",
        ),
        (
            format!("projects?name={long}"),
            "name has more than 255 bytes",
        ),
        (
            format!("projects?owner={long}"),
            "owner has more than 255 bytes",
        ),
        (
            format!("projects?q=name=~{long}"),
            "name has more than 255 bytes",
        ),
        (
            format!("users/search?username={long}"),
            "username has more than 255 bytes",
        ),
        (
            format!("users?email={long}"),
            "email has more than 255 bytes",
        ),
        ("projects?name=%00".into(), "name must not contain NUL"),
        ("projects?owner=a%00".into(), "owner must not contain NUL"),
        ("projects?q=name=%2500a".into(), "name must not contain NUL"),
        (
            "users/search?username=%00".into(),
            "username must not contain NUL",
        ),
        (
            "projects/team/members?entityname=%00".into(),
            "entityname must not contain NUL",
        ),
    ] {
        let answer = api
            .ask("GET", &format!("/api/v2.0/{path}"), "admin", "")
            .await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{message}");
        assert!(text(answer).await.contains(message), "{message}");
    }
    let account = r#"{"username":"dave","password":"Passw0rd1","email":"dave@example.com","realname":"D","comment":"\u0000"}"#;
    let member = r#"{"role_id":1,"member_user":{"username":"b\u0000b"}}"#;
    for (path, body, message) in [
        ("users", account, "comment must not contain NUL"),
        (
            "projects/team/members",
            member,
            "member_user.username must not contain NUL",
        ),
    ] {
        let answer = api
            .ask("POST", &format!("/api/v2.0/{path}"), "admin", body)
            .await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{message}");
        assert!(text(answer).await.contains(message), "{message}");
    }
}

#[tokio::test]
async fn what_is_gone_says_so() {
    let api = Api::start().await;
    let body = r#"{"hard":{"storage":1024}}"#;
    let answer = api
        .ask("PUT", "/api/v2.0/quotas/999999", "admin", body)
        .await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        text(answer).await,
        "{\"errors\":[{\"code\":\"NOT_FOUND\",\"message\":\"the project does not exist any more\"}]}\n"
    );
}

#[tokio::test]
async fn a_lost_database_is_503() {
    let api = Api::start().await;
    api.db.close().await;
    let answer = api.ask("GET", "/api/v2.0/projects", "anonymous", "").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(RETRY_AFTER));
}

#[tokio::test]
async fn what_does_not_answer_shows_in_health() {
    let api = Api::start().await;
    for (errors, name, said) in [
        (
            ComponentErrors {
                database: Some("cannot reach the database"),
                ..ComponentErrors::default()
            },
            "database",
            "cannot reach the database",
        ),
        (
            ComponentErrors {
                store: Some("cannot read the blob store"),
                ..ComponentErrors::default()
            },
            "registry",
            "cannot read the blob store",
        ),
        (
            ComponentErrors {
                clock: Some("the clock is wrong"),
                ..ComponentErrors::default()
            },
            "core",
            "the clock is wrong",
        ),
    ] {
        api.errors.send(errors).unwrap();
        let answer = api.ask("GET", "/api/v2.0/health", "anonymous", "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let health = text(answer).await;
        assert!(health.ends_with(r#""status":"unhealthy"}"#), "{health}");
        let component = format!(r#"{{"error":"{said}","name":"{name}","status":"unhealthy"}}"#);
        assert!(health.contains(&component), "{health}");
    }
}

#[tokio::test]
async fn answers_tell_the_gateway_route_and_caller() {
    let api = Api::with_people().await;
    let answer = api.ask("GET", "/api//v2.0/users/4/", "carol", "").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let told = answer.extensions();
    let route = told.get::<axum::extract::MatchedPath>().unwrap();
    assert_eq!(route.as_str(), "/api/v2.0/users/{user_id}");
    assert_eq!(told.get::<policy::Caller>().unwrap().name(), "carol");
}

#[tokio::test]
async fn large_bodies_are_refused_declared_or_not() {
    let api = Api::start().await;
    let path = "/api/v2.0/projects";
    let large = vec![b' '; 2 << 20];
    let sent = request("POST", path, "admin")
        .body(Body::from(large))
        .unwrap();
    let answer = api.send(sent).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let declared = request("POST", path, "admin").header(CONTENT_LENGTH, "99999999999");
    let answer = api.send(declared.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn systeminfo_tells_more_to_those_who_are_signed_in() {
    let api = Api::with_people().await;
    let answer = api.ask("GET", "/api/v2.0/systeminfo", "carol", "").await;
    let info: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!(info["registry_url"], "registry.example");
    assert_eq!(info["external_url"], "https://registry.example");
    assert_eq!(info["has_ca_root"], true);
    let answer = api
        .ask("GET", "/api/v2.0/systeminfo/volumes", "admin", "")
        .await;
    let volumes: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
    let volume = &volumes["storage"][0];
    assert!(volume["total"].as_u64() >= volume["free"].as_u64());
}

#[test]
fn internal_errors_do_not_show_their_cause() {
    use axum::response::IntoResponse as _;
    let error = Error::Volume(std::io::Error::other("/secret/path"));
    let answer = error.into_response();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(text(answer));
    let expected = "{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"internal server error\"}]}\n";
    assert_eq!(body, expected);
}
