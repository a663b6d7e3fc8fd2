//! The permission table: which role may perform which action on which resource of a project.

use crate::{Action, Actions, Role, Roles};

macro_rules! resources {
    ($($(#[$doc:meta])* $variant:ident $name:literal: $admin:literal $maintainer:literal $developer:literal $guest:literal $limited:literal $public:literal $robots:literal;)*) => {
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

            /// The resource with Harbor's name.
            pub fn from_name(name: &str) -> Option<Self> {
                let mut all = Self::ALL.iter().copied();
                all.find(|resource| resource.name() == name)
            }

            /// The actions that a robot can have.
            pub const fn grantable(self) -> Actions {
                match self { $(Self::$variant => const { Actions::of_letters($robots) }),* }
            }

            /// The allowed actions: of project admin, maintainer, developer, guest and limited guest, and of everyone
            /// on a public project.
            const fn row(self) -> [Actions; 6] {
                match self {
                    $(Self::$variant => const {
                        [
                            Actions::of_letters($admin), Actions::of_letters($maintainer),
                            Actions::of_letters($developer), Actions::of_letters($guest),
                            Actions::of_letters($limited), Actions::of_letters($public),
                        ]
                    }),*
                }
            }
        }
    };
}

// C create, R read, U update, D delete, L list, O operate, S stop, < pull, > push; the last column is what robots can
// have.
resources! {
    /// The project itself.
    Project "project":                        "RUD"     "R"       "R"       "R"   "R"   "R"   "RUD";
    /// Its members.
    Member "member":                          "CRUDL"   "RL"      "RL"      "RL"  ""    ""    "CRUDL";
    /// Its settings.
    Metadata "metadata":                      "CRUD"    "R"       ""        ""    ""    ""    "CRUDL";
    /// Its audit log.
    Log "log":                                "L"       ""        ""        ""    ""    ""    "L";
    /// Its labels.
    Label "label":                            "CRUDL"   "CRUDL"   "RL"      "RL"  ""    "RL"  "CRUDL";
    /// Its quota.
    Quota "quota":                            "R"       "R"       "R"       "R"   "R"   ""    "R";
    /// Its repositories, and the content in them.
    Repository "repository":                  "CRUDL<>" "CRUDL<>" "CRUL<>"  "RL<" "RL<" "L<"  "RUDL<>";
    /// Retention rules.
    TagRetention "tag-retention":             "CRUDLO"  "CRUDLO"  "CRUDLO"  ""    ""    ""    "CRUDL";
    /// Rules for immutable tags.
    ImmutableTag "immutable-tag":             "CUDL"    "CUDL"    ""        ""    ""    ""    "CUDL";
    /// Its configuration, as user interfaces show it.
    Configuration "configuration":            "RU"      "R"       "R"       "R"   "R"   ""    "";
    /// Its robots.
    Robot "robot":                            "CRUDL"   "RL"      "RL"      "RL"  ""    ""    "CRDL";
    /// Rules for workload identities.
    WorkloadRule "workload-rule":             "CRUDLO"  "RL"      ""        ""    ""    ""    "";
    /// Its webhooks.
    Webhook "notification-policy":            "CRUDL"   "RL"      ""        ""    ""    ""    "CRUDL";
    /// Scans of artifacts.
    Scan "scan":                              "CRS"     "CRS"     "R"       "R"   "R"   "R"   "CRS";
    /// Bills of materials.
    Sbom "sbom":                              "CRS"     "CRS"     "R"       "R"   "R"   ""    "CRS";
    /// The scanner that it uses.
    Scanner "scanner":                        "CR"      "R"       "R"       "R"   "R"   "R"   "CR";
    /// Artifacts.
    Artifact "artifact":                      "CRDL"    "CRDL"    "CRL"     "RL"  "RL"  "RL"  "CRDL";
    /// Additional content of an artifact.
    ArtifactAddition "artifact-addition":     "R"       "R"       "R"       "R"   "R"   "R"   "R";
    /// Tags.
    Tag "tag":                                "CDL"     "CDL"     "CL"      "L"   "L"   "L"   "CDL";
    /// Signatures and the like.
    Accessory "accessory":                    "L"       "L"       "L"       "L"   "L"   "L"   "L";
    /// Labels on artifacts.
    ArtifactLabel "artifact-label":           "CD"      "CD"      "CD"      ""    ""    ""    "CD";
    /// Rules for preheating.
    PreheatPolicy "preheat-policy":           "CRUDL"   ""        ""        ""    ""    ""    "CRUDL";
    /// Exports of vulnerabilities.
    ExportCve "export-cve":                   "CRL"     "CRL"     "CRL"     ""    ""    ""    "CR";
}

/// What a role may do on `resource` of its project.
pub const fn allowed(role: Role, resource: Resource) -> Actions {
    let row = resource.row();
    match role {
        Role::ProjectAdmin => row[0],
        Role::Maintainer => row[1],
        Role::Developer => row[2],
        Role::Guest => row[3],
        Role::LimitedGuest => row[4],
    }
}

/// What several roles together may do on `resource` of their project.
pub fn allowed_to(roles: Roles, resource: Resource) -> Actions {
    let by_role = roles.iter().map(|role| allowed(role, resource));
    by_role.fold(Actions::NONE, |all, some| all | some)
}

/// The roles that may do an action on a resource of their project.
pub fn roles_with(resource: Resource, action: Action) -> Roles {
    let may = |role: &Role| allowed(*role, resource).contains(action);
    Role::ALL.into_iter().filter(may).collect()
}

/// What everyone, signed in or not, may do on `resource` of a public project.
pub const fn public(resource: Resource) -> Actions {
    resource.row()[5]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden table: it changes only together with `docs/permissions.md`.
    #[test]
    fn the_table_is_the_documented_one() {
        let names = |actions: Actions| {
            let names: Vec<&str> = actions.iter().map(Action::name).collect();
            format!(" {} |", names.join(" "))
        };
        let mut text = String::new();
        for resource in Resource::ALL {
            let roles = Role::ALL.map(|role| names(allowed(role, *resource)));
            let (name, public) = (resource.name(), names(public(*resource)));
            text += &format!("| `{name}` |{}{public}\n", roles.concat());
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
