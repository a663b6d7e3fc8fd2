//! What `docs/findings.md` names as proof is there.

use std::fs;
use std::path::Path;

/// Names of files in the page that are shorter than their paths.
const SHORT: [(&str, &str); 2] = [
    ("it/", "gateway/tests/it/"),
    ("stores/", "db/tests/stores/"),
];

/// The file and the function of every test that the page names.
fn named(page: &str) -> Vec<(String, String)> {
    let quoted = page.split('`').skip(1).step_by(2);
    let tests = quoted.filter_map(|name| name.split_once(".rs::"));
    tests
        .filter(|(_, test)| !test.is_empty())
        .map(|(file, test)| {
            let short = SHORT
                .iter()
                .find_map(|(short, long)| Some(format!("{long}{}", file.strip_prefix(short)?)));
            (
                short.unwrap_or_else(|| file.to_owned()) + ".rs",
                test.to_owned(),
            )
        })
        .collect()
}

#[test]
fn every_test_that_the_page_of_findings_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/findings.md")).expect("the page can be read");
    let tests = named(&page);
    assert!(tests.len() > 200, "the page is read as it is written");
    let is_missing = |(file, test): &&(String, String)| {
        let source = fs::read_to_string(root.join(file)).unwrap_or_default();
        !source.contains(&format!("fn {test}("))
    };
    let missing: Vec<_> = tests.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "not there: {missing:?}");
}
