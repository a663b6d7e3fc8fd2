//! One order, from its beginning or from where a crash left it, to the certificate.

use std::time::Duration;

use certs::{ServerCertificate, SubjectName};
use db::acme::Order;
use db::job_log::Level;
use instant_acme::{
    Account, AuthorizationStatus, Error, Identifier, NewOrder, Order as AcmeOrder, OrderStatus,
    Problem, RetryPolicy,
};
use zeroize::Zeroizing;

use super::failure::{Failure, Reason};
use super::proof::{Question, kind};
use super::{Acme, Stop, account, renewal};
use crate::engine::Context;

/// What the key of an order is sealed for.
const SEAL: &str = "acme order";
const CONTEXT: &[u8] = b"key";

/// How long the server may take for a step.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(180));

impl Acme {
    /// Obtains a certificate, and stores it.
    pub(super) async fn obtain(
        &self,
        order: &mut Order,
        present: Option<&ServerCertificate>,
        context: &mut Context,
    ) -> Result<String, Stop> {
        let mut account = self.account().await?;
        let taken_up = match self.taken_up(&account, order).await? {
            Some(taken_up) => Some(taken_up),
            None => match self.ordered(&account, order, present, context).await {
                Err(Stopped::Unknown) => {
                    // The server has lost it: another one does no harm.
                    account = self.new_account().await?;
                    None
                }
                Err(Stopped::Other(stop)) => return Err(stop),
                Ok(ordered) => Some(ordered),
            },
        };
        let (mut server, key) = match taken_up {
            Some(taken_up) => taken_up,
            None => match self.ordered(&account, order, present, context).await {
                Ok(ordered) => ordered,
                Err(Stopped::Other(stop)) => return Err(stop),
                Err(Stopped::Unknown) => {
                    let message = "the server does not know the account that it has just made";
                    return Err(Failure::new(Reason::Account, message).into());
                }
            },
        };
        if server.state().status == OrderStatus::Pending {
            context.progress("proving the names");
            self.authorize(&mut server).await?;
        }
        if server.state().status == OrderStatus::Ready {
            let request = certs::request(&self.terms.names, &key).map_err(unusable)?;
            let finalized = server.finalize_csr(&request).await;
            finalized.map_err(|error| Failure::of("request the certificate", &error))?;
        }
        context.progress("waiting for the certificate");
        let chain = server.poll_certificate(&PATIENCE).await;
        let chain = chain.map_err(|error| Failure::of("get the certificate", &error))?;
        self.accept(order, chain, &key).await
    }

    /// The order that was being worked on, with its key; `None` if there is none that can lead to a certificate.
    async fn taken_up(
        &self,
        account: &Account,
        order: &mut Order,
    ) -> Result<Option<(AcmeOrder, Zeroizing<String>)>, Stop> {
        let (Some(url), Some(sealed)) = (&order.url, &order.key) else {
            return Ok(None);
        };
        let key = self.master.open(SEAL, sealed, CONTEXT).ok();
        let key = key.and_then(|key| String::from_utf8(key.to_vec()).ok());
        let found = match (key, account.order(url.clone()).await) {
            (Some(key), Ok(found)) => Some((found, Zeroizing::new(key))),
            // It has expired, or belongs to an account that is gone.
            (_, Err(Error::Api(problem))) if !is_busy(&problem) => None,
            (_, Err(error)) => return Err(Failure::of("read the order", &error).into()),
            (None, _) => None,
        };
        let found = found.and_then(|(mut found, key)| {
            let is_over = found.state().status == OrderStatus::Invalid;
            (!is_over).then_some((found, key))
        });
        if found.is_none() {
            (order.url, order.key) = (None, None);
        }
        Ok(found)
    }

