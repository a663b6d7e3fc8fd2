//! Certificates by ACME, from a real ACME server: how the first comes, how it is renewed, and each way to fail.

mod account;
mod front;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use self::front::Front;
use crate::harness::{Asks, Client, Pebble, Replicas, Server, eventually, free_port};

const NAME: &str = "registry.example.test";
/// How long an order takes at most, on a busy machine.
const PATIENCE: u64 = 120;

/// A server and an ACME server that can reach it.
struct Setting {
    server: Server,
    pebble: Pebble,
    http: u16,
}

impl Setting {
    /// Both, with these settings of `[acme]` besides.
    async fn open(settings: &[(&str, &str)]) -> Self {
        Self::with(settings, None).await
    }

    async fn with(
        settings: &[(&str, &str)],
        binding: Option<(&'static str, &'static str)>,
    ) -> Self {
        let (server, http) = (Server::start().await, free_port());
        let pebble = Pebble::start(&Asks {
            http,
            tls: server.port(),
            binding,
        });
        let setting = Self {
            server,
            pebble,
            http,
        };
        setting.configure(&setting.server, http);
        setting.set(settings);
        setting.server.stop().await;
        setting.server.restart().await;
        setting
    }

    /// What every server of these tests has.
    fn configure(&self, server: &Server, http: u16) {
        let listen = format!("127.0.0.1:{http}");
        let check = format!("127.0.0.1:{}", self.http);
        server.set(&[
            ("GANTRY_SERVER__REDIRECT_LISTEN", &listen),
            ("GANTRY_ACME__DIRECTORY", &self.pebble.directory()),
            (
                "GANTRY_ACME__CA_FILE",
                &self.pebble.ca_file().to_string_lossy(),
            ),
            ("GANTRY_ACME__NAMES", NAME),
            ("GANTRY_ACME__CONTACT", "ops@example.test"),
            ("GANTRY_ACME__CHECK_ADDRESS", &check),
            ("GANTRY_ACME__RETRY_SECS", "1"),
        ]);
    }

    fn set(&self, settings: &[(&str, &str)]) {
        for (key, value) in settings {
            self.server.set(&[(&format!("GANTRY_ACME__{key}"), value)]);
        }
    }

    /// A client that trusts what the ACME server issues, and nothing else.
    async fn client(&self, server: &Server) -> Client {
        server.anonymous().trusting(&self.pebble.root_file().await)
    }

    /// The certificate that clients of a name get, once it is one of the ACME server.
    async fn obtained(&self, server: &Server, name: &str) -> CertificateDer<'static> {
        let client = self.client(server).await;
        let what = "the certificate is presented";
        eventually(PATIENCE, what, async || {
            client.certificate_for(name).await.ok()
        })
        .await
    }

    /// Where it stands, once that is so.
    async fn stands(&self, what: &str, is: impl Fn(&Value) -> bool + Send + Sync) -> Value {
        let admin = self.server.admin();
        eventually(PATIENCE, what, async || {
            let status = admin.get("/api/ext/v1/certificates/acme").await.expect(200);
            Some(status.json()).filter(|status| is(status))
        })
        .await
    }

    /// Where it stands once it has failed for this reason, also in metric and log.
    async fn fails(&self, reason: &str) -> Value {
        let status = self
            .stands(reason, |status| {
                status["state"] == "failed" && status["reason"] == reason
            })
            .await;
        let metric = format!("gantry_acme_failed{{reason=\"{reason}\"}}");
        self.counts(&metric, 1.0).await;
        let log = self.server.log();
        let line = log
            .lines()
            .find(|line| line.contains("WARN") && line.contains(reason));
        assert!(line.is_some(), "{log}");
        let notices = self
            .server
            .admin()
            .get("/api/ext/v1/notices")
            .await
            .expect(200);
        let told = notices.json();
        let told = told
            .as_array()
            .expect("a list")
            .iter()
            .any(|notice| notice["kind"] == "acme");
        assert!(told, "{notices}");
        // Whatever happens, the server serves.
        self.server.admin().get("/v2/").await.expect(200);
        status
    }

    /// Waits for a metric to have this value: it is set as the process looks at the database.
    async fn counts(&self, metric: &str, value: f64) {
        eventually(10, metric, async || {
            (self.server.metric(metric).await == value).then_some(())
        })
        .await;
    }

    async fn is_valid(&self) -> Value {
        self.stands("it is valid", |status| status["state"] == "valid")
            .await
    }

    /// Has another certificate ordered.
    async fn order(&self) {
        let admin = self.server.admin();
        let ordered = admin.post("/api/ext/v1/certificates/acme/order").await;
        ordered.expect(202);
    }
}

