//! A rule as written by administrators, and its form in the database.

use std::collections::BTreeMap;

use db::workload_rule::Content;
use model::{InvalidWorkloadRule, WorkloadConditions, WorkloadRuleName};
use outgoing::{Verification, client_config};
use policy::Role;
use policy::workload::ROLES;

use super::keys::KeySet;

/// Default lifetime of registry tokens, in seconds.
const LIFETIME: i64 = 3_600;
/// Its minimum and maximum.
const SHORTEST: i64 = 60;
const LONGEST: i64 = 86_400;
/// Maximum bytes of a JWK set, and of authorities.
const LARGEST_KEYS: usize = 32 << 10;

/// The texts of a rule, as given.
#[derive(Clone, Debug, Default)]
pub struct RuleText {
    /// Its name within the project.
    pub name: String,
    /// The issuer's URL.
    pub issuer: String,
    /// The audience of the tokens.
    pub audience: String,
    /// The subject, or a pattern for it.
    pub subject: String,
    /// Further claims, with their values or patterns.
    pub claims: BTreeMap<String, String>,
    /// The name of the role that it gives.
    pub role: String,
    /// Maximum lifetime of registry tokens in seconds; an hour by default.
    pub lifetime: Option<i64>,
    /// The issuer's keys as a JWK set; `None` to read them from the issuer.
    pub jwks: Option<String>,
    /// Authorities for the issuer's certificate, in PEM.
    pub ca: Option<String>,
}

impl RuleText {
    /// The rule, if it is valid.
    ///
    /// # Errors
    /// Which field is not valid.
    pub fn content(&self) -> Result<Content, InvalidWorkloadRule> {
        let texts = (&*self.issuer, &*self.audience, &*self.subject);
        let content = Content {
            name: self.name.parse::<WorkloadRuleName>()?.to_string(),
            conditions: WorkloadConditions::parse(texts, &self.claims)?,
            role: role(&self.role)?,
            lifetime: lifetime(self.lifetime.unwrap_or(LIFETIME))?,
            jwks: self.jwks.clone(),
            ca: self.ca.clone(),
        };
        check_keys(&content)?;
        Ok(content)
    }
}

fn role(name: &str) -> Result<Role, InvalidWorkloadRule> {
    let role = Role::from_name(name).filter(|role| ROLES.contains(role));
    let reason = "must be maintainer, developer, guest or limitedGuest: workloads do not administer projects";
    role.ok_or_else(|| InvalidWorkloadRule::new("role", reason))
}

fn lifetime(seconds: i64) -> Result<u32, InvalidWorkloadRule> {
    let valid = (SHORTEST..=LONGEST).contains(&seconds);
    let seconds = u32::try_from(seconds).ok().filter(|_| valid);
    let reason = "must be 60 to 86400 seconds";
    seconds.ok_or_else(|| InvalidWorkloadRule::new("lifetime", reason))
}

fn check_keys(content: &Content) -> Result<(), InvalidWorkloadRule> {
    let invalid = |field, reason| Err(InvalidWorkloadRule::new(field, reason));
    if content.conditions.issuer.is_of_certificates() {
        let reason =
            "has no effect: client certificates are checked by the server's [tls] client_ca";
        return match (&content.jwks, &content.ca) {
            (Some(_), _) => invalid("jwks", reason),
            (_, Some(_)) => invalid("ca", reason),
            (None, None) => Ok(()),
        };
    }
    if let Some(jwks) = &content.jwks {
        if jwks.len() > LARGEST_KEYS || KeySet::given(jwks.as_bytes()).is_err() {
            let reason = "must be a JWK set of 1 to 10 public RSA, P-256, P-384 or Ed25519 keys, of 32 KiB at most";
            return invalid("jwks", reason);
        }
        if content.ca.is_some() {
            return invalid("ca", "has no effect with jwks: the issuer is not asked");
        }
    }
    if let Some(ca) = &content.ca {
        let read = client_config(Verification::Authorities(ca), None);
        if ca.len() > LARGEST_KEYS || read.is_err() {
            return invalid("ca", "must be certificates in PEM, of 32 KiB at most");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> RuleText {
        RuleText {
            name: "main branch".to_owned(),
            issuer: "https://ci.test".to_owned(),
            audience: "registry.test".to_owned(),
            subject: "repo:my-org/app:ref:refs/heads/main".to_owned(),
            role: "developer".to_owned(),
            ..RuleText::default()
        }
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let content = rule().content().unwrap();
        assert_eq!((content.lifetime, content.role), (3_600, Role::Developer));
    }

    #[test]
    fn what_is_not_valid_is_named() {
        let refused = |change: fn(&mut RuleText)| {
            let mut rule = rule();
            change(&mut rule);
            rule.content().unwrap_err().to_string()
        };
        for (field, change) in [
            ("name: ", (|rule| rule.name.clear()) as fn(&mut RuleText)),
            ("subject: matches too much", |rule| {
                rule.subject = "*".to_owned()
            }),
            ("role: ", |rule| rule.role = "projectAdmin".to_owned()),
            ("role: ", |rule| rule.role = "admin".to_owned()),
            ("lifetime: ", |rule| rule.lifetime = Some(59)),
            ("lifetime: ", |rule| rule.lifetime = Some(86_401)),
            ("jwks: ", |rule| rule.jwks = Some("{}".to_owned())),
            ("jwks: ", |rule| {
                rule.jwks = Some(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#.to_owned());
            }),
            ("ca: ", |rule| rule.ca = Some("nonsense".to_owned())),
        ] {
            let error = refused(change);
            assert!(error.starts_with(field), "{field}: {error}");
        }
    }
}
