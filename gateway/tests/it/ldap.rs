//! People and groups of a directory: a real slapd, and what Gantry makes of it.

mod hostile;
mod samba;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::proxy::{Mode, Proxy};
use testkit::slapd::{self, Certificate, Slapd};

use crate::harness::{
    Answer, Authority, Client, PASSWORD as LOCAL_PASSWORD, Role, Server, eventually, image,
};
use crate::session::Browser;

const SETTINGS: &str = "/api/v2.0/configurations";
const CURRENT: &str = "/api/v2.0/users/current";
const PING: &str = "/api/v2.0/ldap/ping";
const PEOPLE: &str = "/api/v2.0/ldap/users/search";
const GROUPS: &str = "/api/v2.0/ldap/groups/search";
const TOKEN: &str = "/service/token?service=harbor-registry";
/// Seconds within which a reading has been made, where one is made each second.
const READING: u64 = 10;

/// A server, and the directory that it asks.
struct Office {
    server: Server,
    slapd: Slapd,
}

impl Office {
    /// A server that asks an empty directory, with further settings.
    async fn open(further: Value) -> Self {
        let slapd = Slapd::start().expect("slapd is there: apt-get install slapd ldap-utils");
        let url = slapd.url();
        Self::with(slapd, &url, further).await
    }

    async fn with(slapd: Slapd, url: &str, further: Value) -> Self {
        let server = Server::with(&[("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8")]).await;
        let office = Self { server, slapd };
        let mut settings = json!({
            "ldap_url": url, "ldap_search_dn": slapd::READER,
            "ldap_search_password": slapd::READER_PASSWORD, "ldap_base_dn": slapd::PEOPLE,
            "ldap_uid": "uid", "ldap_group_base_dn": slapd::GROUPS,
            "ldap_group_search_filter": "objectClass=groupOfNames", "ldap_group_attribute_name": "cn",
            "auth_mode": "ldap_auth",
        });
        for (name, value) in further.as_object().expect("an object") {
            settings[name] = value.clone();
        }
        office.set(settings).await;
        office
    }

    async fn set(&self, settings: Value) {
        let changed = self.server.admin().put(SETTINGS).json(&settings).await;
        changed.expect(200);
    }

    fn person(&self, name: &str) -> Client {
        self.server.as_user_with(name, slapd::PASSWORD)
    }

    fn add(&self, name: &str) -> String {
        self.slapd
            .add_person(name, None)
            .expect("a person is added")
    }

    async fn ping(&self, body: Value) -> (bool, String) {
        let answer = self.server.admin().post(PING).json(&body).await.expect(200);
        let answer = answer.json();
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        (answer["success"] == true, message)
    }
}

async fn user_id(person: &Client) -> Value {
    person.get(CURRENT).await.expect(200).json()["user_id"].clone()
}