#[tokio::test]
async fn the_first_certificate_is_obtained_and_renewed_and_never_ordered_in_vain() {
    let setting = Setting::open(&[]).await;
    let first = setting.obtained(&setting.server, NAME).await;
    let status = setting.is_valid().await;
    assert!(
        status["renew_at"].is_string() && status["failures"] == 0,
        "{status}"
    );
    setting
        .counts("gantry_acme_state{state=\"valid\"}", 1.0)
        .await;
    // Other names still get the CA's own certificate.
    setting
        .server
        .anonymous()
        .certificate_for("localhost")
        .await
        .expect("it is for localhost");
    let listed = setting
        .server
        .admin()
        .get("/api/ext/v1/certificates")
        .await
        .expect(200)
        .json();
    let sources: Vec<&Value> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["source"])
        .collect();
    assert_eq!(sources, [&json!("ca"), &json!("acme")]);
    // Proofs are gone, and nobody else's question is answered.
    let plain = setting.server.plain(setting.http);
    plain
        .get("/.well-known/acme-challenge/unknown")
        .await
        .expect(404);
    plain
        .get("/.well-known/acme-challenge/..%2f")
        .await
        .expect(308);

    // A start orders nothing while the certificate is good: not even after a crash.
    for _ in 0..2 {
        setting.server.kill();
        setting.server.restart().await;
        assert_eq!(setting.obtained(&setting.server, NAME).await, first);
    }
    assert_eq!((setting.pebble.orders(), setting.pebble.issued()), (1, 1));

    setting.order().await;
    let client = setting.client(&setting.server).await;
    eventually(PATIENCE, "another certificate is presented", async || {
        let shown = client.certificate_for(NAME).await.ok()?;
        (shown != first).then_some(())
    })
    .await;
    setting.is_valid().await;
    assert_eq!(setting.pebble.issued(), 2);
}

/// A roll-back brings names back in another order, or takes some away.
#[tokio::test]
async fn fewer_names_or_another_order_of_them_need_no_other_certificate() {
    let other = "other.example.test";
    let both = format!("{NAME},{other}");
    let setting = Setting::open(&[("NAMES", &both)]).await;
    let first = setting.obtained(&setting.server, NAME).await;
    setting.is_valid().await;
    // Each time, what other settings obtained is not left alone any more.
    for (names, offset) in [(NAME, "+1h"), (&*format!("{other},{NAME}"), "+2h")] {
        setting.server.stop().await;
        setting.set(&[("NAMES", names)]);
        setting.server.restart_with_clock(offset).await;
        eventually(PATIENCE, "the new settings count", async || {
            let wanted = account::stored(&setting.server, "wanted from acme_order").await;
            (wanted.contains(other) == names.contains(other)).then_some(())
        })
        .await;
        setting.is_valid().await;
        assert_eq!(setting.obtained(&setting.server, NAME).await, first);
        assert_eq!((setting.pebble.orders(), setting.pebble.issued()), (1, 1));
    }
    setting.server.stop().await;
    setting.server.restart().await;
}

