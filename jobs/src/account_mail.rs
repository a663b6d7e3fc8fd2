//! Writes mails about accounts, with their links, and sends them. Each attempt makes a new link, which is revoked if
//! its mail was not sent, so that no unsent link stays valid.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use db::Db;
use model::{AccountMail, Client, Clock, MailLanguage};
use outgoing::Guard;
use tenancy::mailed_link::{self, NewLink};
use tenancy::setting::Settings;

use crate::engine::{Context, Job, Outcome, Retry};
use crate::mail::{self, Mail, MailError};
use crate::{Error, Result};

/// The result of a job that sent nothing.
const NOBODY_WAITS: &str = "no account waits for a mail";

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
    // People wait for a mail only for minutes.
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
        match order {
            AccountMail::Verification { user, language } => {
                let link = mailed_link::to_verify(&self.db, user, now).await?;
                let Some(link) = link else {
                    return Ok(NOBODY_WAITS);
                };
                let mail = verification(&url, &link, language);
                self.send_links(&[link], &mail).await?;
            }
            AccountMail::AddressChanged {
                email,
                account,
                language,
            } => {
                let mail = address_changed(&url, (email, &account), language);
                mail::send(&self.db, (&self.settings, &self.guard), &mail).await?;
            }
            AccountMail::Reset {
                email,
                asked_from,
                language,
            } => {
                let links = mailed_link::to_reset(&self.db, email, now).await?;
                if links.is_empty() {
                    return Ok(NOBODY_WAITS);
                }
                self.send_resets(&url, by_address(links), (asked_from, language))
                    .await?;
            }
        }
        Ok("sent")
    }

    /// Sends one mail to each address, as spelled in the accounts. If one is not sent, the links of the others still
    /// work.
    async fn send_resets(
        &self,
        url: &str,
        links: Vec<Vec<NewLink>>,
        (asked_from, language): (Option<IpAddr>, MailLanguage),
    ) -> Result<()> {
        let mut unsent = None;
        for links in links {
            let Some(mail) = reset(url, &links, language) else {
                continue;
            };
            match self.send_links(&links, &mail).await {
                Ok(()) => {
                    let now = self.db.now(&*self.clock).await?;
                    let keeps = self.settings.current().audit_log_clients;
                    let asked_from = Client::at(asked_from.filter(|_| keeps));
                    mailed_link::record_mailed(&self.db, &links, asked_from, now).await?;
                }
                Err(error) => unsent = Some(error),
            }
        }
        unsent.map_or(Ok(()), Err)
    }

    /// Sends a mail with links, which are revoked if it is not sent.
    async fn send_links(&self, links: &[NewLink], mail: &Mail) -> Result<()> {
        let sent = mail::send(&self.db, (&self.settings, &self.guard), mail).await;
        if sent.is_err() {
            mailed_link::take_back(&self.db, links).await?;
        }
        sent
    }
}

/// Links by the address that they go to: one that differs only in letter case may be somebody else's (RFC 5321, section
/// 2.4).
fn by_address(links: Vec<NewLink>) -> Vec<Vec<NewLink>> {
    let mut all: Vec<Vec<NewLink>> = Vec::new();
    for link in links {
        let is_same = |known: &&mut Vec<NewLink>| known[0].email == link.email;
        match all.iter_mut().find(is_same) {
            Some(known) => known.push(link),
            None => all.push(vec![link]),
        }
    }
    all
}

/// The mail that verifies an address. It contains nothing that the person chose: it may go to somebody else.
fn verification(url: &str, link: &NewLink, language: MailLanguage) -> Mail {
    let host = url.trim_start_matches("https://");
    let link_text = format!("{url}/ui/verify#{}", link.token.expose());
    let subject = match language {
        MailLanguage::English => format!("Verify your mail address for {host}"),
        MailLanguage::Chinese => format!("请验证您在 {host} 的邮箱地址"),
    };
    let text = match (language, link.is_new) {
        (MailLanguage::English, true) => format!(
            "Somebody, probably you, made an account at {url} with this mail address.\n\
             Open this link within 24 hours, then you can sign in:\n\n\
             {link_text}\n\n\
             If it was not you, do nothing: the account is then removed.\n"
        ),
        (MailLanguage::Chinese, true) => format!(
            "有人（可能是您）在 {url} 用此邮箱地址注册了账号。\n\
             请在 24 小时内打开以下链接，之后即可登录：\n\n\
             {link_text}\n\n\
             如果不是您本人操作，请忽略此邮件：该账号届时会被删除。\n"
        ),
        (MailLanguage::English, false) => format!(
            "Somebody, probably you, gave an account at {url} this mail address.\n\
             Open this link within 24 hours and type the password of the account:\n\n\
             {link_text}\n\n\
             Until then, links for a new password do not come here.\n\
             If it was not you, do nothing.\n"
        ),
        (MailLanguage::Chinese, false) => format!(
            "有人（可能是您）在 {url} 为一个账号设置了此邮箱地址。\n\
             请在 24 小时内打开以下链接，并输入该账号的密码：\n\n\
             {link_text}\n\n\
             在此之前，重设密码的链接不会发送到此地址。\n\
             如果不是您本人操作，请忽略此邮件。\n"
        ),
    };
    Mail {
        to: link.email.clone(),
        subject,
        text,
    }
}

/// The mail to the previous verified address of an account that got another one.
fn address_changed(url: &str, (to, account): (String, &str), language: MailLanguage) -> Mail {
    let host = url.trim_start_matches("https://");
    let (subject, text) = match language {
        MailLanguage::English => (
            format!("Another mail address at {host}"),
            format!(
                "Somebody, probably you, gave this account at {url} another mail address:\n\n\
                 {account}\n\n\
                 If it was not you, set a new password now, and tell a system administrator.\n"
            ),
        ),
        MailLanguage::Chinese => (
            format!("{host} 的邮箱地址已更改"),
            format!(
                "有人（可能是您）在 {url} 更改了以下账号的邮箱地址：\n\n\
                 {account}\n\n\
                 如果不是您本人操作，请立即重设密码，并告知系统管理员。\n"
            ),
        ),
    };
    Mail { to, subject, text }
}

/// The mail for setting a new password, for each of the accounts with the address; `None` for no account.
fn reset(url: &str, links: &[NewLink], language: MailLanguage) -> Option<Mail> {
    let first = links.first()?;
    let host = url.trim_start_matches("https://");
    let lines = links.iter().map(|link| {
        let token = link.token.expose();
        match link.account() {
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
