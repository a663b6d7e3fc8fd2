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
