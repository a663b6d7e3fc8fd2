//! Rules by which tags are immutable: how they are kept, and that they hold wherever a tag would move or go.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Project, Replicas, Role, fresh, image};

fn rule(repositories: &str, tags: &str) -> Value {
    let repositories =
        json!([{ "kind": "doublestar", "decoration": "repoMatches", "pattern": repositories }]);
    let tags = json!([{ "kind": "doublestar", "decoration": "matches", "pattern": tags }]);
    json!({ "disabled": false, "action": "immutable", "template": "immutable_template",
        "scope_selectors": { "repository": repositories }, "tag_selectors": tags })
}

fn rules(project: &Project<'_>) -> String {
    format!("/api/v2.0/projects/{}/immutabletagrules", project.name)
}

async fn make(caller: &Client, project: &Project<'_>, rule: &Value) -> String {
    let made = caller.post(&rules(project)).json(rule).await;
    made.expect(201).location()
}

#[tokio::test]
async fn a_rule_is_made_listed_changed_switched_and_deleted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let person = project.member(Role::Maintainer).await;
    let list = rules(&project);
    let body = rule("**", "v1");
    let made = make(&person, &project, &body).await;
    assert!(made.starts_with(&list), "{made}");
    let (_, id) = made.rsplit_once('/').expect("it has parts");
    let id: i64 = id.parse().expect("an ID is a number");
    let again = person
        .post(&list)
        .json(&body)
        .await
        .expect_error(409, "CONFLICT");
    assert_eq!(again.message(), "immutable rule already exists");
    let shown = async || person.get(&list).await.expect(200);
    let mut expected = body.clone();
    let fields = expected.as_object_mut().expect("an object");
    fields.remove("disabled");
    fields.insert("id".to_owned(), json!(id));
    let listed = shown().await;
    assert_eq!(listed.header("x-total-count"), "1");
    assert_eq!(listed.json(), json!([expected]));

    // Where `disabled` differs, nothing else is changed.
    let mut off = rule("other", "v2");
    off["disabled"] = json!(true);
    off["id"] = json!(id);
    person.put(&made).json(&off).await.expect(200);
    let read = shown().await.json();
    assert_eq!(
        (&read[0]["disabled"], &read[0]["tag_selectors"]),
        (&json!(true), &body["tag_selectors"])
    );
    person.put(&made).json(&off).await.expect(200);
    assert_eq!(
        shown().await.json()[0]["tag_selectors"],
        off["tag_selectors"]
    );
    let mut wrong = off.clone();
    wrong["id"] = json!(id + 1);
    person
        .put(&made)
        .json(&wrong)
        .await
        .expect_error(400, "BAD_REQUEST");

    person.delete(&made).await.expect(200);
    let gone = person.delete(&made).await.expect_error(404, "NOT_FOUND");
    assert_eq!(gone.message(), format!("immutable rule {id} not found"));
    person
        .put(&made)
        .json(&off)
        .await
        .expect_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_rule_without_selectors_is_kept_and_covers_nothing() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    make(&admin, &project, &json!({})).await;
    let read = admin.get(&rules(&project)).await.expect(200).json();
    assert_eq!(
        read,
        json!([{ "id": read[0]["id"], "tag_selectors": null }])
    );
    let repository = project.repository("app");
    admin.push_image(&repository, "v1", &image("one")).await;
    admin.push_image(&repository, "v1", &image("two")).await;
}

#[tokio::test]
async fn what_is_no_rule_is_refused_by_name() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let mut decoration = rule("**", "**");
    decoration["tag_selectors"][0]["decoration"] = json!("zzz");
    let mut kind = rule("**", "**");
    kind["scope_selectors"]["repository"][0]["kind"] = json!("regex");
    let mut action = rule("**", "**");
    action["action"] = json!("retain");
    for (body, named) in [
        (rule("[", "**"), "scope_selectors"),
        (rule("**", &"a".repeat(600)), "tag_selectors"),
        (decoration, "tag_selectors"),
        (kind, "scope_selectors"),
        (action, "action"),
    ] {
        let answer = admin.post(&rules(&project)).json(&body).await;
        let answer = answer.expect_error(400, "BAD_REQUEST");
        assert!(answer.message().contains(named), "{answer}");
    }
}