fn names(answer: &Answer, field: &str) -> Vec<String> {
    let list = answer.json();
    let list = list.as_array().expect("a list").iter();
    let mut names: Vec<String> = list
        .map(|one| one[field].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

/// Whether somebody may push into a project.
async fn may_push(person: &Client, repository: &str) -> bool {
    let scope = format!("repository:{repository}:pull,push");
    let token = person.get(&format!("{TOKEN}&scope={scope}")).await;
    if token.status != 200 {
        return false;
    }
    let token = token.json()["token"].as_str().expect("a token").to_owned();
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let begun = person
        .post(&uploads)
        .header("authorization", format!("Bearer {token}"))
        .await;
    begun.status == 202
}

#[tokio::test]
async fn people_of_a_directory_sign_in_and_their_groups_give_them_roles() {
    let office =
        Office::open(json!({ "ldap_group_admin_dn": format!("CN=Chiefs, {}", slapd::GROUPS) }))
            .await;
    let (server, slapd) = (&office.server, &office.slapd);
    let admin = server.admin();
    let mail = Some("office@example.test");
    let alice = slapd.add_person("alice", mail).expect("alice is added");
    let bob = slapd.add_person("bob", mail).expect("bob is added");
    let odd = slapd
        .add_person("o.(dd)", None)
        .expect("somebody with brackets is added");
    let devs = slapd
        .add_group("Devs", &[&alice, &odd])
        .expect("a group is added");
    slapd
        .add_group("Chiefs", &[&bob])
        .expect("a group is added");
    assert_eq!(office.ping(json!({})).await, (true, String::new()));

    // What administrators see of it.
    let found = admin
        .get(&format!("{PEOPLE}?username=alice"))
        .await
        .expect(200);
    assert_eq!(
        found.json(),
        json!([{ "username": "alice", "realname": "alice of the office", "email": "office@example.test" }])
    );
    let all = admin.get(PEOPLE).await.expect(200);
    assert_eq!(names(&all, "username"), ["alice", "bob", "o.(dd)"]);
    let all = admin.get(GROUPS).await.expect(200);
    assert_eq!(names(&all, "group_name"), ["Chiefs", "Devs"]);
    let found = admin
        .get(&format!("{GROUPS}?groupdn={}", devs.replace(',', "%2C")))
        .await
        .expect(200);
    assert_eq!(
        found.json(),
        json!([{ "group_name": "Devs", "group_type": 1, "ldap_group_dn": devs }])
    );
    admin
        .get(&format!("{GROUPS}?groupname=nobody"))
        .await
        .expect_error(404, "NOT_FOUND");

    // A group of the directory has a role before anybody of it was here, by its entry in other letters.
    let project = server.private_project().await;
    let repository = project.repository("app");
    let entry = devs.to_uppercase().replace(',', ", ");
    let member =
        json!({ "role_id": Role::Developer as u8, "member_group": { "ldap_group_dn": entry } });
    admin
        .post(&project.members())
        .json(&member)
        .await
        .expect(201);
    admin
        .post(&project.members())
        .json(&member)
        .await
        .expect_error(409, "CONFLICT");

    // By Basic, by a token, and by the form.
    for name in ["alice", "o.(dd)"] {
        let person = office.person(name);
        person
            .push_image(
                &repository,
                "latest",
                &image(&format!("{repository}{name}")),
            )
            .await;
        assert!(may_push(&person, &repository).await, "{name}");
    }
    let mut browser = Browser::open(server.anonymous()).await;
    browser.sign_in("alice", slapd::PASSWORD).await.expect(200);
    assert!(browser.is_signed_in().await);
    let read = office
        .person("alice")
        .get(&format!("/api/v2.0/projects/{}", project.name))
        .await
        .expect(200);
    assert_eq!(read.json()["current_user_role_ids"], json!([2]));

    // However they write their name, it is one account; two may have one mail address.
    let id = user_id(&office.person("alice")).await;
    assert_eq!(user_id(&office.person("ALICE")).await, id);
    assert_eq!(user_id(&office.person("OFFICE\\Alice")).await, id);
    let boss = office.person("bob");
    let current = boss.get(CURRENT).await.expect(200).json();
    assert_eq!(
        (
            &current["admin_role_in_auth"],
            &current["sysadmin_flag"],
            &current["email"]
        ),
        (&json!(true), &json!(false), &json!("office@example.test"))
    );
    boss.get("/api/v2.0/users").await.expect(200);
    office
        .person("alice")
        .get("/api/v2.0/users")
        .await
        .expect_error(403, "FORBIDDEN");

    // Nobody else gets in: no wrong or empty password, and nothing that is a filter.
    for (name, password) in [
        ("alice", "wrong"),
        ("alice", ""),
        ("*", slapd::PASSWORD),
        ("al*", slapd::PASSWORD),
        ("alice)(uid=*", slapd::PASSWORD),
        ("*)(objectClass=*", slapd::PASSWORD),
        ("alice\\2a", slapd::PASSWORD),
        ("nobody", slapd::PASSWORD),
        (slapd::READER, slapd::READER_PASSWORD),
    ] {
        let stranger = server.as_user_with(name, password).at(77);
        stranger.get(TOKEN).await.expect(401);
    }
    // The accounts of this database are as they were, and a directory's are kept there.
    admin.get(TOKEN).await.expect(200);
    let password = json!({ "old_password": slapd::PASSWORD, "new_password": "Another-Passw0rd" });
    let own = format!("/api/v2.0/users/{id}/password");
    let refused = office.person("alice").put(&own).json(&password).await;
    assert!(
        refused
            .expect_error(403, "FORBIDDEN")
            .message()
            .contains("directory")
    );
    refuses_a_taken_name(&office).await;
    imports(&office, &project.members()).await;
    says_by_the_command_line_what_works(&office).await;
}

/// A name that somebody here has is nobody's of the directory.
async fn refuses_a_taken_name(office: &Office) {
    office.server.create_user("eve").await;
    office.add("eve");
    let local = office.server.as_user_with("eve", LOCAL_PASSWORD);
    local.get(TOKEN).await.expect(200);
    office.person("eve").get(TOKEN).await.expect(401);
    let mut browser = Browser::open(office.server.anonymous()).await;
    let refused = browser.sign_in("EVE", slapd::PASSWORD).await;
    let refused = refused.expect_error(403, "FORBIDDEN");
    assert!(
        refused.message().contains("belongs to another account"),
        "{refused}"
    );
}

async fn imports(office: &Office, members: &str) {
    let admin = office.server.admin();
    office.add("dave");
    office.add("carl");
    let body = json!({ "ldap_uid_list": ["dave", "nobody", ""] });
    let failed = admin
        .post("/api/v2.0/ldap/users/import")
        .json(&body)
        .await
        .expect(404);
    assert_eq!(
        failed.json(),
        json!([{ "uid": "nobody", "error": "unknown_user" }, { "uid": "", "error": "empty_uid" }])
    );
    let found = admin.get("/api/v2.0/users?username=dave").await.expect(200);
    assert_eq!(names(&found, "username"), ["dave"]);
    // A member whom the directory knows need not have been here.
    let body = json!({ "role_id": 3, "member_user": { "username": "carl" } });
    admin.post(members).json(&body).await.expect(201);
    let body = json!({ "role_id": 3, "member_user": { "username": "nobody" } });
    admin
        .post(members)
        .json(&body)
        .await
        .expect_error(404, "NOT_FOUND");
    let body = json!({ "group_type": 1, "ldap_group_dn": format!("cn=none,{}", slapd::GROUPS) });
    let refused = admin.post("/api/v2.0/usergroups").json(&body).await;
    let refused = refused.expect_error(400, "BAD_REQUEST");
    assert!(
        refused.message().contains("LDAP Group DN is not found"),
        "{refused}"
    );
}

async fn says_by_the_command_line_what_works(office: &Office) {
    let run = async |arguments: &[&str]| {
        let output = office.server.cli_as_server(arguments).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), text)
    };
    let (works, text) = run(&["ldap", "test", "--user", "bob"]).await;
    assert!(
        works && text.contains("Chiefs; a system administrator"),
        "{text}"
    );
    let (_, text) = run(&["ldap", "search", "groups"]).await;
    assert!(text.contains("Devs  cn=Devs,"), "{text}");
    let (_, text) = run(&["ldap", "search", "users", "alice", "--json"]).await;
    assert!(text.contains("\"dn\":\"uid=alice,"), "{text}");
    office.set(json!({ "ldap_search_password": "wrong" })).await;
    let (works, text) = run(&["ldap", "test"]).await;
    assert!(
        !works && text.contains("-> correct ldap_search_dn"),
        "{text}"
    );
    // The password of whoever searches was changed: the administrator here gets in to say so.
    office.server.admin().get(CURRENT).await.expect(200);
    office.person("carl").get(TOKEN).await.expect(503);
}

