//! Syslog: messages by RFC 5424, over TCP (RFC 6587, octet counting), TLS (RFC 5425) and UDP (RFC 5426).
//!
//! The message is written here, as it is a few lines: libraries for it take the machine's time rather than that of the
//! entry.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outgoing::secured;
use tenancy::setting::{SyslogProtocol, Values};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::line::{Line, time};
use super::{Collector, Forwarding};
use crate::failures::causes;

/// How long resolving and connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may take to close its side once ours is closed.
const CLOSE: Duration = Duration::from_secs(20);
/// Facility "log audit", with severity informational, or warning for what was refused.
const DONE: u8 = 13 * 8 + 6;
const REFUSED: u8 = 13 * 8 + 4;
/// Bytes of a host name in a message.
const LONGEST_HOST: usize = 255;
/// Bytes of a message's id.
const LONGEST_ID: usize = 32;
/// The largest number of a message; the next one is 1.
const LAST_NUMBER: i64 = 2_147_483_647;

/// Sends lines.
pub(super) async fn send(
    forwarding: &Forwarding,
    values: &Arc<Values>,
    lines: &[Line],
) -> Result<(), String> {
    let messages = lines.iter().map(|line| message(line, &forwarding.host));
    match values.audit_log_forward_protocol {
        SyslogProtocol::Udp => send_each(forwarding, values, messages).await,
        SyslogProtocol::Tcp => {
            let stream = connect(forwarding, values).await?;
            hand_over(stream, &counted(messages)).await
        }
        SyslogProtocol::Tls => {
            let stream = connect(forwarding, values).await?;
            let stream = encrypt(forwarding, values, stream).await?;
            hand_over(stream, &counted(messages)).await
        }
    }
}

/// Connects, and sends nothing.
pub(super) async fn reach(forwarding: &Forwarding, values: &Arc<Values>) -> Result<(), String> {
    match values.audit_log_forward_protocol {
        SyslogProtocol::Udp => resolve(forwarding, values).await.map(drop),
        SyslogProtocol::Tcp => connect(forwarding, values).await.map(drop),
        SyslogProtocol::Tls => {
            let stream = connect(forwarding, values).await?;
            encrypt(forwarding, values, stream).await.map(drop)
        }
    }
}

fn place(values: &Values) -> Result<(&str, u16), String> {
    let endpoint = values.audit_log_forward_endpoint.rsplit_once(':');
    let place = endpoint.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    place.ok_or_else(|| "audit_log_forward_endpoint is not HOST:PORT".to_owned())
}

async fn resolve(forwarding: &Forwarding, values: &Values) -> Result<Vec<SocketAddr>, String> {
    let trust = forwarding.trust(Collector::Syslog);
    let found = timeout(CONNECT, forwarding.guard.resolve(place(values)?, trust)).await;
    let found = found.map_err(|_| "the host's name was not resolved in time".to_owned())?;
    found.map_err(|error| causes(&error))
}

async fn connect(
    forwarding: &Forwarding,
    values: &Values,
) -> Result<tokio::net::TcpStream, String> {
    let trust = forwarding.trust(Collector::Syslog);
    let connected = forwarding.guard.connect(place(values)?, trust, CONNECT);
    connected.await.map_err(|error| causes(&error))
}

async fn encrypt(
    forwarding: &Forwarding,
    values: &Arc<Values>,
    stream: tokio::net::TcpStream,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>, String> {
    let tls = forwarding.tls(values).await?;
    let secured = timeout(CONNECT, secured(stream, place(values)?.0, tls)).await;
    let secured = secured.map_err(|_| "the TLS handshake took too long".to_owned())?;
    secured.map_err(|error| causes(&error))
}

/// Writes bytes, closes this side, and waits for the server to close its own, which it does once it has read all of
/// them. If it closes before, or has died, the connection breaks and the bytes count as not taken.
async fn hand_over<S>(mut stream: S, bytes: &[u8]) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: std::io::Error| format!("the connection broke: {}", causes(&error));
    stream.write_all(bytes).await.map_err(broken)?;
    stream.shutdown().await.map_err(broken)?;
    let mut ignored = [0; 1024];
    let closed = async {
        loop {
            match stream.read(&mut ignored).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Some servers close a TLS connection without saying so in TLS.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(broken(error)),
            }
        }
    };
    timeout(CLOSE, closed).await.unwrap_or_else(|_| {
        Err(format!(
            "the server did not close the connection within {} s after the last message, so that nothing tells whether \
             it has read it",
            CLOSE.as_secs()
        ))
    })
}

