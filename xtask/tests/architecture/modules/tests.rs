//! What counts as a circle.

use std::path::Path;

use super::circle::circles;
use super::source::Source;

/// The edges of the circles in a crate whose root has this text, without the lines that they stand on.
fn edges(text: &str) -> Vec<String> {
    let source = Source::parse(Path::new("lib.rs"), text);
    let circles = circles(&source);
    let lines = circles.iter().map(ToString::to_string);
    lines
        .map(|circle| {
            let edges = circle.lines().skip(1);
            let edges = edges.filter_map(|line| line.trim().split_once("  "));
            edges.map(|(edge, _)| edge).collect::<Vec<_>>().join(", ")
        })
        .collect()
}

#[test]
fn siblings_that_use_one_another_are_a_circle() {
    for use_of_b in [
        "use crate::b::B;",
        "use super::b::{self, B as C};",
        "use super::{c, b::{B}};",
        "fn f() -> crate::b::B { todo!() }",
        "fn f() { println!(\"{}\", crate::b::NAME) }",
        "#[serde(with = \"crate::b\")] struct A;",
        "mod deep { use super::super::b::B; }",
    ] {
        let text = format!("mod a {{ {use_of_b} }} mod b {{ use crate::a::A; }} mod c {{}}");
        assert_eq!(edges(&text), ["a -> b, b -> a"], "{use_of_b}");
    }
}

#[test]
fn a_circle_of_three_is_found_below_the_root_and_its_lines_named() {
    let text = "mod x {\n mod a { use super::b::B; }\n mod b { use super::c::C; }\n mod c { use super::a::A; }\n}";
    let source = Source::parse(Path::new("lib.rs"), text);
    let circles: Vec<String> = circles(&source).iter().map(ToString::to_string).collect();
    let [circle] = circles.as_slice() else {
        panic!("{circles:?}")
    };
    assert!(
        circle.starts_with("circle of modules in crate::x\n"),
        "{circle}"
    );
    for line in ["a -> b  lib.rs:2", "b -> c  lib.rs:3", "c -> a  lib.rs:4"] {
        assert!(circle.contains(line), "{circle}");
    }
}

#[test]
fn a_name_counts_for_the_module_that_defines_it() {
    let text = "pub use b::B; mod a { use crate::B; } mod b { use crate::a::A; }";
    assert_eq!(edges(text), ["a -> b, b -> a"]);
    let text = "use x::b; mod a { use crate::b::B; } mod x { pub mod b { use crate::a::A; } }";
    assert_eq!(edges(text), ["a -> x, x -> a"]);
}

#[test]
fn parents_other_crates_and_tests_make_no_circle() {
    for text in [
        "use a::A; mod a { use crate::B; } struct B;",
        "mod a { use super::c; mod b { use crate::a::A; } } mod c {}",
        "mod a { use b::B; use ::b::C; } mod b { use crate::a::A; }",
        "mod a { #[cfg(test)] mod tests { use crate::b::B; } } mod b { use crate::a::A; }",
        "mod a { #[cfg(test)] use crate::b::B; } mod b { use crate::a::A; }",
    ] {
        assert_eq!(edges(text), Vec::<String>::new(), "{text}");
    }
}
