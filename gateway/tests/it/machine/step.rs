//! What may happen: one step of a walk, and how often each is drawn.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::content::{Blob, Manifest};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Project {
    Red,
    Blue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Repository {
    RedApp,
    RedWeb,
    BlueApp,
    BlueWeb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tag {
    V1,
    V2,
}

/// An upload that a client keeps going on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    One,
    Two,
}

/// What a project may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    None,
    /// A few small blobs.
    Tight,
    /// One image, and not two.
    Wide,
}

/// How the clock of all servers moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jump {
    Back7Minutes,
    Minutes50,
    Hours3,
    Hours30,
}

/// A file that is not Gantry's, by its name below the root of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stray {
    Top,
    /// In a folder named by a year.
    Year,
    /// A key but for the hour, which was before there was any Gantry.
    LongAgo,
    /// Beside objects of this hour.
    ThisHour,
    /// A key of this hour but for its last digit.
    Short,
    /// A key of this hour in capitals.
    Capitals,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Begins an upload of a blob in pieces.
    Start(Slot, Repository, Blob),
    /// Sends the next piece.
    Patch(Slot),
    /// Asks how far an upload came.
    Progress(Slot),
    /// Sends the rest and names the digest.
    Commit(Slot),
    Cancel(Slot),
    /// Uploads a blob in one go.
    PushBlob(Repository, Blob),
    Mount {
        from: Repository,
        to: Repository,
        blob: Blob,
    },
    Head(Repository, Blob),
    DeleteBlob(Repository, Blob),
    /// Pushes a manifest as clients do: first looks for what it names, and pushes what is missing.
    Push(Repository, Manifest, Option<Tag>),
    /// Pushes a manifest alone.
    Put(Repository, Manifest, Option<Tag>),
    DeleteTag(Repository, Tag),
    DeleteManifest(Repository, Manifest),
    CreateProject(Project),
    DeleteProject(Project),
    /// Deletes a project and makes it anew.
    RecreateProject(Project),
    Quota(Project, Limit),
    /// Deletes manifests of the project that had no tag for an hour, or keeps them.
    Untagged(Project, bool),
    /// One pass of the garbage collection.
    Collect,
    Clock(Jump),
    /// A stop and a start, with which the sweeper runs.
    Restart,
    /// SIGKILL and a start.
    Kill,
    /// SIGKILL while a piece is on its way, and a start.
    KillInPatch(Slot),
    /// A new process takes the listeners over.
    HandOver,
    /// Another registry has stored images below the same root, which are imported.
    Import,
    /// The other registry collects what Gantry has bytes of its own for.
    OtherCollects,
    Adopt,
    /// The servers begin to write into the other store.
    BeginMove,
    /// Copies what the store before has; where nothing is left there, the move ends.
    CopyBlobs {
        remove: bool,
    },
    Backup,
    /// Loses the database and puts the last backup in its place.
    Restore,
    /// Puts a file of somebody else into the store.
    Leave(Stray),
}

impl Project {
    pub(crate) const ALL: [Self; 2] = [Self::Red, Self::Blue];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Blue => "blue",
        }
    }
}

impl Repository {
    pub(crate) const ALL: [Self; 4] = [Self::RedApp, Self::RedWeb, Self::BlueApp, Self::BlueWeb];

    pub(crate) fn project(self) -> Project {
        match self {
            Self::RedApp | Self::RedWeb => Project::Red,
            Self::BlueApp | Self::BlueWeb => Project::Blue,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RedApp => "red/app",
            Self::RedWeb => "red/web",
            Self::BlueApp => "blue/app",
            Self::BlueWeb => "blue/web",
        }
    }
}

impl Tag {
    pub(crate) const ALL: [Self; 2] = [Self::V1, Self::V2];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

impl Limit {
    pub(crate) fn bytes(self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Tight => Some(6_000),
            Self::Wide => Some(400_000),
        }
    }
}

impl Jump {
    pub(crate) fn seconds(self) -> i64 {
        match self {
            Self::Back7Minutes => -7 * 60,
            Self::Minutes50 => 50 * 60,
            Self::Hours3 => 3 * 3_600,
            Self::Hours30 => 30 * 3_600,
        }
    }
}

