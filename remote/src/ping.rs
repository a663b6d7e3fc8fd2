//! Whether a registry can be used.

use http::{Method, StatusCode};

use crate::challenge::Challenge;
use crate::client::Ask;
use crate::{Error, Remote, Result};

impl Remote {
    /// Tries the registry out: whether it is one, of the kind that it is said to be, and whether it takes the credentials.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub async fn ping(&self) -> Result<()> {
        if self.kind().has_projects() {
            self.ping_api().await?;
        }
        let status = self.discover().await?;
        let has_credentials = self.0.authorization.has_credentials();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !has_credentials => return Ok(()),
            StatusCode::UNAUTHORIZED => {}
            status if status.is_success() && !has_credentials => return Ok(()),
            status if status.is_success() => {}
            _ => return Err(self.no_registry(status)),
        }
        let wants = self.0.authorization.challenge();
        if status == StatusCode::UNAUTHORIZED && wants == Some(Challenge::Nothing) {
            let problem = "it wants neither a password nor a token, and lets nobody in";
            return Err(self.protocol("let anybody in", problem.to_owned()));
        }
        let what = "let the account in";
        let answer = self.ask(Ask::new(Method::GET, "/v2/", what)).await?;
        self.success(answer, what).map(drop)
    }

    async fn ping_api(&self) -> Result<()> {
        let ask = Ask::new(
            Method::GET,
            "/api/version",
            "say which version of Harbor's API it has",
        );
        let answer = self.ask(ask).await?;
        let is_json = serde_json::from_slice::<serde_json::Value>(&answer.body)
            .is_ok_and(|version| version.get("version").is_some());
        match answer.status.is_success() && is_json {
            true => Ok(()),
            false if answer.status.is_server_error() => Err(self.no_registry(answer.status)),
            false => Err(Error::Protocol {
                host: self.host().to_owned(),
                what: "say which version of Harbor's API it has".to_owned(),
                problem: "it is no Harbor and no Gantry: use the type docker-registry".to_owned(),
            }),
        }
    }

    fn no_registry(&self, status: StatusCode) -> Error {
        let problem = format!("GET /v2/ is answered with {}", status.as_u16());
        self.protocol("say that it is a registry", problem)
    }
}
