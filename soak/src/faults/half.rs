//! An upload whose second half fails, and which then goes on where the server says.

use testkit::content::Blob;
use testkit::meter::wait;

use super::seen::Seen;
use super::stage::{MEDIUM, Stage};

/// An upload that the server has half of.
pub(super) struct Half {
    content: Blob,
    location: String,
}

impl<A> Stage<A> {
    pub(super) fn first_half(&mut self) -> Result<Half, String> {
        let content = Blob::random(MEDIUM);
        let begun = self.client.begin()?;
        let location = begun.map_err(|seen| format!("an upload does not begin: {seen}"))?;
        let sent = self.client.patch(&location, &content, 0, MEDIUM / 2)?;
        let location = sent.map_err(|seen| format!("the first half: {seen}"))?;
        Ok(Half { content, location })
    }

    pub(super) fn second_half(&mut self, half: &Half) -> Result<Seen, String> {
        let (from, length) = (MEDIUM / 2, MEDIUM / 2);
        let sent = self
            .client
            .patch(&half.location, &half.content, from, length)?;
        Ok(sent.err().unwrap_or(Seen::Done(202)))
    }

    /// Sends what the server says that it lacks, and ends the upload.
    pub(super) fn go_on(&mut self, half: Half) -> Result<(), String> {
        let Half { content, location } = half;
        let at = self.client.received(&location)?;
        let sent = self
            .client
            .patch(&location, &content, at, content.size - at)?;
        let location = sent.map_err(|seen| format!("the upload does not go on at {at}: {seen}"))?;
        let seen = wait(self.client.finish(&location, &content, None));
        match self.pushed(content, seen)? {
            Seen::Done(_) => Ok(()),
            seen => Err(format!("the upload does not end: {seen}")),
        }
    }
}
