//! Names, digests, references, ids and manifests: parsing and printing, no I/O. What these values mean to a push or a
//! pull is in `registry`.

pub mod clock;
pub mod digest;
pub mod id;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod range;
pub mod reference;
pub mod tag;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use digest::{Algorithm, Digest, Hasher};
pub use id::{
    AccountId, BlobId, InstallationId, ManifestId, MemberId, ProjectId, RepositoryId, StoreId,
};
pub use manifest::{Descriptor, Manifest};
pub use media_type::MediaType;
pub use name::{ProjectName, RepositoryName};
pub use range::{ByteRanges, ContentRange};
pub use reference::Reference;
pub use tag::Tag;