#[tokio::test]
async fn a_rule_of_another_project_is_not_found() {
    let server = SERVER.get().await;
    let (project, other) = (
        server.private_project().await,
        server.private_project().await,
    );
    let admin = server.admin();
    let made = make(&admin, &project, &rule("**", "v1")).await;
    let (_, id) = made.rsplit_once('/').expect("it has parts");
    let there = format!("{}/{id}", rules(&other));
    admin.delete(&there).await.expect_error(404, "NOT_FOUND");
    admin
        .put(&there)
        .json(&rule("**", "v2"))
        .await
        .expect_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_covered_tag_is_neither_moved_nor_deleted_and_others_are() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("team/app");
    let v2 = format!("/v2/{repository}/manifests");
    let (one, two) = (image(&fresh("one")), image(&fresh("two")));
    let made = make(&admin, &project, &rule("team/*", "v*")).await;
    // The first push of a tag is free.
    admin.push_image(&repository, "v1", &one).await;
    admin.push_image(&repository, "latest", &one).await;
    admin.push_image(&repository, &two.digest, &two).await;
    let push = async |tag: &str| {
        let (kind, bytes) = (&two.media_type, two.manifest.clone());
        admin.push_manifest(&repository, tag, kind, bytes).await
    };
    let refused = push("v1").await.expect_error(412, "PRECONDITION");
    let message = "Failed to process request due to 'team/app:v1' configured as immutable.";
    assert_eq!(refused.message(), message);
    push("latest").await.expect(201);
    push("v2").await.expect(201);
    let pulled = admin.get(&format!("{v2}/v1")).await.expect(200);
    assert_eq!(pulled.digest(), one.digest);

    // The same again changes nothing, and is told as nothing.
    let count = async || {
        let path = format!(
            "/api/v2.0/projects/{}/auditlog-exts?q=tag%3Dv1%2Coperation%3Dcreate",
            project.name
        );
        admin
            .get(&path)
            .await
            .expect(200)
            .header("x-total-count")
            .to_owned()
    };
    assert_eq!(count().await, "1");
    let (kind, bytes) = (&one.media_type, one.manifest.clone());
    admin
        .push_manifest(&repository, "v1", kind, bytes)
        .await
        .expect(201);
    assert_eq!(count().await, "1");

    for path in [format!("{v2}/v1"), format!("{v2}/{}", one.digest)] {
        admin.delete(&path).await.expect_error(412, "PRECONDITION");
    }
    let rest = format!(
        "/api/v2.0/projects/{}/repositories/team%252Fapp",
        project.name
    );
    let refused = admin.delete(&rest).await.expect_error(412, "PRECONDITION");
    assert_eq!(refused.message(), message);
    let kept = server.cli(&["repository", "delete", &repository]).await;
    assert_eq!(kept.status.code(), Some(1));
    admin.delete(&format!("{v2}/latest")).await.expect(202);
    admin.get(&format!("{v2}/v1")).await.expect(200);

    // A rule that is switched off has no effect, at once.
    let mut off = rule("team/*", "v*");
    off["disabled"] = json!(true);
    admin.put(&made).json(&off).await.expect(200);
    push("v1").await.expect(201);
    admin.delete(&format!("{v2}/v1")).await.expect(202);
    admin.delete(&rest).await.expect(200);
}

#[tokio::test]
async fn several_tags_in_one_push_are_set_all_or_none() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    make(&admin, &project, &rule("**", "v*")).await;
    let (one, two) = (image(&fresh("one")), image(&fresh("two")));
    admin.push_image(&repository, "v1", &one).await;
    admin.push_image(&repository, &two.digest, &two).await;
    let several = format!("{}?tag=free&tag=v1", two.digest);
    let (kind, bytes) = (&two.media_type, two.manifest.clone());
    let refused = admin
        .push_manifest(&repository, &several, kind, bytes)
        .await;
    refused.expect_error(412, "PRECONDITION");
    let free = admin.get(&format!("/v2/{repository}/manifests/free")).await;
    free.expect_error(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn signatures_come_to_images_whose_tags_are_all_immutable() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    make(&admin, &project, &rule("**", "**")).await;
    let signed = image(&fresh("signed"));
    admin.push_image(&repository, "v1", &signed).await;
    let tag = format!("{}.sig", signed.digest.replace(':', "-"));
    for signature in ["first", "second"] {
        let signature = image(&fresh(signature));
        admin.push_image(&repository, &tag, &signature).await;
        let found = admin
            .get(&format!("/v2/{repository}/manifests/{tag}"))
            .await;
        assert_eq!(found.expect(200).digest(), signature.digest);
    }
}