/// Messages for a stream, each after its length.
fn counted(messages: impl Iterator<Item = String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend_from_slice(message.len().to_string().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(message.as_bytes());
    }
    bytes
}

async fn send_each(
    forwarding: &Forwarding,
    values: &Values,
    messages: impl Iterator<Item = String>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot send by UDP: {}", causes(&error));
    let addresses = resolve(forwarding, values).await?;
    let to = addresses.first().ok_or("the host has no address")?;
    let any: SocketAddr = match to.is_ipv4() {
        true => ([0; 4], 0).into(),
        false => ([0; 16], 0).into(),
    };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(to).await.map_err(failed)?;
    for message in messages {
        socket.send(message.as_bytes()).await.map_err(failed)?;
    }
    Ok(())
}

/// A message.
fn message(line: &Line, host: &str) -> String {
    let priority = if line.refused { REFUSED } else { DONE };
    let number = match line.id {
        0 => 1,
        id => (id - 1).rem_euclid(LAST_NUMBER) + 1,
    };
    let mut message = format!(
        "<{priority}>1 {time} {host} gantry - {id} [meta sequenceId=\"{number}\"][origin software=\"gantry\" \
         swVersion=\"{version}\"] ",
        time = time(line.at),
        host = field(bare(host), LONGEST_HOST),
        id = field(&line.kind, LONGEST_ID),
        version = env!("CARGO_PKG_VERSION"),
    );
    push_ascii(&mut message, &line.text);
    message
}

/// A host without its port.
fn bare(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => host,
    }
}

/// A field of a header: printable ASCII without spaces, and `-` for nothing.
fn field(text: &str, longest: usize) -> String {
    let printable = text.chars().filter(char::is_ascii_graphic).take(longest);
    let field: String = printable.collect();
    if field.is_empty() {
        "-".to_owned()
    } else {
        field
    }
}

/// Adds JSON in ASCII: a message in UTF-8 would have to begin with a byte order mark, which parsers of JSON refuse.
fn push_ascii(message: &mut String, json: &str) {
    for letter in json.chars() {
        if letter.is_ascii() {
            message.push(letter);
            continue;
        }
        let mut units = [0; 2];
        for unit in letter.encode_utf16(&mut units) {
            // Writing to a string does not fail.
            let _ = write!(message, "\\u{unit:04x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Line {
        Line {
            at: Timestamp(1_767_323_045_678_901),
            id: 42,
            kind: "create_artifact".to_owned(),
            refused: false,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_message_has_the_form_of_rfc_5424() {
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "<110>1 2026-01-02T03:04:05.678901Z registry.example gantry - create_artifact [meta sequenceId=\"42\"]\
             [origin software=\"gantry\" swVersion=\"{version}\"] {{\"a\":\"b\"}}"
        );
        let written = message(&line(r#"{"a":"b"}"#), "registry.example:8443");
        assert_eq!(written, expected);
        let refused = Line {
            refused: true,
            id: LAST_NUMBER + 1,
            kind: String::new(),
            ..line("{}")
        };
        let written = message(&refused, "[fd00::1]");
        assert!(
            written.starts_with(
                "<108>1 2026-01-02T03:04:05.678901Z [fd00::1] gantry - - [meta sequenceId=\"1\"]"
            ),
            "{written}"
        );
    }

    #[test]
    fn messages_in_a_stream_are_counted_in_bytes() {
        let messages = ["<110>1 a".to_owned(), "bc".to_owned()];
        assert_eq!(counted(messages.into_iter()), b"8 <110>1 a2 bc");
    }

    proptest! {
        #[test]
        fn a_message_is_one_line_of_ascii_that_holds_the_json(text in ".{0,40}", host in ".{0,300}", kind in ".{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let written = message(&Line { kind, ..line(&json) }, &host);
            prop_assert!(written.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == 0x7f), "{}", written);
            let (_, held) = written.split_once("\"] ").unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(held).unwrap(), text);
            // PRI and version, time, host, name, process, id, and then the structured data.
            let head: Vec<&str> = written.splitn(7, ' ').collect();
            prop_assert_eq!((head.len(), head[3], head[4]), (7, "gantry", "-"));
        }
    }
}
