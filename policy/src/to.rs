//! Types that stand for actions, so that the type of a permit names its action:
//! `ProjectPermit<on::Member, to::Create>`.

use crate::Action;

/// A type that stands for an action.
pub trait To: Send + Sync + 'static {
    /// The action.
    const ACTION: Action;
}

macro_rules! actions {
    ($($name:ident)*) => {$(
        #[doc = concat!("Stands for [`Action::", stringify!($name), "`].")]
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl To for $name {
            const ACTION: Action = Action::$name;
        }
    )*};
}

actions! { Create Read Update Delete List Operate Stop Pull Push }