#[tokio::test]
async fn names_of_one_to_five_parts_are_matched_alike() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    make(&admin, &project, &rule("{a,x/**}", "v1")).await;
    for (name, is_kept) in [
        ("a", true),
        ("b", false),
        ("x/b", true),
        ("x/b/c", true),
        ("x/b/c/d", true),
        ("x/b/c/d/e", true),
        ("y/b/c/d/e", false),
        ("a/x", false),
    ] {
        let repository = project.repository(name);
        admin
            .push_image(&repository, "v1", &image(&fresh("one")))
            .await;
        let other = image(&fresh("two"));
        admin.push_image(&repository, &other.digest, &other).await;
        let (kind, bytes) = (&other.media_type, other.manifest.clone());
        let pushed = admin.push_manifest(&repository, "v1", kind, bytes).await;
        let deleted = admin
            .delete(&format!("/v2/{repository}/manifests/v1"))
            .await;
        let expected = if is_kept { (412, 412) } else { (201, 202) };
        assert_eq!((pushed.status, deleted.status), expected, "{name}");
    }
}

#[tokio::test]
async fn of_two_replicas_that_push_one_tag_at_once_one_is_refused() {
    let replicas = Replicas::start().await;
    let (first, second) = (&replicas.first, &replicas.second);
    let project = first.private_project().await;
    make(&first.admin(), &project, &rule("**", "v*")).await;
    let repository = project.repository("app");
    let images = [image(&fresh("one")), image(&fresh("two"))];
    for image in &images {
        first
            .admin()
            .push_image(&repository, &image.digest, image)
            .await;
    }
    for round in 0..10 {
        let tag = format!("v{round}");
        let push = async |server: &crate::harness::Server, at: usize| {
            let (kind, bytes) = (&images[at].media_type, images[at].manifest.clone());
            let admin = server.admin();
            let pushed = admin.push_manifest(&repository, &tag, kind, bytes).await;
            (pushed.status, at)
        };
        let (one, two) = tokio::join!(push(first, 0), push(second, 1));
        let mut statuses = [one, two];
        statuses.sort_unstable();
        let [(201, winner), (412, _)] = statuses else {
            panic!("round {round}: {statuses:?}");
        };
        let found = second
            .admin()
            .get(&format!("/v2/{repository}/manifests/{tag}"))
            .await;
        assert_eq!(found.expect(200).digest(), images[winner].digest);
    }
}

#[tokio::test]
async fn what_belongs_to_an_artifact_keeps_it_by_a_covered_tag() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    let subject = image(&fresh("subject"));
    admin
        .push_image(&repository, &subject.digest, &subject)
        .await;
    let bill = subject.about(&fresh("bill"), "application/example.bill");
    admin.push_image(&repository, &bill.digest, &bill).await;
    let deep = bill.about(&fresh("deep"), "application/example.bill");
    admin.push_image(&repository, "v1", &deep).await;
    make(&admin, &project, &rule("**", "v*")).await;
    let v2 = format!("/v2/{repository}/manifests");
    let rest = format!(
        "/api/v2.0/projects/{}/repositories/app/artifacts",
        project.name
    );
    for path in [&v2, &rest] {
        for digest in [&subject.digest, &bill.digest] {
            let refused = admin.delete(&format!("{path}/{digest}")).await;
            let refused = refused.expect_error(412, "PRECONDITION");
            assert!(refused.message().contains("'app:v1'"), "{refused}");
        }
    }
    let named = format!("{repository}@{}", subject.digest);
    let kept = server.cli(&["artifact", "delete", &named]).await;
    assert_eq!(kept.status.code(), Some(1));
    for reference in [&*subject.digest, &bill.digest, "v1"] {
        admin.get(&format!("{v2}/{reference}")).await.expect(200);
    }
    // Another tag keeps nothing.
    let free = bill.about(&fresh("free"), "application/example.bill");
    let other = image(&fresh("other"));
    admin.push_image(&repository, &other.digest, &other).await;
    let of_other = other.about(&fresh("of other"), "application/example.bill");
    admin.push_image(&repository, "free", &of_other).await;
    admin.push_image(&repository, &free.digest, &free).await;
    let gone = admin.delete(&format!("{v2}/{}", other.digest)).await;
    gone.expect(202);
    let gone = admin.get(&format!("{v2}/free")).await;
    gone.expect_error(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_repository_goes_when_no_tag_of_it_is_covered() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    make(&admin, &project, &rule("**", "v*")).await;
    let repository = project.repository("app");
    let pushed = image(&fresh("free"));
    admin.push_image(&repository, "latest", &pushed).await;
    let path = format!("/api/v2.0/projects/{}/repositories/app", project.name);
    admin.delete(&path).await.expect(200);
    admin.delete(&path).await.expect_error(404, "NOT_FOUND");
    admin.push_image(&repository, "v1", &pushed).await;
    admin.delete(&path).await.expect_error(412, "PRECONDITION");
}

