//! All settings, one declaration each. A field of [`Values`] is what the program reads.

use std::time::Duration;

use model::StorageLimit;
use model::notification::Endpoint;
use policy::{ProjectCreation, ProjectDeletion};
use serde_json::Value;

use super::kind::{
    Certificates, Effect, Endpoints, Held as _, Kind, MailTls, Readers, SyslogProtocol, Unfit, read,
};
use super::{follower, rule};
use crate::InvalidSetting;
use crate::secret::Secret;

use Effect::{Never, Now};

/// A setting of the installation.
pub struct Declaration {
    /// Its name, which is Harbor's.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Who may read it.
    pub readers: Readers,
    /// Whether a change has an effect.
    pub effect: Effect,
    /// What it means, in a sentence or two.
    meaning: &'static str,
    get: fn(&Values) -> Value,
    put: fn(&mut Values, &Value) -> Result<(), Unfit>,
}

/// Declares settings: meaning, name, type, initial value, who may read it, effect, and rule.
macro_rules! settings {
    ($(
        $(#[doc = $meaning:literal])+
        $name:ident: $type:ty = $initial:expr, $readers:ident, $effect:expr, $rule:expr;
    )*) => {
        /// The settings at a moment.
        #[derive(Clone, Debug)]
        pub struct Values {
            $($(#[doc = $meaning])+ pub $name: $type,)*
        }

        impl Default for Values {
            fn default() -> Self {
                Self { $($name: $initial,)* }
            }
        }

        /// All settings.
        pub static DECLARED: &[Declaration] = &[$(
            Declaration {
                name: stringify!($name),
                kind: <$type as super::kind::Held>::KIND,
                readers: Readers::$readers,
                effect: $effect,
                meaning: concat!($($meaning),+),
                get: |values| values.$name.to_json(),
                put: |values, json| {
                    values.$name = read::<$type>(json, $rule)?;
                    Ok(())
                },
            },
        )*];
    };
}

const NO_HTTP_AUTH: Effect = Never("Gantry has no http_auth: let users sign in by OIDC or LDAP");
const NO_UAA: Effect = Never("Gantry has no uaa_auth: let users sign in by OIDC or LDAP");
const ALWAYS_WRITTEN: Effect = Never(
    "the audit log is always written to the database; disabled_audit_log_event_types hides types of events",
);

settings! {
    /// The source of users that user interfaces prefer: `db_auth` (this database), `ldap_auth` (a directory) or
    /// `oidc_auth` (a provider). People can always sign in by every source that is configured.
    auth_mode: String = "db_auth".to_owned(), Everyone, Now, rule::auth_mode;
    /// Whether user interfaces show the sign-in by another identity provider first.
    primary_auth_mode: bool = false, Everyone, Now, rule::any;
    /// Whether people may register accounts for themselves. Where mail is set up, they can sign in once they have
    /// opened the link that is mailed to them. While a directory is configured, nobody can register, whatever this
    /// says.
    self_registration: bool = false, Everyone, Now, rule::any;
    /// A message that user interfaces show on every page: a JSON object, as text, with `message`, `type`, `closable`,
    /// `fromDate` and `toDate`. Empty: none.
    banner_message: String = String::new(), Everyone, Now, rule::banner;

    /// Who may create projects: `everyone` who is signed in, or `adminonly`, the system administrators.
    project_creation_restriction: ProjectCreation = ProjectCreation::Everyone, SignedIn, Now, rule::any;
    /// Who may delete projects: `everyone` with the permission in the project, or `adminonly`.
    project_deletion_restriction: ProjectDeletion = ProjectDeletion::Everyone, SignedIn, Now, rule::any;
    /// Days for which a deleted project can be restored.
    project_restore_days: i64 = 30, Administrators, Now, rule::between::<0, 3_650>;
    /// Whether writing is refused, except for settings, sign-in and garbage collection.
    read_only: bool = false, SignedIn, Now, rule::any;
    /// Whether webhooks are sent.
    notification_enable: bool = true, SignedIn, Now, rule::any;

    /// Minutes for which a registry token is valid.
    token_expiration: i64 = 30, Administrators, Now, rule::between::<1, 525_600>;
    /// Minutes after which an idle session ends.
    session_timeout: i64 = 60, Administrators, Now, rule::between::<1, 525_600>;
    /// Minutes after which a session ends even if it is in use. 0: never.
    session_longest: i64 = 0, Administrators, Now, rule::between::<0, 525_600>;
    /// Prefix of the names of new robots; existing robots keep their names.
    robot_name_prefix: String = "robot$".to_owned(), Administrators, Now, rule::robot_prefix;
    /// Days for which a robot is valid, unless specified when it is created.
    robot_token_duration: i64 = 30, Administrators, Now, rule::between::<1, 36_500>;
    /// Whether new projects have `storage_per_project` as their limit.
    quota_per_project_enable: bool = true, Administrators, Now, rule::any;
    /// How many bytes a new project may hold, unless specified when it is created; -1 for no limit.
    storage_per_project: StorageLimit = StorageLimit::UNLIMITED, Administrators, Now, rule::any;

    /// `https://HOST[:PORT]` at which people reach Gantry: links in mails begin with it, and an OIDC provider redirects
    /// to it. `[server] external_url` in the configuration file fixes it. Empty: no mails are sent, and nobody signs in
    /// by OIDC.
    external_url: String = String::new(), Administrators, Now, rule::external_url;
    /// The mail server, by its name or address. Empty: no mails are sent.
    smtp_host: String = String::new(), Administrators, Now, rule::host;
    /// The mail server's port.
    smtp_port: i64 = 587, Administrators, Now, rule::between::<1, 65_535>;
    /// How the connection to the mail server is encrypted: `starttls`, `tls` from the first byte, or `none` for a
    /// server on this machine.
    smtp_tls: MailTls = MailTls::StartTls, Administrators, Now, rule::any;
    /// The only authorities that may have signed the mail server's certificate, in PEM. Empty: those of the system.
    smtp_ca: Certificates = Certificates::default(), Administrators, Now, rule::any;
    /// The user name for the mail server. Empty: no sign-in.
    smtp_user: String = String::new(), Administrators, Now, rule::any;
    /// The password of `smtp_user`.
    smtp_password: Secret = Secret::default(), Nobody, Now, rule::any;
    /// The sender of mails: `gantry@registry.example`, `Gantry <gantry@registry.example>`. Empty: no mails are sent.
    smtp_from: String = String::new(), Administrators, Now, rule::mailbox;

    /// `HOST:PORT` of a syslog server that gets a copy of the audit log. Empty: none.
    audit_log_forward_endpoint: String = String::new(), Administrators, Now, rule::host_and_port;
    /// How the syslog server is reached: `tcp`, `tls`, or `udp`, which loses entries without notice.
    audit_log_forward_protocol: SyslogProtocol = SyslogProtocol::Tcp, Administrators, Now, rule::any;
    /// `https://HOST[:PORT][/PATH]`, or `http://`, of a collector that gets a copy of the audit log by HTTP, as lines of
    /// JSON. Empty: none.
    audit_log_forward_url: String = String::new(), Administrators, Now, rule::http_url;
    /// The header field `Authorization` of requests to `audit_log_forward_url`: `Bearer TOKEN`, `Splunk TOKEN`.
    audit_log_forward_authorization: Secret = Secret::default(), Nobody, Now, rule::header_value;
    /// The only authorities that may have signed the certificates of these two, in PEM. Empty: those of the system.
    audit_log_forward_ca: Certificates = Certificates::default(), Administrators, Now, rule::any;
    /// The certificate, in PEM, that is shown to a collector that asks for one.
    audit_log_forward_client_certificate: Certificates = Certificates::default(), Administrators, Now, rule::any;
    /// The key of `audit_log_forward_client_certificate`, in PEM and without a passphrase.
    audit_log_forward_client_key: Secret = Secret::default(), Nobody, Now, rule::any;
    /// Where events of the registry are sent, in distribution's form: a JSON list, as text, of endpoints with `name`,
    /// `url`, `disabled`, `timeout`, `threshold`, `backoff`, `ignore` and `ignoredmediatypes`. Empty: nowhere.
    registry_notifications: Endpoints = Endpoints::default(), Administrators, Now, rule::any;
    /// Header fields of these requests: a JSON object, as text, by the endpoint's name:
    /// `{"ci": {"Authorization": ["Bearer TOKEN"]}}`.
    registry_notification_headers: Secret = Secret::default(), Nobody, Now, rule::notification_headers;
    /// The only authorities that may have signed the certificates of these endpoints, in PEM. Empty: those of the system.
    registry_notification_ca: Certificates = Certificates::default(), Administrators, Now, rule::any;
    /// Whether the audit log is forwarded only. Gantry refuses this.
    skip_audit_log_database: bool = false, Administrators, ALWAYS_WRITTEN, rule::any;
    /// Whether new entries of the audit log have the address and the user agent of the program.
    audit_log_clients: bool = true, Administrators, Now, rule::any;
    /// Types of events that the audit log does not show, separated by commas: `pull_artifact,login_user`.
    disabled_audit_log_event_types: String = String::new(), Administrators, Now, rule::event_types;
    /// Whether pulls by scanners, known by their user agent (Trivy), leave counts and the time of the last pull unchanged.
    scanner_skip_update_pulltime: bool = false, Administrators, Now, rule::any;

    /// `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]` of the directory. People can sign in by it once this and
    /// `ldap_base_dn` are set, whatever `auth_mode` is. Empty: none.
    ldap_url: String = String::new(), Administrators, Now, rule::ldap_url;
    /// Further addresses of the same directory, separated by spaces, for when `ldap_url` does not answer.
    ldap_fallback_urls: String = String::new(), Administrators, Now, rule::ldap_urls;
    /// Whether connections to `ldap://` addresses are encrypted by StartTLS before anything else is sent.
    ldap_starttls: bool = false, Administrators, Now, rule::any;
    /// Whether the directory's certificate is checked.
    ldap_verify_cert: bool = true, Administrators, Now, rule::any;
    /// The only authorities that may have signed the directory's certificate, in PEM. Empty: those of the system.
    ldap_ca_certificate: Certificates = Certificates::default(), Administrators, Now, rule::any;
    /// The certificate, in PEM, that is shown to a directory that asks for one.
    ldap_client_certificate: Certificates = Certificates::default(), Administrators, Now, rule::any;
    /// The key of `ldap_client_certificate`, in PEM and without a passphrase.
    ldap_client_key: Secret = Secret::default(), Nobody, Now, rule::any;
    /// Seconds to wait for an answer of the directory.
    ldap_timeout: i64 = 5, Administrators, Now, rule::between::<1, 300>;
    /// The entry that searches the directory. Empty: anonymous.
    ldap_search_dn: String = String::new(), Administrators, Now, rule::any;
    /// The password of `ldap_search_dn`.
    ldap_search_password: Secret = Secret::default(), Nobody, Now, rule::any;
    /// Where to search for users.
    ldap_base_dn: String = String::new(), Administrators, Now, rule::dn;
    /// How deep: 0 the entry alone, 1 one level, 2 the whole tree.
    ldap_scope: i64 = 2, Administrators, Now, rule::between::<0, 2>;
    /// Which entries are users.
    ldap_filter: String = String::new(), Administrators, Now, rule::ldap_filter;
    /// The attribute that is the user's name.
    ldap_uid: String = "cn".to_owned(), Administrators, Now, rule::ldap_attribute;
    /// Where to search for groups. Empty: where users are searched.
    ldap_group_base_dn: String = String::new(), Administrators, Now, rule::dn;
    /// How deep: 0 the entry alone, 1 one level, 2 the whole tree.
    ldap_group_search_scope: i64 = 2, Administrators, Now, rule::between::<0, 2>;
    /// Which entries are groups. Empty: no groups are used.
    ldap_group_search_filter: String = String::new(), Administrators, Now, rule::ldap_filter;
    /// The attribute that is the group's name. Required while `ldap_group_search_filter` is set.
    ldap_group_attribute_name: String = String::new(), Administrators, Now, rule::ldap_attribute_or_none;
    /// The attribute of a user that names the groups.
    ldap_group_membership_attribute: String = "memberof".to_owned(), Administrators, Now, rule::ldap_attribute_or_none;
    /// How to find somebody's groups: `attribute`, by `ldap_group_membership_attribute`; `search`, by the groups' own
    /// lists of members; `nested`, by Active Directory's rule, including groups in groups.
    ldap_group_lookup: String = "attribute".to_owned(), Administrators, Now, rule::group_lookup;
    /// The group whose members are system administrators.
    ldap_group_admin_dn: String = String::new(), Administrators, Now, rule::dn;
    /// Accepted for Harbor's clients, without effect: all groups are looked up at once.
    ldap_group_attach_parallel: bool = false, Administrators, Now, rule::any;
    /// Seconds until a password that the directory confirmed is checked again.
    ldap_password_secs: i64 = 600, Administrators, Now, rule::between::<0, 3_600>;
    /// Seconds after which people and their groups are read from the directory again.
    ldap_reading_secs: i64 = 300, Administrators, Now, rule::between::<1, 86_400>;
    /// Seconds for which a password that the directory confirmed is accepted while the directory does not answer.
    ldap_outage_secs: i64 = 3_600, Administrators, Now, rule::between::<0, 86_400>;

    /// What user interfaces call the OIDC provider.
    oidc_name: String = String::new(), Administrators, Now, rule::any;
    /// `https://HOST[:PORT][/PATH]` of the OIDC provider: its issuer. People can sign in by it once this,
    /// `oidc_client_id` and `external_url` are set, whatever `auth_mode` is. `http://` is for a provider on this
    /// machine. Empty: none.
    oidc_endpoint: String = String::new(), Administrators, Now, rule::provider_url;
    /// Whether the provider's certificate is checked.
    oidc_verify_cert: bool = true, Administrators, Now, rule::any;
    /// The only authorities that may have signed the provider's certificate, in PEM. Empty: those of the system.
    oidc_ca_certificate: Certificates = Certificates::default(), Administrators, Now, rule::any;
    /// Seconds to wait for an answer of the provider.
    oidc_timeout: i64 = 10, Administrators, Now, rule::between::<1, 60>;
    /// The id that the provider gave Gantry.
    oidc_client_id: String = String::new(), Administrators, Now, rule::any;
    /// The secret that belongs to `oidc_client_id`. Empty for a public client.
    oidc_client_secret: Secret = Secret::default(), Nobody, Now, rule::any;
    /// The scopes to request, separated by commas; `openid` is always included. With `offline_access`, Gantry can ask
    /// again whether people may still sign in, and which groups they are in. Empty:
    /// `openid,profile,email,offline_access`.
    oidc_scope: String = String::new(), Administrators, Now, rule::scopes;
    /// The claim that is the user's name. Empty: `name`.
    oidc_user_claim: String = String::new(), Administrators, Now, rule::any;
    /// The claim that names the user's groups. Empty: no groups are used.
    oidc_groups_claim: String = String::new(), Administrators, Now, rule::any;
    /// A regular expression for the groups to use. Empty: all.
    oidc_group_filter: String = String::new(), Administrators, Now, rule::expression;
    /// The group whose members are system administrators.
    oidc_admin_group: String = String::new(), Administrators, Now, rule::any;
    /// Whether a user's first sign-in creates an account without asking for a name.
    oidc_auto_onboard: bool = false, Administrators, Now, rule::any;
    /// Whether signing out of Gantry signs out of the provider too.
    oidc_logout: bool = false, Administrators, Now, rule::any;
    /// Parameters to add to the redirect to the provider: a JSON object, as text.
    oidc_extra_redirect_parms: String = "{}".to_owned(), Administrators, Now, rule::parameters;
    /// Seconds after which the provider is asked again whether the owner of a CLI secret may still sign in.
    oidc_secret_secs: i64 = 600, Administrators, Now, rule::between::<1, 3_600>;
    /// Seconds after which the provider is asked again about people with a session and their groups.
    oidc_reading_secs: i64 = 300, Administrators, Now, rule::between::<1, 86_400>;
    /// Seconds for which a CLI secret works while the provider does not answer, or if it gave no refresh token.
    oidc_outage_secs: i64 = 3_600, Administrators, Now, rule::between::<0, 86_400>;

    /// The authenticating proxy.
    http_authproxy_endpoint: String = String::new(), Administrators, NO_HTTP_AUTH, rule::any;
    /// Where its tokens are reviewed.
    http_authproxy_tokenreview_endpoint: String = String::new(), Administrators, NO_HTTP_AUTH, rule::any;
    /// Its groups of system administrators.
    http_authproxy_admin_groups: String = String::new(), Administrators, NO_HTTP_AUTH, rule::any;
    /// Its system administrators.
    http_authproxy_admin_usernames: String = String::new(), Administrators, NO_HTTP_AUTH, rule::any;
    /// Its certificate.
    http_authproxy_server_certificate: String = String::new(), Administrators, NO_HTTP_AUTH, rule::any;
    /// Whether its certificate is checked.
    http_authproxy_verify_cert: bool = true, Administrators, NO_HTTP_AUTH, rule::any;
    /// Whether the search for users is skipped.
    http_authproxy_skip_search: bool = false, Administrators, NO_HTTP_AUTH, rule::any;

    /// The UAA server.
    uaa_endpoint: String = String::new(), Administrators, NO_UAA, rule::any;
    /// The ID that it gave Gantry.
    uaa_client_id: String = String::new(), Administrators, NO_UAA, rule::any;
    /// The secret that belongs to it.
    uaa_client_secret: String = String::new(), Administrators, NO_UAA, rule::any;
    /// Whether its certificate is checked.
    uaa_verify_cert: bool = false, Administrators, NO_UAA, rule::any;
}

impl Values {
    /// How many bytes a new project may hold.
    pub const fn new_project_limit(&self) -> StorageLimit {
        if self.quota_per_project_enable {
            self.storage_per_project
        } else {
            StorageLimit::UNLIMITED
        }
    }

    /// For how long a deleted project can be restored.
    pub fn project_restorable(&self) -> Duration {
        let days = u64::try_from(self.project_restore_days).unwrap_or_default();
        Duration::from_secs(days * 86_400)
    }

    /// How long a browser's session lasts without a request.
    pub fn session_idle(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.session_timeout * 60).unwrap_or_default())
    }

    /// How long a browser's session lasts at most, even if it is in use.
    pub fn session_longest(&self) -> Option<Duration> {
        let minutes = u64::try_from(self.session_longest).ok();
        minutes
            .filter(|minutes| *minutes > 0)
            .map(|minutes| Duration::from_secs(minutes * 60))
    }

    /// True if people may register accounts for themselves. While a directory is configured they may not: a name taken
    /// here would keep out the person who has it in the directory, and receive their roles.
    pub const fn is_open(&self) -> bool {
        self.self_registration && !self.has_directory()
    }

    /// True if people can sign in by a directory.
    pub const fn has_directory(&self) -> bool {
        !self.ldap_url.is_empty() && !self.ldap_base_dn.is_empty()
    }

    /// True if people can sign in by an OIDC provider.
    pub const fn has_provider(&self) -> bool {
        !self.oidc_endpoint.is_empty()
            && !self.oidc_client_id.is_empty()
            && !self.external_url.is_empty()
    }

    /// Seconds for which a registry token is valid.
    pub fn token_secs(&self) -> u32 {
        // The rule keeps it far below.
        u32::try_from(self.token_expiration * 60).unwrap_or(u32::MAX)
    }

    /// Whether mails are sent: a server, a sender and the address for links are set.
    pub const fn sends_mail(&self) -> bool {
        !self.smtp_host.is_empty() && !self.smtp_from.is_empty() && !self.external_url.is_empty()
    }

    /// The endpoints to which events of the registry are sent.
    pub fn notified(&self) -> Vec<Endpoint> {
        let mut endpoints = self.registry_notifications.list();
        endpoints.retain(|endpoint| !endpoint.disabled);
        endpoints
    }

    /// Whether there is any endpoint to which events of the registry are sent.
    pub fn has_endpoints(&self) -> bool {
        !self.notified().is_empty()
    }

    /// The followers of the audit log that there are to be, by name.
    pub fn followers(&self) -> Vec<String> {
        let collectors = [
            (follower::SYSLOG, &self.audit_log_forward_endpoint),
            (follower::HTTP, &self.audit_log_forward_url),
        ];
        let collectors = collectors.into_iter().filter(|(_, at)| !at.is_empty());
        let collectors = collectors.map(|(name, _)| name.to_owned());
        let endpoints = self.notified();
        let endpoints = endpoints.iter().map(|it| follower::of_endpoint(&it.name));
        collectors.chain(endpoints).collect()
    }

    /// Checks combinations of settings.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        self.check_mail()?;
        self.check_forwarding()?;
        self.check_groups()
    }

    fn check_forwarding(&self) -> Result<(), InvalidSetting> {
        let bad = |name, reason: &str| {
            let reason = reason.to_owned();
            Err(InvalidSetting::BadValue { name, reason })
        };
        let is_clear = self.audit_log_forward_url.starts_with("http://");
        if is_clear && !self.audit_log_forward_authorization.expose().is_empty() {
            let reason = "must be https:// while audit_log_forward_authorization is set: a secret is never sent in the clear";
            return bad("audit_log_forward_url", reason);
        }
        let has_certificate = self.audit_log_forward_client_certificate.pem().is_some();
        if has_certificate && self.audit_log_forward_client_key.expose().is_empty() {
            let reason = "must not be empty while audit_log_forward_client_certificate is set";
            return bad("audit_log_forward_client_key", reason);
        }
        Ok(())
    }

    fn check_mail(&self) -> Result<(), InvalidSetting> {
        if !self.smtp_user.is_empty() && self.smtp_tls == MailTls::None {
            let reason = "must be starttls or tls while smtp_user is set: a password is never sent in the clear";
            let (name, reason) = ("smtp_tls", reason.to_owned());
            return Err(InvalidSetting::BadValue { name, reason });
        }
        Ok(())
    }

    fn check_groups(&self) -> Result<(), InvalidSetting> {
        if self.ldap_group_search_filter.is_empty() {
            return Ok(());
        }
        for (name, value) in [
            ("ldap_group_attribute_name", &self.ldap_group_attribute_name),
            (
                "ldap_group_membership_attribute",
                &self.ldap_group_membership_attribute,
            ),
        ] {
            if value.is_empty() {
                let reason = "must not be empty while ldap_group_search_filter is set".to_owned();
                return Err(InvalidSetting::BadValue { name, reason });
            }
        }
        Ok(())
    }
}

