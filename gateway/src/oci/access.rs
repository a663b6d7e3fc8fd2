//! Whether a caller may do something to a repository, and the answer to a refused one.
//!
//! A caller without a permit gets 401, whether the repository is hidden or does not exist. The repository is looked up
//! only with a permit, so that only callers who may know get 404.

use std::time::{Duration, Instant};

use db::{Age, binding};
use futures_util::{StreamExt as _, future, stream};
use model::event::BY_QUOTA;
use model::{Event, Operation, RepositoryName, Subject};
use policy::permit::{self, DeletePermit, PullPermit, PushPermit};
use policy::{Caller, Refusal, Standing};
use registry::BodyError;

use super::Call;
use crate::app::App;
use crate::oci_error::OciError;

/// How old rights may be when they are used.
const MOMENT: Duration = Duration::from_secs(1);

/// Whether a caller may push, by current rights.
async fn renewed(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
) -> Result<Result<PushPermit, Refusal>, auth::Error> {
    let Some(caller) = app.identity.again(caller).await? else {
        return Ok(Err(Refusal::NotSignedIn));
    };
    let project = repository.project();
    let standing = binding::standing(&app.db, &caller, &project, Age::Now).await?;
    Ok(permit::permit_push(&caller, repository, standing.as_ref()))
}

impl Call<'_> {
    /// The caller's standing in a repository's project; `None` if there is no such project.
    pub(super) async fn standing(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<Standing>, OciError> {
        let project = name.project();
        Ok(binding::standing(&self.app.db, &self.caller, &project, Age::Now).await?)
    }

    /// Slightly old rights are enough to allow a pull; only current rights refuse one.
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

    /// The caller with current rights; if the account is gone, with the previous ones.
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

    /// The permit by current rights, after reading a body if `began` was long ago: how long a body takes is up to the
    /// client.
    pub(super) async fn may_push_now(
        &self,
        permit: PushPermit,
        began: Instant,
    ) -> Result<PushPermit, OciError> {
        if began.elapsed() < MOMENT {
            return Ok(permit);
        }
        self.refuse_writing()?;
        let renewed = renewed(self.app, &self.caller, permit.repository()).await;
        let renewed = renewed.map_err(|error| OciError::Identity(error, self.challenge.clone()))?;
        renewed.map_err(|refusal| self.refused(permit.repository(), Operation::Push, refusal))
    }

    /// The body of an upload. It fails at its end if its sender has lost the right to push meanwhile, or writing is no
    /// longer allowed.
    pub(super) fn while_permitted(
        &self,
        repository: &RepositoryName,
        body: registry::Body,
    ) -> registry::Body {
        let (app, caller) = (self.app.clone(), self.caller.clone());
        let (repository, began) = (repository.clone(), Instant::now());
        let end = async move {
            if began.elapsed() < MOMENT {
                return None;
            }
            if app.settings.current().read_only {
                return Some(Err(BodyError::ReadOnly));
            }
            match renewed(&app, &caller, &repository).await {
                Ok(Ok(_)) => None,
                Ok(Err(_)) => Some(Err(BodyError::Refused)),
                Err(_) => Some(Err(BodyError::Unsure)),
            }
        };
        Box::pin(body.chain(stream::once(end).filter_map(future::ready)))
    }

    pub(super) async fn may_delete(&self, name: &RepositoryName) -> Result<DeletePermit, OciError> {
        let standing = self.standing(name).await?;
        permit::permit_delete(&self.caller, name, standing.as_ref())
            .map_err(|refusal| self.refused(name, Operation::Delete, refusal))
    }

    /// The answer to a refused caller. The refusal is recorded in the audit log if someone is signed in.
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

    /// Records a push that was refused because of the project's quota.
    pub(super) async fn record_over_quota(&self, repository: &RepositoryName, why: &str) {
        // The project is cached, as the push has just looked at it.
        let Ok(Some(standing)) = self.standing(repository).await else {
            return;
        };
        let subject = Subject::Repository {
            project: Some(standing.project.id),
            name: repository.clone(),
        };
        let (now, origin) = (self.app.clock.now(), self.caller.origin());
        let event = Event::new(now, origin, Operation::Push, subject).refused();
        let event = event.with_detail(format!("{BY_QUOTA}{why}"));
        let kind = format!("quota {}", standing.project.id);
        self.app.audit.record_refusal(&kind, event);
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