#[tokio::test]
async fn what_changes_in_the_directory_holds_with_the_next_reading() {
    let office = Office::open(json!({ "ldap_reading_secs": 1 })).await;
    let (server, slapd) = (&office.server, &office.slapd);
    let project = server.private_project().await;
    let repository = project.repository("app");
    let alice = office.add("alice");
    let devs = slapd
        .add_group("devs", &[&alice])
        .expect("a group is added");
    let twin = slapd.add_group("twins", &[]).expect("a group is added");
    let member = json!({ "role_id": 2, "member_group": { "ldap_group_dn": devs } });
    server
        .admin()
        .post(&project.members())
        .json(&member)
        .await
        .expect(201);
    let person = office.person("alice");
    let id = user_id(&person).await;
    assert!(may_push(&person, &repository).await);
    let token = person
        .with_token(&[&format!("repository:{repository}:pull")])
        .await;

    // Out of the group, into another one.
    let change = |dn: &str, what: &str| {
        let ldif = format!("dn: {dn}\nchangetype: modify\n{what}: member\nmember: {alice}\n");
        slapd.change(&ldif).expect("the directory is changed");
    };
    change(&devs, "delete");
    change(&twin, "add");
    eventually(READING, "the role is gone", async || {
        (!may_push(&person, &repository).await).then_some(())
    })
    .await;
    let groups = async || {
        server
            .admin()
            .get("/api/v2.0/usergroups?group_name=twins")
            .await
    };
    assert_eq!(names(&groups().await, "group_name"), ["twins"]);
    change(&devs, "add");
    eventually(READING, "the role is back", async || {
        may_push(&person, &repository).await.then_some(())
    })
    .await;

    // Expired, and no more: tokens and sessions of before are void.
    let mut browser = Browser::open(server.anonymous()).await;
    browser.sign_in("alice", slapd::PASSWORD).await.expect(200);
    slapd
        .set(&alice, "shadowExpire", "1")
        .expect("the account expires");
    eventually(READING, "the account is out", async || {
        (token.get("/v2/").await.status == 401).then_some(())
    })
    .await;
    assert!(!browser.is_signed_in().await);
    let refused = person.get(TOKEN).await.expect(401);
    assert!(refused.message().contains("expired"), "{refused}");
    slapd
        .set(&alice, "shadowExpire", "-1")
        .expect("the account is back");
    person.get(TOKEN).await.expect(200);
    token.get("/v2/").await.expect(401);
    assert_eq!(user_id(&person).await, id);

    // Renamed: who they are is what never changes.
    let renamed = "alicia";
    let rename =
        format!("dn: {alice}\nchangetype: modrdn\nnewrdn: uid={renamed}\ndeleteoldrdn: 1\n");
    slapd.change(&rename).expect("the person is renamed");
    let person = office.person(renamed);
    assert_eq!(user_id(&person).await, id);
    let current = person.get(CURRENT).await.expect(200).json();
    assert_eq!(current["username"], renamed);
    assert!(
        may_push(&person, &repository).await,
        "the groups came along"
    );

    // Gone.
    let gone = format!("dn: uid={renamed},{}\nchangetype: delete\n", slapd::PEOPLE);
    slapd.change(&gone).expect("the person is deleted");
    eventually(READING, "the account is out", async || {
        (person.get(TOKEN).await.status == 401).then_some(())
    })
    .await;
    // Another person of the old name is another account, once the old one is gone here too.
    server
        .admin()
        .delete(&format!("/api/v2.0/users/{id}"))
        .await
        .expect(200);
    office.add(renamed);
    let other = office.person(renamed);
    eventually(READING, "another account", async || {
        let answer = other.get(CURRENT).await;
        (answer.status == 200).then(|| assert_ne!(answer.json()["user_id"], id))
    })
    .await;
    assert!(!may_push(&other, &repository).await);
}

