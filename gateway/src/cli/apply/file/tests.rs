use db::applied::Kind;
use proptest::prelude::*;

use super::*;

/// What is wrong with a file.
fn wrong(text: &str) -> Vec<String> {
    let read = documents("team.yaml", text, Path::new("/nowhere"));
    let errors = read.into_iter().filter_map(Result::err);
    errors.map(|error| format!("{error:#}")).collect()
}

fn titles(text: &str) -> Vec<String> {
    let read = documents("team.yaml", text, Path::new("/nowhere"));
    let titles = read
        .into_iter()
        .map(|document| document.unwrap().object.title());
    titles.collect()
}

#[test]
fn a_file_has_several_documents() {
    let text = "---
kind: project
name: team
public: true
quota: 10GiB
metadata: { auto_scan: true, severity: high }
---
# Nothing here.
---
kind: member
project: team
group: devs
role: developer
---
kind: immutable-rule
project: team
tags: v*
---
kind: retention
project: team
schedule: 0 0 3 * * *
rules:
- { keep: latestPushedK=10, repositories: 'app/**' }
- { keep: always, tags: v*, tagged_only: true }
---
kind: replication
name: out
to: mirror
names: team/**
cron: 0 0 4 * * *
";
    let expected = [
        "project team",
        "member group devs of project team",
        "immutable-rule repositories ** tags v* of project team",
        "retention of project team",
        "replication out",
    ];
    assert_eq!(titles(text), expected);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let cases: &[(&str, &[&str])] = &[
        ("kind: zzz", &["document 1 (zzz)", "write project, member"]),
        ("name: team", &["document 1", "kind: is missing"]),
        ("- a", &["document 1", "fields, of which one is kind"]),
        ("kind: project\nname: [", &["document 1"]),
        ("kind: project\nname: Team", &["name: ", "line 2"]),
        (
            "kind: project\nname: team\n---\nkind: project\nname: b\npubic: true",
            &["document 2 (project)", "pubic", "public"],
        ),
        (
            "kind: project\nname: b\npublic: maybe",
            &["public: ", "line 3"],
        ),
        (
            "kind: project\nname: b\nquota: much",
            &["quota: write bytes"],
        ),
        (
            "kind: project\nname: b\nmetadata: {public: true}",
            &["metadata.public: write true or false for"],
        ),
        ("kind: project", &["missing field `name`"]),
        (
            "kind: member\nproject: b\nuser: ann\nrole: boss",
            &["role: write one of"],
        ),
        (
            "kind: member\nproject: b\nrole: guest",
            &["user or group: "],
        ),
        ("kind: label\nname: a\ncolor: red", &["color: must be"]),
        (
            "kind: robot\nproject: b\nname: ci\nallow: [repository:fly]",
            &["allow: robots are not given repository:fly"],
        ),
        (
            "kind: robot\nproject: b\nname: ci\nallow: [repository:pull]\ndays: 0",
            &["days: "],
        ),
        (
            "kind: robot\nproject: b\nname: ci\nallow: [repository:pull]\nsecret: x",
            &["unknown field `secret`", "secret_file"],
        ),
        (
            "kind: registry\nname: r\nurl: https://a.test\naccess_key: a\nsecret_env: GANTRY_NO_SUCH",
            &["secret_env: set the environment variable GANTRY_NO_SUCH"],
        ),
        (
            "kind: registry\nname: r\nurl: registry.example",
            &["url: write https://HOST"],
        ),
        (
            "kind: registry\nname: r\nurl: ftp://a.test",
            &["url: write https://HOST"],
        ),
        (
            "kind: registry\nname: r\nurl: https://a.test/#b",
            &["url: write https://HOST"],
        ),
        (
            "kind: project\nname: b\nmetadata: {severity: low, severity: high}",
            &["metadata", "severity is there twice"],
        ),
        (
            "kind: registry\nname: r\nurl: https://a.test\ntype: zzz",
            &["type: write one of azure-acr"],
        ),
        (
            "kind: retention\nproject: b\nrules: [{keep: zzz=1}]",
            &["rules[0].template"],
        ),
        (
            "kind: replication\nname: out",
            &["to and from: write the name of a registry"],
        ),
    ];
    for (text, parts) in cases {
        let wrong = wrong(text);
        assert_eq!(wrong.len(), 1, "{text}: {wrong:?}");
        for part in *parts {
            assert!(wrong[0].starts_with("team.yaml, "), "{}", wrong[0]);
            assert!(wrong[0].contains(part), "{part} in {}", wrong[0]);
        }
    }
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    let wrong = wrong("kind: registry\nname: r\nurl: https://ann:hunter2@a.test");
    assert!(wrong[0].contains("url: write https://HOST"), "{wrong:?}");
    assert!(!wrong[0].contains("hunter2"), "{wrong:?}");
}

#[test]
fn texts_of_a_registry_are_as_short_as_in_the_api() {
    let long = "a".repeat(1_025);
    for field in ["description", "access_key"] {
        let text = format!("kind: registry\nname: r\nurl: https://a.test\n{field}: {long}");
        let wrong = wrong(&text);
        assert!(
            wrong[0].contains(&format!("{field}: write at most 1024 bytes")),
            "{wrong:?}"
        );
    }
    assert_eq!(
        titles("kind: registry\nname: ' r '\nurl: ' https://a.test '"),
        ["registry r"]
    );
}

/// What is wrong with the files of a folder.
fn wrong_in(folder: &Path) -> Vec<String> {
    let errors = read(folder).err().unwrap_or_default();
    errors.iter().map(|error| format!("{error:#}")).collect()
}

#[test]
fn authorities_are_read_even_if_nobody_asks_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let registry =
        "kind: registry\nname: r\nurl: https://a.test\ninsecure: true\nca_file: ca.pem\n";
    fs::write(folder.path().join("a.yaml"), registry).unwrap();
    fs::write(folder.path().join("ca.pem"), "garbage").unwrap();
    let wrong = wrong_in(folder.path());
    assert!(
        wrong[0].contains("ca_file: there is no certificate"),
        "{wrong:?}"
    );
}

#[test]
fn a_file_that_cannot_be_looked_at_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.yaml"), "kind: project\nname: a\n").unwrap();
    fs::create_dir(at("folder.yaml")).unwrap();
    assert_eq!(wrong_in(folder.path()), [""; 0]);
    std::os::unix::fs::symlink("/nowhere/team.yaml", at("b.yaml")).unwrap();
    std::os::unix::fs::symlink("/dev/null", at("c.yaml")).unwrap();
    let wrong = wrong_in(folder.path());
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("b.yaml"), "{wrong:?}");
    assert!(wrong[1].contains("c.yaml: is no file"), "{wrong:?}");
}

#[test]
fn a_file_without_a_document_is_an_error() {
    for empty in ["", "# Nothing here.\n", "---\n", "---\n---\n# Nor here.\n"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "kind: project\nname: a\n").unwrap();
        fs::write(folder.path().join("b.yaml"), empty).unwrap();
        let wrong = wrong_in(folder.path());
        assert_eq!(wrong.len(), 1, "{empty:?}: {wrong:?}");
        assert!(
            wrong[0].contains("b.yaml: there is no document in it"),
            "{wrong:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let wrong = wrong_in(folder.path());
    assert!(wrong[0].contains("ends in .yaml or .yml"), "{wrong:?}");
}

/// What two documents of a text both name.
fn named_twice(text: &str) -> Vec<String> {
    let read = documents("team.yaml", text, Path::new("/nowhere"));
    let read: Vec<Document> = read.into_iter().map(Result::unwrap).collect();
    twice(&read).iter().map(ToString::to_string).collect()
}

#[test]
fn two_robots_have_no_file_in_common() {
    let robot = |name: &str, file: &str| {
        format!(
            "kind: robot\nproject: a\nname: {name}\nallow: [repository:pull]\nsecret_file: {file}\n---\n"
        )
    };
    let two = |one: &str, other: &str| named_twice(&(robot("x", one) + &robot("y", other)));
    assert_eq!(two("x.secret", "y.secret"), [""; 0]);
    assert_eq!(
        two("x.secret", "./x.secret"),
        [
            "team.yaml, document 2: secret_file: /nowhere/./x.secret is in team.yaml, document 1 already: write another one"
        ]
    );
}

#[test]
fn a_label_may_be_called_as_if_it_were_a_projects() {
    let text = "kind: label\nname: x of project a\n---\nkind: label\nproject: a\nname: x\n";
    assert_eq!(named_twice(text), [""; 0]);
}

#[test]
fn the_example_can_be_applied() {
    let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let read = read(&folder.join("../deploy/gitops")).unwrap();
    let kinds: Vec<Kind> = read.iter().map(|it| it.object.kind()).collect();
    assert!(kinds.is_sorted() && kinds.len() == 8, "{kinds:?}");
}

#[test]
fn an_object_is_named_once() {
    let text = "kind: project\nname: a\n---\nkind: project\nname: a\n";
    let read = documents("team.yaml", text, Path::new("/nowhere"));
    let read: Vec<Document> = read.into_iter().map(Result::unwrap).collect();
    let errors = twice(&read);
    assert_eq!(errors.len(), 1);
    assert_eq!(
        errors[0].to_string(),
        "team.yaml, document 2: project a is in team.yaml, document 1 already: remove one of them"
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), kind in "[a-z-]{0,16}") {
        let _ = documents("a.yaml", &text, Path::new("/nowhere"));
        let _ = documents("a.yaml", &format!("kind: {kind}\n{text}"), Path::new("/nowhere"));
    }
}
