//! Resources of the whole installation. System administrators may do everything to them; robots what their permissions
//! allow. Types of the same names occur in the types of permits: `SystemPermit<(system::User, to::List)>`.

use crate::to::To;
use crate::{Action, Actions};

/// A type that stands for a resource of the installation.
pub trait OnSystem: Send + Sync + 'static {
    /// The resource.
    const RESOURCE: SystemResource;
}

/// What a permit on the installation is for.
pub trait SystemNeed: Send + Sync + 'static {
    /// The resource and the action; `None` for all of them.
    const NEED: Option<(SystemResource, Action)>;
}

/// Stands for all resources and all actions: the rights of a system administrator.
#[derive(Clone, Copy, Debug)]
pub enum Everything {}

impl SystemNeed for Everything {
    const NEED: Option<(SystemResource, Action)> = None;
}

impl<R: OnSystem, A: To> SystemNeed for (R, A) {
    const NEED: Option<(SystemResource, Action)> = Some((R::RESOURCE, A::ACTION));
}

macro_rules! resources {
    ($($(#[$doc:meta])* $variant:ident $name:literal: $grantable:literal;)*) => {
        /// Resources of the installation; the names are Harbor's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SystemResource {
            $($(#[$doc])* $variant,)*
        }

        impl SystemResource {
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
                match self { $(Self::$variant => const { Actions::of_letters($grantable) }),* }
            }
        }

        $(
            #[doc = concat!("Stands for [`SystemResource::", stringify!($variant), "`].")]
            #[derive(Clone, Copy, Debug)]
            pub enum $variant {}

            impl OnSystem for $variant {
                const RESOURCE: SystemResource = SystemResource::$variant;
            }
        )*
    };
}

// C create, R read, U update, D delete, L list, O operate, S stop.
resources! {
    /// The audit log.
    AuditLog "audit-log": "L";
    /// The list of all repositories.
    Catalog "catalog": "R";
    /// Garbage collection.
    GarbageCollection "garbage-collection": "CRULS";
    /// Background jobs.
    JobMonitor "jobservice-monitor": "LS";
    /// Global labels.
    Label "label": "CRUD";
    /// Users of a directory.
    LdapUser "ldap-user": "CL";
    /// Preheat providers.
    PreheatInstance "preheat-instance": "CRUDL";
    /// Projects: creating and listing them as an administrator does.
    Project "project": "CL";
    /// Removal of old events.
    PurgeAudit "purge-audit": "CRULS";
    /// Quotas of all projects.
    Quota "quota": "RUL";
    /// Other registries.
    Registry "registry": "CRUDL";
    /// Runs of replication.
    Replication "replication": "CRL";
    /// Kinds of other registries.
    ReplicationAdapter "replication-adapter": "L";
    /// Rules of replication.
    ReplicationPolicy "replication-policy": "CRUDL";
    /// Robots of the system.
    Robot "robot": "CRDL";
    /// Scans of everything.
    ScanAll "scan-all": "CRUS";
    /// Scanners.
    Scanner "scanner": "CRUDL";
    /// Results of scans in all projects.
    SecurityHub "security-hub": "RL";
    /// The space on the data folder's file system.
    Volumes "system-volumes": "R";
    /// Accounts.
    User "user": "CRUDL";
    /// Groups of users.
    Group "user-group": "CRUDL";
}
