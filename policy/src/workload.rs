//! How a workload was admitted: the rules that its token matched. What they permit is in its [own
//! rights](crate::OwnRights).

use model::{PrincipalId, ProjectName, Timestamp};

use crate::Role;

/// The roles that a rule may give. Project admin is not one of them: what a workload creates would outlive its token.
pub const ROLES: [Role; 4] = [
    Role::Maintainer,
    Role::Developer,
    Role::Guest,
    Role::LimitedGuest,
];

/// A rule that a token matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkloadRule {
    /// The rule's id among principals.
    pub principal: PrincipalId,
    /// Its generation at that time: once it has changed, the rule no longer admits this workload.
    pub generation: i64,
}

/// The admission of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The rules that its token matched, oldest first.
    pub rules: Vec<WorkloadRule>,
    /// Seconds for which a registry token is issued at most, by the rules of a project for that project; none for what came
    /// with a registry token, for which no other is issued.
    pub lifetimes: Vec<(ProjectName, u32)>,
    /// When its own token expires, and with it everything obtained with it.
    pub expires_at: Timestamp,
}

impl Workload {
    /// Seconds for which a token for some projects is issued at most. No project's rules shorten a token for another.
    pub fn token_secs(&self, projects: &[ProjectName]) -> u32 {
        let of = |wanted: &dyn Fn(&ProjectName) -> bool| {
            let lifetimes = self.lifetimes.iter();
            let lifetimes = lifetimes.filter(|(project, _)| wanted(project));
            lifetimes.map(|(_, lifetime)| *lifetime).min()
        };
        let asked = of(&|project| projects.contains(project));
        asked.or_else(|| of(&|_| true)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_one_project_do_not_shorten_a_token_for_another() {
        let [a, b, c] = ["a", "b", "c"].map(|name| name.parse::<ProjectName>().unwrap());
        let workload = Workload {
            rules: Vec::new(),
            lifetimes: vec![(a.clone(), 3_600), (a.clone(), 1_800), (b.clone(), 60)],
            expires_at: Timestamp(0),
        };
        assert_eq!(workload.token_secs(std::slice::from_ref(&a)), 1_800);
        assert_eq!(workload.token_secs(&[a, b]), 60);
        assert_eq!(workload.token_secs(&[c]), 60);
    }
}