impl Stray {
    pub(crate) const ALL: [Self; 6] = [
        Self::Top,
        Self::Year,
        Self::LongAgo,
        Self::ThisHour,
        Self::Short,
        Self::Capitals,
    ];

    pub(crate) fn key(self, hour: i64) -> String {
        match self {
            Self::Top => "README".to_owned(),
            Self::Year => "2024/report.pdf".to_owned(),
            Self::LongAgo => format!("2024/{}", "ab".repeat(20)),
            Self::ThisHour => format!("{hour}/notes.txt"),
            Self::Short => format!("{hour}/{}a", "ab".repeat(19)),
            Self::Capitals => format!("{hour}/{}", "AB".repeat(20)),
        }
    }
}

/// Any step, the common ones more often.
pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    let slot = || select(&[Slot::One, Slot::Two][..]);
    let repository = || select(&Repository::ALL[..]);
    let project = || select(&Project::ALL[..]);
    let blob = || select(&Blob::ALL[..]);
    let manifest = || select(&Manifest::ALL[..]);
    let tag = || select(&Tag::ALL[..]);
    let limit = select(&[Limit::None, Limit::Tight, Limit::Wide][..]);
    // Mostly onwards.
    let jump = prop_oneof![
        2 => Just(Jump::Back7Minutes),
        3 => Just(Jump::Minutes50),
        4 => Just(Jump::Hours3),
        1 => Just(Jump::Hours30),
    ];
    let bytes = prop_oneof![
        8 => (slot(), repository(), blob()).prop_map(|(slot, at, blob)| Step::Start(slot, at, blob)),
        10 => slot().prop_map(Step::Patch),
        3 => slot().prop_map(Step::Progress),
        7 => slot().prop_map(Step::Commit),
        2 => slot().prop_map(Step::Cancel),
        8 => (repository(), blob()).prop_map(|(at, blob)| Step::PushBlob(at, blob)),
        6 => (repository(), repository(), blob()).prop_map(|(from, to, blob)| Step::Mount { from, to, blob }),
        4 => (repository(), blob()).prop_map(|(at, blob)| Step::Head(at, blob)),
        4 => (repository(), blob()).prop_map(|(at, blob)| Step::DeleteBlob(at, blob)),
    ];
    let manifests = prop_oneof![
        12 => (repository(), manifest(), option::of(tag())).prop_map(|(at, what, tag)| Step::Push(at, what, tag)),
        6 => (repository(), manifest(), option::of(tag())).prop_map(|(at, what, tag)| Step::Put(at, what, tag)),
        5 => (repository(), tag()).prop_map(|(at, tag)| Step::DeleteTag(at, tag)),
        9 => (repository(), manifest()).prop_map(|(at, what)| Step::DeleteManifest(at, what)),
    ];
    let projects = prop_oneof![
        4 => project().prop_map(Step::CreateProject),
        3 => project().prop_map(Step::DeleteProject),
        4 => project().prop_map(Step::RecreateProject),
        3 => (project(), limit).prop_map(|(project, limit)| Step::Quota(project, limit)),
        2 => (project(), any::<bool>()).prop_map(|(project, delete)| Step::Untagged(project, delete)),
    ];
    let operation = prop_oneof![
        8 => Just(Step::Collect),
        7 => jump.prop_map(Step::Clock),
        3 => Just(Step::Restart),
        2 => Just(Step::Kill),
        2 => slot().prop_map(Step::KillInPatch),
        1 => Just(Step::HandOver),
        2 => Just(Step::Import),
        2 => Just(Step::OtherCollects),
        1 => Just(Step::Adopt),
        1 => Just(Step::BeginMove),
        2 => any::<bool>().prop_map(|remove| Step::CopyBlobs { remove }),
        1 => Just(Step::Backup),
        1 => Just(Step::Restore),
        2 => select(&Stray::ALL[..]).prop_map(Step::Leave),
    ];
    prop_oneof![50 => bytes, 32 => manifests, 12 => projects, 18 => operation]
}
