//! Writes mails about accounts, with the links that they hold, and sends them. A link is made anew for each try, and taken
//! back where its mail was not sent, so that there is none that nobody has.

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use model::{AccountMail, Clock, MailLanguage};
use outgoing::Guard;
use tenancy::mailed_link::{self, NewLink};
use tenancy::setting::Settings;

use crate::engine::{Context, Job, Outcome, Retry};
use crate::mail::{self, Mail, MailError};
use crate::{Error, Result};

/// Sends mails about accounts.
pub(crate) struct AccountMails {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// How mails are sent, and where links lead.
    pub(crate) settings: Arc<Settings>,
    /// Where mails may go.
    pub(crate) guard: Arc<Guard>,
}

impl Job for AccountMails {
    const KIND: &'static str = AccountMail::JOB;
    const VERSION: i64 = AccountMail::VERSION;
    const LIMIT: i64 = 4;
    // Whoever waits for a mail looks again within minutes.
    const RETRY: Retry = Retry {
        runs: 8,
        first: Duration::from_secs(5),
        longest: Duration::from_secs(300),
    };
    type Payload = AccountMail;

    async fn run(&self, payload: AccountMail, _: &mut Context) -> Outcome {
        match self.send(payload).await {
            Ok(summary) => Outcome::Done(Some(summary.to_owned())),
            Err(
                error @ Error::Mail(MailError {
                    is_permanent: true, ..
                }),
            ) => Outcome::Hopeless(error),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl AccountMails {
    async fn send(&self, order: AccountMail) -> Result<&'static str> {
        let now = self.db.now(&*self.clock).await?;
        let url = self.settings.current().external_url.clone();
        let (links, mail) = match order {
            AccountMail::Verification { user, language } => {
                let link = mailed_link::to_verify(&self.db, user, now).await?;
                let mail = link.as_ref().map(|link| verification(&url, link, language));
                (Vec::from_iter(link), mail)
            }
            AccountMail::Reset {
                email,
                asked_from,
                language,
            } => {
                let links = mailed_link::to_reset(&self.db, (email, asked_from), now).await?;
                let mail = reset(&url, &links, language);
                (links, mail)
            }
        };
        let Some(mail) = mail else {
            return Ok("no account waits for a mail");
        };
        let sent = mail::send(&self.db, (&self.settings, &self.guard), &mail).await;
        if sent.is_err() {
            mailed_link::take_back(&self.db, &links).await?;
        }
        sent.map(|()| "sent")
    }
}

/// The mail with which somebody who registered verifies their address. It holds nothing that they chose: it may go to
/// somebody else.
fn verification(url: &str, link: &NewLink, language: MailLanguage) -> Mail {
    let host = url.trim_start_matches("https://");
    let link_text = format!("{url}/ui/verify#{}", link.token.expose());
    let (subject, text) = match language {
        MailLanguage::English => (
            format!("Verify your mail address for {host}"),
            format!(
                "Somebody, probably you, made an account at {url} with this mail address.\n\
                 Open this link within 24 hours, then you can sign in:\n\n\
                 {link_text}\n\n\
                 If it was not you, do nothing: the account is then removed.\n"
            ),
        ),
        MailLanguage::Chinese => (
            format!("请验证您在 {host} 的邮箱地址"),
            format!(
                "有人（可能是您）在 {url} 用此邮箱地址注册了账号。\n\
                 请在 24 小时内打开以下链接，之后即可登录：\n\n\
                 {link_text}\n\n\
                 如果不是您本人操作，请忽略此邮件：该账号届时会被删除。\n"
            ),
        ),
    };
    Mail {
        to: link.email.clone(),
        subject,
        text,
    }
}

/// The mail with which people set a new password, for each of the accounts that have the address; `None` for no account.
fn reset(url: &str, links: &[NewLink], language: MailLanguage) -> Option<Mail> {
    let first = links.first()?;
    let host = url.trim_start_matches("https://");
    let lines = links.iter().map(|link| {
        let token = link.token.expose();
        match &link.account {
            Some(name) => format!("{name}:\n{url}/ui/reset#{token}\n"),
            None => format!("{url}/ui/reset#{token}\n"),
        }
    });
    let lines: String = lines.collect();
    let (subject, text) = match language {
        MailLanguage::English => (
            format!("A new password for {host}"),
            format!(
                "Somebody, probably you, asked for a new password at {url}.\n\
                 Open the link within 30 minutes to set it. It works once.\n\n\
                 {lines}\n\
                 If it was not you, do nothing: the password stays as it is.\n"
            ),
        ),
        MailLanguage::Chinese => (
            format!("重设 {host} 的密码"),
            format!(
                "有人（可能是您）在 {url} 申请了重设密码。\n\
                 请在 30 分钟内打开链接设置新密码，链接只能使用一次。\n\n\
                 {lines}\n\
                 如果不是您本人操作，请忽略此邮件：密码保持不变。\n"
            ),
        ),
    };
    Some(Mail {
        to: first.email.clone(),
        subject,
        text,
    })
}
