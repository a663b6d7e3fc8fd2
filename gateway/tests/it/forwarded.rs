//! The address of a client behind a balancer: believed from trusted addresses, ignored from others.

use crate::harness::{Server, Shared};

static TRUSTING: Shared = Shared::new(&[("GANTRY_SERVER__TRUSTED_PROXIES", "127.0.0.0/8")]);
static DISTRUSTING: Shared = Shared::new(&[]);

/// Wrong passwords for one account from one address, until that address has to wait.
const GUESSES: usize = 40;

const LOGIN: &str = "/service/token?service=harbor-registry";

/// Guesses with this header until the guesser is refused; false if that never happens.
async fn is_throttled(server: &Server, account: &str, forwarded: impl Fn(usize) -> String) -> bool {
    let guesser = server.as_user_with(account, "Guess");
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
async fn the_forwarded_address_of_a_trusted_proxy_is_the_client() {
    let server = TRUSTING.get().await;
    let person = server.stranger().await;
    assert!(is_throttled(&server, person.name(), |_| "203.0.113.9".to_owned()).await);
    let elsewhere = person.get(LOGIN).header("x-forwarded-for", "203.0.113.10");
    elsewhere.await.expect(200);
}

#[tokio::test]
async fn only_the_last_untrusted_address_counts() {
    let server = TRUSTING.get().await;
    let person = server.stranger().await;
    let forged = |number: usize| format!("198.51.100.{number}, 203.0.113.19, 127.0.0.9");
    assert!(
        is_throttled(&server, person.name(), forged).await,
        "a forged first address was believed"
    );
}

#[tokio::test]
async fn a_stranger_cannot_choose_an_address() {
    let server = DISTRUSTING.get().await;
    let person = server.stranger().await;
    let forged = |number: usize| format!("198.51.100.{number}");
    assert!(
        is_throttled(&server, person.name(), forged).await,
        "an untrusted header was believed"
    );
}

/// Whether a request that comes after this PROXY header is answered.
async fn answered_after(server: &Server, header: &[u8]) -> bool {
    let Ok(mut raw) = server.raw_after(header).await else {
        return false;
    };
    let request = format!("GET /v2/ HTTP/1.1\r\nhost: {}\r\n\r\n", server.host());
    raw.write(request).await.is_ok()
        && raw
            .answer()
            .await
            .is_some_and(|answer| answer.status == 401)
}

/// `PROXY` in the binary form, for TCP over IPv4 from 203.0.113.7.
fn binary_header() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([203, 0, 113, 7, 127, 0, 0, 1, 0x30, 0x39, 1, 0xbb]);
    header
}

#[tokio::test]
async fn the_proxy_protocol_is_spoken_with_trusted_proxies_only() {
    let (trusting, distrusting) = (TRUSTING.get().await, DISTRUSTING.get().await);
    let text = b"PROXY TCP4 203.0.113.7 127.0.0.1 12345 443\r\n".to_vec();
    for header in [text, b"PROXY UNKNOWN\r\n".to_vec(), binary_header()] {
        assert!(answered_after(&trusting, &header).await, "{header:?}");
        assert!(!answered_after(&distrusting, &header).await, "{header:?}");
    }
    assert!(
        answered_after(&trusting, b"").await,
        "a trusted proxy may do without"
    );
    for nonsense in [
        "PROXY TCP4 a b c d\r\n",
        "PROXY TCP9 1.1.1.1 2.2.2.2 3 4\r\n",
        "PROXY\r\n",
    ] {
        assert!(
            !answered_after(&trusting, nonsense.as_bytes()).await,
            "{nonsense}"
        );
    }
    let endless = format!("PROXY {}", "x".repeat(100_000));
    assert!(!answered_after(&trusting, endless.as_bytes()).await);
}
