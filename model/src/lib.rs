//! Names, digests, references, ids, manifests, principals and events: parsing and printing, no I/O.
//! What these values mean to a push or a pull stands in `registry`.

pub mod clock;
pub mod digest;
pub mod event;
pub mod id;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod principal;
pub mod range;
pub mod reference;
pub mod tag;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use digest::{Algorithm, Digest, Hasher};
pub use event::{Event, Operation, Origin, Outcome, ResourceType, Subject};
pub use id::{
    AccountId, BlobId, InstallationId, ManifestId, MemberId, ProjectId, RepositoryId, StoreId,
};
pub use manifest::{Descriptor, Manifest};
pub use media_type::MediaType;
pub use name::{ProjectName, RepositoryName};
pub use principal::{Principal, SystemTask};
pub use range::{ByteRanges, ContentRange};
pub use reference::Reference;
pub use tag::Tag;
