//! Types that stand for resources, so that the type of a permit names its resource:
//! `ProjectPermit<on::Member, to::Create>`.

use crate::Resource;

/// A type that stands for a resource.
pub trait On: Send + Sync + 'static {
    /// The resource.
    const RESOURCE: Resource;
}

macro_rules! resources {
    ($($name:ident)*) => {$(
        #[doc = concat!("Stands for [`Resource::", stringify!($name), "`].")]
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl On for $name {
            const RESOURCE: Resource = Resource::$name;
        }
    )*};
}

resources! {
    Project Member Metadata Log Label Quota Repository TagRetention ImmutableTag Configuration Robot WorkloadRule Webhook Scan Sbom
    Scanner Artifact ArtifactAddition Tag Accessory ArtifactLabel PreheatPolicy ExportCve
}
