//! The address of a client behind a balancer: believed from trusted addresses, ignored from others.

use crate::harness::{Server, Shared};

/// The balancer is 127.0.0.50; everybody else comes without one.
const BALANCER: u8 = 50;

static TRUSTING: Shared = Shared::new(&[("GANTRY_SERVER__TRUSTED_PROXIES", "127.0.0.50/32")]);
static PROXYING: Shared = Shared::new(&[
    ("GANTRY_SERVER__TRUSTED_PROXIES", "127.0.0.50/32"),
    ("GANTRY_SERVER__PROXY_PROTOCOL", "true"),
]);

/// Wrong passwords for one account from one address, until that address has to wait.
const GUESSES: usize = 40;

const LOGIN: &str = "/service/token?service=harbor-registry";

/// Guesses from 127.0.0.`from` with this header until the guesser is refused; false if that never happens.
async fn is_throttled(
    server: &Server,
    from: u8,
    account: &str,
    forwarded: impl Fn(usize) -> String,
) -> bool {
    let guesser = server.as_user_with(account, "Guess").at(from);
    for number in 0..GUESSES {
        let guess = guesser
            .get(LOGIN)
            .header("x-forwarded-for", forwarded(number));
        if guess.await.status == 429 {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn the_forwarded_address_of_a_balancer_is_the_client() {
    let server = TRUSTING.get().await;
    let person = server.stranger().await;
    let one = |_| "203.0.113.9".to_owned();
    assert!(is_throttled(&server, BALANCER, person.name(), one).await);
    let (balanced, name) = (person.at(BALANCER), person.name());
    let same = balanced
        .get(LOGIN)
        .header("x-forwarded-for", "203.0.113.9")
        .await;
    assert_eq!(same.status, 429, "{name}: {same}");
    balanced
        .get(LOGIN)
        .header("x-forwarded-for", "203.0.113.10")
        .await
        .expect(200);
}

#[tokio::test]
async fn only_the_last_address_that_is_not_trusted_counts() {
    let server = TRUSTING.get().await;
    let person = server.stranger().await;
    let forged = |number| format!("198.51.100.{number}, 203.0.113.19, 127.0.0.50");
    let throttled = is_throttled(&server, BALANCER, person.name(), forged).await;
    assert!(throttled, "a forged first address was believed");
}

#[tokio::test]
async fn whoever_is_no_balancer_cannot_choose_an_address() {
    let server = TRUSTING.get().await;
    let person = server.stranger().await;
    let forged = |number| format!("198.51.100.{number}");
    let throttled = is_throttled(&server, 51, person.name(), forged).await;
    assert!(throttled, "a header from just anybody was believed");
}

/// Whether a request that comes after this PROXY header is answered.
async fn answered_after(server: &Server, from: u8, header: &[u8]) -> bool {
    let Ok(mut raw) = server.raw_from(from, header).await else {
        return false;
    };
    let request = format!("GET /v2/ HTTP/1.1\r\nhost: {}\r\n\r\n", server.host());
    let written = raw.write(request).await.is_ok();
    written
        && raw
            .answer()
            .await
            .is_some_and(|answer| answer.status == 401)
}

const TEXT: &[u8] = b"PROXY TCP4 203.0.113.7 127.0.0.1 12345 443\r\n";

/// The binary form, for TCP over IPv4 from 203.0.113.7.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x30\x39\x01\xbb";

#[tokio::test]
async fn a_balancer_speaks_the_proxy_protocol_and_nobody_else() {
    let server = PROXYING.get().await;
    for header in [TEXT, BINARY, b"PROXY UNKNOWN\r\n"] {
        assert!(
            answered_after(&server, BALANCER, header).await,
            "{header:?}"
        );
        assert!(!answered_after(&server, 51, header).await, "{header:?}");
    }
    assert!(answered_after(&server, 51, b"").await);
    let endless = format!("PROXY {}", "x".repeat(100_000));
    let nonsense: [&[u8]; 4] = [
        b"PROXY TCP4 a b c d\r\n",
        b"PROXY TCP9 1.1.1.1 2.2.2.2 3 4\r\n",
        b"PROXY\r\n",
        endless.as_bytes(),
    ];
    for header in nonsense {
        assert!(
            !answered_after(&server, BALANCER, header).await,
            "{header:?}"
        );
    }
}