#[tokio::test]
async fn a_directory_that_is_slow_or_down_holds_up_nobody_else() {
    let slapd = Slapd::start().expect("slapd is there: apt-get install slapd ldap-utils");
    let target = slapd.address();
    let proxy = tokio::task::spawn_blocking(move || Proxy::start(&target));
    let proxy = proxy.await.expect("no panic").expect("the proxy starts");
    let url = format!("ldap://{}", proxy.address());
    // Each use is checked again.
    let further = json!({ "ldap_timeout": 2, "ldap_password_secs": 0 });
    let office = Office::with(slapd, &url, further).await;
    let server = &office.server;
    for name in ["alice", "bob", "carl", "dave"] {
        office.add(name);
    }
    let (alice, admin) = (office.person("alice"), server.admin());
    alice.get(TOKEN).await.expect(200);
    let token = alice.with_token(&[]).await;
    let others_are_quick = async || {
        for (who, client) in [("proven", &alice), ("token", &token), ("local", &admin)] {
            let begun = Instant::now();
            client.get("/v2/").await.expect(200);
            assert!(begun.elapsed() < Duration::from_secs(1), "{who}");
        }
    };

    proxy.set(Mode::Delay(Duration::from_secs(10)));
    let slow = tokio::spawn({
        let bob = office.person("bob");
        async move { bob.get(TOKEN).await.status }
    });
    for _ in 0..5 {
        others_are_quick().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(slow.await.expect("no panic"), 503);

    proxy.set(Mode::Refuse);
    let refused = office.person("bob").get(TOKEN).await.expect(503);
    assert!(refused.message().contains("directory"), "{refused}");
    assert!(!refused.message().contains("127.0.0.1"), "{refused}");
    let mut browser = Browser::open(server.anonymous()).await;
    let refused = browser.sign_in("bob", slapd::PASSWORD).await.expect(503);
    assert!(refused.message().contains("directory"), "{refused}");
    others_are_quick().await;
    // Whoever is wrong is not let in by an old proof of somebody else.
    server
        .as_user_with("alice", "wrong")
        .at(78)
        .get(TOKEN)
        .await
        .expect(503);

    // Another address of the same directory.
    office
        .set(json!({ "ldap_fallback_urls": office.slapd.url() }))
        .await;
    eventually(READING, "the other address is asked", async || {
        (office.person("carl").get(TOKEN).await.status == 200).then_some(())
    })
    .await;
    office.set(json!({ "ldap_fallback_urls": "" })).await;

    // It is back.
    proxy.set(Mode::Pass);
    eventually(READING, "the directory is back", async || {
        (office.person("dave").get(TOKEN).await.status == 200).then_some(())
    })
    .await;
    office.person("dave").get(TOKEN).await.expect(200);
    // A password that was changed ends the old one, once it was checked in the background.
    let dn = format!("uid=dave,{}", slapd::PEOPLE);
    office
        .slapd
        .set(&dn, "userPassword", "Changed-Passw0rd")
        .expect("it is changed");
    eventually(READING, "the old password is refused", async || {
        (office.person("dave").at(79).get(TOKEN).await.status == 401).then_some(())
    })
    .await;
    server
        .as_user_with("dave", "Changed-Passw0rd")
        .get(TOKEN)
        .await
        .expect(200);
}

#[tokio::test]
async fn connections_are_encrypted_and_go_where_they_may() {
    let (authority, other) = (Authority::new("directory"), Authority::new("other"));
    let (certificate, key) = authority.issue_until(2_050);
    let shown = Certificate {
        ca: authority.pem(),
        certificate,
        key,
    };
    // It lets nobody in unencrypted.
    let slapd = Slapd::with(Some(&shown), "security simple_bind=64\n");
    let slapd = slapd.expect("slapd is there: apt-get install slapd ldap-utils");
    let plain = slapd.url();
    let office = Office::with(slapd, &plain, json!({})).await;
    let works = |(works, said): (bool, String)| assert!(works, "{said}");
    let fails = |(works, said): (bool, String), why: &str| {
        assert!(!works && said.contains(why), "{why} in {said}");
    };
    fails(office.ping(json!({})).await, "set ldap_starttls");
    office.set(json!({ "ldap_starttls": true })).await;
    fails(office.ping(json!({})).await, "no encrypted connection");
    office
        .set(json!({ "ldap_ca_certificate": other.pem() }))
        .await;
    fails(office.ping(json!({})).await, "no encrypted connection");
    office
        .set(json!({ "ldap_ca_certificate": authority.pem() }))
        .await;
    works(office.ping(json!({})).await);
    office
        .set(json!({ "ldap_url": office.slapd.tls_url(), "ldap_starttls": false }))
        .await;
    works(office.ping(json!({})).await);
    office
        .set(json!({ "ldap_ca_certificate": other.pem() }))
        .await;
    fails(office.ping(json!({})).await, "no encrypted connection");
    office.set(json!({ "ldap_verify_cert": false })).await;
    works(office.ping(json!({})).await);

    // The stored password goes to no other address.
    let elsewhere = json!({ "ldap_url": plain });
    fails(
        office.ping(elsewhere).await,
        "ldap_search_dn has no ldap_search_password",
    );
    let refused = office
        .server
        .admin()
        .post(PING)
        .json(&json!({ "ldap_filter": "(" }))
        .await;
    refused.expect_error(400, "BAD_REQUEST");

    // Where nothing is allowed, a request leads to no loopback address, and neither does what it stores.
    let guarded = Server::start().await;
    let admin = guarded.admin();
    admin.get(PEOPLE).await.expect_error(412, "PRECONDITION");
    admin.post(PING).await.expect_error(412, "PRECONDITION");
    for url in [
        plain.as_str(),
        "ldap://localhost",
        "ldap://[::ffff:127.0.0.1]",
        "ldap://169.254.169.254",
    ] {
        let body = json!({ "ldap_url": url, "ldap_base_dn": slapd::PEOPLE });
        let answer = admin.post(PING).json(&body).await.expect(200).json();
        let said = answer["message"].as_str().unwrap_or_default();
        assert!(said.contains("[outgoing] allow"), "{url}: {answer}");
    }
    let stored = json!({ "ldap_url": plain, "ldap_base_dn": slapd::PEOPLE });
    admin.put(SETTINGS).json(&stored).await.expect(200);
    admin
        .get(PEOPLE)
        .await
        .expect_error(503, "SERVICE_UNAVAILABLE");
    let refused = guarded
        .as_user_with("alice", slapd::PASSWORD)
        .get(TOKEN)
        .await;
    refused.expect(503);
}

#[tokio::test]
async fn an_answer_that_was_cut_takes_no_rights_away() {
    let further = json!({ "ldap_reading_secs": 1, "ldap_group_lookup": "search" });
    let office = Office::open(further).await;
    let (server, slapd) = (&office.server, &office.slapd);
    let project = server.private_project().await;
    let repository = project.repository("app");
    let alice = office.add("alice");
    let devs = slapd
        .add_group("devs", &[&alice])
        .expect("a group is added");
    let member = json!({ "role_id": 2, "member_group": { "ldap_group_dn": devs } });
    server
        .admin()
        .post(&project.members())
        .json(&member)
        .await
        .expect(201);
    let person = office.person("alice");
    assert!(
        may_push(&person, &repository).await,
        "found by the groups' members"
    );
    // More groups than the directory gives in one answer, and alice's is among them or not.
    let many: String = (0..=slapd::SIZE_LIMIT)
        .map(|number| {
            format!(
                "dn: cn=g{number},{}\nchangetype: add\nobjectClass: groupOfNames\ncn: g{number}\nmember: {alice}\n\n",
                slapd::GROUPS
            )
        })
        .collect();
    slapd.change(&many).expect("groups are added");
    let refused = server
        .admin()
        .get(GROUPS)
        .await
        .expect_error(503, "SERVICE_UNAVAILABLE");
    assert!(refused.message().contains("size limit"), "{refused}");
    // Two readings later nothing is lost.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(may_push(&person, &repository).await);
}

#[tokio::test]
async fn guesses_at_a_person_are_counted_under_all_their_names() {
    let office = Office::open(json!({})).await;
    office.add("alice");
    let mut statuses = Vec::new();
    for number in 0..12 {
        let name = match number % 3 {
            0 => format!("office{number}\\alice"),
            1 => format!("{}alice", " ".repeat(number)),
            _ => format!("Office{number}\\ALICE"),
        };
        let guess = office.server.as_user_with(&name, "wrong").at(80);
        statuses.push(guess.get(TOKEN).await.status);
    }
    assert_eq!(statuses[..4], [401; 4]);
    assert!(statuses.contains(&429), "{statuses:?}");
    // From elsewhere she is slowed down, and not kept out.
    office.person("alice").at(81).get(TOKEN).await.expect(200);
}

#[tokio::test]
async fn nobody_takes_a_name_that_the_directory_may_have() {
    let office = Office::open(json!({ "self_registration": true })).await;
    office.add("boss");
    let (server, anyone) = (&office.server, office.server.anonymous());
    let body = json!({
        "username": "boss", "password": LOCAL_PASSWORD, "email": "boss@example.com", "realname": "B"
    });
    let users = "/api/v2.0/users";
    anyone
        .post(users)
        .json(&body)
        .await
        .expect_error(401, "UNAUTHORIZED");
    let refused = office.person("boss").post(users).json(&body).await;
    let refused = refused.expect_error(403, "FORBIDDEN");
    assert!(refused.message().contains("directory"), "{refused}");
    for path in ["/api/ext/v1/accounts/options", "/api/v2.0/systeminfo"] {
        let said = anyone.get(path).await.expect(200).json();
        assert_eq!(said["self_registration"], false, "{path}");
    }
    // Administrators make local accounts all the same.
    let mut body = body;
    body["username"] = "local".into();
    server.admin().post(users).json(&body).await.expect(201);
}

#[tokio::test]
async fn without_a_directory_its_people_are_out() {
    let office = Office::open(json!({})).await;
    let server = &office.server;
    let project = server.private_project().await;
    let (repository, url) = (project.repository("app"), office.slapd.url());
    office.add("alice");
    let alice = office.person("alice");
    let member = json!({ "role_id": 2, "member_user": { "username": "alice" } });
    alice.get(CURRENT).await.expect(200);
    let added = server.admin().post(&project.members()).json(&member).await;
    added.expect(201);
    let explained = async || {
        let path = format!(
            "/api/ext/v1/access/explain?subject=user:alice&action=repository:push&project={}",
            project.name
        );
        server.admin().get(&path).await.expect(200).json()
    };
    assert_eq!(explained().await["allowed"], true);
    let token = alice
        .with_token(&[&format!("repository:{repository}:pull")])
        .await;
    let mut browser = Browser::open(server.anonymous()).await;
    browser.sign_in("alice", slapd::PASSWORD).await.expect(200);

    office.set(json!({ "ldap_url": "" })).await;
    eventually(READING, "they are out", async || {
        (!browser.is_signed_in().await).then_some(())
    })
    .await;
    token.get("/v2/").await.expect(401);
    alice.get(TOKEN).await.expect(401);
    let explained_now = explained().await;
    assert_eq!(explained_now["allowed"], false, "{explained_now}");
    assert!(
        explained_now.to_string().contains("may not sign in"),
        "{explained_now}"
    );
    office.set(json!({ "ldap_url": url })).await;
    alice.get(TOKEN).await.expect(200);
    assert_eq!(explained().await["allowed"], true);
}

#[tokio::test]
async fn an_address_that_a_request_added_is_guarded_though_the_first_one_is_fixed() {
    let slapd = Slapd::start().expect("slapd is there: apt-get install slapd ldap-utils");
    let url = slapd.url();
    let server = Server::with(&[
        ("GANTRY_SETTINGS__LDAP_URL", &*url),
        ("GANTRY_SETTINGS__LDAP_BASE_DN", slapd::PEOPLE),
        ("GANTRY_SETTINGS__LDAP_SEARCH_DN", slapd::READER),
        (
            "GANTRY_SETTINGS__LDAP_SEARCH_PASSWORD",
            slapd::READER_PASSWORD,
        ),
    ])
    .await;
    let ping = async || {
        let answer = server.admin().post(PING).json(&json!({})).await;
        answer.expect(200).json()
    };
    assert_eq!(ping().await["success"], true);
    let further = json!({ "ldap_fallback_urls": "ldap://127.0.0.1:9" });
    let changed = server.admin().put(SETTINGS).json(&further).await;
    changed.expect(200);
    let said = ping().await;
    assert!(said.to_string().contains("[outgoing] allow"), "{said}");
}

#[tokio::test]
async fn a_directory_that_asks_for_a_certificate_gets_one() {
    let authority = Authority::new("directory");
    let (certificate, key) = authority.issue_until(2_050);
    let shown = Certificate {
        ca: authority.pem(),
        certificate,
        key,
    };
    let slapd = Slapd::with(Some(&shown), "TLSVerifyClient demand\n");
    let slapd = slapd.expect("slapd is there: apt-get install slapd ldap-utils");
    let url = slapd.tls_url();
    let office = Office::with(slapd, &url, json!({})).await;
    office
        .set(json!({ "ldap_ca_certificate": authority.pem() }))
        .await;
    let (works, said) = office.ping(json!({})).await;
    assert!(!works, "{said}");
    // One that somebody else issued is none.
    let (certificate, key) = Authority::new("somebody").issue_until(2_050);
    office
        .set(json!({ "ldap_client_certificate": certificate, "ldap_client_key": key }))
        .await;
    let (works, said) = office.ping(json!({})).await;
    assert!(!works, "{said}");
    let (certificate, key) = authority.issue_until(2_050);
    office
        .set(json!({ "ldap_client_certificate": certificate, "ldap_client_key": key }))
        .await;
    let (works, said) = office.ping(json!({})).await;
    assert!(works, "{said}");
    office.add("alice");
    office.person("alice").get(CURRENT).await.expect(200);
    let shown = office.server.admin().get(SETTINGS).await.expect(200).json();
    assert_eq!(shown["ldap_client_key"], Value::Null, "it is never shown");
}
