use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::*;

/// The table of docs/configuration.md that is made of the declarations.
fn table() -> String {
    let rows = DECLARED.iter().map(|setting| {
        let kind = match setting.kind {
            Kind::Flag => "flag",
            Kind::Number => "number",
            Kind::Text => "text",
            Kind::Secret => "secret",
        };
        let initial = match setting.initial() {
            Value::String(text) if text.is_empty() => "empty".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let readers = match setting.readers {
            Readers::Everyone => "everyone",
            Readers::SignedIn => "signed in",
            Readers::Administrators => "administrators",
            Readers::Nobody => "nobody",
        };
        let effect = match setting.effect {
            Effect::Now => "now",
            Effect::Never(_) => "never",
        };
        let (name, meaning) = (setting.name, setting.meaning());
        format!("| `{name}` | {kind} | {initial} | {readers} | {effect} | {meaning} |\n")
    });
    rows.collect()
}

#[test]
fn the_documentation_has_every_setting_as_it_is_declared() {
    const HEAD: &str =
        "| setting | type | initially | readers | effect | meaning |\n|---|---|---|---|---|---|\n";
    let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let file = folder.join("../docs/configuration.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(HEAD).unwrap();
    let (documented, after) = rest.split_once("\nWhile ").unwrap();
    let declared = table();
    if std::env::var_os("GANTRY_WRITE_DOCS").is_some() {
        let written = format!("{before}{HEAD}{declared}\nWhile {after}");
        std::fs::write(&file, written).unwrap();
        return;
    }
    assert!(
        documented == declared,
        "docs/configuration.md is not what is declared: run this with GANTRY_WRITE_DOCS=1"
    );
}

#[test]
fn initial_values_keep_their_rules() {
    let mut values = Values::default();
    values.check().unwrap();
    for setting in DECLARED {
        setting.set(&mut values, &setting.initial()).unwrap();
        assert_eq!(setting.of(&values), setting.initial(), "{}", setting.name);
        assert_eq!(
            setting.kind == Kind::Secret,
            setting.readers == Readers::Nobody,
            "{}",
            setting.name
        );
    }
}

#[test]
fn a_value_of_another_type_is_refused_with_the_type() {
    let mut values = Values::default();
    for setting in DECLARED {
        for wrong in [json!(null), json!([]), json!({}), json!(1.5)] {
            let refused = setting.set(&mut values, &wrong).unwrap_err();
            assert!(matches!(refused, InvalidSetting::WrongKind { .. }));
            assert!(refused.to_string().starts_with(setting.name));
        }
    }
    let long = json!("a".repeat(5_000));
    let refused = Declaration::named("ldap_filter").unwrap();
    refused.set(&mut values, &long).unwrap_err();
    refused.set(&mut values, &json!("a\nb")).unwrap_err();
}

#[test]
fn a_name_that_is_nearly_one_is_answered_with_it() {
    let near = |name: &str| match Declaration::named(name) {
        Err(InvalidSetting::Unknown { near, .. }) => near,
        _ => panic!("{name} is none"),
    };
    assert_eq!(near("token_expiry"), Some("token_expiration"));
    assert_eq!(near("readonly"), Some("read_only"));
    assert_eq!(near("zzz"), None);
}

#[test]
fn what_is_fixed_covers_what_was_changed_and_does_not_print() {
    let given = [
        ("token_expiration".to_owned(), json!(5)),
        ("ldap_search_password".to_owned(), json!("hunter2")),
    ];
    let fixed = Fixed::new(BTreeMap::from(given)).unwrap();
    let master = MasterKey::parse(&[b'a'; 64]).unwrap();
    let changed = ["token_expiration", "session_timeout"].map(|name| Changed {
        name: name.to_owned(),
        value: "9".to_owned(),
    });
    let values = values(&master, &fixed, &changed);
    assert_eq!((values.token_expiration, values.session_timeout), (5, 9));
    assert_eq!(values.token_secs(), 300);
    assert_eq!(values.ldap_search_password.expose(), "hunter2");
    let shown = serde_json::to_string(&fixed).unwrap();
    for text in [format!("{fixed:?} {values:?}"), shown] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    Fixed::new(BTreeMap::from([("uaa_endpoint".to_owned(), json!("x"))])).unwrap_err();
}

#[test]
fn what_the_database_holds_is_read_or_else_the_initial_value_holds() {
    let master = MasterKey::parse(&[b'a'; 64]).unwrap();
    let read = |name: &str, value: &str| {
        let (name, value) = (name.to_owned(), value.to_owned());
        values(&master, &Fixed::default(), &[Changed { name, value }])
    };
    // A newer program's.
    read("of_a_later_version", "1");
    // By the rules of another version.
    for value in ["\"5\"", "0"] {
        let values = read("token_expiration", value);
        assert_eq!(values.token_expiration, Values::default().token_expiration);
    }
    // Broken rows.
    let values = read("token_expiration", "");
    assert_eq!(values.token_expiration, Values::default().token_expiration);
    let values = read("ldap_search_password", "\"plain\"");
    assert_eq!(values.ldap_search_password.expose(), "");
    let password = Declaration::named("ldap_search_password").unwrap();
    let sealed = stored(&master, password, &json!("hunter2")).unwrap();
    let opened = read("ldap_search_password", &sealed);
    assert_eq!(opened.ldap_search_password.expose(), "hunter2");
    // It is sealed for its own name.
    let moved = read("oidc_client_secret", &sealed);
    assert_eq!(moved.oidc_client_secret.expose(), "");
}