#[tokio::test]
async fn the_command_line_does_the_same() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let name = &*project.name;
    let create = [
        "rule",
        "create",
        name,
        "--repositories",
        "app",
        "--tags",
        "v*",
    ];
    server.cli_prints(&create).await;
    let list = async || -> Value {
        let text = server.cli_prints(&["rule", "list", name, "--json"]).await;
        serde_json::from_str(&text).expect("it is JSON")
    };
    let shown = list().await;
    assert_eq!(shown["tag_selectors"][0]["pattern"], "v*");
    assert_eq!(shown["disabled"], false);
    let id = shown["id"].to_string();
    let (admin, repository) = (server.admin(), project.repository("app"));
    admin.push_image(&repository, "v1", &image("one")).await;
    let tag = format!("/v2/{repository}/manifests/v1");
    admin.delete(&tag).await.expect_error(412, "PRECONDITION");
    server.cli_prints(&["rule", "disable", name, &id]).await;
    assert_eq!(list().await["disabled"], true);
    admin.delete(&tag).await.expect(202);
    server.cli_prints(&["rule", "enable", name, &id]).await;
    server.cli_prints(&["rule", "delete", name, &id]).await;
    assert_eq!(server.cli_prints(&["rule", "list", name]).await, "");
}

#[tokio::test]
async fn rules_hold_for_what_rest_does_to_tags() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let other = server.private_project().await;
    let admin = server.admin();
    let (kept, moved) = (image(&fresh("kept")), image(&fresh("moved")));
    let repository = project.repository("app");
    admin.push_image(&repository, "v1", &moved).await;
    admin.push_image(&repository, "v1", &kept).await;
    admin
        .push_image(&other.repository("app"), "v1", &moved)
        .await;
    make(&admin, &project, &rule("**", "v1")).await;
    let here = format!("projects/{}/repositories/app", project.name);
    let (rest, own) = (format!("/api/v2.0/{here}"), format!("/api/ext/v1/{here}"));
    let artifacts = format!("{rest}/artifacts");
    let from = format!("{artifacts}?from={}:v1", other.repository("app"));
    let restore = json!({ "digest": moved.digest });
    for refused in [
        admin.delete(&format!("{artifacts}/v1")).await,
        admin.delete(&format!("{artifacts}/{}", kept.digest)).await,
        admin.delete(&format!("{artifacts}/v1/tags/v1")).await,
        admin.delete(&rest).await,
        admin.post(&from).await,
        admin
            .post(&format!("{own}/tags/v1/restore"))
            .json(&restore)
            .await,
    ] {
        refused.expect_error(412, "PRECONDITION");
    }
    let flags = format!("{artifacts}/v1?with_immutable_status=true");
    let shown = admin.get(&flags).await.expect(200).json();
    assert_eq!(shown["digest"], kept.digest.to_string());
    assert_eq!(shown["tags"][0]["immutable"], true);
    let overview = admin.get(&format!("{own}/tags")).await.expect(200).json();
    assert_eq!(overview[0]["immutable"], true);
    // Another tag is free, and goes.
    let tags = format!("{artifacts}/v1/tags");
    admin
        .post(&tags)
        .json(&json!({ "name": "v2" }))
        .await
        .expect(201);
    admin.delete(&format!("{tags}/v2")).await.expect(200);
}