impl Declaration {
    /// The setting with a name.
    ///
    /// # Errors
    /// [`InvalidSetting::Unknown`].
    pub fn named(name: &str) -> Result<&'static Self, InvalidSetting> {
        let found = DECLARED.iter().find(|declared| declared.name == name);
        found.ok_or_else(|| InvalidSetting::Unknown {
            name: name.to_owned(),
            near: near(name),
        })
    }

    /// What it means, in a sentence or two.
    pub fn meaning(&self) -> &'static str {
        self.meaning.trim()
    }

    /// Its initial value.
    pub fn initial(&self) -> Value {
        (self.get)(&Values::default())
    }

    /// Sets it in values that are not stored, for trying them out.
    ///
    /// # Errors
    /// [`InvalidSetting`].
    pub fn put_into(&self, values: &mut Values, value: &Value) -> Result<(), InvalidSetting> {
        self.set(values, value)
    }

    /// Its value, secret or not.
    pub(super) fn of(&self, values: &Values) -> Value {
        (self.get)(values)
    }

    /// Sets it, if the value is valid.
    pub(super) fn set(&self, values: &mut Values, value: &Value) -> Result<(), InvalidSetting> {
        let name = self.name;
        (self.put)(values, value).map_err(|unfit| match unfit {
            Unfit::Kind => InvalidSetting::WrongKind {
                name,
                kind: self.kind.described(),
            },
            Unfit::Rule(reason) => InvalidSetting::BadValue { name, reason },
        })
    }

    /// Text as JSON of its type, for sources that have only text: `true`, `30`, `everyone`.
    ///
    /// # Errors
    /// [`InvalidSetting::WrongKind`].
    pub fn from_text(&self, text: &str) -> Result<Value, InvalidSetting> {
        let wrong = || InvalidSetting::WrongKind {
            name: self.name,
            kind: self.kind.described(),
        };
        match self.kind {
            Kind::Flag => text.parse().map(Value::Bool).map_err(|_| wrong()),
            Kind::Number => {
                let number: Result<i64, _> = text.parse();
                number.map(Value::from).map_err(|_| wrong())
            }
            Kind::Text | Kind::Secret => Ok(text.into()),
        }
    }
}

/// The setting with the most similar name.
fn near(name: &str) -> Option<&'static str> {
    const NEAR: f64 = 0.85;
    let likeness = DECLARED.iter().map(|declared| {
        let likeness = strsim::jaro_winkler(name, declared.name);
        (likeness, declared.name)
    });
    let best = likeness.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > NEAR)
        .map(|(_, name)| name)
}
