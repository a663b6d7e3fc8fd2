//! What one may do to a resource, and sets of such actions.

use std::ops::BitOr;

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident $name:literal $letter:literal;)*) => {
        /// Actions on a resource; the names are Harbor's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $variant,)*
        }

        impl Action {
            /// All actions.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Harbor's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The action with Harbor's name.
            pub fn from_name(name: &str) -> Option<Self> {
                let mut all = Self::ALL.iter().copied();
                all.find(|action| action.name() == name)
            }

            /// The action that a letter of the permission table stands for.
            const fn from_letter(letter: u8) -> Self {
                match letter {
                    $($letter => Self::$variant,)*
                    _ => panic!("a letter that stands for no action"),
                }
            }
        }
    };
}

actions! {
    /// Create one.
    Create "create" b'C';
    /// Read one.
    Read "read" b'R';
    /// Change one.
    Update "update" b'U';
    /// Delete one.
    Delete "delete" b'D';
    /// List all.
    List "list" b'L';
    /// Run it.
    Operate "operate" b'O';
    /// Stop it.
    Stop "stop" b'S';
    /// Pull content.
    Pull "pull" b'<';
    /// Push content.
    Push "push" b'>';
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions(u16);

impl Actions {
    /// No action.
    pub const NONE: Self = Self(0);
    /// Every action.
    pub const ALL: Self = Self(u16::MAX);

    /// The actions that the letters of a cell of the permission table stand for.
    pub(crate) const fn of_letters(letters: &str) -> Self {
        let letters = letters.as_bytes();
        let mut set = Self::NONE;
        let mut at = 0;
        while at < letters.len() {
            set = set.with(Action::from_letter(letters[at]));
            at += 1;
        }
        set
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, action: Action) -> Self {
        Self(self.0 | 1 << action as u16)
    }

    /// True if the action is in the set.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & 1 << action as u16 != 0
    }

    /// The actions of the set, in the order of [`Action::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Action> {
        let all = Action::ALL.iter().copied();
        all.filter(move |action| self.contains(*action))
    }
}

impl BitOr for Actions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set = Actions::of_letters("R<");
        assert_eq!(set.iter().collect::<Vec<_>>(), [Action::Read, Action::Pull]);
        assert_eq!(set, [Action::Pull, Action::Read].into_iter().collect());
        assert!(!set.contains(Action::Push) && !Actions::NONE.contains(Action::Read));
        assert_eq!(Actions::ALL.iter().count(), Action::ALL.len());
        assert_eq!(set | Actions::of_letters("C"), Actions::of_letters("CR<"));
    }
}