#[tokio::test]
async fn keys_and_accounts_are_stored_sealed() {
    let setting = Setting::open(&[]).await;
    setting.is_valid().await;
    setting.server.stop().await;
    for file in ["gantry.db", "gantry.db-wal"] {
        let stored = fs::read(setting.server.data().join(file)).unwrap_or_default();
        for secret in ["PRIVATE KEY", "key_pkcs8"] {
            let is_secret = |window: &[u8]| window == secret.as_bytes();
            assert!(
                !stored.windows(secret.len()).any(is_secret),
                "{file} has {secret}"
            );
        }
    }
    assert!(!setting.server.log().contains("PRIVATE KEY"));
    setting.server.restart().await;
}

#[tokio::test]
async fn names_are_proved_over_tls() {
    let setting = Setting::open(&[("CHALLENGE", "tls-alpn-01"), ("CHECK_ADDRESS", "off")]).await;
    setting.obtained(&setting.server, NAME).await;
    // The own address is tried first where it can be.
    let own = setting.server.host();
    setting.set(&[("CHECK_ADDRESS", &own)]);
    setting.server.stop().await;
    setting.server.restart().await;
    setting.order().await;
    setting
        .stands("it is valid again", |status| {
            status["state"] == "valid" && setting.pebble.issued() == 2
        })
        .await;
}

#[tokio::test]
async fn names_and_wildcards_are_proved_by_dns_records() {
    let setting = Setting::open(&[("CHECK_ADDRESS", "off")]).await;
    setting.is_valid().await;
    let management = setting.pebble.names_management();
    let script = setting.server.scratch().join("records");
    let text = format!(
        "#!/bin/sh\nset -eu\necho \"$1 $2\" >> {log}\n\
         case $1 in present) call=set-txt ;; *) call=clear-txt ;; esac\n\
         curl -sf http://127.0.0.1:{management}/$call -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\"\n",
        log = setting.server.scratch().join("records.log").display()
    );
    fs::write(&script, text).expect("the program can be written");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&script, mode).expect("the program can be made one");
    setting.set(&[
        ("CHALLENGE", "dns-01"),
        ("DNS_COMMAND", &script.to_string_lossy()),
        ("NAMES", "*.apps.example.test,other.example.test"),
    ]);
    setting.server.stop().await;
    // What other settings obtained is left alone for a while, but not when somebody orders.
    setting.server.restart().await;
    setting.order().await;
    setting
        .obtained(&setting.server, "x.apps.example.test")
        .await;
    setting
        .obtained(&setting.server, "other.example.test")
        .await;
    let log = fs::read_to_string(setting.server.scratch().join("records.log")).expect("it ran");
    for line in [
        "present _acme-challenge.apps.example.test",
        "present _acme-challenge.other.example.test",
        "cleanup _acme-challenge.apps.example.test",
        "cleanup _acme-challenge.other.example.test",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }

    fs::write(&script, "#!/bin/sh\necho no such zone >&2\nexit 3\n").expect("it can be written");
    setting.order().await;
    let status = setting.fails("command").await;
    assert!(
        status["message"]
            .as_str()
            .is_some_and(|it| it.contains("no such zone")),
        "{status}"
    );
}

#[tokio::test]
async fn an_account_is_bound_where_the_server_wants_it() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let setting = Setting::with(&[], Some(("kid-1", key))).await;
    let status = setting.fails("account").await;
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("eab_key_id"), "{status}");
    let file = setting.server.scratch().join("eab.key");
    fs::write(&file, format!("{key}\n")).expect("the key can be written");
    setting.set(&[
        ("EAB_KEY_ID", "kid-1"),
        ("EAB_HMAC_KEY_FILE", &file.to_string_lossy()),
    ]);
    setting.server.stop().await;
    setting.server.restart().await;
    setting.obtained(&setting.server, NAME).await;
    assert!(!setting.server.log().contains(key), "the log has the key");
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_not_verified_and_the_present_certificate_stays() {
    let setting = Setting::open(&[]).await;
    let first = setting.obtained(&setting.server, NAME).await;
    setting.is_valid().await;
    setting
        .pebble
        .names("set-servfail", json!({ "host": format!("{NAME}.") }))
        .await;
    setting.order().await;
    let status = setting.fails("validation").await;
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains(NAME), "{status}");
    assert_eq!(setting.obtained(&setting.server, NAME).await, first);
    setting
        .pebble
        .names("clear-servfail", json!({ "host": format!("{NAME}.") }))
        .await;
    let status = setting.is_valid().await;
    assert!(
        status["reason"].is_null() && status["failures"] == 0,
        "{status}"
    );
    setting.counts("gantry_acme_failures", 0.0).await;
}