    /// A new order, stored with its key before anything else is done with it.
    async fn ordered(
        &self,
        account: &Account,
        order: &mut Order,
        present: Option<&ServerCertificate>,
        context: &mut Context,
    ) -> Result<(AcmeOrder, Zeroizing<String>), Stopped> {
        let identifiers: Vec<Identifier> = self.terms.names.iter().map(identifier).collect();
        let mut new = NewOrder::new(&identifiers);
        if let Some(profile) = &self.terms.profile {
            new = new.profile(profile);
        }
        let replaced = present.and_then(|present| present.certificates().first());
        let made = match replaced.and_then(renewal::identifier) {
            Some(id) => {
                let replacing = NewOrder::new(&identifiers).replaces(id);
                let replacing = match &self.terms.profile {
                    Some(profile) => replacing.profile(profile),
                    None => replacing,
                };
                match account.new_order(&replacing).await {
                    Err(error) if may_be_for_replacing(&error) => {
                        let text = "ordered without naming the certificate that it replaces";
                        context.log(Level::Info, format!("{text}: {error}"));
                        tracing::info!(%error, "{text}");
                        account.new_order(&new).await
                    }
                    made => made,
                }
            }
            None => account.new_order(&new).await,
        };
        let made = made.map_err(|error| match account::is_unknown(&error) {
            true => Stopped::Unknown,
            false => Stopped::Other(refused(&error).into()),
        })?;
        let key = certs::new_key().map_err(unusable)?;
        let sealed = self.master.seal(SEAL, key.as_bytes(), CONTEXT);
        let sealed = sealed.map_err(|error| crate::Error::Tenancy(error.into()))?;
        (order.url, order.key) = (Some(made.url().to_owned()), Some(sealed));
        self.save(order).await?;
        tracing::info!(acme.order = made.url(), "a certificate was ordered by ACME");
        Ok((made, key))
    }

    /// Proves all names of an order that are not proved yet, and waits for the server's verdict.
    async fn authorize(&self, server: &mut AcmeOrder) -> Result<(), Stop> {
        let url = server.url().to_owned();
        let mut authorizations = server.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization =
                authorization.map_err(|error| Failure::of("read what has to be proved", &error))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = plain(authorization.identifier().identifier);
            let offered = authorization.challenges.iter();
            let offered: Vec<String> = offered.map(|offer| format!("{:?}", offer.r#type)).collect();
            let Some(mut challenge) = authorization.challenge(kind(self.terms.challenge)) else {
                let message = format!(
                    "the server does not offer this [acme] challenge for {name}, but {}",
                    offered.join(", ")
                );
                return Err(Failure::new(Reason::Rejected, message).into());
            };
            let question = Question {
                name: &name,
                token: &challenge.token.clone(),
                answer: challenge.key_authorization(),
            };
            self.prove(&question).await?;
            let ready = challenge.set_ready().await;
            ready.map_err(|error| match &error {
                Error::Api(problem) if !is_busy(problem) => {
                    Failure::validation(&name, Some(problem))
                }
                error => Failure::of("have a name verified", error),
            })?;
        }
        match server.poll_ready(&PATIENCE).await {
            Ok(OrderStatus::Ready) => {
                self.clear_proofs().await?;
                Ok(())
            }
            Ok(_) => Err(self.verdict(&url).await.into()),
            Err(Error::Api(problem)) if !is_busy(&problem) => {
                let verdict = self.verdict(&url).await;
                Err(match verdict.reason {
                    Reason::Validation => verdict,
                    _ => Failure::of("have the names verified", &Error::Api(problem)),
                }
                .into())
            }
            Err(error) => Err(Failure::of("have the names verified", &error).into()),
        }
    }

    /// Why the server ended an order: the problem of the first name that has one.
    async fn verdict(&self, url: &str) -> Failure {
        let ended = |error: &Error| Failure::of("learn why the order ended", error);
        let account = match self.account().await {
            Ok(account) => account,
            Err(_) => return Failure::validation("the names", None),
        };
        let mut order = match account.order(url.to_owned()).await {
            Ok(order) => order,
            Err(error) => return ended(&error),
        };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let authorization = match authorization {
                Ok(authorization) => authorization,
                Err(error) => return ended(&error),
            };
            let name = plain(authorization.identifier().identifier);
            let mut problems = authorization
                .challenges
                .iter()
                .filter_map(|tried| tried.error.as_ref());
            if let Some(problem) = problems.next() {
                return Failure::validation(&name, Some(problem));
            }
            if authorization.status != AuthorizationStatus::Valid {
                return Failure::validation(&name, None);
            }
        }
        Failure::validation("the names", order.state().error.as_ref())
    }

