//! Whether a caller may do something to a repository, and what a refused one is told.
//!
//! A caller without a permit gets 401, whether the repository is hidden or does not exist. The repository is looked up
//! only with a permit, so that only those who may know get 404.

use db::{Age, binding};
use model::{Event, Operation, RepositoryName, Subject};
use policy::permit::{self, DeletePermit, PullPermit, PushPermit};
use policy::{Caller, Refusal, Standing};

use super::Call;
use crate::oci_error::OciError;

impl Call<'_> {
    /// How the caller stands in the project of a repository; `None` where there is no such project.
    pub(super) async fn standing(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<Standing>, OciError> {
        let project = name.project();
        Ok(binding::standing(&self.app.db, &self.caller, &project, Age::Now).await?)
    }

    /// What was true a moment ago lets a pull through; nothing but what is true now refuses one.
    pub(super) async fn may_pull(&self, name: &RepositoryName) -> Result<PullPermit, OciError> {
        let (db, project) = (&self.app.db, name.project());
        let standing = binding::standing(db, &self.caller, &project, Age::Moments).await?;
        match permit::permit_pull(&self.caller, name, standing.as_ref()) {
            Ok(permit) => Ok(permit),
            Err(_) => Box::pin(self.may_pull_now(name)).await,
        }
    }

    pub(super) async fn may_pull_now(&self, name: &RepositoryName) -> Result<PullPermit, OciError> {
        let caller = self.caller_now().await?;
        let standing = self.standing(name).await?;
        permit::permit_pull(&caller, name, standing.as_ref())
            .map_err(|refusal| self.refused(name, Operation::Pull, refusal))
    }

    /// The caller with the rights of now; where the account is gone, with those of a moment ago.
    pub(super) async fn caller_now(&self) -> Result<Caller, OciError> {
        let caller = self.app.identity.again(&self.caller).await;
        let caller = caller.map_err(|error| OciError::Identity(error, self.challenge.clone()))?;
        Ok(caller.unwrap_or_else(|| self.caller.clone()))
    }

    pub(super) async fn may_push(&self, name: &RepositoryName) -> Result<PushPermit, OciError> {
        let standing = self.standing(name).await?;
        permit::permit_push(&self.caller, name, standing.as_ref())
            .map_err(|refusal| self.refused(name, Operation::Push, refusal))
    }

    pub(super) async fn may_delete(&self, name: &RepositoryName) -> Result<DeletePermit, OciError> {
        let standing = self.standing(name).await?;
        permit::permit_delete(&self.caller, name, standing.as_ref())
            .map_err(|refusal| self.refused(name, Operation::Delete, refusal))
    }

    /// The answer to a refusal, which is recorded in the history if someone is signed in.
    fn refused(
        &self,
        repository: &RepositoryName,
        operation: Operation,
        refusal: Refusal,
    ) -> OciError {
        if self.caller.is_signed_in() {
            let subject = Subject::Repository {
                project: None,
                name: repository.clone(),
            };
            let now = self.app.clock.now();
            let event = Event::new(now, self.caller.origin(), operation, subject).refused();
            let event = event.with_detail(refusal.to_string());
            self.app.audit.record_refusal(operation.name(), event);
        }
        self.challenged(Some(repository), operation.name())
    }

    /// The answer that asks for other credentials.
    pub(super) fn challenged(
        &self,
        repository: Option<&RepositoryName>,
        action: &'static str,
    ) -> OciError {
        OciError::Refused {
            challenge: self.challenge.clone().refused(self.caller.presented),
            repository: repository.map(ToString::to_string),
            action,
        }
    }
}