#[tokio::test]
async fn an_own_address_that_does_not_answer_costs_no_attempt_at_the_server() {
    let closed = format!("127.0.0.1:{}", free_port());
    let setting = Setting::open(&[("CHECK_ADDRESS", &closed)]).await;
    let status = setting.fails("own_address").await;
    let message = status["message"].as_str().unwrap_or_default();
    assert!(
        message.contains(&closed) && message.contains("check_address"),
        "{status}"
    );
    let log = setting.pebble.log();
    assert!(!log.contains("to validate"), "{log}");
    // Waits grow, and one order is enough for all attempts.
    setting
        .stands("it failed again", |status| {
            status["failures"].as_i64() >= Some(3)
        })
        .await;
    assert_eq!(setting.pebble.orders(), 1);
    setting.set(&[("CHECK_ADDRESS", &format!("127.0.0.1:{}", setting.http))]);
    setting.server.stop().await;
    setting.server.restart().await;
    setting.obtained(&setting.server, NAME).await;
    assert_eq!(setting.pebble.orders(), 1, "the order was taken up again");
}

#[tokio::test]
async fn names_that_the_server_refuses_are_told_of() {
    let setting = Setting::open(&[("NAMES", "blocked.example.test")]).await;
    let status = setting.fails("rejected").await;
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("blocked.example.test"), "{status}");
}

/// A server that lost its data knows neither account nor order.
#[tokio::test]
async fn an_account_that_the_server_lost_is_made_anew() {
    let mut setting = Setting::open(&[]).await;
    setting.is_valid().await;
    setting.pebble.restart();
    setting.order().await;
    // It has a new root, too.
    setting.obtained(&setting.server, NAME).await;
    setting.is_valid().await;
}

/// Whoever deactivated it had a reason: no other account is made without being asked for.
#[tokio::test]
async fn a_deactivated_account_is_told_of_and_replaced_on_request() {
    let setting = Setting::open(&[]).await;
    setting.is_valid().await;
    account::deactivate(&setting.server, &setting.pebble).await;
    setting.order().await;
    let status = setting.fails("account").await;
    let message = status["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("deactivated") && message.contains("--new-account"),
        "{status}"
    );
    setting
        .stands("it failed again", |status| {
            status["failures"].as_i64() >= Some(2)
        })
        .await;
    assert_eq!(setting.pebble.issued(), 1);
    let issue = ["cert", "issue", "--new-account"];
    setting.server.cli_prints(&issue).await;
    setting
        .stands("it is valid again", |status| {
            status["state"] == "valid" && setting.pebble.issued() == 2
        })
        .await;
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_again() {
    let setting = Setting::open(&[("DIRECTORY", "https://127.0.0.1:1/dir")]).await;
    setting.fails("unreachable").await;
    let shown = setting.server.cli_prints(&["cert", "list"]).await;
    assert!(shown.contains("unreachable"), "{shown}");
}

/// Pebble limits nothing: a proxy in front of it does.
#[tokio::test]
async fn a_limit_is_waited_out_with_the_present_certificate() {
    let setting = Setting::open(&[]).await;
    let first = setting.obtained(&setting.server, NAME).await;
    setting.is_valid().await;
    let front = Front::before(&setting.pebble).await;
    front.limit("/order-plz", 429, "Retry-After: 6");
    setting.set(&[("DIRECTORY", &front.directory())]);
    setting.server.stop().await;
    setting.server.restart().await;
    setting.order().await;
    let status = setting.fails("rate_limited").await;
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("429"), "{status}");
    let asked = front.refused();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(front.refused(), asked, "nothing is asked before its time");
    assert_eq!(setting.obtained(&setting.server, NAME).await, first);
    front.limit("", 0, "");
    setting.is_valid().await;
    assert_eq!(setting.pebble.issued(), 2);
}

