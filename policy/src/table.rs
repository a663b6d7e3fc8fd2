//! The permission table: which role may perform which action on which resource of a project.

use crate::Role;

/// Actions on a resource; the names are Harbor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Create one.
    Create,
    /// Read one.
    Read,
    /// Change one.
    Update,
    /// Delete one.
    Delete,
    /// List all.
    List,
    /// Run it.
    Operate,
    /// Stop it.
    Stop,
    /// Pull content.
    Pull,
    /// Push content.
    Push,
}

impl Action {
    /// Harbor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Operate => "operate",
            Self::Stop => "stop",
            Self::Pull => "pull",
            Self::Push => "push",
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Create => 'C',
            Self::Read => 'R',
            Self::Update => 'U',
            Self::Delete => 'D',
            Self::List => 'L',
            Self::Operate => 'O',
            Self::Stop => 'S',
            Self::Pull => '<',
            Self::Push => '>',
        }
    }
}

macro_rules! resources {
    ($($(#[$doc:meta])* $variant:ident $name:literal: $admin:literal $maintainer:literal $developer:literal $guest:literal $limited:literal $public:literal;)*) => {
        /// Resources of a project to which permissions apply; the names are Harbor's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Resource {
            $($(#[$doc])* $variant,)*
        }

        impl Resource {
            /// All resources.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Harbor's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Letters of the allowed actions: project admin, maintainer, developer, guest,
            /// limited guest, and everyone on a public project.
            const fn row(self) -> [&'static str; 6] {
                match self {
                    $(Self::$variant => [$admin, $maintainer, $developer, $guest, $limited, $public]),*
                }
            }
        }
    };
}

// C create, R read, U update, D delete, L list, O operate, S stop, < pull, > push.
resources! {
    /// The project itself.
    Project "project":                          "RUD"     "R"       "R"      "R"   "R"   "R";
    /// Its members.
    Member "member":                            "CRUDL"   "RL"      "RL"     "RL"  ""    "";
    /// Its settings.
    Metadata "metadata":                        "CRUD"    "R"       ""       ""    ""    "";
    /// Its audit log.
    Log "log":                                  "L"       ""        ""       ""    ""    "";
    /// Its labels.
    Label "label":                              "CRUDL"   "CRUDL"   "RL"     "RL"  ""    "RL";
    /// Its quota.
    Quota "quota":                              "R"       "R"       "R"      "R"   "R"   "";
    /// Its repositories, and the content in them.
    Repository "repository":                    "CRUDL<>" "CRUDL<>" "CRUL<>" "RL<" "RL<" "L<";
    /// Artifacts.
    Artifact "artifact":                        "CRDL"    "CRDL"    "CRL"    "RL"  "RL"  "RL";
    /// Tags.
    Tag "tag":                                  "CDL"     "CDL"     "CL"     "L"   "L"   "L";
}

/// True if a role may do `action` on `resource` of its project.
pub fn allows(role: Role, resource: Resource, action: Action) -> bool {
    let row = resource.row();
    let letters = match role {
        Role::ProjectAdmin => row[0],
        Role::Maintainer => row[1],
        Role::Developer => row[2],
        Role::Guest => row[3],
        Role::LimitedGuest => row[4],
    };
    letters.contains(action.letter())
}

/// True if everyone, signed in or not, may do `action` on `resource` of a public project.
pub fn public_allows(resource: Resource, action: Action) -> bool {
    resource.row()[5].contains(action.letter())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden table: it changes only together with `docs/permissions.md`.
    #[test]
    fn the_table_is_the_documented_one() {
        use Action::{Create, Delete, List, Pull, Push, Read, Update};
        let actions = [Create, Read, Update, Delete, List, Pull, Push];
        let mut text = String::new();
        for resource in Resource::ALL {
            let mut row = format!("| `{}` |", resource.name());
            for role in Role::ALL {
                let held = actions
                    .iter()
                    .filter(|action| allows(role, *resource, **action));
                row += &format!(
                    " {} |",
                    held.map(|a| a.name()).collect::<Vec<_>>().join(" ")
                );
            }
            let held = actions
                .iter()
                .filter(|action| public_allows(*resource, **action));
            row += &format!(
                " {} |\n",
                held.map(|a| a.name()).collect::<Vec<_>>().join(" ")
            );
            text += &row;
        }
        let golden = include_str!("../../docs/permissions.md");
        let golden: String = golden
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(text, golden, "\n{text}");
    }
}
