//! The account at the server: made once, and kept sealed in the database.

use instant_acme::{Account, AccountCredentials, Error, ExternalAccountKey, NewAccount};

use super::client::Client;
use super::failure::{Failure, Reason};
use super::{Acme, Stop};

/// What the credentials are sealed for.
const SEAL: &str = "acme account";

impl Acme {
    fn client(&self) -> Result<Client, Stop> {
        let client = Client::new(self.guard.clone(), self.terms.authorities.as_deref());
        client.map_err(|error| {
            let message = format!("[acme] ca_file: {error}");
            Failure::new(Reason::Unreachable, message).into()
        })
    }

    /// The account, which is made if there is none.
    pub(super) async fn account(&self) -> Result<Account, Stop> {
        let directory = &self.terms.directory;
        let sealed = db::acme::account(&mut self.db.reader().await?, directory).await?;
        let Some(sealed) = sealed else {
            return self.new_account().await;
        };
        let opened = self.master.open(SEAL, &sealed, directory.as_bytes());
        let credentials = opened
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let Some(credentials) = credentials else {
            // Sealed by a master key that was lost.
            return self.new_account().await;
        };
        let builder = Account::builder_with_http(Box::new(self.client()?));
        let account = builder.from_credentials(credentials).await;
        account.map_err(|error| Failure::of("read the server's directory", &error).into())
    }

    /// Makes an account, and stores it.
    pub(super) async fn new_account(&self) -> Result<Account, Stop> {
        let terms = &self.terms;
        let contact: Vec<String> = terms
            .contact
            .iter()
            .map(|mail| format!("mailto:{mail}"))
            .collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let binding = terms.binding.as_ref();
        let binding = binding.map(|(id, key)| ExternalAccountKey::new(id.clone(), key));
        let builder = Account::builder_with_http(Box::new(self.client()?));
        let made = builder
            .create(&new, terms.directory.clone(), binding.as_ref())
            .await;
        let (account, credentials) = made.map_err(|error| made_none(&error))?;
        self.keep(&credentials).await?;
        tracing::info!(acme.account = account.id(), "an ACME account was made");
        Ok(account)
    }

    async fn keep(&self, credentials: &AccountCredentials) -> Result<(), Stop> {
        let text = serde_json::to_vec(credentials);
        let text = zeroize::Zeroizing::new(text.map_err(|error| {
            Failure::new(
                Reason::Account,
                format!("the account cannot be stored: {error}"),
            )
        })?);
        let directory = self.terms.directory.clone();
        let sealed = self.master.seal(SEAL, &text, directory.as_bytes());
        let sealed = sealed.map_err(|error| crate::Error::Tenancy(error.into()))?;
        let now = self.clock.now();
        let kept = self.db.write(move |tx| {
            Box::pin(async move { db::acme::put_account(tx, &directory, &sealed, now).await })
        });
        Ok(kept.await?)
    }
}

fn made_none(error: &Error) -> Failure {
    let failure = Failure::of("make an account", error);
    match error {
        Error::Api(problem) if is_unbound(problem) => Failure::new(
            Reason::Account,
            format!(
                "{}: set [acme] eab_key_id and eab_hmac_key_file to what the authority gave you",
                failure.message
            ),
        ),
        _ => failure,
    }
}

fn is_unbound(problem: &instant_acme::Problem) -> bool {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.ends_with(":externalAccountRequired")
}

/// True if the server does not know the account at all, as after it lost its data: a new one does no harm.
pub(super) fn is_unknown(error: &Error) -> bool {
    let Error::Api(problem) = error else {
        return false;
    };
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.ends_with(":accountDoesNotExist")
}