/// A server that refuses orders that name the certificate they replace (RFC 9773, section 5): they are made without it.
#[tokio::test]
async fn an_order_whose_predecessor_is_refused_is_made_without_it() {
    let setting = Setting::open(&[]).await;
    setting.is_valid().await;
    // After a change of accounts the certificate before belongs to nobody whom the server knows as ours.
    setting
        .server
        .cli_prints(&["cert", "issue", "--new-account"])
        .await;
    setting
        .stands("it is valid again", |status| {
            status["state"] == "valid" && setting.pebble.issued() == 2
        })
        .await;
    let log = setting.server.log();
    assert!(log.contains("ordered without naming"), "{log}");
    // An order in the ordinary way names it.
    setting.order().await;
    setting
        .stands("it is renewed", |status| {
            status["state"] == "valid" && setting.pebble.issued() == 3
        })
        .await;
    assert!(setting.pebble.log().contains("is a replacement of"));
    let log = setting.server.log();
    assert_eq!(log.matches("ordered without naming").count(), 1, "{log}");
}

#[tokio::test]
async fn a_step_of_the_clock_neither_stops_renewal_nor_orders_without_end() {
    let setting = Setting::open(&[]).await;
    let first = setting.obtained(&setting.server, NAME).await;
    setting.is_valid().await;
    setting.server.stop().await;
    // The certificate looks expired, and so does whatever is issued now.
    setting.server.restart_with_clock("+120d").await;
    let status = setting.fails("clock").await;
    assert!(
        status["message"]
            .as_str()
            .is_some_and(|it| it.contains("clock")),
        "{status}"
    );
    setting.server.stop().await;
    // Waits double, so it ordered a few times at most.
    let issued = setting.pebble.issued();
    assert!((2..=6).contains(&issued), "{issued}");
    // What the wrong clock stored lies months ahead.
    setting.server.restart().await;
    setting.is_valid().await;
    let second = setting.obtained(&setting.server, NAME).await;
    assert_ne!(first, second);
    assert_eq!(setting.pebble.issued(), issued, "what it has is good");
    setting.server.stop().await;
    setting.server.restart_with_clock("-20d").await;
    setting.is_valid().await;
    assert_eq!(setting.obtained(&setting.server, NAME).await, second);
    setting.server.stop().await;
    setting.server.restart().await;
}

#[tokio::test]
async fn two_replicas_make_one_order_and_either_answers_and_presents() {
    let replicas = Replicas::start().await;
    let http = [free_port(), free_port()];
    // The ACME server asks the first replica, whichever makes the order.
    let setting = Setting {
        pebble: Pebble::start(&Asks {
            http: http[0],
            tls: replicas.first.port(),
            binding: None,
        }),
        server: replicas.first,
        http: http[0],
    };
    let second = replicas.second;
    for (server, http) in [(&setting.server, http[0]), (&second, http[1])] {
        setting.configure(server, http);
        server.stop().await;
    }
    tokio::join!(setting.server.restart(), second.restart());
    let shown = setting.obtained(&setting.server, NAME).await;
    assert_eq!(setting.obtained(&second, NAME).await, shown);
    assert_eq!((setting.pebble.orders(), setting.pebble.issued()), (1, 1));

    // The one that made it may die: the other renews.
    setting.order().await;
    setting
        .stands("it is valid again", |status| {
            status["state"] == "valid" && setting.pebble.issued() == 2
        })
        .await;
    for server in [&setting.server, &second] {
        eventually(10, "both present it", async || {
            let now = setting.obtained(server, NAME).await;
            (now != shown).then_some(())
        })
        .await;
    }
}
