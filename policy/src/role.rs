//! Harbor's five project roles.

/// A member's role in a project. The numbers are Harbor's `role_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything in the project, members included.
    ProjectAdmin = 1,
    /// Pulls and pushes.
    Developer = 2,
    /// Pulls, and sees members.
    Guest = 3,
    /// Pulls, pushes, deletes and scans.
    Maintainer = 4,
    /// Pulls, and sees no members.
    LimitedGuest = 5,
}

impl Role {
    /// All roles, strongest first.
    pub const ALL: [Self; 5] = [
        Self::ProjectAdmin,
        Self::Maintainer,
        Self::Developer,
        Self::Guest,
        Self::LimitedGuest,
    ];

    /// Harbor's `role_id`.
    pub const fn id(self) -> i64 {
        self as i64
    }

    /// The role with a Harbor `role_id`.
    pub fn from_id(id: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.id() == id)
    }

    /// Harbor's `role_name`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProjectAdmin => "projectAdmin",
            Self::Developer => "developer",
            Self::Guest => "guest",
            Self::Maintainer => "maintainer",
            Self::LimitedGuest => "limitedGuest",
        }
    }

    /// The role with a Harbor `role_name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// The roles that a principal holds in one project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | 1 << role as u8)
    }

    /// True if the role is held.
    pub const fn contains(self, role: Role) -> bool {
        self.0 & 1 << role as u8 != 0
    }

    /// The roles, strongest first.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL
            .into_iter()
            .filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_strongest_first() {
        let held: Roles = [Role::Guest, Role::Maintainer].into_iter().collect();
        assert_eq!(
            held.iter().collect::<Vec<_>>(),
            [Role::Maintainer, Role::Guest]
        );
        assert!(!held.contains(Role::ProjectAdmin));
        assert_eq!(Roles::NONE.iter().count(), 0);
    }
}
