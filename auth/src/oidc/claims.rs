//! A person from a provider's claims: those of the ID token, overridden by those of the userinfo endpoint.

use regex::RegexBuilder;
use serde_json::Value;
use tenancy::oidc::{MOST_GROUPS, Person, Profile};

use super::config::Config;
use super::error::{Error, Result};
use super::provider::Claims;
use super::token::IdToken;

/// A person, and the name that the provider suggests for the account.
pub(super) struct Described {
    pub(super) person: Person,
    pub(super) name: String,
}

/// Reads a person from claims.
pub(super) fn describe(
    config: &Config,
    token: &IdToken,
    userinfo: Option<&Claims>,
) -> Result<Described> {
    // Otherwise it could be somebody else's name and groups (Core, section 5.3.2).
    if let Some(userinfo) = userinfo
        && userinfo.get("sub").and_then(Value::as_str) != Some(&token.subject)
    {
        return Err(Error::Token(
            "the userinfo endpoint speaks of somebody else, or does not say of whom",
        ));
    }
    let userinfo = userinfo.cloned().unwrap_or_default();
    let of_token = |name: &str| text(&token.claims, name);
    let of_userinfo = |name: &str| text(&userinfo, name);
    let either = |name: &str| of_userinfo(name).or_else(|| of_token(name));
    let name = of_token(&config.user_claim)
        .or_else(|| of_userinfo(&config.user_claim))
        .or_else(|| either("name"));
    let groups = groups(config, &token.claims, &userinfo);
    Ok(Described {
        person: Person {
            subject: format!("{} {}", token.issuer, token.subject),
            profile: Some(Profile {
                realname: either("name").unwrap_or_default().to_owned(),
                email: either("email").map(str::to_owned),
            }),
            admin: is_admin(config, &groups),
            groups: Some(bounded(filtered(config, groups)?)),
            claims: expectable(&token.claims, &userinfo),
        },
        name: name.unwrap_or_default().trim().replace(' ', "_"),
    })
}

/// What the userinfo endpoint says of somebody for whom there is no new ID token: what it does not say stays as it is.
pub(super) fn describe_again(
    config: &Config,
    token: &IdToken,
    userinfo: &Claims,
) -> Result<Person> {
    let mut person = describe(config, token, Some(userinfo))?.person;
    person.profile = person
        .profile
        .filter(|it| !it.realname.is_empty() && it.email.is_some());
    if !userinfo.contains_key(&config.groups_claim) {
        person.groups = None;
    }
    Ok(person)
}

/// Maximum claims by which somebody may be expected.
const MOST_CLAIMS: usize = 64;
/// Maximum bytes of their values.
const LONGEST_VALUE: usize = 255;

/// Claims that are texts, by which somebody may be expected. A mail address counts only if the provider verified it.
fn expectable(token: &Claims, userinfo: &Claims) -> Vec<(String, String)> {
    let is_verified = |claims: &Claims| match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(text)) => text == "true",
        _ => false,
    };
    let of = |claims: &Claims| {
        let verified = is_verified(claims);
        let texts = claims.iter().filter_map(|(name, value)| {
            let value = value
                .as_str()
                .filter(|it| (1..=LONGEST_VALUE).contains(&it.len()))?;
            (name != "email" || verified).then(|| (name.clone(), value.to_owned()))
        });
        texts.collect::<Vec<_>>()
    };
    let mut all = of(token);
    all.extend(of(userinfo));
    all.sort_unstable();
    all.dedup();
    all.truncate(MOST_CLAIMS);
    all
}

fn text<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The groups of the claim; those from the userinfo endpoint take precedence over those of the ID token.
fn groups(config: &Config, token: &Claims, userinfo: &Claims) -> Vec<String> {
    let name = &*config.groups_claim;
    if name.is_empty() {
        return Vec::new();
    }
    let said = userinfo.get(name).or_else(|| token.get(name));
    match said {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            let texts = many.iter().filter_map(Value::as_str);
            let texts: Vec<String> = texts.map(str::to_owned).collect();
            if texts.len() < many.len() {
                let others = many.len() - texts.len();
                tracing::warn!(
                    claim = name,
                    others,
                    "the OIDC provider names groups that are no texts: they are left out"
                );
            }
            texts
        }
        None | Some(Value::Null) => Vec::new(),
        Some(_) => {
            tracing::warn!(
                claim = name,
                "the OIDC provider's claim of groups is no list of texts: nobody gets groups by it"
            );
            Vec::new()
        }
    }
}

/// So many groups of one person, and always the same ones.
fn bounded(mut groups: Vec<String>) -> Vec<String> {
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > MOST_GROUPS {
        let count = groups.len();
        tracing::warn!(
            count,
            most = MOST_GROUPS,
            "somebody is in more groups of the OIDC provider than are taken: oidc_group_filter chooses among them"
        );
        groups.truncate(MOST_GROUPS);
    }
    groups
}

