//! Sources that check passwords. Names and passwords go to one source after the other until one knows the name; the
//! throttle, the queues and the cache come before all of them, in [`crate::password`].

mod cli_secret;
mod ldap;
mod local;
mod robots;

use async_trait::async_trait;

pub(crate) use cli_secret::CliSecrets;
pub(crate) use ldap::Ldap;
pub(crate) use local::Local;
pub(crate) use robots::Robots;

use crate::error::Result;
use crate::login::{Checked, Login};

/// Something that checks names and passwords: the robots and the users of this database, a directory.
///
/// It limits by itself how long a check takes and how many run at once: only logins with a name that earlier sources do
/// not know wait for it. Waiting ends when the future is dropped. A source that cannot answer returns an error, which
/// counts as no outcome.
#[async_trait]
pub(crate) trait PasswordSource: Send + Sync {
    /// Checks a login, and counts the outcome if the name is one of the source's.
    async fn check(&self, login: Login) -> Result<Checked>;

    /// True if it remembers by itself which passwords were right, and for how long.
    fn remembers(&self) -> bool {
        false
    }
}
