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