/// Whether a group makes somebody an administrator; checked before groups are filtered, as in Harbor.
fn is_admin(config: &Config, groups: &[String]) -> bool {
    !config.admin_group.is_empty() && groups.contains(&config.admin_group)
}

fn filtered(config: &Config, mut groups: Vec<String>) -> Result<Vec<String>> {
    groups.retain(|name| !name.is_empty());
    if config.group_filter.is_empty() {
        return Ok(groups);
    }
    let filter = RegexBuilder::new(&config.group_filter)
        .size_limit(1 << 20)
        .build();
    let filter = filter.map_err(|error| Error::Settings(format!("oidc_group_filter: {error}")))?;
    groups.retain(|name| filter.is_match(name));
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use outgoing::Trust;
    use serde_json::json;
    use tenancy::setting::Values;

    use super::*;

    fn config() -> Config {
        let values = Values {
            oidc_groups_claim: "groups".into(),
            oidc_group_filter: "^dev".into(),
            oidc_admin_group: "chiefs".into(),
            oidc_user_claim: "nick".into(),
            ..Values::default()
        };
        Config::from_values(&values, Trust::Guarded).unwrap()
    }

    fn token(claims: Value) -> IdToken {
        IdToken {
            issuer: "https://id".into(),
            subject: "7".into(),
            claims: claims.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn the_administrators_group_counts_although_it_is_filtered_out() {
        let token = token(json!({ "name": "Ann Lee", "groups": ["chiefs", "devs", "ops", 7, ""] }));
        let found = describe(&config(), &token, None).unwrap();
        assert_eq!(found.person.subject, "https://id 7");
        assert_eq!(found.person.groups.unwrap(), ["devs"]);
        assert!(found.person.admin);
        assert_eq!(found.name, "Ann_Lee");
    }

    #[test]
    fn userinfo_is_laid_over_the_token_but_for_the_claim_of_the_name() {
        let token = token(json!({ "nick": "ann", "email": "old@x", "groups": "devs" }));
        let info = json!({ "sub": "7", "nick": "other", "email": "new@x", "groups": ["dev2"] });
        let found = describe(&config(), &token, info.as_object()).unwrap();
        assert_eq!(found.name, "ann");
        assert_eq!(found.person.profile.unwrap().email.unwrap(), "new@x");
        assert_eq!(found.person.groups.unwrap(), ["dev2"]);
        assert!(!found.person.admin);
        for other in [json!({ "sub": "8" }), json!({ "name": "Bob" })] {
            assert!(describe(&config(), &token, other.as_object()).is_err());
        }
    }

    #[test]
    fn one_group_may_be_a_text_and_what_is_neither_text_nor_list_names_none() {
        let of = |groups: Value| {
            let token = token(json!({ "name": "Ann", "groups": groups }));
            describe(&config(), &token, None).unwrap().person
        };
        assert_eq!(of(json!("devs")).groups.unwrap(), ["devs"]);
        assert!(of(json!("chiefs")).admin);
        for other in [json!(7), json!({}), json!(true), json!(null)] {
            let groups = of(other.clone()).groups.unwrap_or_default();
            assert!(groups.is_empty(), "{other}: {groups:?}");
        }
    }

    #[test]
    fn nobody_is_expected_by_a_mail_address_that_was_not_verified() {
        let of = |claims: Value| {
            let described = describe(&config(), &token(claims), None).unwrap();
            described.person.claims
        };
        let mail = ("email".to_owned(), "ann@x".to_owned());
        assert!(!of(json!({ "email": "ann@x" })).contains(&mail));
        assert!(!of(json!({ "email": "ann@x", "email_verified": false })).contains(&mail));
        assert!(of(json!({ "email": "ann@x", "email_verified": true })).contains(&mail));
        assert!(of(json!({ "email": "ann@x", "email_verified": "true" })).contains(&mail));
        assert_eq!(of(json!({ "nick": "x".repeat(256), "level": 7 })), []);
    }

    #[test]
    fn what_is_not_said_again_stays_as_it_is() {
        let token = token(json!({}));
        let again = |info: Value| {
            let info = info.as_object().unwrap();
            describe_again(&config(), &token, info).unwrap()
        };
        let silent = again(json!({ "sub": "7", "email": "new@x" }));
        assert_eq!((silent.profile, silent.groups), (None, None));
        let said = again(json!({ "sub": "7", "name": "Ann", "email": "a@x", "groups": [] }));
        assert_eq!(said.profile.unwrap().realname, "Ann");
        assert_eq!(said.groups, Some(Vec::new()));
    }
}
