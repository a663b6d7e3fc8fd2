//! Active Directory: a domain controller that Samba makes.

use serde_json::{Value, json};
use testkit::proxy::Proxy;
use testkit::samba::{self, Samba};
use testkit::slapd::Certificate;

use super::{CURRENT, PING, READING, SETTINGS, may_push, user_id};
use crate::harness::{Authority, Client, Server, eventually};

/// A server, and the domain that it asks.
struct Domain {
    server: Server,
    controller: Samba,
    plain: Proxy,
    tls: Proxy,
    authority: Authority,
}

impl Domain {
    async fn open() -> Self {
        let authority = Authority::new("domain");
        let (certificate, key) = authority.issue_until(2_050);
        let shown = Certificate {
            ca: authority.pem(),
            certificate,
            key,
        };
        let controller = Samba::start(&shown);
        let controller = controller.unwrap_or_else(|error| panic!("{}: {error}", samba::INSTALL));
        controller
            .change(&[
                json!(["person", "reader", samba::PASSWORD]),
                json!(["person", "alice", samba::PASSWORD]),
                json!(["person", "bob", samba::PASSWORD]),
                json!(["person", "carol", samba::PASSWORD]),
                json!(["group", "devs"]),
                json!(["group", "inner"]),
                json!(["group", "chiefs"]),
                json!(["members", "inner", ["alice"]]),
                json!(["members", "devs", ["inner"]]),
                json!(["members", "chiefs", ["bob"]]),
                json!(["lockout", "3"]),
            ])
            .expect("people are made");
        let proxy = async |to: String| {
            let started = tokio::task::spawn_blocking(move || Proxy::start(&to)).await;
            started.expect("a thread ends").expect("a proxy runs")
        };
        let domain = Self {
            server: Server::with(&[("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8")]).await,
            plain: proxy(controller.address()).await,
            tls: proxy(controller.tls_address()).await,
            controller,
            authority,
        };
        let settings = json!({
            "ldap_url": domain.plain_url(), "ldap_search_dn": format!("reader@{}", samba::REALM),
            "ldap_search_password": samba::PASSWORD, "ldap_base_dn": samba::PEOPLE,
            "ldap_filter": "(&(objectCategory=person)(objectClass=user))", "ldap_uid": "sAMAccountName",
            "ldap_group_base_dn": samba::BASE, "ldap_group_search_filter": "objectClass=group",
            "ldap_group_attribute_name": "cn", "ldap_group_lookup": "nested",
            "ldap_group_admin_dn": format!("cn=Chiefs, {}", samba::PEOPLE),
            "ldap_reading_secs": 1, "auth_mode": "ldap_auth",
        });
        domain.set(settings).await;
        domain
    }

    fn plain_url(&self) -> String {
        format!("ldap://{}", self.plain.address())
    }

    async fn set(&self, settings: Value) {
        let admin = self.server.admin();
        admin.put(SETTINGS).json(&settings).await.expect(200);
    }

    async fn ping(&self) -> (bool, String) {
        let admin = self.server.admin();
        let answer = admin.post(PING).json(&json!({})).await.expect(200).json();
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        (answer["success"] == true, message)
    }

    async fn works(&self) {
        let (works, said) = self.ping().await;
        assert!(works, "{said}\n{}", self.controller.log());
    }

    async fn fails(&self, why: &str) {
        let (works, said) = self.ping().await;
        assert!(!works && said.contains(why), "{why} in {said}");
    }

    fn person(&self, name: &str) -> Client {
        self.server.as_user_with(name, samba::PASSWORD)
    }

    fn change(&self, changes: &[Value]) {
        self.controller.change(changes).expect("it is changed");
    }

    /// Waits until the status of somebody's sign-in is this one.
    async fn answers(&self, name: &str, status: u16) {
        let person = self.person(name);
        let what = format!("{name} gets {status}");
        eventually(READING, &what, async || {
            (person.get(CURRENT).await.status == status).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn people_of_active_directory_sign_in_by_its_rules() {
    let domain = Domain::open().await;
    // It lets nobody in unencrypted, and says so.
    domain.fails("set ldap_starttls").await;
    let other = Authority::new("other").pem();
    domain
        .set(json!({ "ldap_starttls": true, "ldap_ca_certificate": other }))
        .await;
    domain.fails("no encrypted connection").await;
    domain
        .set(json!({ "ldap_ca_certificate": domain.authority.pem() }))
        .await;
    domain.works().await;
    // LDAPS, and the searcher by its older name.
    domain
        .set(json!({ "ldap_starttls": false, "ldap_url": format!("ldaps://{}", domain.tls.address()),
            "ldap_search_dn": format!("{}\\reader", samba::DOMAIN), "ldap_search_password": samba::PASSWORD }))
        .await;
    domain.works().await;

    // A group in a group gives a role, and another one the rights of an administrator.
    let project = domain.server.private_project().await;
    let member = json!({ "role_id": 2, "member_group": { "ldap_group_dn": format!("CN=devs,{}", samba::PEOPLE) } });
    let admin = domain.server.admin();
    admin
        .post(&project.members())
        .json(&member)
        .await
        .expect(201);
    let alice = domain.person("alice");
    assert!(may_push(&alice, &project.repository("app")).await);
    assert!(!may_push(&domain.person("carol"), &project.repository("app")).await);
    let bob = domain.person("bob").get(CURRENT).await.expect(200).json();
    assert_eq!(bob["admin_role_in_auth"], true, "{bob}");
    let wrong = domain.server.as_user_with("alice", "Wrong-Passw0rd1");
    wrong.get(CURRENT).await.expect(401);

    // By the whole name they are the same people: what joins them never changes.
    let before = user_id(&alice).await;
    domain.set(json!({ "ldap_uid": "userPrincipalName" })).await;
    let whole = domain.person(&format!("alice@{}", samba::REALM));
    assert_eq!(user_id(&whole).await, before);
    domain.set(json!({ "ldap_uid": "sAMAccountName" })).await;
    domain.answers("alice", 200).await;

    // Disabled, and enabled again.
    domain.change(&[json!(["set", "alice", "userAccountControl", "514"])]);
    domain.answers("alice", 401).await;
    domain.change(&[json!(["set", "alice", "userAccountControl", "512"])]);
    domain.answers("alice", 200).await;
    // Expired in 2018, and never.
    domain.change(&[json!([
        "set",
        "alice",
        "accountExpires",
        "131700000000000000"
    ])]);
    domain.answers("alice", 401).await;
    domain.change(&[json!(["set", "alice", "accountExpires", "0"])]);
    domain.answers("alice", 200).await;

    // Three wrong passwords lock an account there; then the right one is refused too.
    for guess in 0..3 {
        let guess = domain
            .server
            .as_user_with("carol", &format!("Guess-{guess}-Passw0rd"));
        guess.at(100).get(CURRENT).await;
    }
    let carol = domain.person("carol").at(101).get(CURRENT).await;
    assert_eq!(carol.status, 401, "{carol}");
}