    /// Checks what the server issued, and stores it.
    async fn accept(&self, order: &mut Order, chain: String, key: &str) -> Result<String, Stop> {
        let certificate = ServerCertificate::from_pem(&chain, key).map_err(unusable)?;
        let names = &self.terms.names;
        let lacking = names.iter().filter(|name| !certificate.covers(name));
        let lacking: Vec<String> = lacking.map(ToString::to_string).collect();
        if !lacking.is_empty() {
            let message = format!(
                "the certificate that was issued lacks {}",
                lacking.join(", ")
            );
            return Err(Failure::new(Reason::Rejected, message).into());
        }
        self.store(chain, key).await?;
        let (now, end) = (self.clock.now().date_time(), certificate.not_after());
        tracing::info!(
            certificate.serial = certificate.serial(),
            certificate.not_after = %end,
            "a certificate was obtained by ACME"
        );
        (order.url, order.key, order.info_at) = (None, None, None);
        let renew_at = renewal::by_lifetime(&certificate);
        (order.renew_at, order.obtained) = (Some(renew_at), Some(self.terms.issued_by()));
        if renew_at.date_time() <= now || now < certificate.not_before() {
            let message = format!(
                "the certificate that was issued is valid from {} to {end}, which does not fit the time here, {now}: is the clock right?",
                certificate.not_before()
            );
            return Err(Failure::new(Reason::Clock, message).into());
        }
        self.valid(order, renew_at).await?;
        Ok(format!("obtained a certificate until {end}"))
    }
}

/// Why an order was not made.
enum Stopped {
    /// The server does not know the account.
    Unknown,
    Other(Stop),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Other(failure.into())
    }
}

impl From<crate::Error> for Stopped {
    fn from(error: crate::Error) -> Self {
        Self::Other(error.into())
    }
}

/// A server refuses to replace a certificate of another account, one that was replaced, and one that it does not know;
/// not all say so in a way of their own, and some call it an error of theirs. Anything that is not about limits or the
/// account may be meant.
fn may_be_for_replacing(error: &Error) -> bool {
    match error {
        Error::Unsupported(_) => true,
        // The library compares what the server repeats.
        Error::Other(cause) => cause.to_string().contains("replaces"),
        Error::Api(problem) => !is_limit(problem) && !account::is_unknown(error),
        _ => false,
    }
}

/// True if the server limits us.
fn is_limit(problem: &Problem) -> bool {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.ends_with(":rateLimited") || problem.status == Some(429)
}

/// True if the server may answer the same request otherwise a little later.
fn is_busy(problem: &Problem) -> bool {
    is_limit(problem) || problem.status.is_some_and(|status| status >= 500)
}

/// The failure of an order that the server refuses.
fn refused(error: &Error) -> Failure {
    let failure = Failure::of("order a certificate", error);
    if failure.reason != Reason::Account {
        return failure;
    }
    let message = format!(
        "{}. If the account was deactivated or revoked, `gantry cert issue --new-account` makes another one",
        failure.message
    );
    Failure::new(Reason::Account, message)
}

fn unusable(error: certs::Error) -> Failure {
    Failure::new(Reason::Server, crate::failures::causes(&error))
}

fn identifier(name: &SubjectName) -> Identifier {
    match name {
        SubjectName::Dns(name) => Identifier::Dns(name.clone()),
        SubjectName::Address(address) => Identifier::Ip(*address),
    }
}

/// The name of an identifier, as certificates write it.
fn plain(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns(name) => name.clone(),
        Identifier::Ip(address) => address.to_string(),
        other => format!("{other:?}"),
    }
}
