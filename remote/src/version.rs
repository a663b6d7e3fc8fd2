//! Versions of tags at another Gantry, and where what is pushed there goes on.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use model::replication::TagState;
use model::{Digest, InstallationId, Tag, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::encoded;
use crate::bounds::Bounds;
use crate::client::{Answer, Ask};
use crate::harbor::{in_path, project_of};
use crate::{Error, Remote, Result};

/// An installation of Gantry, and with whom it exchanges a repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RemoteSite {
    /// Which one it is.
    pub origin: InstallationId,
    /// Its time, in microseconds since 1970.
    pub time: i64,
    /// The installations to which what is pushed there goes on, with the number of copies on the way.
    #[serde(default)]
    pub reaches: BTreeMap<String, u32>,
    /// The installations from which it pulls the repository.
    #[serde(default)]
    pub pulls_from: Vec<InstallationId>,
}

/// What came of a version that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The tag is that now.
    Taken,
    /// It was that already.
    Same,
    /// The tag is still this, which is later.
    Kept(TagState),
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    name: String,
    digest: Option<String>,
    time: i64,
    origin: InstallationId,
}

impl State {
    /// `None` where it names a digest that is none.
    fn read(&self) -> Option<TagState> {
        let digest = match &self.digest {
            Some(text) => Some(text.parse::<Digest>().ok()?),
            None => None,
        };
        Some(TagState {
            digest,
            at: Timestamp(self.time),
            origin: self.origin,
        })
    }
}

#[derive(Deserialize)]
struct Outcome {
    outcome: String,
    state: Option<State>,
}

fn of_repository(repository: &str) -> String {
    format!(
        "/api/ext/v1/projects/{}/repositories/{}",
        encoded(project_of(repository)),
        in_path(repository)
    )
}

impl Remote {
    /// Which Gantry it is; `None` where it is none.
    ///
    /// # Errors
    /// [`crate::Error`]; [`crate::Error::Denied`] where the account may not ask that.
    pub async fn site(&self, repository: &str) -> Result<Option<RemoteSite>> {
        let what = "say which Gantry it is, and where it copies to";
        let at = format!(
            "/api/ext/v1/replication/site?repository={}",
            encoded(repository)
        );
        let found = self.found(extension(Method::GET, at, what)).await?;
        // Harbor answers paths that it does not know with its page.
        Ok(found.and_then(|answer| serde_json::from_slice(&answer.body).ok()))
    }

    /// What the tags of a repository are, those that were deleted included; none where there is no such repository.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn tag_states(&self, repository: &str) -> Result<Vec<(Tag, TagState)>> {
        let what = format!("say which versions the tags of {repository} have");
        let (mut all, mut bounds): (Vec<(Tag, TagState)>, _) = (Vec::new(), Bounds::LIST);
        let mut after = String::new();
        loop {
            let path = of_repository(repository);
            let at = format!("{path}/tag-versions?after={}", encoded(&after));
            let answer = match self.found(extension(Method::GET, at, &what)).await {
                Ok(Some(answer)) => answer,
                // Whoever may not see a project is told the same as where there is none.
                Ok(None) | Err(Error::Denied { .. }) => return Ok(all),
                Err(error) => return Err(error),
            };
            let page: Vec<State> = self.read(&answer, &what)?;
            self.bounded(&mut bounds, (page.len(), answer.body.len()), &what)?;
            let Some(last) = page.last() else {
                return Ok(all);
            };
            if last.name <= after {
                return Err(self.protocol(&what, "its list does not go on".to_owned()));
            }
            after.clone_from(&last.name);
            let states = page.iter();
            all.extend(states.filter_map(|it| Some((it.name.parse().ok()?, it.read()?))));
        }
    }

    /// Sends a version of a tag, whose manifest is there by its digest; or its deletion.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn send_state(
        &self,
        (repository, tag): (&str, &Tag),
        state: &TagState,
    ) -> Result<Sent> {
        let (part, what) = match state.digest {
            Some(_) => ("version", format!("set the tag {repository}:{tag}")),
            None => ("deletion", format!("delete the tag {repository}:{tag}")),
        };
        let at = format!("{}/tags/{tag}/{part}", of_repository(repository));
        let mut body = json!({"time": state.at.0, "origin": state.origin});
        if let Some(digest) = state.digest {
            body["digest"] = Value::String(digest.to_string());
        }
        let ask = extension(Method::PUT, at, &what)
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()));
        let answer = self.ask(ask).await?;
        // What is to be deleted is not there, nor its project.
        if answer.status == StatusCode::NOT_FOUND && state.digest.is_none() {
            return Ok(Sent::Same);
        }
        let answer = self.success(answer, &what)?;
        let outcome: Outcome = self.read(&answer, &what)?;
        let kept = outcome.state.as_ref().and_then(State::read);
        match (outcome.outcome.as_str(), kept) {
            ("taken", _) => Ok(Sent::Taken),
            ("same", _) => Ok(Sent::Same),
            ("kept", Some(kept)) => Ok(Sent::Kept(kept)),
            (other, _) => Err(self.protocol(&what, format!("its outcome is {other:?}"))),
        }
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer, what: &str) -> Result<T> {
        serde_json::from_slice(&answer.body).map_err(|error| self.protocol(what, error.to_string()))
    }
}

/// A request to what Gantry serves beside Harbor's API.
fn extension(method: Method, at: String, what: &str) -> Ask<'_> {
    let mut ask = Ask::new(method, at, what);
    ask.is_api = true;
    ask
}
